"""Try the places of results before the work starts, so that hours of it are not lost at the end."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from nonredundant.utils.files import make_folder, replaced_file


class _TriedError(Exception):
    """Ends the writing of a trial, which then leaves nothing behind."""


def prepare_file(path: Path, *inputs: Path) -> None:
    """Create the folder of a file and check that the file can be written there.

    Raises
    ------
    ValueError
        If the file is one that the command reads.
    OSError
        If the file cannot be written: names the file, the reason and a remedy.
    """
    for read in inputs:
        if path.exists() and read.exists() and os.path.samefile(path, read):
            raise ValueError(
                f"{path} is read by this command and would be overwritten; choose another name"
            )
    make_folder(path.parent)
    if path.exists() and not path.is_file() and not path.is_dir():
        # A trial write to a device or a pipe would already reach its reader.
        return
    with contextlib.suppress(_TriedError), replaced_file(path):
        raise _TriedError


def prepare_folder(path: Path) -> None:
    """Create the folder of a report and check that its files can be written.

    Raises
    ------
    OSError
        If the files cannot be written: names the folder or file, the reason and a remedy.
    """
    make_folder(path / "tables")
    prepare_file(path / "index.html")
