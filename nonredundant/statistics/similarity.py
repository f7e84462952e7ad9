"""A test of added information that takes away what similarity of the known features explains.

A function of a hundred features cannot be learned from a hundred patients, so that no regression
removes it from an outcome and from latents that share it. Its doing can be seen all the same:
patients with similar features then have similar products of outcome and latent, also where the
outcome is one patient's and the latent another's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nonredundant.statistics.stacked_regression import (
    gaussian_kernel,
    linear_kernel,
    normal_scores,
)

#: What similarity explains is taken away if chance explains as much in less than this share of
#: permutations; elsewhere the estimate would add nothing but its own noise.
GATE = 0.3
#: Penalty of the quadratic form of all latents, in units of their variance.
_PENALTY = 0.3


class Similarity(NamedTuple):
    """The values of the statistic, the observed one first, and its p-value."""

    values: np.ndarray
    p_value: float


def similarity_test(
    left: np.ndarray,
    h: np.ndarray,
    d: np.ndarray,
    groups: np.ndarray,
    orders: np.ndarray,
) -> Similarity:
    """Test the covariance of outcome and latents less what similarity of rows explains of it.

    Parameters
    ----------
    left : array of shape (n, n_columns)
        The outcome as numbers, centred.
    h : array of shape (n, n_h)
        Known features; NaN for gaps.
    d : array of shape (n, n_d)
        Latents.
    groups : int array of shape (n,)
        Rows of a group are not compared with each other.
    orders : int array of shape (n, 1 + n_permutations)
        Row orders of the outcome, the unchanged one first.

    Returns
    -------
    Similarity
        The larger p-value of a linear and a Gaussian kernel, of those that explain more than
        chance, or that of the covariance as it is.

    Notes
    -----
    If outcome u and latent v share a function of h that is drawn from a Gaussian process with
    kernel K, the expectation of u_i v_j is c K_ij for two patients i and j, and c K_ii and the
    added information for i = j. c is estimated from all pairs i ≠ j by least squares, as
    Haseman-Elston regression estimates the covariance of two traits that relatives share (Sofer
    2017, doi 10.1515/sagmb-2016-0076), which takes no function to be learned.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> h = rng.normal(size=(120, 100))
    >>> shared = h.mean(axis=1) * 10
    >>> d = shared[:, None] + rng.normal(size=(120, 1))
    >>> left = (shared + rng.normal(size=120))[:, None]
    >>> rows = [np.arange(120), *(rng.permutation(120) for _ in range(99))]
    >>> similarity_test(left, h, d, np.arange(120), np.stack(rows, axis=1)).p_value > 0.05
    True
    """
    x = normal_scores(h)
    spread = d.std(axis=0)
    varies = spread > 1e-12 * np.abs(d).max(axis=0, initial=0)
    v = (d - d.mean(axis=0))[:, varies] / spread[varies]
    inverse = np.linalg.inv(v.T @ v + _PENALTY * len(v) * np.eye(v.shape[1]))
    # Of shape (n_d, n_columns, n_orders).
    shuffled = left[orders].transpose(0, 2, 1).reshape(len(left), -1)
    shape = v.shape[1], left.shape[1], orders.shape[1]
    raw = (v.T @ shuffled).reshape(shape)
    found = _judged(raw, inverse)
    for kernel in (linear_kernel(x), gaussian_kernel(x)) if x.shape[1] else ():
        through = _explained_by(kernel, groups) @ v
        explained = (through.T @ shuffled).reshape(shape)
        sizes = np.linalg.norm(through, axis=0)[:, None, None]
        largest = np.abs(explained / np.where(sizes > 0, sizes, np.inf)).max(axis=(0, 1))
        if _p_value(largest) <= GATE:
            corrected = _judged(raw - explained, inverse)
            found = max(found, corrected, key=lambda one: one.p_value)
    return found


def _explained_by(kernel: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the matrix Q whose form u' Q v is the part of u' v that the kernel explains."""
    centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, None] + kernel.mean()
    apart = np.where(groups[:, None] == groups, 0.0, centred)
    return apart * (np.trace(centred) / max(np.square(apart).sum(), 1e-300))


def _judged(covariances: np.ndarray, inverse: np.ndarray) -> Similarity:
    """Return the quadratic form of the covariances for each order, and its p-value."""
    values = np.einsum("kcp,kl,lcp->p", covariances, inverse, covariances, optimize=True)
    return Similarity(values, _p_value(values))


def _p_value(values: np.ndarray) -> float:
    """Return the share of orders whose value is at least the first one."""
    # Equal values up to rounding are ties, which count against the features.
    return float((values >= values[0] - 1e-9 * abs(values[0])).mean())
