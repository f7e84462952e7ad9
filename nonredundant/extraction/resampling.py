"""Resample the surroundings of a lesion to the voxels of the features, on pyradiomics' grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nonredundant.extraction.regions import Region
from nonredundant.io.errors import CaseError

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Voxels around a lesion that interpolation reads. A voxel's weight in a spline falls with its
#: distance d as 0.43^d at the highest order, 0.27^d in cubic ones: 2e-15 and less at this distance.
MARGIN = 40


class Resampled(NamedTuple):
    """Image and mask on the grid of the features, and the settings that are left to apply."""

    image: sitk.Image
    mask: sitk.Image
    parameters: dict[str, Any]


def is_resampled(parameters: Mapping[str, Any], n_dim: int) -> bool:
    """Check whether the settings resample images of this dimension.

    Parameters
    ----------
    parameters : mapping
        Parameters from `for_dimension`.
    n_dim : {2, 3}
        Dimensions of the image.

    Returns
    -------
    bool
        Whether they do.

    Examples
    --------
    >>> is_resampled({"setting": {"resampledPixelSpacing": [1, 1, 1]}}, 3)
    True
    """
    setting = parameters["setting"]
    wanted = setting.get("resampledPixelSpacing")
    return bool(wanted) and len(wanted) == n_dim and setting.get("interpolator", True) is not None


def resample_lesion(
    image: sitk.Image,
    region: Region,
    parameters: Mapping[str, Any],
    *,
    rounded: bool = False,
) -> Resampled:
    """Resample a lesion and its surroundings, like pyradiomics, without the rest of the image.

    The grid is aligned to the corner of the whole image, and image and mask are cropped to the
    lesion and `padDistance`, as `radiomics.imageoperations.resampleImage` does. pyradiomics
    interpolates in the type of the file, so that values of integer images lose their fractions;
    here all images are interpolated in double precision.

    Parameters
    ----------
    image : SimpleITK.Image
        The whole image.
    region : Region
        The lesion.
    parameters : mapping
        Parameters from `for_dimension` that resample.
    rounded : bool, default=False
        Round interpolated intensities to integers, as IBSI asks for Hounsfield units
        (Zwanenburg et al. 2020, doi 10.1148/radiol.2020191145; reference manual, section 2.4).

    Returns
    -------
    Resampled
        The crops, and the parameters without normalisation and resampling.

    Examples
    --------
    >>> import numpy as np, SimpleITK as sitk
    >>> image = sitk.GetImageFromArray(np.arange(512, dtype=np.int16).reshape(8, 8, 8))
    >>> region = Region((slice(2, 6),) * 3, np.ones((4, 4, 4), bool), 1)
    >>> found = resample_lesion(image, region, {"setting": {"resampledPixelSpacing": [2, 2, 2]}})
    >>> found.image.GetSpacing(), found.image.GetPixelIDTypeAsString()
    ((2.0, 2.0, 2.0), '64-bit float')
    """
    import SimpleITK as sitk

    setting = parameters["setting"]
    left = without_resampling(parameters)
    by = normalisation(image, setting)
    old = np.array(image.GetSpacing())
    spacing = feature_spacing(image, region, parameters)
    if np.allclose(old, spacing):
        part, mask = _crop(image, region, np.full(old.size, setting.get("padDistance", 5)))
        return Resampled(normalised(part, by, setting), mask, left)
    grid = _grid(image, region, spacing, setting.get("padDistance", 5))
    reach = np.ceil(setting.get("padDistance", 5) * spacing / old).astype(int) + MARGIN
    part, mask = _crop(image, region, reach, whole_at_end=True)
    part = sitk.Cast(normalised(part, by, setting), sitk.sitkFloat64)
    values = sitk.Resample(part, interpolator=interpolator_of(setting), **grid)
    inside = sitk.Resample(mask, interpolator=sitk.sitkNearestNeighbor, **grid)
    return Resampled(sitk.Round(values) if rounded else values, inside, left)


def feature_spacing(image: sitk.Image, region: Region, parameters: Mapping[str, Any]) -> np.ndarray:
    """Return the voxel size of the features of a lesion, in mm, x-y-z.

    pyradiomics: 0 keeps the voxels of the image, and so does an axis with one slice of lesion.
    """
    old = np.array(image.GetSpacing())
    if not is_resampled(parameters, image.GetDimension()):
        return old
    wanted = np.array(parameters["setting"]["resampledPixelSpacing"], dtype=float)
    return np.where((wanted == 0) | (region.extent[::-1] == 1), old, wanted)


def without_resampling(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are left to apply to a lesion that has been resampled."""
    done = ("resampledPixelSpacing", "normalize", "preCrop")
    setting = {k: v for k, v in parameters["setting"].items() if k not in done}
    return {**parameters, "setting": setting}


