"""Result types of estimates and tests, and checks of scores."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

#: Confidence level of all intervals.
LEVEL = 0.95


class Estimate(NamedTuple):
    """A value and its 95 % interval.

    Parameters
    ----------
    estimate : float
        The value.
    low, high : float
        Bounds of the interval.
    """

    estimate: float
    low: float
    high: float


class Difference(NamedTuple):
    """A paired difference, its 95 % interval and two-sided p-value.

    Parameters
    ----------
    estimate : float
        The difference.
    low, high : float
        Bounds of the interval.
    p_value : float
        Two-sided p-value of no difference.
    """

    estimate: float
    low: float
    high: float
    p_value: float


def check_scored(y: Any, *scores: Any) -> tuple[np.ndarray, ...]:
    """Convert y to booleans and each score to floats.

    Raises
    ------
    ValueError
        If y does not contain both 0 and 1 (or False and True) and nothing else, lengths differ, or
        a score is not finite.
    """
    labels = np.asarray(y)
    if labels.ndim != 1 or sorted(set(labels.tolist())) != [0, 1]:
        found = sorted(set(labels.ravel().tolist()), key=str)[:5]
        raise ValueError(f"y must contain both classes, coded 0 and 1, got {found}")
    checked = []
    for score in scores:
        values = np.asarray(score, dtype=float)
        if values.shape != labels.shape:
            raise ValueError(f"y has {len(labels)} labels but a score has shape {values.shape}")
        if not np.isfinite(values).all():
            n_bad = int((~np.isfinite(values)).sum())
            raise ValueError(f"{n_bad} of {len(values)} scores are not finite numbers")
        checked.append(values)
    return labels.astype(bool), *checked


def check_size(positive: np.ndarray) -> None:
    """Check that each class has enough cases for a variance."""
    if min(positive.sum(), (~positive).sum()) < 2:
        n_positive, n_negative = int(positive.sum()), int((~positive).sum())
        raise ValueError(
            f"DeLong's variance needs at least two cases of each class, got {n_positive} positive "
            f"and {n_negative} negative"
        )
