"""Measure several images of a case: each by itself, in the space of the first one."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.extraction.beside import measure_beside
from nonredundant.extraction.case_table import ImageSources, Sources
from nonredundant.extraction.memory import CaseMemoryError, check_sources, memory_limit
from nonredundant.extraction.one_case import (
    NO_MASK,
    CaseFailure,
    CaseMeasurement,
    CaseResult,
    Crops,
    Plan,
    case_key,
    drawn_mask,
    measure_case,
    shape_classes,
    undisturbed,
)
from nonredundant.extraction.radiomics import feature_names
from nonredundant.extraction.regions import describe_unmeasured
from nonredundant.io.errors import CaseError
from nonredundant.io.images import content_key, has_grid, read_image, stands_alone
from nonredundant.lesions.images import parse_feature
from nonredundant.utils.cache import CacheError, KeptFunction
from nonredundant.utils.validation import InvalidParameterError

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class ImagesPlan:
    """What is measured of each of several images of a case, by their names.

    `shared`: the images have one mask, so that the shape is measured once, on the first image.
    `delta`: the two images whose features are compared, by `delta_as`: "delta" (differences), and
    "ratio".
    """

    plans: Mapping[str, Plan]
    shared: bool = True
    on_missing: str = "raise"
    delta: tuple[str, str] | None = None
    delta_as: tuple[str, ...] = ()

    @property
    def first(self) -> Plan:
        """The plan of the first image."""
        return next(iter(self.plans.values()))

    @property
    def patch_shape(self) -> tuple[int, ...] | None:
        """Number of voxels of a patch; None without patches."""
        return self.first.patch_shape

    @property
    def n_channels(self) -> int:
        """Number of channels of a patch."""
        return len(self.plans)

    @property
    def verbose(self) -> int:
        """What is printed."""
        return self.first.verbose

    @property
    def key(self) -> str:
        """Digest of what the values depend on."""
        parts = [f"{name}:{plan.key}" for name, plan in self.plans.items()]
        return hashlib.sha256("|".join([*parts, repr(self.shared)]).encode()).hexdigest()

    @property
    def settings(self) -> dict[str, Mapping[str, Any]]:
        """Pyradiomics' settings of each image."""
        return {name: plan.parameters["setting"] for name, plan in self.plans.items()}

    def with_masks(self, *, shared: bool) -> ImagesPlan:
        """Return the plan for cases whose images have one mask or masks of their own.

        Raises
        ------
        InvalidParameterError
            If the settings do not fit to the masks.
        """
        if not shared:
            if self.first.lesions == "components":
                raise InvalidParameterError(
                    "lesions='components' cannot be matched between masks of their own: give one "
                    "mask for all images, or label the lesions alike and set lesions='labels'"
                )
            return replace(self, shared=False)
        name, *others = self.plans
        if self.first.small_lesions == "shape" and not shape_classes(self.first.parameters):
            raise InvalidParameterError(
                "small_lesions='shape' needs the feature class 'shape' of the first image, "
                f"{name!r}; add it to its feature_classes or set small_lesions='drop'"
            )
        for other in others:
            self._check_one_mask(name, other)
        bare = {other: _without_shape(other, self.plans[other]) for other in others}
        return replace(self, plans={name: self.first, **bare}, shared=True)

    def _check_one_mask(self, name: str, other: str) -> None:
        """Raise if two images are to read one mask in two ways."""
        one, two = self.plans[name], self.plans[other]
        for part in ("label", "label_channel", "roi", "fill_slices"):
            if getattr(one, part) != getattr(two, part):
                raise InvalidParameterError(
                    f"images have one mask, but {part} is {getattr(one, part)!r} for {name!r} and "
                    f"{getattr(two, part)!r} for {other!r}; set it for all images, or give each a "
                    "mask of its own"
                )
        if shape_classes(two.parameters) and not shape_classes(one.parameters):
            raise InvalidParameterError(
                f"images have one mask, so that shape is measured once, on {name!r}, whose "
                f"feature_classes lack it and those of {other!r} have it; add 'shape' to those of "
                f"{name!r}"
            )

    def hcr(self, n_dim: int) -> list[str]:
        """List the columns of the features."""
        columns = [
            self.column(image, name)
            for image, plan in self.plans.items()
            for name in feature_names(plan.parameters, n_dim)
        ]
        return columns + [new for new, *_ in self.pairs(columns)]

    def pairs(self, columns: Sequence[str]) -> list[tuple[str, str, str, str]]:
        """Return the columns that compare two images: name, kind, and the columns of the two."""
        if self.delta is None:
            return []
        after, before = (f"{name}_" for name in self.delta)
        known = set(columns)
        return [
            (f"{kind}_{feature}", kind, name, before + feature)
            for kind in self.delta_as
            for name in columns
            if name.startswith(after) and before + (feature := name.removeprefix(after)) in known
        ]

    def column(self, image: str, name: str) -> str:
        """Return the column of a feature: with the name of its image, except for a common shape."""
        parts = parse_feature(name)
        is_shape = parts is not None and parts.feature_class == "shape"
        return name if self.shared and is_shape else f"{image}_{name}"

    def content(self) -> dict[str, Any]:
        """Return the settings in JSON types, by image."""
        return {
            # A store sorts the names of a dictionary; the channels of the patches have an order.
            "channels": list(self.plans),
            "images": {name: plan.content() for name, plan in self.plans.items()},
            "shared_mask": self.shared,
            "on_missing": self.on_missing,
            "delta": None if self.delta is None else [*self.delta, *self.delta_as],
        }


