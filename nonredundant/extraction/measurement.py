"""Measure many cases, through a cache and in several processes."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from typing import Any

from nonredundant.extraction.case_table import ImageSources, Sources
from nonredundant.extraction.one_case import CaseFailure, CaseResult, Plan, case_key, measure_case

# Results that earlier versions have kept refer to their classes here.
from nonredundant.extraction.one_case import CaseMeasurement as CaseMeasurement
from nonredundant.extraction.one_case import Crops as Crops
from nonredundant.extraction.radiomics import quiet
from nonredundant.extraction.several import ImagesPlan, measure_images
from nonredundant.utils.cache import CacheError, KeptFunction
from nonredundant.utils.parallel import WorkerDiedError, run_tasks
from nonredundant.utils.progress import progress

#: Status of a case that ends the process that measures it, also when it is alone.
_KILLED = (
    "the process that measured it was killed ({}), and again when no other case was measured: it "
    "probably needs more memory than there is; crop the scan, raise bin_width, or set max_memory"
)
#: A cache key (or any name without a cache) and the positions of the cases that share it.
_Group = tuple[str, list[int]]


def measure_cases(
    sources: Sequence[Sources | ImageSources],
    plan: Plan | ImagesPlan,
    *,
    memory: Any,
    n_jobs: int | None,
    verbose: int,
) -> Generator[tuple[int, CaseResult]]:
    """Yield each case's position and result: first those in the cache, then the others.

    Cases with the same content are measured once.
    """
    if memory is None or isinstance(plan, ImagesPlan):
        # Of several images, each has a key of its own, which its case looks up.
        groups = [(str(i), [i]) for i in range(len(sources))]
    else:
        failures, groups = _group_by_content(sources, plan)
        yield from failures
        cached, new = _cached(memory), []
        for key, positions in groups:
            first = sources[positions[0]]
            if cached.holds(key, first, plan):
                result = cached(key, first, plan)
                yield from ((i, result) for i in positions)
            else:
                new.append((key, positions))
        groups = new
    yield from _measure_groups(groups, sources, plan, memory, n_jobs, verbose)


def _group_by_content(
    sources: Sequence[Any], plan: Plan
) -> tuple[list[tuple[int, CaseResult]], list[_Group]]:
    """Group the cases by their content; those whose content cannot be read have failed."""
    plan_key = plan.key
    failures: list[tuple[int, CaseResult]] = []
    groups: dict[str, list[int]] = {}
    for i, one in enumerate(sources):
        try:
            groups.setdefault(case_key(one, plan_key), []).append(i)
        except Exception as error:
            failures.append((i, CaseFailure.from_error(error)))
    return failures, list(groups.items())


def _cached(memory: Any) -> KeptFunction:
    """Wrap the measurement of a case with a cache on disk, which compares only the keys."""
    return KeptFunction(memory, _measure_by_key, ignore=["sources", "plan"])


def _measure_by_key(key: str, sources: Sources, plan: Plan) -> CaseResult:
    """Measure the case with this cache key."""
    return measure_case(sources, plan)


def _measure_groups(
    groups: list[_Group],
    sources: Sequence[Any],
    plan: Plan | ImagesPlan,
    memory: Any,
    n_jobs: int | None,
    verbose: int,
) -> Generator[tuple[int, CaseResult]]:
    """Measure one case of each group in parallel, with a progress bar."""
    if not groups:
        return
    tasks = [(key, sources[positions[0]], plan, memory) for key, positions in groups]
    measured = run_tasks(run_case, tasks, n_jobs=n_jobs, what="measuring cases")
    # Closed with this generator, so that no process goes on after an error.
    with quiet(verbose), contextlib.closing(measured):
        bar = progress(measured, total=len(groups), what="Extracting", unit="case", verbose=verbose)
        for group, result in bar:
            if isinstance(result, WorkerDiedError):
                result = CaseFailure(_KILLED.format(result), is_file_error=False)
            yield from ((i, result) for i in groups[group][1])


def run_case(key: str, sources: Any, plan: Plan | ImagesPlan, memory: Any) -> CaseResult:
    """Measure a case, with the cache if there is one; any error is a failure of this case."""
    try:
        if isinstance(plan, ImagesPlan):
            return measure_images(
                sources, plan, memory, None if memory is None else _cached(memory)
            )
        if memory is None:
            return measure_case(sources, plan)
        return _cached(memory)(key, sources, plan)
    except CacheError:
        raise
    except Exception as error:
        # The cause may be the machine, for instance its memory, so the failure is not cached.
        return CaseFailure.from_error(error)
