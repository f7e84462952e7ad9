"""Files and folders that are no images: what they are instead, by their first bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from nonredundant.io.dicom import is_dicom

#: Beginnings of files that stand for others, and what to do.
_POINTERS = (
    (b"version https://git-lfs", "it is a pointer of Git LFS, not the file itself: git lfs pull"),
    (b"/annex/objects/", "it is a pointer of git-annex, not the file itself: git annex get"),
)
#: The same, and of files that are or hold something else.
_BEGINNINGS = (
    *_POINTERS,
    (b"PK\x03\x04", "it is a ZIP archive: unpack it"),
    (b"<!doctype html", "it is a web page, perhaps that of a login: download the file again"),
    (b"<html", "it is a web page, perhaps that of a login: download the file again"),
    (b"<?xml", "it is XML, not an image: give the image itself"),
    (b"%pdf", "it is a PDF, not an image: give the image itself"),
)
_GZIP = b"\x1f\x8b"
#: Folders below a folder that are searched, and files of each that are looked at.
_MOST_FOLDERS, _MOST_FILES = 300, 3
_SHOWN = 5
_IMAGES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr")


def describe_file(path: Path) -> str:
    r"""Describe what a file is that cannot be read as an image; empty if that is unknown.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        The description, with a remedy.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "scan.nii"
    ...     _ = path.write_bytes(b"\x1f\x8b" + bytes(8))
    ...     describe_file(path)
    "it is compressed by gzip, which its name does not say: rename it to 'scan.nii.gz'"
    """
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        return "it is empty: copy it again"
    for beginning, what in _BEGINNINGS:
        if head.lstrip().lower().startswith(beginning.lower()):
            return what
    if head.startswith(_GZIP) and not path.name.lower().endswith(".gz"):
        if path.suffix.lower() in (".nii", ".hdr", ".img"):
            remedy = f"rename it to {path.name + '.gz'!r}"
        else:
            remedy = "unpack it (gunzip)"
        return f"it is compressed by gzip, which its name does not say: {remedy}"
    return ""


def describe_folder(folder: Path) -> str:
    """Describe what a folder holds that is not a DICOM series, and which folder to give.

    Parameters
    ----------
    folder : Path
        A folder without a DICOM series.

    Returns
    -------
    str
        The description, with a remedy; empty if it holds nothing of use.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "scan.nii.gz").write_bytes(bytes(8))
    ...     describe_folder(Path(folder))
    "it holds 'scan.nii.gz': give the file, not its folder"
    """
    entries = sorted(folder.iterdir())
    files = [one for one in entries if one.is_file()]
    reasons = [reason for one in files[:_MOST_FILES] if (reason := describe_file(one))]
    if reasons:
        return f"of {files[0].name!r}: {reasons[0]}"
    images = [one.name for one in files if one.name.lower().endswith(_IMAGES)]
    if images:
        return f"it holds {_listed(images)}: give the file, not its folder"
    series = [str(one.relative_to(folder)) for one in _dicom_folders(folder)]
    if series:
        return (
            f"DICOM files are in {_listed(series)} below it: give the folder of one series, not "
            "one above it"
        )
    return ""


def describe_absent(folder: Path) -> str:
    """Describe the entries of a folder whose content is elsewhere; empty if there is none.

    Parameters
    ----------
    folder : Path
        A folder.

    Returns
    -------
    str
        The number of links without a target and of pointers of Git LFS or git-annex, and a remedy.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "1.dcm").symlink_to("nowhere.dcm")
    ...     describe_absent(Path(folder))
    '1 of its 1 entries are links without content: copy the files themselves'
    """
    entries = list(folder.iterdir())
    links = [one for one in entries if one.is_symlink() and not one.exists()]
    if links:
        annex = any("annex/objects" in os.readlink(one) for one in links)
        return (
            f"{len(links)} of its {len(entries)} entries are links without content: "
            f"{'git annex get (datalad get)' if annex else 'copy the files themselves'}"
        )
    for beginning, what in _POINTERS:
        n = sum(_begins(one, beginning) for one in entries if one.is_file())
        if n:
            return f"of {n} of its {len(entries)} entries: {what}"
    return ""


def _begins(path: Path, beginning: bytes) -> bool:
    """Check the first bytes of a file."""
    with path.open("rb") as file:
        return file.read(len(beginning)) == beginning


def _dicom_folders(folder: Path) -> Iterator[Path]:
    """List the folders below a folder whose first files are DICOM."""
    for count, (name, below, names) in enumerate(os.walk(folder)):
        below.sort()
        if count >= _MOST_FOLDERS:
            return
        files = [Path(name, one) for one in sorted(names) if one != "DICOMDIR"][:_MOST_FILES]
        if Path(name) != folder and any(one.is_file() and is_dicom(one) for one in files):
            yield Path(name)


def _listed(names: list[str]) -> str:
    """List the first names."""
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
