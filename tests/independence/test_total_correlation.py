"""`TotalCorrelation` against Gaussians whose total correlation is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from nonredundant.independence import TotalCorrelation


def equicorrelated(size, r):
    return np.full((size, size), r) + (1 - r) * np.eye(size)


def draw(correlation, n, seed):
    """Return Gaussian rows of unit variance, and nothing beside them."""
    rng = np.random.default_rng(seed)
    rows = rng.multivariate_normal(np.zeros(len(correlation)), correlation, size=n)
    rows = torch.as_tensor(rows, dtype=torch.float32)
    return rows, rows[:, :0]


@pytest.mark.parametrize(("size", "r"), [(4, 0.0), (2, 0.8), (4, 0.5), (4, 0.8)])
def test_total_correlation_of_gaussians(size, r):
    # KL(N(0, R) || product of its margins) = -1/2 log det R.
    correlation = equicorrelated(size, r)
    nats = -0.5 * np.linalg.slogdet(correlation)[1]
    term = TotalCorrelation(hidden_size=8, lr=1e-2)
    for _ in range(40):
        term.update(*draw(correlation, 3000, 0))
    estimate = term.penalty(*draw(correlation, 3000, 1)).item()
    assert estimate == pytest.approx(nats, abs=0.03 + 0.12 * nats)


def test_total_correlation_sees_what_no_pair_shows():
    # The sign of the third is the product of the others' signs: each pair is independent, and
    # the three share ln 2 nats.
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2000, 3))
    z[:, 2] = np.abs(z[:, 2]) * np.sign(z[:, 0] * z[:, 1])
    rows = torch.as_tensor(z, dtype=torch.float32)
    assert abs(spearmanr(z).statistic[np.triu_indices(3, 1)]).max() < 0.07
    term = TotalCorrelation(lr=1e-2)
    for _ in range(40):
        term.update(rows[:1000], rows[:1000, :0])
    assert 0.3 < term.penalty(rows[1000:], rows[1000:, :0]).item() < math.log(2) + 0.1


def test_total_correlation_does_not_depend_on_location_and_scale():
    term = TotalCorrelation()
    rows, nothing = draw(equicorrelated(3, 0.7), 500, 0)
    for _ in range(8):
        term.update(rows, nothing)
    moved = rows * torch.tensor([1.0, 5.0, 0.2]) + 3
    torch.testing.assert_close(term.penalty(moved, nothing), term.penalty(rows, nothing))
