"""Calibration, net benefit and operating points."""

from __future__ import annotations

import numpy as np
import pytest
from scores_for_tests import draw_scores

from nonredundant.statistics import (
    calibration_of_times,
    calibration_summary,
    net_benefit,
    operating_point,
    sensitivity_specificity,
)


def test_calibration_recovers_slope_and_intercept():
    rng = np.random.default_rng(7)
    logits = rng.normal(size=40_000) * 1.5
    y = (rng.random(40_000) < 1 / (1 + np.exp(-logits))).astype(int)
    right = calibration_summary(y, 1 / (1 + np.exp(-logits)))
    assert right["slope"] == pytest.approx(1, abs=0.05)
    assert right["intercept"] == pytest.approx(0, abs=0.05)
    extreme = calibration_summary(y, 1 / (1 + np.exp(-2 * logits - 1)))
    assert extreme["slope"] == pytest.approx(0.5, abs=0.03)
    assert extreme["intercept"] < -0.5
    assert extreme["brier"] > right["brier"]


def test_calibration_of_constant_and_of_separating_predictions():
    constant = calibration_summary([0, 0, 0, 1], [0.25] * 4)
    assert np.isnan(constant["slope"])
    assert constant["intercept"] == pytest.approx(0, abs=1e-9)
    separated = calibration_summary([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert np.isnan(separated["slope"])


def test_the_slope_has_an_interval_where_it_means_something():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.9, 400)
    found = calibration_summary(rng.uniform(size=400) < p, p)
    assert found["slope_low"] < 1 < found["slope_high"]
    few = calibration_summary([1] * 5 + [0] * 50, [0.6, 0.2, 0.5, 0.1, 0.7] * 11)
    assert np.isnan([few["slope"], few["slope_low"]]).all()


def test_net_benefit_of_everybody_and_of_a_perfect_prediction():
    y = np.array([0] * 70 + [1] * 30)
    found = net_benefit(y, y.astype(float), [0.1, 0.3, 0.5])
    np.testing.assert_allclose(found["net_benefit"], 0.3)
    np.testing.assert_allclose(found["treat_all"], [0.3 - 0.7 / 9, 0.0, -0.4], atol=1e-12)
    everybody = net_benefit(y, np.full(100, 0.99), [0.1, 0.3, 0.5])
    np.testing.assert_allclose(everybody["net_benefit"], found["treat_all"])


def test_the_operating_point_is_youdens():
    rng = np.random.default_rng(8)
    y, (score, _) = draw_scores(rng, n=60)
    best = operating_point(y, score)

    def youden(threshold):
        return sum(sensitivity_specificity(y, score, threshold).values())

    assert youden(best) == max(youden(t) for t in score)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calibration_summary([0, 1], [-2, 3]), "predict_proba"),
        (lambda: net_benefit([0, 1], [0.1, 0.9], [0, 0.5]), "between 0 and 1"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_groups_widen_the_intervals_of_calibration():
    rng = np.random.default_rng(0)
    p = np.repeat(rng.uniform(0.1, 0.9, size=60), 4)
    y = np.repeat(rng.uniform(size=60) < p[::4], 4)
    alone = calibration_summary(y, p)
    grouped = calibration_summary(y, p, groups=np.arange(240) // 4)
    once = calibration_summary(y[::4], p[::4], groups=np.arange(60))
    assert grouped["intercept"] == alone["intercept"]
    for name in ("intercept", "slope"):
        widths = [one[f"{name}_high"] - one[f"{name}_low"] for one in (alone, grouped, once)]
        # Four copies of a case tell as much as one.
        assert widths[1] == pytest.approx(widths[2], rel=1e-4)
        assert widths[0] < 0.7 * widths[1]


def test_times_are_calibrated_against_their_own_hazard():
    rng = np.random.default_rng(0)
    risk = rng.normal(size=600)
    time, censored = rng.exponential(10 * np.exp(-risk)), rng.uniform(2, 20, size=600)
    event, end = time <= censored, np.minimum(time, censored)
    at = np.linspace(0.01, 30, 3000)
    right = calibration_of_times(event, end, risk, (at, at / 10))
    for _, low, high in right.values():
        assert low < 1 < high
    extreme = calibration_of_times(event, end, 2 * risk, (at, at / 10))
    assert extreme["slope"][0] == pytest.approx(right["slope"][0] / 2, rel=1e-3)
    low = calibration_of_times(event, end, risk - np.log(2), (at, at / 10))
    assert low["observed / expected"][0] == pytest.approx(2 * right["observed / expected"][0])
    few = calibration_of_times(event[:12], end[:12] * 0, risk[:12], (at, at / 10))
    assert np.isnan(few["slope"]).all()


def test_follow_up_beyond_the_baseline_changes_nothing():
    rng = np.random.default_rng(0)
    risk = rng.normal(size=600)
    time = rng.exponential(10 * np.exp(-risk))
    at = np.linspace(0.01, 5, 500)
    short, long = (
        calibration_of_times(time <= end, np.minimum(time, end), risk, (at, at / 10))
        for end in (5.0, 20.0)
    )
    for measure, values in short.items():
        assert long[measure] == pytest.approx(values)
