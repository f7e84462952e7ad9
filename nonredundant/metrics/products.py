"""The largest dependence of a latent on a product of two columns of h: interactions of columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import qr

from nonredundant.metrics.pairs import LargestPair

#: Columns of h whose products are formed; of more, those that the others are least explained by.
MOST_COLUMNS = 200


def largest_product(
    h: np.ndarray,
    d: np.ndarray,
    orders: Sequence[np.ndarray],
    names: tuple[Sequence[str], Sequence[str]],
) -> LargestPair:
    """Compute the largest correlation of a latent with a product of two columns of h, per order.

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
        The largest absolute correlations, 0 if h has one column, and the product and latent that
        have it in the true order.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> h = rng.normal(size=(200, 5))
    >>> d = np.sign(h[:, [1]] * h[:, [3]])
    >>> largest_product(h, d, [np.arange(200)], (list("abcde"), ["latent"])).pair
    'latent with b × d: correlation 0.62'
    """
    used = _spanning_columns(h)
    n, k = d.shape
    # Rows of h in another order are rows of d in the inverse one, so that products are formed once.
    targets = d - d.mean(axis=0)
    targets /= np.linalg.norm(targets, axis=0)
    permuted = np.hstack([targets[np.argsort(order)] for order in orders]).astype(np.float32)
    values, pair, largest = np.zeros(len(orders)), "", 0.0
    for place, column in enumerate(used[:-1]):
        others = used[place + 1 :]
        products = h[:, [column]] * h[:, others]
        products -= products.mean(axis=0)
        spread = np.linalg.norm(products, axis=0)
        products /= np.where(spread > 1e-9 * np.sqrt(n), spread, np.inf)
        found = products.T.astype(np.float32) @ permuted
        values = np.maximum(values, np.abs(found).max(axis=0).reshape(-1, k).max(axis=1))
        own = found[:, :k]
        i, j = np.unravel_index(np.abs(own).argmax(), own.shape)
        if abs(own[i, j]) > largest:
            largest = abs(float(own[i, j]))
            left, right = sorted([int(column), int(others[i])])
            what = f"{names[0][left]} × {names[0][right]}"
            pair = f"{names[1][j]} with {what}: correlation {own[i, j]:.2f}"
    return LargestPair(values, pair)


def _spanning_columns(h: np.ndarray) -> np.ndarray:
    """Return the columns, of many those that pivoting takes as the least explained by others."""
    if h.shape[1] <= MOST_COLUMNS:
        return np.arange(h.shape[1])
    return qr(h, mode="r", pivoting=True)[1][:MOST_COLUMNS]
