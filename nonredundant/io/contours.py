"""Contours of a planning system (DICOM RTSTRUCT): read them as labels on the grid of an image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.io.errors import CaseError, ImageFileError
from nonredundant.io.polygons import (
    combine_polygons,
    interpolate_slices,
    without_copies,
    without_second_round,
)
from nonredundant.io.region_names import RegionChoice, distinct_names

if TYPE_CHECKING:
    import SimpleITK as sitk

#: DICOM's Frame of Reference UID, as SimpleITK names the element.
FRAME_OF_REFERENCE = "0020|0052"
#: Largest distance of a contour's points from the plane of its slice, as a fraction of the slice
#: distance: planning systems round coordinates to 0.01 mm.
_OFF_SLICE = 0.05
#: The geometric types that enclose an area (DICOM PS3.3, C.8.8.6.1 and C.8.8.6.3).
_CLOSED, _EXCLUSIVE = "CLOSED_PLANAR", "CLOSEDPLANAR_XOR"
#: Number of slices that a message names.
_SHOWN = 5


def read_contours(path: Path, image: sitk.Image, choice: RegionChoice) -> sitk.Image:
    """Read the contours of an RTSTRUCT file as labels on the grid of an image.

    Contours are matched to slices by their coordinates, not by the UIDs of the slices: exported
    series often have new ones. Slices may run along any axis of the stored image. A pixel belongs
    to a contour if its centre lies inside. A contour inside another one cuts a hole; copies of a
    contour count once.

    Parameters
    ----------
    path : Path
        The file.
    image : SimpleITK.Image
        The 3-D image whose grid the labels get.
    choice : RegionChoice
        The regions, which get the labels 1, 2, … in the order of the file. Its notes tell slices
        without a contour between others, and regions without contours.

    Returns
    -------
    SimpleITK.Image
        The labels, 0 outside.

    Raises
    ------
    CaseError
        If no region or too many match, the contours belong to another frame of reference, are
        open or single points, overlap in part, skip most slices, or lie off the slices or outside
        the image.
    ImageFileError
        If the file cannot be read, or contradicts itself.

    Examples
    --------
    >>> from pathlib import Path
    >>> read_contours(Path("RS.dcm"), image, RegionChoice("GTV*"))  # doctest: +SKIP
    """
    import SimpleITK as sitk

    if image.GetDimension() != 3:
        raise CaseError("contours (RTSTRUCT) need a 3-D image, but this one is 2-D")
    dataset = read_dataset(path)
    try:
        regions = _regions(dataset)
    except (AttributeError, TypeError, ValueError) as error:
        raise ImageFileError(f"{path} is no complete structure set ({error})") from error
    drawn = {name: region for name, region in regions.items() if region.contours}
    if not drawn:
        names = f": its regions are {', '.join(map(repr, regions))}" if regions else ""
        raise ImageFileError(f"{path} is a structure set without contours{names}")
    empty = [name for name in regions if name not in drawn]
    chosen = choice.select(list(drawn), empty)
    labels = np.zeros(image.GetSize()[::-1], dtype=np.uint16)
    for label, name in enumerate(chosen, start=1):
        if drawn[name].fault:
            raise ImageFileError(f"{path}: {drawn[name].fault}")
        _check_frame(image, drawn[name].frame, name)
        inside = _fill(drawn[name], image, name, choice)
        if (labels[inside] > 0).any():
            raise CaseError(f"contours of several regions overlap: {chosen}; give one `roi`")
        labels[inside] = label
    mask = sitk.GetImageFromArray(labels)
    mask.CopyInformation(image)
    return mask


def read_dataset(path: Path) -> Any:
    """Read a DICOM file with pydicom.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    pydicom.Dataset
        The elements of the file.

    Raises
    ------
    ImageFileError
        If it is not a complete DICOM file.

    Examples
    --------
    >>> from pathlib import Path
    >>> read_dataset(Path("RS.dcm")).Modality  # doctest: +SKIP
    'RTSTRUCT'
    """
    import pydicom

    try:
        return pydicom.dcmread(path)
    except Exception as error:
        # A damaged file raises any kind of error from the depth of the parser.
        raise ImageFileError(f"{path} cannot be read as DICOM ({error})") from error


# The structure set ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Contour:
    """A contour: its type, points (x, y, z) in mm, and the item of the file that it is of."""

    geometry: str
    points: np.ndarray
    item: int


@dataclass
class _Region:
    """A region: its frame of reference, its contours, and why it cannot be read, if so."""

    frame: str
    contours: list[_Contour] = field(default_factory=list)
    fault: str = ""


def _contours_by_number(items: list[Any]) -> dict[int, list[_Contour]]:
    """Collect the contours of the items of a structure set by the number of their region."""
    contours: dict[int, list[_Contour]] = {}
    for item, element in enumerate(items):
        parts = element.get("ContourSequence", None) or []
        found = [_contour(part, item) for part in parts]
        contours.setdefault(int(element.ReferencedROINumber), []).extend(found)
    return contours


def _regions(dataset: Any) -> dict[str, _Region]:
    """Collect the regions of a structure set by name, those without contours too."""
    entries, items = (
        list(dataset.get(sequence, None) or [])
        for sequence in ("StructureSetROISequence", "ROIContourSequence")
    )
    numbers = [int(one.ROINumber) for one in entries]
    names = [
        str(one.get("ROIName", "") or "") or f"ROI {number}"
        for one, number in zip(entries, numbers, strict=True)
    ]
    frames = [str(one.get("ReferencedFrameOfReferenceUID", "") or "") for one in entries]
    drawn = [int(one.ReferencedROINumber) for one in items]
    # Contours whose number has no entry are a region without a name.
    for number in dict.fromkeys(drawn):
        if number not in numbers:
            numbers, names, frames = [*numbers, number], [*names, f"ROI {number}"], [*frames, ""]
    contours = _contours_by_number(items)
    common = _only_frame(dataset)
    regions: dict[str, _Region] = {}
    for number, name, frame in zip(numbers, distinct_names(names, numbers), frames, strict=True):
        region = _Region(frame or common, contours.get(number, []))
        if numbers.count(number) > 1:
            region.fault = (
                f"ROI number {number} is that of {numbers.count(number)} regions, so it is unknown "
                f"which of them its contours are of; correct {name!r} in the planning system and "
                "export the structure set again"
            )
        regions[name] = region
    return regions


def _only_frame(dataset: Any) -> str:
    """Return the frame of reference of the whole structure set; empty unless there is one."""
    sequence = dataset.get("ReferencedFrameOfReferenceSequence", None) or []
    frames = {str(one.get("FrameOfReferenceUID", "") or "") for one in sequence}
    return frames.pop() if len(frames) == 1 else ""


def _contour(contour: Any, item: int) -> _Contour:
    """Read a contour; the faults of one that encloses no area are told if its region is chosen."""
    geometry = str(contour.get("ContourGeometricType", "") or "")
    if geometry not in (_CLOSED, _EXCLUSIVE):
        # Reference points beside a lesion are no fault.
        return _Contour(geometry or "without a type", np.empty((0, 3)), item)
    values = np.asarray(contour.get("ContourData", None) or [], dtype=np.float64)
    stated = contour.get("NumberOfContourPoints", None)
    if values.size % 3 or not np.isfinite(values).all():
        raise ValueError(f"a contour has {values.size} coordinates, not finite triples")
    if stated is not None and int(stated) != values.size // 3:
        raise ValueError(f"a contour states {stated} points, but has {values.size // 3}")
    shift = np.asarray(contour.get("ContourOffsetVector", None) or [0.0], dtype=np.float64)
    if (shift != 0).any():
        raise ValueError(
            f"a contour is offset by {shift.tolist()} mm (Contour Offset Vector), which planning "
            "systems apply in different ways; export contours without it"
        )
    return _Contour(geometry, values.reshape(-1, 3), item)


def _check_frame(image: sitk.Image, frame: str, name: str) -> None:
    """Raise if image and contours are known to have different frames of reference."""
    own = ""
    if image.HasMetaDataKey(FRAME_OF_REFERENCE):
        own = image.GetMetaData(FRAME_OF_REFERENCE).strip("\0 ")
    if own and frame and own != frame:
        raise CaseError(
            f"the contours of {name!r} belong to another frame of reference ({frame}) than the "
            f"image ({own}), so their coordinates do not apply to it; give the contours drawn on "
            "this image, or register the two"
        )


# Contours to voxels --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stack:
    """The slices of an image that contours lie on: along `axis` of its index (x, y, z)."""

    axis: int
    size: np.ndarray
    spacing: np.ndarray

    @property
    def plane(self) -> list[int]:
        """The axes of a slice: along its rows, and along its columns."""
        return [axis for axis in range(3) if axis != self.axis]

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return int(self.size[self.axis])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a slice."""
        columns, rows = self.size[self.plane]
        return int(rows), int(columns)


