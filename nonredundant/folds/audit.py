"""The audit of learned features on the samples that a fold held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nonredundant.folds.fold_model import FoldModel
from nonredundant.folds.tasks import TaskRunner
from nonredundant.lesions.features import impute_medians
from nonredundant.metrics.audit import COLUMNS, METHODS, audit_with_null
from nonredundant.utils.context import one_thread, recorded_warnings

#: With fewer samples (or groups) there is no audit: its estimators need two in each of five folds.
LEAST_AUDIT_ROWS = 10


@dataclass(frozen=True)
class AuditOptions:
    """Methods and number of permutations of the audit on held-out folds."""

    methods: tuple[str, ...]
    n_permutations: int = 200


class Audit(NamedTuple):
    """The audit of a learned block in one fold, and what it found on permuted rows."""

    block: str
    report: pd.DataFrame
    null: dict[str, np.ndarray]


@dataclass(frozen=True)
class AuditTask:
    """Audit one learned block on the samples that a fold held out.

    Attributes
    ----------
    block : str
        Name of the learned block.
    place : str
        Name of the fold.
    h, d : DataFrame
        Known and learned columns of the held-out samples.
    groups : array or None
        Groups of these samples, which are permuted together.
    options : AuditOptions
        Methods and permutations.
    seed : int
        Seed of the permutations.
    """

    block: str
    place: str
    h: pd.DataFrame
    d: pd.DataFrame
    groups: np.ndarray | None
    options: AuditOptions
    seed: int

    @property
    def name(self) -> str:
        """What is audited, for messages."""
        return f"{self.block} in {self.place}"

    @property
    def cost(self) -> int:
        """What orders the tasks by their time."""
        return len(self.h)

    def key(self, voxels: str) -> tuple[Any, ...]:
        """Return what identifies the result."""
        del voxels
        return tuple(getattr(self, part.name) for part in fields(self))

    def run(self) -> Audit:
        """Return the audit."""
        with recorded_warnings(), one_thread(torch_too=True):
            report, null = audit_with_null(
                self.h.loc[:, self.h.nunique() > 1],
                self.d,
                methods=self.options.methods,
                n_permutations=self.options.n_permutations,
                groups=self.groups,
                random_state=self.seed,
            )
        return Audit(self.block, report, null)


def audit_all(
    models: Sequence[FoldModel], options: AuditOptions | None, runner: TaskRunner
) -> list[Audit]:
    """Audit every variant on the held-out samples of the first repeat's folds.

    A fold that holds out too few samples or groups, such as one hospital, has nothing that a
    permutation could exchange, and is left out; a variant without any other fold gets rows that
    say so.
    """
    if options is None:
        return []
    tasks: list[AuditTask] = []
    blocks: dict[str, None] = {}
    unit = ""
    for model in models:
        if model.data.fold.repeat != 0 or not model.learned:
            continue
        blocks |= dict.fromkeys(variant.name for variant in model.learned)
        groups, fold = model.data.test_groups, model.data.fold
        n_units = len(fold.test) if groups is None else len(np.unique(groups))
        if n_units < LEAST_AUDIT_ROWS:
            unit = "samples; use fewer folds" if groups is None else "groups"
            continue
        h = known_columns(model)
        tasks += [
            AuditTask(variant.name, fold.name, h, record.held, groups, options, fold.seed)
            for variant, record in model.learned.items()
        ]
    if not tasks:
        return [_no_audit(block, options, unit) for block in blocks]
    if not tasks[0].h.shape[1]:
        return []
    return runner.run(tasks, "audit")


def known_columns(model: FoldModel) -> pd.DataFrame:
    """Return the held-out columns that learned features should not repeat, without gaps.

    These are all hand-crafted and clinical columns, whatever of them a feature set selects or a
    network was kept independent of: what is known is everything that is known.
    """
    rows = model.data.parts(model.level.known(model.data.table).iloc)
    return impute_medians(rows.test, rows.train)


def _no_audit(block: str, options: AuditOptions, unit: str) -> Audit:
    """Return an audit without estimates, whose detail is the reason."""
    report = pd.DataFrame(np.nan, index=list(options.methods), columns=COLUMNS, dtype=object)
    report["unit"] = [METHODS[method] for method in options.methods]
    report["detail"] = f"each fold holds out fewer than {LEAST_AUDIT_ROWS} {unit}"
    return Audit(block, report, {method: np.empty(0) for method in options.methods})
