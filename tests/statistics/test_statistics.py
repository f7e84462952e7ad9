"""Intervals cover, tests are calibrated, and closed forms hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, norm
from sklearn.metrics import roc_auc_score

from nonredundant import statistics
from nonredundant.statistics.delong import covariance, placements


def draw_scores(rng, n=120, shift=1.0, *, ties=False):
    """Labels and two correlated binormal scores of the same cases."""
    y = np.repeat([0, 1], n // 2)
    shared = rng.normal(size=n) + shift * y
    scores = shared + 0.7 * rng.normal(size=(2, n))
    return y, (scores.round() if ties else scores)


def binormal_auc(shift):
    return norm.cdf(shift / np.sqrt(2 * (1 + 0.7**2)))


def delong_by_definition(y, scores):
    """DeLong et al. 1988, equations 3 to 6, over all pairs."""
    kernels = [
        (s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0]) for s in scores
    ]
    aucs = np.array([k.mean() for k in kernels])
    v10 = np.array([k.mean(axis=1) for k in kernels]) - aucs[:, None]
    v01 = np.array([k.mean(axis=0) for k in kernels]) - aucs[:, None]
    m, n = v10.shape[1], v01.shape[1]
    return aucs, v10 @ v10.T / (m - 1) / m + v01 @ v01.T / (n - 1) / n


@pytest.mark.parametrize("ties", [False, True])
def test_fast_delong_equals_its_definition(ties):
    y, scores = draw_scores(np.random.default_rng(0), ties=ties)
    aucs, *parts = placements(y == 1, scores)
    expected_aucs, expected = delong_by_definition(y, scores)
    np.testing.assert_allclose(aucs, expected_aucs, rtol=0, atol=1e-12)
    np.testing.assert_allclose(covariance(*parts), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(aucs, [roc_auc_score(y, s) for s in scores], rtol=0, atol=1e-12)


def test_delong_on_an_example_worked_by_hand():
    """Positives 3, 5 against negatives 1, 4: three of four pairs are ordered.

    Shares of the positives 1/2 and 1, of the negatives 1 and 1/2: each variance is 1/8, so that
    of the AUC is 1/8 / 2 + 1/8 / 2 = 1/8. The other score orders all pairs; its variance is 0.
    """
    y, a, b = [0, 0, 1, 1], [1, 4, 3, 5], [1, 2, 3, 4]
    found = statistics.delong_test(y, a, b)
    error = np.sqrt(1 / 8)
    assert found.estimate == pytest.approx(-0.25)
    assert found.p_value == pytest.approx(2 * norm.sf(0.25 / error))
    assert found.high - found.estimate == pytest.approx(1.959964 * error, rel=1e-6)


def test_equal_orders_are_no_difference():
    y, scores = draw_scores(np.random.default_rng(0))
    assert statistics.delong_test(y, scores[0], 2 * scores[0] + 1) == (0, 0, 0, 1)


@pytest.mark.parametrize("shift", [1.0, 2.6])
def test_delongs_interval_covers_the_truth(shift):
    rng, truth = np.random.default_rng(1), binormal_auc(shift)
    covered = 0
    for _ in range(1000):
        y, scores = draw_scores(rng, n=140, shift=shift)
        found = statistics.delong_interval(y, scores[0])
        covered += found.low <= truth <= found.high
    assert 0.93 <= covered / 1000 <= 0.97


def test_the_bootstrap_interval_covers_the_truth():
    def auc(y, s):
        order = np.argsort(np.argsort(s))
        m = int(y.sum())
        return (order[y == 1].sum() - m * (m - 1) / 2) / (m * (len(y) - m))

    rng, truth = np.random.default_rng(2), binormal_auc(1.0)
    covered = 0
    for _ in range(1000):
        y, scores = draw_scores(rng, n=140)
        found = statistics.bootstrap_interval(
            y, scores[0], auc, n_resamples=199, random_state=rng_seed(rng)
        )
        covered += found.low <= truth <= found.high
    assert 0.93 <= covered / 1000 <= 0.97


def rng_seed(rng):
    return int(rng.integers(2**31))


def test_the_corrected_resampled_interval_covers_where_the_plain_one_does_not():
    """Fold scores correlate by n_test / (n_train + n_test), as the correction assumes."""
    rng = np.random.default_rng(3)
    n_train, n_test, k = 80, 20, 25
    rho = n_test / (n_train + n_test)
    covered = plain = 0
    for _ in range(1000):
        shared = rng.normal() * np.sqrt(rho)
        scores = 0.8 + 0.05 * (shared + np.sqrt(1 - rho) * rng.normal(size=k))
        found = statistics.resampled_interval(scores, n_train, n_test)
        covered += found.low <= 0.8 <= found.high
        reach = 1.96 * scores.std(ddof=1) / np.sqrt(k)
        plain += abs(scores.mean() - 0.8) <= reach
    assert 0.93 <= covered / 1000 <= 0.97
    assert plain / 1000 < 0.8


def test_p_values_of_the_paired_test_are_uniform_under_the_null():
    rng = np.random.default_rng(4)
    p = []
    for _ in range(1000):
        y, scores = draw_scores(rng, n=200)
        p.append(statistics.delong_test(y, *scores).p_value)
    assert kstest(p, "uniform").pvalue > 0.01
    assert 0.03 <= np.mean(np.array(p) < 0.05) <= 0.07


def test_p_values_of_the_paired_bootstrap_keep_their_level():
    rng = np.random.default_rng(5)
    p = []
    for _ in range(200):
        y, scores = draw_scores(rng, n=100)
        p.append(
            statistics.paired_bootstrap(
                y, *scores, difference_of_means, n_resamples=199, random_state=rng_seed(rng)
            ).p_value
        )
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.09


def difference_of_means(y, score):
    return float(score[y == 1].mean() - score[y == 0].mean())


def test_a_better_score_is_found_better_by_every_test():
    rng = np.random.default_rng(6)
    y, (good, poor) = draw_scores(rng, n=400, shift=2.0)
    poor = poor + 3 * rng.normal(size=400)
    for found in (
        statistics.delong_test(y, good, poor),
        statistics.paired_bootstrap(y, good, poor, roc_auc_score, n_resamples=200, random_state=0),
    ):
        assert found.estimate > 0.1
        assert found.low > 0
        assert found.p_value < 0.01


def test_perfect_separation_has_an_interval():
    auc, low, high = statistics.delong_interval([0] * 10 + [1] * 10, range(20))
    assert (auc, high) == (1.0, 1.0)
    assert low == pytest.approx(0.05 ** (1 / 10))


def test_the_corrected_test_by_hand():
    """Mean 2, variance 1, k = 3, test share 1/2: error sqrt(1/3 + 1/2), t = 2.19 on 2 df."""
    found = statistics.resampled_test([1.0, 2.0, 3.0], 100, 50)
    assert found.estimate == 2
    assert found.high - 2 == pytest.approx(4.302653 * np.sqrt(5 / 6), rel=1e-6)


def test_holm_on_a_worked_example():
    """0.01 * 4, 0.015 * 3, then 0.03 * 2 = 0.06 and 0.05 * 1, raised to 0.06."""
    found = statistics.holm([0.03, 0.01, 0.05, 0.015])
    np.testing.assert_allclose(found, [0.06, 0.04, 0.06, 0.045])
    assert statistics.holm([0.6, 0.9]).max() == 1.0


def test_calibration_recovers_slope_and_intercept():
    rng = np.random.default_rng(7)
    logits = rng.normal(size=40_000) * 1.5
    y = (rng.random(40_000) < 1 / (1 + np.exp(-logits))).astype(int)
    right = statistics.calibration_summary(y, 1 / (1 + np.exp(-logits)))
    assert right["slope"] == pytest.approx(1, abs=0.05)
    assert right["intercept"] == pytest.approx(0, abs=0.05)
    extreme = statistics.calibration_summary(y, 1 / (1 + np.exp(-2 * logits - 1)))
    assert extreme["slope"] == pytest.approx(0.5, abs=0.03)
    assert extreme["intercept"] < -0.5
    assert extreme["brier"] > right["brier"]


def test_calibration_of_constant_and_of_separating_predictions():
    constant = statistics.calibration_summary([0, 0, 0, 1], [0.25] * 4)
    assert np.isnan(constant["slope"])
    assert constant["intercept"] == pytest.approx(0, abs=1e-9)
    separated = statistics.calibration_summary([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert separated["slope"] == np.inf


def test_net_benefit_of_everybody_and_of_a_perfect_prediction():
    y = np.array([0] * 70 + [1] * 30)
    found = statistics.net_benefit(y, y.astype(float), [0.1, 0.3, 0.5])
    np.testing.assert_allclose(found["net_benefit"], 0.3)
    np.testing.assert_allclose(found["treat_all"], [0.3 - 0.7 / 9, 0.0, -0.4], atol=1e-12)
    everybody = statistics.net_benefit(y, np.full(100, 0.99), [0.1, 0.3, 0.5])
    np.testing.assert_allclose(everybody["net_benefit"], found["treat_all"])


def test_the_operating_point_is_youdens():
    rng = np.random.default_rng(8)
    y, (score, _) = draw_scores(rng, n=60)
    best = statistics.operating_point(y, score)

    def youden(threshold):
        return sum(statistics.sensitivity_specificity(y, score, threshold).values())

    assert youden(best) == max(youden(t) for t in score)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: statistics.delong_interval([1, 1, 1], [1, 2, 3]), "both classes"),
        (lambda: statistics.delong_interval(["a", "b"], [1, 2]), "coded 0 and 1"),
        (lambda: statistics.delong_interval([0, 1, 1], [1, 2, 3]), "two cases of each class"),
        (lambda: statistics.delong_test([0, 1, 0, 1], [1, 2, 3, 4], [1, 2]), "4 labels"),
        (lambda: statistics.delong_test([0, 1], [1, np.nan], [1, 2]), "1 of 2 scores"),
        (lambda: statistics.bootstrap_interval([1, 1], [1, 2], min), "two classes"),
        (lambda: statistics.paired_bootstrap([0, 1], [1, 2], [1], min), "1 rows"),
        (lambda: statistics.resampled_test([0.5], 8, 2), "two folds"),
        (lambda: statistics.resampled_interval([0.5, np.nan], 8, 2), "finite"),
        (lambda: statistics.holm([0.5, 1.2]), r"\[0, 1\]"),
        (lambda: statistics.calibration_summary([0, 1], [-2, 3]), "predict_proba"),
        (lambda: statistics.net_benefit([0, 1], [0.1, 0.9], [0, 0.5]), "between 0 and 1"),
    ],
)
def test_bad_input_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()
