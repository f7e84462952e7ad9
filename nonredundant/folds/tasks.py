"""Run the tasks of all folds: in parallel, the longest first, with results kept on disk."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import joblib

from nonredundant._version import __version__
from nonredundant.lesions.table import LesionTable
from nonredundant.utils.cache import KeptFunction
from nonredundant.utils.own_code import own_code
from nonredundant.utils.parallel import WorkerDiedError, run_tasks
from nonredundant.utils.progress import progress


class Task(Protocol):
    """A fit that a fold needs.

    Attributes
    ----------
    name : str
        What is fitted, for messages.
    cost : object
        What orders the tasks by their time, as far as it is known before.
    """

    @property
    def name(self) -> str:
        """What is fitted, for messages."""

    @property
    def cost(self) -> Any:
        """What orders the tasks by their time."""

    def key(self, voxels: str) -> Any:
        """Return what identifies the result; `voxels` is the digest of the cohort's voxels."""

    def run(self) -> Any:
        """Return the result."""


@dataclass(frozen=True)
class TaskRunner:
    """How the tasks of a comparison are run.

    Attributes
    ----------
    memory : str, path, joblib.Memory or None
        Where results are kept.
    n_jobs : int or None
        Number of processes.
    verbose : int
        1 shows progress at once; 0 after two seconds, on a terminal or in a notebook.
    voxels : str
        Digest of the cohort's patches and masks; empty without a memory.
    """

    memory: Any = None
    n_jobs: int | None = None
    verbose: int = 0
    voxels: str = ""

    @classmethod
    def of(cls, table: LesionTable, memory: Any, n_jobs: int | None, verbose: int) -> TaskRunner:
        """Return the runner for the tasks of a cohort, whose voxels are digested once."""
        voxels = "" if memory is None else joblib.hash((table.patches, table.masks))
        return cls(memory, n_jobs, verbose, voxels)

    def run(self, tasks: Sequence[Task], what: str, *, batch_size: int | str = "auto") -> list[Any]:
        """Return the results in the order of the tasks; a progress bar counts those that are done.

        Tasks that take seconds are given out one by one (`batch_size=1`), short ones together.

        Raises
        ------
        WorkerDiedError
            If a task ends its process, also when it is alone.
        """
        order = sorted(range(len(tasks)), key=lambda i: tasks[i].cost, reverse=True)
        calls = [(self._key(tasks[i]), tasks[i]) for i in order]
        call: Callable[..., Any] = run_task
        if self.memory is not None:
            call = KeptFunction(self.memory, run_task, ["task"])
        results: list[Any] = [None] * len(tasks)
        done = run_tasks(
            call,
            calls,
            n_jobs=self.n_jobs,
            what=f"computing the {what}",
            ordered=False,
            batch_size=batch_size,
        )
        with contextlib.closing(done), warnings.catch_warnings():
            # joblib mistakes the memory of a worker that has trained networks for a leak and
            # replaces the worker; no task is lost.
            warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
            for i, result in progress(done, total=len(tasks), what=what, verbose=self.verbose):
                if isinstance(result, WorkerDiedError):
                    raise WorkerDiedError(
                        f"{what}: the process of {calls[i][1].name} was killed ({result}), and "
                        "again when it was alone: it probably needs more memory than there is; "
                        "with memory= what has been computed is kept for the next run"
                    )
                results[order[i]] = result
        return results

    def _key(self, task: Task) -> str:
        """Return the digest that identifies the result of a task; empty without a memory."""
        if self.memory is None:
            return ""
        parts = task.key(self.voxels)
        return joblib.hash((type(task).__name__, parts, own_code(parts), __version__))


def run_task(key: str, task: Task) -> Any:
    """Run a task; `key` identifies its result where results are kept."""
    del key
    return task.run()
