"""Features of pyradiomics: their values for one lesion, and their names."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.extraction.lesion_features import (
    Lesion,
    measure_lesion,
    measure_type,
    widen_small_integers,
)
from nonredundant.extraction.levels import discretise
from nonredundant.extraction.memory import check_grey_levels
from nonredundant.extraction.settings import for_dimension
from nonredundant.io.errors import CaseError
from nonredundant.utils.context import silent_loggers
from nonredundant.utils.optional import import_radiomics

if TYPE_CHECKING:
    import SimpleITK as sitk


def compute_features(
    image: sitk.Image,
    mask: sitk.Image,
    parameters: Mapping[str, Any],
    *,
    plain: bool = False,
    limit: float = math.inf,
) -> tuple[dict[str, float], dict[str, tuple[int, float]]]:
    """Compute pyradiomics' features of the voxels with label 1.

    Parameters
    ----------
    image : SimpleITK.Image
        Grey-level image.
    mask : SimpleITK.Image
        Mask on the image's grid, 1 inside the lesion.
    parameters : mapping
        Parameters from `resolve_parameters`.
    plain : bool, default=False
        Compute with pyradiomics' own classes instead of the faster ones of `shape` and
        `texture`.
    limit : float, default=inf
        Bytes that texture matrices may need.

    Returns
    -------
    features : dict of str to float
        Feature values under pyradiomics' names, in its order.
    levels : dict of str to (int, float)
        For each image type: the number of grey levels that the lesion spans, and its intensity
        range.

    Raises
    ------
    CaseError
        If pyradiomics cannot compute the features.
    CaseMemoryError
        If the texture matrices need more than `limit`.

    Examples
    --------
    >>> import numpy as np, SimpleITK as sitk
    >>> from nonredundant.extraction.settings import resolve_parameters
    >>> image = sitk.GetImageFromArray(np.arange(125.0).reshape(5, 5, 5))
    >>> mask = sitk.GetImageFromArray(np.ones((5, 5, 5), dtype=np.uint8))
    >>> parameters = resolve_parameters(bin_width=10, feature_classes=["firstorder"])
    >>> features, levels = compute_features(image, mask, parameters)
    >>> features["original_firstorder_Mean"], levels["original"]
    (62.0, (13, 124.0))
    """
    extractor = _extractor(json.dumps(for_dimension(parameters, image.GetDimension())), plain)
    try:
        with np.errstate(all="ignore"):
            if plain:
                extractor.levels, extractor.limit = {}, limit
                values, levels = extractor.execute(image, mask, label=1), extractor.levels
            else:
                values, levels = measure_lesion(extractor, image, mask, limit)
    except (ValueError, AssertionError, IndexError) as error:
        reason = str(error).strip().splitlines()[-1].strip() if str(error).strip() else repr(error)
        raise CaseError(f"pyradiomics cannot compute the features ({reason})") from error
    return {name: float(np.real(value)) for name, value in values.items()}, levels


def _values_of(measured: Any, features: list[str] | None, prefix: str) -> dict[str, Any]:
    """Compute the features of a class, all if none are listed, under their whole names."""
    for feature in features or ():
        measured.enableFeatureByName(feature)
    return {f"{prefix}_{name}": value for name, value in measured.execute().items()}


def _extractor(parameters: str, plain: bool) -> Any:
    """Return the extractor of these parameters and this thread: it has a state while it runs."""
    return _build_extractor(parameters, plain, threading.get_ident())


@functools.lru_cache(maxsize=32)
def _build_extractor(parameters: str, plain: bool, thread: int) -> Any:
    """Build a pyradiomics extractor, with all that is changed of its methods.

    Its `execute` runs with the plain formulas only; otherwise `measure_lesion` takes its place.
    """
    import_radiomics()
    import SimpleITK as sitk
    from radiomics import featureextractor, getFeatureClasses

    from nonredundant.extraction.shape import Shape

    class CountingExtractor(featureextractor.RadiomicsFeatureExtractor):
        """Extractor that stores the number of grey levels of each image type."""

        levels: dict[str, tuple[int, float]]
        limit = math.inf
        enabledFeatures: dict[str, Any]  # noqa: N815

        @staticmethod
        def loadImage(*arguments: Any, **kwargs: Any) -> Any:  # noqa: N802
            """Resample in the type of the image, as pyradiomics does, and then widen it."""
            image, mask = featureextractor.RadiomicsFeatureExtractor.loadImage(*arguments, **kwargs)
            return widen_small_integers(image), mask

        def computeShape(self, image: Any, mask: Any, box: Any, **kwargs: Any) -> Any:  # noqa: N802
            """Compute 3-D shape with the faster mesh, and 2-D shape with pyradiomics' class."""
            chosen = self.enabledFeatures
            if plain or mask.GetDimension() != 3 or "shape" not in chosen:
                return super().computeShape(image, mask, box, **kwargs)
            # Shape needs no intensities.
            part = sitk.RegionOfInterest(
                mask, (box[1::2] - box[::2] + 1).tolist(), box[::2].tolist()
            )
            values = _values_of(Shape(part, part, **kwargs), chosen["shape"], "original_shape")
            self.enabledFeatures = {k: v for k, v in chosen.items() if k != "shape"}
            if not any(name.startswith("shape") for name in self.enabledFeatures):
                self.enabledFeatures = chosen
                return values
            try:
                return values | super().computeShape(image, mask, box, **kwargs)
            finally:
                self.enabledFeatures = chosen

        def computeFeatures(  # noqa: N802
            self, image: Any, mask: Any, image_type_name: str, **kwargs: Any
        ) -> Any:
            """Count the grey levels, then compute the features of each class."""
            classes = [
                name
                for name in self.enabledFeatures
                if not name.startswith("shape") and name in getFeatureClasses()
            ]
            if not classes:
                return {}
            inside = sitk.GetArrayViewFromImage(mask) == kwargs.get("label", 1)
            check = functools.partial(
                check_grey_levels,
                extent=np.array(mask.GetSize()),
                setting=kwargs,
                classes=classes,
                limit=self.limit,
            )
            found = discretise(sitk.GetArrayViewFromImage(image)[inside], kwargs, check)
            self.levels[image_type_name] = (found.span, found.extent)
            return super().computeFeatures(image, mask, image_type_name, **kwargs)

    content = json.loads(parameters)
    extractor = CountingExtractor(**{**content["setting"], "additionalInfo": False})
    extractor.enabledImagetypes = content["imageType"]
    extractor.enabledFeatures = content["featureClass"] or dict.fromkeys(
        extractor.featureClassNames, []
    )
    return extractor


