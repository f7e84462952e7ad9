"""File formats of images and masks: one table of their recognisers and readers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nonredundant.io.contents import (
    describe_absent,
    describe_file,
    describe_folder,
)
from nonredundant.io.contours import read_contours
from nonredundant.io.dicom import (
    DicomFile,
    is_dicom,
    list_images,
    read_dicom,
    without_pydicom_warnings,
)
from nonredundant.io.errors import CaseError, ImageFileError
from nonredundant.io.headers import header_bytes, open_header, quiet_reading
from nonredundant.io.labels import fits_bytes
from nonredundant.io.layers import select_labels
from nonredundant.io.nifti import check_nifti, read_voxels
from nonredundant.io.region_names import RegionChoice
from nonredundant.io.segmentations import read_segmentation
from nonredundant.io.series import read_series, read_single
from nonredundant.io.stated_size import read_stated_size, with_stated_size

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class FileFormat:
    """One format of images and masks on disk.

    `is_self_contained`: the bytes of the file (or of the files in the folder) are the whole
    content. Otherwise the file refers to other files, for instance for its voxels.
    `read_on`: reads a mask of named regions that is given relative to an image, with the arguments
    path, image and choice of the regions.
    """

    name: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], sitk.Image]
    is_self_contained: bool = True
    read_on: Callable[..., sitk.Image] | None = None


def find_format(path: Path) -> FileFormat:
    """Return the first format of the table that recognises a file or folder."""
    return next(one for one in FORMATS if one.recognises(path))


def read_file(path: Path) -> sitk.Image:
    """Read a file or folder in the format that recognises it.

    Raises
    ------
    ImageFileError
        If the file cannot be read as an image.
    """
    file_format = find_format(path)
    try:
        return file_format.read(path)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        content = describe_file(path)
        if content:
            raise ImageFileError(
                f"{path} ({_size(path)}) cannot be read as {file_format.name}: {content}"
            ) from error
        raise ImageFileError(
            f"{path} ({_size(path)}) cannot be read as {file_format.name} ({reason}); is it "
            "complete, and in a format that SimpleITK reads (NIfTI, NRRD, MHA, DICOM)?"
        ) from error


def read_mask_file(
    path: Path,
    image: sitk.Image,
    choice: RegionChoice,
    *,
    channel: int | None = None,
    located: bool = True,
) -> sitk.Image:
    """Read a mask from a file or folder; contours and segments are chosen by their names.

    `located`: whether the image has a place in space, which contours need.

    Raises
    ------
    CaseError
        If the contours do not belong to the image, the choice selects none or several of them, or
        the mask has several channels of which none is chosen.
    ImageFileError
        If the file cannot be read, or the folder holds several masks.
    """
    if path.is_dir():
        masks = _mask_files(path)
        if len(masks) > 1:
            names = ", ".join(one.name for one in masks[:5])
            raise ImageFileError(
                f"{path} holds {len(masks)} masks ({names}); give one of the files"
            )
        path = masks[0] if masks else path
    read_on = find_format(path).read_on
    if read_on is None:
        return select_labels(_read_labels(path), choice, channel)
    if read_on is read_contours and not located:
        raise CaseError(
            f"{path} holds contours in mm, but the image is an array or pixels without a place in "
            "space; give the image as the DICOM series that they were drawn on"
        )
    return read_on(path, image, choice)


def file_content(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, or the names and bytes of the files in a folder."""
    if not path.is_dir():
        yield path.read_bytes()
        return
    for file in sorted(entry for entry in path.iterdir() if entry.is_file()):
        yield file.name.encode()
        yield file.read_bytes()


def _size(path: Path) -> str:
    """Describe the size of a file or folder."""
    if path.is_dir():
        n_folders = sum(one.is_dir() for one in path.iterdir())
        n_files = sum(1 for _ in path.iterdir()) - n_folders
        folders = f" and {n_folders} folders" if n_folders else ""
        return f"a folder of {n_files} files{folders}"
    return f"{path.stat().st_size:,} bytes"


def _has_suffix(*suffixes: str) -> Callable[[Path], bool]:
    """Recognise a file by the end of its name."""
    return lambda path: path.name.lower().endswith(suffixes)


def _read_with_itk(path: Path) -> sitk.Image:
    """Read a file with SimpleITK, if its size agrees with what its header claims."""
    import SimpleITK as sitk

    size = read_stated_size(path)
    open_header(path)
    with quiet_reading(path):
        image = sitk.ReadImage(str(path))
    return with_stated_size(image, size, path)


# DICOM ---------------------------------------------------------------------------------------

