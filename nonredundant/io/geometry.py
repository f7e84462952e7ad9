"""Grids of image and mask: compare them, and resample the mask to the grid of the image."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from nonredundant.io.errors import CaseError
from nonredundant.io.series import as_volume, is_plane

if TYPE_CHECKING:
    import SimpleITK as sitk


#: Two grids are the same if their corners differ by at most this fraction of a voxel: headers
#: round to single precision, and 1e-7 of a millimetre adds up over 512 voxels.
TOLERANCE = 1e-3
#: Relative loss and growth of the volume by resampling that the note tells.
_LOST, _GREW = 0.05, 0.1


def align_mask(
    mask: sitk.Image, image: sitk.Image, tolerance: float | None = None
) -> tuple[sitk.Image, str | None]:
    """Bring the mask onto the grid of the image.

    If the grids agree within the tolerance, the mask takes the geometry of the image. A mask whose
    voxels are voxels of the image, but fewer, more or in another order (a segmentation of some
    slices of a series, a crop), is placed without a note. A mask on another grid of the same space
    is resampled by nearest neighbour. A mask that lies outside the image is an error.

    Parameters
    ----------
    mask, image : SimpleITK.Image
        Labels and image.
    tolerance : float, optional
        Fraction of a voxel by which the corners of the grids may differ; 0.001 by default.

    Returns
    -------
    mask : SimpleITK.Image
        Labels on the grid of the image.
    note : str or None
        How the grids differ, if the mask was resampled, or lost voxels outside the image.

    Raises
    ------
    CaseError
        If the two have different dimensions, or the mask's labels lie outside the image.
    """
    import SimpleITK as sitk

    if is_plane(image):
        return _align_in_plane(mask, image, tolerance)
    if mask.GetDimension() != image.GetDimension():
        raise CaseError(
            f"the image is {image.GetDimension()}-D of size {image.GetSize()}, but the mask is "
            f"{mask.GetDimension()}-D of size {mask.GetSize()} (x-y-z); give both the same "
            "number of dimensions"
        )
    if mask.GetSize() == image.GetSize():
        apart = np.abs(_corners(mask) - _corners(image)).max() / min(image.GetSpacing())
        if apart <= (TOLERANCE if tolerance is None else tolerance):
            aligned = sitk.Image(mask)  # a copy, so that the caller's mask keeps its geometry
            aligned.CopyInformation(image)
            return aligned, None
    labelled = _volume(mask)
    resampled = sitk.Resample(
        mask, image, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0, mask.GetPixelID()
    )
    left = _volume(resampled)
    difference = f"image {_grid(image)}, mask {_grid(mask)}"
    if labelled > 0 and left == 0:
        if _reaches_into(mask, image):
            raise CaseError(
                f"the mask's labels lie between the voxels of the image: {difference}; the lesion "
                "is smaller than a voxel of the image, so draw it on the image's grid or leave "
                "the case out"
            )
        raise CaseError(
            f"the mask's labels lie outside the image: {difference}; do the two belong to the "
            "same scan, and are they in the same orientation?"
        )
    change = left / labelled - 1.0 if labelled > 0 else 0.0
    if change == 0 and _shares_voxels(mask, image, TOLERANCE if tolerance is None else tolerance):
        return resampled, None
    if change < -_LOST:
        return resampled, f"{difference}, {-change:.0%} of its volume lost"
    return resampled, difference + (f", its volume grew by {change:.0%}" if change > _GREW else "")


def _shares_voxels(mask: sitk.Image, image: sitk.Image, tolerance: float) -> bool:
    """Check whether each voxel of the mask's grid has the centre and size of one of the image's."""
    corners = np.array(
        [image.TransformPhysicalPointToContinuousIndex(one) for one in _corners(mask).tolist()]
    )
    if np.abs(corners - np.round(corners)).max() > tolerance:
        return False
    # Each step of the mask's index is one step along an axis of the image.
    steps = np.abs(np.linalg.inv(_axes(image)) @ _axes(mask))
    return bool(np.abs(np.sort(steps, axis=0) - np.eye(len(steps))[-1][:, None]).max() <= tolerance)


def _axes(image: sitk.Image) -> np.ndarray:
    """Return the steps of the index along each axis in mm, as columns."""
    n = image.GetDimension()
    return np.array(image.GetDirection()).reshape(n, n) * np.array(image.GetSpacing())


def _align_in_plane(
    mask: sitk.Image, image: sitk.Image, tolerance: float | None
) -> tuple[sitk.Image, str | None]:
    """Bring a mask onto a 2-D DICOM image: pixel by pixel, or by its place if it has one."""
    volume = as_volume(image)
    if mask.GetDimension() == volume.GetDimension() == 3:
        # The thickness of an image in two dimensions does not matter.
        volume.SetSpacing([*image.GetSpacing(), mask.GetSpacing()[2]])
        aligned, note = align_mask(mask, volume, tolerance)
        flat = aligned[:, :, 0]
    elif mask.GetSize()[:2] == image.GetSize() and set(mask.GetSize()[2:]) <= {1}:
        flat, note = mask[:, :, 0] if mask.GetDimension() == 3 else mask[:], None
    else:
        raise CaseError(
            f"the image is 2-D of {image.GetSize()} pixels, but the mask has the size "
            f"{mask.GetSize()} (x-y-z); give a mask of the image's size"
        )
    flat.CopyInformation(image)
    return flat, note


def _reaches_into(mask: sitk.Image, image: sitk.Image) -> bool:
    """Check whether a labelled voxel has its centre inside the extent of the image."""
    import SimpleITK as sitk

    size = np.array(image.GetSize())
    for index in np.argwhere(sitk.GetArrayViewFromImage(mask))[:, ::-1]:
        point = mask.TransformIndexToPhysicalPoint(index.tolist())
        where = np.array(image.TransformPhysicalPointToContinuousIndex(point))
        if ((where >= -0.5) & (where <= size - 0.5)).all():
            return True
    return False


def _corners(image: sitk.Image) -> np.ndarray:
    """Return the physical positions of the corner voxels of a grid, in mm."""
    ends = [(0, size - 1) for size in image.GetSize()]
    return np.array([image.TransformIndexToPhysicalPoint(corner) for corner in product(*ends)])


def _volume(mask: sitk.Image) -> float:
    """Compute the volume of all labels in mm³."""
    import SimpleITK as sitk

    voxels = np.count_nonzero(sitk.GetArrayViewFromImage(mask))
    return float(voxels * np.prod(mask.GetSpacing()))


def _grid(image: sitk.Image) -> str:
    """Describe a grid by its size, spacing and bounding box in space."""
    corners = _corners(image)
    low, high = corners.min(axis=0), corners.max(axis=0)
    box = " × ".join(f"{a:.5g}…{b:.5g}" for a, b in zip(low, high, strict=True))
    size = "×".join(map(str, image.GetSize()))
    spacing = "×".join(f"{value:.4g}" for value in image.GetSpacing())
    return f"{size} voxels of {spacing} mm over {box} mm"
