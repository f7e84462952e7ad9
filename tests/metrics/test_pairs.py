"""The largest pair: distance correlation of ranks, and its power at any number of rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from nonredundant import redundancy_report
from nonredundant.metrics.pairs import _distances, largest_pair
from nonredundant.metrics.pairwise import distance_correlations

RNG = np.random.default_rng(0)
X = RNG.normal(size=100)
#: Columns that neither a rank correlation nor one of squares describes.
SHAPES = {
    "wave": np.sin(3 * X) + 0.3 * RNG.normal(size=100),
    "steps": np.round(2 * np.cos(4 * X)),
    "copy": X,
    "noise": RNG.normal(size=100),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_distance_correlation_of_ranks_agrees_with_that_of_distances(shape):
    ranks = [rankdata(x)[:, None] for x in (X, SHAPES[shape])]
    order = [np.arange(100)]
    found = _distances(X[:, None], SHAPES[shape][:, None], order)[0].item()
    # The series ends at its fourth term, whose weight is 1/256.
    assert found == pytest.approx(distance_correlations(*ranks, order)[0], abs=0.03)


def test_wave_has_a_larger_distance_than_rank_correlation():
    h = np.random.default_rng(0).uniform(size=300)
    d = np.cos(3 * np.pi * h) - 0.37 * np.cos(np.pi * h)
    report = redundancy_report(h, d, methods="largest-pair", n_permutations=99, random_state=0)
    assert report.loc["largest-pair", "p_value"] == pytest.approx(0.01)
    assert "distance correlation" in report.loc["largest-pair", "detail"]


def test_more_rows_see_weaker_pairs():
    """A fixed part of the rows would leave the maximum of 1,712 pairs above 0.3."""
    rng = np.random.default_rng(0)
    h, d = rng.normal(size=(2000, 107)), rng.normal(size=(2000, 16))
    d[:, 3] += 0.2 * h[:, 50]
    settings = {"methods": "largest-pair", "n_permutations": 39, "random_state": 0}
    row = redundancy_report(h, d, **settings).loc["largest-pair"]
    assert row["p_value"] <= 0.05
    assert row["null_95"] < 0.12
    assert row["detail"].startswith("d3 with h50: rank correlation")


def test_squares_do_not_depend_on_the_sign_of_a_column():
    rng = np.random.default_rng(0)
    h, d = rng.normal(size=(60, 5)), rng.normal(size=(60, 3))
    orders, names = [np.arange(60)], (list("abcde"), list("xyz"))
    first, second = (largest_pair(x, d, orders, names) for x in (h, -h))
    np.testing.assert_allclose(first.values, second.values, atol=1e-12)
