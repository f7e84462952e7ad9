"""DICOM segmentations (SEG): read their segments as labels, with their own geometry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.io.contours import FRAME_OF_REFERENCE, read_dataset
from nonredundant.io.dicom import read_dicom
from nonredundant.io.errors import CaseError, ImageFileError, missing_extra
from nonredundant.io.frames import check_frames, check_whole
from nonredundant.io.region_names import RegionChoice, distinct_names
from nonredundant.io.scaling import check_pixels

if TYPE_CHECKING:
    import SimpleITK as sitk


def read_segmentation(path: Path, image: sitk.Image, choice: RegionChoice) -> sitk.Image:
    """Read segments of a DICOM segmentation as labels on the grid of its frames.

    Parameters
    ----------
    path : Path
        The file: of the class Segmentation or Label Map Segmentation.
    image : SimpleITK.Image
        The image, whose frame of reference is compared if it is known.
    choice : RegionChoice
        The segments, by their labels; they get the labels 1, 2, … in the order of the file.

    Returns
    -------
    SimpleITK.Image
        The labels, 0 outside; frames that are not stored are empty.

    Raises
    ------
    CaseError
        If no segment or too many match, segments overlap, or voxels are fractions.
    ImageFileError
        If the file cannot be read, or its frames form no volume.
    ImportError
        If highdicom is not installed (extra `dicom`).

    Examples
    --------
    >>> from pathlib import Path
    >>> read_segmentation(Path("seg.dcm"), image, RegionChoice("Tumour"))  # doctest: +SKIP
    """
    import SimpleITK as sitk

    try:
        import highdicom
    except ImportError as error:
        raise missing_extra("highdicom", "DICOM segmentations (SEG)") from error
    dataset = read_dataset(path)
    if str(dataset.get("SegmentationType", "")).upper() == "FRACTIONAL":
        raise CaseError(
            f"{path} is a segmentation of fractions; labels are whole numbers, so export a "
            "binary one (for instance thresholded at 0.5)"
        )
    _check_complete(path)
    try:
        segmentation = highdicom.seg.Segmentation.from_dataset(dataset, copy=False)
        names = _names(segmentation)
        stored = _stored_segments(dataset)
    except Exception as error:
        # A damaged file raises any kind of error from the depth of the parser.
        raise ImageFileError(f"{path} is no complete DICOM segmentation ({error})") from error
    drawn = [name for name, number in names.items() if stored is None or number in stored]
    empty = [name for name in names if name not in drawn]
    chosen = choice.select(drawn, empty)
    _check_frame(dataset, image, path)
    volume = _volume(segmentation, [names[name] for name in chosen], chosen, path)
    mask = sitk.GetImageFromArray(np.ascontiguousarray(volume.array).astype(np.uint16))
    # highdicom's axes are slice, row, column; SimpleITK's are the reverse.
    columns = np.asarray(volume.affine)[:3, [2, 1, 0]]
    spacing = np.linalg.norm(columns, axis=0)
    mask.SetSpacing(spacing.tolist())
    mask.SetOrigin(np.asarray(volume.affine)[:3, 3].tolist())
    mask.SetDirection((columns / spacing).ravel().tolist())
    return mask


def _check_complete(path: Path) -> None:
    """Raise if frames or pixels are missing, whose voxels would be taken for empty ones."""
    file = read_dicom(path)
    check_whole(file)
    check_pixels(file)
    check_frames(file)


def _names(segmentation: Any) -> dict[str, int]:
    """Return the numbers of the segments by their labels."""
    numbers = [int(number) for number in segmentation.segment_numbers]
    labels = [str(segmentation.get_segment_description(one).segment_label) for one in numbers]
    return dict(zip(distinct_names(labels, numbers), numbers, strict=True))


def _stored_segments(dataset: Any) -> set[int] | None:
    """Return the numbers of the segments that have frames; None if frames hold all segments."""
    if str(dataset.SegmentationType).upper() == "LABELMAP":
        return None
    groups = [dataset.get("SharedFunctionalGroupsSequence", None) or []]
    groups.append(dataset.get("PerFrameFunctionalGroupsSequence", None) or [])
    return {
        int(one.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        for group in groups
        for one in group
        if "SegmentIdentificationSequence" in one
    }


def _volume(segmentation: Any, numbers: list[int], names: list[str], path: Path) -> Any:
    """Return the volume of the segments, labelled 1, 2, … in this order."""
    try:
        return segmentation.get_volume(
            segment_numbers=numbers,
            combine_segments=True,
            relabel=True,
            allow_missing_positions=True,
        )
    except Exception as error:
        # highdicom tells overlapping segments from others by its text alone.
        if "overlap" in str(error):
            raise CaseError(
                f"segments of {path} overlap: {', '.join(map(repr, names))}; measure them one at "
                "a time with `roi`"
            ) from error
        raise ImageFileError(
            f"the frames of {path} form no volume of even slices ({error})"
        ) from error


def _check_frame(dataset: Any, image: sitk.Image, path: Path) -> None:
    """Raise if image and segmentation are known to have different frames of reference."""
    frame = str(getattr(dataset, "FrameOfReferenceUID", "") or "")
    if frame and image.HasMetaDataKey(FRAME_OF_REFERENCE):
        own = image.GetMetaData(FRAME_OF_REFERENCE).strip("\0 ")
        if own and own != frame:
            raise CaseError(
                f"{path} belongs to another frame of reference ({frame}) than the image ({own}); "
                "give the segmentation of this image, or register the two"
            )
