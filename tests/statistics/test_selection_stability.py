"""Stability of selections."""

from __future__ import annotations

import numpy as np
import pytest

from nonredundant.statistics import selection_stability


def test_random_selections_are_at_0_and_equal_ones_at_1():
    rng = np.random.default_rng(0)
    found = [selection_stability(rng.uniform(size=(20, 50)) < 0.2) for _ in range(50)]
    assert abs(np.mean([one.estimate for one in found])) < 0.01
    assert np.mean([one.low <= 0 <= one.high for one in found]) > 0.85
    same = selection_stability(np.tile(np.arange(50) < 7, (10, 1)))
    assert (same.estimate, same.low, same.high) == (1.0, 1.0, 1.0)


def test_subsets_of_one_size_have_kuncheva_s_index():
    """For fixed sizes the estimate is Kuncheva's index (Nogueira et al. 2018, theorem 5)."""
    rng = np.random.default_rng(1)
    d, k = 12, 4
    chosen = np.array([np.isin(np.arange(d), rng.permutation(d)[:k]) for _ in range(6)])
    pairs = [
        ((a & b).sum() - k**2 / d) / (k - k**2 / d)
        for i, a in enumerate(chosen)
        for b in chosen[:i]
    ]
    assert selection_stability(chosen).estimate == pytest.approx(np.mean(pairs))


def test_the_interval_has_the_width_of_the_jackknife():
    rng = np.random.default_rng(2)
    often = rng.uniform(size=40) ** 3
    chosen = rng.uniform(size=(30, 40)) < often * rng.uniform(0.4, 1, size=(30, 1))
    left_out = [selection_stability(np.delete(chosen, i, 0)).estimate for i in range(30)]
    error = np.sqrt(29 / 30 * np.square(left_out - np.mean(left_out)).sum())
    found = selection_stability(chosen)
    assert (found.high - found.low) / 2 / 1.96 == pytest.approx(error, rel=0.1)


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        (np.ones((3, 4), bool), "all features or none"),
        (np.zeros((3, 4), bool), "all features or none"),
        (np.ones((1, 4), bool), "one selection"),
    ],
)
def test_where_it_is_not_defined_it_says_why(chosen, reason):
    found = selection_stability(chosen)
    assert np.isnan(found.estimate)
    assert reason in found.reason


def test_numbers_are_no_truth_values():
    with pytest.raises(ValueError, match="matrix of truth values"):
        selection_stability(np.ones((3, 4)))
