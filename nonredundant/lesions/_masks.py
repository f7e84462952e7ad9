"""Masks of patches: booleans, or numbers that say which voxels are those of the lesion."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from nonredundant.io.labels import TOLERANCE
from nonredundant.lesions._checks import check_length, check_part
from nonredundant.lesions.stored_array import StoredArray

#: Number of lesions that a message names.
_SHOWN = 5


def check_masks(value: Any, n_lesions: int) -> np.ndarray | None:
    """Check the masks of lesions as masks in files are checked, and convert them to booleans.

    Numbers within 1e-3 of an integer are that integer. In each lesion's mask one value besides 0
    is allowed, whatever it is. An array of a store is not read.

    Raises
    ------
    ValueError
        If values are NaN, infinite, negative, fractions, of several labels or no numbers.
    """
    if value is None or isinstance(value, StoredArray):
        return check_part("masks", value, n_lesions, np.bool_)
    array = np.asarray(value)
    check_length("masks", array, n_lesions, "lesions")
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind not in "iuf":
        raise ValueError(f"masks must be booleans or labels, got the type {array.dtype}")
    inside = np.empty(array.shape, dtype=np.bool_)
    faults: dict[str, list[int]] = {}
    for lesion, values in enumerate(array):
        fault = _fault(values)
        if fault:
            faults.setdefault(fault, []).append(lesion)
        else:
            inside[lesion] = np.rint(values) != 0
    if faults:
        raise ValueError(_describe(array, faults))
    return cast(np.ndarray, inside)


#: What can be wrong with a mask, and what to do.
_FAULTS = {
    "not finite": "are NaN or infinite in some voxels; set those outside of the lesion to 0",
    "negative": "are negative in some voxels; give masks > 0 of scores (logits), and 0 for voxels "
    "that are unknown",
    "fractions": "are fractions; give masks >= 0.5 of probabilities (a soft mask)",
    "several": "have several labels; give masks == label, or masks > 0 for all of them",
}


def _fault(values: np.ndarray) -> str:
    """Return what is wrong with the mask of a lesion, a key of `_FAULTS`; empty if nothing is."""
    if not np.isfinite(values).all():
        return "not finite"
    if values.size and values.min() < -TOLERANCE:
        return "negative"
    whole = np.rint(values)
    if (np.abs(values - whole) > TOLERANCE).any():
        return "fractions"
    highest = whole.max() if whole.size else 0
    return "several" if ((whole != 0) & (whole != highest)).any() else ""


def _describe(array: np.ndarray, faults: dict[str, list[int]]) -> str:
    """Describe the faults of masks, with lesions and values."""
    parts = []
    for fault, lesions in faults.items():
        values = array[lesions[0]]
        finite = values[np.isfinite(values)]
        span = f"from {finite.min():.4g} to {finite.max():.4g}" if finite.size else "none finite"
        more = ", …" if len(lesions) > _SHOWN else ""
        parts.append(
            f"those of {len(lesions)} of {len(array)} lesions "
            f"({', '.join(map(str, lesions[:_SHOWN]))}{more}) {_FAULTS[fault]} (values of lesion "
            f"{lesions[0]}: {span})"
        )
    return f"masks tell which voxels are the lesion's, but {'; '.join(parts)}"
