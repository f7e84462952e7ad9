"""The manifest of a part of a store: what its files were when it was written.

It lies beside the parts, under the part's name, and is written after it: a part without one, of a
writer that was killed or of an earlier version, is read as it is. Small files have a SHA-256; of a
chunk of voxels, the size and the last bytes are compared, which are its checksum (CRC-32C), so that
no voxels are read to open a store.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from nonredundant.lesions.parts import StoreError, json_text
from nonredundant.utils.files import make_folder, write_text

#: Folder of the manifests in a store.
FOLDER = "manifests"
#: Names of the files of chunks, and the bytes of the checksum at their end.
_CHUNK, _CHECKSUM_BYTES = "c.", 4
#: What file browsers, network drives and disks leave in any folder.
_FOREIGN = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "lost+found", "$recycle.bin"})


def entries(folder: Path) -> list[Path]:
    """List a folder of a store, without what file browsers and network drives leave in it.

    Parameters
    ----------
    folder : Path
        The folder; it may be missing.

    Returns
    -------
    list of Path
        Its entries in the order of their names.
    """
    found = sorted(folder.iterdir()) if folder.exists() else []
    return [
        one
        for one in found
        if not one.name.startswith((".", "@", "#")) and one.name.lower() not in _FOREIGN
    ]


def write_manifest(store: Path, part: Path, n_samples: int) -> None:
    """Write the manifest of a part that is complete.

    Parameters
    ----------
    store : Path
        Folder of the store.
    part : Path
        Folder of the part.
    n_samples : int
        Number of its samples, for messages.
    """
    files = {
        one.relative_to(part).as_posix(): _mark(one)
        for one in sorted(part.rglob("*"))
        if one.is_file()
    }
    content = {"part": part.name, "samples": n_samples, "files": files}
    write_text(make_folder(store / FOLDER) / f"{part.name}.json", json_text(content))


def check_manifests(store: Path, parts: Path) -> None:
    """Raise if a part was deleted, or a file of one is not the file that was written.

    Parameters
    ----------
    store : Path
        Folder of the store.
    parts : Path
        Folder of its parts.

    Raises
    ------
    StoreError
        Names the part or file, what differs and the remedy.
    """
    for path in entries(store / FOLDER):
        content = _read(path)
        part = parts / path.stem
        if not part.is_dir():
            raise StoreError(
                f"the part {part} with {content['samples']} cases was deleted or renamed after it "
                "was written; restore it, or run `to_store` again, which measures only what is "
                "missing"
            )
        for name, expected in content["files"].items():
            difference = _difference(part / name, expected)
            if difference:
                raise StoreError(
                    f"{part / name} is missing or damaged ({difference}); restore it, or delete "
                    f"{part} and run `to_store` again, which measures only what is missing"
                )


def forget_deleted(store: Path, parts: Path) -> None:
    """Remove the manifests of deleted parts, whose cases are going to be measured again."""
    for path in entries(store / FOLDER):
        if not (parts / path.stem).is_dir():
            path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    """Read a manifest; raise if it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["part"] != path.stem:
            raise ValueError(f"it is that of {content['part']!r}")
        return {"samples": int(content["samples"]), "files": dict(content["files"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is missing or damaged ({error!s}); restore it, or delete it and the folder of "
            "its name in parts/, and run `to_store` again"
        ) from error


def _difference(path: Path, expected: Any) -> str:
    """Say how a file differs from what was written; empty if it does not."""
    try:
        found = _mark(path)
    except OSError as error:
        return error.strerror or str(error)
    if found == expected:
        return ""
    if found[0] != expected[0]:
        return f"it has {found[0]:,} bytes, and was written with {expected[0]:,}"
    return "its checksum is not that of the file that was written"


def _mark(path: Path) -> list[Any]:
    """Return the size of a file and its SHA-256, or the checksum at the end of a chunk."""
    with path.open("rb") as file:
        if not path.name.startswith(_CHUNK):
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return [file.tell(), digest]
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _CHECKSUM_BYTES))
        return [size, file.read().hex()]
