"""Measure a perturbed lesion: noise, mask and grid are changed in a part of the image.

The order is that of Zwanenburg et al. 2019: noise, then growth of the mask, then its contour, and
the turned and shifted grid, on which image and mask are interpolated once.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nonredundant.extraction.memory import check_grid, memory_limit
from nonredundant.extraction.one_case import (
    Plan,
    depends_on_box_alone,
    patch_shape_of,
    shape_alone,
    shape_classes,
)
from nonredundant.extraction.patches import Patch, axes_to_lps, matched_blur
from nonredundant.extraction.perturbations import Perturbation
from nonredundant.extraction.perturbed_masks import (
    depth_of,
    grown,
    noise_level,
    randomised,
    reach_of,
    room_to_grow,
    supervoxel_size,
    supervoxels,
)
from nonredundant.extraction.radiomics import compute_features
from nonredundant.extraction.regions import OK, Region, box_of
from nonredundant.extraction.resampling import (
    feature_spacing,
    interpolator_of,
    is_resampled,
    normalised,
    without_resampling,
)
from nonredundant.extraction.settings import for_dimension
from nonredundant.extraction.turned_grids import TurnedGrid, cubic, linear, nearest, share
from nonredundant.io.errors import CaseError

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Voxels around the new grid that interpolation reads: a cubic spline's weight falls to 4e-4.
_SPLINE = 6
#: Voxels of a patch that smoothing reads around it: three standard deviations are 1.3 at most.
_SMOOTHED = 2
#: Share of a voxel that lies in the lesion from which on it belongs to the mask, but for rounding.
_HALF = 0.5 - 1e-6
#: Standard deviations of no smoothing.
_UNSMOOTHED = np.zeros(3)
#: Voxels around a lesion that filters of images read which are not resampled.
_FILTERED = 16


class PerturbedLesion(NamedTuple):
    """Features of a perturbed lesion, and its patch if there is one."""

    features: dict[str, float]
    patch: Patch | None


class LesionToPerturb:
    """A lesion, and what all of its perturbations need, each thing once.

    Nothing here depends on which perturbations are made, so that each gives the same values in
    whatever company.

    Parameters
    ----------
    image : SimpleITK.Image
        The whole image.
    region : Region
        The lesion.
    plan : Plan
        What is measured.
    by : tuple of float or None
        Mean and spread of the image, where the settings standardise by them.

    Raises
    ------
    CaseMemoryError
        If the lesion needs too much memory on the grid of the features.
    """

    def __init__(
        self, image: sitk.Image, region: Region, plan: Plan, by: tuple[float, float] | None
    ) -> None:
        self.image, self.region, self.plan, self.by = image, region, plan, by
        n_dim = image.GetDimension()
        parameters = plan.parameters if region.status == OK else shape_alone(plan.parameters)
        self.parameters = for_dimension(parameters, n_dim)
        self.old = np.array(image.GetSpacing())
        self.spacing = feature_spacing(image, region, self.parameters)
        self.padding = _padding(self.parameters, n_dim)
        self.limit = memory_limit(plan.max_memory)
        check_grid(region.extent[::-1], self.old, self.spacing, self.padding, self.limit)
        self.first, self.last = (
            np.array([getattr(one, end) for one in region.box[::-1]]) for end in ("start", "stop")
        )
        #: Edges of the supervoxels in voxels, z-y-x.
        self.edges = supervoxel_size(region.inside, self.old[::-1])
        room = np.ceil(room_to_grow(region.inside, self.old[::-1]) / self.old).astype(int) + 1
        #: First index, x-y-z, of the box within which the mask may grow.
        self.corner, end = self._box(room)
        self.inside = np.zeros((end - self.corner)[::-1], dtype=bool)
        self.inside[_slices(self.first - self.corner, self.last - self.corner)] = region.inside
        low, high = self._box(room + self.edges[::-1])
        #: The box within which its contour may change, and how much larger that is on each side.
        self.around = _slices(low, high)
        self.margin = list(zip((self.corner - low)[::-1], (high - end)[::-1], strict=True))
        #: The order of array axes in the patch, and those that it flips.
        self.order, self.flipped = axes_to_lps(image)

    @cached_property
    def reads_intensities(self) -> bool:
        """Whether the features need more than the mask."""
        classes, setting = self.parameters["featureClass"], self.parameters["setting"]
        is_shape = bool(classes) and classes == shape_classes(self.parameters)
        return not is_shape or setting.get("resegmentRange") is not None

    def _box(self, room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the first index and the end, x-y-z, of the box of the lesion with some room."""
        return np.maximum(self.first - room, 0), np.minimum(self.last + room, self.image.GetSize())

    @cached_property
    def values(self) -> np.ndarray:
        """Intensities of the lesion and its surroundings."""
        import SimpleITK as sitk

        return sitk.GetArrayViewFromImage(self.image)[self.around].astype(np.float64)

    @cached_property
    def noise(self) -> float:
        """The image's own noise around the lesion."""
        return noise_level(self.values)

    @cached_property
    def depth(self) -> np.ndarray:
        """Depth of the voxels in the lesion, within the box in which it may grow."""
        return depth_of(self.inside, self.old[::-1])

    @cached_property
    def reach(self) -> float:
        """Least depth of a voxel of any perturbed mask, but for its contour."""
        return reach_of(self.depth)

    @cached_property
    def labels(self) -> np.ndarray:
        """Supervoxels of the surroundings."""
        inside, reached = (
            np.pad(one, self.margin) for one in (self.inside, self.depth >= self.reach)
        )
        return supervoxels(self.values, inside, reached, self.edges)

    @cached_property
    def content(self) -> int:
        """A number that stands for the voxels of the lesion, whatever its place in a table."""
        import SimpleITK as sitk

        box = sitk.GetArrayViewFromImage(self.image)[self.region.box]
        return zlib.crc32(box[self.region.inside].astype(np.float64).tobytes())

    @property
    def is_flat(self) -> np.ndarray:
        """Along which axes the lesion is one slice thick, x-y-z."""
        return self.region.extent[::-1] == 1


