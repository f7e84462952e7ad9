"""Write files so that each is whole or absent, also when the disk is full or the run is killed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

#: Why a file could not be written, and what to do, by the error's number.
_REMEDIES = {
    errno.ENOSPC: "the disk is full; free space there or choose another folder",
    errno.EDQUOT: "the quota of the disk is used up; free space there or choose another folder",
    errno.EFBIG: "the file would be larger than the system or its limits allow; raise the limit "
    "(`ulimit -f`) or choose another disk",
    errno.EROFS: "the disk is mounted read-only; choose another folder",
    errno.EACCES: "the folder may not be written to; change its permissions or choose another",
    errno.EPERM: "the folder may not be written to; change its permissions or choose another",
    errno.ENOENT: "its folder does not exist; create it",
    errno.ENOTDIR: "a part of its path is a file, not a folder; choose another path",
    errno.EISDIR: "it is a folder; give the name of a file",
    errno.ENAMETOOLONG: "its name is too long for the disk; choose a shorter one",
    errno.EIO: "the disk reports a fault; check it, or choose another",
}


@contextlib.contextmanager
def replaced_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file that takes its name only when the block has ended without an error.

    The bytes go to a temporary file in the same folder, which is flushed to the disk and renamed.
    A reader sees the earlier file or the new one, never a part. A block that fails leaves nothing
    behind; a killed process may leave a file ``.nonredundant-*.part``, which can be deleted.

    Parameters
    ----------
    path : str or path-like
        The file; its folder must exist. A link is followed. A device or pipe is written to
        directly.

    Yields
    ------
    file object
        Open for writing bytes.

    Raises
    ------
    OSError
        If the file cannot be written: names the file, the reason and a remedy.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replaced_file(f"{folder}/note.txt") as file:
    ...         _ = file.write(b"whole")
    ...     pathlib.Path(folder, "note.txt").read_text()
    'whole'
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file() and not target.is_dir():
        with explained(target, target), target.open("wb") as stream:
            yield stream
        return
    part = target.with_name(f".nonredundant-{secrets.token_hex(6)}.part")
    with explained(target, part):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(part))
        try:
            with _new_file(part) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                part.chmod(target.stat().st_mode & 0o7777)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    _flush_folder(target.parent)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text in UTF-8 by `replaced_file`.

    Parameters
    ----------
    path : str or path-like
        The file; its folder must exist.
    text : str
        The content.

    Raises
    ------
    OSError
        If the file cannot be written: names the file, the reason and a remedy.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text(f"{folder}/note.txt", "20 µm")
    ...     pathlib.Path(folder, "note.txt").read_text(encoding="utf-8")
    '20 µm'
    """
    with replaced_file(path) as file:
        file.write(text.encode("utf-8"))


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Create a folder and those above it, if they do not exist.

    Parameters
    ----------
    path : str or path-like
        The folder.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OSError
        If it cannot be created: names the folder, the reason and a remedy.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_folder(f"{folder}/report/tables").name
    'tables'
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        number = errno.ENOTDIR if error.errno == errno.EEXIST else error.errno
        if number not in _REMEDIES:
            raise
        raise OSError(
            number, f"the folder {folder} could not be created: {_REMEDIES[number]}"
        ) from error
    return folder


@contextlib.contextmanager
def explained(target: Path, written: Path) -> Iterator[None]:
    """Name the file, the reason and a remedy in errors of writing; leave other errors alone.

    Parameters
    ----------
    target : Path
        The file or folder as the user knows it.
    written : Path
        The file that is written, or the folder of the files that are.

    Raises
    ------
    OSError
        In place of an error of writing, by the system.
    """
    try:
        yield
    except OSError as error:
        named = None if error.filename is None else Path(os.fsdecode(error.filename))
        is_own = named is None or named.is_relative_to(written)
        if error.errno not in _REMEDIES or not is_own:
            raise
        raise OSError(
            error.errno, f"{target} could not be written: {_REMEDIES[error.errno]}"
        ) from error


def remedy(error: OSError) -> str:
    """Say why a file could not be written, and what to do.

    Parameters
    ----------
    error : OSError
        The error of the system.

    Returns
    -------
    str
        Reason and remedy; empty for errors that are not of writing.

    Examples
    --------
    >>> remedy(OSError(errno.ENOSPC, "No space left on device"))
    'the disk is full; free space there or choose another folder'
    """
    return _REMEDIES.get(error.errno or 0, "")


def _new_file(path: Path) -> BinaryIO:
    """Create a file with the permissions that the user's mask gives to new files."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "wb")


def _flush_folder(folder: Path) -> None:
    """Flush the folder's entries, so that a power cut does not undo a rename."""
    # Windows opens no folders, and some network file systems flush none: renames are safe there
    # once the system has written them itself.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
