"""Do image and mask lie on the same voxels? If not, the mask is brought onto the image's."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import SimpleITK as sitk


#: Grids count as one if their corners lie within this share of a voxel of each other: headers
#: round to single precision, and 1e-7 of a millimetre adds up over 512 voxels.
TOLERANCE = 1e-3


class CaseError(ValueError):
    """What is wrong with the image or mask of one case."""


def align_mask(
    mask: sitk.Image, image: sitk.Image, tolerance: float | None = None
) -> tuple[sitk.Image, str | None]:
    """Return the mask on the image's grid, and what was done to it if anything was.

    Within the tolerance the mask takes the image's geometry. A mask on another grid of the same
    space is resampled by nearest neighbour. A mask that lies elsewhere is an error.

    Parameters
    ----------
    mask, image : SimpleITK.Image
        Labels and image.
    tolerance : float, optional
        Share of a voxel by which the grids' corners may differ; 0.001 by default.

    Returns
    -------
    mask : SimpleITK.Image
        Labels on the image's grid.
    note : str or None
        How the grids differed, if the mask was resampled.

    Raises
    ------
    CaseError
        If the two have different dimensions, or the mask's labels lie outside the image.
    """
    import SimpleITK as sitk

    if mask.GetDimension() != image.GetDimension():
        raise CaseError(
            f"the image is {image.GetDimension()}-D of size {image.GetSize()}, but the mask is "
            f"{mask.GetDimension()}-D of size {mask.GetSize()} (x-y-z); give both the same "
            "number of dimensions"
        )
    if mask.GetSize() == image.GetSize():
        apart = np.abs(_corners(mask) - _corners(image)).max() / min(image.GetSpacing())
        if apart <= (TOLERANCE if tolerance is None else tolerance):
            aligned = sitk.Image(mask)  # a copy: the caller's mask keeps its own geometry
            aligned.CopyInformation(image)
            return aligned, None
    labelled = _volume(mask)
    resampled = sitk.Resample(
        mask, image, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0, mask.GetPixelID()
    )
    left = _volume(resampled)
    difference = f"image {_grid(image)}, mask {_grid(mask)}"
    if labelled > 0 and left == 0:
        raise CaseError(
            f"the mask's labels lie outside the image: {difference}; do the two belong to the "
            "same scan, and are they in the same orientation?"
        )
    lost = max(0.0, 1.0 - left / labelled) if labelled > 0 else 0.0
    return resampled, difference + (f", {lost:.0%} of its volume lost" if lost > 0.05 else "")


def _corners(image: sitk.Image) -> np.ndarray:
    """Return the physical position of the grid's corner voxels, in mm."""
    ends = [(0, size - 1) for size in image.GetSize()]
    return np.array([image.TransformIndexToPhysicalPoint(corner) for corner in product(*ends)])


def _volume(mask: sitk.Image) -> float:
    """Return the volume of all labels in mm³."""
    import SimpleITK as sitk

    voxels = np.count_nonzero(sitk.GetArrayViewFromImage(mask))
    return float(voxels * np.prod(mask.GetSpacing()))


def _grid(image: sitk.Image) -> str:
    """Describe a grid: size, spacing and the box it fills in space."""
    corners = _corners(image)
    low, high = corners.min(axis=0), corners.max(axis=0)
    box = " × ".join(f"{a:.5g}…{b:.5g}" for a, b in zip(low, high, strict=True))
    size = "×".join(map(str, image.GetSize()))
    spacing = "×".join(f"{value:.4g}" for value in image.GetSpacing())
    return f"{size} voxels of {spacing} mm over {box} mm"
