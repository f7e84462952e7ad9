"""Run tasks in processes, and find out which task ends its process when one dies."""

from __future__ import annotations

import contextlib
import itertools
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import joblib
from joblib.parallel import get_active_backend

from nonredundant.utils.user_warnings import warn_user

#: Tasks per worker that are handed out together to a backend that returns no stream.
_ROUND = 16
#: Bytes by which a process may grow before joblib replaces it.
_LEAK = 2 << 30
#: Ray's options for processes that are lost.
_REPEATED = {"max_restarts": 3, "max_task_retries": 3}


class WorkerDiedError(RuntimeError):
    """A task that ended its process, for instance because the system was out of memory."""


def run_tasks(
    function: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    *,
    n_jobs: int | None,
    what: str,
    ordered: bool = True,
    batch_size: int | str = 1,
) -> Generator[tuple[int, Any]]:
    """Call a function on each task in parallel; yield positions and results.

    If a process dies, the tasks that it and the others had begun are repeated one at a time, each
    alone in a process; the rest then goes on in parallel. So a task that was killed because of its
    neighbours yields its result, and one that dies again is known.

    Parameters
    ----------
    function : callable
        Called with the parts of a task.
    tasks : sequence of tuple
        Arguments of each call.
    n_jobs : int or None
        Number of processes, as in joblib.
    what : str
        What the tasks do, for the warning: "measuring cases".
    ordered : bool, default=True
        Yield in the order of the tasks while no process dies; otherwise as they are done.
    batch_size : int or "auto", default=1
        Tasks that a process takes at a time, as in joblib. Where tasks differ tenfold in size,
        batches of several would leave one process waiting at the end.

    Yields
    ------
    position : int
        Position of the task.
    result : object
        What the function returned, or a `WorkerDiedError` for a task that ended its process twice.

    Examples
    --------
    >>> list(run_tasks(pow, [(2, 3), (3, 2)], n_jobs=None, what="computing powers"))
    [(0, 8), (1, 9)]
    """
    todo = dict.fromkeys(range(len(tasks)))
    with tempfile.TemporaryDirectory(prefix="nonredundant-") as folder:
        while todo:
            jobs = (joblib.delayed(_marked)(i, folder, function, tasks[i]) for i in list(todo))
            # Each round has a `Parallel` of its own: tasks of a round that was cut off still report
            # to the one that started them.
            parallel = _parallel(n_jobs, ordered, batch_size)
            try:
                with _closing(parallel(jobs)) as stream:
                    for i, result in stream:
                        del todo[i]
                        yield i, result
            except BrokenProcessPool as error:
                begun = [i for i in todo if Path(folder, str(i)).exists()]
                warn_user(
                    f"a process that was {what} was killed ({_how(error)}), perhaps because the "
                    f"memory was used up; {len(begun) or 'some'} tasks are repeated one at a time. "
                    "Fewer processes (n_jobs) need less memory"
                )
                for i, result in _one_by_one(function, tasks, begun or list(todo), bool(begun)):
                    del todo[i]
                    yield i, result


def _parallel(
    n_jobs: int | None, ordered: bool, batch_size: int | str
) -> Callable[[Iterator[Any]], Any]:
    """Return the function that runs jobs as a stream, on the backend that is active in joblib."""
    backend = get_active_backend()[0]
    if n_jobs is None and backend.nesting_level:
        # The tasks around this one already occupy the cluster.
        n_jobs = 1
    options: dict[str, Any] = {}
    if hasattr(backend, "client") or hasattr(backend, "ray_remote_args"):
        # On a cluster a task costs milliseconds: joblib puts short ones together.
        batch_size = "auto"
    if hasattr(backend, "ray_remote_args"):
        # Tasks of a process that is lost are repeated a few times, which Dask does by itself.
        options["ray_remote_args"] = {**_REPEATED, **(backend.ray_remote_args or {})}
    if not getattr(backend, "supports_return_generator", False):
        return partial(_in_rounds, n_jobs, {"batch_size": batch_size, **options})
    kind = "generator" if ordered else "generator_unordered"
    return joblib.Parallel(n_jobs=n_jobs, return_as=kind, batch_size=batch_size, **options)


def _in_rounds(n_jobs: int | None, options: dict[str, Any], jobs: Iterator[Any]) -> Generator[Any]:
    """Run jobs some at a time, where the backend returns results only when all are done."""
    with joblib.Parallel(n_jobs=n_jobs, **options) as parallel:
        size = _ROUND * joblib.effective_n_jobs(n_jobs)
        while some := list(itertools.islice(jobs, size)):
            yield from parallel(some)


@contextlib.contextmanager
def _closing(stream: Any) -> Iterator[Any]:
    """Close a stream of results, without joblib's warning of tasks that nobody waits for."""
    try:
        yield stream
    finally:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*tasks.*(cancelled|not used)")
            stream.close()


def _marked(
    i: int, folder: str, function: Callable[..., Any], task: tuple[Any, ...]
) -> tuple[int, Any]:
    """Run a task while a file of its number says that it has begun."""
    _expect_large_libraries()
    mark = Path(folder, str(i))
    # A worker on another machine has no such folder; the cluster repeats tasks that were lost.
    with contextlib.suppress(OSError):
        mark.touch()
    try:
        return i, function(*task)
    finally:
        with contextlib.suppress(OSError):
            mark.unlink()


def _expect_large_libraries() -> None:
    """Keep joblib from replacing this process when it has grown by the size of torch.

    Joblib takes a growth of 300 MB since the first task for a leak, and the process that it starts
    instead imports everything again.
    """
    executor: Any = sys.modules.get("joblib.externals.loky.process_executor")
    if hasattr(executor, "_MAX_MEMORY_LEAK_SIZE"):
        executor._MAX_MEMORY_LEAK_SIZE = _LEAK


def _one_by_one(
    function: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    positions: list[int],
    known: bool,
) -> Generator[tuple[int, Any]]:
    """Run tasks each alone in a process; unless the suspects are known, until one dies."""
    for i in positions:
        try:
            # With two processes joblib uses one besides this one for a single task.
            result = joblib.Parallel(n_jobs=2)([joblib.delayed(function)(*tasks[i])])[0]
        except BrokenProcessPool as error:
            yield i, WorkerDiedError(_how(error))
            if not known:
                return
        else:
            yield i, result


def _how(error: BrokenProcessPool) -> str:
    """Return the exit codes of the processes, such as SIGKILL(-9)."""
    found = re.search(r"exit codes of the workers are \{(.+?)\}", str(error))
    return found.group(1) if found else "exit code unknown"
