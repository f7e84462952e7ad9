"""A store of lesions on the disk: written in parts by any number of processes, read lazily.

Layout of the folder::

    store.json                     format, settings, columns, shape of the patches, a checksum
    cohorts/0001/cohort.json       a case table that was asked for: its digest and length
    parts/0001-000000000-1f3a…/    the lesions of some of its cases
        samples.parquet            one row per sample: label, place, status, digest of its source
        lesions.parquet            one row per lesion: sample, status, position, spacing, features
        patches/, masks/           zarr 3 arrays, compressed, with checksums
    manifests/0001-00….json        what the files of a part were when it was written
    unfinished/                    parts that are being written

A part is written to `unfinished/`, flushed and renamed: it is there whole or not at all, so that
writers need no lock and a killed one leaves nothing that is seen. A renaming that finds the name
taken, by a task that a cluster ran twice, discards its own copy.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.lesions.manifest import (
    check_manifests,
    entries,
    forget_deleted,
    write_manifest,
)
from nonredundant.lesions.parts import (
    SAMPLE_COLUMNS,
    Layout,
    StoreError,
    check_names,
    json_text,
    read_lesions,
    read_samples,
    samples_from_json,
    write_part,
)
from nonredundant.lesions.sample_labels import index_from_labels
from nonredundant.lesions.stored_array import StoredArray
from nonredundant.utils.files import explained, make_folder, write_text
from nonredundant.utils.user_warnings import warn_user

_FORMAT = "nonredundant lesion store"
#: Number of the layout; raised when a store of the current one can no longer be read.
_VERSION = 1
_HEADER = "store.json"
#: Seconds after which what a killed writer left in `unfinished/` is removed.
_STALE = 86_400.0
_OK = "ok"


class LesionStore:
    """The folder of a store.

    Parameters
    ----------
    path : path
        The folder.

    Attributes
    ----------
    path : Path
        Its absolute path.
    layout : Layout
        Columns, shape of the patches and settings.
    digest : str
        Digest of the header, which each part repeats.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    StoreError
        If the folder is no store, of a newer format, or its header was changed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser().absolute()
        content = _read_header(self.path)
        self.digest = content.pop("digest")
        self.layout = Layout(**content["layout"])

    @classmethod
    def create(cls, path: str | os.PathLike[str], layout: Layout) -> LesionStore:
        """Open the store of this layout, after creating it if the folder is empty or absent.

        Parameters
        ----------
        path : path
            The folder.
        layout : Layout
            The layout.

        Returns
        -------
        LesionStore
            The store.

        Raises
        ------
        StoreError
            If the folder holds something else, or a store with other settings.
        """
        folder = Path(path).expanduser().absolute()
        check_names(layout.columns)
        if not isinstance(layout.index_name, str | int | None):
            raise StoreError(
                f"the index of the case table has the name {layout.index_name!r}; a store keeps "
                "text: rename it (cases.index.name)"
            )
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"{folder} is a file, not a folder; choose another path for the store")
        if not (folder / _HEADER).exists():
            make_folder(folder)
            foreign = [one.name for one in entries(folder)]
            if foreign:
                raise StoreError(
                    f"{folder} is no store of lesions: it has no {_HEADER}, but {len(foreign)} "
                    f"other entries, such as {sorted(foreign)[0]!r}; choose an empty folder"
                )
            content = {"format": _FORMAT, "version": _VERSION, "layout": asdict(layout)}
            write_text(folder / _HEADER, json_text({**content, "digest": _digest(content)}))
        store = cls(folder)
        forget_deleted(folder, folder / "parts")
        _check_same_settings(store.layout, layout, folder)
        return store

    def cohort(self, labels: Sequence[str]) -> int:
        """Return the number of a case table in the order of the tables that were asked for.

        Parameters
        ----------
        labels : sequence of str
            The labels of its cases.

        Returns
        -------
        int
            The same number for the same labels, by whichever writer.
        """
        digest = hashlib.sha256(json_text(list(labels)).encode()).hexdigest()
        root = make_folder(self.path / "cohorts")
        while True:
            known = {int(one.name): one for one in entries(root) if one.name.isdecimal()}
            for number, folder in sorted(known.items()):
                if _cohort_digest(folder, folder.stat().st_mtime_ns) == digest:
                    return number
            number = max(known, default=0) + 1
            with self._unfinished() as folder:
                write_text(
                    folder / "cohort.json", json_text({"digest": digest, "cases": len(labels)})
                )
                # If another writer takes the number first, look again.
                _publish(folder, root / f"{number:04d}")

    def add(self, name: str, table: Any, samples: pd.DataFrame) -> None:
        """Write a part, if there is none of this name.

        Parameters
        ----------
        name : str
            The name of the part; it begins with the number of the cohort.
        table : LesionTable
            The lesions.
        samples : DataFrame
            One row per sample: `case`, `position`, `stamp` and `digest`.
        """
        counts = np.bincount(table.sample, minlength=table.n_samples)
        samples = samples.assign(
            status=table.status.to_numpy(), lesions=counts, written=time.time_ns()
        )
        target = make_folder(self.path / "parts") / name
        with self._unfinished() as folder, explained(target, folder):
            write_part(folder, table, samples, self.layout, self.digest)
            _flush(folder)
            published = _publish(folder, target)
        if published:
            write_manifest(self.path, target, len(samples))

    def samples(self) -> pd.DataFrame:
        """Read which samples are complete, in the order of the case tables.

        Returns
        -------
        DataFrame
            One row per sample: the columns of `samples.parquet`, `part` (its name) and `first`
            (the row of its first lesion there).

        Raises
        ------
        StoreError
            If a part is damaged, or two hold the same case with other content.
        """
        root = self.path / "parts"
        frames = []
        for name in (one.name for one in entries(root)):
            frame = read_samples(root / name, self.digest)
            lesions = frame["lesions"].to_numpy()
            frames.append(frame.assign(part=name, first=np.cumsum(lesions) - lesions))
        if not frames:
            return pd.DataFrame(columns=[*SAMPLE_COLUMNS, "part", "first"])
        return _settled(pd.concat(frames, ignore_index=True))

    def parts(self) -> dict[str, Any]:
        """Read the constructor arguments of the table; patches and masks stay on the disk.

        Returns
        -------
        dict
            The arguments of `LesionTable`.
        """
        layout = self.layout
        samples = self.samples()
        check_manifests(self.path, self.path / "parts")
        counts = samples["lesions"].to_numpy(dtype=np.int64)
        sample = np.repeat(np.arange(len(samples)), counts)
        within = np.arange(len(sample)) - np.repeat(np.cumsum(counts) - counts, counts)
        row = samples["first"].to_numpy(dtype=np.int64)[sample] + within
        names, part = np.unique(samples["part"].to_numpy(dtype=str), return_inverse=True)
        part = part.reshape(-1)[sample].astype(np.int32)
        features = np.empty((len(sample), len(layout.columns)))
        positions = np.empty((len(sample), layout.n_dim))
        spacing = None if layout.grid is None else np.empty((len(sample), layout.n_dim))
        status = np.empty(len(sample), dtype=object)
        order = np.argsort(part, kind="stable")
        starts = np.searchsorted(part[order], np.arange(len(names) + 1))
        for i, name in enumerate(names):
            found = read_lesions(self.path / "parts" / name, layout, self.digest)
            rows = order[starts[i] : starts[i + 1]]
            source = row[rows]
            features[rows], positions[rows] = found.features[source], found.positions[source]
            status[rows] = np.asarray(found.status, dtype=object)[source]
            if spacing is not None and found.spacing is not None:
                spacing[rows] = found.spacing[source]
        labels = [json.loads(text) for text in samples["case"]]
        index = index_from_labels(labels, layout.calendar, layout.index_name)
        return {
            "features": pd.DataFrame(features, columns=layout.columns, copy=False),
            "blocks": layout.blocks,
            "sample": sample,
            "positions": positions,
            "spacing": spacing,
            "status": samples["status"].tolist(),
            "lesion_status": status,
            "index": index,
            "samples": samples_from_json(samples["columns"], index),
            "provenance": layout.provenance,
            **{name: self._voxels(name, names, part, row) for name in layout.arrays},
        }

    def _voxels(
        self, name: str, parts: np.ndarray, part: np.ndarray, row: np.ndarray
    ) -> StoredArray:
        """Return the patches or the masks."""
        item, dtype = self.layout.arrays[name]
        files = tuple(f"{one}/{name}" for one in parts)
        chunk = self.layout.chunk
        root = self.path / "parts"
        return StoredArray(root, files, part, row, item=item, dtype=dtype, chunk=chunk)

    @contextlib.contextmanager
    def _unfinished(self) -> Iterator[Path]:
        """Make a folder to write to, and remove it if it is still there at the end."""
        folder = make_folder(self.path / "unfinished" / secrets.token_hex(8))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def remove_leftovers(self) -> None:
        """Remove what killed writers left behind more than a day ago."""
        root = self.path / "unfinished"
        for folder in root.iterdir() if root.exists() else ():
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > _STALE:
                    shutil.rmtree(folder, ignore_errors=True)


