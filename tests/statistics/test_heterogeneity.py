"""Few centres: closed-form values, coverage, and what is not estimable."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from nonredundant.statistics import heterogeneity, mean_over_centres


def test_values_are_those_of_the_formulas():
    y, s = np.array([0.7, 0.8, 0.6, 0.75]), np.array([0.05, 0.04, 0.06, 0.1])
    found = heterogeneity(y, s)
    w = s**-2
    q = np.sum(w * (y - np.sum(w * y) / np.sum(w)) ** 2)
    assert found.q == pytest.approx(q)
    assert found.i2 == pytest.approx((q - 3) / q)
    assert found.tau2 == pytest.approx((q - 3) / (np.sum(w) - np.sum(w**2) / np.sum(w)))
    assert found.low < found.mean < found.high


def test_equal_errors_without_heterogeneity_give_the_mean_and_the_error_of_the_model():
    found = heterogeneity([0.70, 0.71, 0.72], [0.05] * 3)
    assert found.mean == pytest.approx(0.71)
    assert found.i2 == found.tau2 == 0
    assert found.high - found.mean == pytest.approx(t.ppf(0.975, 2) * 0.05 / np.sqrt(3))


def test_intervals_of_few_centres_cover():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(1000):
        errors = rng.uniform(0.5, 1.5, 4)
        y = rng.normal(0, 1, 4) + rng.normal(0, errors)
        found, plain = heterogeneity(y, errors), mean_over_centres(y)
        covered.append((found.low <= 0 <= found.high, plain.low <= 0 <= plain.high))
    assert (np.mean(covered, axis=0) > 0.93).all()


def test_centres_without_an_error_are_left_out_and_few_have_no_interval():
    found = heterogeneity([0.7, np.nan, 0.9, 0.8], [0.1, 0.1, 0.0, 0.1])
    assert found.n_centres == 2
    assert np.isnan([found.low, found.high]).all()
    assert found.reason == "2 centres are too few for an interval"
    assert heterogeneity([0.7], [0.1]).reason == "1 centre has an error"
    assert heterogeneity([], []).reason == "no centre has an error"
    assert mean_over_centres([0.7, 0.8]).reason == "2 centres are too few for an interval"
    assert mean_over_centres([0.1, 0.1, 0.1]).reason == "it is the same in every centre"
    with pytest.raises(ValueError, match=r"shape \(2,\) and errors of shape \(1,\)"):
        heterogeneity([0.7, 0.8], [0.1])
