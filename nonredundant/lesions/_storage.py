"""Save and load a `LesionTable` as an uncompressed npz file of plain arrays, without pickle."""

from __future__ import annotations

import json
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from nonredundant.lesions.sample_labels import (
    calendar_type,
    columns_of,
    index_from_labels,
    labels_of,
    samples_from_columns,
)
from nonredundant.lesions.stored_array import StoredArray, row_blocks
from nonredundant.utils.files import replaced_file

_FORMAT = "nonredundant lesion table 1"
#: What the readers of zip, JSON and arrays raise where bytes are missing or changed: also an offset
#: that cannot be, a version or a compression that does not exist, a flag of encryption.
_DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
_ARRAYS = ("patches", "masks", "positions", "spacing", "sample")


def save_arrays(parts: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write the constructor arguments of a table, with names in a JSON header."""
    features = parts["features"]
    wrong = [str(c) for c, t in features.dtypes.items() if not pd.api.types.is_numeric_dtype(t)]
    if wrong:
        raise TypeError(f"only numeric features can be saved; these are not: {wrong}")
    header = {
        "format": _FORMAT,
        "columns": [str(name) for name in features.columns],
        "blocks": {str(name): block for name, block in parts["blocks"].items()},
        "index": labels_of(parts["index"]),
        "index_dtype": calendar_type(parts["index"]),
        "index_name": parts["index"].name,
        "status": [str(value) for value in parts["status"]],
        "lesion_status": [str(value) for value in parts["lesion_status"]],
        "samples": columns_of(parts["samples"]),
        "provenance": parts["provenance"],
    }
    arrays = {name: parts[name] for name in _ARRAYS if parts[name] is not None}
    arrays |= {
        "header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
        "features": features.to_numpy(dtype=np.float64),
    }
    with replaced_file(_file(path)) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write_array(member, array)


def _write_array(file: Any, array: Any) -> None:
    """Write an array in NumPy's format; rows of a store are read a few at a time."""
    if not isinstance(array, StoredArray):
        np.lib.format.write_array(file, array, allow_pickle=False)
        return
    header = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": array.shape,
    }
    np.lib.format.write_array_header_1_0(file, header)
    for block in row_blocks(array):
        file.write(block.tobytes())


def _file(path: str | os.PathLike[str]) -> Path:
    """Return the path with the ending of the format."""
    target = Path(path)
    return target if target.suffix == ".npz" else target.with_name(target.name + ".npz")


def load_arrays(path: str | os.PathLike[str], *, mmap: bool) -> dict[str, Any]:
    """Read the constructor arguments of a saved table; `.npz` is appended as in saving."""
    if Path(path).is_dir():
        raise IsADirectoryError(
            f"{path} is a folder, not the file of a saved table; a store of lesions is opened by "
            "LesionTable.open"
        )
    if not Path(path).exists():
        if not _file(path).exists():
            raise FileNotFoundError(
                f"there is no table {_file(path)}; the working directory is {Path.cwd()}"
            )
        path = _file(path)
    try:
        return _read_parts(path, mmap=mmap)
    except PermissionError:
        raise
    except _DAMAGE as error:
        raise ValueError(f"{path} is not a saved LesionTable, or is cut off: {error}") from error


def _read_parts(path: str | os.PathLike[str], *, mmap: bool) -> dict[str, Any]:
    """Read the constructor arguments of a table; raise if the file is none."""
    _check_sizes(path)
    with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
        header = json.loads(file["header"].tobytes()) if "header" in file.files else {}
        if not isinstance(header, dict) or header.get("format") != _FORMAT:
            raise ValueError("it lacks the header of one")
        mapped = ("patches", "masks") if mmap else ()
        parts = {n: file[n] for n in _ARRAYS if n in file.files and n not in mapped}
        parts |= {n: _memory_map(path, n) for n in mapped if n in file.files}
        features = pd.DataFrame(file["features"], columns=header["columns"])
    index = index_from_labels(header["index"], header["index_dtype"], header["index_name"])
    return {
        "features": features,
        "blocks": header["blocks"],
        "status": header["status"],
        "lesion_status": header["lesion_status"],
        "index": index,
        "samples": samples_from_columns(header.get("samples", {}), index),
        "provenance": header["provenance"],
        **parts,
    }


def _check_sizes(path: str | os.PathLike[str]) -> None:
    """Raise if arrays claim more than the file holds, before memory is reserved for them."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(one.compress_type != zipfile.ZIP_STORED for one in members):
            raise ValueError("it is compressed, which saved tables are not")
        if sum(one.file_size for one in members) > os.path.getsize(path):
            raise ValueError("its parts claim more bytes than it has")
        for one in members:
            with archive.open(one) as member:
                shape, _, dtype = _read_head(member)
                content = one.file_size - member.tell()
            if math.prod(shape) * dtype.itemsize != content:
                raise ValueError(f"{one.filename} claims the shape {shape}, but is of another size")


def _read_head(member: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read shape, order and type of an array from the beginning of its file."""
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    return read[np.lib.format.read_magic(member)](member)


def _memory_map(path: str | os.PathLike[str], name: str) -> np.ndarray:
    """Map one uncompressed member of an npz file."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
        shape, fortran, dtype = _read_head(member)
        in_member = member.tell()
        start = archive.getinfo(f"{name}.npy").header_offset
    with open(path, "rb") as file:
        # Name and extra fields of the local header have their own lengths (PKZIP 4.3.7).
        file.seek(start + 26)
        name_length, extra_length = np.frombuffer(file.read(4), dtype="<u2")
    offset = start + 30 + int(name_length) + int(extra_length) + in_member
    order: Literal["C", "F"] = "F" if fortran else "C"
    return np.memmap(Path(path), dtype=dtype, mode="r", shape=shape, offset=offset, order=order)