#: A DICOM file has "DICM" after 128 bytes, then its meta elements in explicit little endian. The
#: class of its content, (0002,0002), is among the first of them (DICOM PS3.10, section 7.1).
_PREAMBLE, _MAGIC = 128, b"DICM"
_CLASS_TAG = b"\x02\x00\x02\x00UI"
_HEAD = 1024
#: Classes of content (DICOM PS3.4, table B.5-1).
_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
_SURFACES = "1.2.840.10008.5.1.4.1.1.66.5"
_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
_MASK_CLASSES = (_SEGMENTATION, _LABEL_MAP, _SURFACES, _STRUCTURE_SET)
#: The directory of a medium (DICOM PS3.10, section 8.6).
_DIRECTORY = "1.2.840.10008.1.3.10"


def _dicom_class(path: Path) -> str:
    """Read the class of a DICOM file's content; empty for other files.

    A folder that contains a single file is treated like this file.
    """
    if path.is_dir():
        files = list(path.iterdir())
        return _dicom_class(files[0]) if len(files) == 1 and files[0].is_file() else ""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head[_PREAMBLE : _PREAMBLE + len(_MAGIC)] != _MAGIC:
        return ""
    start = head.find(_CLASS_TAG) + len(_CLASS_TAG)
    length = int.from_bytes(head[start : start + 2], "little")
    # Odd lengths are padded with a zero byte.
    return head[start + 2 : start + 2 + length].rstrip(b"\0 ").decode("ascii", "replace")


def _has_dicom_class(*uids: str) -> Callable[[Path], bool]:
    """Recognise a DICOM file by the class of its content."""
    return lambda path: _dicom_class(path) in uids


def _read_dicom_file(path: Path) -> sitk.Image:
    """Read a DICOM file."""
    return read_single(str(path))


