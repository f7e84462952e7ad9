"""Measure one image of a case, from its sources to values: `measure_case`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nonredundant.extraction.case_table import ImageSources, Sources
from nonredundant.extraction.magnitudes import check_magnitude
from nonredundant.extraction.memory import check_grid, check_sources, memory_limit
from nonredundant.extraction.patches import PatchGrid, crop_patch, patch_grid
from nonredundant.extraction.radiomics import compute_features, feature_names, quiet
from nonredundant.extraction.regions import (
    OK,
    Region,
    describe_unmeasured,
    find_regions,
    whole_image,
)
from nonredundant.extraction.resampling import is_resampled, resample_lesion
from nonredundant.extraction.settings import for_dimension
from nonredundant.extraction.space import (
    TOLD,
    Space,
    check_covered,
    frame_of,
    share_outside,
    space_of,
)
from nonredundant.io.errors import CaseError, ImageFileError
from nonredundant.io.geometry import align_mask
from nonredundant.io.hounsfield import check_hounsfield
from nonredundant.io.images import content_key, has_grid, read_image, read_mask, take_grid
from nonredundant.io.labels import distinct_labels
from nonredundant.io.series import acquisition_date, is_plane
from nonredundant.io.suv import check_suv, to_suv
from nonredundant.utils.context import one_blas_thread

if TYPE_CHECKING:
    import SimpleITK as sitk


#: Part of every cache key; raised whenever the same input gives other values, or their type.
FORMAT = 6
#: Why a case has no lesions if its mask is not given.
NO_MASK = "the mask cell is empty; give a mask or drop the case"
#: Begins the status of a case whose files cannot be read.
UNREADABLE = "unreadable: "
#: Fields of a plan that do not change values.
UNKEYED = ("verbose", "max_memory")


@dataclass(frozen=True)
class Plan:
    """What is measured of each case; `parameters` are in pyradiomics' layout.

    `as_stored`: images are resampled in the type of their file, as pyradiomics does. `max_memory`
    is in GiB.
    """

    parameters: Mapping[str, Any]
    lesions: str = "label"
    label: int = 1
    min_voxels: int = 8
    min_volume: float | None = None
    small_lesions: str = "drop"
    patch_shape: tuple[int, ...] | None = (32, 32, 32)
    patch_spacing: float | str = "fit"
    roi: str | None = None
    label_channel: int | None = None
    fill_slices: bool = False
    modality: str | None = None
    as_stored: bool = False
    max_memory: float | None = None
    plain_formulas: bool = False
    verbose: int = 0

    @property
    def n_channels(self) -> int:
        """Number of channels of a patch."""
        return 1

    @property
    def settings(self) -> dict[str, Mapping[str, Any]]:
        """Pyradiomics' settings of each image by its name, which a single image lacks."""
        return {"": self.parameters["setting"]}

    def hcr(self, n_dim: int) -> list[str]:
        """List the columns of the features."""
        return feature_names(self.parameters, n_dim)

    def content(self) -> dict[str, Any]:
        """Return the settings that change values, in JSON types."""
        content = {name: value for name, value in asdict(self).items() if name not in UNKEYED}
        content["patch_shape"] = None if self.patch_shape is None else list(self.patch_shape)
        return content

    @property
    def key(self) -> str:
        """Digest of the settings and of the versions that the values depend on."""
        import radiomics
        import SimpleITK as sitk

        settings = {name: value for name, value in asdict(self).items() if name not in UNKEYED}
        versions = [FORMAT, radiomics.__version__, sitk.Version.VersionString(), np.__version__]
        content = json.dumps([settings, versions], sort_keys=True, default=float)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class CaseFailure:
    """The reason why a case has no values, and whether a file causes it."""

    reason: str
    is_file_error: bool

    @classmethod
    def from_error(cls, error: Exception) -> CaseFailure:
        """Record the error of a case, also one that nobody foresaw."""
        reason = str(error).strip()
        if isinstance(error, MemoryError):
            reason = reason or "there is not enough memory for it"
        elif isinstance(error, RuntimeError):
            reason = f"SimpleITK failed: {reason}"
        elif not isinstance(error, CaseError | ImportError):
            reason = f"unexpected {type(error).__name__}: {reason}; are its files damaged?"
        return cls(reason, isinstance(error, OSError))

    @property
    def status(self) -> str:
        """The case's entry in `LesionTable.status`; it tells unreadable files from other faults."""
        return f"{UNREADABLE}{self.reason}" if self.is_file_error else self.reason

    def to_error(self, case: str) -> CaseError:
        """Build the error to raise for the named case."""
        kind = ImageFileError if self.is_file_error else CaseError
        return kind(f"{case}: {self.reason}")


