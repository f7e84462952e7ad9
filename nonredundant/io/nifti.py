"""What ITK's reader of NIfTI files does not tell: cut files, wrong checksums, voxels without value.

ITK takes a NaN or infinite voxel of a NIfTI file for 0, and drops a scaling that is not a number.
Format: https://nifti.nimh.nih.gov (NIfTI-1.1 and NIfTI-2).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nonredundant.io.errors import ImageFileError

#: Bytes of the longest header.
_HEADER = 540
_CHUNK = 1 << 20
#: The format of gzip files in zlib's numbering.
_GZIP = zlib.MAX_WBITS | 16
#: By the length of the header (NIfTI-1 and Analyze, NIfTI-2), struct's format and the byte of: dim,
#: datatype and bitpix, vox_offset, scl_slope and scl_inter, pixdim of x to z, the codes of qform
#: and sform, the quaternion and offset of the qform, and the rows of the sform.
_ANALYZE = 348
_LAYOUTS = {
    _ANALYZE: [
        ("8h", 40), ("2h", 70), ("f", 108), ("2f", 112), ("3f", 80), ("2h", 252), ("6f", 256),
        ("12f", 280),
    ],
    540: [
        ("8q", 16), ("2h", 12), ("q", 168), ("2d", 176), ("3d", 112), ("2i", 344), ("6d", 352),
        ("12d", 400),
    ],
}  # fmt: skip
#: NumPy's types of the real numbers, by NIfTI's codes.
_REAL = {16: "f4", 64: "f8"}


class _Header(NamedTuple):
    """The parts of a header that are checked.

    `start` is the byte of the voxel file where the voxels begin, `real` NumPy's type of voxels that
    are real numbers, else None. `sizes` are those of the voxels along x, y and z (pixdim), `codes`
    those of qform and sform, `lengths` the lengths of the axes of the sform, `place` the numbers of
    the qform and of the sform.
    """

    start: int
    n_voxels: int
    n_bytes: int
    real: np.dtype | None
    scale: tuple[float, float]
    sizes: tuple[float, ...]
    codes: tuple[int, int]
    lengths: tuple[float, ...]
    place: tuple[tuple[float, ...], tuple[float, ...]]


#: Relative difference of voxel sizes in the two places where a header states them: some are
#: rounded to two digits.
_SAME_SIZE = 1e-2
#: The code of a map to the coordinates of the scanner.
_SCANNER = 1


def unstated_axes(path: Path) -> tuple[tuple[int, ...], str]:
    """Find the axes whose voxel size the header of a NIfTI file does not state.

    Parameters
    ----------
    path : Path
        A file that ends in .nii, .hdr or .img, or one of these and .gz.

    Returns
    -------
    axes : tuple of int
        The axes, 0 is x.
    reason : str
        What is stated instead.

    Raises
    ------
    ImageFileError
        If the header states two sizes (`pixdim` and the axes of the sform).

    Examples
    --------
    >>> from pathlib import Path
    >>> unstated_axes(Path("scan.nii.gz"))  # doctest: +SKIP
    ((), '')
    """
    header = _read_header(_part(path, ".hdr"))
    if header is None:
        return (), ""
    unknown = tuple(
        k for k, size in enumerate(header.sizes) if not (math.isfinite(size) and size > 0)
    )
    stated = "×".join(f"{one:g}" for one in header.sizes)
    if unknown:
        return unknown, f"the header states voxels of {stated} (pixdim)"
    _check_place(path, header)
    qform, sform = header.codes
    apart = [abs(a - b) > _SAME_SIZE * a for a, b in zip(header.sizes, header.lengths, strict=True)]
    if sform > 0 and (qform <= 0 or sform == _SCANNER) and any(apart):
        lengths = "×".join(f"{one:.4g}" for one in header.lengths)
        raise ImageFileError(
            f"{path} states voxels of {stated} (pixdim) and of {lengths} (sform); correct the "
            "header"
        )
    return (), ""


def _check_place(path: Path, header: _Header) -> None:
    """Raise if the qform or sform that a header states is not finite: ITK takes another place."""
    for what, code, values in zip(("qform", "sform"), header.codes, header.place, strict=True):
        if code > 0 and not all(map(math.isfinite, values)):
            raise ImageFileError(
                f"{path} states a place in space with numbers that are not finite ({what}: "
                f"{', '.join(f'{one:g}' for one in values)}); correct the header, or export it "
                "again"
            )


def check_nifti(path: Path) -> np.ndarray:
    """Check that a NIfTI file is whole, and find its voxels that are NaN or infinite.

    Parameters
    ----------
    path : Path
        A file that ends in .nii, .hdr or .img, or one of these and .gz. Files of these names that
        are not NIfTI count as whole.

    Returns
    -------
    int array of shape (n,)
        Positions of the voxels, in the order of the file: x is the fastest axis.

    Raises
    ------
    ImageFileError
        If bytes of the voxels are missing, the checksum of a compressed file is wrong, or the
        scaling of the intensities is not finite.

    Examples
    --------
    >>> from pathlib import Path
    >>> check_nifti(Path("scan.nii.gz"))  # doctest: +SKIP
    array([], dtype=int64)
    """
    header = _read_header(_part(path, ".hdr"))
    if header is None:
        return np.empty(0, dtype=np.int64)
    slope, shift = header.scale
    # A slope of 0 means none, and ITK would add the shift all the same.
    if not all(map(math.isfinite, header.scale)) or (slope == 0 and shift != 0):
        raise ImageFileError(
            f"{path} states that intensities are scaled by {slope:g} (scl_slope) and shifted by "
            f"{shift:g} (scl_inter), which is no scaling; export it again"
        )
    file = _part(path, ".img")
    scanner = _Scanner(header)
    compressed = file.name.lower().endswith(".gz")
    if compressed or header.real is not None:
        for chunk in _chunks(file, header, compressed=compressed):
            scanner.feed(chunk)
        size = scanner.n_bytes
    else:
        size = file.stat().st_size
    missing = header.start + header.n_bytes - size
    if missing > 0:
        raise ImageFileError(
            f"{file} ({file.stat().st_size:,} bytes) is truncated: {missing:,} bytes of its voxels "
            "are missing; copy or export it again"
        )
    return scanner.positions()


class _Scanner:
    """Counts the bytes of a voxel file and finds the voxels that are NaN or infinite."""

    def __init__(self, header: _Header) -> None:
        self.n_bytes = 0
        self._real, self._skip, self._left = header.real, header.start, header.n_voxels
        self._rest, self._index = b"", 0
        self._found: list[np.ndarray] = []

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the file."""
        self.n_bytes += len(chunk)
        if self._real is None:
            return
        cut = min(self._skip, len(chunk))
        self._skip -= cut
        chunk = self._rest + chunk[cut:]
        n = min(len(chunk) // self._real.itemsize, self._left)
        values = np.frombuffer(chunk, dtype=self._real, count=n)
        self._rest = chunk[n * self._real.itemsize :] if n < self._left else b""
        self._found.append(np.flatnonzero(~np.isfinite(values)) + self._index)
        self._index, self._left = self._index + n, self._left - n

    def positions(self) -> np.ndarray:
        """Return the positions that were found."""
        return np.concatenate([np.empty(0, dtype=np.int64), *self._found])


def _part(path: Path, kind: str) -> Path:
    """Return the file of a pair that holds the header (.hdr) or the voxels (.img)."""
    compressed = path.name[-3:] if path.name.lower().endswith(".gz") else ""
    stem, _, suffix = path.name.removesuffix(compressed).rpartition(".")
    if suffix.lower() not in ("hdr", "img"):
        return path
    name = f"{stem}{kind.upper() if suffix.isupper() else kind}"
    # One file of a pair may be compressed and the other not.
    both = [path.with_name(name + compressed), path.with_name(name + ("" if compressed else ".gz"))]
    return next((one for one in both if one.exists()), both[0])


def _read_header(path: Path) -> _Header | None:
    """Read the header of a file; None if it is no NIfTI file."""
    compressed = path.name.lower().endswith(".gz")
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(_CHUNK if compressed else _HEADER)
    if compressed:
        try:
            # Unlike `gzip.open`, this returns what is there of a truncated file.
            head = zlib.decompressobj(_GZIP).decompress(head, _HEADER)
        except zlib.error:
            return None
    return _parse(head)


def _parse(head: bytes) -> _Header | None:
    """Read the fields of a header in either byte order."""
    for order, length in product("<>", _LAYOUTS):
        if len(head) >= length and struct.unpack_from(f"{order}i", head)[0] == length:
            break
    else:
        return None
    dims, (code, bits), (start,), scale, sizes, codes, turn, rows = (
        struct.unpack_from(order + form, head, place) for form, place in _LAYOUTS[length]
    )
    if length == _ANALYZE and head[344:347] not in (b"n+1", b"ni1"):
        # An Analyze file without NIfTI's mark has other fields here, and sizes may have a sign.
        scale, codes, sizes = (0.0, 0.0), (0, 0), tuple(map(abs, sizes))
    n_dims = min(max(dims[0], 0), 7)
    n_voxels = 1
    for size in dims[1 : 1 + n_dims]:
        n_voxels *= max(size, 1)
    n = min(n_dims, 3)
    return _Header(
        start=int(start) if math.isfinite(start) else 0,
        n_voxels=n_voxels,
        n_bytes=n_voxels * bits // 8,
        real=np.dtype(order + _REAL[code]) if code in _REAL else None,
        scale=scale,
        sizes=sizes[:n],
        codes=codes,
        lengths=tuple(np.linalg.norm(np.reshape(rows, (3, 4))[:, :n], axis=0).tolist()),
        place=(turn, rows),
    )


def _chunks(path: Path, header: _Header, *, compressed: bool) -> Iterator[bytes]:
    """Yield the bytes of a file, decompressed; raise if their checksum is wrong."""
    if not compressed:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
        return
    size = 0
    try:
        with gzip.open(path) as file:
            # Unlike `read`, this returns what comes before an error.
            while chunk := file.read1(_CHUNK):
                size += len(chunk)
                yield chunk
    except EOFError:
        return
    except (zlib.error, gzip.BadGzipFile) as error:
        # What follows a complete file is not part of it.
        if size < header.start + header.n_bytes or "Not a gzipped" not in str(error):
            raise ImageFileError(
                f"{path} ({path.stat().st_size:,} bytes) is damaged: its compressed content "
                f"disagrees with its checksum ({error}); copy or export it again"
            ) from error
