"""Check that intensities are of a size with which features and patches can be computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nonredundant.io.errors import CaseError

_FLOAT32 = np.finfo(np.float32)
#: Numbers that a patch, in single precision, has to distinguish within the range of a lesion.
_STEPS = 8


def check_magnitude(
    values: np.ndarray, parameters: Mapping[str, Any], *, has_patches: bool
) -> None:
    """Raise if intensities are too large, too small or too close together for their number type.

    Parameters
    ----------
    values : array of shape (n_voxels,)
        Intensities inside the lesion, all finite.
    parameters : mapping
        Parameters from `resolve_parameters`.
    has_patches : bool
        Whether patches, which are of single precision, are cropped.

    Raises
    ------
    CaseError
        If the largest one is beyond single precision, so that powers of it overflow or vanish;
        if a bin is narrower than the distance of neighbouring numbers; or if a patch could not
        distinguish the intensities from each other.

    Examples
    --------
    >>> check_magnitude(np.array([1.0, 2.0]), {"setting": {"binWidth": 0.1}}, has_patches=True)
    """
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    largest, spread = max(abs(low), abs(high)), high - low
    if largest > _FLOAT32.max or 0 < largest < _FLOAT32.tiny:
        size = "large" if largest > 1 else "small"
        raise CaseError(
            f"intensities are as {size} as {largest:.3g}, beyond single precision, so that their "
            "powers and patches would overflow or vanish; check the units of the image, or scale it"
        )
    setting = parameters["setting"]
    width = float(setting.get("binWidth", 25.0))
    if not (setting.get("binCount") or setting.get("normalize")) and width < np.spacing(largest):
        raise CaseError(
            f"a bin width of {width:g} is less than the distance of two neighbouring numbers at "
            f"{largest:.5g} ({np.spacing(largest):.3g}); subtract a constant from the image, or "
            "raise bin_width"
        )
    if has_patches and 0 < spread < _STEPS * np.spacing(np.float32(largest)):
        raise CaseError(
            f"intensities from {low:.9g} to {high:.9g} are too close together for patches, which "
            "are of single precision; subtract a constant from the image, or set patch_shape=None"
        )