def dicom_dimensions(path: Path) -> int:
    """Return the number of dimensions of a DICOM file or series, by its headers."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    images = (read_dicom(one) for one in files if one.is_file() and is_dicom(one))
    frames = [one.n_frames for one in itertools.islice((i for i in images if i.pixels.tag), 2)]
    return 2 if frames == [1] else 3


def _no_image(path: Path, *, content: str) -> sitk.Image:
    """Raise an error that describes a file that is a mask and no image."""
    raise ImageFileError(
        f"{path} is {content}, which has no voxels of an image; give it in the column 'mask', and "
        "the series it was drawn on in the column 'image'"
    )


def _no_voxels(path: Path, *_: object) -> sitk.Image:
    """Raise an error for a segmentation that has surfaces and no voxels."""
    raise ImageFileError(
        f"{path} is a DICOM segmentation of surfaces (meshes), which has no voxels; export a "
        "binary segmentation or a label map"
    )


def _no_series(path: Path, *_: object) -> sitk.Image:
    """Raise an error for the directory of a DICOM medium."""
    folder = path if path.is_dir() else path.parent
    content = describe_folder(folder)
    raise ImageFileError(
        f"{path} is the directory of a DICOM medium (DICOMDIR), which lists files and holds no "
        f"image{f'; {content}' if content else ': give the folder of one series'}"
    )


@without_pydicom_warnings()
def _read_dicom_series(folder: Path) -> sitk.Image:
    """Read the DICOM series in a folder."""
    return read_series(_series_files(folder))


def _mask_files(folder: Path) -> list[Path]:
    """List the structure sets and segmentations in a folder."""
    files = sorted(entry for entry in folder.iterdir() if entry.is_file())
    return [one for one in files if _dicom_class(one) in _MASK_CLASSES]


def _series_files(folder: Path) -> list[DicomFile]:
    """Return the files of the only DICOM series of images in a folder."""
    absent = describe_absent(folder)
    if absent:
        raise ImageFileError(f"{folder} ({_size(folder)}) is incomplete: {absent}")
    series: dict[str, list[DicomFile]] = {}
    for file in list_images(folder):
        if file.text("SOPClassUID") not in _MASK_CLASSES:
            series.setdefault(file.text("SeriesInstanceUID"), []).append(file)
    if not series:
        content = describe_folder(folder)
        raise ImageFileError(
            f"{folder} ({_size(folder)}) holds no DICOM series"
            f"{f': {content}' if content else ' of images'}"
        )
    if len(series) > 1:
        counts = ", ".join(f"{uid or 'without UID'} ({len(one)})" for uid, one in series.items())
        raise ImageFileError(
            f"{folder} holds {len(series)} DICOM series (files each): {counts}; give each series "
            "a folder of its own"
        )
    return next(iter(series.values()))


# NIfTI ---------------------------------------------------------------------------------------

#: Bytes of a large mask that are read at a time.
_PART = 1 << 26


def _read_nifti(path: Path) -> sitk.Image:
    """Read a NIfTI file whole, with the voxels that are NaN or infinite, which ITK reads as 0."""
    import SimpleITK as sitk

    size, header = read_stated_size(path), open_header(path)
    voxels = read_voxels(path, math.prod(header.GetSize()))
    if voxels is None:
        image = _read_with_itk(path)
        lost = check_nifti(path)
        return _with_nan(image, lost, path) if len(lost) else image
    image = sitk.GetImageFromArray(voxels.reshape(header.GetSize()[::-1]), isVector=False)
    image.SetSpacing(header.GetSpacing())
    image.SetOrigin(header.GetOrigin())
    image.SetDirection(header.GetDirection())
    for key in header.GetMetaDataKeys():
        image.SetMetaData(key, header.GetMetaData(key))
    return with_stated_size(image, size, path)


def _with_nan(image: sitk.Image, positions: np.ndarray, path: Path) -> sitk.Image:
    """Set voxels to NaN, so that the checks of every format find them."""
    import SimpleITK as sitk

    values = sitk.GetArrayFromImage(image)
    if values.dtype.kind != "f" or positions[-1] >= values.size:
        raise ImageFileError(
            f"{path}: {len(positions):,} voxels are NaN or infinite; replace them, for instance by "
            "the intensity of the background"
        )
    values.reshape(-1)[positions] = np.nan
    restored = sitk.GetImageFromArray(values, isVector=image.GetNumberOfComponentsPerPixel() > 1)
    restored.CopyInformation(image)
    for key in image.GetMetaDataKeys():
        restored.SetMetaData(key, image.GetMetaData(key))
    return restored


def _read_labels(path: Path) -> sitk.Image:
    """Read a mask; a large one part by part into bytes, if all of it are small whole numbers.

    ITK holds the voxels of a NIfTI file twice while it reads them, and masks are often stored in
    wide types.
    """
    import SimpleITK as sitk

    if find_format(path).read is not _read_nifti:
        return read_file(path)
    try:
        header = open_header(path)
    except RuntimeError:
        return read_file(path)
    stored = header_bytes(header)
    plain = header.GetDimension() == 3 and header.GetNumberOfComponents() == 1
    if stored <= _PART or not plain or header.GetPixelID() == sitk.sitkUInt8:
        return read_file(path)
    if len(check_nifti(path)):
        return read_file(path)
    size = header.GetSize()
    labels = np.empty(size[::-1], dtype=np.uint8)
    step = max(1, size[2] * _PART // stored)
    for start in range(0, size[2], step):
        stop = min(start + step, size[2])
        header.SetExtractIndex([0, 0, start])
        header.SetExtractSize([size[0], size[1], stop - start])
        part = header.Execute()
        values = sitk.GetArrayViewFromImage(part)
        if not fits_bytes(values):
            return read_file(path)
        labels[start:stop] = np.rint(values)
    del part, values
    mask = sitk.GetImageFromArray(labels)
    mask.SetSpacing(header.GetSpacing())
    mask.SetOrigin(header.GetOrigin())
    mask.SetDirection(header.GetDirection())
    return with_stated_size(mask, read_stated_size(path), path)


# The table -----------------------------------------------------------------------------------

#: All formats; the first that recognises a path reads it. A new entry is all that a new format
#: needs.
FORMATS = (
    FileFormat(
        "a DICOM segmentation",
        _has_dicom_class(_SEGMENTATION, _LABEL_MAP),
        partial(_no_image, content="a DICOM segmentation (SEG)"),
        read_on=read_segmentation,
    ),
    FileFormat(
        "a DICOM segmentation of surfaces",
        _has_dicom_class(_SURFACES),
        _no_voxels,
        read_on=_no_voxels,
    ),
    FileFormat("a DICOMDIR", _has_dicom_class(_DIRECTORY), _no_series, read_on=_no_series),
    FileFormat(
        "a DICOM structure set",
        _has_dicom_class(_STRUCTURE_SET),
        partial(_no_image, content="a DICOM structure set (RTSTRUCT)"),
        read_on=read_contours,
    ),
    FileFormat("a DICOM series", Path.is_dir, _read_dicom_series),
    FileFormat("a DICOM image", is_dicom, _read_dicom_file),
    FileFormat("NIfTI", _has_suffix(".nii", ".nii.gz"), _read_nifti),
    FileFormat(
        "NIfTI",
        _has_suffix(".hdr", ".img", ".hdr.gz", ".img.gz"),
        _read_nifti,
        is_self_contained=False,
    ),
    FileFormat(
        "an image",
        _has_suffix(".nrrd", ".mha", ".png", ".tif", ".tiff", ".jpg", ".jpeg"),
        _read_with_itk,
    ),
    # Any other file that SimpleITK reads, like .mhd, whose voxels are in another file.
    FileFormat("an image", lambda path: True, _read_with_itk, is_self_contained=False),
)