class Crops(NamedTuple):
    """Patches of the lesions of a case, their masks, and their voxel sizes (mm, z-y-x)."""

    patches: np.ndarray
    masks: np.ndarray
    spacing: np.ndarray


@dataclass(frozen=True)
class CaseMeasurement:
    """The values of one case; each array has one row per lesion.

    `levels` has, for each image type, each lesion's number of grey levels and intensity range.
    `notes` has a description of each kind of irregularity (see `case_warnings`).
    """

    n_dim: int
    # One string: joblib reads a cached list name by name, which takes longer than all else.
    joined_names: str
    features: np.ndarray
    positions: np.ndarray
    status: list[str]
    levels: dict[str, list[tuple[int, float]]]
    notes: dict[str, str]
    #: None if the plan has no patches.
    crops: Crops | None
    #: Where the image and its lesions lie; None for results of earlier versions.
    space: Space | None = None
    #: Names of images that the case lacks, of several.
    missing: tuple[str, ...] = ()
    #: Date of the scan (YYYYMMDD), empty if it is not known.
    acquired: str = ""
    #: Days between two scans of the case, NaN if they are not known.
    interval: float = np.nan

    @property
    def names(self) -> list[str]:
        """Names of the features, the columns of `features`."""
        return self.joined_names.split("\n") if self.joined_names else []


#: Relative change of a lesion's volume by resampling above which a warning names the case.
_LARGE_CHANGE = 0.1
CaseResult = CaseMeasurement | CaseFailure


def case_key(sources: Sources | ImageSources, plan_key: str) -> str:
    """Compute the digest of a case's voxels, geometry and settings: its key in the cache."""
    if isinstance(sources, ImageSources):
        every = [
            case_key(one, name) for name, one in sources.parts.items() if one.image is not None
        ]
        parts = [plan_key, sources.drawn_on, *every]
        return hashlib.sha256("|".join(parts).encode()).hexdigest()
    parts = [
        plan_key,
        content_key(sources.image, sources.spacing),
        # A case without a mask differs from one with any mask, and from one whose mask is missing.
        "whole" if sources.whole else ("" if sources.mask is None else content_key(sources.mask)),
    ]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def measure_case(sources: Sources, plan: Plan) -> CaseResult:
    """Measure the lesions of one case, or give the reason why that is impossible."""
    try:
        with undisturbed(plan.verbose):
            return _read_and_measure(sources, plan)
    except CaseError as error:
        return CaseFailure.from_error(error)


@contextlib.contextmanager
def undisturbed(verbose: int) -> Iterator[None]:
    """Compute on one thread, and print nothing, within the context."""
    with one_itk_thread(), one_blas_thread(), quiet(verbose), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


@contextlib.contextmanager
def one_itk_thread() -> Iterator[None]:
    """Run ITK on one thread: sums over an image depend on how threads share it."""
    import SimpleITK as sitk

    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


def _read_and_measure(sources: Sources, plan: Plan) -> CaseMeasurement:
    """Read image and mask, find the lesions, and measure and crop each of them."""
    check_sources(sources.image, sources.mask, memory_limit(plan.max_memory))
    image = read_image(sources.image, spacing=sources.spacing)
    frame, acquired = frame_of(image), acquisition_date(image)
    notes: dict[str, str] = dict(sources.notes or {})
    image = in_units(image, plan)
    regions, _ = read_regions(image, sources, plan, notes)
    regions, rows, levels = measure_regions(image, regions, plan, notes)
    note_place(image, regions, sources, plan, notes)
    crops: Crops | None = None
    grids: list[PatchGrid | None] = [None] * len(regions)
    if plan.patch_shape is not None:
        crops, grids = _crop_regions(image, regions, plan, notes, whole=sources.whole)
    located = has_grid(sources.image) and not is_plane(image)
    names, features = as_matrix(rows)
    return CaseMeasurement(
        n_dim=image.GetDimension(),
        joined_names="\n".join(names),
        features=features,
        positions=np.array([position_of(image, region) for region in regions]),
        status=[region.status for region in regions],
        levels=levels,
        notes=notes,
        crops=crops,
        space=space_of(image, frame, located, regions, grids),
        acquired=acquired,
    )


