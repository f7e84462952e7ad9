"""Checks of labels of two classes and the scores that belong to them."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_scored(y: Any, *scores: Any) -> tuple[np.ndarray, ...]:
    """Return y as booleans and each score as floats.

    Raises
    ------
    ValueError
        If y does not hold 0 and 1 (or False and True) alike, lengths differ, or a score is not
        finite.
    """
    labels = np.asarray(y)
    if labels.ndim != 1 or sorted(set(labels.tolist())) != [0, 1]:
        found = sorted(set(labels.ravel().tolist()), key=str)[:5]
        raise ValueError(f"y must hold both classes, coded 0 and 1, got {found}")
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
