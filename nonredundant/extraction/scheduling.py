"""Which cases the cache has, and the others measured side by side under a progress bar."""

from __future__ import annotations

import multiprocessing
from collections.abc import Generator
from pathlib import Path
from typing import Any

import joblib

from nonredundant.extraction.case_table import Sources
from nonredundant.extraction.measurement import Plan, case_key, remembered, run_case
from nonredundant.extraction.radiomics import quiet
from nonredundant.io.geometry import CaseError
from nonredundant.io.images import ImageFileError

#: Seconds of work before a progress bar shows up unasked.
_PATIENCE = 2
Result = tuple[int, dict[str, Any]]
#: A cache key (or any name without a cache) and the positions of the cases that share it.
Group = tuple[str, list[int]]


def measure_all(
    sources: list[Sources], plan: Plan, *, memory: Any, n_jobs: int | None, verbose: int
) -> Generator[Result]:
    """Yield each case's position and result: first what the cache has, then the others.

    Cases of the same content are measured once.
    """
    if isinstance(memory, str | Path):
        memory = joblib.Memory(str(memory), verbose=0)
    if memory is None:
        fresh = [(str(i), [i]) for i in range(len(sources))]
    else:
        failed, groups = _grouped(sources, plan)
        yield from failed
        cached, fresh = remembered(memory), []
        for key, positions in groups:
            first = sources[positions[0]]
            if cached.check_call_in_cache(key, first, plan):
                result = cached(key, first, plan)
                yield from ((i, result) for i in positions)
            else:
                fresh.append((key, positions))
    yield from _measured(fresh, sources, plan, memory, n_jobs, verbose)


def _grouped(sources: list[Sources], plan: Plan) -> tuple[list[Result], list[Group]]:
    """Return the cases that have no content, and the others by their content."""
    plan_key = plan.key
    failed: list[Result] = []
    groups: dict[str, list[int]] = {}
    for i, one in enumerate(sources):
        try:
            groups.setdefault(case_key(one, plan_key), []).append(i)
        except CaseError as error:
            file = isinstance(error, ImageFileError)
            failed.append((i, {"error": str(error), "file": file}))
    return failed, list(groups.items())


def _measured(
    fresh: list[Group],
    sources: list[Sources],
    plan: Plan,
    memory: Any,
    n_jobs: int | None,
    verbose: int,
) -> Generator[Result]:
    """Measure one case of each group."""
    if not fresh:
        return
    from tqdm import tqdm

    # Cases differ tenfold in size: batches of several would leave one process waiting at the end.
    run = joblib.Parallel(n_jobs=n_jobs, return_as="generator", batch_size=1)
    jobs = (
        joblib.delayed(run_case)(key, sources[positions[0]], plan, memory)
        for key, positions in fresh
    )
    # None: shown on a terminal only. A worker of an outer search has no terminal of its own.
    disable = None if multiprocessing.current_process().name == "MainProcess" else True
    delay = _PATIENCE
    if verbose:
        disable, delay = False, 0
    with quiet(verbose):
        results = tqdm(
            run(jobs),
            total=len(fresh),
            desc="Extracting",
            unit="case",
            disable=disable,
            delay=delay,
        )
        for (_, positions), result in zip(fresh, results, strict=True):
            yield from ((i, result) for i in positions)
