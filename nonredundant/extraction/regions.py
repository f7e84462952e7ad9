"""Find the regions of a mask that are measured as lesions, order them, and sort out small ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import find_objects

from nonredundant.io.errors import CaseError
from nonredundant.io.labels import distinct_labels

#: Number of labels that a message names.
_SHOWN = 3
#: The status of a lesion that is measured in full.
OK = "ok"


@dataclass(frozen=True)
class Region:
    """One region of a mask: its bounding box in the image (slices z-y-x) and its voxels in it.

    `status` is "ok", or the reason why only the shape is measured.
    """

    box: tuple[slice, ...]
    inside: np.ndarray
    label: int
    status: str = OK

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.inside))

    @property
    def unit(self) -> str:
        """Unit of the volume; in 2-D that of an area."""
        return "mm²" if self.inside.ndim == 2 else "mm³"

    @property
    def extent(self) -> np.ndarray:
        """Size of the bounding box in voxels, z-y-x."""
        return np.array(self.inside.shape)

    @property
    def n_dims(self) -> int:
        """Number of dimensions in which the region is more than one voxel thick."""
        return int((self.extent > 1).sum())

    @property
    def centroid(self) -> np.ndarray:
        """Mean voxel index, z-y-x."""
        start = [one.start for one in self.box]
        return np.argwhere(self.inside).mean(axis=0) + start

    @property
    def rank(self) -> tuple[float, ...]:
        """Sort key: largest first, then by centroid, then by first voxel, z then y then x.

        No two regions share their first voxel, so the order never depends on the label values.
        """
        corner = [one.start for one in self.box]
        first = np.unravel_index(self.inside.argmax(), self.inside.shape) + np.array(corner)
        return (-self.n_voxels, *self.centroid, *first)

    def touches_border(self, shape: tuple[int, ...]) -> bool:
        """Check whether the box reaches the image border, except along axes of one slice."""
        return any(
            size > 1 and (one.start == 0 or one.stop == size)
            for one, size in zip(self.box, shape, strict=True)
        )


def whole_image(shape: tuple[int, ...]) -> Region:
    """Return the region that covers an image without a mask."""
    return Region(tuple(slice(0, size) for size in shape), np.ones(shape, dtype=bool), 1)


def box_of(inside: np.ndarray) -> tuple[slice, ...]:
    """Return the bounding box of a mask that has voxels.

    Parameters
    ----------
    inside : bool array
        The mask.

    Returns
    -------
    tuple of slice
        Its first and last voxel along each axis.

    Examples
    --------
    >>> box_of(np.array([[False, False, False], [False, True, True]]))
    (slice(1, 2, None), slice(1, 3, None))
    """
    axes = range(inside.ndim)
    lines = [np.flatnonzero(inside.any(axis=tuple(k for k in axes if k != one))) for one in axes]
    return tuple(slice(int(line[0]), int(line[-1]) + 1) for line in lines)


@dataclass(frozen=True)
class SizeLimits:
    """The size below which a region is tiny, and what is done with tiny regions.

    `voxel` is the volume of a voxel in mm³ (2-D: mm²). A region that extends in fewer than
    `min_dims` dimensions has no features, whatever its size.
    """

    min_voxels: int
    min_volume: float | None
    small: str
    min_dims: int
    voxel: float

    def reason(self, region: Region) -> str:
        """Describe why a region is tiny; empty if it is not."""
        n = region.n_voxels
        if n < self.min_voxels:
            return f"{n} voxels are fewer than min_voxels={self.min_voxels}"
        if self.min_volume is not None and n * self.voxel < self.min_volume:
            volume = f"{n * self.voxel:.4g} {region.unit}"
            return f"{volume} are less than min_volume={self.min_volume:g}"
        return ""

    def select(self, regions: Sequence[Region]) -> list[Region]:
        """Select the regions that are measured and set the status of tiny ones.

        Raises
        ------
        CaseError
            If none is left.
        """
        kept = []
        for one in regions:
            reason = self.reason(one)
            if one.n_dims < self.min_dims or (reason and self.small == "drop"):
                continue
            kept.append(replace(one, status=f"shape only: {reason}") if reason else one)
        if not kept:
            raise CaseError(self._describe_none_left(regions))
        return kept

    def _describe_none_left(self, regions: Sequence[Region]) -> str:
        """Describe why no lesion is measured."""
        thin = f"extend in fewer than {self.min_dims} dimensions"
        most, unit = max(one.n_voxels for one in regions), regions[0].unit
        size = f"(the largest has {most} voxels, {most * self.voxel:.4g} {unit})"
        if self.small != "drop":
            return f"all {len(regions)} lesions of the mask {thin} {size}; check the mask"
        low = f"min_voxels={self.min_voxels}"
        names = "min_voxels"
        if self.min_volume is not None:
            low += f" or min_volume={self.min_volume:g} {unit}"
            names += " or min_volume"
        return (
            f"all {len(regions)} lesions of the mask are smaller than {low} or {thin} {size}; "
            f"lower {names}, set small_lesions='shape', or check the mask"
        )


def find_regions(
    mask: np.ndarray,
    *,
    lesions: str,
    label: int,
    min_voxels: int,
    min_dims: int,
    min_volume: float | None = None,
    small: str = "drop",
    voxel: float = 1.0,
) -> tuple[list[Region], int]:
    """Find the regions of a mask, largest first, and count those that were dropped.

    In mode "label" the one region is kept whatever its size, if it extends in `min_dims`
    dimensions.
    """
    limits = SizeLimits(min_voxels, min_volume, small, max(min_dims, 1), voxel)
    if lesions == "labels":
        found = _regions_of_labels(mask)
    else:
        inside = mask == label
        if not inside.any():
            raise CaseError(_describe_absent_label(mask, label))
        found = _crop_to_boxes(inside.view(np.uint8), [label])
        if lesions == "label":
            _check_extent(found[0], limits.min_dims)
            return found, 0
        found = _components(found[0])
    kept = sorted(limits.select(found), key=lambda one: one.rank)
    return kept, len(found) - len(kept)


def _crop_to_boxes(numbers: np.ndarray, labels: Sequence[int]) -> list[Region]:
    """Crop the regions numbered 1, 2, … to their bounding boxes."""
    boxes = find_objects(numbers)
    pairs = enumerate(zip(boxes, labels, strict=True), start=1)
    return [Region(box, numbers[box] == number, label) for number, (box, label) in pairs]


def _components(region: Region) -> list[Region]:
    """Split a region into connected components; voxels that share a corner are connected."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(region.inside.view(np.uint8))
    numbers = sitk.GetArrayFromImage(sitk.ConnectedComponent(image, True))
    found = _crop_to_boxes(numbers, [region.label] * int(numbers.max()))
    offset = [one.start for one in region.box]
    return [replace(one, box=_shifted(one.box, offset)) for one in found]


