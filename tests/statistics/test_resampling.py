"""Bootstrap and tests over folds: coverage, level and worked examples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t
from scores_for_tests import binormal_auc, draw_scores
from sklearn.metrics import roc_auc_score

from nonredundant.statistics import (
    bootstrap_interval,
    delong_test,
    paired_bootstrap,
    resampled_interval,
    resampled_test,
)


def rng_seed(rng):
    return int(rng.integers(2**31))


def difference_of_means(y, score):
    return float(score[y == 1].mean() - score[y == 0].mean())


def test_the_bootstrap_interval_covers_the_truth():
    def auc(y, s):
        order = np.argsort(np.argsort(s))
        m = int(y.sum())
        return (order[y == 1].sum() - m * (m - 1) / 2) / (m * (len(y) - m))

    rng, truth = np.random.default_rng(2), binormal_auc(1.0)
    covered = 0
    for _ in range(1000):
        y, scores = draw_scores(rng, n=140)
        found = bootstrap_interval(y, scores[0], auc, n_resamples=199, random_state=rng_seed(rng))
        covered += found.low <= truth <= found.high
    assert 0.93 <= covered / 1000 <= 0.97


def test_the_corrected_resampled_interval_covers_where_the_plain_one_does_not():
    """Fold scores correlate by n_test / (n_train + n_test), as the correction assumes."""
    rng = np.random.default_rng(3)
    n_train, n_test, k = 80, 20, 25
    rho = n_test / (n_train + n_test)
    covered = plain = 0
    for _ in range(1000):
        shared = rng.normal() * np.sqrt(rho)
        scores = 0.8 + 0.05 * (shared + np.sqrt(1 - rho) * rng.normal(size=k))
        found = resampled_interval(scores, n_train, n_test)
        covered += found.low <= 0.8 <= found.high
        reach = 1.96 * scores.std(ddof=1) / np.sqrt(k)
        plain += abs(scores.mean() - 0.8) <= reach
    assert 0.93 <= covered / 1000 <= 0.97
    assert plain / 1000 < 0.8


def test_p_values_of_the_paired_bootstrap_keep_their_level():
    rng = np.random.default_rng(5)
    p = []
    for _ in range(200):
        y, scores = draw_scores(rng, n=100)
        p.append(
            paired_bootstrap(
                y, *scores, difference_of_means, n_resamples=199, random_state=rng_seed(rng)
            ).p_value
        )
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.09


def test_a_better_score_is_found_better_by_every_test():
    rng = np.random.default_rng(6)
    y, (good, poor) = draw_scores(rng, n=400, shift=2.0)
    poor = poor + 3 * rng.normal(size=400)
    for found in (
        delong_test(y, good, poor),
        paired_bootstrap(y, good, poor, roc_auc_score, n_resamples=200, random_state=0),
    ):
        assert found.estimate > 0.1
        assert found.low > 0
        assert found.p_value < 0.01


def test_the_corrected_test_by_hand():
    """Mean 2, variance 1, k = 3, test share 1/2: error sqrt(1/3 + 1/2), t = 2.19 on 2 df."""
    found = resampled_test([1.0, 2.0, 3.0], 100, 50)
    assert found.estimate == 2
    error = np.sqrt(5 / 6)
    assert found.p_value == pytest.approx(2 * t.sf(2 / error, 2))
    # The interval ends where the error of such a difference makes it two-sided p = 0.05.
    for end in (found.low, found.high):
        z2 = (end / error) ** 2
        reach = 4.302653 * error * np.sqrt(1 + 1.3 * z2 / (z2 + 1.5))
        assert abs(found.estimate - end) == pytest.approx(reach, rel=1e-6)
    mean = resampled_interval([1.0, 2.0, 3.0], 100, 50)
    assert mean.high - 2 == pytest.approx(4.302653 * error, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval([1, 1], [1, 2], min), "two classes"),
        (lambda: paired_bootstrap([0, 1], [1, 2], [1], min), "1 rows"),
        (lambda: resampled_test([0.5, np.nan], 8, 2), "finite numbers"),
        (lambda: resampled_interval([0.5, np.nan], 8, 2), "finite"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("differences", "reason"),
    [
        ([0.0] * 5, "differ in 0 of 5 folds"),
        # The t statistic of one fold that differs is the same whatever its size.
        ([0.3, 0, 0, 0, 0], "differ in 1 of 5 folds"),
        ([1e-16, -1e-16, 0, 0, 1e-17], "differ in 0 of 5 folds"),
        ([0.1] * 5, "same in every fold"),
        ([0.1], "one fold"),
    ],
)
def test_folds_without_variation_have_no_test(differences, reason):
    found = resampled_test(differences, 80, 20)
    assert found.estimate == pytest.approx(np.mean(differences))
    assert np.isnan(found[1:4]).all()
    assert reason in found.reason


def test_scores_that_never_vary_have_no_interval():
    found = resampled_interval([1.0, 1.0, 1.0], 80, 20)
    assert np.isnan([found.low, found.high]).all()
    assert found.reason == "the score is the same in every fold"
    found = bootstrap_interval([0, 0, 1, 1], [0, 0, 1, 1], lambda y, x: float((y == x).mean()))
    assert np.isnan([found.low, found.high]).all()


def test_equal_predictions_have_no_bootstrap_test():
    y = [0, 0, 1, 1]
    found = paired_bootstrap(y, y, y, lambda y, x: float((y == x).mean()))
    assert np.isnan(found.p_value)
    assert found.reason