def _fill(region: _Region, image: sitk.Image, name: str, choice: RegionChoice) -> np.ndarray:
    """Return the voxels whose centres lie inside the contours of one region."""
    types = sorted({one.geometry for one in region.contours} - {_CLOSED, _EXCLUSIVE})
    if types:
        raise CaseError(
            f"{name!r} has contours of type {', '.join(types)}, which enclose no area; close them "
            "in the planning system"
        )
    closed = [one for one in region.contours if len(one.points) > 2]
    if not closed:
        raise CaseError(f"no contour of {name!r} has three points, so none encloses an area")
    stack, positions = _locate(closed, image, name)
    planes = _by_slice(closed, positions, stack, name)
    _check_extent(planes, stack, name)
    exclusive = all(one.geometry == _EXCLUSIVE for one in closed)
    inside = np.zeros(image.GetSize()[::-1], dtype=bool)
    slices = np.moveaxis(inside, 2 - stack.axis, 0)
    for index, polygons in planes.items():
        try:
            slices[index] = combine_polygons(polygons, stack.shape, exclusive=exclusive)
        except CaseError as error:
            raise CaseError(f"{name!r}, slice {index}: {error}") from error
    if not inside.any():
        raise CaseError(
            f"the contours of {name!r} enclose no pixel centre of the image: they are smaller "
            "than a pixel; are contours and image of the same scan?"
        )
    gaps = _skipped(planes, stack)
    if gaps and choice.fill_slices:
        _interpolate(slices, gaps, stack, name)
    elif gaps:
        _tell_skipped(gaps, list(planes), name, choice.notes)
    return inside


