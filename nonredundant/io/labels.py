"""Check that a mask is a label image: whole numbers from 0, few of them, in coherent regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nonredundant.io.errors import CaseError

if TYPE_CHECKING:
    import SimpleITK as sitk

#: A value this close to an integer is that integer: header slopes such as 1/255 round to it.
TOLERANCE = 1e-3
#: A mask of at least this many values besides 0 is an image: atlases have fewer labels.
_MANY = 200
#: With fewer values the voxels of a label can be scattered by chance.
_FEW = 8
#: In a label image nearly all voxels have a face neighbour of their own value, in images and
#: around the edges of a lossy format few: the mean over values tells the two apart.
_SHARE = 0.5
_SWAPPED = "are the columns 'image' and 'mask' swapped?"
_LOSSLESS = "export the mask in a lossless format such as PNG, NRRD or NIfTI"


def as_labels(mask: sitk.Image, *, lossy: bool = False) -> sitk.Image:
    """Return a mask with integer labels, or raise if it is no label image.

    Parameters
    ----------
    mask : SimpleITK.Image
        The mask, with one value per voxel.
    lossy : bool, default=False
        Whether it comes from a lossy file format, whose values are not those that were drawn.

    Returns
    -------
    SimpleITK.Image
        The mask; of real numbers, those within 1e-3 of an integer become that integer.

    Raises
    ------
    CaseError
        If values are fractions, negative, not finite or those of an image.

    Examples
    --------
    >>> import numpy as np, SimpleITK as sitk
    >>> stored = sitk.GetImageFromArray(np.array([[0.0, 255.0]]) * (1 / 255))
    >>> sitk.GetArrayFromImage(as_labels(stored)).tolist()
    [[0, 1]]
    """
    import SimpleITK as sitk

    array = sitk.GetArrayViewFromImage(mask)
    if array.dtype.kind == "f":
        _check_whole(array)
    mask = _narrowed(mask, array)
    array = sitk.GetArrayViewFromImage(mask)
    values = distinct_labels(array)
    if values.size and values[0] < 0:
        raise CaseError(
            f"the mask holds negative values (from {values[0]:g} to {values[-1]:g}), so it is an "
            f"image, not labels; {_SWAPPED}"
        )
    if lossy and values.size > 1:
        raise CaseError(
            f"the mask comes from a lossy format, which altered its values ({values.size} besides "
            f"0); {_LOSSLESS}"
        )
    if values.size >= _MANY or (values.size >= _FEW and _own_neighbours(array, values) < _SHARE):
        raise CaseError(
            f"the mask holds {values.size} distinct values from {values[0]:g} to {values[-1]:g} "
            f"besides 0, like an image, not like labels; {_SWAPPED} If it was saved as JPEG, "
            f"{_LOSSLESS}, or threshold it"
        )
    return mask


def fits_bytes(values: np.ndarray) -> bool:
    """Check whether all values are whole numbers from 0 to 255, up to rounding.

    Parameters
    ----------
    values : array of any shape
        Labels.

    Returns
    -------
    bool
        Whether they are.

    Examples
    --------
    >>> import numpy as np
    >>> fits_bytes(np.array([0.0, 254.9999])), fits_bytes(np.array([0.5]))
    (True, False)
    """
    if not values.size or values.dtype == np.uint8:
        return True
    low, high = float(values.min()), float(values.max())
    if not (low >= -TOLERANCE and high <= np.iinfo(np.uint8).max + TOLERANCE):
        return False
    return values.dtype.kind != "f" or bool((np.abs(values - np.rint(values)) <= TOLERANCE).all())


def _narrowed(mask: sitk.Image, array: np.ndarray) -> sitk.Image:
    """Return the mask in the smallest type of its labels: of a large scan, each copy counts."""
    import SimpleITK as sitk

    small = all(fits_bytes(part) for part in array)
    if array.dtype == np.uint8 or not (small or array.dtype.kind == "f"):
        return mask
    labels = np.empty(array.shape, dtype=np.uint8 if small else np.int32)
    for target, part in zip(labels, array, strict=True):
        target[...] = np.rint(part)
    narrow = sitk.GetImageFromArray(labels)
    narrow.CopyInformation(mask)
    return narrow


def distinct_labels(array: np.ndarray) -> np.ndarray:
    """Return the distinct values other than 0 in ascending order.

    Parameters
    ----------
    array : array of any shape
        Labels.

    Returns
    -------
    array
        The values. Slices are read one by one: sorting a whole volume takes seconds.

    Examples
    --------
    >>> import numpy as np
    >>> distinct_labels(np.array([[0, 2], [1, 2]])).tolist()
    [1, 2]
    """
    if array.dtype == np.uint8 and array.size and array.ndim > 1:
        n = np.iinfo(np.uint8).max + 1
        counts = np.sum([np.bincount(part.ravel(), minlength=n) for part in array], axis=0)
        return (np.flatnonzero(counts[1:]) + 1).astype(np.uint8)
    found = [np.unique(part[part != 0]) for part in array]
    return np.unique(np.concatenate(found)) if found else np.empty(0, array.dtype)


def _check_whole(array: np.ndarray) -> None:
    """Raise if a voxel is not finite, or not within the tolerance of an integer."""
    odd = above = 0
    low, high = np.inf, -np.inf
    for part in array:
        if not np.isfinite(part).all():
            raise CaseError(
                f"{int((~np.isfinite(part)).sum()):,} voxels of one slice of the mask are NaN or "
                f"infinite; set the background to 0; {_SWAPPED}"
            )
        odd += int((np.abs(part - np.round(part)) > TOLERANCE).sum())
        above += int((part >= 0.5).sum())
        low, high = min(low, float(part.min())), max(high, float(part.max()))
    if odd:
        remedy = (
            f"it is an image; {_SWAPPED}"
            if low < 0 or high > 1 + TOLERANCE
            else f"it is a soft mask: threshold it, for instance at 0.5 ({above:,} voxels)"
        )
        raise CaseError(
            f"the mask holds fractions ({odd:,} voxels, values from {low:.4g} to {high:.4g}), but "
            f"labels are whole numbers; {remedy}"
        )
    if high > np.iinfo(np.int32).max:
        raise CaseError(f"the mask holds values up to {high:.4g}, which are no labels; {_SWAPPED}")


def _own_neighbours(array: np.ndarray, values: np.ndarray) -> float:
    """Compute the share of voxels with a face neighbour of their value, averaged over values."""
    inside = array != 0
    box = tuple(
        slice(line.argmax(), line.size - line[::-1].argmax())
        for axis in range(array.ndim)
        for line in [inside.any(axis=tuple(k for k in range(array.ndim) if k != axis))]
    )
    array, inside = array[box], inside[box]
    near = np.zeros(array.shape, dtype=bool)
    for axis in range(array.ndim):
        moved, own = np.moveaxis(array, axis, 0), np.moveaxis(near, axis, 0)
        equal = moved[1:] == moved[:-1]
        own[1:] |= equal
        own[:-1] |= equal
    position = np.searchsorted(values, array[inside])
    counts = np.bincount(position, minlength=values.size)
    return float((np.bincount(position, near[inside], minlength=values.size) / counts).mean())
