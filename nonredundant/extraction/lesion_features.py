"""Measure one lesion: its shape, and its features in each image type.

The steps and their order are those of `RadiomicsFeatureExtractor.execute`. Image and mask are
cropped as arrays, and the place of the voxels is found once for all image types.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.extraction.counting import Grid
from nonredundant.extraction.levels import discretise
from nonredundant.extraction.memory import check_grey_levels
from nonredundant.extraction.texture import Texture

if TYPE_CHECKING:
    import SimpleITK as sitk

#: For each image type: the number of grey levels that a lesion spans, and its intensity range.
Levels = dict[str, tuple[int, float]]


class Lesion:
    """The voxels of a mask with label 1.

    Parameters
    ----------
    image, mask : SimpleITK.Image
        An image and a mask on its grid.
    setting : mapping
        pyradiomics' settings, of which those of the smallest lesion are checked.

    Attributes
    ----------
    mask : SimpleITK.Image
        The mask.
    bounds : int array of shape (2 * n_dim,)
        First and last voxel of its bounding box, in the order x-y-z.
    box : tuple of slice
        The same for arrays.
    inside : bool array of shape (z, y, x) or (y, x)
        Its voxels in the box.
    spacing : array of shape (n_dim,)
        Size of the voxels in mm, in the order of array axes.

    Raises
    ------
    ValueError
        If the lesion is smaller than the settings allow.
    """

    def __init__(self, image: sitk.Image, mask: sitk.Image, setting: Mapping[str, Any]) -> None:
        import SimpleITK as sitk

        self.mask = mask
        self.spacing = np.array(mask.GetSpacing()[::-1])
        inside = sitk.GetArrayViewFromImage(mask) == 1
        lines = [
            np.flatnonzero(inside.any(axis=tuple(k for k in range(inside.ndim) if k != axis)))
            for axis in range(inside.ndim)
        ]
        size = np.array([line[-1] - line[0] + 1 if line.size else 0 for line in lines])
        self._check(image, size, int(np.count_nonzero(inside)), setting)
        self.box = tuple(slice(int(line[0]), int(line[-1]) + 1) for line in lines)
        self.bounds = np.array([end for line in lines[::-1] for end in (line[0], line[-1])])
        self.inside = inside[self.box]
        self._grids: dict[str, Grid] = {}

    def _check(
        self, image: sitk.Image, size: np.ndarray, n_voxels: int, setting: Mapping[str, Any]
    ) -> None:
        """Let pyradiomics refuse a lesion that is too small, in its words."""
        n_dims, least = int((size > 1).sum()), setting.get("minimumROISize")
        too_few = least is not None and n_voxels <= least
        if n_dims < max(1, setting.get("minimumROIDimensions", 2)) or too_few:
            from radiomics import imageoperations

            imageoperations.checkMask(image, self.mask, **setting)

    def grid(self, setting: Mapping[str, Any]) -> Grid:
        """Return the lesion's voxels as a flat array, made once for the same settings."""
        names = ("distances", "force2D", "force2Ddimension")
        key = str([setting.get(name) for name in names])
        if key not in self._grids:
            self._grids[key] = Grid(self.inside, setting)
        return self._grids[key]


def widen_small_integers(image: sitk.Image) -> sitk.Image:
    """Convert an image of 8- or 16-bit integers to 32 bits; return any other image unchanged.

    pyradiomics adds two bin widths to the maximum in the image's own type, which overflows with
    NumPy 2: an 8-bit image brighter than 205 would get few or no bins of width 25, without a
    warning.
    """
    import SimpleITK as sitk

    small = (sitk.sitkUInt8, sitk.sitkInt8, sitk.sitkUInt16, sitk.sitkInt16)
    return sitk.Cast(image, sitk.sitkInt32) if image.GetPixelID() in small else image


