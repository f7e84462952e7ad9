"""One feature set and classifier, fitted on a whole cohort and on the folds of it.

Beside the model that is applied, a saved model keeps what only the training cohort can tell: the
same model without its learned features, and models of folds with their predictions of the samples
that they did not see.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nonredundant.evaluation.design import Design
from nonredundant.evaluation.predictor import Predictor
from nonredundant.folds.cohort import Cohort
from nonredundant.folds.feature_sets import (
    FeatureSet,
    check_feature_set,
    known_part,
    name_clinical,
)
from nonredundant.folds.fitting import Fitted
from nonredundant.folds.fold_data import FoldData, prepare
from nonredundant.folds.fold_model import FoldModel
from nonredundant.folds.patient_level import has_lesion_columns
from nonredundant.folds.splits import Fold, calibration_folds


@dataclass(frozen=True)
class FoldFit:
    """What is fitted on the training samples of a fold.

    Attributes
    ----------
    data : FoldData
        The samples after the steps.
    fits : list of (Predictor, Fitted)
        The feature set, then, if asked for, its known columns alone.
    messages : list of str
        Warnings.
    """

    data: FoldData
    fits: list[tuple[Predictor, Fitted]]
    messages: list[str]


@dataclass(frozen=True)
class CohortFit:
    """Fits of one feature set and classifier.

    Attributes
    ----------
    cohort : Cohort
        The samples.
    design : Design
        The feature set and the classifier, one of each.
    cvae, embedding : transformer or None
        The untrained network, and what reduces given embeddings.
    with_reference : bool
        Whether the known columns of a fused set are fitted alone, too.
    """

    cohort: Cohort
    design: Design
    cvae: Any
    embedding: Any
    with_reference: bool

    def on(self, fold: Fold) -> FoldFit:
        """Fit on the training samples of a fold.

        Raises
        ------
        ValueError
            If the feature set cannot be computed.
        """
        design, data = self.design, prepare(self.cohort, fold)
        feature_set = _usable_set(design, data)
        sets = [feature_set]
        if self.with_reference and feature_set.is_fused:
            sets.append(known_part(feature_set))
        cvae = design.network(self.cvae, sets, self.cohort.outcome)
        model = FoldModel(data, design.level, design.options, cvae, self.embedding)
        model.learn(sets)
        (classifier, estimator), *_ = design.estimators.items()
        fits = []
        for one in {one.name: one for one in sets}.values():
            representation, fitted = model.fit(one, classifier, estimator)
            fits.append((Predictor(data.pipeline, representation, fitted.model), fitted))
        learned = [message for record in model.learned.values() for message in record.warnings]
        told = [message for _, fitted in fits for message in fitted.warnings]
        return FoldFit(data, fits, [*data.messages, *learned, *told])

    def on_folds(self, n_folds: int, seed: int) -> HeldOut | None:
        """Fit on folds that hold every sample out once; None if there are too few samples."""
        outcome, groups = self.cohort.outcome, self.cohort.groups
        folds = calibration_folds(outcome.strata, groups, seed, n_splits=n_folds)
        if not folds:
            return None
        return HeldOut(self.cohort, folds, [self.on(fold).fits for fold in folds])


@dataclass(frozen=True)
class HeldOut:
    """Models of folds, and their predictions of the samples that they did not see."""

    cohort: Cohort
    folds: list[Fold]
    fits: list[list[tuple[Predictor, Fitted]]]

    @cached_property
    def models(self) -> list[Predictor]:
        """The model of each fold."""
        return [fits[0][0] for fits in self.fits]

    def table(self) -> dict[str, np.ndarray]:
        """Return outcome, fold, group and responses of every sample, without its id.

        `response` and `reference` are those of the feature set and of its known columns alone;
        `y`, or `event` and `time`, is the outcome, `group` a number for samples that belong
        together.
        """
        outcome, groups = self.cohort.outcome, self.cohort.groups
        number = np.empty(self.cohort.n, dtype=int)
        for fold in self.folds:
            number[fold.test] = fold.fold
        found: dict[str, np.ndarray] = {"fold": number}
        fields = outcome.y.dtype.names
        found |= {name: outcome.y[name] for name in fields} if fields else {"y": outcome.y}
        if groups is not None:
            found["group"] = np.unique(groups, return_inverse=True)[1]
        for k, name in enumerate(("response", "reference")[: len(self.fits[0])]):
            parts = [fits[k][1].response for fits in self.fits]
            values = np.empty((self.cohort.n, parts[0].shape[1]))
            for fold, part in zip(self.folds, parts, strict=True):
                values[fold.test] = part
            found[name] = values
        return found


def _usable_set(design: Design, data: FoldData) -> FeatureSet:
    """Return the feature set, named for clinical columns; raise if it cannot be computed."""
    table = data.table
    design.level.check(table)
    (feature_set,) = name_clinical(design.sets, [], clinical=bool(table.columns_of("clinical")))
    check_feature_set(feature_set, table)
    if design.level.graph is not None and not has_lesion_columns(feature_set):
        raise ValueError(
            "a graph needs features of lesions, and takes them all at once, which the set "
            f"{feature_set.name!r} does not: choose another set, or patients='mean'"
        )
    return feature_set