def _slices(low: np.ndarray, high: np.ndarray) -> tuple[slice, ...]:
    """Return the slices, z-y-x, of a box whose ends are given as x-y-z."""
    return tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))


def _padding(parameters: Mapping[str, Any], n_dim: int) -> int:
    """Return the voxels around a lesion that its features may read."""
    if is_resampled(parameters, n_dim):
        return int(parameters["setting"].get("padDistance", 5))
    return 1 if depends_on_box_alone(without_resampling(parameters)) else _FILTERED


def perturbed(lesion: LesionToPerturb, change: Perturbation) -> PerturbedLesion:
    """Perturb a lesion and measure it.

    Raises
    ------
    CaseError
        If the perturbed lesion cannot be measured.
    """
    plan = lesion.plan
    rng = np.random.default_rng([change.seed, lesion.content])
    core = _changed_mask(lesion, change, rng)
    frame = _Frame.of(lesion, change)
    index = np.argwhere(core.values)[:, ::-1] + core.corner
    points = (index - frame.anchor) * lesion.old @ frame.own
    ends = np.array([points.min(axis=0), points.max(axis=0)])
    grids = [_feature_grid(lesion, frame, ends)]
    if plan.patch_shape is not None and lesion.region.status == OK:
        grids.append(_patch_grid(lesion, frame, ends))
    changed = None
    if len(grids) > 1 or lesion.reads_intensities:
        changed = _changed_values(lesion, change, grids, rng)
    features = _features(lesion, changed, core, grids[0])
    if changed is None or len(grids) == 1:
        return PerturbedLesion(features, None)
    return PerturbedLesion(features, _patch(lesion, changed, core, grids[1]))


class _Part(NamedTuple):
    """Intensities or mask in a box of the image, and the first index of the box, x-y-z."""

    values: np.ndarray
    corner: np.ndarray

    def on(self, grid: _Grid) -> tuple[np.ndarray, TurnedGrid]:
        """Return the array in 3-D, and the places of a grid in it."""
        values = self.values if self.values.ndim == 3 else self.values[None]
        return values, grid.places.seen_from(self.corner)


class _Frame(NamedTuple):
    """The turned axes of the new grid, x-y-z.

    Attributes
    ----------
    anchor : array
        Index, in the image, of the node about which the grid turns.
    own : array
        Directions of the turned axes along those of the image; column i is axis i.
    shift : array
        Shift along the turned axes in voxels.
    """

    anchor: np.ndarray
    own: np.ndarray
    shift: np.ndarray

    @classmethod
    def of(cls, lesion: LesionToPerturb, change: Perturbation) -> _Frame:
        """Turn the grid of a lesion's features."""
        flat = lesion.is_flat
        ratio = lesion.spacing / lesion.old
        # pyradiomics: the corners of the two grids coincide, not the centres of their voxels.
        start = 0.5 * (ratio - 1)
        centre = (lesion.first + lesion.last - 1) / 2
        # A sheet that lies across the slices has no voxels on a turned grid.
        own = _rotation(0.0 if flat[:2].any() else change.rotation, len(flat))
        shift = np.where(flat, 0.0, change.translation[: len(flat)])
        return cls(start + np.round((centre - start) / ratio) * ratio, own, shift)


