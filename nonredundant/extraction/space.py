"""One space for the images of a case: where the first one and its lesions lie, and the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nonredundant.extraction.patches import PatchGrid
from nonredundant.extraction.regions import Region
from nonredundant.io.contours import FRAME_OF_REFERENCE
from nonredundant.io.errors import CaseError

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Share of a lesion outside of an image's field of view that is not told: rounding at a border.
TOLD = 1e-3


@dataclass(frozen=True)
class Space:
    """The grid of the first image of a case, called `name`, its lesions, and their patches.

    `origin`, `spacing` and `direction` are in SimpleITK's order; `frame` is DICOM's frame of
    reference, empty if unknown. `located` is False for arrays, which have no place in space.
    `boxes` has the lowest and the highest corner of each lesion in mm, z-y-x.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    frame: str
    located: bool
    labels: tuple[int, ...]
    boxes: np.ndarray
    grids: tuple[PatchGrid | None, ...]
    name: str = ""

    @property
    def n_dim(self) -> int:
        """Number of dimensions."""
        return len(self.size)

    def digest(self) -> str:
        """Return a digest of the place of the lesions and of their patches."""
        grids = [None if one is None else [part.tolist() for part in one[:2]] for one in self.grids]
        steps = [None if one is None else one.spacing for one in self.grids]
        place = [self.size, self.spacing, self.origin, self.direction, self.frame, self.located]
        content = json.dumps([place, self.labels, self.boxes.tolist(), grids, steps])
        return hashlib.sha256(content.encode()).hexdigest()

    def grid(self) -> sitk.Image:
        """Return an image of one voxel, whose coordinates are those of the first image."""
        import SimpleITK as sitk

        one = sitk.Image([1] * self.n_dim, sitk.sitkUInt8)
        one.SetOrigin(self.origin)
        one.SetSpacing(self.spacing)
        one.SetDirection(self.direction)
        return one


def frame_of(image: sitk.Image) -> str:
    """Return DICOM's frame of reference of an image; empty if it is not known."""
    if not image.HasMetaDataKey(FRAME_OF_REFERENCE):
        return ""
    return str(image.GetMetaData(FRAME_OF_REFERENCE)).strip("\0 ")


def space_of(
    image: sitk.Image,
    frame: str,
    located: bool,
    regions: Sequence[Region],
    grids: Sequence[PatchGrid | None],
) -> Space:
    """Describe where the first image of a case and its lesions lie."""
    return Space(
        size=image.GetSize(),
        spacing=image.GetSpacing(),
        origin=image.GetOrigin(),
        direction=image.GetDirection(),
        frame=frame,
        located=located,
        labels=tuple(one.label for one in regions),
        boxes=np.array([_box(image, one) for one in regions]),
        grids=tuple(grids),
    )


def check_dimensions(image: sitk.Image, space: Space) -> None:
    """Raise if an image has another number of dimensions than the first one of its case."""
    if image.GetDimension() != space.n_dim:
        raise CaseError(
            f"it is {image.GetDimension()}-D of size {image.GetSize()}, but {space.name!r} is "
            f"{space.n_dim}-D of size {space.size} (x-y-z); give all images of a case the same "
            "number of dimensions"
        )


def check_same_space(image: sitk.Image, space: Space, *, located: bool) -> None:
    """Raise if an image is not in the space of the first one of its case.

    Parameters
    ----------
    image : SimpleITK.Image
        The image.
    space : Space
        That of the first image.
    located : bool
        Whether the image has a place in space; arrays have none.

    Raises
    ------
    CaseError
        If the frames of reference differ, an array has another shape than the first image, or the
        centre of the smaller field of view lies outside of the larger.
    """
    if not (located and space.located):
        if located != space.located or image.GetSize() != space.size:
            raise CaseError(
                f"it {_place_of(located, image.GetSize())}, and {space.name!r} "
                f"{_place_of(space.located, space.size)}, so it is unknown where they overlap; "
                "give both as files with a header (NIfTI, NRRD, MHA, DICOM)"
            )
        return
    frame = frame_of(image)
    if frame and space.frame and frame != space.frame:
        raise CaseError(
            f"its frame of reference ({frame}) is not that of {space.name!r} ({space.frame}), so "
            "that coordinates of one do not apply to the other; register the two and save them in "
            "one space, or give each image a mask of its own and set patch_shape=None"
        )
    first = space.grid()
    own, other = _middle(image, image.GetSize()), _middle(first, space.size)
    smaller_is_own = _field(image.GetSize(), image.GetSpacing()) <= _field(
        space.size, space.spacing
    )
    inside = (
        _is_inside(first, space.size, own)
        if smaller_is_own
        else _is_inside(image, image.GetSize(), other)
    )
    if not inside:
        raise CaseError(
            f"it lies elsewhere than {space.name!r}: their centres are {_shift(own - other)} "
            "apart, and that of the smaller field of view lies outside of the larger; images are "
            "not registered here, so check that both are of one scan session, or register them"
        )


