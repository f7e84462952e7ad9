"""One case from its sources to numbers: what a worker process runs and the cache remembers."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.extraction.case_table import Sources
from nonredundant.extraction.patches import crop_patch
from nonredundant.extraction.radiomics import compute_features, quiet
from nonredundant.extraction.regions import OK, Region, find_lesions, whole_image
from nonredundant.io.geometry import CaseError, align_mask
from nonredundant.io.images import ImageFileError, content_key, read_image, read_mask

if TYPE_CHECKING:
    import SimpleITK as sitk


#: Part of every cache key: raised whenever the same input gives other numbers.
FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """All that decides what is measured of a case; `parameters` in pyradiomics' layout."""

    parameters: Mapping[str, Any]
    lesions: str = "label"
    label: int = 1
    min_voxels: int = 8
    min_volume: float | None = None
    small_lesions: str = "drop"
    patch_shape: tuple[int, ...] | None = (32, 32, 32)
    patch_spacing: float | str = "fit"
    verbose: int = 0

    @property
    def key(self) -> str:
        """Digest of the settings and of the versions that turn them into numbers."""
        import radiomics
        import SimpleITK as sitk

        settings = {name: value for name, value in asdict(self).items() if name != "verbose"}
        versions = [FORMAT, radiomics.__version__, sitk.Version.VersionString(), np.__version__]
        content = json.dumps([settings, versions], sort_keys=True, default=float)
        return hashlib.sha256(content.encode()).hexdigest()


def case_key(sources: Sources, plan_key: str) -> str:
    """Return the digest under which a case's results are cached: voxels, geometry, settings."""
    parts = [
        plan_key,
        content_key(sources.image, sources.spacing),
        # Whether there is a mask is content too.
        "" if sources.mask is None else content_key(sources.mask),
    ]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def cached_measure(key: str, sources: Sources, plan: Plan) -> dict[str, Any]:
    """Measure a case; joblib remembers the result by `key` alone."""
    return measure_case(sources, plan)


def run_case(key: str | None, sources: Sources, plan: Plan, memory: Any) -> dict[str, Any]:
    """Measure a case through the cache, if there is one; never fails for one case's sake."""
    try:
        if memory is None:
            return measure_case(sources, plan)
        return remembered(memory)(key, sources, plan)
    except RuntimeError as error:
        # SimpleITK out of memory, for instance: not the content's fault, so not cached.
        return {"error": f"SimpleITK failed: {str(error).strip()}", "file": False}


def names_of(result: Mapping[str, Any]) -> list[str]:
    """Return the names of a result's features."""
    return result["names"].split("\n") if result["names"] else []


def remembered(memory: Any) -> Any:
    """Return `cached_measure` with joblib's cache around it."""
    return memory.cache(cached_measure, ignore=["sources", "plan"])


def measure_case(sources: Sources, plan: Plan) -> dict[str, Any]:
    """Return the numbers of one case, or the reason why there are none.

    Returns
    -------
    dict
        `error`: None or the cause; otherwise `names` and `features` (n_lesions × n_features),
        `positions` (mm, z-y-x), `status`, `patches`, `masks`, `spacing`, `levels` by image type,
        `notes` (kind → what was found).
    """
    import SimpleITK as sitk

    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    # Sums over an image depend on how threads share it; one thread makes runs bitwise equal.
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        with quiet(plan.verbose), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return _measure(sources, plan)
    except CaseError as error:
        return {"error": str(error), "file": isinstance(error, ImageFileError)}
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


