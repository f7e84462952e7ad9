"""Correction of p-values for multiple tests."""

from __future__ import annotations

from typing import Any

import numpy as np


def holm(p_values: Any) -> np.ndarray:
    """Return p-values corrected over their family (Holm 1979).

    Parameters
    ----------
    p_values : array-like of shape (k,)
        p-values of k tests.

    Returns
    -------
    array of shape (k,)
        Corrected values in the same order; calling those below 0.05 significant keeps the chance
        of one false call in the family at 5 %.

    Raises
    ------
    ValueError
        If a value is not in [0, 1].

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must lie in [0, 1], got {p}")
    order = np.argsort(p)
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty_like(p)
    result[order] = np.minimum(corrected, 1.0)
    return result