def _locate(
    contours: Sequence[_Contour], image: sitk.Image, name: str
) -> tuple[_Stack, list[np.ndarray]]:
    """Find the axis whose slices the contours lie on, and their points in pixels (x, y, z).

    Files converted from DICOM may be stored with the axes in another order.
    """
    spacing = np.array(image.GetSpacing())
    to_index = np.linalg.inv(np.array(image.GetDirection()).reshape(3, 3) * spacing)
    origin = np.array(image.GetOrigin())
    positions = [(one.points - origin) @ to_index.T for one in contours]
    off = np.array([np.abs(one - np.round(one.mean(axis=0))).max(axis=0) for one in positions])
    most = off.max(axis=0)
    axis = next((one for one in (2, 1, 0) if most[one] <= _OFF_SLICE), int(most.argmin()))
    if most[axis] > _OFF_SLICE:
        worst = contours[int(off[:, axis].argmax())]
        raise CaseError(
            f"a contour of {name!r} at z = {worst.points[0, 2]:.2f} mm lies {most[axis]:.2f} of a "
            "slice distance off the slices of the image or across them; give the image it was "
            "drawn on"
        )
    return _Stack(axis, np.array(image.GetSize()), spacing), positions


def _by_slice(
    contours: Sequence[_Contour], positions: Sequence[np.ndarray], stack: _Stack, name: str
) -> dict[int, list[np.ndarray]]:
    """Collect the polygons of each slice without copies, in ascending order of the slices."""
    planes: dict[int, list[np.ndarray]] = {}
    items: dict[int, dict[int, list[np.ndarray]]] = {}
    for one, points in zip(contours, positions, strict=True):
        index = int(np.round(points[:, stack.axis].mean()))
        polygon = without_second_round(points[:, stack.plane])
        items.setdefault(index, {}).setdefault(one.item, []).append(polygon)
    for index in sorted(items):
        first, *others = items[index].values()
        planes[index] = without_copies(first)
        n_own = len(planes[index])
        planes[index] = without_copies([*planes[index], *(one for more in others for one in more)])
        if len(planes[index]) > n_own:
            raise CaseError(
                f"{name!r} has {1 + len(others)} items of contours under its number, which differ "
                f"on slice {index}, so it is unknown which of them is meant; export the structure "
                "set again"
            )
    return planes


