"""Measure cases in batches whose workers write them to a store: `RadiomicsExtractor.to_store`.

A batch is one task of joblib, and so of Dask or Ray: long enough that the scheduler is not the
bottleneck. The task writes its lesions as parts of the store (`nonredundant.lesions.store`) and
returns only a summary, so that neither lesions nor their number pass through the client.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from nonredundant.extraction.assembly import assemble
from nonredundant.extraction.case_table import ImageSources, Sources, case_name, source_columns
from nonredundant.extraction.case_warnings import CaseSummary
from nonredundant.extraction.measurement import run_case
from nonredundant.extraction.one_case import (
    CaseFailure,
    CaseMeasurement,
    CaseResult,
    Plan,
    case_key,
)
from nonredundant.extraction.radiomics import quiet
from nonredundant.extraction.regions import OK
from nonredundant.extraction.several import ImagesPlan
from nonredundant.lesions.parts import json_text, rows_as_json
from nonredundant.lesions.sample_labels import labels_of
from nonredundant.lesions.store import LesionStore, StoreError
from nonredundant.utils.parallel import WorkerDiedError, run_tasks
from nonredundant.utils.progress import progress
from nonredundant.utils.user_warnings import warn_user

#: Most cases of one task.
_MOST_CASES = 128
#: Tasks per worker that a short table is cut into, so that none waits long for the last.
_TASKS_PER_WORKER = 4
#: Bytes of patches and masks that a worker holds before it writes a part.
_PART_BYTES = 64 * 2**20
#: Endings of files whose header and voxels are in two files.
_DETACHED = (".mhd", ".nhdr", ".hdr", ".img")


@dataclass(frozen=True)
class Cases:
    """Cases of a table: their columns, labels as JSON texts, sources and clinical variables."""

    samples: pd.DataFrame
    texts: list[str]
    sources: Sequence[Sources | ImageSources]
    clinical: pd.DataFrame | None

    @classmethod
    def of_table(
        cls,
        samples: pd.DataFrame,
        sources: Sequence[Sources | ImageSources],
        clinical: pd.DataFrame | None,
    ) -> Cases:
        """Convert the labels; raise if they are neither text nor numbers nor dates."""
        texts = [json_text(label) for label in labels_of(samples.index)]
        return cls(samples, texts, sources, clinical)

    @property
    def index(self) -> pd.Index:
        """Labels of the cases."""
        return self.samples.index

    def take(self, positions: list[int]) -> Cases:
        """Return the cases at some positions."""
        return Cases(
            self.samples.iloc[positions],
            [self.texts[i] for i in positions],
            [self.sources[i] for i in positions],
            None if self.clinical is None else self.clinical.iloc[positions],
        )

    def name(self, i: int) -> str:
        """Describe a case in messages."""
        return case_name(self.index[i], self.sources[i])

    def stamp(self, i: int) -> str:
        """Describe the files of a case by path, size and dates; empty if it is not only files."""
        one = self.sources[i]
        marks = [_file_mark(source) for source in one.files]
        if None in marks:
            return ""
        sizes = [repr(one.spacing)]
        if isinstance(one, ImageSources):
            sizes = [one.drawn_on, *(f"{k} {part.spacing!r}" for k, part in one.parts.items())]
        return json_text([*marks, *sizes, one.whole, self._values(i)])

    def digest(self, i: int) -> str:
        """Return a digest of the content of a case; empty if it cannot be read."""
        try:
            key = case_key(self.sources[i], "")
        except Exception:
            # Measuring the case reports what is wrong with it.
            return ""
        return hashlib.sha256(json_text([key, self._values(i)]).encode()).hexdigest()

    def _values(self, i: int) -> list[str]:
        """Return the clinical variables of a case as exact text."""
        if self.clinical is None:
            return []
        return [float(value).hex() for value in self.clinical.iloc[i]]


@dataclass(frozen=True)
class Writing:
    """What the tasks of one call share: the plan, the names of the HCR, what to do at failures."""

    plan: Plan | ImagesPlan
    hcr: list[str]
    stop_at_failure: bool
    memory: Any


@dataclass(frozen=True)
class _Batch:
    """The cases of one task, their positions in the table, and how they failed before."""

    name: str
    cases: Cases
    positions: list[int]
    failed_before: dict[str, str]


@dataclass(frozen=True)
class _Outcome:
    """The answer of a task."""

    n_cases: int
    summary: CaseSummary
    #: The case whose failure ended the task, and the failure.
    failure: tuple[str, CaseFailure] | None = None


def write_cases(
    cases: Cases,
    store: LesionStore,
    writing: Writing,
    *,
    shard: tuple[int, int],
    batch_size: int | None,
    n_jobs: int | None,
) -> CaseSummary:
    """Measure the cases of a shard that the store lacks, and write them to it.

    Parameters
    ----------
    cases : Cases
        The whole table.
    store : LesionStore
        The store.
    writing : Writing
        What is measured and written.
    shard : (int, int)
        The number of this writer, from 0, and that of all.
    batch_size : int or None
        Cases of a task; None: enough tasks for all workers.
    n_jobs : int or None
        Number of tasks that run in parallel.

    Returns
    -------
    CaseSummary
        What is to be warned of.

    Raises
    ------
    CaseError
        If a case cannot be measured and `writing` stops at failures.
    StoreError
        If the store holds a case under the same label with other content.
    """
    store.remove_leftovers()
    cohort = store.cohort(cases.texts)
    mine = np.array_split(np.arange(len(cases.texts)), shard[1])[shard[0]].tolist()
    missing, failed_before = _missing(cases, mine, store)
    if batch_size is None:
        workers = joblib.effective_n_jobs(n_jobs)
        batch_size = math.ceil(len(missing) / (_TASKS_PER_WORKER * max(1, workers)))
        batch_size = min(max(1, batch_size), _MOST_CASES)
    batches = list(_batches(cases, missing, batch_size, cohort, failed_before))
    # A task that is repeated because its worker was lost discards a part that is there.
    outcomes = run_tasks(
        _write_batch,
        [(one, writing, store) for one in batches],
        n_jobs=n_jobs,
        what="measuring cases for a store",
        ordered=False,
    )
    summary = CaseSummary()
    verbose = writing.plan.verbose
    bar = progress(None, total=len(missing), what="Extracting", unit="case", verbose=verbose)
    with quiet(verbose), contextlib.closing(outcomes), contextlib.closing(bar):
        for i, outcome in outcomes:
            if isinstance(outcome, WorkerDiedError):
                raise _died(batches[i], outcome)
            if outcome.failure is not None:
                name, failure = outcome.failure
                raise failure.to_error(name)
            summary.add(outcome.summary)
            bar.update(outcome.n_cases)
    return summary


def _died(batch: _Batch, error: WorkerDiedError) -> WorkerDiedError:
    """Describe a task whose process was killed twice."""
    last = len(batch.positions) - 1
    return WorkerDiedError(
        f"the process that measured the {last + 1} cases from {batch.cases.name(0)} to "
        f"{batch.cases.name(last)} was killed ({error}), and again when it was alone: one of them "
        "probably needs more memory than there is. What was measured before is in the store; run "
        "again with batch_size=1, which names the case"
    )


def _missing(
    cases: Cases, positions: list[int], store: LesionStore
) -> tuple[list[int], dict[str, str]]:
    """Return the positions of the cases to measure, and how those failed that the store has."""
    stored = store.samples().set_index("case")
    known = stored.index.get_indexer(pd.Index(cases.texts))
    status, stamps, digests = (stored[name].to_numpy() for name in ("status", "stamp", "digest"))
    missing, failed_before, gone = [], {}, []
    for i in positions:
        row = known[i]
        if row < 0:
            missing.append(i)
        elif status[row] != OK:
            # A case that failed is measured again: its files may have been mended, or the machine
            # may have been at fault.
            missing.append(i)
            failed_before[cases.texts[i]] = status[row]
        elif stamps[row] != "" and cases.stamp(i) == stamps[row]:
            continue
        elif not (digest := cases.digest(i)):
            gone.append(cases.name(i))
        elif digest != digests[row]:
            raise StoreError(
                f"{cases.name(i)} is in the store {store.path} with other voxels, geometry or "
                "clinical variables: give each case a label of its own (cases.index), or write to "
                "a new store"
            )
    _check_same_columns(cases, positions, stored.loc[status == OK, "columns"], store)
    if gone:
        warn_user(
            f"{len(gone)} cases are in the store {store.path}, and their files can no longer be "
            f"read, such as {gone[0]}: what was measured before is kept"
        )
    return missing, failed_before


def _check_same_columns(
    cases: Cases, positions: list[int], stored: pd.Series, store: LesionStore
) -> None:
    """Raise if a column of a case has another value than in the store; files may have moved."""
    now = rows_as_json(cases.samples.iloc[positions])
    moved = source_columns(cases.samples)
    for i, text in zip(positions, now, strict=True):
        if cases.texts[i] not in stored.index:
            continue
        before, after = json.loads(stored[cases.texts[i]]), json.loads(text)
        changed = [
            f"{name}: stored {before.get(name)!r}, now {after[name]!r}"
            for name in after
            if name not in moved and before.get(name) != after[name]
        ]
        if changed:
            raise StoreError(
                f"{cases.name(i)} is in the store {store.path} with other columns of the case "
                f"table ({'; '.join(changed[:3])}): write the corrected table to a new store, or "
                "read the store and replace its samples: table.replace(samples=cases)"
            )


def _batches(
    cases: Cases,
    positions: list[int],
    batch_size: int,
    cohort: int,
    failed_before: dict[str, str],
) -> Iterator[_Batch]:
    """Yield the tasks."""
    for start in range(0, len(positions), batch_size):
        chosen = positions[start : start + batch_size]
        part = cases.take(chosen)
        before = {text: failed_before[text] for text in part.texts if text in failed_before}
        name = f"{cohort:04d}-{chosen[0]:09d}-{secrets.token_hex(6)}"
        yield _Batch(name, part, chosen, before)


def _write_batch(batch: _Batch, writing: Writing, store: LesionStore) -> _Outcome:
    """Measure the cases of a task and write them, in parts of limited size."""
    cases, summary = batch.cases, CaseSummary()
    held: list[tuple[int, CaseResult, str, str]] = []
    n_bytes = n_parts = 0
    failure = None
    for i in range(len(cases.texts)):
        # Before the measurement, so that a file that changes meanwhile is noticed.
        stamp, digest = cases.stamp(i), cases.digest(i)
        result = _measured(cases, i, store, writing)
        if isinstance(result, CaseFailure) and writing.stop_at_failure:
            failure = cases.name(i), result
            break
        summary.add_case(cases.name(i), result, writing.hcr)
        if isinstance(result, CaseFailure) and result.status == batch.failed_before.get(
            cases.texts[i]
        ):
            continue
        held.append((i, result, stamp, digest))
        n_bytes += _crop_bytes(result)
        if n_bytes > _PART_BYTES:
            _write_held(f"{batch.name}-{n_parts}", batch, held, store, writing)
            held, n_bytes, n_parts = [], 0, n_parts + 1
    if held:
        _write_held(f"{batch.name}-{n_parts}", batch, held, store, writing)
    return _Outcome(len(cases.texts), summary, failure)


def _measured(cases: Cases, i: int, store: LesionStore, writing: Writing) -> CaseResult:
    """Measure a case, through the cache if there is one."""
    memory = writing.memory
    if isinstance(memory, str | Path):
        memory = joblib.Memory(str(memory), verbose=0)
    key = ""
    if memory is not None and not isinstance(writing.plan, ImagesPlan):
        try:
            key = case_key(cases.sources[i], writing.plan.key)
        except Exception as error:
            return CaseFailure.from_error(error)
    result = run_case(key, cases.sources[i], writing.plan, memory)
    if isinstance(result, CaseMeasurement) and result.n_dim != store.layout.n_dim:
        raise ValueError(
            f"the images of a store must be all 2-D or all 3-D, not both: {cases.name(i)} is "
            f"{result.n_dim}-D, and the store {store.path} holds {store.layout.n_dim}-D images"
        )
    return result


def _crop_bytes(result: CaseResult) -> int:
    """Return the memory that the patches of a case occupy."""
    if isinstance(result, CaseFailure) or result.crops is None:
        return 0
    return result.crops.patches.nbytes + result.crops.masks.nbytes


def _write_held(
    name: str,
    batch: _Batch,
    held: list[tuple[int, CaseResult, str, str]],
    store: LesionStore,
    writing: Writing,
) -> None:
    """Write measured cases as one part of the store."""
    rows = [i for i, *_ in held]
    cases = batch.cases.take(rows)
    layout = store.layout
    results: list[Any] = [result for _, result, _, _ in held]
    table = assemble(results, cases.samples, writing.hcr, layout.n_dim, writing.plan, {})
    if cases.clinical is not None:
        table = table.join(cases.clinical)
    samples = pd.DataFrame(
        {
            "case": cases.texts,
            "position": [batch.positions[i] for i in rows],
            "stamp": [stamp for *_, stamp, _ in held],
            "digest": [digest for *_, digest in held],
        }
    )
    store.add(name, table, samples)


def _file_mark(source: Any) -> Any:
    """Return path, size and dates of a file, or of the files of a folder.

    None for other sources, and for files whose voxels are in another one: only their content says
    whether they changed.
    """
    if not isinstance(source, str | Path):
        return None
    path = Path(source).expanduser().absolute()
    if path.suffix.lower() in _DETACHED:
        return None
    try:
        if not path.is_dir():
            return [str(path), *_size_and_dates(path.stat())]
        with os.scandir(path) as entries:
            found = list(entries)
        if any(one.is_dir() for one in found):
            return None
        return [str(path), *sorted([one.name, *_size_and_dates(one.stat())] for one in found)]
    except OSError:
        return None


def _size_and_dates(found: os.stat_result) -> list[int]:
    """Return the size in bytes and the dates of the last change of content and entry (ns)."""
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]