def _without_shape(name: str, plan: Plan) -> Plan:
    """Return a plan without the classes of shape."""
    from nonredundant.extraction.settings import CLASSES

    classes = plan.parameters["featureClass"] or dict.fromkeys(CLASSES)
    rest = {one: own for one, own in classes.items() if not one.startswith("shape")}
    if not rest:
        raise InvalidParameterError(
            f"images have one mask, so that shape is measured once, on the first image, and "
            f"nothing is left to measure of {name!r}; add another feature class, for instance "
            "'firstorder'"
        )
    return replace(plan, parameters={**plan.parameters, "featureClass": rest})


def measure_images(
    sources: ImageSources, plan: ImagesPlan, memory: Any, kept: KeptFunction | None
) -> CaseResult:
    """Measure all images of a case, or give the reason why that is impossible.

    Parameters
    ----------
    sources : ImageSources
        The images with their masks.
    plan : ImagesPlan
        What is measured of them.
    memory : path, joblib.Memory or None
        Cache of single images.
    kept : KeptFunction or None
        The measurement of a case of one image through this cache, which the first image uses.

    Returns
    -------
    CaseMeasurement or CaseFailure
        The values of all images, in the order of the plan.
    """
    present = [name for name in plan.plans if sources.parts[name].image is not None]
    missing = tuple(name for name in plan.plans if name not in present)
    fault = _fault_of_missing(missing, plan)
    if fault:
        return CaseFailure(fault, is_file_error=False)
    case = _Case(sources, plan, memory, kept)
    found: dict[str, CaseMeasurement] = {}
    with undisturbed(plan.verbose):
        for name in present:
            try:
                result = case.measure_first() if not found else case.measure_other(name, found)
            except CacheError:
                raise
            except Exception as error:
                result = CaseFailure.from_error(error)
            if isinstance(result, CaseFailure):
                return replace(result, reason=f"image {name!r}: {result.reason}")
            found[name] = result
    return _merged(found, missing, plan)


def _fault_of_missing(missing: tuple[str, ...], plan: ImagesPlan) -> str:
    """Describe why a case that lacks images cannot be measured; empty if it can be."""
    if not missing:
        return ""
    names = ", ".join(repr(name) for name in missing)
    if plan.on_missing == "raise":
        return (
            f"the cells of the images {names} are empty; give the images, leave the case out, or "
            "set on_missing='nan' to measure the others"
        )
    first = next(iter(plan.plans))
    if first in missing:
        return (
            f"the first image, {first!r}, is missing, on whose grid shape and patches are made; "
            "leave the case out, or name an image first that every case has"
        )
    return ""


