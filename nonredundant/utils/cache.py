"""Keep results on disk with joblib; a disk that cannot take them is an error that says so."""

from __future__ import annotations

import contextlib
import errno
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib

from nonredundant.utils.files import remedy

#: Begins the warning by which joblib tells that a result was not kept.
_NOT_KEPT = "Unable to cache to disk"

#: Numbers of the system's errors that occur in writing, never in reading.
_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


class CacheError(OSError):
    """A cache that cannot be written."""


def absolute_cache(memory: Any) -> Any:
    """Return the absolute path of a cache, so that worker processes of any folder share it.

    Parameters
    ----------
    memory : str, path, joblib.Memory or None
        The cache.

    Returns
    -------
    Path, joblib.Memory or None
        The same cache.

    Examples
    --------
    >>> absolute_cache("cache").is_absolute()
    True
    """
    return Path(memory).expanduser().absolute() if isinstance(memory, str | Path) else memory


class KeptFunction:
    """A function whose results are kept on disk.

    Parameters
    ----------
    memory : str, path or joblib.Memory
        Where results are kept. Its files are read with pickle, which can run code: use folders
        that only trusted users can write to.
    function : callable
        A function at the top of a module.
    ignore : sequence of str
        Arguments that do not identify the result.

    Raises
    ------
    CacheError
        If the folder cannot be created; on a call, if a result cannot be kept. What was kept
        before is unharmed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     power = KeptFunction(folder, pow, [])
    ...     power(2, 3), power.holds(2, 3), power.holds(2, 4)
    (8, True, False)
    """

    def __init__(self, memory: Any, function: Callable[..., Any], ignore: Sequence[str]) -> None:
        if not hasattr(memory, "cache"):
            memory = absolute_cache(memory)
            with _explained(str(memory)):
                memory = joblib.Memory(str(memory), verbose=0)
        self.function = memory.cache(function, ignore=list(ignore))

    def __call__(self, *args: Any) -> Any:
        """Return the kept result, or compute and keep it."""
        with _explained(self._location), warnings.catch_warnings():
            warnings.filterwarnings("error", message=_NOT_KEPT)
            try:
                return self.function(*args)
            except Warning as warning:
                if not str(warning).startswith(_NOT_KEPT):
                    raise
                self._remove_parts()
                error = warning.__context__
                if isinstance(error, OSError) and _concerns(error, self._location):
                    raise error from None
        # Another process has cleared the cache meanwhile.
        return self.function.func(*args)

    def holds(self, *args: Any) -> bool:
        """Check whether the result is on disk."""
        with _explained(self._location):
            return bool(self.function.check_call_in_cache(*args))

    @property
    def _location(self) -> str:
        """Folder of the cache; empty if it is not one of files."""
        return str(getattr(getattr(self.function, "store_backend", None), "location", ""))

    def _remove_parts(self) -> None:
        """Remove what this process has begun to write."""
        with contextlib.suppress(OSError):
            for part in Path(self._location).rglob(f"output.pkl.*-{os.getpid()}-*"):
                part.unlink(missing_ok=True)


def _concerns(error: OSError, location: str) -> bool:
    """Check whether an error is one of writing to a cache, and will happen again.

    A file that is not there may be there the next time. Errors that name no file may come from
    the function itself, unless they are of writing alone.
    """
    if error.filename is None:
        return error.errno in _OF_WRITING
    inside = str(error.filename).startswith(location)
    return inside and bool(remedy(error)) and error.errno != errno.ENOENT


@contextlib.contextmanager
def _explained(location: str) -> Iterator[None]:
    """Name the cache and a remedy in errors of writing to it; leave other errors alone."""
    try:
        yield
    except OSError as error:
        if isinstance(error, CacheError) or not _concerns(error, location):
            raise
        raise CacheError(
            error.errno,
            f"the cache {location} could not be written: {remedy(error)}. Results that it holds "
            "are kept, and the next run continues from them",
        ) from error