def _measure(sources: Sources, plan: Plan) -> dict[str, Any]:
    """Read, check, find lesions and measure each."""
    setting = plan.parameters["setting"]
    image = read_image(sources.image, spacing=sources.spacing)
    notes: dict[str, str] = {}
    lesions = _lesions(image, sources, plan, notes)
    _check_voxels(image, lesions)
    lesions, rows, levels = _measured(image, lesions, plan, notes)
    if sources.mask is not None:
        _note_geometry(image, lesions, notes, bool(setting.get("force2D")))
    names = max((list(row) for row in rows), key=len)
    result: dict[str, Any] = {
        "error": None,
        "n_dim": image.GetDimension(),
        # One string: joblib reads a cached list name by name, which takes longer than all else.
        "names": "\n".join(names),
        "features": np.array([[row.get(name, np.nan) for name in names] for row in rows], float),
        "positions": np.array([_position(image, lesion) for lesion in lesions]),
        "status": [lesion.status for lesion in lesions],
        "levels": levels,
        "notes": notes,
    }
    if plan.patch_shape is not None:
        result.update(_patches(image, lesions, plan, notes, whole=sources.mask is None))
    return result


def _measured(
    image: sitk.Image, lesions: list[Region], plan: Plan, notes: dict[str, str]
) -> tuple[list[Region], list[dict[str, float]], dict[str, list[tuple[int, float]]]]:
    """Return the lesions that pyradiomics can measure, their features, and grey levels by type.

    One of several lesions that it refuses (on the grid that images are resampled to, a tiny one
    may be a single voxel) is dropped like one that is too thin on the image's own grid.
    """
    kept, rows, refused = [], [], ""
    levels: dict[str, list[tuple[int, float]]] = {}
    for lesion in lesions:
        parameters = plan.parameters if lesion.status == OK else _shape_alone(plan.parameters)
        try:
            values, found = _features(image, lesion, parameters)
        except CaseError as error:
            refused = refused or str(error)
            continue
        kept.append(lesion)
        rows.append(values)
        for kind, level in found.items():
            levels.setdefault(kind, []).append(level)
    if not kept:
        raise CaseError(refused)
    lost = len(lesions) - len(kept)
    if lost:
        before = f"{notes['dropped']}; of these " if "dropped" in notes else ""
        notes["dropped"] = f"{before}{lost} dropped, {len(kept)} kept: {refused}"
    small = [one.status for one in kept if one.status != OK]
    if small:
        notes["small"] = f"{len(small)} of {len(kept)} lesions, the first {small[0]}"
    return kept, rows, levels


def _lesions(
    image: sitk.Image, sources: Sources, plan: Plan, notes: dict[str, str]
) -> list[Region]:
    """Return the lesions of the case on the image's grid."""
    import SimpleITK as sitk

    setting = plan.parameters["setting"]
    if sources.mask is None:
        return [whole_image(image.GetSize()[::-1])]
    mask = read_mask(sources.mask, image, channel=setting.get("label_channel", 0))
    if isinstance(sources.image, np.ndarray) and mask.GetSize() == image.GetSize():
        # An array knows its voxel size but not where it lies: the mask says so, if it can.
        mask = sitk.Image(mask)  # a copy: the caller's mask keeps its own geometry
        mask.CopyInformation(image)
    mask, resampled = align_mask(mask, image, setting.get("geometryTolerance"))
    if resampled is not None:
        notes["resampled"] = resampled
    lesions, dropped = find_lesions(
        sitk.GetArrayViewFromImage(mask),
        lesions=plan.lesions,
        label=plan.label,
        min_voxels=plan.min_voxels,
        min_dims=setting.get("minimumROIDimensions", 2),
        min_volume=plan.min_volume,
        small=plan.small_lesions,
        voxel=float(np.prod(image.GetSpacing())),
    )
    if dropped:
        notes["dropped"] = f"{dropped} dropped, {len(lesions)} kept"
    return lesions


def _check_voxels(image: sitk.Image, lesions: list[Region]) -> None:
    """Raise if any voxel is NaN or infinite."""
    import SimpleITK as sitk

    values = sitk.GetArrayViewFromImage(image)
    # One pass without a copy; a sum may overflow, so only a suspicion is looked into.
    if values.dtype.kind != "f" or np.isfinite(values.sum(dtype=np.float64)):
        return
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    inside = sum(int(bad[lesion.box][lesion.inside].sum()) for lesion in lesions)
    raise CaseError(
        f"{int(bad.sum()):,} of {values.size:,} voxels are NaN or infinite ({inside:,} of them "
        "inside the lesion); replace them, for instance by the intensity of the background"
    )


