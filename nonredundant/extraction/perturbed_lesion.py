"""Measure a perturbed lesion: noise, mask and grid are changed in a part of the image.

The order is that of Zwanenburg et al. 2019: noise, then growth of the mask, then its contour, and
the turned and shifted grid, on which image and mask are interpolated once.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nonredundant.extraction.memory import check_grid, memory_limit
from nonredundant.extraction.one_case import (
    Plan,
    depends_on_box_alone,
    region_features,
    shape_alone,
)
from nonredundant.extraction.patches import Patch, PatchGrid, crop_channel, turned_grid
from nonredundant.extraction.perturbations import Perturbation
from nonredundant.extraction.perturbed_masks import (
    depth_of,
    grown,
    noise_level,
    randomised,
    supervoxel_edge,
    supervoxels,
)
from nonredundant.extraction.regions import OK, Region, find_regions
from nonredundant.extraction.resampling import (
    feature_spacing,
    interpolator_of,
    is_resampled,
    normalised,
    without_resampling,
)
from nonredundant.extraction.settings import for_dimension
from nonredundant.io.errors import CaseError

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Voxels around the new grid that interpolation reads: a cubic spline's weight falls to 4e-4.
_CONTEXT = 6
#: Voxels of a patch that smoothing reads around it: three standard deviations are 1.3 at most.
_SMOOTHED = 1.3
#: Share of a voxel that lies in the lesion from which on it belongs to the mask, but for rounding.
_HALF = 0.5 - 1e-6
#: Share of a lesion's extent by which its border moves where its volume grows by half.
_GROWTH = 0.08
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
        limit = memory_limit(plan.max_memory)
        check_grid(region.extent[::-1], self.old, self.spacing, self.padding, limit)
        self.first, self.last = (
            np.array([getattr(one, end) for one in region.box[::-1]]) for end in ("start", "stop")
        )
        # The border may move by a supervoxel, and as far as a growth by half needs.
        edge = supervoxel_edge(region.inside, self.old[::-1])
        room = np.ceil((edge + _GROWTH * region.extent[::-1] * self.old) / self.old).astype(int)
        low = np.maximum(self.first - room, 0)
        high = np.minimum(self.last + room, image.GetSize())
        #: The box within which the mask may change: its first index, x-y-z, and its slices.
        self.corner, self.core = low, _slices(low, high)
        self.inside = np.zeros((high - low)[::-1], dtype=bool)
        self.inside[_slices(self.first - low, self.last - low)] = region.inside

    @cached_property
    def values(self) -> np.ndarray:
        """Intensities of the core."""
        import SimpleITK as sitk

        return sitk.GetArrayViewFromImage(self.image)[self.core].astype(np.float64)

    @cached_property
    def noise(self) -> float:
        """The image's own noise around the lesion."""
        return noise_level(self.values)

    @cached_property
    def depth(self) -> np.ndarray:
        """Depth of the voxels of the core in the lesion."""
        return depth_of(self.inside, self.old[::-1])

    @cached_property
    def labels(self) -> np.ndarray:
        """Supervoxels of the core."""
        return supervoxels(self.values, self.inside, self.old[::-1])

    @cached_property
    def content(self) -> int:
        """A number that stands for the voxels of the lesion, whatever its place in a table."""
        return zlib.crc32(np.ascontiguousarray(self.values[self.inside]).tobytes())

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
    import SimpleITK as sitk

    plan, flat, image = lesion.plan, lesion.is_flat, lesion.image
    rng = np.random.default_rng([change.seed, lesion.content])
    core = _changed_mask(lesion, change, rng)
    frame = _Frame.of(lesion, change)
    index = np.argwhere(core)[:, ::-1] + lesion.corner
    points = (index - frame.anchor) * lesion.old @ frame.own
    ends = np.array([points.min(axis=0), points.max(axis=0)])
    grid = _feature_grid(lesion, frame, ends)
    grids = [grid]
    patch_grid = None
    if plan.patch_shape is not None and lesion.region.status == OK:
        shape = plan.patch_shape[-len(flat) :]
        box = frame.turn.T @ frame.origin + ends + np.array([[-0.5], [0.5]]) * lesion.old
        patch_grid = turned_grid(
            image, box, shape, plan.patch_spacing, turn=frame.turn, shift=frame.shift
        )
        grids.append(_around_patch(patch_grid, shape))
    low, high = _part(image, grids)
    low, high = np.minimum(low, lesion.corner), np.maximum(high, lesion.corner + core.shape[::-1])
    values = sitk.GetArrayViewFromImage(image)[_slices(low, high)].astype(np.float64)
    mask = np.zeros(values.shape, dtype=np.uint8)
    start = lesion.corner - low
    mask[_slices(start, start + core.shape[::-1])] = core
    if change.noise > 0 and lesion.noise > 0:
        values += change.noise * lesion.noise * rng.standard_normal(values.shape)
    changed, inside = sitk.GetImageFromArray(values), sitk.GetImageFromArray(mask)
    for one in (changed, inside):
        one.SetSpacing(image.GetSpacing())
        one.SetDirection(image.GetDirection())
        one.SetOrigin(image.TransformIndexToPhysicalPoint(low.tolist()))
    features = _features(lesion, changed, inside, grid)
    if patch_grid is None:
        return PerturbedLesion(features, None)
    share = crop_channel(sitk.Cast(inside, sitk.sitkFloat32), patch_grid, shape)
    # At least one voxel of a lesion thinner than the voxels of the patch is kept.
    kept = (share >= min(_HALF, share.max())) & (share > 0)
    patch = Patch(crop_channel(changed, patch_grid, shape), kept, patch_grid.spacing, True)
    return PerturbedLesion(features, patch)