@dataclass(frozen=True)
class _Grid:
    """A grid along turned axes, x-y-z: its first voxel in mm from the anchor, voxel size and size.

    `context` and `room` are the voxels of the grid and of the image around it that are read.
    """

    frame: _Frame
    old: np.ndarray
    origin: np.ndarray
    spacing: np.ndarray
    size: np.ndarray
    context: int
    room: int

    @property
    def is_turned(self) -> bool:
        """Whether it is another grid than that of the extraction."""
        return bool(self.frame.shift.any() or self.frame.own[0, 1])

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and the highest index of the image at what is read."""
        sides = np.array(list(itertools.product((-1, 1), repeat=len(self.size))))
        half = (self.size - 1) / 2
        steps = half + sides * (half + self.context)
        index = (
            self.frame.anchor + (self.origin + steps * self.spacing) @ self.frame.own.T / self.old
        )
        return index.min(axis=0) - self.room, index.max(axis=0) + self.room

    def cropped(self, box: tuple[slice, ...]) -> _Grid:
        """Return the part of the grid in a box, z-y-x."""
        first = np.array([one.start for one in box[::-1]])
        size = np.array([one.stop for one in box[::-1]]) - first
        return replace(self, origin=self.origin + first * self.spacing, size=size)

    @cached_property
    def places(self) -> TurnedGrid:
        """Its places in the image as an array."""
        x, y, *z = (
            start + step * np.arange(n)
            for start, step, n in zip(self.origin, self.spacing, self.size, strict=True)
        )
        anchor, own, old = self.frame.anchor, self.frame.own, self.old
        columns, rows = (
            anchor[i] + (own[i, 0] * x + own[i, 1] * y[:, None]) / old[i] for i in range(2)
        )
        slices = anchor[2] + z[0] / old[2] if z else np.zeros(1)
        return TurnedGrid(slices, rows, columns)


def _feature_grid(lesion: LesionToPerturb, frame: _Frame, ends: np.ndarray) -> _Grid:
    """Return the grid of the features around a mask, whose ends are in mm along its axes."""
    low = np.floor(ends[0] / lesion.spacing - frame.shift) - lesion.padding
    high = np.ceil(ends[1] / lesion.spacing - frame.shift) + lesion.padding
    origin = (low + frame.shift) * lesion.spacing
    size = (high - low + 1).astype(int)
    return _Grid(frame, lesion.old, origin, lesion.spacing, size, context=0, room=_SPLINE)


def _patch_grid(lesion: LesionToPerturb, frame: _Frame, ends: np.ndarray) -> _Grid:
    """Place a patch around a mask as `crop_patch` does, but along the turned axes."""
    plan, order = lesion.plan, lesion.order
    size = np.empty(len(order), dtype=int)
    size[order] = patch_shape_of(lesion.image, plan)
    size = size[::-1]
    fitting = float(((ends[1] - ends[0] + lesion.old) / np.maximum(size - 2, 1)).max())
    step = fitting if plan.patch_spacing == "fit" else float(plan.patch_spacing)
    origin = ends.mean(axis=0) + (frame.shift - (size - 1) / 2) * step
    spacing = np.full(len(size), step)
    return _Grid(frame, lesion.old, origin, spacing, size, context=_SMOOTHED, room=1)


def _changed_mask(lesion: LesionToPerturb, change: Perturbation, rng: np.random.Generator) -> _Part:
    """Return the mask after growth and with another contour, cropped to its box."""
    inside, corner = lesion.inside, lesion.corner
    if change.volume:
        inside = grown(lesion.depth, change.volume, rng, lesion.reach)
    if change.contour:
        inside = randomised(np.pad(inside, lesion.margin), lesion.labels, rng)
        corner = corner - [before for before, _ in lesion.margin[::-1]]
    box = box_of(inside)
    return _Part(inside[box], corner + [one.start for one in box[::-1]])


def _rotation(degrees: float, n_dim: int) -> np.ndarray:
    """Return the rotation in the plane of the slices; column i is where axis i goes, x-y-z."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = np.eye(n_dim)
    turn[:2, :2] = [[cosine, -sine], [sine, cosine]]
    return turn


