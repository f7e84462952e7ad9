"""Paths that lead nowhere: the message says which part is wrong, and what is there instead."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

from nonredundant.io.errors import ImageFileError

#: Addresses, as they look after paths were joined to a folder: "https:/host".
_ADDRESS = re.compile(r"(?:^|/)(?:https?|ftp|s3|gs|file):/", re.IGNORECASE)
_DRIVE = re.compile(r"(?:^|/)[A-Za-z]:(?:[\\/]|$)")
#: Characters that tables leave around paths.
_AROUND = " \t\r\n\xa0\"'"
#: How names may differ that a reader takes for the same, and what is said of it.
_DIFFERENCES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("a blank or quotation mark at the start or end", lambda name: name.strip(_AROUND)),
    (
        "the form of its accents (Unicode NFC or NFD)",
        lambda name: unicodedata.normalize("NFC", name),
    ),
    ("upper and lower case", str.casefold),
    ("its ending", lambda name: re.sub(r"(?:\.[A-Za-z]\w{0,4}){1,2}$", "", name)),
)
_CORRECT = "correct the path, or set `root` to the folder that relative paths start from"
#: Share of letters that two names have in common, one of which may be meant by the other.
_ALIKE = 0.85
#: Letters of a path that a message shows, if it is too long for the system.
_LONG = 300
#: Names of a folder that are compared; more take time and are those of slices.
_MOST = 10_000


def existing_path(source: str | Path) -> Path:
    """Return the path of a source, or raise if it does not exist.

    Parameters
    ----------
    source : str or Path
        Path of a file or folder.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    ImageFileError
        If there is no file or folder; the message says what is there instead.

    Examples
    --------
    >>> existing_path("scan_of_nobody.nii.gz")
    Traceback (most recent call last):
    nonredundant.io.errors.ImageFileError: there is no file or folder scan_of_nobody.nii.gz ...
    """
    path = Path(source).expanduser()
    try:
        exists = path.exists()
    except OSError as error:
        shown = str(path) if len(str(path)) < _LONG else f"{str(path)[:_LONG]}…"
        raise ImageFileError(
            f"{shown} cannot be looked up ({error.strerror}); correct the path, or the rights of "
            "its folders"
        ) from error
    if not exists:
        where = "" if path.is_absolute() else f" below {Path.cwd()}"
        reason = describe_missing(path) or _CORRECT
        raise ImageFileError(f"there is no file or folder {path}{where}; {reason}")
    if not (path.is_file() or path.is_dir()):
        raise ImageFileError(f"{path} is a device or pipe, not an image; correct the path")
    return path


def _describe_alike(missing: Path) -> str:
    """Name the entries of a folder whose names are nearly that of a missing one."""
    names = [entry.name for entry, _ in zip(missing.parent.iterdir(), range(_MOST), strict=False)]
    for what, plain in _differences():
        same = sorted(name for name in names if plain(name) == plain(missing.name))
        if same:
            return (
                f"{missing.parent} holds {same[0]!r}, which differs from {missing.name!r} in "
                f"{what}; write it as it is there"
            )
    close = difflib.get_close_matches(missing.name, names, cutoff=_ALIKE)
    if not close:
        return ""
    return f"{missing.parent} holds {' and '.join(map(repr, close))}; correct the path"


def describe_missing(path: Path) -> str:
    """Describe why a path does not exist, and what is there instead; empty if nothing is known.

    Parameters
    ----------
    path : Path
        A path that does not exist.

    Returns
    -------
    str
        The description, with a remedy.

    Examples
    --------
    >>> describe_missing(Path("https://example.org/scan.nii.gz"))
    'it is an address, and nothing is downloaded: download the file and give its path'
    """
    text = str(path)
    if _ADDRESS.search(text):
        return "it is an address, and nothing is downloaded: download the file and give its path"
    if os.sep == "/" and ("\\" in text or _DRIVE.search(text)):
        return _describe_windows(text)
    # The first step of the path that does not exist.
    missing = next(one for one in [*reversed(path.parents), path] if not one.exists())
    if missing.is_symlink():
        return _describe_link(missing)
    if not missing.name.strip(_AROUND):
        return f"one of its parts is {missing.name!r}: remove blanks and quotation marks around it"
    if not missing.parent.is_dir():
        return f"{missing.parent} is a file, not a folder"
    alike = _describe_alike(missing)
    if alike:
        return alike
    if missing != path:
        return f"{_CORRECT}: already the folder {missing} does not exist"
    return ""


def _differences() -> list[tuple[str, Callable[[str], str]]]:
    """List the ways in which names may differ: each alone, then several together."""

    def all_of(name: str) -> str:
        for _, plain in _DIFFERENCES[:-1]:
            name = plain(name)
        return name

    together = " and ".join(what for what, _ in _DIFFERENCES[:-1])
    return [*_DIFFERENCES, (f"one of: {together}", all_of)]


def _describe_link(link: Path) -> str:
    """Describe a link whose target does not exist."""
    target = os.readlink(link)
    if "annex/objects" in target:
        return f"{link} is a link of git-annex without its content: git annex get (datalad get)"
    return f"{link} is a link to {target}, which does not exist; copy the file itself"


def _describe_windows(text: str) -> str:
    """Describe a path in the way of Windows, which has other separators and drives."""
    plain = re.sub(r"^.*?(?=[A-Za-z]:[\\/])", "", text) if _DRIVE.search(text) else text
    turned = re.sub(r"[\\/]+", "/", plain)
    for start in range(len(turned)):
        # A relative path was joined to the folder that it starts from.
        if turned[start] == "/" and Path(turned[start:]).exists():
            return f"it has backslashes, but {turned[start:]!r} exists: separate folders by '/'"
    return (
        "it is a path of Windows (backslashes, or a drive): separate folders by '/', and start "
        "from a folder of this machine, for instance by `root`"
    )