def feature_names(parameters: Mapping[str, Any], n_dim: int = 3) -> list[str]:
    """List the names of the features that the parameters select, in pyradiomics' order.

    Parameters
    ----------
    parameters : mapping
        Parameters from `resolve_parameters`.
    n_dim : {2, 3}, default=3
        Dimensions of the images.

    Returns
    -------
    list of str
        The names.

    Raises
    ------
    ValueError
        If an image type yields no feature.

    Examples
    --------
    >>> from nonredundant.extraction.settings import resolve_parameters
    >>> names = feature_names(resolve_parameters())
    >>> len(names), names[0]
    (107, 'original_shape_Elongation')
    """
    return list(_names_from_phantom(json.dumps(for_dimension(parameters, n_dim)), n_dim))


@functools.lru_cache(maxsize=32)
def _names_from_phantom(parameters: str, n_dim: int) -> tuple[str, ...]:
    """Compute the features of a small phantom and return their names.

    pyradiomics has no list of the features that its settings lead to.
    """
    content = json.loads(parameters)
    setting = content["setting"]
    image, mask = _phantom(content, n_dim)
    with quiet(), np.errstate(all="ignore"):
        extractor = _extractor(parameters, False)
        lesion = Lesion(image, mask, {**setting, "minimumROIDimensions": 1})
        names = list(extractor.computeShape(image, mask, lesion.bounds, **setting))
        for image_type, own in content["imageType"].items():
            given = {**setting, **own}
            measured = measure_type(extractor, image, lesion, image_type, given)
            found = [feature for _, values, _ in measured for feature in values]
            _check_not_empty(image_type, found, extractor.enabledFeatures, n_dim)
            names += found
    return tuple(names)


def _phantom(content: Mapping[str, Any], n_dim: int) -> tuple[Any, Any]:
    """Build a small random image and its mask."""
    import SimpleITK as sitk

    setting = content["setting"]
    side = 16
    # About ten grey levels, and voxels large enough for the widest filter.
    noise = np.random.default_rng(0).normal(size=(side,) * n_dim) * 2 * setting.get("binWidth", 25)
    own = [args.get("sigma", []) for args in content["imageType"].values()]
    widths = [width for sigmas in (setting.get("sigma", []), *own) for width in sigmas]
    box = [slice(5, 11)] * n_dim
    if n_dim == 3 and setting.get("force2D"):
        # 2-D shape is defined for single slices only.
        box[setting.get("force2Ddimension", 0)] = slice(8, 9)
    inside = np.zeros(noise.shape, dtype=np.uint8)
    inside[tuple(box)] = 1
    image, mask = sitk.GetImageFromArray(noise), sitk.GetImageFromArray(inside)
    for one in (image, mask):
        one.SetSpacing([float(max([1.0, *widths]))] * n_dim)
    return image, mask


def _check_not_empty(
    image_type: str, found: list[str], classes: Mapping[str, Any], n_dim: int
) -> None:
    """Raise if an image type that should have features has none."""
    if not found and any(not name.startswith("shape") for name in classes):
        raise ValueError(
            f"image type {image_type!r} yields no features for {n_dim}-D images: it needs another "
            "setting or another package (see pyradiomics' log with verbose=2)"
        )


@contextlib.contextmanager
def quiet(verbose: int = 0) -> Iterator[None]:
    """Prevent pyradiomics and ITK from writing to stderr.

    Parameters
    ----------
    verbose : int, default=0
        With 2 or more, nothing is suppressed.

    Yields
    ------
    None
        The context in which they are silent.

    Examples
    --------
    >>> import logging
    >>> with quiet():
    ...     logging.getLogger("radiomics").isEnabledFor(logging.CRITICAL)
    False
    """
    if verbose >= 2:
        yield
        return
    import radiomics  # noqa: F401  (its import sets the log level that is restored at the end)
    import SimpleITK as sitk

    display = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        with silent_loggers("radiomics"):
            yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(display)
