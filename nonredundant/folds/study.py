"""One comparison as data: what is to be run, and its raw results."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nonredundant.extraction.case_table import fit_clinical, transform_clinical
from nonredundant.folds.attention import Attention
from nonredundant.folds.feature_sets import FeatureSet
from nonredundant.folds.fitting import FitOptions, Fitted
from nonredundant.folds.out_of_fold import OutOfFold
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.patient_level import PatientLevel
from nonredundant.folds.representations import Learned
from nonredundant.folds.splits import Fold
from nonredundant.inspection.atlas import LatentAtlas
from nonredundant.lesions.table import LesionTable


@dataclass(frozen=True)
class Primary:
    """The comparison that is chosen before any result is seen.

    Attributes
    ----------
    feature_set, classifier, metric : str
        What is reported.
    reference : str or None
        The feature set that it is tested against, if any.
    """

    feature_set: str
    classifier: str
    metric: str
    reference: str | None = None

    def to_dict(self) -> dict[str, str]:
        """Return the names as a dict, without `reference` if there is none."""
        return {key: value for key, value in asdict(self).items() if value is not None}


#: With fewer samples (or groups) there is no audit: its estimators need two in each of five folds.
LEAST_AUDIT_ROWS = 10


@dataclass(frozen=True)
class AuditOptions:
    """Methods and number of permutations of the audit on held-out folds."""

    methods: tuple[str, ...]
    n_permutations: int = 200


class Audit(NamedTuple):
    """The audit of a learned block in one fold, and what it found on permuted rows."""

    name: str
    report: pd.DataFrame
    null: dict[str, np.ndarray]


@dataclass(frozen=True)
class Study:
    """Everything that a comparison needs, checked.

    Attributes
    ----------
    table : LesionTable
        Lesions of the cohort; samples from `n` on are the held-out test set.
    outcome : Outcome
        The outcome of the cohort and of the test set.
    n : int
        Number of samples in the cohort.
    folds : list of Fold
        The splits of the cohort.
    sets : list of FeatureSet
        The feature sets to compare.
    estimators : dict of str to classifier or None
        The classifiers by name; None for a built-in one.
    options : FitOptions
        Scorers and corrections of class imbalance.
    level : PatientLevel
        How several lesions of a sample make one prediction.
    primary : Primary
        The comparison that is chosen before any result is seen.
    cvae : transformer or None
        The untrained network, if a set needs one.
    audit : AuditOptions or None
        Options of the audit; None for no audit.
    groups : array of shape (n,) or None
        Groups of samples that are never on both sides of a split.
    test_groups : array or None
        Groups of the samples of the test set.
    clinical : transformer, list of str or None
        The clinical columns, fitted in each fold.
    cases : DataFrame or None
        The case table, if there is one.
    root : path or None
        Folder of its relative paths.
    memory : str, Memory or None
        Where results are kept.
    n_jobs : int or None
        Number of parallel fits.
    verbose : int
        1 shows progress.
    """

    table: LesionTable
    outcome: Outcome
    n: int
    folds: list[Fold]
    sets: list[FeatureSet]
    estimators: dict[str, Any]
    options: FitOptions
    level: PatientLevel
    primary: Primary
    cvae: Any = None
    audit: AuditOptions | None = None
    groups: np.ndarray | None = None
    test_groups: np.ndarray | None = None
    clinical: Any = None
    cases: pd.DataFrame | None = None
    root: Any = None
    memory: Any = None
    n_jobs: int | None = None
    verbose: int = 0


@dataclass
class Results:
    """Everything that a comparison has fitted and measured."""

    learned: list[Learned]
    fitted: list[Fitted]
    held: OutOfFold
    audits: list[Audit]
    information: pd.DataFrame
    atlas: LatentAtlas | None
    attention: Attention
    seconds: dict[str, float]


def study_table(study: Study, fold: Fold) -> LesionTable:
    """Return the lesions with clinical columns from a transformer fitted on training samples."""
    if study.cases is None or study.clinical is None:
        return study.table
    y = study.outcome.strata[fold.train]
    fitted = fit_clinical(study.clinical, study.cases.iloc[fold.train], y)
    frame = transform_clinical(fitted, study.cases)
    return study.table if frame is None else study.table.join(frame, block="clinical")
