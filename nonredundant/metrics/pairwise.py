"""Dependence from pairwise distances: a permutation of rows only re-indexes a distance matrix."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.spatial.distance import pdist, squareform
from scipy.special import digamma


# The same centring in torch is `nn.penalties.u_centre`: penalties need its gradient, whereas the
# audit must not load torch.
def u_centre(a: np.ndarray) -> np.ndarray:
    """Return the U-centred matrix (Székely & Rizzo 2014, definition 2) with a zero diagonal."""
    n = len(a)
    off = a - np.diag(np.diag(a))
    rows = off.sum(axis=1) / (n - 2)
    centred = off - rows[:, None] - rows[None, :] + off.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    return centred


def _correlations(a: np.ndarray, b: np.ndarray, permutations: Iterable[np.ndarray]) -> np.ndarray:
    """Return the correlation of two U-centred matrices for each row order of the first."""
    norm = np.sqrt(np.sum(a * a) * np.sum(b * b))
    if norm == 0:
        return np.array([0.0 for _ in permutations])
    flat = b.ravel()
    return np.array([a[p][:, p].ravel() @ flat for p in permutations]) / norm


def distance_correlations(
    h: np.ndarray, d: np.ndarray, permutations: Iterable[np.ndarray]
) -> np.ndarray:
    """Return the signed root of the bias-corrected squared distance correlation."""
    a, b = (u_centre(squareform(pdist(x))) for x in (h, d))
    squared = _correlations(a, b, permutations)
    return np.sign(squared) * np.sqrt(np.abs(squared))


def hsic_correlations(
    h: np.ndarray, d: np.ndarray, permutations: Iterable[np.ndarray]
) -> np.ndarray:
    """Return the unbiased HSIC, normalised, with Gaussian kernels of median bandwidth."""
    return _correlations(_gaussian_kernel(h), _gaussian_kernel(d), permutations)


def _gaussian_kernel(x: np.ndarray) -> np.ndarray:
    """Return the U-centred kernel matrix of the rows."""
    squared = pdist(x, "sqeuclidean")
    # Most pairs of a rare binary column are equal, so that the median of all distances is 0.
    bandwidth = np.median(squared[squared > 0])
    return u_centre(squareform(np.exp(-squared / bandwidth)))


def ksg_informations(
    h: np.ndarray, d: np.ndarray, permutations: Iterable[np.ndarray], k: int
) -> np.ndarray:
    """Return the KSG mutual information, in nats, for each row order of h."""
    first, second = (squareform(pdist(x, "chebyshev")) for x in (h, d))
    for distances in (first, second):
        np.fill_diagonal(distances, np.inf)
    n = len(h)
    results = []
    for p in permutations:
        a = first[p][:, p]
        radius = np.partition(np.maximum(a, second), k - 1, axis=1)[:, k - 1 : k]
        n_h, n_d = ((x < radius).sum(axis=1) for x in (a, second))
        results.append(digamma(k) + digamma(n) - np.mean(digamma(n_h + 1) + digamma(n_d + 1)))
    return np.array(results)
