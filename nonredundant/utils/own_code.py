"""The code of classes and functions of the user's own, which no version number names."""

from __future__ import annotations

import inspect
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

#: Folders of installed packages and of Python, whose code changes with their versions.
_INSTALLED = tuple(
    Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")
)


def own_code(parts: Any) -> list[str]:
    """Return the source of the user's classes and functions among parts and their parameters.

    A class is found by its name where it is kept, so that a change of its code would go unnoticed.
    What these classes and functions call in turn is not looked at.

    Parameters
    ----------
    parts : object
        Estimators, functions, and lists, tuples and dicts of them.

    Returns
    -------
    list of str
        The sources, each once, sorted.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> own_code([("scale", StandardScaler())])
    []
    """
    return sorted({source for kind in _kinds(parts) if (source := _source(kind))})


def is_installed(file: str) -> bool:
    """Return whether a file is of Python or of an installed package.

    Examples
    --------
    >>> is_installed(inspect.getfile(inspect)), is_installed("<stdin>")
    (True, False)
    """
    path = Path(file).resolve()
    return any(path.is_relative_to(folder) for folder in _INSTALLED)


def _kinds(part: Any) -> Iterator[Any]:
    """Yield the functions and the classes, with their bases, that a part is made of."""
    if isinstance(part, Mapping):
        part = list(part.values())
    elif is_dataclass(part) and not isinstance(part, type):
        part = list(vars(part).values())
    if isinstance(part, list | tuple):
        for one in part:
            yield from _kinds(one)
    elif inspect.isfunction(part):
        yield part
    elif isinstance(part, type):
        yield from part.__mro__
    elif hasattr(part, "get_params"):
        yield from type(part).__mro__
        yield from _kinds(part.get_params(deep=True))
    elif hasattr(part, "_score_func"):
        # A scorer of scikit-learn.
        yield from _kinds(part._score_func)


def _source(kind: Any) -> str:
    """Return the source of a class or function of the user's own; empty for others."""
    try:
        if (
            is_installed(inspect.getfile(kind))
            or kind.__module__.partition(".")[0] == "nonredundant"
        ):
            return ""
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return ""
