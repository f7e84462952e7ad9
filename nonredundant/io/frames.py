"""Multi-frame DICOM images: each frame has a place and a scale of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nonredundant.io.dicom import DicomFile, items, text
from nonredundant.io.errors import CaseError, ImageFileError
from nonredundant.io.pixel_size import pixel_size
from nonredundant.io.planes import Plane, read_place
from nonredundant.io.scaling import Scale, find_mapping, find_scale


def has_groups(file: DicomFile) -> bool:
    """Check whether a file describes its frames by functional groups (DICOM PS3.3, C.7.6.16).

    Parameters
    ----------
    file : DicomFile
        The file.

    Returns
    -------
    bool
        Whether it does; multi-frame files of older classes do not.

    Examples
    --------
    >>> from pathlib import Path
    >>> from nonredundant.io.dicom import read_dicom
    >>> has_groups(read_dicom(Path("enhanced.dcm")))  # doctest: +SKIP
    True
    """
    return bool(items(file.elements, "PerFrameFunctionalGroupsSequence"))


def has_positions(file: DicomFile) -> bool:
    """Check whether each frame of a file has a place in space; those of projections have none.

    Parameters
    ----------
    file : DicomFile
        A file with functional groups.

    Returns
    -------
    bool
        Whether they have.

    Examples
    --------
    >>> from pathlib import Path
    >>> from nonredundant.io.dicom import read_dicom
    >>> has_positions(read_dicom(Path("enhanced.dcm")))  # doctest: +SKIP
    True
    """
    shared, frames = _groups(file)
    return all(
        _group(frame, shared, f"{group}Sequence") is not None
        for frame in frames
        for group in ("PlanePosition", "PlaneOrientation")
    )


def check_whole(file: DicomFile) -> None:
    """Raise if a file is one part of a concatenation (DICOM PS3.3, C.7.6.16.2.2.4).

    Parameters
    ----------
    file : DicomFile
        The file.

    Raises
    ------
    ImageFileError
        If the rest of its frames are in other files.

    Examples
    --------
    >>> from pathlib import Path
    >>> from nonredundant.io.dicom import read_dicom
    >>> check_whole(read_dicom(Path("enhanced.dcm")))  # doctest: +SKIP
    """
    total = file.whole("InConcatenationTotalNumber", 0)
    part = file.whole("InConcatenationNumber", 0)
    if (file.text("ConcatenationUID") or part > 1 or total > 1) and total != 1:
        raise ImageFileError(
            f"{file.path} is part {part} of {total or 'several'} of a "
            "concatenation (0020,9161): the frames of one image in several files; join them, or "
            "convert the image to NIfTI"
        )


def check_frames(file: DicomFile) -> None:
    """Raise if a file describes another number of frames than its header states.

    Parameters
    ----------
    file : DicomFile
        A file with functional groups.

    Raises
    ------
    ImageFileError
        If the numbers differ.

    Examples
    --------
    >>> from pathlib import Path
    >>> from nonredundant.io.dicom import read_dicom
    >>> check_frames(read_dicom(Path("enhanced.dcm")))  # doctest: +SKIP
    """
    n_described = len(_groups(file)[1])
    if n_described != file.n_frames:
        raise ImageFileError(
            f"{file.path} states {file.n_frames} frames, but describes {n_described}; export it "
            "again"
        )


def read_planes(file: DicomFile) -> list[Plane]:
    """Read the place of each frame.

    Parameters
    ----------
    file : DicomFile
        A file with functional groups.

    Returns
    -------
    list of Plane
        The frames, in the order of the file.

    Raises
    ------
    ImageFileError
        If a frame has no position, or their number is not that of the header.

    Examples
    --------
    >>> from pathlib import Path
    >>> from nonredundant.io.dicom import read_dicom
    >>> len(read_planes(read_dicom(Path("enhanced.dcm"))))  # doctest: +SKIP
    60
    """
    check_frames(file)
    shared, frames = _groups(file)
    size = file.whole("Columns", 0), file.whole("Rows", 0)
    planes = []
    for k, frame in enumerate(frames, start=1):
        position, orientation, measures = (
            _group(frame, shared, f"{group}Sequence")
            for group in ("PlanePosition", "PlaneOrientation", "PixelMeasures")
        )
        if position is None or orientation is None:
            raise without_positions(file)
        where = f"frame {k} of {file.path.name}"
        origin, axes = read_place(position, orientation, where)
        spacing = None if measures is None else pixel_size(measures)
        planes.append(Plane(where, origin, axes, size, spacing, _reader(frame)))
    return planes


def read_scales(file: DicomFile) -> list[Scale | None]:
    """Read how the stored values of each frame become intensities.

    Parameters
    ----------
    file : DicomFile
        A file with functional groups.

    Returns
    -------
    list of Scale or None
        A scale for each frame; None where none is stated.

    Raises
    ------
    CaseError
        If a scale is none, or several differ.

    Notes
    -----
    The pixel value transformation of the frame is used, else its real world value mapping. Of PET
    it is the mapping, which alone tells the units.

    Examples
    --------
    >>> from pathlib import Path
    >>> from nonredundant.io.dicom import read_dicom
    >>> read_scales(read_dicom(Path("enhanced.dcm")))[0].slope  # doctest: +SKIP
    1.0
    """
    shared, frames = _groups(file)
    # Files without units in their groups state them as the classic ones do.
    by_units = file.text("Modality") == "PT" and not file.text("Units")
    scales: list[Scale | None] = []
    for frame in frames:
        transform = _group(frame, shared, "PixelValueTransformationSequence")
        mappings = _group_items(frame, shared, "RealWorldValueMappingSequence")
        if mappings and (by_units or transform is None):
            scales.append(find_mapping(mappings))
        else:
            scales.append(find_scale(file.elements if transform is None else transform))
    return scales


def rescale_type(file: DicomFile) -> str:
    """Read the type of the rescaled values of the first frame.

    Parameters
    ----------
    file : DicomFile
        A file with functional groups.

    Returns
    -------
    str
        The type, for instance HU; empty if it is not stated.

    Examples
    --------
    >>> from pathlib import Path
    >>> from nonredundant.io.dicom import read_dicom
    >>> rescale_type(read_dicom(Path("enhanced.dcm")))  # doctest: +SKIP
    'HU'
    """
    shared, frames = _groups(file)
    transform = _group(frames[0], shared, "PixelValueTransformationSequence")
    return "" if transform is None else text(transform, "RescaleType")


def without_positions(file: DicomFile) -> CaseError:
    """Build the error for frames that have no place in space.

    Parameters
    ----------
    file : DicomFile
        The file.

    Returns
    -------
    ImageFileError
        The error.

    Examples
    --------
    >>> from pathlib import Path
    >>> from nonredundant.io.dicom import read_dicom
    >>> raise without_positions(read_dicom(Path("film.dcm")))  # doctest: +SKIP
    """
    return ImageFileError(
        f"{file.path} has {file.n_frames} frames without positions in space (a film or "
        "projections?); convert it to NIfTI or NRRD and give that file"
    )


def _groups(file: DicomFile) -> tuple[Any, list[Any]]:
    """Return the groups that all frames share (None if there are none), and those of each frame."""
    shared = items(file.elements, "SharedFunctionalGroupsSequence")
    return shared[0] if shared else None, items(file.elements, "PerFrameFunctionalGroupsSequence")


def _group(frame: Any, shared: Any, keyword: str) -> Any:
    """Return a functional group of a frame, or the one that all frames share; None without."""
    members = _group_items(frame, shared, keyword)
    return members[0] if members else None


def _group_items(frame: Any, shared: Any, keyword: str) -> list[Any]:
    """Return all items of a functional group of a frame, or of the one that all frames share."""
    return items(frame, keyword) or ([] if shared is None else items(shared, keyword))


def _reader(frame: Any) -> Callable[[str], str]:
    """Return a function that looks for an element in the groups of a frame."""

    def read(keyword: str) -> str:
        groups = (item for element in frame if element.VR == "SQ" for item in element.value)
        return next((text(item, keyword) for item in groups if keyword in item), "")

    return read
