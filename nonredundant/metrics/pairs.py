"""The largest dependence of any pair of columns: what methods of whole blocks overlook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from nonredundant.metrics.inputs import normal_scores

#: Terms of the cosine series of a distance; the weight of term k falls with 1 / k⁴.
N_COSINES = 4
#: What is correlated: a column of h or its square with a latent or its square.
_FORMS = ("{}", "{}²")


@dataclass(frozen=True)
class LargestPair:
    """The largest dependence of each row order, and the pair that has it in the true order.

    Attributes
    ----------
    values : array of shape (n_orders,)
        Largest absolute rank correlation of columns and squares, or distance correlation.
    pair : str
        The two columns, and what depends.
    """

    values: np.ndarray
    pair: str


def largest_pair(
    h: np.ndarray,
    d: np.ndarray,
    orders: Sequence[np.ndarray],
    names: tuple[Sequence[str], Sequence[str]],
) -> LargestPair:
    """Compute the largest dependence over all pairs of columns, for each row order of h.

    Parameters
    ----------
    h, d : array of shape (n, n_h), (n, n_d)
        Normal scores.
    orders : sequence of int array of shape (n,)
        Row orders of h, the true one first.
    names : pair of sequence of str
        Names of the columns.

    Returns
    -------
    LargestPair
        The values and the pair.
    """
    first, second = (_with_squares(x) for x in (h, d))
    n = len(h)
    linear = [first[order].T @ second / n for order in orders]
    distance = _distances(h, d, orders)
    values = np.array(
        [max(np.abs(a).max(), b.max()) for a, b in zip(linear, distance, strict=True)]
    )
    return LargestPair(values, _name(linear[0], distance[0], names))


def _with_squares(x: np.ndarray) -> np.ndarray:
    """Return the columns, then the normal scores of their squares."""
    # Scores are symmetric but for rounding, which must not decide the rank of a square.
    squares = np.square(x).round(9)
    # A column whose square is constant takes the place of its square.
    squares = np.where(np.ptp(squares, axis=0) > 1e-8, squares, x)
    return np.hstack([x, normal_scores(squares)])


def _distances(h: np.ndarray, d: np.ndarray, orders: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the signed root of the distance correlation of the ranks of each pair, per order.

    The double-centred distance of two ranks in (0, 1) is a cosine series: -|u - v| has the
    eigenfunctions cos(k pi u), with eigenvalues proportional to 1 / k². So a squared distance
    covariance is a sum of squared covariances of cosines, which cost one product of matrices.
    """
    n = len(h)
    (first, trace_h), (second, trace_d) = (_cosines(x) for x in (h, d))
    # The mean over all permutations, so that a permuted pair has expectation 0.
    chance = np.outer(trace_h, trace_d) / (n - 1)
    scale = np.sqrt(np.outer(_own(first, trace_h), _own(second, trace_d)))
    found = []
    for order in orders:
        covariances = first[order].T @ second / n
        parts = np.square(covariances).reshape(h.shape[1], N_COSINES, d.shape[1], N_COSINES)
        squared = (parts.sum(axis=(1, 3)) - chance) / scale
        found.append(np.sign(squared) * np.sqrt(np.abs(squared)))
    return found


def _cosines(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted cosines of the ranks of each column, and their total variance."""
    terms = np.arange(1, N_COSINES + 1)
    ranks = (rankdata(x, axis=0) - 0.5) / len(x)
    waves = np.sqrt(2) * np.cos(np.pi * ranks[:, :, None] * terms) / terms
    waves -= waves.mean(axis=0)
    total = np.square(waves).sum(axis=2).mean(axis=0)
    return waves.reshape(len(x), -1), total


def _own(waves: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return the squared distance variance of each column."""
    n = len(waves)
    by_column = waves.reshape(n, -1, N_COSINES).transpose(1, 2, 0)
    covariances = by_column @ by_column.transpose(0, 2, 1) / n
    return np.square(covariances).sum(axis=(1, 2)) - np.square(total) / (n - 1)


def _name(
    linear: np.ndarray, distance: np.ndarray, names: tuple[Sequence[str], Sequence[str]]
) -> str:
    """Name the pair with the largest dependence."""
    n_h = len(names[0])
    if distance.max() > np.abs(linear).max():
        i, j = np.unravel_index(distance.argmax(), distance.shape)
        value, kind, forms = distance[i, j], "distance correlation", ("{}", "{}")
    else:
        # A column and its square may correlate equally but for rounding; the column is named.
        i, j = np.unravel_index(np.abs(linear).round(9).argmax(), linear.shape)
        value, kind = linear[i, j], "rank correlation"
        forms = _FORMS[int(i) // n_h], _FORMS[int(j) // len(names[1])]
    left = forms[0].format(names[0][int(i) % n_h])
    right = forms[1].format(names[1][int(j) % len(names[1])])
    return f"{right} with {left}: {kind} {value:.2f}"