def _note_geometry(
    image: sitk.Image, lesions: list[Region], notes: dict[str, str], slicewise: bool
) -> None:
    """Note lesions cut off by the border or one slice thick."""
    shape = image.GetSize()[::-1]
    cut = sum(lesion.touches_border(shape) for lesion in lesions)
    if cut:
        notes["border"] = f"{cut} of {len(lesions)} lesions"
    flat = sum(lesion.n_dims < image.GetDimension() for lesion in lesions)
    if flat and not slicewise and image.GetDimension() == 3:
        notes["flat"] = f"{flat} of {len(lesions)} lesions"


def _features(
    image: sitk.Image, lesion: Region, parameters: Mapping[str, Any]
) -> tuple[dict[str, float], dict[str, tuple[int, float]]]:
    """Return pyradiomics' features of one lesion and the grey levels they rest on."""
    import SimpleITK as sitk

    if _is_local(parameters):
        box = lesion.box[::-1]
        size = [one.stop - one.start for one in box]
        image = sitk.RegionOfInterest(image, size, [one.start for one in box])
        inside = lesion.inside.view(np.uint8)
    else:
        inside = np.zeros(image.GetSize()[::-1], dtype=np.uint8)
        inside[lesion.box] = lesion.inside
    mask = sitk.GetImageFromArray(inside)
    mask.CopyInformation(image)
    return compute_features(image, mask, parameters)


def shape_classes(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the feature classes of shape among those that are computed; none named means all."""
    classes = parameters["featureClass"] or {"shape": None}
    return {name: own for name, own in classes.items() if name.startswith("shape")}


def _shape_alone(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters without what intensities are needed for."""
    classes = shape_classes(parameters)
    return {**parameters, "featureClass": classes, "imageType": {"Original": {}}}


def _is_local(parameters: Mapping[str, Any]) -> bool:
    """Whether no voxel outside the lesion's box matters, so that the rest need not be passed."""
    setting = parameters["setting"]
    return (
        list(parameters["imageType"]) == ["Original"]
        and not parameters["imageType"]["Original"]
        and not setting.get("resampledPixelSpacing")
        and not setting.get("normalize")
    )


def _position(image: sitk.Image, lesion: Region) -> np.ndarray:
    """Return the centroid in mm, z-y-x."""
    index = lesion.centroid[::-1].tolist()
    return np.array(image.TransformContinuousIndexToPhysicalPoint(index))[::-1]


def _patches(
    image: sitk.Image, lesions: list[Region], plan: Plan, notes: dict[str, str], *, whole: bool
) -> dict[str, np.ndarray]:
    """Crop the patch of each lesion that is measured in full; of others it is empty."""
    n_dim = image.GetDimension()
    shape = plan.patch_shape or ()
    if len(shape) < n_dim:
        raise CaseError(
            f"the image is {n_dim}-D of shape {image.GetSize()[::-1]}, but patch_shape={shape} "
            f"has {len(shape)} numbers; give {n_dim}"
        )
    full = (len(lesions), 1, *shape[-n_dim:])
    patches, masks = np.zeros(full, dtype=np.float32), np.zeros(full, dtype=np.bool_)
    spacing = np.full((len(lesions), n_dim), np.nan)
    cut = []
    for i, one in enumerate(lesions):
        if one.status != OK:
            continue
        patch = crop_patch(image, one, full[2:], plan.patch_spacing, margin=0 if whole else 1)
        patches[i], masks[i], spacing[i] = patch.values, patch.inside, patch.spacing
        if not patch.complete:
            cut.append(float((one.extent * image.GetSpacing()[::-1]).max()))
    if cut:
        notes["cut"] = f"{len(cut)} of {len(lesions)} lesions, the largest {max(cut):.0f} mm"
    return {"patches": patches, "masks": masks, "spacing": spacing}
