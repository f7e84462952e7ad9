"""Contours of a planning system (DICOM RTSTRUCT): read them as labels on the grid of an image."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.io.errors import CaseError, ImageFileError, missing_extra

if TYPE_CHECKING:
    import SimpleITK as sitk

#: DICOM's Frame of Reference UID, as SimpleITK names the element.
FRAME_OF_REFERENCE = "0020|0052"
#: Largest distance of a contour's points from the plane of its slice, as a fraction of the slice
#: distance: planning systems round coordinates to 0.01 mm.
_OFF_SLICE = 0.05
#: The geometric types that enclose an area (DICOM PS3.3, C.8.8.6.3).
_CLOSED = frozenset(["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])


def read_contours(
    path: Path, image: sitk.Image, *, roi: str | None = None, several: bool = False
) -> sitk.Image:
    """Read the contours of an RTSTRUCT file as labels on the grid of an image.

    Contours are matched to slices by their coordinates, not by the UIDs of the slices: exported
    series often have new ones. A pixel belongs to a contour if its centre lies inside. Where
    contours of a slice overlap, the inner one cuts a hole.

    Parameters
    ----------
    path : Path
        The file.
    image : SimpleITK.Image
        The 3-D image whose grid the labels get.
    roi : str, optional
        Name of the region, or a pattern such as "GTV*"; upper and lower case are equal. None: the
        only region with contours.
    several : bool, default=False
        Whether the pattern may match several regions, which get the labels 1, 2, … in the order
        of the file.

    Returns
    -------
    SimpleITK.Image
        The labels, 0 outside.

    Raises
    ------
    CaseError
        If no region or too many match, the contours belong to another frame of reference, are
        open or single points, or lie off the slices or outside the image.
    ImageFileError
        If the file cannot be read.
    ImportError
        If pydicom is not installed (extra `dicom`).

    Examples
    --------
    >>> from pathlib import Path
    >>> read_contours(Path("RS.dcm"), image, roi="GTV*")  # doctest: +SKIP
    """
    import SimpleITK as sitk

    if image.GetDimension() != 3:
        raise CaseError("contours (RTSTRUCT) need a 3-D image, but this one is 2-D")
    dataset = read_dataset(path, "DICOM contours (RTSTRUCT)")
    try:
        regions = _regions(dataset, path)
    except (AttributeError, TypeError, ValueError) as error:
        raise ImageFileError(f"{path} is no complete structure set ({error})") from error
    chosen = choose_regions(list(regions), roi, several=several)
    labels = np.zeros(image.GetSize()[::-1], dtype=np.uint16)
    for label, name in enumerate(chosen, start=1):
        _check_frame(image, regions[name].frame, name)
        inside = _fill(regions[name].contours, image, name)
        if (labels[inside] > 0).any():
            raise CaseError(f"contours of several regions overlap: {chosen}; give one `roi`")
        labels[inside] = label
    mask = sitk.GetImageFromArray(labels)
    mask.CopyInformation(image)
    return mask


def read_dataset(path: Path, purpose: str) -> Any:
    """Read a DICOM file with pydicom.

    Parameters
    ----------
    path : Path
        The file.
    purpose : str
        What is read, for the error without pydicom.

    Returns
    -------
    pydicom.Dataset
        The elements of the file.

    Raises
    ------
    ImageFileError
        If it is not a complete DICOM file.
    ImportError
        If pydicom is not installed (extra `dicom`).

    Examples
    --------
    >>> from pathlib import Path
    >>> read_dataset(Path("RS.dcm"), "contours").Modality  # doctest: +SKIP
    'RTSTRUCT'
    """
    try:
        import pydicom
    except ImportError as error:
        raise missing_extra("pydicom", purpose) from error
    try:
        return pydicom.dcmread(path)
    except Exception as error:
        # A damaged file raises any kind of error from the depth of the parser.
        raise ImageFileError(f"{path} cannot be read as DICOM ({error})") from error


def choose_regions(names: Sequence[str], roi: str | None, *, several: bool) -> list[str]:
    """Choose regions by name or pattern.

    Parameters
    ----------
    names : sequence of str
        The regions of the file that have contours or voxels.
    roi : str or None
        Name or pattern; None: all.
    several : bool
        Whether more than one may match.

    Returns
    -------
    list of str
        The names that match.

    Raises
    ------
    CaseError
        If none matches, or several do where one is wanted; the message lists all names.

    Examples
    --------
    >>> choose_regions(["GTV", "Lung"], "gtv*", several=False)
    ['GTV']
    """
    have = f"the file has {', '.join(map(repr, names))}" if names else "the file has none"
    if roi is None:
        found = list(names)
    else:
        wanted = roi.strip().lower()
        found = [one for one in names if one.strip().lower() == wanted] or [
            one for one in names if fnmatch.fnmatchcase(one.strip().lower(), wanted)
        ]
    if not found:
        what = "no region with contours or voxels" if roi is None else f"no region roi={roi!r}"
        raise CaseError(f"{what}: {have}")
    if len(found) > 1 and not several:
        match = "" if roi is None else f" match roi={roi!r}"
        raise CaseError(
            f"{len(found)} regions{match}: {have}; choose one with `roi`, or measure each of them "
            "with lesions='labels'"
        )
    return found


class _Contours:
    """The contours of one region, each an array of points (x, y, z) in mm."""

    def __init__(self, frame: str) -> None:
        self.frame = frame
        self.contours: list[np.ndarray] = []


def _regions(dataset: Any, path: Path) -> dict[str, _Contours]:
    """Collect the regions that have contours; names that occur twice get their number."""
    entries = {int(one.ROINumber): one for one in dataset.get("StructureSetROISequence", [])}
    names = [str(one.get("ROIName", "")) for one in entries.values()]
    found: dict[str, _Contours] = {}
    for item in dataset.get("ROIContourSequence", []):
        number = int(item.ReferencedROINumber)
        contours = item.get("ContourSequence", None) or []
        if not contours or number not in entries:
            continue
        name = str(entries[number].get("ROIName", "")) or f"ROI {number}"
        if names.count(name) > 1:
            name = f"{name} (number {number})"
        region = _Contours(str(entries[number].get("ReferencedFrameOfReferenceUID", "")))
        found[name] = region
        region.contours = [_points(one, name) for one in contours]
    if not found:
        raise ImageFileError(f"{path} is a structure set without contours")
    return found


def _points(contour: Any, name: str) -> np.ndarray:
    """Return the points of a contour; those of types without an area become an empty array."""
    kind = str(contour.get("ContourGeometricType", ""))
    if kind not in _CLOSED:
        # Kept as text until the region is chosen: reference points beside a lesion are no fault.
        return np.array([kind or "without a type"], dtype=object)
    values = np.asarray(contour.get("ContourData", None) or [], dtype=np.float64)
    if values.size % 3 or not np.isfinite(values).all():
        raise ValueError(f"a contour of {name!r} has {values.size} coordinates, not triples")
    return values.reshape(-1, 3)


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


def _fill(contours: list[np.ndarray], image: sitk.Image, name: str) -> np.ndarray:
    """Return the voxels whose centres lie inside the contours of one region."""
    kinds = sorted({str(one[0]) for one in contours if one.dtype == object})
    if kinds:
        raise CaseError(
            f"{name!r} has contours of type {', '.join(kinds)}, which enclose no area; close them "
            "in the planning system"
        )
    inside = np.zeros(image.GetSize()[::-1], dtype=bool)
    planes = [_to_plane(one, image, name) for one in _distinct(contours) if len(one) > 2]
    if not planes:
        raise CaseError(f"no contour of {name!r} has three points, so none encloses an area")
    slices = sorted({index for index, _ in planes})
    _check_slices(slices, len(inside), name)
    for index, points in planes:
        inside[index] ^= fill_polygon(points, inside.shape[1:])
    if not inside.any():
        raise CaseError(
            f"the contours of {name!r} enclose no pixel centre of the image: they are smaller "
            "than a pixel or lie outside it; are contours and image of the same scan?"
        )
    return inside


def _distinct(contours: list[np.ndarray]) -> list[np.ndarray]:
    """Drop copies of a contour, which would cancel each other."""
    return list({one.tobytes(): one for one in contours}.values())


def _to_plane(points: np.ndarray, image: sitk.Image, name: str) -> tuple[int, np.ndarray]:
    """Return the slice of a contour and its points in pixels (x, y)."""
    direction = np.array(image.GetDirection()).reshape(3, 3)
    to_index = np.linalg.inv(direction * np.array(image.GetSpacing()))
    index = (points - np.array(image.GetOrigin())) @ to_index.T
    nearest = np.round(index[:, 2].mean())
    off = np.abs(index[:, 2] - nearest).max()
    if off > _OFF_SLICE:
        raise CaseError(
            f"a contour of {name!r} at z = {points[0, 2]:.2f} mm lies {off:.2f} of a slice "
            "distance off the slices of the image or across them; give the image it was drawn on"
        )
    return int(nearest), index[:, :2]


def _check_slices(slices: list[int], n: int, name: str) -> None:
    """Raise if contours lie outside the stack of slices, or on every other slice only."""
    outside = sum(not 0 <= one < n for one in slices)
    if outside:
        raise CaseError(
            f"the contours of {name!r} lie on {len(slices)} slices, of which {outside} are outside "
            f"the image (its {n} slices); give the whole series they were drawn on"
        )
    step = int(np.diff(slices).min()) if len(slices) > 1 else 1
    if step > 1:
        raise CaseError(
            f"{name!r} has contours on every {step}th slice or fewer only, so the volume between "
            "them is unknown; interpolate them in the planning system, or give the image they "
            "were drawn on"
        )


def fill_polygon(points: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Find the pixels whose centres lie inside a polygon, by the even-odd rule.

    Parameters
    ----------
    points : array of shape (n, 2)
        Corners (x, y) in pixels; the centre of the first pixel is (0, 0). The last corner is
        joined to the first.
    shape : sequence of int
        Rows and columns.

    Returns
    -------
    bool array of shape `shape`
        True inside. Of centres on an edge, those on left and upper edges are inside.

    Notes
    -----
    A ray from the centre towards larger x crosses the outline an odd number of times if and only
    if the centre is inside (Shimrat 1962, doi 10.1145/368637.368653).

    Examples
    --------
    >>> import numpy as np
    >>> fill_polygon(np.array([[0.5, 0.5], [2.5, 0.5], [2.5, 1.5], [0.5, 1.5]]), (3, 4)).sum()
    np.int64(2)
    """
    rows, columns = shape
    crossings = np.zeros((rows, columns + 1), dtype=np.int64)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        low, high = min(y0, y1), max(y0, y1)
        # Half open, so that a corner on a row counts once.
        first, stop = max(int(np.ceil(low)), 0), min(int(np.ceil(high)), rows)
        if first >= stop:
            continue
        y = np.arange(first, stop)
        x = x0 + (y - y0) * ((x1 - x0) / (y1 - y0))
        # Centres left of the crossing have it on their ray: from column ceil(x) on it is missing.
        np.add.at(crossings, (y, np.clip(np.ceil(x), 0, columns).astype(int)), 1)
    # Crossings at or left of each centre; all crossings of a closed outline are an even number.
    return np.cumsum(crossings, axis=1)[:, :columns] % 2 == 1