class _Frame(NamedTuple):
    """The turned axes of the new grid, x-y-z.

    Attributes
    ----------
    anchor : array
        Index, in the image, of the node about which the grid turns.
    origin : array
        The anchor in the world, in mm.
    own, turn : array
        Directions of the turned axes along those of the image, and in the world; column i is
        axis i.
    shift : array
        Shift along the turned axes in voxels.
    """

    anchor: np.ndarray
    origin: np.ndarray
    own: np.ndarray
    turn: np.ndarray
    shift: np.ndarray

    @classmethod
    def of(cls, lesion: LesionToPerturb, change: Perturbation) -> _Frame:
        """Turn the grid of a lesion's features."""
        flat, image = lesion.is_flat, lesion.image
        ratio = lesion.spacing / lesion.old
        # pyradiomics: the corners of the two grids coincide, not the centres of their voxels.
        start = 0.5 * (ratio - 1)
        centre = (lesion.first + lesion.last - 1) / 2
        anchor = start + np.round((centre - start) / ratio) * ratio
        # A sheet that lies across the slices has no voxels on a turned grid.
        own = _rotation(0.0 if flat[:2].any() else change.rotation, len(flat))
        return cls(
            anchor=anchor,
            origin=np.array(image.TransformContinuousIndexToPhysicalPoint(anchor.tolist())),
            own=own,
            turn=np.array(image.GetDirection()).reshape(own.shape) @ own,
            shift=np.where(flat, 0.0, change.translation[: len(flat)]),
        )


class _Grid(NamedTuple):
    """A grid in the world: its first voxel, axes (columns), voxel size and number of voxels.

    `is_turned` says whether it is another grid than that of the extraction.
    """

    origin: np.ndarray
    axes: np.ndarray
    spacing: np.ndarray
    size: np.ndarray
    is_turned: bool = True

    def corners(self) -> np.ndarray:
        """Return the outermost voxels in the world, one row each."""
        ends = np.array(list(itertools.product((0, 1), repeat=len(self.size))))
        return self.origin + ends * (self.size - 1) * self.spacing @ self.axes.T