def interpolator_of(setting: Mapping[str, Any]) -> Any:
    """Return SimpleITK's interpolator of the settings, cubic B-splines if they name none."""
    import SimpleITK as sitk

    how = setting.get("interpolator", sitk.sitkBSpline)
    return getattr(sitk, how, sitk.sitkBSpline) if isinstance(how, str) else how


def _ends(region: Region) -> tuple[np.ndarray, np.ndarray]:
    """Return the first voxel of a lesion's box, and the one after its last, in the order x-y-z."""
    box = region.box[::-1]
    return np.array([one.start for one in box]), np.array([one.stop for one in box])


def _grid(image: sitk.Image, region: Region, spacing: np.ndarray, padding: float) -> dict[str, Any]:
    """Compute pyradiomics' grid as arguments of SimpleITK's resampling."""
    old, size = np.array(image.GetSpacing()), np.array(image.GetSize())
    ratio = old / spacing
    first, last = _ends(region)
    low = np.maximum(np.floor((first - 0.5) * ratio - padding), 0)
    high = np.minimum(np.ceil((last - 0.5) * ratio + padding), np.ceil(size * ratio) - 1)
    # The corners of the two grids coincide, not the centres of their first voxels.
    start = 0.5 * (spacing - old) / old + low / ratio
    return {
        "size": (high - low + 1).astype(int).tolist(),
        "outputOrigin": image.TransformContinuousIndexToPhysicalPoint(start.tolist()),
        "outputSpacing": spacing.tolist(),
        "outputDirection": image.GetDirection(),
    }


def _crop(
    image: sitk.Image, region: Region, reach: np.ndarray, *, whole_at_end: bool = False
) -> tuple[sitk.Image, sitk.Image]:
    """Crop image and mask to the lesion and so many voxels (x-y-z) around it.

    `whole_at_end`: where that includes the last voxel of an axis, the axis is not cropped: a point
    of the new grid may lie on the border of the image, and an origin that is rounded in another
    way would move it to the other side.
    """
    import SimpleITK as sitk

    size = np.array(image.GetSize())
    first, last = _ends(region)
    high = np.minimum(last + reach, size)
    low = np.maximum(first - reach, 0)
    if whole_at_end:
        low = np.where(high == size, 0, low)
    part = sitk.RegionOfInterest(image, (high - low).tolist(), low.tolist())
    inside = np.zeros((high - low)[::-1], dtype=np.uint8)
    inside[
        tuple(slice(a, b) for a, b in zip((first - low)[::-1], (last - low)[::-1], strict=True))
    ] = region.inside
    mask = sitk.GetImageFromArray(inside)
    mask.CopyInformation(part)
    return part, mask


def normalisation(image: sitk.Image, setting: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return mean and spread of the whole image, if the settings ask to standardise by them.

    Raises
    ------
    CaseError
        If the image is constant.
    """
    import SimpleITK as sitk

    if not setting.get("normalize"):
        return None
    statistics = sitk.StatisticsImageFilter()
    statistics.Execute(image)
    if not statistics.GetSigma() > 0:
        raise CaseError("the image is constant, so it cannot be standardised (setting `normalize`)")
    return statistics.GetMean(), statistics.GetSigma()


def normalised(
    part: sitk.Image, by: tuple[float, float] | None, setting: Mapping[str, Any]
) -> sitk.Image:
    """Standardise a part of an image by what `normalisation` returned for the whole image."""
    import SimpleITK as sitk

    if by is None:
        return part
    mean, sigma = by
    part = sitk.ShiftScale(part, -mean, 1.0 / sigma, sitk.sitkFloat64)
    outliers = setting.get("removeOutliers")
    if outliers is not None:
        part = sitk.Clamp(part, sitk.sitkFloat64, -outliers, outliers)
    return part * float(setting.get("normalizeScale", 1))
