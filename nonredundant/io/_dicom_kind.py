"""What a DICOM file holds that is no grid of voxels, told from its first bytes."""

from __future__ import annotations

from pathlib import Path

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