def _feature_grid(lesion: LesionToPerturb, frame: _Frame, ends: np.ndarray) -> _Grid:
    """Return the grid of the features around a mask, whose ends are in mm along its axes."""
    low = np.floor(ends[0] / lesion.spacing - frame.shift) - lesion.padding
    high = np.ceil(ends[1] / lesion.spacing - frame.shift) + lesion.padding
    origin = frame.origin + frame.turn @ ((low + frame.shift) * lesion.spacing)
    is_turned = bool(frame.shift.any() or not np.array_equal(frame.own, np.eye(len(low))))
    return _Grid(origin, frame.turn, lesion.spacing, high - low + 1, is_turned)


def _around_patch(grid: PatchGrid, shape: Sequence[int]) -> _Grid:
    """Return the grid of a patch with what is read around it."""
    size = np.array(shape[::-1]) + 2 * math.ceil(_SMOOTHED)
    axes = grid.axes[::-1, ::-1]
    origin = grid.centre[::-1] - axes @ ((size - 1) / 2 * grid.spacing)
    return _Grid(origin, axes, np.full(len(size), grid.spacing), size)


def _part(image: sitk.Image, grids: Sequence[_Grid]) -> tuple[np.ndarray, np.ndarray]:
    """Return the box of an image that grids read: its first index, x-y-z, and its end."""
    corners = np.concatenate([grid.corners() for grid in grids])
    index = np.array([image.TransformPhysicalPointToContinuousIndex(c.tolist()) for c in corners])
    last = np.array(image.GetSize()) - 1
    low = np.clip(np.floor(index.min(axis=0)) - _CONTEXT, 0, last)
    high = np.clip(np.ceil(index.max(axis=0)) + _CONTEXT, 0, last) + 1
    return low.astype(int), high.astype(int)


def _changed_mask(
    lesion: LesionToPerturb, change: Perturbation, rng: np.random.Generator
) -> np.ndarray:
    """Return the mask within the core after growth and with another contour."""
    inside = grown(lesion.depth, change.volume, rng) if change.volume else lesion.inside
    return randomised(inside, lesion.labels, rng) if change.contour else inside


def _rotation(degrees: float, n_dim: int) -> np.ndarray:
    """Return the rotation in the plane of the slices; column i is where axis i goes, x-y-z."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = np.eye(n_dim)
    turn[:2, :2] = [[cosine, -sine], [sine, cosine]]
    return turn


def _features(
    lesion: LesionToPerturb, image: sitk.Image, inside: sitk.Image, grid: _Grid
) -> dict[str, float]:
    """Interpolate a changed image and mask on the turned grid, and compute the features."""
    import SimpleITK as sitk

    setting = lesion.parameters["setting"]
    where = {
        "size": grid.size.astype(int).tolist(),
        "outputOrigin": grid.origin.tolist(),
        "outputSpacing": grid.spacing.tolist(),
        "outputDirection": grid.axes.ravel().tolist(),
    }
    values = sitk.Resample(
        normalised(image, lesion.by, setting),
        interpolator=interpolator_of(setting),
        useNearestNeighborExtrapolator=True,
        **where,
    )
    if grid.is_turned:
        # The nearest voxels of a turned mask have a rougher surface than any drawn mask.
        share = sitk.Resample(sitk.Cast(inside, sitk.sitkFloat32), **where)
        found = (sitk.GetArrayViewFromImage(share) >= _HALF).view(np.uint8)
    else:
        mask = sitk.Resample(inside, interpolator=sitk.sitkNearestNeighbor, **where)
        found = sitk.GetArrayFromImage(mask)
    if not found.any():
        raise CaseError("no voxel of the grid of the features lies in the perturbed lesion")
    regions, _ = find_regions(
        found,
        lesions="label",
        label=1,
        min_voxels=1,
        min_dims=setting.get("minimumROIDimensions", 2),
    )
    if lesion.plan.modality == "CT":
        # As IBSI asks for Hounsfield units, and as the extraction does.
        values = sitk.Round(values)
    left = without_resampling(lesion.parameters)
    return region_features(values, regions[0], left, lesion.plan)[0]
