"""One comparison as data: what was asked, what was found, and the matrices of a fold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.evaluation.aggregation import PatientLevel, lesion_set
from nonredundant.evaluation.attention import Attention
from nonredundant.evaluation.feature_sets import FeatureSet
from nonredundant.evaluation.fitting import Fitted
from nonredundant.evaluation.folds import Fold
from nonredundant.evaluation.outcome import Outcome
from nonredundant.evaluation.representations import Learned
from nonredundant.extraction.case_table import fit_clinical, transform_clinical
from nonredundant.inspection.atlas import LatentAtlas
from nonredundant.lesions.measures import pool_samples
from nonredundant.lesions.table import LesionTable


@dataclass
class Study:
    """Everything a comparison needs, checked; samples from `n` on are the held-out test set."""

    table: LesionTable
    outcome: Outcome
    n: int
    folds: list[Fold]
    sets: list[FeatureSet]
    cvae: Any
    estimators: dict[str, Any]
    scorers: dict[str, Any]
    level: PatientLevel = field(default_factory=PatientLevel)
    primary: dict[str, str] = field(default_factory=dict)
    groups: np.ndarray | None = None
    clinical: Any = None
    cases: pd.DataFrame | None = None
    root: Any = None
    class_weight: Any = None
    sampler: Any = None
    audit: dict[str, Any] | None = None
    memory: Any = None
    n_jobs: int | None = None
    verbose: int = 0


@dataclass
class Results:
    """What the run leaves."""

    learned: list[Learned]
    fitted: list[Fitted]
    audits: list[pd.DataFrame]
    atlas: LatentAtlas | None
    attention: Attention
    seconds: dict[str, float]


def study_table(study: Study, fold: Fold) -> LesionTable:
    """Return the table with clinical columns made by a transformer that saw training rows only."""
    if study.cases is None or study.clinical is None:
        return study.table
    y = study.outcome.strata[fold.train]
    fitted = fit_clinical(study.clinical, study.cases.iloc[fold.train], y)
    frame = transform_clinical(fitted, study.cases)
    return study.table if frame is None else study.table.join(frame, block="clinical")


def matrices(
    one: FeatureSet,
    table: LesionTable,
    cheap: pd.DataFrame,
    learned: Learned | None,
    target: np.ndarray,
    fold: Fold,
    level: PatientLevel,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a set's own columns and its learned block, a row a sample.

    Columns are picked by `target`, of the training samples.
    """
    base = pd.DataFrame(index=table.index)
    if one.cheap:
        base = cheap[list(one.cheap)]
    if one.selection is not None:
        hcr = level.hcr(table)
        base = hcr[one.selection.columns(hcr.iloc[fold.train], target)]
    if one.clinical:
        base = pd.concat([base, pool_samples(table, table.clinical)], axis=1)
    added = pd.DataFrame(index=table.index)
    if learned is not None:
        added = level.pool(table, pd.DataFrame(learned.lesions, columns=learned.columns))
    return base, added


def graph_lesions(
    one: FeatureSet,
    table: LesionTable,
    learned: Learned | None,
    target: np.ndarray,
    fold: Fold,
) -> LesionTable:
    """Return a set's lesions for the graph, hand-crafted columns picked on training samples."""
    picked: list[str] = []
    if one.selection is not None:
        hcr = pool_samples(table, table.hcr)
        picked = one.selection.columns(hcr.iloc[fold.train], target)
    values = None if learned is None else learned.lesions
    return lesion_set(one, table, values, [] if learned is None else learned.columns, picked)
