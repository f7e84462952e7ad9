"""The lesions and outcomes of one fold, as the steps learned on its training part return them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import joblib
import numpy as np
from sklearn.pipeline import Pipeline

from nonredundant.folds.cohort import Cohort
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.splits import Fold, cross_fitting_splits, inner_splits
from nonredundant.folds.steps import apply_steps, fit_steps, joined_parts, sees_labels
from nonredundant.lesions.table import LesionTable
from nonredundant.utils.context import one_thread, recorded_warnings


class Parts(NamedTuple):
    """What a fold trains on, what it holds out, and what it predicts of a held-out test set."""

    train: Any
    test: Any
    external: Any


class Prepared(NamedTuple):
    """Fitted steps, the samples after them without voxels that no step has changed, warnings."""

    pipeline: Pipeline
    table: LesionTable
    same_voxels: bool
    messages: list[str]


@dataclass(frozen=True)
class FoldData:
    """One fold of a cohort after its steps: training, held-out and test tables, and outcomes.

    Attributes
    ----------
    cohort : Cohort
        What the fold is made of.
    fold : Fold
        The training and the held-out samples.
    table : LesionTable
        All samples, in the order of the cohort, after the steps.
    pipeline : Pipeline or None
        The steps as fitted on the training part; None without steps.
    messages : list of str
        Warnings of the steps.
    """

    cohort: Cohort
    fold: Fold
    table: LesionTable
    pipeline: Pipeline | None = None
    messages: tuple[str, ...] = ()

    @property
    def train(self) -> LesionTable:
        """The training samples."""
        return self.table[self.fold.train]

    @property
    def test(self) -> LesionTable:
        """The samples that the fold holds out."""
        return self.table[self.fold.test]

    @property
    def y_train(self) -> Outcome:
        """The outcome of the training samples."""
        return self.cohort.outcome.at(self.fold.train)

    @property
    def y_test(self) -> Outcome:
        """The outcome of the samples that the fold holds out."""
        return self.cohort.outcome.at(self.fold.test)

    @property
    def train_groups(self) -> np.ndarray | None:
        """The groups of the training samples."""
        groups = self.cohort.groups
        return None if groups is None else groups[self.fold.train]

    @property
    def test_groups(self) -> np.ndarray | None:
        """The groups of the samples that the fold holds out."""
        groups = self.cohort.groups
        return None if groups is None else groups[self.fold.test]

    @cached_property
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The inner splits of the training samples."""
        return inner_splits(self.y_train.strata, self.train_groups, self.fold.seed)

    @property
    def cross_fitting(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The splits by which networks with a label term encode training samples."""
        return cross_fitting_splits(self.y_train.strata, self.train_groups, self.fold.seed)

    @property
    def train_lesions(self) -> np.ndarray:
        """Mask of the lesions of training samples."""
        return np.isin(self.table.sample, self.fold.train)

    def train_of(self, values: Any) -> Any:
        """Return the training rows of what has one row per sample."""
        return values[self.fold.train]

    def parts(self, values: Any) -> Parts:
        """Divide what has one row per sample, such as a table or columns of it."""
        rest = np.arange(self.cohort.n, len(self.table))
        return Parts(*(values[rows] for rows in (self.fold.train, self.fold.test, rest)))

    def within(self, rows: np.ndarray) -> FoldData:
        """Return the fold with some of its training samples, by their positions among these.

        The first step that sees labels, and those after it, are fitted again, on these samples
        alone; the steps before it stay as the fold fitted them.
        """
        fold = replace(self.fold, train=self.fold.train[rows])
        if not self.cohort.depends_on_labels or self.pipeline is None:
            return replace(self, fold=fold)
        steps, table = self.cohort.steps, self.cohort.table
        first = next(i for i, (_, step) in enumerate(steps) if sees_labels(step))
        if first:
            with recorded_warnings():
                table = apply_steps(self.pipeline[:first], table)
        rest = replace(self.cohort, table=table, steps=steps[first:])
        return replace(prepare(rest, fold), cohort=self.cohort)

    def digest(self, voxels: str) -> str:
        """Return a digest of all that networks and classifiers may see of the samples.

        `voxels` is the digest of the cohort's patches and masks, which are large and the same in
        each fold; those that a step has changed are digested here. Outcomes are no part of it.
        """
        parts = self.table.parts()
        if parts["patches"] is self.cohort.table.patches:
            parts |= {"patches": voxels, "masks": voxels}
        return joblib.hash((parts, self.fold))


def prepare(cohort: Cohort, fold: Fold) -> FoldData:
    """Fit the steps on the training part of a fold, and apply them to all other samples."""
    if not cohort.steps:
        return FoldData(cohort, fold, cohort.table)
    return with_voxels(cohort, fold, PrepareTask(cohort, fold).run())


def with_voxels(cohort: Cohort, fold: Fold, prepared: Prepared) -> FoldData:
    """Return the data of a fold; voxels that the steps have not changed are the cohort's."""
    table = prepared.table
    if prepared.same_voxels:
        table = table.replace(patches=cohort.table.patches, masks=cohort.table.masks)
    return FoldData(cohort, fold, table, prepared.pipeline, tuple(prepared.messages))


@dataclass(frozen=True)
class PrepareTask:
    """Fit the steps of one fold."""

    cohort: Cohort
    fold: Fold

    @property
    def name(self) -> str:
        """What is fitted, for messages."""
        return f"the steps in {self.fold.name}"

    @property
    def cost(self) -> int:
        """What orders the tasks by their time."""
        return len(self.fold.train)

    def key(self, voxels: str) -> tuple[Any, ...]:
        """Return what identifies the result: labels only where a step sees them."""
        cohort = self.cohort
        parts = cohort.table.parts() | {"patches": voxels, "masks": voxels}
        target = cohort.outcome.at(self.fold.train).target if cohort.depends_on_labels else None
        return parts, target, cohort.steps, self.fold

    def run(self) -> Prepared:
        """Return the fitted steps and the samples after them."""
        cohort, fold = self.cohort, self.fold
        table = cohort.table
        rest = np.setdiff1d(np.arange(len(table)), fold.train)
        given = [table[fold.train], *([table[rest]] if len(rest) else [])]
        with recorded_warnings() as messages, one_thread(torch_too="torch" in sys.modules):
            target = cohort.outcome.at(fold.train).target
            pipeline, train = fit_steps(cohort.steps, given[0], target, fold.seed)
            parts = [train, *(apply_steps(pipeline, part) for part in given[1:])]
        prepared = joined_parts(table, [fold.train, rest], parts, given)
        same = prepared.patches is table.patches and prepared.masks is table.masks
        if same:
            # They need not travel between processes.
            prepared = prepared.replace(patches=None, masks=None)
        return Prepared(pipeline, prepared, same, messages)
