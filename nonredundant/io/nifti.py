"""What ITK's reader of NIfTI files does not tell: cut files, wrong checksums, voxels without value.

ITK takes a NaN or infinite voxel of a NIfTI file for 0, and drops a scaling that is not a number.
Format: https://nifti.nimh.nih.gov (NIfTI-1.1 and NIfTI-2).
"""

from __future__ import annotations

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
#: NumPy's types of numbers, by NIfTI's codes.
_KINDS = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
#: The marks of a file that holds header and voxels, and their places, by the length of the header.
_SINGLE = {_ANALYZE: (344, b"n+1\0"), 540: (4, b"n+2\0")}


class _Header(NamedTuple):
    """The parts of a header that are checked.

    `start` is the byte of the voxel file where the voxels begin, `kind` NumPy's type of voxels that
    are integers or real numbers, else None, and `is_single` tells whether they follow in the file
    of the header. `sizes` are those of the voxels along x, y and z (pixdim), `codes`
    those of qform and sform, `lengths` the lengths of the axes of the sform, `place` the numbers of
    the qform and of the sform.
    """

    start: int
    n_voxels: int
    n_bytes: int
    kind: np.dtype | None
    is_single: bool
    scale: tuple[float, float]
    sizes: tuple[float, ...]
    codes: tuple[int, int]
    lengths: tuple[float, ...]
    place: tuple[tuple[float, ...], tuple[float, ...]]

    @property
    def real(self) -> np.dtype | None:
        """NumPy's type of voxels that are real numbers, else None."""
        return self.kind if self.kind is not None and self.kind.kind == "f" else None


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
    _check_size(file, header, size)
    return scanner.positions()


def read_voxels(path: Path, n_voxels: int) -> np.ndarray | None:
    """Read the voxels of a compressed NIfTI file, and check that it is whole, in one pass.

    Parameters
    ----------
    path : Path
        A file.
    n_voxels : int
        Number of voxels that it should have.

    Returns
    -------
    array of shape (n_voxels,), or None
        The numbers, x is the fastest axis; None if the file is no such one, or has other numbers
        than are stored: scaled, complex or in colours.

    Raises
    ------
    ImageFileError
        If bytes of the voxels are missing, or the checksum is wrong.

    Examples
    --------
    >>> from pathlib import Path
    >>> read_voxels(Path("scan.nii.gz"), 4_194_304).dtype  # doctest: +SKIP
    dtype('int16')
    """
    header = _read_header(path) if path.name.lower().endswith(".nii.gz") else None
    if header is None or not header.is_single or header.kind is None:
        return None
    if header.n_voxels != n_voxels or header.scale not in ((0, 0), (1, 0)):
        return None
    if header.start < _ANALYZE:
        # Where its voxels begin is for ITK to say.
        return None
    content = np.empty(header.n_bytes, dtype=np.uint8)
    size = 0
    for chunk in _chunks(path, header, compressed=True):
        first = max(size - header.start, 0)
        part = chunk[max(header.start - size, 0) :][: max(header.n_bytes - first, 0)]
        content[first : first + len(part)] = np.frombuffer(part, dtype=np.uint8)
        size += len(chunk)
    _check_size(path, header, size)
    return content.view(header.kind).astype(header.kind.newbyteorder("="), copy=False)


def compressed_header(path: Path) -> bytes | None:
    """Read what is before the voxels of a compressed NIfTI file; None of any other file.

    Parameters
    ----------
    path : Path
        A file.

    Returns
    -------
    bytes or None
        The header and its extensions.

    Examples
    --------
    >>> from pathlib import Path
    >>> len(compressed_header(Path("scan.nii.gz")))  # doctest: +SKIP
    352
    """
    header = _read_header(path) if path.name.lower().endswith(".nii.gz") else None
    if header is None or not header.is_single or not 0 < header.start <= _CHUNK:
        return None
    content = _first_bytes(path, header.start)
    return content if len(content) == header.start else None


def _check_size(file: Path, header: _Header, size: int) -> None:
    """Raise if a file of so many bytes, decompressed, lacks some of the voxels."""
    missing = header.start + header.n_bytes - size
    if missing > 0:
        raise ImageFileError(
            f"{file} ({file.stat().st_size:,} bytes) is truncated: {missing:,} bytes of its voxels "
            "are missing; copy or export it again"
        )


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
    return _parse(_first_bytes(path, _HEADER)) if path.is_file() else None


def _first_bytes(path: Path, n: int) -> bytes:
    """Read the first bytes of a file, decompressed; none if it is damaged."""
    compressed = path.name.lower().endswith(".gz")
    with path.open("rb") as file:
        # Nothing grows by more than some bytes when it is compressed.
        head = file.read(n + _HEADER if compressed else n)
    if not compressed:
        return head
    try:
        # Unlike `gzip.open`, this returns what is there of a truncated file.
        return zlib.decompressobj(_GZIP).decompress(head, n)
    except zlib.error:
        return b""


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
        # The type of the voxels says their size; ITK does not read `bitpix`, which may contradict.
        n_bytes=n_voxels * (np.dtype(_KINDS[code]).itemsize if code in _KINDS else bits // 8),
        kind=np.dtype(order + _KINDS[code]) if code in _KINDS else None,
        is_single=head[_SINGLE[length][0] :].startswith(_SINGLE[length][1]),
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
        for chunk in _decompressed(path):
            size += len(chunk)
            yield chunk
    except zlib.error as error:
        # What follows a complete file is not part of it.
        if size < header.start + header.n_bytes or "header" not in str(error):
            raise ImageFileError(
                f"{path} ({path.stat().st_size:,} bytes) is damaged: its compressed content "
                f"disagrees with its checksum ({error}); copy or export it again"
            ) from error


def _decompressed(path: Path) -> Iterator[bytes]:
    """Yield the content of the parts of a gzip file, also of one that ends too early."""
    with path.open("rb") as file:
        left = file.read(_CHUNK)
        while left:
            part = zlib.decompressobj(_GZIP)
            while left and not part.eof:
                yield part.decompress(left, _CHUNK)
                left = part.unconsumed_tail or part.unused_data or file.read(_CHUNK)
            # What did not fit into the last piece.
            yield part.flush()
            # Zeros may follow a part.
            left = left.lstrip(b"\0") or file.read(_CHUNK)