def in_units(image: sitk.Image, plan: Plan) -> sitk.Image:
    """Return an image in SUV if it is PET; raise if CT cannot be in Hounsfield units."""
    if plan.modality == "PET":
        return to_suv(image)
    if plan.modality == "CT":
        check_hounsfield(image)
    return image


def measure_regions(
    image: sitk.Image, regions: list[Region], plan: Plan, notes: dict[str, str]
) -> tuple[list[Region], list[dict[str, float]], dict[str, list[tuple[int, float]]]]:
    """Check the intensities, and compute features and grey levels of each lesion."""
    check_intensities(image, regions, plan)
    return _measure_regions(image, regions, plan, notes)


def check_intensities(image: sitk.Image, regions: list[Region], plan: Plan) -> None:
    """Raise if the intensities of an image or of its lesions cannot be measured."""
    import SimpleITK as sitk

    _check_voxels(image, regions)
    values = sitk.GetArrayViewFromImage(image)
    if plan.modality == "PET":
        check_suv(image, [values[one.box][one.inside] for one in regions])
    for one in regions:
        if one.status == OK:
            inside = values[one.box][one.inside]
            check_magnitude(inside, plan.parameters, has_patches=plan.patch_shape is not None)


def as_matrix(rows: list[dict[str, float]]) -> tuple[list[str], np.ndarray]:
    """Return the names of the features, and their values, one row per lesion."""
    names = max((list(row) for row in rows), key=len)
    return names, np.array([[row.get(name, np.nan) for name in names] for row in rows], float)


def note_place(
    image: sitk.Image, regions: list[Region], sources: Sources, plan: Plan, notes: dict[str, str]
) -> None:
    """Note lesions at the border of the image and flat ones, unless images are taken whole."""
    if sources.mask is not None:
        slicewise = bool(plan.parameters["setting"].get("force2D"))
        _note_border_and_flatness(image, regions, notes, slicewise)


def drawn_mask(
    image: sitk.Image, sources: Sources, plan: Plan, notes: dict[str, str]
) -> sitk.Image:
    """Read the mask of a case as the plan says, on the image that it is drawn on."""
    return read_mask(
        sources.mask,
        image,
        channel=plan.label_channel,
        roi=plan.roi,
        several=plan.lesions == "labels",
        located=has_grid(sources.image),
        fill_slices=plan.fill_slices,
        notes=notes,
    )


def read_regions(
    image: sitk.Image,
    sources: Sources,
    plan: Plan,
    notes: dict[str, str],
    space: Space | None = None,
) -> tuple[list[Region], list[int]]:
    """Read the mask, bring it onto the grid of the image and find the lesions in it.

    Also the labels of the mask, if each is a lesion. `space` is that of the image which the mask
    is drawn on, if it is another one, whose lesions this image may not cover.
    """
    import SimpleITK as sitk

    setting = plan.parameters["setting"]
    if sources.whole:
        return [whole_image(image.GetSize()[::-1])], []
    if sources.mask is None:
        raise CaseError(NO_MASK)
    mask = drawn_mask(image, sources, plan, notes)
    if has_grid(sources.mask) and not has_grid(sources.image):
        # A copy, so that the caller's mask keeps its geometry.
        mask = sitk.Image(mask)
        take_grid(image, mask, stated=sources.spacing is not None)
    if space is not None and mask.GetDimension() == image.GetDimension():
        outside = share_outside(mask, image)
        check_covered(outside, image, space)
        if outside > TOLD:
            notes["uncovered"] = f"{outside:.0%} of the lesion is missing"
    mask, resampled = align_mask(mask, image, setting.get("geometryTolerance"))
    if resampled is not None:
        notes["resampled"] = resampled
    regions, dropped = find_regions(
        sitk.GetArrayViewFromImage(mask),
        lesions=plan.lesions,
        label=plan.label,
        min_voxels=plan.min_voxels,
        min_dims=setting.get("minimumROIDimensions", 2),
        min_volume=plan.min_volume,
        small=plan.small_lesions,
        voxel=float(np.prod(image.GetSpacing())),
    )
    others = describe_unmeasured(sitk.GetArrayViewFromImage(mask), plan.lesions, plan.label)
    if others:
        notes["labels"] = others
    if dropped:
        notes["dropped"] = f"{dropped} dropped, {len(regions)} kept"
    drawn = []
    if plan.lesions == "labels":
        drawn = [int(one) for one in distinct_labels(sitk.GetArrayViewFromImage(mask))]
    return regions, drawn


