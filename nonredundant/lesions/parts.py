"""Write and read one part of a store: the samples and lesions of some cases."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nonredundant.lesions.sample_labels import columns_of
from nonredundant.utils.optional import import_optional

#: Bytes of patches that are compressed together: one read.
_CHUNK_BYTES = 4 * 2**20
_MOST_ROWS = 64
#: Columns of `samples.parquet`.
SAMPLE_COLUMNS = (
    "case",
    "position",
    "status",
    "lesions",
    "stamp",
    "digest",
    "written",
    "columns",
)
_OWN = "lesion."


class StoreError(ValueError):
    """A folder that is no store of lesions, or one that is damaged or has other settings."""


@dataclass(frozen=True)
class Layout:
    """What all parts of a store share.

    Attributes
    ----------
    columns : list of str
        Names of the features, in order.
    blocks : dict of str to str
        Block of each feature.
    n_dim : int
        Number of dimensions of the images.
    grid : list of int or None
        Shape of a patch, channels first; None without patches.
    calendar, index_name : object
        Type of labels that are dates, and name of the index.
    provenance : dict
        Settings and versions of the extraction.
    chunk : int
        Number of patches that are compressed together; by default about 4 MiB.
    """

    columns: list[str]
    blocks: dict[str, str]
    n_dim: int
    grid: list[int] | None
    calendar: str | None = None
    index_name: Any = None
    provenance: dict[str, Any] = field(default_factory=dict)
    chunk: int = 0

    def __post_init__(self) -> None:
        if not self.chunk:
            voxels = int(np.prod(self.grid or [1]))
            chunk = int(np.clip(_CHUNK_BYTES // (4 * voxels), 1, _MOST_ROWS))
            object.__setattr__(self, "chunk", chunk)

    @property
    def axes(self) -> str:
        """Names of the axes, z-y-x."""
        return "zyx"[-self.n_dim :]

    @property
    def arrays(self) -> dict[str, tuple[tuple[int, ...], type]]:
        """Shape of one row, and type, of each array of voxels."""
        if self.grid is None:
            return {}
        return {
            "patches": (tuple(self.grid), np.float32),
            "masks": ((1, *self.grid[1:]), np.bool_),
        }


class Lesions(NamedTuple):
    """The rows of `lesions.parquet`, with the position of each lesion's sample in the part."""

    sample: np.ndarray
    status: list[str]
    positions: np.ndarray
    spacing: np.ndarray | None
    features: np.ndarray


def check_names(columns: list[str]) -> None:
    """Raise if a feature has a name that the store uses itself."""
    taken = [name for name in columns if str(name).startswith(_OWN)]
    if taken:
        raise StoreError(
            f"features of a store may not have names that begin with {_OWN!r}, got {taken[:5]}; "
            "rename these columns"
        )


def write_part(folder: Path, table: Any, samples: pd.DataFrame, layout: Layout, store: str) -> None:
    """Write the files of a part.

    Parameters
    ----------
    folder : Path
        An empty folder.
    table : LesionTable
        The lesions.
    samples : DataFrame
        One row per sample, with the columns `SAMPLE_COLUMNS`; those of the table are written as
        JSON into the last one.
    layout : Layout
        The layout of the store.
    store : str
        Digest of the store's header, which says that the part belongs to it.
    """
    arrow = import_optional("pyarrow", extra="store", purpose="writing a store of lesions")
    samples = samples.assign(columns=rows_as_json(table.samples))
    columns = {name: samples[name].to_numpy() for name in SAMPLE_COLUMNS}
    _write_parquet(folder / "samples.parquet", arrow.table(columns), store)
    lesions: dict[str, Any] = {
        f"{_OWN}sample": table.sample,
        f"{_OWN}status": table.lesion_status.to_numpy(dtype=object),
    }
    for name, part in (("position", table.positions), ("spacing", table.spacing)):
        if part is not None:
            lesions |= {f"{_OWN}{name}_{axis}": part[:, i] for i, axis in enumerate(layout.axes)}
    values = table.features[layout.columns].to_numpy(dtype=np.float64)
    lesions |= {name: values[:, i] for i, name in enumerate(layout.columns)}
    _write_parquet(folder / "lesions.parquet", arrow.table(lesions), store)
    for name in layout.arrays:
        _write_voxels(folder / name, getattr(table, name), layout.chunk)


def rows_as_json(samples: pd.DataFrame) -> list[str]:
    """Convert the columns of the samples to a JSON object per sample; dates become text."""
    columns = {name: column["values"] for name, column in columns_of(samples).items()}
    rows = zip(*columns.values(), strict=True) if columns else [()] * len(samples)
    # In the order of the columns.
    return [json.dumps(dict(zip(columns, row, strict=True))) for row in rows]


