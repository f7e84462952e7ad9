"""DICOM files: their elements without the pixels, read once, and whether the pixels are whole."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from nonredundant.io.errors import CaseError, ImageFileError

#: A DICOM file has "DICM" after 128 bytes (DICOM PS3.10, section 7.1). Files older than the
#: standard begin with an element of group 0008.
_PREAMBLE, _MAGIC, _OLD = 128, b"DICM", b"\x08\x00"
#: Endings of files whose voxels may begin with the same bytes.
_OTHERS = (".img", ".hdr", ".raw", ".bin", ".nii", ".gz", ".zraw")
#: A length that is not stated: the pixels are compressed, in fragments (DICOM PS3.5, annex A.4).
_UNDEFINED = 0xFFFFFFFF
_PIXELS, _REAL_PIXELS = 0x7FE00010, (0x7FE00008, 0x7FE00009)
#: What counts pixels, bits or frames is below this.
_COUNTS = 2**32
_ITEM, _END = 0xFFFEE000, 0xFFFEE0DD
_DEFLATED = "1.2.840.10008.1.2.1.99"
#: Files that a system or a person leaves beside the slices.
_STRAY = (".db", ".ini", ".txt", ".md", ".csv", ".json", ".xml", ".html", ".pdf", ".log")


class Pixels(NamedTuple):
    """The pixels that follow a header.

    `tag` is 0 if there are none; `stated` the bytes by their header, None if they are compressed;
    `whole` whether the file holds as many.
    """

    tag: int
    stated: int | None
    whole: bool


@dataclass(frozen=True)
class DicomFile:
    """A DICOM file: `elements` is its data set without the pixels."""

    path: Path
    elements: Any
    pixels: Pixels

    def text(self, keyword: str) -> str:
        """Return an element as text; empty if it is absent."""
        return text(self.elements, keyword)

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Return the numbers of an element; none if it is absent."""
        return numbers(self.elements, keyword)

    def whole(self, keyword: str, default: int) -> int:
        """Return an element that counts; a default if it is absent."""
        value = (self.numbers(keyword) or (default,))[0]
        if not 0 <= value < _COUNTS:
            raise CaseError(f"{name(keyword)} is {value:g}, which is no number of anything")
        return int(value)

    @property
    def n_frames(self) -> int:
        """The number of frames, 1 if it is not stated."""
        return max(self.whole("NumberOfFrames", 1), 1)


def read_dicom(path: Path) -> DicomFile:
    """Read the elements of a DICOM file without its pixels.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    DicomFile
        The elements, and what is known of the pixels.

    Raises
    ------
    ImageFileError
        If it is no DICOM file, or damaged.

    Examples
    --------
    >>> from pathlib import Path
    >>> read_dicom(Path("slice.dcm")).text("Modality")  # doctest: +SKIP
    'CT'
    """
    import pydicom

    try:
        with without_pydicom_warnings(), path.open("rb") as file:
            old = _is_old(path, file.read(_PREAMBLE + len(_MAGIC)))
            file.seek(0)
            elements = pydicom.dcmread(file, stop_before_pixels=True, force=old)
            meta = getattr(elements, "file_meta", None)
            if str(getattr(meta, "TransferSyntaxUID", "")) == _DEFLATED:
                content = pydicom.dcmread(path).get("PixelData", b"")
                return DicomFile(path, elements, Pixels(_PIXELS, len(content), True))
            return DicomFile(path, elements, _find_pixels(file, elements))
    except Exception as error:
        # A damaged file raises any kind of error from the depth of the parser.
        raise ImageFileError(f"{path} cannot be read as DICOM ({error})") from error


def is_dicom(path: Path) -> bool:
    """Recognise a DICOM file by its first bytes.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    bool
        Whether it has the mark of DICOM, or begins like files that are older than it.

    Examples
    --------
    >>> from pathlib import Path
    >>> is_dicom(Path("slice.dcm"))  # doctest: +SKIP
    True
    """
    with path.open("rb") as file:
        head = file.read(_PREAMBLE + len(_MAGIC))
    return head[_PREAMBLE:] == _MAGIC or _is_old(path, head)


def _damaged_slices(
    images: list[DicomFile], others: list[DicomFile], strangers: list[Path]
) -> list[Path]:
    """List the files that look like slices of the images, by class or ending, but are none."""
    classes = {_class(file) for file in images}
    endings = {file.path.suffix.lower() for file in images}
    return [
        *(file.path for file in others if _class(file) in classes | {""}),
        *(p for p in strangers if p.suffix.lower() in endings and _is_slice_name(p)),
    ]


def list_images(folder: Path) -> list[DicomFile]:
    """Read the headers of all images in a folder, in the order of their names.

    Parameters
    ----------
    folder : Path
        The folder; folders in it are left out.

    Returns
    -------
    list of DicomFile
        The images. Objects without pixels (structure sets, reports) are left out.

    Raises
    ------
    ImageFileError
        If a file that lies among the images, with their ending or class, is damaged: a slice that
        is left out would shorten the lesion.

    Examples
    --------
    >>> from pathlib import Path
    >>> len(list_images(Path("CT")))  # doctest: +SKIP
    120
    """
    images: list[DicomFile] = []
    others: list[DicomFile] = []
    strangers = []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        if is_dicom(path):
            file = read_dicom(path)
            (images if file.pixels.tag else others).append(file)
        elif not path.name.startswith(".") and path.suffix.lower() not in _STRAY:
            strangers.append(path)
    damaged = _damaged_slices(images, others, strangers)
    if images and damaged:
        names = ", ".join(f"{path.name} ({path.stat().st_size:,} bytes)" for path in damaged[:5])
        raise ImageFileError(
            f"{len(damaged)} of the {len(images) + len(damaged)} files of the series in {folder} "
            f"cannot be read as slices: {names}; copy or export them again"
        )
    return images