def _check_extent(planes: dict[int, list[np.ndarray]], stack: _Stack, name: str) -> None:
    """Raise if contours reach beyond the slices of the image, or beyond the pixels of a slice."""
    outside = sum(not 0 <= index < stack.n_slices for index in planes)
    if outside:
        raise CaseError(
            f"the contours of {name!r} lie on {len(planes)} slices, of which {outside} are outside "
            f"the image (its {stack.n_slices} slices); give the whole series they were drawn on"
        )
    points = np.concatenate([one for polygons in planes.values() for one in polygons])
    # From half a pixel beyond the border on, up to the first centre of a pixel that is missing,
    # nothing is lost.
    beyond = np.maximum(-1 - points, points - stack.size[stack.plane])
    if (beyond > 0).any():
        reach = float(((beyond + 0.5) * stack.spacing[stack.plane]).max())
        n_points = int((beyond > 0).any(axis=1).sum())
        raise CaseError(
            f"{n_points} of {len(points)} points of the contours of {name!r} lie beside the image, "
            f"up to {reach:.4g} mm from its border, so part of the region has no voxels; give the "
            "whole image they were drawn on"
        )


# Slices without contours ---------------------------------------------------------------------


def _skipped(planes: dict[int, list[np.ndarray]], stack: _Stack) -> list[tuple[int, int]]:
    """List the neighbouring slices with contours between which slices were skipped.

    Contours that are farther apart sideways than along the stack are those of separate parts,
    unless no two of the slices are neighbours.
    """
    pairs = list(zip(planes, list(planes)[1:], strict=False))
    gaps = [(low, high) for low, high in pairs if high - low > 1]
    if len(gaps) == len(pairs):
        return gaps
    return [(low, high) for low, high in gaps if _continue(planes, low, high, stack)]


def _continue(planes: dict[int, list[np.ndarray]], low: int, high: int, stack: _Stack) -> bool:
    """Check whether contours on two slices may be of one part: inclined by 45 degrees at most."""
    distance = (high - low) * stack.spacing[stack.axis]
    return any(
        (_gap(one, other) * stack.spacing[stack.plane]).max() <= distance
        for one in planes[low]
        for other in planes[high]
    )


def _gap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Compute the distance of two bounding boxes along each axis; not positive if they overlap."""
    return np.maximum(one.min(axis=0) - other.max(axis=0), other.min(axis=0) - one.max(axis=0))


def _tell_skipped(
    gaps: Sequence[tuple[int, int]], slices: Sequence[int], name: str, notes: dict[str, str]
) -> None:
    """Note slices without contours between others; raise if more are skipped than drawn."""
    between = [index for low, high in gaps for index in range(low + 1, high)]
    if 2 * len(gaps) > len(slices) - 1:
        raise CaseError(
            f"{name!r} has contours on {len(slices)} slices ({_listed(slices)}), but none on "
            f"{len(between)} between them, so the volume there is unknown; interpolate them with "
            "fill_slices=True (--fill-slices) or in the planning system, or give the image they "
            "were drawn on"
        )
    found = f"{name!r}: slices {_listed(between)} between contours have none"
    notes["skipped"] = f"{notes['skipped']}; {found}" if "skipped" in notes else found


def _listed(slices: Iterable[int]) -> str:
    """List the first slices."""
    slices = list(slices)
    return ", ".join(map(str, slices[:_SHOWN])) + (", …" if len(slices) > _SHOWN else "")


def _interpolate(
    slices: np.ndarray, gaps: Sequence[tuple[int, int]], stack: _Stack, name: str
) -> None:
    """Interpolate the region on skipped slices, in place."""
    for low, high in gaps:
        between = interpolate_slices(
            slices[low], slices[high], high - low - 1, stack.spacing[stack.plane[::-1]].tolist()
        )
        if not between.any(axis=(1, 2)).all():
            raise CaseError(
                f"the contours of {name!r} on slices {low} and {high} do not overlap enough to "
                "interpolate between them; draw the slices between"
            )
        slices[low + 1 : high] = between
