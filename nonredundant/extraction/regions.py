"""Which regions of a mask are lesions, in which order, and which are too small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import find_objects

from nonredundant.io.geometry import CaseError

#: The status of a lesion that is measured in full.
OK = "ok"


@dataclass(frozen=True)
class Region:
    """One region: its bounding box in the image (slices z-y-x) and its voxels in that box.

    `status` is "ok", or why no more than its shape is measured.
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
        """The unit of the lesion's volume: that of an area in 2-D."""
        return "mm²" if self.inside.ndim == 2 else "mm³"

    @property
    def extent(self) -> np.ndarray:
        """Size of the bounding box in voxels, z-y-x."""
        return np.array(self.inside.shape)

    @property
    def n_dims(self) -> int:
        """Number of dimensions in which the lesion is more than one voxel thick."""
        return int((self.extent > 1).sum())

    @property
    def centroid(self) -> np.ndarray:
        """Mean voxel index, z-y-x."""
        start = [one.start for one in self.box]
        return np.argwhere(self.inside).mean(axis=0) + start

    @property
    def rank(self) -> tuple[float, ...]:
        """Sort key: largest first, then by centroid, then by first voxel, z then y then x.

        No two lesions share a first voxel, so that the labels' numbers never decide.
        """
        corner = [one.start for one in self.box]
        first = np.unravel_index(self.inside.argmax(), self.inside.shape) + np.array(corner)
        return (-self.n_voxels, *self.centroid, *first)

    def touches_border(self, shape: tuple[int, ...]) -> bool:
        """Whether the bounding box reaches the image's border, one-slice axes aside."""
        return any(
            size > 1 and (one.start == 0 or one.stop == size)
            for one, size in zip(self.box, shape, strict=True)
        )


def whole_image(shape: tuple[int, ...]) -> Region:
    """Return the lesion of an image without a mask."""
    return Region(tuple(slice(0, size) for size in shape), np.ones(shape, dtype=bool), 1)


@dataclass(frozen=True)
class Threshold:
    """Below what a lesion is tiny, what becomes of it then, and below what it is nothing at all.

    `voxel` is the volume of a voxel in mm³ (2-D: mm²). A lesion that extends in fewer than
    `min_dims` dimensions has no features, whatever its size.
    """

    min_voxels: int
    min_volume: float | None
    small: str
    min_dims: int
    voxel: float

    def reason(self, lesion: Region) -> str:
        """Say why a lesion is tiny; empty if it is not."""
        n = lesion.n_voxels
        if n < self.min_voxels:
            return f"{n} voxels are fewer than min_voxels={self.min_voxels}"
        if self.min_volume is not None and n * self.voxel < self.min_volume:
            volume = f"{n * self.voxel:.4g} {lesion.unit}"
            return f"{volume} are less than min_volume={self.min_volume:g}"
        return ""

    def kept(self, found: Sequence[Region]) -> list[Region]:
        """Return the lesions that are measured, tiny ones with their status.

        Raises
        ------
        CaseError
            If none is left.
        """
        kept = []
        for one in found:
            reason = self.reason(one)
            if one.n_dims < self.min_dims or (reason and self.small == "drop"):
                continue
            kept.append(replace(one, status=f"shape only: {reason}") if reason else one)
        if not kept:
            raise CaseError(self._none_left(found))
        return kept

    def _none_left(self, found: Sequence[Region]) -> str:
        """Say that no lesion is measured, and why."""
        thin = f"extend in fewer than {self.min_dims} dimensions"
        most, unit = max(one.n_voxels for one in found), found[0].unit
        size = f"(the largest has {most} voxels, {most * self.voxel:.4g} {unit})"
        if self.small != "drop":
            return f"all {len(found)} lesions of the mask {thin} {size}; check the mask"
        low = f"min_voxels={self.min_voxels}"
        names = "min_voxels"
        if self.min_volume is not None:
            low += f" or min_volume={self.min_volume:g} {unit}"
            names += " or min_volume"
        return (
            f"all {len(found)} lesions of the mask are smaller than {low} or {thin} {size}; lower "
            f"{names}, set small_lesions='shape', or check the mask"
        )


