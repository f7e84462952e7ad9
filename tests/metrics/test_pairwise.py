"""KSG, distance correlation and HSIC: known information and other implementations."""

from __future__ import annotations

import numpy as np
import pytest
from pairs_for_tests import correlated_gaussians, independent, related
from scipy.spatial.distance import pdist, squareform

from nonredundant import redundancy_score
from nonredundant.metrics.pairwise import distance_correlations, hsic_correlations


@pytest.mark.parametrize("nats", [0.1, 0.5, 1.0, 2.0])
def test_ksg_finds_the_information_of_gaussians(nats):
    found = redundancy_score(*correlated_gaussians(1500, nats), "ksg", random_state=0)
    assert found == pytest.approx(nats, rel=0.1, abs=0.05)


def test_ksg_finds_nothing_where_nothing_is():
    assert redundancy_score(*independent(1500, 2, 2), "ksg") == pytest.approx(0, abs=0.05)


def test_distance_correlation_equals_dcors():
    i = np.arange(40.0)
    h = np.sin(i[:, None] * np.array([0.7, 1.3, 2.9]))
    d = np.column_stack([h[:, 0] ** 2 + 0.3 * np.cos(5.1 * i), np.cos(1.7 * i)])
    found = distance_correlations(h, d, [np.arange(40), np.arange(40)[::-1]])
    # u_distance_correlation_sqr of dcor 0.7, for h as it is and in reverse order.
    expected = [-0.0022980484828617888, -0.030193697069165103]
    np.testing.assert_allclose(np.sign(found) * found**2, expected, atol=1e-12)


def test_hsic_equals_the_unbiased_estimator():
    def unbiased(k, m):
        n = len(k)
        one = np.ones(n)
        mixed = one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2))
        return (np.trace(k @ m) + mixed - 2 / (n - 2) * one @ k @ m @ one) / (n * (n - 3))

    h, d = related(30)
    kernels = []
    for x in (h, d):
        squared = pdist(x, "sqeuclidean")
        kernels.append(squareform(np.exp(-squared / np.median(squared))))
    a, b = kernels
    expected = unbiased(a, b) / np.sqrt(unbiased(a, a) * unbiased(b, b))
    found = hsic_correlations(h, d, [np.arange(30)])
    assert found[0] == pytest.approx(expected, abs=1e-12)


def test_hsic_takes_a_rare_binary_column():
    rare = np.zeros(40)
    rare[:4] = 1
    assert redundancy_score(rare, rare, "hsic") == pytest.approx(1)
