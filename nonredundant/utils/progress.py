"""One kind of progress bar: plain text on stderr, where somebody is there to read it."""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any
from weakref import WeakSet

from tqdm import tqdm

#: Seconds of work after which a bar appears by itself.
_PATIENCE = 2
#: The bars that were made here; a closed one is disabled.
_BARS: WeakSet[tqdm] = WeakSet()


def progress(items: Any, *, total: int, what: str, unit: str = "it", verbose: int = 0) -> tqdm:
    """Count items in a progress bar.

    Without `verbose` the bar appears after two seconds, on a terminal or in a notebook; never in a
    worker process, nor inside a task that another bar counts.

    Parameters
    ----------
    items : iterable or None
        What is passed through; None: the caller counts with `update`.
    total : int
        Number of items.
    what : str
        What is done, before the bar.
    unit : str, default="it"
        What is counted.
    verbose : int, default=0
        1 and more show the bar at once, wherever stderr leads.

    Returns
    -------
    tqdm
        The bar; to be closed if it is not iterated to the end.

    Examples
    --------
    >>> list(progress("ab", total=2, what="Letters"))
    ['a', 'b']
    """
    shown = verbose > 0 or (_is_watched() and all(bar.disable for bar in _BARS))
    delay = 0 if verbose else _PATIENCE
    bar = tqdm(items, total=total, desc=what, unit=unit, disable=not shown, delay=delay)
    _BARS.add(bar)
    return bar


def _is_watched() -> bool:
    """Return whether this is the main process of a terminal or of a notebook."""
    if multiprocessing.current_process().name != "MainProcess":
        return False
    if sys.stderr is not None and sys.stderr.isatty():
        return True
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
