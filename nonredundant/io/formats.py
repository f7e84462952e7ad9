"""What the header of an image file tells before the file is read."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

_HEADER = 540
_CHUNK = 1 << 20


def missing_bytes(path: Path) -> int:
    """Return how many bytes fewer a `.nii` or `.nii.gz` holds than its header promises.

    Other formats, and files that are no NIfTI, count as complete here: ITK checks those itself.
    """
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        return 0
    compressed = name.endswith(".gz")
    try:
        with gzip.open(path) if compressed else path.open("rb") as file:
            promised = _promised(file.read(_HEADER))
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return 0
    if promised is None:
        return 0
    if not compressed:
        return max(0, promised - path.stat().st_size)
    with path.open("rb") as file:
        file.seek(-4, 2)
        if struct.unpack("<I", file.read(4))[0] == promised % 2**32:
            return 0
    # The trailer counts the last member only, so that it may be wrong in a complete file.
    return max(0, promised - _uncompressed_size(path))


def _promised(header: bytes) -> int | None:
    """Return the size of header and voxels in bytes, or None if this is no NIfTI header."""
    for order in "<>":
        if len(header) >= 348 and struct.unpack_from(f"{order}i", header)[0] == 348:
            dims = struct.unpack_from(f"{order}8h", header, 40)
            bits = struct.unpack_from(f"{order}h", header, 72)[0]
            offset = int(struct.unpack_from(f"{order}f", header, 108)[0])
            break
        if len(header) >= _HEADER and struct.unpack_from(f"{order}i", header)[0] == _HEADER:
            dims = struct.unpack_from(f"{order}8q", header, 16)
            bits = struct.unpack_from(f"{order}h", header, 14)[0]
            offset = struct.unpack_from(f"{order}q", header, 168)[0]
            break
    else:
        return None
    voxels = 1
    for size in dims[1 : 1 + min(max(dims[0], 0), 7)]:
        voxels *= max(size, 1)
    return offset + voxels * bits // 8


def _uncompressed_size(path: Path) -> int:
    """Return how many bytes can be decompressed."""
    size = 0
    try:
        with gzip.open(path) as file:
            while chunk := file.read(_CHUNK):
                size += len(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return size
    return size


#: A DICOM file has "DICM" behind 128 bytes, then its meta elements in explicit little endian, the
#: class of its content, (0002,0002), among the first of them (DICOM PS3.10, section 7.1).
_PREAMBLE, _MAGIC = 128, b"DICM"
_CLASS_TAG = b"\x02\x00\x02\x00UI"
_HEAD = 1024
#: Classes of content (PS3.4, table B.5-1), what they are, and what makes a mask of them.
_KINDS = {
    "1.2.840.10008.5.1.4.1.1.66.4": (
        "a DICOM segmentation (SEG): segments in frames, with a geometry of their own",
        "dcmqi's segimage2itkimage",
    ),
    "1.2.840.10008.5.1.4.1.1.481.3": (
        "a DICOM structure set (RTSTRUCT): contours, no voxels",
        "dcmrtstruct2nii or plastimatch convert, which need the image series as well",
    ),
}


def what_to_convert(path: Path) -> str:
    """Say what a SEG or RTSTRUCT file is and how to convert it; empty for any other content.

    A folder is taken for its file if it holds one.
    """
    if path.is_dir():
        files = list(path.iterdir())
        return what_to_convert(files[0]) if len(files) == 1 and files[0].is_file() else ""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head[_PREAMBLE : _PREAMBLE + len(_MAGIC)] != _MAGIC:
        return ""
    start = head.find(_CLASS_TAG) + len(_CLASS_TAG)
    length = int.from_bytes(head[start : start + 2], "little")
    # Odd lengths are padded with a zero byte.
    uid = head[start + 2 : start + 2 + length].rstrip(b"\0 ").decode("ascii", "replace")
    if uid not in _KINDS:
        return ""
    kind, tool = _KINDS[uid]
    return f"is {kind}; convert it to NIfTI or NRRD, for instance with {tool}, and give that file"
