"""Correction of p-values for multiple tests."""

from __future__ import annotations

from typing import Any

import numpy as np


# SciPy (1.17) corrects for the false discovery rate only (`scipy.stats.false_discovery_control`);
# `statsmodels.stats.multitest` has Holm's method, but is not worth a dependency for six lines.
def holm(p_values: Any) -> np.ndarray:
    """Correct p-values for multiple tests (Holm 1979).

    Parameters
    ----------
    p_values : array-like of shape (k,)
        P-values of k tests.

    Returns
    -------
    array of shape (k,)
        Corrected p-values in the same order. With a threshold of 0.05, the probability of any
        false rejection among the k tests is at most 5 %.

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