class _Case:
    """The images of one case, measured one after the other, so that one is in memory at a time."""

    def __init__(
        self, sources: ImageSources, plan: ImagesPlan, memory: Any, kept: KeptFunction | None
    ) -> None:
        self.sources, self.plan, self.memory, self.kept = sources, plan, memory, kept
        self.name = next(iter(plan.plans))
        # A mask that needs no image to be read is read anew for each; others are drawn once.
        self.drawn = sources.shared and not sources.whole and self._must_be_drawn()
        self._mask: sitk.Image | None = None
        self._first_image: sitk.Image | None = None
        self._notes: dict[str, str] = {}
        # One image is in memory at a time, and each is checked before any is read.
        for name, one in sources.parts.items():
            if one.image is not None:
                try:
                    check_sources(one.image, one.mask, memory_limit(plan.first.max_memory))
                except CaseMemoryError as error:
                    raise CaseMemoryError(f"image {name!r}: {error}") from error

    def _must_be_drawn(self) -> bool:
        """Return whether the common mask is contours, an array, or to be cut into components."""
        if self.plan.first.lesions == "components":
            return True
        placed = any(has_grid(one.image) for one in self._present())
        mask = self.sources.first.mask
        return mask is not None and placed and not stands_alone(mask)

    def _present(self) -> list[Sources]:
        """Return the images that are there."""
        return [one for one in self.sources.parts.values() if one.image is not None]

    def measure_first(self) -> CaseResult:
        """Measure the first image, with the key that it has as the only image of a case."""
        if self.kept is None:
            return measure_case(*self._first())
        sources, plan = self.sources.first, self.plan.first
        key = case_key(sources, plan.key)
        if plan.lesions != "components" and not (self.drawn and self.name != self.sources.drawn_on):
            held = self.kept.holds(key, sources, plan)
            result = self.kept(key, *((sources, plan) if held else self._first()))
            if isinstance(result, CaseFailure) or result.space is not None:
                return result
        # Kept by an earlier version, without the place of the lesions; or of another mask.
        key = f"{key}-{self._drawing_key() if self.drawn else 'placed'}"
        return _kept(self.memory)(key, lambda: measure_case(*self._first()))

    def _first(self) -> tuple[Sources, Plan]:
        """Return the first image, with its mask as it is drawn if it must be, and its plan."""
        sources, plan = self.sources.first, self.plan.first
        if not self.drawn:
            return sources, plan
        sources, plan = self._on_drawn_mask(sources, plan)
        # It may have been read to draw the mask on it, and is not kept longer.
        image, self._first_image = self._first_image, None
        sources = replace(sources, notes=self._notes)
        return (sources if image is None else replace(sources, image=image)), plan

    def measure_other(self, name: str, found: Mapping[str, CaseMeasurement]) -> CaseResult:
        """Measure another image in the space of the first."""
        first = found[self.name].space
        if first is None:
            raise RuntimeError("the first image was measured without its place")
        space = replace(first, name=self.name)
        sources, plan = self.sources.parts[name], self.plan.plans[name]

        def measure() -> CaseResult:
            own = self._on_drawn_mask(sources, plan) if self.drawn else (sources, plan)
            in_space = self.sources.shared or plan.patch_shape is not None
            try:
                return measure_beside(*own, space, shared=self.sources.shared, in_space=in_space)
            except CaseError as error:
                return CaseFailure.from_error(error)

        if self.kept is None:
            return measure()
        parts = [case_key(sources, plan.key), space.digest(), repr(self.sources.shared)]
        if self.drawn:
            parts.append(self._drawing_key())
        key = hashlib.sha256("|".join(parts).encode()).hexdigest()
        return _kept(self.memory)(key, measure)

    def _drawing_key(self) -> str:
        """Return a digest of the image on which the mask is drawn, and of how."""
        image = self.sources.parts[self.sources.drawn_on]
        plan = self.plan.plans[self.sources.drawn_on]
        return "-".join([content_key(image.image, image.spacing), plan.key])

    def _on_drawn_mask(self, sources: Sources, plan: Plan) -> tuple[Sources, Plan]:
        """Return an image with the drawn mask, in which each component has a label of its own."""
        if self._mask is None:
            self._mask = self._draw()
        lesions = "labels" if plan.lesions == "components" else plan.lesions
        own = replace(plan, lesions=lesions, roi=None, label_channel=None)
        return replace(sources, mask=self._mask), own

    def _draw(self) -> sitk.Image:
        """Read the common mask on the image that it is drawn on."""
        name = self.sources.drawn_on
        source, plan = self.sources.parts[name], self.plan.plans[name]
        if source.image is None:
            raise CaseError(f"the mask is drawn on the image {name!r}, which is missing")
        if source.mask is None:
            raise CaseError(NO_MASK)
        image = read_image(source.image, spacing=source.spacing)
        mask = drawn_mask(image, source, plan, self._notes)
        if name == self.name and has_grid(source.image):
            self._first_image = image
        return _components(mask, plan, self._notes) if plan.lesions == "components" else mask


