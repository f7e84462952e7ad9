"""Size of a voxel: what a header does not state, states in other units, or cannot be true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nonredundant.io.errors import CaseError

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Axes whose voxel size the header lacks, and why, as metadata of an image.
_UNKNOWN = "nonredundant|unknown_size"
#: Voxels outside this range (mm), or images smaller or larger than that, are in other units.
_VOXELS = (1e-4, 100.0)
_IMAGES = (1.0, 10_000.0)
#: Relative difference of voxel sizes that are the same size, rounded.
SAME_SIZE = 1e-3


def mark_unknown(image: sitk.Image, axes: Sequence[int], reason: str) -> sitk.Image:
    """Mark the axes of an image whose voxel size its header does not state.

    Parameters
    ----------
    image : SimpleITK.Image
        The image, changed in place.
    axes : sequence of int
        The axes, 0 is x.
    reason : str
        What the header states instead.

    Returns
    -------
    SimpleITK.Image
        The image.

    Examples
    --------
    >>> import SimpleITK as sitk
    >>> image = mark_unknown(sitk.Image(4, 4, sitk.sitkUInt8), [0], "it has no pixel size")
    >>> settle_size(image, [2.0, 1.0]).GetSpacing()
    (2.0, 1.0)
    """
    if axes:
        image.SetMetaData(_UNKNOWN, f"{','.join(map(str, axes))}|{reason}")
    return image


def settle_size(image: sitk.Image, spacing: Sequence[float] | np.ndarray | None) -> sitk.Image:
    """Give an image the voxel size that its header lacks, and check the one that it states.

    Parameters
    ----------
    image : SimpleITK.Image
        The image, changed in place.
    spacing : sequence of float or None
        Voxel size in mm that is given beside the image.

    Returns
    -------
    SimpleITK.Image
        The image.

    Raises
    ------
    CaseError
        If the size is unknown and not given, or another one is given than the header states.

    Examples
    --------
    >>> import SimpleITK as sitk
    >>> settle_size(sitk.Image(4, 4, sitk.sitkUInt8), None).GetSpacing()
    (1.0, 1.0)
    """
    unknown, reason = unknown_axes(image)
    if unknown and spacing is None:
        raise CaseError(
            f"the size of the voxels is unknown: {reason}; give it in mm (x-y-z) in the column "
            "'spacing', or correct the header"
        )
    if spacing is None:
        return image
    stated = np.array(image.GetSpacing())
    settled = np.where(np.isin(np.arange(stated.size), unknown), spacing, stated)
    if not np.allclose(settled, spacing, rtol=SAME_SIZE, atol=0):
        shown = np.where(np.isin(np.arange(stated.size), unknown), np.nan, stated)
        remedy = "leave the cell 'spacing' empty" if not unknown else "correct the cell 'spacing'"
        raise CaseError(
            f"the spacing of the case is {in_mm(spacing)}, but the image states {in_mm(shown)}; "
            f"{remedy}, or correct the header"
        )
    if unknown:
        image.SetSpacing(settled.tolist())
        image.EraseMetaData(_UNKNOWN)
    return image


def unknown_axes(image: sitk.Image) -> tuple[list[int], str]:
    """Return the axes whose voxel size is unknown, and why.

    Parameters
    ----------
    image : SimpleITK.Image
        The image.

    Returns
    -------
    axes : list of int
        The axes, none if all sizes are known.
    reason : str
        What the header states instead.

    Examples
    --------
    >>> import SimpleITK as sitk
    >>> unknown_axes(sitk.Image(4, 4, sitk.sitkUInt8))
    ([], '')
    """
    if not image.HasMetaDataKey(_UNKNOWN):
        return [], ""
    axes, _, reason = image.GetMetaData(_UNKNOWN).partition("|")
    return [int(axis) for axis in axes.split(",")], reason


def check_plausible(spacing: Sequence[float], size: Sequence[int]) -> None:
    """Raise if voxels are too small or large for an image of a patient or a small animal.

    Parameters
    ----------
    spacing : sequence of float
        Voxel size in mm.
    size : sequence of int
        Number of voxels.

    Raises
    ------
    CaseError
        If the voxels, or the whole image, are of another order of magnitude.

    Examples
    --------
    >>> check_plausible((0.8, 0.8, 3.0), (512, 512, 60))
    """
    voxel, extent = np.asarray(spacing), np.multiply(spacing, size)
    fine = (voxel >= _VOXELS[0]).all() and (voxel <= _VOXELS[1]).all()
    if not fine or not _IMAGES[0] <= extent.max() <= _IMAGES[1]:
        raise CaseError(
            f"the header states voxels of {in_mm(spacing)}, so that the image measures "
            f"{in_mm(extent)}, which is no size of a scan (in metres or micrometres, with the "
            "wrong units in the header?); correct the header"
        )


def check_rectangular(direction: Sequence[float], n_dim: int) -> None:
    """Raise if the axes of an image are not perpendicular: such voxels are sheared.

    Parameters
    ----------
    direction : sequence of float
        Direction cosines.
    n_dim : int
        Number of dimensions.

    Raises
    ------
    CaseError
        If they are not.

    Examples
    --------
    >>> check_rectangular((1, 0, 0, 1), 2)
    """
    axes = np.reshape(direction, (n_dim, n_dim))
    product = axes.T @ axes
    if not np.allclose(product, np.eye(n_dim), atol=1e-2):
        raise CaseError(
            "the axes of the image are not perpendicular, so its voxels are sheared; resample it "
            "to a rectangular grid"
        )


def in_mm(spacing: Sequence[float] | np.ndarray) -> str:
    """Describe a voxel size.

    Parameters
    ----------
    spacing : sequence of float
        Voxel size in mm, NaN where it is unknown.

    Returns
    -------
    str
        The description.

    Examples
    --------
    >>> in_mm([0.8, 0.8, 3])
    '0.8×0.8×3 mm'
    """
    return "×".join("?" if np.isnan(size) else f"{size:.4g}" for size in spacing) + " mm"
