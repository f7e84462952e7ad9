"""Fitting and scoring of one classifier on one feature set in one fold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.base import clone

from nonredundant.classifiers.builtin import make_pipeline, members_of
from nonredundant.classifiers.calibrated_margin import CalibratedMargin
from nonredundant.classifiers.late_fusion import LateFusion, LateFusionOfTimes, fuse
from nonredundant.classifiers.scoring import inner_metric, recorded
from nonredundant.classifiers.soft_vote import soft_vote
from nonredundant.classifiers.tuning import TrainingRows, Tuned, respond, tune, weights_of
from nonredundant.folds.feature_sets import blocks_of
from nonredundant.folds.fold_data import Parts
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.representations import Blocks
from nonredundant.folds.splits import Fold, smallest_class
from nonredundant.lesions.table import LesionTable
from nonredundant.statistics.calibration import operating_point
from nonredundant.utils.context import one_thread, recorded_warnings


@dataclass
class Fitted:
    """A fitted classifier of one feature set and fold, with its scores and responses.

    Attributes
    ----------
    feature_set, classifier : str
        Names.
    fold : Fold
        Where it was fitted.
    model : classifier
        The fitted classifier.
    chosen : dict
        Values chosen by inner cross-validation.
    columns : list of str
        The columns that it sees, `n_base` known ones before the learned ones.
    response, external : array of shape (n_samples, n_columns)
        Responses to the held-out samples and to those of the test set.
    samples : Index
        Labels of the held-out samples.
    truth : dict of str to array
        The true outcome of the held-out samples, as columns of a table of predictions.
    scores : dict of str to float
        Scores on the held-out samples by metric.
    threshold : float
        The decision threshold that inner cross-validation chose; NaN without one.
    weights : array or None
        Coefficients or importances of the columns.
    seconds : float
        Duration.
    warnings : list of str
        Warnings of the fit.
    """

    feature_set: str
    classifier: str
    fold: Fold
    model: Any
    chosen: dict[str, Any]
    columns: list[str]
    n_base: int
    response: np.ndarray
    external: np.ndarray
    samples: pd.Index
    truth: dict[str, np.ndarray]
    scores: dict[str, float]
    threshold: float
    weights: np.ndarray | None
    seconds: float
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FitOptions:
    """Options that all fits of a comparison share.

    Attributes
    ----------
    scorers : dict of str to scorer
        The metrics; the first one is maximised by inner cross-validation.
    class_weight : dict of int to float, "balanced" or None
        Weights by the position of the class.
    sampler : str, sampler or None
        Resamples training rows.
    """

    scorers: dict[str, Any]
    class_weight: Any = None
    sampler: Any = None


@dataclass(frozen=True)
class FitTask:
    """Tune and fit one classifier on training samples; score and predict the held-out ones.

    Scores are computed from the stored responses, so that what is pooled, calibrated and drawn
    ranks the samples as what was scored.

    Attributes
    ----------
    feature_set, classifier : str
        Names.
    estimator : classifier or None
        The untrained classifier; None for the built-in one of this name.
    rows : Parts of Blocks or of LesionTable
        The columns of the feature set, or the lesions of a graph.
    y_train, y_test : Outcome
        The outcomes of the training and of the held-out samples.
    samples : Index
        Labels of the held-out samples.
    fold : Fold
        Where it is fitted, and the seed.
    splits : list of (train, test)
        Inner splits of the training samples.
    options : FitOptions
        Scorers and corrections of class imbalance.
    nested : list of Blocks or None
        For each inner split, the columns of the training samples as its training part selects and
        encodes them; None if no label was used to obtain the columns.
    grouped : bool
        Whether some training samples must stay together.
    """

    feature_set: str
    classifier: str
    estimator: Any
    rows: Parts
    y_train: Outcome
    y_test: Outcome
    samples: pd.Index
    fold: Fold
    splits: Sequence[tuple[np.ndarray, np.ndarray]]
    options: FitOptions
    nested: Sequence[Blocks] | None = None
    grouped: bool = False

    @property
    def name(self) -> str:
        """What is fitted, for messages."""
        return f"{self.feature_set} with {self.classifier} in {self.fold.name}"

    @property
    def is_graph(self) -> bool:
        """Whether the classifier is a graph of lesions."""
        return isinstance(self.rows.train, LesionTable)

    @property
    def cost(self) -> bool:
        """What orders the tasks by their time: graphs take longest."""
        return self.is_graph

    def key(self, voxels: str) -> tuple[Any, ...]:
        """Return what identifies the result."""
        del voxels
        return tuple(getattr(self, part.name) for part in fields(self))

    def run(self) -> Fitted:
        """Return the fitted classifier."""
        start = time.perf_counter()
        rows = self.rows
        with recorded_warnings() as messages, one_thread(torch_too=self.is_graph):
            if self.is_graph:
                tuned, inputs = self._fit_graph(), rows
                columns, n_base = list(map(str, rows.train.columns)), rows.train.shape[1]
            else:
                tuned, inputs = self._tune(), Parts(*(blocks.matrix for blocks in rows))
                columns, n_base = rows.train.columns, rows.train.base.shape[1]
            response = _responses(tuned.model, inputs.test)
            scores = self._scores(tuned.model, inputs.test, response)
            external = _responses(tuned.model, inputs.external)
        return Fitted(
            feature_set=self.feature_set,
            classifier=self.classifier,
            fold=self.fold,
            model=tuned.model,
            chosen=tuned.chosen,
            columns=columns,
            n_base=n_base,
            response=response,
            external=external,
            samples=self.samples,
            truth=self.y_test.truth(),
            scores=scores,
            threshold=self._threshold(tuned),
            weights=None if self.is_graph else _weights_of(tuned.model),
            seconds=time.perf_counter() - start,
            warnings=messages,
        )

    def _scores(self, model: Any, held: Any, response: np.ndarray) -> dict[str, float]:
        """Score the responses to the held-out rows; an empty dict if there are none."""
        if not len(held):
            return {}
        y = self.y_test
        rows, scored = held, model
        if not y.is_survival:
            # Some users' classifiers rank by `decision_function` otherwise than `predict_proba`.
            rows = np.arange(len(response))
            scored = recorded(response, len(y.classes), model.predict(held))
        return {
            metric: float(scorer(scored, rows, y.y))
            for metric, scorer in self.options.scorers.items()
        }

    def _tune(self) -> Tuned:
        """Tune and fit a classifier on the training rows, for late fusion one per block."""
        train, nested = self.rows.train, self.nested
        if not train.part:
            return self._fit_classifier(train, nested)
        tuned, columns = {}, []
        for number, name in enumerate(blocks_of(self.feature_set)):
            own = None if nested is None else [one.block(number) for one in nested]
            tuned[name] = self._fit_classifier(train.block(number), own)
            columns.append(np.flatnonzero(np.array(train.part) == number))
        return fuse(tuned, columns, train.matrix, self.y_train.y, self.options.class_weight)

    def _fit_classifier(self, train: Blocks, nested: Sequence[Blocks] | None) -> Tuned:
        """Tune and fit the classifier, or those that it averages, on columns of the set."""
        members = () if self.estimator is not None else members_of(self.classifier)
        if not members:
            return self._fit_one(self.classifier, train, nested)
        tuned = {name: self._fit_one(name, train, nested) for name in members}
        return soft_vote(tuned, train.matrix, self.y_train.y)

    def _fit_one(self, name: str, train: Blocks, nested: Sequence[Blocks] | None) -> Tuned:
        """Tune and fit one classifier on columns of the set."""
        y = self.y_train
        pipeline = make_pipeline(
            name,
            self.estimator,
            train.n_known,
            class_weight=self.options.class_weight,
            sampler=self.options.sampler,
            seed=self.fold.seed,
            smallest=smallest_class(y.strata, self.splits),
        )
        columns = None
        if nested is not None:
            columns = [(blocks.matrix, blocks.n_known) for blocks in nested]
        return tune(
            name,
            pipeline,
            TrainingRows(train.matrix, y.y, train.n_known, self.splits, columns, self.grouped),
            learned=train.is_fused,
            own=self.estimator is not None,
            metric=inner_metric(self.options.scorers, len(y.classes)),
        )

    def _fit_graph(self) -> Tuned:
        """Fit the graph of lesions on the training patients; it has nothing to tune."""
        model = clone(self.estimator)
        settings = {"random_state": self.fold.seed, "class_weight": self.options.class_weight}
        params = model.get_params()
        unset = {name: value for name, value in settings.items() if params.get(name, 0) is None}
        model.set_params(**unset).fit(self.rows.train, self.y_train.y)
        return Tuned(model, {}, np.empty(0, dtype=int), np.empty((0, 1)))

    def _threshold(self, tuned: Tuned) -> float:
        """Return Youden's threshold on inner held-out responses, on the scale of predictions.

        `TunedThresholdClassifierCV` averages the scores of thresholds over splits; here the
        responses of all splits are pooled, which a class of few patients needs.
        """
        if len(self.y_train.classes) != 2 or not len(tuned.rows):
            return float("nan")
        scores = tuned.responses[:, -1]
        if isinstance(tuned.model, CalibratedMargin):
            scores = tuned.model.probability(scores)[:, -1]
        return float(operating_point(self.y_train.strata[tuned.rows], scores))


def _weights_of(model: Any) -> np.ndarray | None:
    """Return the weights of the columns in a model, None if it has none."""
    if isinstance(model, LateFusion | LateFusionOfTimes):
        return model.column_weights
    return weights_of(model)


def _responses(model: Any, rows: Any) -> np.ndarray:
    """Return the responses to rows to be stored; margins of several classes as probabilities."""
    if not len(rows):
        return np.empty((0, 1))
    response = respond(model, rows)
    several = response.shape[1] > 2 and not np.allclose(response.sum(axis=1), 1)
    return softmax(response, axis=1) if several else response