def _check_voxels(image: sitk.Image, regions: list[Region]) -> None:
    """Raise if any voxel is NaN or infinite."""
    import SimpleITK as sitk

    values = sitk.GetArrayViewFromImage(image)
    # The sum needs one pass and no copy. It may also overflow, so the voxels are then checked.
    if values.dtype.kind != "f" or np.isfinite(values.sum(dtype=np.float64)):
        return
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    inside = sum(int(bad[region.box][region.inside].sum()) for region in regions)
    raise CaseError(
        f"{int(bad.sum()):,} of {values.size:,} voxels are NaN or infinite ({inside:,} of them "
        "inside the lesion); replace them, for instance by the intensity of the background"
    )


def _measure_regions(
    image: sitk.Image, regions: list[Region], plan: Plan, notes: dict[str, str]
) -> tuple[list[Region], list[dict[str, float]], dict[str, list[tuple[int, float]]]]:
    """Compute the features and grey levels of each lesion that pyradiomics can measure.

    Of several lesions, those that it rejects are dropped like those that are too thin on the
    image's own grid: on the grid that images are resampled to, a tiny one may be a single voxel.
    """
    kept: list[Region] = []
    rows: list[dict[str, float]] = []
    rejection = ""
    levels: dict[str, list[tuple[int, float]]] = {}
    changed = []
    for region in regions:
        if region.status != OK and not shape_classes(plan.parameters):
            # Its shape is that of another image.
            kept.append(region)
            rows.append({})
            continue
        parameters = plan.parameters if region.status == OK else shape_alone(plan.parameters)
        try:
            values, found = region_features(image, region, parameters, plan)
        except CaseError as error:
            rejection = rejection or str(error) + _on_grid(image, region, parameters)
            continue
        kept.append(region)
        rows.append(values)
        changed += _volume_change(image, region, values)
        for image_type, level in found.items():
            levels.setdefault(image_type, []).append(level)
    if not kept:
        raise CaseError(rejection)
    lost = len(regions) - len(kept)
    if lost:
        before = f"{notes['dropped']}; of these " if "dropped" in notes else ""
        notes["dropped"] = f"{before}{lost} dropped, {len(kept)} kept: {rejection}"
    if changed:
        worst = max(changed, key=abs)
        notes["regridded"] = f"{len(changed)} of {len(kept)} lesions, up to {worst:+.0%}"
    small = [one.status for one in kept if one.status != OK]
    if small:
        notes["small"] = f"{len(small)} of {len(kept)} lesions, the first {small[0]}"
    return kept, rows, levels


def _on_grid(image: sitk.Image, region: Region, parameters: Mapping[str, Any]) -> str:
    """Describe the grid of the features, if the lesion was resampled to it."""
    grid = parameters["setting"].get("resampledPixelSpacing")
    if not grid or [*grid] == [*image.GetSpacing()]:
        return ""
    own, new = ("×".join(f"{one:.3g}" for one in each) for each in (image.GetSpacing(), grid))
    return (
        f"; the lesion is measured on a grid of {new} mm, its mask has {region.n_voxels} voxels of "
        f"{own} mm, and spacing='native' keeps its grid, if {new} mm is too coarse"
    )


def _volume_change(image: sitk.Image, region: Region, values: Mapping[str, float]) -> list[float]:
    """Return the relative change of volume by resampling if it is large, as a list of one."""
    volume = values.get("original_shape_VoxelVolume")
    if volume is None:
        return []
    change = volume / (region.n_voxels * float(np.prod(image.GetSpacing()))) - 1
    return [change] if abs(change) > _LARGE_CHANGE else []


