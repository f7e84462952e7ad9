"""Which regions of a mask are lesions, in which order, and which are too small."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nonredundant._geometry import CaseError


@dataclass(frozen=True)
class Lesion:
    """One region: its bounding box in the image (slices z-y-x) and its voxels in that box."""

    box: tuple[slice, ...]
    inside: np.ndarray
    label: int

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.inside))

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

    def touches_border(self, shape: tuple[int, ...]) -> bool:
        """Whether the bounding box reaches the image's border, one-slice axes aside."""
        return any(
            size > 1 and (one.start == 0 or one.stop == size)
            for one, size in zip(self.box, shape, strict=True)
        )


def whole_image(shape: tuple[int, ...]) -> Lesion:
    """Return the lesion of an image without a mask."""
    return Lesion(tuple(slice(0, size) for size in shape), np.ones(shape, dtype=bool), 1)


def find_lesions(
    mask: np.ndarray, *, lesions: str, label: int, min_voxels: int, min_dims: int
) -> tuple[list[Lesion], int]:
    """Return the lesions of a mask, largest first, and how many were too small.

    Equal volumes are ordered by their centroid, z then y then x. In mode "label" the one lesion
    is returned whatever its size, if it extends in `min_dims` dimensions.
    """
    if lesions == "labels":
        found = [_region(mask == value, int(value)) for value in _labels(mask)]
        if not found:
            raise CaseError("the mask is empty: every voxel is 0; draw the lesions")
    else:
        inside = mask == label
        if not inside.any():
            raise CaseError(_label_absent(mask, label))
        found = [_region(inside, label)]
        if lesions == "label":
            _check_size(found[0], min_dims)
            return found, 0
        found = _components(found[0])
    kept = [one for one in found if one.n_voxels >= min_voxels and one.n_dims >= min_dims]
    if not kept:
        largest = max(one.n_voxels for one in found)
        raise CaseError(
            f"all {len(found)} lesions of the mask are smaller than min_voxels={min_voxels} or "
            f"extend in fewer than {min_dims} dimensions (the largest has {largest} voxels); "
            "lower min_voxels or check the mask"
        )
    kept.sort(key=lambda one: (-one.n_voxels, *one.centroid))
    return kept, len(found) - len(kept)


def _region(inside: np.ndarray, label: int, offset: tuple[int, ...] | None = None) -> Lesion:
    """Return a region cropped to its bounding box."""
    box = []
    for axis in range(inside.ndim):
        others = tuple(other for other in range(inside.ndim) if other != axis)
        rows = np.flatnonzero(inside.any(axis=others))
        box.append(slice(int(rows[0]), int(rows[-1]) + 1))
    crop = inside[tuple(box)].copy()
    if offset is not None:
        pairs = zip(box, offset, strict=True)
        box = [slice(one.start + start, one.stop + start) for one, start in pairs]
    return Lesion(tuple(box), crop, label)


def _components(region: Lesion) -> list[Lesion]:
    """Split a region into connected components; voxels that share a corner are connected."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(region.inside.view(np.uint8))
    numbers = sitk.GetArrayFromImage(sitk.ConnectedComponent(image, True))
    offset = tuple(one.start for one in region.box)
    return [_region(numbers == i, region.label, offset) for i in range(1, int(numbers.max()) + 1)]


def _labels(mask: np.ndarray) -> np.ndarray:
    """Return the distinct labels other than 0."""
    values = np.unique(mask)
    values = values[values != 0]
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


def _check_size(lesion: Lesion, min_dims: int) -> None:
    """Raise if the lesion is a point or a line where features need more."""
    if lesion.n_dims < max(min_dims, 1):
        raise CaseError(
            f"the lesion has {lesion.n_voxels} voxels in a box of "
            f"{'×'.join(map(str, lesion.extent))} (z-y-x); features need one that extends in at "
            f"least {max(min_dims, 1)} dimensions: drop the case or correct the mask"
        )
