"""Row orders of a null that keeps the rows of a group together."""

from __future__ import annotations

import math

import numpy as np


# `statistics.permutations` exchanges groups within strata; packages of one floor do not import
# each other.
def group_orders(groups: np.ndarray, n_orders: int, seed: int) -> list[np.ndarray]:
    """Return random row orders that exchange groups of the same size, as wholes.

    Without groups, when every number occurs once, they are permutations of single rows.
    """
    rng = np.random.default_rng(seed)
    sets = _by_size(groups)
    orders = []
    for _ in range(n_orders):
        order = np.arange(len(groups))
        for rows in sets:
            order[rows] = rows[rng.permutation(len(rows))]
        orders.append(order)
    return orders


def n_exchanges(groups: np.ndarray) -> float:
    """Return the number of distinct orders, at most 1e300."""
    logarithm = sum(math.lgamma(len(rows) + 1) for rows in _by_size(groups))
    return math.exp(min(logarithm, 690.0))


def _by_size(groups: np.ndarray) -> list[np.ndarray]:
    """Return the rows of all groups of one size as an array of shape (n_groups, size)."""
    rows = np.argsort(groups, kind="stable")
    members = np.split(rows, np.cumsum(np.bincount(groups))[:-1])
    sizes = sorted({len(one) for one in members})
    return [np.stack([one for one in members if len(one) == size]) for size in sizes]
