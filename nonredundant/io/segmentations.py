"""DICOM segmentations (SEG): read their segments as labels, with their own geometry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.io.contours import FRAME_OF_REFERENCE, choose_regions, read_dataset
from nonredundant.io.errors import CaseError, ImageFileError, missing_extra

if TYPE_CHECKING:
    import SimpleITK as sitk


def read_segmentation(
    path: Path, image: sitk.Image, *, roi: str | None = None, several: bool = False
) -> sitk.Image:
    """Read segments of a DICOM segmentation as labels on the grid of its frames.

    Parameters
    ----------
    path : Path
        The file.
    image : SimpleITK.Image
        The image, whose frame of reference is compared if it is known.
    roi : str, optional
        Label of the segment, or a pattern such as "GTV*". None: the only segment.
    several : bool, default=False
        Whether the pattern may match several segments, which get the labels 1, 2, …

    Returns
    -------
    SimpleITK.Image
        The labels, 0 outside; frames that are not stored are empty.

    Raises
    ------
    CaseError
        If no segment or too many match, or voxels are fractions.
    ImageFileError
        If the file cannot be read, or its frames form no volume.
    ImportError
        If highdicom is not installed (extra `dicom`).

    Examples
    --------
    >>> from pathlib import Path
    >>> read_segmentation(Path("seg.dcm"), image, roi="Tumour")  # doctest: +SKIP
    """
    import SimpleITK as sitk

    try:
        import highdicom
    except ImportError as error:
        raise missing_extra("highdicom", "DICOM segmentations (SEG)") from error
    dataset = read_dataset(path, "DICOM segmentations (SEG)")
    if str(dataset.get("SegmentationType", "")).upper() == "FRACTIONAL":
        raise CaseError(
            f"{path} is a segmentation of fractions; labels are whole numbers, so export a "
            "binary one (for instance thresholded at 0.5)"
        )
    try:
        segmentation = highdicom.seg.Segmentation.from_dataset(dataset, copy=False)
        labels = {
            number: str(segmentation.get_segment_description(number).segment_label)
            for number in segmentation.segment_numbers
        }
    except Exception as error:
        # A damaged file raises any kind of error from the depth of the parser.
        raise ImageFileError(f"{path} is no complete DICOM segmentation ({error})") from error
    repeated = {one for one in labels.values() if list(labels.values()).count(one) > 1}
    names = {
        f"{label} (number {number})" if label in repeated else label: number
        for number, label in labels.items()
    }
    numbers = [names[one] for one in choose_regions(list(names), roi, several=several)]
    _check_frame(dataset, image, path)
    try:
        volume = segmentation.get_volume(
            segment_numbers=numbers,
            combine_segments=True,
            relabel=True,
            allow_missing_positions=True,
        )
    except Exception as error:
        raise ImageFileError(
            f"the frames of {path} form no volume of even slices without overlap ({error})"
        ) from error
    mask = sitk.GetImageFromArray(np.ascontiguousarray(volume.array).astype(np.uint16))
    # highdicom's axes are slice, row, column; SimpleITK's are the reverse.
    columns = np.asarray(volume.affine)[:3, [2, 1, 0]]
    spacing = np.linalg.norm(columns, axis=0)
    mask.SetSpacing(spacing.tolist())
    mask.SetOrigin(np.asarray(volume.affine)[:3, 3].tolist())
    mask.SetDirection((columns / spacing).ravel().tolist())
    return mask


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