def _changed_values(
    lesion: LesionToPerturb, change: Perturbation, grids: Sequence[_Grid], rng: np.random.Generator
) -> _Part:
    """Return the intensities, with noise, of the box that grids read."""
    import SimpleITK as sitk

    ends = [grid.ends() for grid in grids]
    last = np.array(lesion.image.GetSize()) - 1
    low = np.min([one for one, _ in ends], axis=0)
    high = np.max([one for _, one in ends], axis=0)
    low = np.clip(np.floor(low), 0, last).astype(int)
    high = np.clip(np.ceil(high), 0, last).astype(int) + 1
    values = sitk.GetArrayViewFromImage(lesion.image)[_slices(low, high)].astype(np.float64)
    if change.noise > 0 and lesion.noise > 0:
        noise = rng.standard_normal(values.shape)
        noise *= change.noise * lesion.noise
        values += noise
    return _Part(values, low)


def _features(
    lesion: LesionToPerturb, changed: _Part | None, core: _Part, grid: _Grid
) -> dict[str, float]:
    """Interpolate changed intensities and mask on the turned grid, and compute the features."""
    import SimpleITK as sitk

    # The nearest voxels of a turned mask have a rougher surface than any drawn mask.
    found = (
        share(*core.on(grid), _UNSMOOTHED) >= _HALF if grid.is_turned else nearest(*core.on(grid))
    )
    found = found.reshape(grid.size[::-1])
    if not found.any():
        raise CaseError("no voxel of the grid of the features lies in the perturbed lesion")
    left = without_resampling(lesion.parameters)
    if depends_on_box_alone(left):
        box = box_of(found)
        grid, found = grid.cropped(box), found[box]
    mask = sitk.GetImageFromArray(found.view(np.uint8))
    if changed is not None and lesion.reads_intensities:
        image = sitk.GetImageFromArray(_interpolated(lesion, changed, grid))
        if lesion.plan.modality == "CT":
            # As IBSI asks for Hounsfield units, and as the extraction does.
            image = sitk.Round(image)
    else:
        image = sitk.GetImageFromArray(found.astype(np.int32))
    for one in (image, mask):
        one.SetSpacing(grid.spacing.tolist())
    plain = lesion.plan.plain_formulas
    return compute_features(image, mask, left, plain=plain, limit=lesion.limit)[0]


def _interpolated(lesion: LesionToPerturb, changed: _Part, grid: _Grid) -> np.ndarray:
    """Interpolate changed intensities for the features, as their settings say."""
    import SimpleITK as sitk

    setting, values = lesion.parameters["setting"], changed.values
    if lesion.by is not None:
        image = normalised(sitk.GetImageFromArray(values), lesion.by, setting)
        values = sitk.GetArrayFromImage(image)
    how, part = interpolator_of(setting), _Part(values, changed.corner)
    if how == sitk.sitkBSpline:
        return cubic(*part.on(grid)).reshape(grid.size[::-1])
    if how == sitk.sitkLinear:
        return linear(*part.on(grid), _UNSMOOTHED).reshape(grid.size[::-1])
    image, frame = sitk.GetImageFromArray(values), grid.frame
    image.SetSpacing(lesion.old.tolist())
    image.SetOrigin(((changed.corner - frame.anchor) * lesion.old).tolist())
    resampled = sitk.Resample(
        image,
        interpolator=how,
        useNearestNeighborExtrapolator=True,
        size=grid.size.tolist(),
        outputOrigin=(frame.own @ grid.origin).tolist(),
        outputSpacing=grid.spacing.tolist(),
        outputDirection=frame.own.ravel().tolist(),
    )
    return sitk.GetArrayFromImage(resampled)


def _patch(lesion: LesionToPerturb, changed: _Part, core: _Part, grid: _Grid) -> Patch:
    """Crop changed intensities and mask to the grid of the patch, in its order of axes."""
    deviations = (matched_blur(grid.spacing[0], lesion.old) / lesion.old)[::-1]
    deviations = np.append(np.zeros(3 - deviations.size), deviations)
    values, where = changed.on(grid)
    values, inside = (
        np.flip(
            one.reshape(grid.size[::-1]).transpose(lesion.order),
            tuple(np.flatnonzero(lesion.flipped)),
        )
        for one in (
            # Patches have single precision.
            linear(values.astype(np.float32), where, deviations),
            share(*core.on(grid), deviations),
        )
    )
    # At least one voxel of a lesion thinner than the voxels of the patch is kept.
    kept = (inside >= min(_HALF, inside.max())) & (inside > 0)
    return Patch(values[None], kept[None], float(grid.spacing[0]), True)
