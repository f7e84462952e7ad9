"""From extracted lesions to responses: what a saved model keeps of each of its fits."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from nonredundant.classifiers.calibrated_margin import CalibratedMargin
from nonredundant.classifiers.late_fusion import LateFusion, LateFusionOfTimes
from nonredundant.classifiers.tuning import respond
from nonredundant.folds.representations import Blocks, Representation
from nonredundant.folds.steps import apply_steps
from nonredundant.lesions.table import LesionTable


class Predictor:
    """Fitted steps, columns and classifier of one feature set.

    Parameters
    ----------
    steps : Pipeline or None
        The fitted steps.
    representation : Representation
        The columns of the feature set.
    model : classifier
        Imputer, scaler and classifier, or the graph; without a sampler, which acts in `fit` only,
        so that a file holds fewer types to trust.
    """

    def __init__(self, steps: Any, representation: Representation, model: Any) -> None:
        self.steps = steps
        self.representation = representation
        self.model = _without_sampler(model)

    @property
    def name(self) -> str:
        """Name of the feature set."""
        return self.representation.feature_set.name

    def inputs(self, table: LesionTable) -> Any:
        """Return what the classifier sees: a matrix, or the lesions of a graph."""
        features = self._columns(table)
        return features.matrix if isinstance(features, Blocks) else features

    def respond(self, table: LesionTable) -> np.ndarray:
        """Return probabilities, margins or risks of samples, as columns."""
        return respond(self.model, self.inputs(table))

    @property
    def is_linear(self) -> bool:
        """Whether the classifier is one linear function of its columns."""
        steps = getattr(self.model, "named_steps", {})
        return _coefficients(steps.get("classifier")) is not None

    def contributions(self, table: LesionTable) -> pd.DataFrame:
        """Return what each column adds to the log-odds or log hazard of each sample.

        Relative to the mean of the training samples, at which every column adds nothing.
        """
        columns = self._columns(table)
        scaled = self.model[:-1].transform(columns.matrix)
        weights = _coefficients(self.model.named_steps["classifier"])
        return pd.DataFrame(scaled * weights, index=table.index, columns=columns.columns)

    def _columns(self, table: LesionTable) -> Any:
        """Return the columns of the feature set."""
        return self.representation.transform(apply_steps(self.steps, table))


def _coefficients(classifier: Any) -> np.ndarray | None:
    """Return the coefficients of a linear model of two classes or of times; None of others."""
    found = getattr(classifier, "coef_", None)
    if not isinstance(found, np.ndarray):
        return None
    if hasattr(classifier, "penalty_factor_"):
        # Coxnet has one column of coefficients per strength of its penalty.
        found = found[:, -1]
    return found.ravel() if found.ndim == 1 or len(found) == 1 else None


def _without_sampler(model: Any) -> Any:
    """Return a fitted model without its sampler."""
    if isinstance(model, CalibratedMargin):
        model = copy.copy(model)
        model.estimator, model.margin_ = map(_without_sampler, (model.estimator, model.margin_))
        return model
    if isinstance(model, FrozenEstimator):
        return FrozenEstimator(_without_sampler(model.estimator))
    if isinstance(model, LateFusion | LateFusionOfTimes):
        model = copy.copy(model)
        model.estimators, model.models_ = (
            [_without_sampler(one) for one in models]
            for models in (model.estimators, model.models_)
        )
        return model
    if isinstance(model, VotingClassifier):
        model = copy.copy(model)
        model.estimators = [(name, _without_sampler(one)) for name, one in model.estimators]
        model.estimators_ = [one for _, one in model.estimators]
        model.named_estimators_ = dict(model.estimators)
        return model
    if not hasattr(model, "steps"):
        return model
    return Pipeline([step for step in model.steps if step[0] != "sampler"])