def share_outside(mask: sitk.Image, image: sitk.Image) -> float:
    """Compute the share of a mask's labelled voxels that lie outside of an image.

    Parameters
    ----------
    mask : SimpleITK.Image
        Labels, on a grid of the same space.
    image : SimpleITK.Image
        The image.

    Returns
    -------
    float
        From 0 to 1; 0 for an empty mask.

    Examples
    --------
    >>> import numpy as np, SimpleITK as sitk
    >>> mask = sitk.GetImageFromArray(np.ones((2, 8), dtype=np.uint8))
    >>> share_outside(mask, sitk.Image(6, 2, sitk.sitkUInt8))
    0.25
    """
    import SimpleITK as sitk

    index = np.argwhere(sitk.GetArrayViewFromImage(mask))[:, ::-1]
    if not len(index):
        return 0.0
    n = mask.GetDimension()
    steps = np.array(mask.GetDirection()).reshape(n, n) * np.array(mask.GetSpacing())
    own = np.array(image.GetDirection()).reshape(n, n) * np.array(image.GetSpacing())
    place = index @ steps.T + np.array(mask.GetOrigin()) - np.array(image.GetOrigin())
    where = place @ np.linalg.inv(own).T
    return 1.0 - float(_within(where, image.GetSize()).all(axis=1).mean())


def check_covered(share: float, image: sitk.Image, space: Space) -> None:
    """Raise if the field of view of an image has no voxel of the lesions."""
    if share < 1.0:
        return
    shift = _middle(image, image.GetSize()) - _middle(space.grid(), space.size)
    raise CaseError(
        f"its field of view covers nothing of the lesion; its centre is {_shift(shift)} from "
        f"that of {space.name!r}; check that both are of one patient and in one space, or leave "
        "the image empty and set on_missing='nan'"
    )


def check_same_labels(drawn: Sequence[int], space: Space) -> None:
    """Raise if the mask of an image lacks a label of the first image's mask.

    Parameters
    ----------
    drawn : sequence of int
        The labels of the mask.
    space : Space
        Where the lesions of the first image lie.

    Raises
    ------
    CaseError
        If a lesion is drawn on the first image alone.
    """
    lost = sorted(set(space.labels) - set(drawn))
    if lost:
        raise CaseError(
            f"its mask lacks the lesions with the labels {lost}, which the mask of "
            f"{space.name!r} has; draw each lesion with the same label on all images, or give "
            "one mask for all"
        )


def check_same_place(image: sitk.Image, pairs: Sequence[tuple[Region, int]], space: Space) -> None:
    """Raise if a lesion that is drawn on two images lies elsewhere in one of them.

    Parameters
    ----------
    image : SimpleITK.Image
        The image.
    pairs : sequence of (Region, int)
        Its lesions, and the position of each among those of the first image.
    space : Space
        Where these lie.

    Raises
    ------
    CaseError
        If the boxes of a pair do not overlap.
    """
    for region, place in pairs:
        low, high = _box(image, region)
        first_low, first_high = space.boxes[place]
        if (low > first_high).any() or (high < first_low).any():
            shift = (low + high - first_low - first_high)[::-1] / 2
            raise CaseError(
                f"its lesion with the label {region.label} is drawn elsewhere than that of "
                f"{space.name!r}, {_shift(shift)} from it; give masks of the same lesions in one "
                "space, or set patch_shape=None to measure each image by itself"
            )


def _box(image: sitk.Image, region: Region) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest corner of a region in mm, z-y-x."""
    ends = [(one.start - 0.5, one.stop - 0.5) for one in region.box[::-1]]
    grids = np.meshgrid(*ends, indexing="ij")
    corners = np.array(
        [
            image.TransformContinuousIndexToPhysicalPoint([float(axis.flat[i]) for axis in grids])
            for i in range(grids[0].size)
        ]
    )[:, ::-1]
    return corners.min(axis=0), corners.max(axis=0)


def _middle(image: sitk.Image, size: Sequence[int]) -> np.ndarray:
    """Return the centre of a field of view in mm, x-y-z."""
    index = [(n - 1) / 2 for n in size]
    return np.array(image.TransformContinuousIndexToPhysicalPoint(index))


def _field(size: Sequence[int], spacing: Sequence[float]) -> float:
    """Return the volume of a field of view."""
    return float(np.prod(np.multiply(size, spacing)))


def _is_inside(image: sitk.Image, size: Sequence[int], point: np.ndarray) -> bool:
    """Check whether a point lies in a field of view."""
    where = image.TransformPhysicalPointToContinuousIndex(point.tolist())
    return bool(_within(np.array(where), size).all())


def _within(index: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Return which coordinates, in voxels, are those of a voxel."""
    return (index >= -0.5) & (index <= np.array(size) - 0.5)


def _place_of(located: bool, size: Sequence[int]) -> str:
    """Describe whether an image has a place in space, and its size."""
    what = "has a place in space" if located else "is an array or pixels without a place in space"
    return f"{what}, of size {tuple(size)}"


def _shift(shift: np.ndarray) -> str:
    """Describe a shift in mm, x-y-z."""
    steps = ", ".join(f"{value:+.0f}" for value in shift)
    return (
        f"{float(np.linalg.norm(shift)):.0f} mm ({steps} along {'x, y, z'[: 3 * len(shift) - 2]})"
    )