def text(elements: Any, keyword: str) -> str:
    """Return an element as text, its values separated by backslashes; empty if it is absent.

    Parameters
    ----------
    elements : pydicom.Dataset
        The data set.
    keyword : str
        DICOM's keyword of the element.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> text(Dataset(), "Modality")
    ''
    """
    value = _value(elements, keyword)
    if value is None:
        return ""
    values = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else value
    return "\\".join(str(item).strip("\0 ") for item in values)


def numbers(elements: Any, keyword: str) -> tuple[float, ...]:
    """Return the numbers of an element; none if it is absent or empty.

    Parameters
    ----------
    elements : pydicom.Dataset
        The data set.
    keyword : str
        DICOM's keyword of the element.

    Returns
    -------
    tuple of float
        The numbers, which may be NaN.

    Raises
    ------
    CaseError
        If a value is no number.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> elements = Dataset()
    >>> elements.PixelSpacing = [0.8, 0.9]
    >>> numbers(elements, "PixelSpacing")
    (0.8, 0.9)
    """
    value = _value(elements, keyword)
    if value is None:
        return ()
    try:
        return tuple(
            float(item) for item in np.ravel(np.asarray(value, dtype=object)) if item != ""
        )
    except (TypeError, ValueError) as error:
        raise CaseError(f"{name(keyword)} is {value!r:.60}, not a number; correct it") from error


def items(elements: Any, keyword: str) -> list[Any]:
    """Return the items of a sequence; none if it is absent.

    Parameters
    ----------
    elements : pydicom.Dataset
        The data set.
    keyword : str
        DICOM's keyword of the sequence.

    Returns
    -------
    list of pydicom.Dataset
        The items.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> items(Dataset(), "ModalityLUTSequence")
    []
    """
    return list(_value(elements, keyword) or [])


def name(keyword: str) -> str:
    """Describe an element by its keyword and tag.

    Parameters
    ----------
    keyword : str
        DICOM's keyword of the element.

    Returns
    -------
    str
        The description.

    Examples
    --------
    >>> name("PixelSpacing")
    'PixelSpacing (0028,0030)'
    """
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword) or 0
    return f"{keyword} ({tag >> 16:04x},{tag & 0xFFFF:04x})"


@contextmanager
def without_pydicom_warnings() -> Iterator[None]:
    """Read with pydicom, whose warnings about values that are not used are of no help.

    Examples
    --------
    >>> with without_pydicom_warnings():
    ...     warnings.warn("the value exceeds the maximum length of 16 allowed", stacklevel=2)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _value(elements: Any, keyword: str) -> Any:
    """Return the value of an element; None if it is absent or empty."""
    if keyword not in elements:
        return None
    try:
        return elements.get(keyword)
    except Exception as error:
        # pydicom converts a value when it is asked for; a damaged one raises any kind of error.
        raise CaseError(f"{name(keyword)} cannot be read ({error}); correct it") from error


def _class(file: DicomFile) -> str:
    """Return the class of a file's content, also if it is cut off behind the meta elements."""
    meta = getattr(file.elements, "file_meta", None)
    return file.text("SOPClassUID") or str(getattr(meta, "MediaStorageSOPClassUID", ""))


def _is_old(path: Path, head: bytes) -> bool:
    """Check whether a file begins with an element of group 0008, without the mark of DICOM."""
    return (
        len(head) == _PREAMBLE + len(_MAGIC)
        and head[:2] == _OLD
        and head[3] == 0
        and path.suffix.lower() not in _OTHERS
    )


def _is_slice_name(path: Path) -> bool:
    """Check whether a file that is no DICOM has the name of a slice, or is cut off."""
    return bool(path.suffix) or path.stat().st_size < _PREAMBLE + len(_MAGIC)


def _find_pixels(file: BinaryIO, elements: Any) -> Pixels:
    """Read the head of the pixel element at the file's position, and check that all is there."""
    implicit, little = elements.original_encoding
    order = "<" if little or little is None else ">"
    head = file.read(8 if implicit else 12)
    if len(head) < 8:
        return Pixels(0, 0, False)
    tag = _tag(head, order)
    if tag != _PIXELS and tag not in _REAL_PIXELS:
        return Pixels(0, 0, False)
    if len(head) < 12 and not implicit:
        return Pixels(tag, 0, False)
    stated = struct.unpack(f"{order}I", head[-4:])[0]
    start = file.tell()
    size = file.seek(0, 2)
    if stated != _UNDEFINED:
        return Pixels(tag, stated, start + stated <= size)
    return Pixels(tag, None, _has_all_fragments(file, start, size))


def _has_all_fragments(file: BinaryIO, start: int, size: int) -> bool:
    """Walk through the fragments of compressed pixels up to the mark of their end."""
    while start + 8 <= size:
        file.seek(start)
        head = file.read(8)
        tag, length = _tag(head, "<"), struct.unpack("<I", head[4:])[0]
        if tag == _END:
            return True
        if tag != _ITEM:
            return False
        start += 8 + length
    return False


def _tag(head: bytes, order: str) -> int:
    """Read a tag, group and element."""
    group, element = struct.unpack(f"{order}2H", head[:4])
    return group << 16 | element
