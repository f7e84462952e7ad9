"""Headers of image files: how much they claim to hold, and whether the file can hold so much."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.io.errors import ImageFileError
from nonredundant.io.nifti import compressed_header

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Deflate, the strongest compression of these formats, makes at most 1032 bytes of one (RFC 1951).
_RATIO = 1032
#: Files below this size are not compared: what they claim is harmless.
_HARMLESS = 1 << 26
#: Size of a compressed file from which its header is read from a copy.
_COPIED = 1 << 16
#: The first bytes of HDF5 files, and the end of the names that ITK takes for MINC.
_HDF5 = b"\x89HDF\r\n\x1a\n"
_MINC = (".mnc", ".mnc.gz", ".mnc2")


def read_header(path: Path) -> sitk.ImageFileReader:
    """Read the header of an image file and check that the file can hold what it claims.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    SimpleITK.ImageFileReader
        The reader that holds the header.

    Raises
    ------
    ImageFileError
        If it is no image, or claims more voxels than a file of its size can hold.

    Examples
    --------
    >>> from pathlib import Path
    >>> read_header(Path("scan.nii.gz")).GetSize()  # doctest: +SKIP
    (512, 512, 300)
    """
    try:
        return open_header(path)
    except RuntimeError as error:
        raise ImageFileError(f"{path} cannot be read as an image; copy it again") from error


def open_header(path: Path) -> sitk.ImageFileReader:
    """Read a header like `read_header`, but leave the errors of SimpleITK as they are.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    SimpleITK.ImageFileReader
        The reader that holds the header.

    Raises
    ------
    RuntimeError
        If it is no image.
    ImageFileError
        If it claims more voxels than a file of its size can hold.

    Examples
    --------
    >>> open_header(Path("scan.nii.gz")).GetSize()  # doctest: +SKIP
    (512, 512, 300)
    """
    status = path.stat()
    reader = _read_information(str(path), status.st_ino, status.st_mtime_ns, status.st_size)
    claimed, size = header_bytes(reader), status.st_size
    if claimed > _HARMLESS and claimed > _RATIO * size and not _is_detached(path):
        raise ImageFileError(
            f"the header of {path} claims {'×'.join(map(str, reader.GetSize()))} voxels "
            f"({claimed / 2**30:,.3g} GiB), which a file of {size:,} bytes cannot hold: it is "
            "damaged; copy or export it again"
        )
    return reader


@functools.lru_cache(maxsize=16)
def _read_information(path: str, *identity: int) -> sitk.ImageFileReader:
    """Read a header once for all who ask for it; `identity` changes when the file does."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    head = compressed_header(Path(path)) if os.path.getsize(path) > _COPIED else None
    if head is not None and _read_head(reader, head):
        reader.SetFileName(path)
        return reader
    reader.SetFileName(path)
    with quiet_reading(path):
        reader.ReadImageInformation()
    return reader


def _read_head(reader: sitk.ImageFileReader, head: bytes) -> bool:
    """Read the header of a compressed NIfTI file from a copy; return whether that was possible.

    From the file itself, ITK decompresses hundreds of kilobytes three times.
    """
    try:
        with tempfile.NamedTemporaryFile(suffix=".nii") as copy:
            copy.write(head)
            copy.flush()
            reader.SetFileName(copy.name)
            reader.SetImageIO("NiftiImageIO")
            reader.ReadImageInformation()
    except (OSError, RuntimeError):
        # There is no room for a copy, or the header is damaged: the error of the file names it.
        reader.SetImageIO("")
        return False
    return True


def quiet_reading(path: str | Path) -> contextlib.AbstractContextManager[None]:
    """Silence the libraries of HDF5 and MINC, which print pages on a damaged file.

    What is wrong is in the error that follows.
    """
    with open(path, "rb") as file:
        is_hdf5 = file.read(len(_HDF5)) == _HDF5
    is_minc = str(path).lower().endswith(_MINC)
    return _silent_stderr() if is_hdf5 or is_minc else contextlib.nullcontext()


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Drop what compiled libraries write to the standard error of the process."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:
        # A process without one, such as a window, has nothing to silence.
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def header_bytes(reader: sitk.ImageFileReader) -> int:
    """Compute the bytes of the voxels that a header claims.

    Parameters
    ----------
    reader : SimpleITK.ImageFileReader
        The reader that holds the header.

    Returns
    -------
    int
        The bytes.

    Examples
    --------
    >>> header_bytes(read_header("scan.nii.gz"))  # doctest: +SKIP
    157286400
    """
    import SimpleITK as sitk

    bits = re.search(r"(\d+)-bit", sitk.GetPixelIDValueAsString(reader.GetPixelID()))
    width = int(bits.group(1)) // 8 if bits else 8
    return math.prod(reader.GetSize()) * reader.GetNumberOfComponents() * width


def stored_bytes(source: Any) -> int:
    """Compute the bytes of the voxels of a source, from its header if it is a file.

    Parameters
    ----------
    source : path, SimpleITK.Image or ndarray
        A cell of the case table.

    Returns
    -------
    int
        The bytes; 0 for sources of an unknown kind and files that are no images, which are
        refused when they are read. Of a folder: the size of its files.

    Raises
    ------
    ImageFileError
        If a file claims more than it can hold.

    Examples
    --------
    >>> stored_bytes(np.zeros((4, 8, 8), np.float32))
    1024
    """
    import SimpleITK as sitk

    if isinstance(source, np.ndarray):
        return source.nbytes
    if isinstance(source, sitk.Image):
        return source.GetNumberOfPixels() * source.GetNumberOfComponentsPerPixel() * 8
    if not isinstance(source, str | Path):
        return 0
    path = Path(source).expanduser()
    if path.is_dir():
        return sum(one.stat().st_size for one in path.iterdir() if one.is_file())
    if not path.is_file():
        return 0
    try:
        return header_bytes(open_header(path))
    except RuntimeError:
        # The file holds contours, or no image, in which case reading it raises the error.
        return 0


def _is_detached(path: Path) -> bool:
    """Check whether the voxels are in another file."""
    return path.suffix.lower() in (".mhd", ".nhdr", ".hdr")
