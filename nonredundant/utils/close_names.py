"""Names that may be meant by one that does not exist."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

#: Share of letters that two spellings have in common: "stage" is not meant by "age".
_ALIKE = 0.8
#: Number of names that are suggested for each.
_SHOWN = 3


def suggest_names(unknown: Iterable[Any], names: Iterable[Any]) -> str:
    """Say which names may be meant by unknown ones.

    Parameters
    ----------
    unknown : iterable of str
        Names that do not exist.
    names : iterable of str
        Those that do.

    Returns
    -------
    str
        A question to append to a message; empty if no name is close.

    Examples
    --------
    >>> suggest_names(["age", "weight"], ["age_years", "Sex", "stage"])
    "; did you mean 'age_years' for 'age'?"
    """
    names = [name for name in names if isinstance(name, str)]
    pairs = [
        f"{' or '.join(map(repr, close))} for {name!r}"
        for name in unknown
        if isinstance(name, str) and (close := close_names(name, names))
    ]
    return f"; did you mean {', '.join(pairs)}?" if pairs else ""


def close_names(name: str, names: Iterable[str]) -> list[str]:
    """List names that are spelled like another one, or have its words among theirs.

    Parameters
    ----------
    name : str
        A name.
    names : iterable of str
        Those to search in.

    Returns
    -------
    list of str
        At most three, the closest first.

    Examples
    --------
    >>> close_names("Tumor Stage", ["age", "stage", "tumour_stage", "tumor_stage_t"])
    ['tumor_stage_t', 'tumour_stage']
    """
    words = {other: _words(other) for other in names if other != name}
    wanted = _words(name)
    if not wanted:
        return []
    joined = {other: "_".join(words[other]) for other in words}
    same = [other for other in words if words[other] == wanted]
    wider = [other for other in words if set(wanted) < set(words[other])]
    by_spelling: dict[str, list[str]] = {}
    for other, spelled in joined.items():
        by_spelling.setdefault(spelled, []).append(other)
    close = difflib.get_close_matches("_".join(wanted), by_spelling, n=_SHOWN, cutoff=_ALIKE)
    found = [*same, *wider, *(other for spelled in close for other in by_spelling[spelled])]
    return list(dict.fromkeys(found))[:_SHOWN]


def _words(name: str) -> list[str]:
    """Split a name into lower-case words: at signs, blanks and changes to upper case."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower())
