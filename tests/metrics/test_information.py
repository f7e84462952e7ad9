"""The Donsker–Varadhan bound against its closed form for Gaussians."""

from __future__ import annotations

import numpy as np
import pytest
from pairs_for_tests import correlated_gaussians

from nonredundant.metrics.information import best_temperature, donsker_varadhan


def test_the_bound_of_the_true_log_ratio_is_the_mutual_information():
    h, d = correlated_gaussians(4000, 0.5)
    rho = np.sqrt(1 - np.exp(-1.0))

    def log_ratio(h, d):
        joint = (h**2 - 2 * rho * h * d + d**2) / (1 - rho**2)
        return -0.5 * np.log(1 - rho**2) - (joint - h**2 - d**2) / 2

    true, other = log_ratio(h, d).ravel(), log_ratio(h, np.roll(d, 1)).ravel()
    assert donsker_varadhan(true, other) == pytest.approx(0.5, abs=0.05)
    # The bound does not change with a constant, which a ratio that is not normalised may have.
    shifted = donsker_varadhan(true + 3, other + 3)
    assert shifted == pytest.approx(donsker_varadhan(true, other))
    assert best_temperature(3 * true, 3 * other, np.array([0.1, 1 / 3, 1.0])) == 1 / 3
