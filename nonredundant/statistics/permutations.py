"""Random permutations that exchange whole groups of rows."""

from __future__ import annotations

from typing import Any

import numpy as np


def exchangeable(groups: np.ndarray, strata: np.ndarray) -> list[np.ndarray]:
    """Return the sets of groups that a permutation may exchange.

    Parameters
    ----------
    groups, strata : array of shape (n,)
        Group and stratum of each row.

    Returns
    -------
    list of int array of shape (n_groups, size)
        Rows of groups of the same size that lie in the same stratum; a group that several strata
        share is cut at their border.

    Examples
    --------
    >>> import numpy as np
    >>> sets = exchangeable(np.array(["a", "a", "b", "b", "c"]), np.zeros(5))
    >>> [one.tolist() for one in sets]
    [[[4]], [[0, 1], [2, 3]]]
    """
    pairs = np.stack(
        [np.unique(values, return_inverse=True)[1] for values in (strata, groups)], axis=1
    )
    keys, place = np.unique(pairs, axis=0, return_inverse=True)
    members: dict[tuple[int, int], list[np.ndarray]] = {}
    for i, (stratum, _) in enumerate(keys):
        rows = np.flatnonzero(place.ravel() == i)
        members.setdefault((int(stratum), len(rows)), []).append(rows)
    return [np.stack(members[key]) for key in sorted(members)]


def permuted(sets: list[np.ndarray], n: int, rng: Any) -> np.ndarray:
    """Draw a permutation of n rows that exchanges whole groups.

    Parameters
    ----------
    sets : list of int array of shape (n_groups, size)
        From `exchangeable`.
    n : int
        Number of rows.
    rng : RandomState
        Source of the draw.

    Returns
    -------
    int array of shape (n,)
        The permutation.

    Examples
    --------
    >>> import numpy as np
    >>> permuted([np.array([[0, 1], [2, 3]])], 4, np.random.RandomState(1)).tolist()
    [0, 1, 2, 3]
    """
    order = np.arange(n)
    for rows in sets:
        order[rows] = rows[rng.permutation(len(rows))]
    return order


def n_exchanges(sets: list[np.ndarray]) -> float:
    """Return the number of distinct permutations, at most 1e300.

    Parameters
    ----------
    sets : list of int array of shape (n_groups, size)
        From `exchangeable`.

    Returns
    -------
    float
        The product of the factorials of the numbers of groups.

    Examples
    --------
    >>> import numpy as np
    >>> n_exchanges([np.array([[0, 1], [2, 3]]), np.array([[4], [5], [6]])])
    12.0
    """
    logarithm = sum(np.log(np.arange(1, len(rows) + 1)).sum() for rows in sets)
    return float(np.round(np.exp(min(logarithm, 690.0)), 6))