def open_store(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the constructor arguments of the table in a store.

    Parameters
    ----------
    path : path
        The folder.

    Returns
    -------
    dict
        The arguments of `LesionTable`.
    """
    return LesionStore(path).parts()


def _settled(samples: pd.DataFrame) -> pd.DataFrame:
    """Keep one row of each case, measured rather than failed and late rather than early.

    Cases come in the order in which they were first asked for.
    """
    cohort = samples["part"].str.split("-").str[0].astype(np.int64)
    samples = samples.assign(cohort=cohort, is_ok=samples["status"] == _OK)
    if samples["case"].duplicated().any():
        _check_same_content(samples)
        places = samples.sort_values(["cohort", "position"]).drop_duplicates("case")
        samples = samples.sort_values(["is_ok", "written"]).drop_duplicates("case", keep="last")
        places = places.set_index("case").loc[samples["case"], ["cohort", "position"]]
        samples = samples.assign(
            cohort=places["cohort"].to_numpy(), position=places["position"].to_numpy()
        )
    samples = samples.sort_values(["cohort", "position"], ignore_index=True)
    return samples.drop(columns=["cohort", "is_ok"])


def _check_same_content(samples: pd.DataFrame) -> None:
    """Raise if two writers measured different images under one label."""
    measured = samples[samples["is_ok"]]
    kinds = measured.groupby("case")["digest"].nunique()
    if (kinds > 1).any():
        raise StoreError(
            f"{int((kinds > 1).sum())} cases are in the store with different content, such as "
            f"case {kinds.index[kinds > 1][0]}: give each case a label of its own "
            "(cases.index), and write the tables that share labels to a new store"
        )


def _check_same_settings(stored: Layout, now: Layout, folder: Path) -> None:
    """Raise if lesions measured now would differ from the stored ones; warn of other versions."""
    before, after = (_flat(json.loads(json_text(asdict(one)))) for one in (stored, now))
    changed = {
        name: (before.get(name), after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }
    # Chunks are those of the store.
    changed.pop("chunk", None)
    versions = {n: changed.pop(n) for n in list(changed) if n.startswith("provenance.versions.")}
    if changed:
        names = "; ".join(
            f"{name.removeprefix('provenance.').removeprefix('parameters.')}: "
            f"stored {_short(old)}, now {_short(new)}"
            for name, (old, new) in list(changed.items())[:5]
        )
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        raise StoreError(
            f"the store {folder} was written with other settings ({names}{more}); use these, or "
            "write to a new store"
        )
    if versions:
        listed = ", ".join(
            f"{n.rsplit('.', 1)[1]} {old} (now {new})" for n, (old, new) in versions.items()
        )
        warn_user(
            f"the store {folder} was written with {listed}; values may differ in the last digits"
        )


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted names."""
    if not isinstance(content, dict) or not content:
        return {prefix.removesuffix("."): content}
    found: dict[str, Any] = {}
    for name, value in content.items():
        found |= _flat(value, f"{prefix}{name}.")
    return found


def _short(value: Any) -> str:
    """Describe a setting in a few words."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _read_header(folder: Path) -> dict[str, Any]:
    """Read and check the header of a store."""
    path = folder / _HEADER
    if not folder.exists():
        raise FileNotFoundError(
            f"there is no store {folder}; the working directory is {Path.cwd()}"
        )
    if folder.is_file():
        raise StoreError(
            f"{folder} is a file, not a store of lesions; a table that was saved to a file is read "
            "by LesionTable.load"
        )
    if not path.exists():
        raise StoreError(
            f"{folder} is no store of lesions: it has no {_HEADER}; one is written by "
            "RadiomicsExtractor.to_store"
        )
    content = _read_json(path)
    if content.get("format") != _FORMAT:
        raise StoreError(f"{path} is not the header of a store of lesions")
    if content.get("version") != _VERSION:
        raise StoreError(
            f"{folder} has the format {content.get('version')!r}, and this version of nonredundant "
            f"reads {_VERSION}; update nonredundant"
        )
    digest = content.pop("digest", None)
    if digest != _digest(content):
        raise StoreError(
            f"{path} was changed after it was written: its checksum is wrong; restore it, or write "
            "a new store"
        )
    return {**content, "digest": digest}


def _read_json(path: Path) -> dict[str, Any]:
    """Read a file of the store; raise if it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} is missing or damaged: {error}; restore it") from error
    return content if isinstance(content, dict) else {}


@functools.lru_cache(maxsize=1 << 16)
def _cohort_digest(folder: Path, modified: int) -> str:
    """Read the digest of a case table once: the tables of a store are looked through at each call.

    `modified` changes when the folder is another one.
    """
    return str(_read_json(folder / "cohort.json").get("digest", ""))


def _digest(content: dict[str, Any]) -> str:
    """Return the checksum of a header."""
    return hashlib.sha256(json_text(content).encode()).hexdigest()


def _flush(folder: Path) -> None:
    """Flush all files of a folder to the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())


def _publish(folder: Path, target: Path) -> bool:
    """Rename a finished folder to its place; return False if the place is taken."""
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True
