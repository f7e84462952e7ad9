"""Messages to the user: printable, warnings at the user's line, once per call and kind."""

from __future__ import annotations

import contextlib
import sys
import unicodedata
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from types import FrameType

#: Packages whose frames lie between the user's line and the warning.
_LIBRARIES = frozenset(
    "nonredundant sklearn imblearn skorch joblib threading concurrent functools contextlib".split()
)
#: Categories of characters that steer a terminal: control, format (such as the direction of
#: writing), half of a pair, ends of lines and paragraphs.
_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
#: Format characters that belong to the spelling of some languages.
_JOINERS = "\u200c\u200d"
#: Name under which the call of the user remembers the kinds that it has told.
_TOLD = "_nonredundant_told"
#: The kinds told within the innermost `fresh_kinds`.
_kinds: ContextVar[set[str] | None] = ContextVar("kinds", default=None)


def printable(text: object, keep: str = "") -> str:
    r"""Escape what would steer a terminal or fake a line, such as an id may hold; letters stay.

    Parameters
    ----------
    text : object
        What is printed.
    keep : str, default=""
        Characters that stay.

    Returns
    -------
    str
        The text, with such characters as Python writes them.

    Examples
    --------
    >>> print(printable("Zoë\x1b[2J\n李"))
    Zoë\x1b[2J\n李
    """
    return "".join(
        one.encode("unicode_escape").decode("ascii")
        if unicodedata.category(one) in _STEERING and one not in keep + _JOINERS
        else one
        for one in str(text)
    )


def warn_user(message: str, kind: str | None = None) -> None:
    """Warn at the line outside of this package and scikit-learn that led here.

    Parameters
    ----------
    message : str
        The warning.
    kind : str, optional
        What is warned of. One call of the user, such as a grid search, warns once per kind,
        whatever the messages of its many fits.
    """
    frame, level = sys._getframe(1), 2
    call = frame
    while frame.f_back is not None and _is_library(frame):
        call, frame, level = frame, frame.f_back, level + 1
    if kind is not None:
        told = _kinds.get()
        if told is None:
            # The kinds are kept in the frame of the user's call and are forgotten when it ends.
            told = call.f_locals.setdefault(_TOLD, set())
        if kind in told:
            return
        told.add(kind)
    warnings.warn(printable(message), UserWarning, stacklevel=level)


@contextlib.contextmanager
def fresh_kinds() -> Iterator[None]:
    """Let a block warn of each kind once, whatever was told before it."""
    token = _kinds.set(set())
    try:
        yield
    finally:
        _kinds.reset(token)


def _is_library(frame: FrameType) -> bool:
    """Check whether a frame belongs to this package or to one that calls it."""
    return str(frame.f_globals.get("__name__", "")).split(".")[0] in _LIBRARIES