def _shifted(box: tuple[slice, ...], offset: Sequence[int]) -> tuple[slice, ...]:
    """Shift a box by an offset."""
    pairs = zip(box, offset, strict=True)
    return tuple(slice(one.start + start, one.stop + start) for one, start in pairs)


def _regions_of_labels(mask: np.ndarray) -> list[Region]:
    """Return the region of each distinct label other than 0."""
    values = distinct_labels(mask)
    if not values.size:
        raise CaseError("the mask is empty: every voxel is 0; draw the lesions")
    # Labels may be any numbers: renumbered 1, 2, … they are found in one pass over the mask.
    numbers = np.zeros(mask.shape, dtype=np.int32)
    inside = mask != 0
    numbers[inside] = np.searchsorted(values, mask[inside]) + 1
    return _crop_to_boxes(numbers, [int(value) for value in values])


def describe_unmeasured(mask: np.ndarray, lesions: str, label: int) -> str:
    """Describe the labels of the mask that are not measured; empty if there is none."""
    if lesions == "labels":
        return ""
    # Labels are counted slice by slice, because a copy of the mask of a large scan is large.
    values = distinct_labels(mask)
    values = values[values != label]
    if not values.size:
        return ""
    counts = [sum(int((part == value).sum()) for part in mask) for value in values[:_SHOWN]]
    pairs = zip(values[:_SHOWN], counts, strict=True)
    shown = ", ".join(f"label {value:g} ({count:,} voxels)" for value, count in pairs)
    return shown + (f" and {values.size - _SHOWN} more" if values.size > _SHOWN else "")


def _describe_absent_label(mask: np.ndarray, label: int) -> str:
    """Describe what the mask contains instead of the label."""
    values = np.unique(mask)
    values = values[values != 0]
    if not values.size:
        return "the mask is empty: every voxel is 0; draw the lesion or drop the case"
    shown = ", ".join(f"{value:g}" for value in values[:10]) + (", …" if values.size > 10 else "")
    return f"label {label} is not in the mask, which holds {shown}; set `label` to one of these"


def _check_extent(region: Region, min_dims: int) -> None:
    """Raise if the region extends in too few dimensions, like a point or a line."""
    if region.n_dims < min_dims:
        raise CaseError(
            f"the lesion has {region.n_voxels} voxels in a box of "
            f"{'×'.join(map(str, region.extent))} (z-y-x); features need one that extends in at "
            f"least {min_dims} dimensions: drop the case or correct the mask"
        )