def find_lesions(
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
    """Return the lesions of a mask, largest first, and how many were dropped.

    In mode "label" the one lesion is returned whatever its size, if it extends in `min_dims`
    dimensions.
    """
    threshold = Threshold(min_voxels, min_volume, small, max(min_dims, 1), voxel)
    if lesions == "labels":
        found = _labelled(mask)
    else:
        inside = mask == label
        if not inside.any():
            raise CaseError(_label_absent(mask, label))
        found = [_region(inside, label)]
        if lesions == "label":
            _check_size(found[0], threshold.min_dims)
            return found, 0
        found = _components(found[0])
    kept = sorted(threshold.kept(found), key=lambda one: one.rank)
    return kept, len(found) - len(kept)


def _region(inside: np.ndarray, label: int) -> Region:
    """Return a region cropped to its bounding box."""
    (found,) = _regions(inside.view(np.uint8), [label])
    return found


def _regions(numbers: np.ndarray, labels: Sequence[int]) -> list[Region]:
    """Return the regions numbered 1, 2, …, each cropped to its bounding box."""
    boxes = find_objects(numbers)
    pairs = enumerate(zip(boxes, labels, strict=True), start=1)
    return [Region(box, numbers[box] == number, label) for number, (box, label) in pairs]


def _components(region: Region) -> list[Region]:
    """Split a region into connected components; voxels that share a corner are connected."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(region.inside.view(np.uint8))
    numbers = sitk.GetArrayFromImage(sitk.ConnectedComponent(image, True))
    found = _regions(numbers, [region.label] * int(numbers.max()))
    offset = [one.start for one in region.box]
    return [replace(one, box=_moved(one.box, offset)) for one in found]


def _moved(box: tuple[slice, ...], offset: Sequence[int]) -> tuple[slice, ...]:
    """Return a box in the coordinates that its own offset counts from."""
    pairs = zip(box, offset, strict=True)
    return tuple(slice(one.start + start, one.stop + start) for one, start in pairs)


def _labelled(mask: np.ndarray) -> list[Region]:
    """Return the region of each distinct label other than 0."""
    values = _labels(mask)
    if not values.size:
        raise CaseError("the mask is empty: every voxel is 0; draw the lesions")
    # Labels may be any numbers: counted through, they are found in one pass over the mask.
    numbers = np.zeros(mask.shape, dtype=np.int32)
    inside = mask != 0
    numbers[inside] = np.searchsorted(values, mask[inside]) + 1
    return _regions(numbers, [int(value) for value in values])


def _labels(mask: np.ndarray) -> np.ndarray:
    """Return the distinct labels other than 0."""
    values = np.unique(mask[mask != 0])
    if values.size and (values != np.round(values)).any():
        raise CaseError(
            f"the mask holds fractions ({values.size} distinct values from {values[0]:.4g} to "
            f"{values[-1]:.4g}); labels are whole numbers, so threshold it first"
        )
    return values


def _label_absent(mask: np.ndarray, label: int) -> str:
    """Say what the mask holds instead of the label."""
    values = np.unique(mask)
    values = values[values != 0]
    if not values.size:
        return "the mask is empty: every voxel is 0; draw the lesion or drop the case"
    shown = ", ".join(f"{value:g}" for value in values[:10]) + (", …" if values.size > 10 else "")
    return f"label {label} is not in the mask, which holds {shown}; set `label` to one of these"


def _check_size(lesion: Region, min_dims: int) -> None:
    """Raise if the lesion is a point or a line where features need more."""
    if lesion.n_dims < min_dims:
        raise CaseError(
            f"the lesion has {lesion.n_voxels} voxels in a box of "
            f"{'×'.join(map(str, lesion.extent))} (z-y-x); features need one that extends in at "
            f"least {min_dims} dimensions: drop the case or correct the mask"
        )
