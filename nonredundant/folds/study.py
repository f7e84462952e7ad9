"""One comparison as data: what is to be run, and what has been fitted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nonredundant.extraction.case_table import Sources
from nonredundant.folds.attention import Attention
from nonredundant.folds.audit import Audit, AuditOptions
from nonredundant.folds.cohort import Cohort
from nonredundant.folds.feature_sets import FeatureSet
from nonredundant.folds.fitting import FitOptions, Fitted
from nonredundant.folds.fold_data import FoldData
from nonredundant.folds.networks import Learned
from nonredundant.folds.out_of_fold import OutOfFold
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.patient_level import PatientLevel
from nonredundant.folds.splits import Fold
from nonredundant.folds.tasks import TaskRunner
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


@dataclass(frozen=True)
class Study:
    """Everything that a comparison needs, checked.

    Attributes
    ----------
    cohort : Cohort
        The samples, their outcome and the steps.
    data : list of FoldData
        The samples of each fold after its steps.
    sets : list of FeatureSet
        The feature sets to compare.
    references : dict of str to list of str
        The sets that each set is tested against.
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
    embedding : transformer or None
        What reduces given embeddings, if a set has one.
    audit : AuditOptions or None
        Options of the audit; None for no audit.
    controls : bool
        Whether the tests of added information are repeated on negative controls.
    sources : list of Sources or None
        The images of the samples, if they are known.
    runner : TaskRunner
        How the tasks are run.
    left_in : dict of str to str or None
        Where each fold leaves out one centre: the centres that none leaves out, and why.
    """

    cohort: Cohort
    data: list[FoldData]
    sets: list[FeatureSet]
    references: dict[str, list[str]]
    estimators: dict[str, Any]
    options: FitOptions
    level: PatientLevel
    primary: Primary
    cvae: Any = None
    embedding: Any = None
    audit: AuditOptions | None = None
    controls: bool = False
    sources: list[Sources] | None = None
    runner: TaskRunner = TaskRunner()
    left_in: dict[str, str] | None = None

    @property
    def folds(self) -> list[Fold]:
        """The splits of the cohort."""
        return [data.fold for data in self.data]

    @property
    def outcome(self) -> Outcome:
        """The outcome of the cohort."""
        return self.cohort.outcome

    @property
    def groups(self) -> np.ndarray | None:
        """The groups of the samples of the cohort."""
        return self.cohort.groups

    @property
    def test_table(self) -> LesionTable:
        """The held-out test set."""
        return self.cohort.table[self.cohort.n :]

    def pairs(self) -> list[tuple[FeatureSet, str]]:
        """Return each set with each of the sets that it is tested against."""
        return [(s, reference) for s in self.sets for reference in self.references[s.name]]

    def informed(self) -> list[tuple[FeatureSet, str]]:
        """Return the fused sets, each with the set of what is known without the network."""
        known = {s.name for s in self.sets if s.is_known}
        first: dict[str, tuple[FeatureSet, str]] = {}
        for feature_set, reference in self.pairs():
            if feature_set.is_fused and reference in known:
                first.setdefault(feature_set.name, (feature_set, reference))
        return list(first.values())


@dataclass
class FitResults:
    """Everything that a comparison has fitted and audited.

    Attributes
    ----------
    learned : list of Learned
        The networks of all folds.
    whole : dict of Variant to Learned
        Networks that were trained without labels on the whole cohort.
    whole_data : FoldData or None
        The whole cohort after its steps, where such networks are needed.
    fitted : list of Fitted
        The classifiers of all folds.
    held : OutOfFold
        Their out-of-fold responses.
    audits : list of Audit
        The audits of the learned blocks.
    atlas : LatentAtlas or None
        What the latents of one network mean.
    attention : Attention
        What the graphs attend to.
    messages : list of str
        Warnings of steps.
    seconds : dict of str to float
        Duration of the parts.
    """

    learned: list[Learned]
    whole: dict[Any, Learned]
    whole_data: FoldData | None
    fitted: list[Fitted]
    held: OutOfFold
    audits: list[Audit]
    atlas: LatentAtlas | None
    attention: Attention
    messages: list[str]
    seconds: dict[str, float]
