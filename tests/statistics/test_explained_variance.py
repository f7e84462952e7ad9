"""R² of cross-validation: equal to scikit-learn's, its error, and paired differences."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score

from nonredundant.statistics.explained_variance import (
    cross_validated_r2,
    cross_validated_r2_difference,
)


def drawn(n=100, seed=0):
    """Return numbers, two predictions of different error, and folds of two repeats."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    folds = np.column_stack([rng.permutation(n) % 5 for _ in range(2)])
    good, poor = (y[:, None] + spread * rng.normal(size=(n, 2)) for spread in (0.3, 0.8))
    return y, good, poor, folds


def test_the_estimate_is_the_mean_over_folds():
    y, good, _, folds = drawn()
    expected = np.mean(
        [
            r2_score(y[folds[:, k] == fold], good[folds[:, k] == fold, k])
            for k in range(2)
            for fold in range(5)
        ]
    )
    found = cross_validated_r2(y, good, folds)
    assert found.estimate == pytest.approx(expected)
    assert found.low < expected < found.high


def test_differences_are_antisymmetric_and_free_of_units():
    y, good, poor, folds = drawn()
    one = cross_validated_r2_difference(y, good, poor, folds)
    other = cross_validated_r2_difference(y, poor, good, folds)
    scaled = cross_validated_r2_difference(1e3 * y + 5, 1e3 * good + 5, 1e3 * poor + 5, folds)
    assert one.p_value < 0.001
    assert (one.estimate, one.low, one.high) == pytest.approx(
        (-other.estimate, -other.high, -other.low)
    )
    np.testing.assert_allclose(one[:4], scaled[:4], rtol=1e-9)


def test_the_level_under_no_difference():
    p = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        y, folds = rng.normal(size=80), np.arange(80) % 5
        a, b = (0.5 * y + 0.5 * rng.normal(size=80) for _ in range(2))
        p.append(cross_validated_r2_difference(y, a, b, folds).p_value)
    # The error allows for training, which predictions that are drawn do not have.
    assert np.mean(np.array(p) < 0.05) <= 0.05


def test_groups_widen_the_interval():
    y, good, poor, folds = drawn(50)
    twice = [np.repeat(one, 4, axis=0) for one in (y, good, poor, folds)]
    alone = cross_validated_r2_difference(*twice)
    grouped = cross_validated_r2_difference(*twice, groups=np.repeat(np.arange(50), 4))
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_equal_predictions_have_no_error_and_odd_ones_are_refused():
    y, good, _, folds = drawn()
    assert np.isnan(cross_validated_r2_difference(y, good, good, folds).p_value)
    good[3, 0] = np.nan
    with pytest.raises(ValueError, match="1 held-out predictions are not finite"):
        cross_validated_r2(y, good, folds)
