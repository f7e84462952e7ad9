"""Tests of added information: size, power, groups, strata and what is not possible."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scores_for_tests import censored
from sklearn.svm import SVC

from nonredundant.statistics import added_information
from nonredundant.statistics.added_information import (
    added_information_of_residuals,
    class_residuals,
    double_residual,
    martingale_residuals,
    out_of_fold_residuals,
)


def rejections(draw, n_studies=200, **settings):
    """Return the share of studies with p < 0.05; `draw(rng)` returns residuals and d."""
    found = []
    for seed in range(n_studies):
        residuals, d, more = draw(np.random.default_rng(seed))
        test = added_information_of_residuals(
            residuals, d, n_permutations=99, random_state=seed, **settings, **more
        )
        found.append(test.p_value <= 0.05)
    return np.mean(found)


def test_noise_is_found_as_often_as_stated():
    share = rejections(lambda rng: (rng.normal(size=60), rng.normal(size=(60, 8)), {}))
    assert 0.02 <= share <= 0.09


def test_an_effect_is_found():
    def draw(rng):
        d = rng.normal(size=(60, 8))
        return 0.7 * d[:, 3] + rng.normal(size=60), d, {}

    assert rejections(draw, 40) > 0.7


def test_rows_of_a_patient_are_permuted_together():
    """Two lesions of a patient share residual and d; as single rows they look like an effect."""

    def draw(rng):
        residuals, d = rng.normal(size=30), rng.normal(size=(30, 4))
        return np.repeat(residuals, 2), np.repeat(d, 2, axis=0), {}

    assert rejections(draw) > 0.15
    assert rejections(draw, groups=np.repeat(np.arange(30), 2)) <= 0.09


def test_latents_of_other_folds_have_other_coordinates():
    def draw(rng):
        signal, strata = rng.normal(size=120), np.arange(120) % 4
        d = rng.normal(size=(120, 3))
        # Each fold's network shows the signal in another latent and direction.
        d[np.arange(120), strata % 3] = signal * np.where(strata < 2, 1, -1)
        return signal + rng.normal(size=120), d, {"strata": strata}

    assert rejections(draw, 20) > 0.8


def test_several_classes_are_tested_at_once():
    rng = np.random.default_rng(0)
    d = rng.normal(size=(150, 3))
    y = np.digitize(d[:, 0] + rng.normal(size=150), [-0.7, 0.7])
    found = added_information(rng.normal(size=(150, 2)), d, y, random_state=0)
    assert found.p_value <= 0.01
    assert found.n_permutations == 499


def test_a_classifier_without_probabilities_leaves_residuals():
    rng = np.random.default_rng(0)
    h, d = rng.normal(size=(80, 2)), rng.normal(size=(80, 2))
    y = (h[:, 0] + 2 * d[:, 0] > 0).astype(int)
    assert added_information(h, d, y, estimator=SVC(), random_state=0).p_value < 0.05


def test_residuals_of_times_need_no_scale_of_the_risk():
    x, event, time = censored(80)
    found = martingale_residuals(event, time, x)
    np.testing.assert_allclose(found, martingale_residuals(event, time, 50 * x + 3), atol=1e-3)
    assert found.sum() == pytest.approx(0, abs=1e-6)
    # Given the risk, less of the outcome is left than without it.
    assert found.std() < martingale_residuals(event, time, 0 * x).std()


def test_residuals_of_margins_are_those_of_probabilities():
    y = np.array([0, 0, 1, 1] * 10)
    margins = np.where(y, 2.0, -1.0) + np.random.default_rng(0).normal(size=40)
    found = class_residuals(y, margins)
    assert found.shape == (40, 1)
    assert (np.abs(found) < 1).all()


def shares_a_square(seed, effect=0.0, n=100):
    """Return a centred binary outcome and latents that share the square of a feature, and h."""
    rng = np.random.default_rng(seed)
    h, d = rng.normal(size=(n, 4)), rng.normal(size=(n, 3))
    shared = (np.square(h[:, 0]) - 1) / np.sqrt(2)
    d[:, 0] = 0.8 * shared + 0.6 * d[:, 0]
    y = rng.logistic(size=n) < 1.5 * shared + effect * d[:, 1]
    return y - y.mean(), h, d


def test_double_residuals_keep_the_level_where_d_and_y_share_a_function_of_h():
    by_permutation = doubly = seen = 0
    for seed in range(20):
        y, h, d = shares_a_square(seed)
        settings = {"n_permutations": 59, "random_state": seed}
        by_permutation += added_information_of_residuals(y, d, **settings).p_value <= 0.05
        doubly += double_residual(y, h, d, **settings).p_value <= 0.05
        if seed < 8:
            y, h, d = shares_a_square(seed, effect=1.5)
            seen += double_residual(y, h, d, **settings).p_value <= 0.05
    assert by_permutation >= 14
    # 5 of 20 at a level of 0.05 have a chance of 0.3 %.
    assert doubly <= 4
    assert seen >= 6


def test_double_residuals_do_not_depend_on_the_order_of_rows():
    y, h, d = shares_a_square(0, effect=1.5, n=60)
    order = np.random.default_rng(1).permutation(60)
    found = double_residual(y, h, d, n_permutations=99, random_state=0)
    again = double_residual(y[order], h[order], d[order], n_permutations=99, random_state=0)
    assert (found.method, found.n_permutations) == ("double-residual", 99)
    assert again.statistic == pytest.approx(found.statistic)
    names = [f"patient {i}" for i in range(60)]
    frames = [pd.DataFrame(x, index=names) for x in (y, h, d)]
    frames[1] = frames[1].iloc[order]
    by_label = double_residual(*frames, n_permutations=99, random_state=0)
    assert by_label.statistic == pytest.approx(found.statistic)


def test_double_residuals_of_folds_with_a_network_each():
    rng = np.random.default_rng(0)
    h, signal, strata = rng.normal(size=(120, 3)), rng.normal(size=120), np.arange(120) % 3
    d = rng.normal(size=(120, 3))
    d[np.arange(120), strata] = (signal + h[:, 0]) * np.where(strata < 2, 1, -1)
    h[5, 1] = np.nan
    y = signal + h[:, 0] + 0.5 * rng.normal(size=120)
    settings = {"n_permutations": 99, "random_state": 0, "groups": np.arange(120) // 3}
    assert double_residual(y, h, d, strata=strata, **settings).p_value <= 0.05
    found = double_residual(y, h, d, groups=np.repeat([0, 1], 60))
    assert "too few groups" in found.reason
    assert found.method == "double-residual"


def test_differences_between_centres_are_no_effect():
    """d is shifted in one of two centres, where the outcome is more frequent."""

    def draw(rng):
        centres = np.arange(80) % 2
        d = rng.normal(size=(80, 3))
        d[:, 0] += 2 * centres
        return rng.normal(size=80) + 2 * centres, d, {}

    assert rejections(draw, 40) > 0.9
    assert rejections(draw, 100, centres=np.arange(80) % 2) <= 0.11

    def within(rng):
        residuals, d, _ = draw(rng)
        return residuals + 0.7 * d[:, 1], d, {}

    assert rejections(within, 20, centres=np.arange(80) % 2) > 0.8


@pytest.mark.parametrize("method", ["permutation", "double-residual"])
@pytest.mark.parametrize("outcome", ["classes", "text", "continuous", "times", "frame of times"])
def test_every_outcome_is_tested(outcome, method):
    rng = np.random.default_rng(0)
    h, d = rng.normal(size=(90, 3)), rng.normal(size=(90, 2))
    signal = h[:, 0] + 1.5 * d[:, 0]
    y = {
        "classes": (signal > 0).astype(int),
        "text": np.where(signal > 0, "ill", "well"),
        "continuous": 50 + 10 * signal,
    }
    times = {"event": np.arange(90) % 4 > 0, "time": rng.exponential(np.exp(-signal))}
    y["frame of times"] = pd.DataFrame(times)
    y["times"] = y["frame of times"].to_records(index=False).view(np.ndarray)
    settings = {"method": method, "n_permutations": 59, "random_state": 0}
    assert added_information(h, d, y[outcome], **settings).p_value <= 0.05
    assert added_information(h, d[::-1], y[outcome], **settings).p_value > 0.05


def test_residuals_of_a_continuous_outcome_are_what_a_regression_leaves():
    rng = np.random.default_rng(0)
    h, noise = rng.normal(size=(400, 2)), rng.normal(size=400)
    found = out_of_fold_residuals(h, 3 + 2 * h[:, 0] + noise, random_state=0)
    assert found.shape == (400, 1)
    assert np.corrcoef(found[:, 0], noise)[0, 1] > 0.98
    ages = np.arange(400) % 90
    assert out_of_fold_residuals(h, ages, random_state=0).shape == (400, 1)


def test_rows_are_matched_by_their_labels():
    rng = np.random.default_rng(0)
    names = [f"patient {i}" for i in range(80)]
    h, d = (pd.DataFrame(rng.normal(size=(80, 2)), index=names) for _ in range(2))
    y = pd.Series((h[0] + 2 * d[0] > 0).astype(int), index=names)
    groups = pd.Series(np.arange(80) // 2, index=names)
    order = rng.permutation(80)
    for method in ("permutation", "double-residual", "similarity"):
        settings = {"method": method, "n_permutations": 59, "random_state": 0}
        expected = added_information(h, d, y, groups=groups, **settings)
        mixed = added_information(h, d.iloc[order], y[::-1], groups=groups.iloc[order], **settings)
        assert mixed == expected
    with pytest.raises(ValueError, match="y has another index than h: 80 of 80 labels"):
        added_information(h, d, y.set_axis([f"p{i}" for i in range(80)]))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r, d: (0 * r, d, {}), "no residuals"),
        (lambda r, d: (r, 0 * d, {}), "constant"),
        (lambda r, d: (r[:5], d[:5], {}), "too few"),
        (lambda r, d: (r, d, {"groups": np.repeat([0, 1], 20)}), "too few groups"),
        (lambda r, d: (r, d, {"strata": np.arange(40)}), "smallest stratum"),
    ],
)
def test_what_is_not_possible_is_said(change, reason):
    rng = np.random.default_rng(0)
    residuals, d, settings = change(rng.normal(size=40), rng.normal(size=(40, 3)))
    found = added_information_of_residuals(residuals, d, **settings)
    assert np.isnan(found.p_value)
    assert reason in found.reason


def test_bad_input_is_refused():
    rng = np.random.default_rng(0)
    h, d, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 2)), np.arange(30) % 2
    with pytest.raises(ValueError, match="d has missing or infinite values in 1 of 30 rows"):
        added_information(h, np.where(np.arange(60).reshape(30, 2) == 4, np.nan, d), y)
    with pytest.raises(ValueError, match="only the class"):
        added_information(h, d, 0 * y)
    with pytest.raises(ValueError, match="y is missing in 1 of 30 rows, the first is row 2"):
        added_information(h, d, np.where(np.arange(30) == 2, np.nan, y))
    with pytest.raises(ValueError, match="h must be numeric, but its column 'sex' holds text"):
        added_information(pd.DataFrame({"age": y, "sex": ["f"] * 30}), d, y)
    with pytest.raises(ValueError, match="method must be one of 'permutation', 'double-residual'"):
        added_information(h, d, y, method="magic")
    with pytest.raises(ValueError, match="numbers of rows are: h 30, d 29, y 30"):
        added_information(h, d[:-1], y)
