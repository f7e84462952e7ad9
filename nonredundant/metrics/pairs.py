"""The largest dependence of any pair of columns: what methods of whole blocks overlook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nonredundant.metrics.inputs import normal_scores

#: Rows of the distance correlations, whose cost grows with the square of the rows.
MOST_ROWS = 150
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
    # The square of a binary column is a copy of it; of some columns it does not vary at all.
    squares = np.square(x)
    squares = np.where(np.ptp(squares, axis=0) > 1e-9, squares, x)
    return np.hstack([x, normal_scores(squares)])


def _distances(h: np.ndarray, d: np.ndarray, orders: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the signed root of the distance correlation of each pair, for each order.

    A random part of the rows keeps the cost bounded; each order pairs these rows of d with the
    rows of h that it assigns to them.
    """
    n = len(h)
    rows = np.sort(np.random.default_rng(0).permutation(n)[:MOST_ROWS])
    right = _centred_distances(d[rows])
    found = []
    for order in orders:
        products = _centred_distances(h[order[rows]]) @ right.T
        found.append(np.sign(products) * np.sqrt(np.abs(products)))
    return found


def _centred_distances(x: np.ndarray) -> np.ndarray:
    """Return the normalised U-centred distances of each column as a row of floats."""
    n = len(x)
    columns = np.ascontiguousarray(x.T, dtype=np.float32)
    a = np.abs(columns[:, :, None] - columns[:, None, :])
    rows = a.sum(axis=2) / (n - 2)
    total = a.sum(axis=(1, 2)) / ((n - 1) * (n - 2))
    a += total[:, None, None] - rows[:, :, None] - rows[:, None, :]
    a[:, np.arange(n), np.arange(n)] = 0.0
    flat = a.reshape(len(columns), -1)
    norms = np.sqrt(np.square(flat).sum(axis=1, keepdims=True))
    return flat / np.where(norms > 0, norms, 1.0)


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