def region_features(
    image: sitk.Image, region: Region, parameters: Mapping[str, Any], plan: Plan
) -> tuple[dict[str, float], dict[str, tuple[int, float]]]:
    """Compute pyradiomics' features and the grey levels of one lesion."""
    import SimpleITK as sitk

    adapted = for_dimension(parameters, image.GetDimension())
    limit = memory_limit(plan.max_memory)
    options: dict[str, Any] = {"plain": plan.plain_formulas, "limit": limit}
    if is_resampled(adapted, image.GetDimension()):
        old, setting = np.array(image.GetSpacing()), adapted["setting"]
        new = np.array(setting["resampledPixelSpacing"], dtype=float)
        new = np.where(new == 0, old, new)
        check_grid(region.extent[::-1], old, new, setting.get("padDistance", 5), limit)
        if not plan.as_stored:
            image, mask, parameters = resample_lesion(
                image, region, adapted, rounded=plan.modality == "CT"
            )
            return compute_features(image, mask, parameters, **options)
    if depends_on_box_alone(parameters):
        box = region.box[::-1]
        size = [one.stop - one.start for one in box]
        image = sitk.RegionOfInterest(image, size, [one.start for one in box])
        inside = region.inside.view(np.uint8)
    else:
        inside = np.zeros(image.GetSize()[::-1], dtype=np.uint8)
        inside[region.box] = region.inside
    mask = sitk.GetImageFromArray(inside)
    mask.CopyInformation(image)
    return compute_features(image, mask, parameters, **options)


def shape_classes(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Select the shape classes among the feature classes; an empty list means all classes."""
    classes = parameters["featureClass"] or {"shape": None}
    return {name: own for name, own in classes.items() if name.startswith("shape")}


def shape_alone(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Restrict the parameters to features that need no intensities."""
    classes = shape_classes(parameters)
    return {**parameters, "featureClass": classes, "imageType": {"Original": {}}}


def depends_on_box_alone(parameters: Mapping[str, Any]) -> bool:
    """Check that voxels outside the lesion's bounding box do not influence its features."""
    setting = parameters["setting"]
    return (
        list(parameters["imageType"]) == ["Original"]
        and not parameters["imageType"]["Original"]
        and not setting.get("resampledPixelSpacing")
        and not setting.get("normalize")
    )


def _note_border_and_flatness(
    image: sitk.Image, regions: list[Region], notes: dict[str, str], slicewise: bool
) -> None:
    """Note lesions that are cut off by the border or one slice thick."""
    shape = image.GetSize()[::-1]
    cut = sum(region.touches_border(shape) for region in regions)
    if cut:
        notes["border"] = f"{cut} of {len(regions)} lesions"
    flat = sum(region.n_dims < image.GetDimension() for region in regions)
    if flat and not slicewise and image.GetDimension() == 3:
        notes["flat"] = f"{flat} of {len(regions)} lesions"


def position_of(image: sitk.Image, region: Region) -> np.ndarray:
    """Compute the centroid in mm, z-y-x."""
    index = region.centroid[::-1].tolist()
    return np.array(image.TransformContinuousIndexToPhysicalPoint(index))[::-1]


def patch_shape_of(image: sitk.Image, plan: Plan) -> tuple[int, ...]:
    """Return the shape of the patches of an image; raise if the plan has too few numbers."""
    n_dim, shape = image.GetDimension(), plan.patch_shape or ()
    if len(shape) < n_dim:
        raise CaseError(
            f"the image is {n_dim}-D of shape {image.GetSize()[::-1]}, but patch_shape={shape} "
            f"has {len(shape)} numbers; give {n_dim}"
        )
    return shape[-n_dim:]


def _crop_regions(
    image: sitk.Image, regions: list[Region], plan: Plan, notes: dict[str, str], *, whole: bool
) -> tuple[Crops, list[PatchGrid | None]]:
    """Crop the patch of each lesion that is measured in full; other patches stay empty."""
    n_dim = image.GetDimension()
    full = (len(regions), 1, *patch_shape_of(image, plan))
    patches, masks = np.zeros(full, dtype=np.float32), np.zeros(full, dtype=np.bool_)
    spacing = np.full((len(regions), n_dim), np.nan)
    grids: list[PatchGrid | None] = [None] * len(regions)
    cut = []
    for i, one in enumerate(regions):
        if one.status != OK:
            continue
        patch = crop_patch(image, one, full[2:], plan.patch_spacing, margin=0 if whole else 1)
        patches[i], masks[i], spacing[i] = patch.values, patch.inside, patch.spacing
        grids[i] = patch_grid(image, one, patch.spacing)
        if not patch.complete:
            cut.append(float((one.extent * image.GetSpacing()[::-1]).max()))
    if cut:
        notes["cut"] = f"{len(cut)} of {len(regions)} lesions, the largest {max(cut):.0f} mm"
    return Crops(patches, masks, spacing), grids
