"""Pairs of matrices with known dependence."""

from __future__ import annotations

import numpy as np


def correlated_gaussians(n, nats, *, size=1, seed=0):
    """Pairs of `size` + `size` dimensions whose mutual information is −½ Σ log(1 − ρ²)."""
    rng = np.random.default_rng(seed)
    rho = np.sqrt(1 - np.exp(-2 * nats / size))
    h = rng.normal(size=(n, size))
    return h, rho * h + np.sqrt(1 - rho**2) * rng.normal(size=(n, size))


def independent(n=60, n_h=4, n_d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_h)), rng.normal(size=(n, n_d))


def related(n=60, seed=0):
    h, d = independent(n, seed=seed)
    return h, d + h[:, :3]