def measure_lesion(
    extractor: Any, image: sitk.Image, mask: sitk.Image, limit: float
) -> tuple[dict[str, Any], Levels]:
    """Measure the voxels with label 1 as an extractor of pyradiomics is configured.

    Parameters
    ----------
    extractor : RadiomicsFeatureExtractor
        It loads and resamples the images, and measures the shape.
    image, mask : SimpleITK.Image
        The image, and the mask on its grid.
    limit : float
        Bytes that texture matrices may need.

    Returns
    -------
    values : dict of str to number
        The features, in pyradiomics' order.
    levels : dict of str to (int, float)
        Grey levels and intensity range in each image type.

    Raises
    ------
    ValueError
        If pyradiomics cannot measure the lesion.
    CaseMemoryError
        If the texture matrices need more than `limit`.
    """
    from radiomics import imageoperations

    setting = {**extractor.settings, "label": 1}
    if setting.get("normalize") or setting.get("preCrop") or setting.get("resampledPixelSpacing"):
        image, mask = extractor.loadImage(image, mask, None, **setting)
    image = widen_small_integers(image)
    drawn = lesion = Lesion(image, mask, setting)
    if setting.get("resegmentRange") is not None:
        kept = imageoperations.resegmentMask(image, mask, **setting)
        lesion = Lesion(image, kept, setting)
        drawn = lesion if setting.get("resegmentShape") else drawn
    values = dict(extractor.computeShape(image, drawn.mask, lesion.bounds, **setting))
    levels: Levels = {}
    for image_type, own in extractor.enabledImagetypes.items():
        for name, found, level in measure_type(
            extractor, image, lesion, image_type, {**setting, **own}, limit
        ):
            values |= found
            levels[name] = level
    return values, levels


def measure_type(
    extractor: Any,
    image: sitk.Image,
    lesion: Lesion,
    image_type: str,
    setting: Mapping[str, Any],
    limit: float = math.inf,
) -> Iterator[tuple[str, dict[str, Any], tuple[int, float]]]:
    """Filter an image and measure the lesion in each result.

    Parameters
    ----------
    extractor : RadiomicsFeatureExtractor
        Its feature classes are measured.
    image : SimpleITK.Image
        The image.
    lesion : Lesion
        The lesion.
    image_type : str
        pyradiomics' name of the filter.
    setting : mapping
        Its settings.
    limit : float, default=inf
        Bytes that texture matrices may need.

    Yields
    ------
    name : str
        Name of the result.
    values : dict of str to number
        The features.
    levels : (int, float)
        The number of grey levels that the lesion spans, and its intensity range.
    """
    import SimpleITK as sitk
    from radiomics import getFeatureClasses, imageoperations

    known = getFeatureClasses()
    classes = {
        name: features or default_features(name)
        for name, features in extractor.enabledFeatures.items()
        if not name.startswith("shape") and name in known
    }
    if not classes:
        return
    make = getattr(imageoperations, f"get{image_type}Image")
    for filtered, name, kwargs in make(image, lesion.mask, **setting):
        part = sitk.GetArrayViewFromImage(filtered)[lesion.box]
        values = part[lesion.inside]
        check = functools.partial(
            check_grey_levels,
            extent=np.array(lesion.inside.shape),
            setting=kwargs,
            classes=classes,
            limit=limit,
        )
        levels = discretise(values, kwargs, check)
        plain = functools.partial(_plain, part, lesion, kwargs)
        texture = Texture(values, levels, lesion.grid(kwargs), lesion.spacing, kwargs, plain)
        found = {
            f"{name}_{one}_{feature}": value
            for one, features in classes.items()
            for feature, value in texture.measure(one, features).items()
        }
        yield name, found, (levels.span, levels.extent)


@functools.cache
def default_features(name: str) -> tuple[str, ...]:
    """List the features of a class that pyradiomics computes if none are named."""
    from radiomics import getFeatureClasses

    offered = getFeatureClasses()[name].getFeatureNames()
    return tuple(feature for feature, deprecated in offered.items() if not deprecated)


def _plain(
    part: np.ndarray,
    lesion: Lesion,
    setting: Mapping[str, Any],
    name: str,
    features: Sequence[str],
) -> dict[str, Any]:
    """Measure features with pyradiomics' own class."""
    import SimpleITK as sitk
    from radiomics import getFeatureClasses

    images = [sitk.GetImageFromArray(one) for one in (part, lesion.inside.view(np.uint8))]
    for one in images:
        one.SetSpacing(lesion.spacing[::-1].tolist())
    measured = getFeatureClasses()[name](*images, **setting)
    for feature in features:
        measured.enableFeatureByName(feature)
    return measured.execute()
