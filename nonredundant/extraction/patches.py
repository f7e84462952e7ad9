"""Crop patches of fixed size around lesions, on isotropic grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nonredundant.extraction.regions import Region

if TYPE_CHECKING:
    import SimpleITK as sitk


#: Full width at half maximum of a Gaussian, in standard deviations.
_FWHM = 2.0 * math.sqrt(2.0 * math.log(2.0))
#: Extra voxels around a crop that resampling reads: half a linear kernel and a smoothing tail.
_CONTEXT = 3


class Patch(NamedTuple):
    """One patch: intensities, lesion voxels, voxel size (mm), and whether all of it is inside."""

    values: np.ndarray
    inside: np.ndarray
    spacing: float
    complete: bool


def crop_patch(
    image: sitk.Image,
    lesion: Region,
    shape: Sequence[int],
    spacing: float | str = "fit",
    margin: int = 1,
) -> Patch:
    """Resample the surroundings of a lesion to an isotropic grid of fixed size.

    The grid is centred on the lesion's bounding box and parallel to the image's axes. Intensities
    are interpolated linearly, after a Gaussian matched to the coarser grid (Cardoso et al. 2015,
    doi 10.1007/978-3-319-24571-3_81) where the patch's voxels are larger than the image's.
    Outside the image the nearest voxel is repeated. The lesion's mask is interpolated in the
    same way and thresholded at one half.

    Parameters
    ----------
    image : SimpleITK.Image
        The image.
    lesion : Region
        The region of the lesion in the image.
    shape : sequence of int
        Number of voxels of the patch, z-y-x.
    spacing : float or "fit", default="fit"
        Voxel size in mm. "fit": the smallest at which the lesion's bounding box fits.
    margin : int, default=1
        Number of voxels that "fit" leaves free on each side.

    Returns
    -------
    Patch
        `values` (float32, shape `(1, *shape)`, not masked), `inside` (bool, same shape),
        `spacing` in mm, and `complete`, whether the patch contains the whole lesion.

    Examples
    --------
    >>> import numpy as np, SimpleITK as sitk
    >>> from nonredundant.extraction.regions import whole_image
    >>> pixels = np.arange(64, dtype=np.float32).reshape(8, 8)
    >>> patch = crop_patch(sitk.GetImageFromArray(pixels), whole_image((8, 8)), (8, 8), margin=0)
    >>> bool((patch.values[0] == pixels).all()), patch.spacing
    (True, 1.0)
    """
    import SimpleITK as sitk

    voxel = np.array(image.GetSpacing()[::-1])
    extent = lesion.extent * voxel
    size = np.array(shape)
    fitting = float((extent / np.maximum(size - 2 * margin, 1)).max())
    step = fitting if spacing == "fit" else float(spacing)
    centre = np.array([(one.start + one.stop - 1) / 2 for one in lesion.box])
    reference = _grid(image, centre, size, step)
    # Along an axis where the image has one slice there is nothing to smooth or interpolate.
    ratio = step / voxel
    blur = np.where(ratio > 1, voxel * np.sqrt(np.maximum(ratio**2 - 1, 0)) / _FWHM, 0.0)
    reach = (size * step / 2 + 3 * blur) / voxel + _CONTEXT
    values = _smooth_and_resample(_crop_around(image, centre, reach), reference, blur, repeat=True)
    inside = _resample_mask(image, lesion, reference, blur)
    complete = bool((extent <= size * step * (1 + 1e-9)).all())
    return Patch(sitk.GetArrayFromImage(values)[None], inside[None], step, complete)


def _grid(image: sitk.Image, centre: np.ndarray, size: np.ndarray, step: float) -> dict[str, Any]:
    """Compute the patch's grid as arguments of SimpleITK's resampling."""
    n_dim = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(n_dim, n_dim)
    middle = np.array(image.TransformContinuousIndexToPhysicalPoint(centre[::-1].tolist()))
    origin = middle - direction @ ((size[::-1] - 1) / 2 * step)
    return {
        "size": size[::-1].tolist(),
        "outputOrigin": origin.tolist(),
        "outputSpacing": [step] * n_dim,
        "outputDirection": image.GetDirection(),
    }


def _crop_around(image: sitk.Image, centre: np.ndarray, reach: np.ndarray) -> sitk.Image:
    """Crop the image around a centre and convert it to float32, without copying the rest."""
    import SimpleITK as sitk

    shape = np.array(image.GetSize()[::-1])
    low = np.clip(np.floor(centre - reach), 0, shape - 1).astype(int)
    high = np.clip(np.ceil(centre + reach) + 1, low + 1, shape).astype(int)
    part = sitk.RegionOfInterest(image, (high - low)[::-1].tolist(), low[::-1].tolist())
    return sitk.Cast(part, sitk.sitkFloat32)


def _smooth_and_resample(
    part: sitk.Image, reference: dict[str, Any], blur: np.ndarray, *, repeat: bool
) -> sitk.Image:
    """Smooth with a Gaussian (standard deviation in mm, z-y-x) and interpolate linearly."""
    import SimpleITK as sitk

    if blur.any():
        variance = (blur[::-1] ** 2).tolist()
        part = sitk.DiscreteGaussian(part, variance, 64)
    return sitk.Resample(
        part,
        interpolator=sitk.sitkLinear,
        defaultPixelValue=0.0,
        outputPixelType=sitk.sitkFloat32,
        useNearestNeighborExtrapolator=repeat,
        **reference,
    )


def _resample_mask(
    image: sitk.Image, lesion: Region, reference: dict[str, Any], blur: np.ndarray
) -> np.ndarray:
    """Resample the lesion's voxels to the patch's grid; at least one voxel is kept."""
    import SimpleITK as sitk

    pad = _CONTEXT + int(np.ceil((3 * blur / np.array(image.GetSpacing()[::-1])).max()))
    mask = sitk.GetImageFromArray(np.pad(lesion.inside.astype(np.float32), pad))
    corner = [float(one.start - pad) for one in lesion.box][::-1]
    mask.SetSpacing(image.GetSpacing())
    mask.SetDirection(image.GetDirection())
    mask.SetOrigin(image.TransformContinuousIndexToPhysicalPoint(corner))
    resampled = _smooth_and_resample(mask, reference, blur, repeat=False)
    inside = sitk.GetArrayFromImage(resampled) >= 0.5
    if not inside.any():
        # Thinner than a patch voxel: mark the patch voxels that contain a voxel of the lesion.
        for index in np.argwhere(lesion.inside) + pad:
            point = mask.TransformIndexToPhysicalPoint(index[::-1].tolist())
            target = np.array(resampled.TransformPhysicalPointToIndex(point))[::-1]
            if ((target >= 0) & (target < inside.shape)).all():
                inside[tuple(target)] = True
    return inside