def _components(mask: sitk.Image, plan: Plan, notes: dict[str, str]) -> sitk.Image:
    """Give each connected component of a label a label of its own."""
    import SimpleITK as sitk

    inside = sitk.GetArrayViewFromImage(mask) == plan.label
    if not inside.any():
        raise CaseError(
            f"label {plan.label} is not in the mask, or the mask is empty; set `label` to one "
            "that it has, draw the lesion, or drop the case"
        )
    others = describe_unmeasured(sitk.GetArrayViewFromImage(mask), plan.lesions, plan.label)
    if others:
        notes["labels"] = others
    image = sitk.GetImageFromArray(inside.view(np.uint8))
    image.CopyInformation(mask)
    return sitk.ConnectedComponent(image, True)


def _kept(memory: Any) -> KeptFunction:
    """Wrap the measurement of an image with a cache on disk, which compares only the keys."""
    return KeptFunction(memory, _measure_by_key, ignore=["measure"])


def _measure_by_key(key: str, measure: Callable[[], CaseResult]) -> CaseResult:
    """Measure the image with this cache key."""
    return measure()


def _merged(
    found: Mapping[str, CaseMeasurement], missing: tuple[str, ...], plan: ImagesPlan
) -> CaseMeasurement:
    """Put the values of all images together: columns side by side, patches as channels."""
    first = next(iter(found.values()))
    notes: dict[str, str] = {}
    for name, one in found.items():
        for kind, note in one.notes.items():
            notes[kind] = f"{notes[kind]}; {name}: {note}" if kind in notes else f"{name}: {note}"
    if missing:
        notes["absent"] = ", ".join(missing)
    names = [plan.column(image, name) for image, one in found.items() for name in one.names]
    features = np.hstack([one.features for one in found.values()])
    compared = _compared(names, features, plan)
    return CaseMeasurement(
        n_dim=first.n_dim,
        joined_names="\n".join([*names, *compared]),
        features=np.column_stack([features, *compared.values()]),
        positions=first.positions,
        status=first.status,
        levels={
            f"{name} {image_type}": pairs
            for name, one in found.items()
            for image_type, pairs in one.levels.items()
        },
        notes=notes,
        crops=_stacked(found, plan),
        missing=missing,
        interval=_interval(found, plan),
    )


def _compared(
    names: Sequence[str], features: np.ndarray, plan: ImagesPlan
) -> dict[str, np.ndarray]:
    """Compute the differences and ratios of the features of two images, lesion by lesion.

    The ratio to 0 is NaN.
    """
    place = {name: i for i, name in enumerate(names)}
    found = {}
    for name, kind, after, before in plan.pairs(names):
        new, old = features[:, place[after]], features[:, place[before]]
        if kind == "ratio":
            found[name] = np.divide(new, old, out=np.full(len(old), np.nan), where=old != 0)
        else:
            found[name] = new - old
    return found


def _interval(found: Mapping[str, CaseMeasurement], plan: ImagesPlan) -> float:
    """Return the days between two scans; NaN where DICOM does not say them."""
    if plan.delta is None or not set(plan.delta) <= set(found):
        return math.nan
    dates = [found[name].acquired for name in plan.delta]
    if not all(dates):
        return math.nan
    try:
        after, before = (datetime.strptime(one, "%Y%m%d") for one in dates)  # noqa: DTZ007
    except ValueError:
        return math.nan
    return float((after - before).days)


def _stacked(found: Mapping[str, CaseMeasurement], plan: ImagesPlan) -> Crops | None:
    """Stack the patches of all images as channels; those of a missing image are NaN."""
    first = next(iter(found.values())).crops
    if first is None:
        return None
    channels = []
    for name in plan.plans:
        crops = found[name].crops if name in found else None
        channels.append(np.full_like(first.patches, np.nan) if crops is None else crops.patches)
    return Crops(np.concatenate(channels, axis=1), first.masks, first.spacing)
