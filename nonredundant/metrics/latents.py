"""How well h explains each latent: the direction that the R² of h from d leaves open.

Ridge and kernel ridge regressions predict all latents out of fold and are combined by latent, as
in `statistics.stacked_regression`; packages of one floor do not import each other. Both are linear
in the latents, so that one decomposition per kernel serves all permutations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import nnls
from scipy.spatial.distance import pdist, squareform

#: Penalties of both regressions, in units of the sum of the kernel's eigenvalues.
RIDGE_PENALTIES = np.logspace(-4, 1, 6)
KERNEL_PENALTIES = np.logspace(-4, 0, 5)


def left_out_smoothers(h: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the matrices that map latents to predictions of rows that were left out.

    Parameters
    ----------
    h : array of shape (n, n_h)
        Normal scores.
    groups : int array of shape (n,)
        Rows of a group are left out together.

    Returns
    -------
    array of shape (n_models, n, n)
        One matrix per kernel and penalty.
    """
    u, s, _ = np.linalg.svd(h, full_matrices=False)
    # Directions of more variance than one column get about equal weight, others hardly any.
    squared = pdist(u * (np.sqrt(len(h)) * s**2 / (len(h) + s**2)), "sqeuclidean")
    gaussian = np.exp(-squareform(squared) / (2 * max(float(np.median(squared)), 1e-12)))
    kernels = (h @ h.T, RIDGE_PENALTIES), (gaussian, KERNEL_PENALTIES)
    return np.concatenate([_left_out(kernel, some, groups) for kernel, some in kernels])


def _left_out(kernel: np.ndarray, penalties: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the smoothers of one kernel, by the closed form of leaving rows out of a ridge."""
    n = len(kernel)
    centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, None] + kernel.mean()
    values, vectors = np.linalg.eigh(centred)
    values = np.maximum(values, 0.0)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    smoothers = np.tile(np.eye(n), (len(penalties), 1, 1))
    for smoother, penalty in zip(smoothers, penalties, strict=True):
        shrunk = values / (values + penalty * values.sum())
        rest = np.eye(n) - (vectors * shrunk) @ vectors.T - 1 / n
        if len(members) == n:
            smoother -= rest / np.diag(rest)[:, None]
            continue
        for rows in members:
            smoother[rows] -= np.linalg.solve(rest[np.ix_(rows, rows)], rest[rows])
    return smoothers


def latents_r2(
    h: np.ndarray, d: np.ndarray, groups: np.ndarray, orders: Sequence[np.ndarray]
) -> np.ndarray:
    """Return the out-of-fold R² of each latent given h, for each row order of h.

    Parameters
    ----------
    h, d : array of shape (n, n_h), (n, n_d)
        Normal scores.
    groups : int array of shape (n,)
        Rows of a group are left out together.
    orders : sequence of int array of shape (n,)
        Row orders of h, which exchange whole groups.

    Returns
    -------
    array of shape (n_orders, n_d)
        Share of the variance of each latent, between 0 and 1.
    """
    smoothers = left_out_smoothers(h, groups)
    scores = np.empty((len(orders), d.shape[1]))
    for number, order in enumerate(orders):
        # Rows of h in another order are rows of d in the inverse one.
        latents = d[np.argsort(order)]
        scores[number] = stacked_r2(smoothers @ latents, latents)
    return scores


def stacked_r2(predictions: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """Return the R² of the best non-negative combination of predictions whose sum is at most 1.

    Parameters
    ----------
    predictions : array of shape (n_models, n, n_d)
        Out-of-fold predictions.
    latents : array of shape (n, n_d)
        What they predict.

    Returns
    -------
    array of shape (n_d,)
        The R² of each latent.

    Examples
    --------
    >>> latent = np.array([[-1.0], [0.0], [1.0]])
    >>> stacked_r2(np.array([0.5 * latent, -latent]), latent).round(3)
    array([0.75])
    """
    joined = np.concatenate([predictions, latents[None]]).transpose(2, 1, 0)
    triangles = np.linalg.qr(joined, mode="r")
    total = np.square(latents).sum(axis=0)
    return 1 - np.array([_least_error(one) for one in triangles]) / total


def _least_error(triangle: np.ndarray) -> float:
    """Return the least sum of squares, from the triangle of predictions and target."""
    models, target = triangle[:, :-1], triangle[:, -1]
    weights, error = nnls(models, target)
    if weights.sum() > 1:
        # The error is convex: the best weights within the bound lie on it.
        heavy = 1e4 * np.abs(triangle).max()
        rows = np.vstack([models, np.full(models.shape[1], heavy)])
        weights = nnls(rows, np.append(target, heavy))[0]
        error = float(np.linalg.norm(models @ weights - target))
    return float(error**2)


def explained_share(
    h: np.ndarray,
    d: np.ndarray,
    groups: np.ndarray,
    forest: Callable[[np.ndarray], np.ndarray],
) -> float:
    """Return the mean out-of-fold R² of all latents given h, by regressions and a forest.

    Parameters
    ----------
    h, d : array of shape (n, n_h), (n, n_d)
        Normal scores.
    groups : int array of shape (n,)
        Rows of a group are left out together.
    forest : callable
        Predicts latents from h out of fold.

    Returns
    -------
    float
        The share of the variance, between 0 and 1.
    """
    predictions = np.concatenate([left_out_smoothers(h, groups) @ d, forest(d)[None]])
    return float(stacked_r2(predictions, d).mean())