def samples_from_json(rows: Iterable[str], index: pd.Index) -> pd.DataFrame:
    """Build the frame of samples from a JSON object per sample."""
    return pd.DataFrame([json.loads(row) for row in rows], index=index)


def _write_parquet(path: Path, table: Any, store: str) -> None:
    """Write a table with checksums of its pages."""
    parquet = import_optional("pyarrow.parquet", extra="store", purpose="writing a store")
    parquet.write_table(
        table.replace_schema_metadata({"store": store}),
        path,
        compression="zstd",
        use_dictionary=["status", f"{_OWN}status"],
        write_statistics=False,
        write_page_checksum=True,
    )


def _write_voxels(folder: Path, voxels: np.ndarray, chunk: int) -> None:
    """Write an array in compressed chunks with checksums, a file each."""
    zarr = import_optional("zarr", extra="store", purpose="writing a store of lesions")
    codecs = import_optional("zarr.codecs", extra="store", purpose="writing a store of lesions")
    item = voxels.shape[1:]
    array = zarr.create_array(
        folder,
        shape=voxels.shape,
        dtype=voxels.dtype,
        chunks=(chunk, *item),
        # This codec decodes fast; a training reads every patch in every epoch.
        compressors=[codecs.BloscCodec(cname="lz4", shuffle="shuffle"), codecs.Crc32cCodec()],
        chunk_key_encoding={"name": "default", "separator": "."},
        fill_value=voxels.dtype.type(0),
        # A chunk of zeros has a file, too: otherwise a lost file would be read as zeros.
        config={"write_empty_chunks": True},
    )
    array[:] = voxels


def read_samples(folder: Path, store: str) -> pd.DataFrame:
    """Read the samples of a part.

    Parameters
    ----------
    folder : Path
        The part.
    store : str
        Digest of the store's header.

    Returns
    -------
    DataFrame
        One row per sample.

    Raises
    ------
    StoreError
        If the file is missing, damaged or of another store.
    """
    table = _read_parquet(folder / "samples.parquet", SAMPLE_COLUMNS, store)
    return pd.DataFrame({name: table[name].to_numpy() for name in SAMPLE_COLUMNS})


def read_lesions(folder: Path, layout: Layout, store: str) -> Lesions:
    """Read the lesions of a part, without their voxels.

    Parameters
    ----------
    folder : Path
        The part.
    layout : Layout
        The layout of the store.
    store : str
        Digest of the store's header.

    Returns
    -------
    Lesions
        The rows.

    Raises
    ------
    StoreError
        If the file is missing, damaged or of another store.
    """
    places = [f"{_OWN}position_{axis}" for axis in layout.axes]
    sizes = [f"{_OWN}spacing_{axis}" for axis in layout.axes] if layout.grid is not None else []
    wanted = [f"{_OWN}sample", f"{_OWN}status", *places, *sizes, *layout.columns]
    table = _read_parquet(folder / "lesions.parquet", wanted, store)

    def matrix(names: list[str]) -> np.ndarray:
        values = np.empty((table.num_rows, len(names)))
        for i, name in enumerate(names):
            values[:, i] = table[name].to_numpy()
        return values

    return Lesions(
        table[f"{_OWN}sample"].to_numpy(),
        table[f"{_OWN}status"].to_pylist(),
        matrix(places),
        matrix(sizes) if sizes else None,
        matrix(layout.columns),
    )


def _read_parquet(path: Path, columns: Any, store: str) -> Any:
    """Read a table; raise if it is missing, damaged or of another store."""
    parquet = import_optional("pyarrow.parquet", extra="store", purpose="reading a store")
    remedy = (
        f"restore it, or delete {path.parent} and run `to_store` again, which measures only what "
        "is missing"
    )
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise StoreError(f"{path} is missing or damaged ({reason}); {remedy}") from error
    missing = sorted(set(columns) - set(table.column_names))
    if missing:
        raise StoreError(f"{path} lacks the columns {missing[:5]}; {remedy}")
    found = (table.schema.metadata or {}).get(b"store", b"").decode()
    if found != store:
        raise StoreError(
            f"{path} was written for a store with other settings; a store holds lesions that were "
            f"measured alike: {remedy}"
        )
    return table


def json_text(content: Mapping[str, Any] | Any) -> str:
    """Return canonical JSON, the same for the same content."""
    return json.dumps(content, sort_keys=True, default=float)
