"""Fitting and scoring of one classifier on one feature set in one fold."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from nonredundant.classifiers.builtin import make_pipeline
from nonredundant.classifiers.calibrated_margin import CalibratedMargin
from nonredundant.classifiers.tuning import TrainingRows, Tuned, respond, tune, weights_of
from nonredundant.folds.outcome import CONCORDANCE, Outcome, has_pairs
from nonredundant.folds.representations import Blocks
from nonredundant.folds.splits import Fold, smallest_class
from nonredundant.lesions.table import LesionTable
from nonredundant.statistics.calibration import operating_point
from nonredundant.statistics.survival import concordance_index
from nonredundant.utils.context import one_thread, recorded_warnings


@dataclass
class Fitted:
    """A fitted classifier of one feature set and fold, with its scores and responses."""

    feature_set: str
    classifier: str
    repeat: int
    fold: int
    model: Any
    chosen: dict[str, Any]
    columns: list[str]
    n_base: int
    response: np.ndarray
    external: np.ndarray
    scores: dict[str, float]
    threshold: float
    weights: np.ndarray | None
    seconds: float
    warnings: list[str] = field(default_factory=list)


class Recorded(ClassifierMixin, BaseEstimator):
    """Return stored responses as predictions, so that scorers can be applied to them.

    Parameters
    ----------
    response : array of shape (n_samples, n_classes) or (n_samples, 1)
        Probabilities, or binary margins in one column.
    n_classes : int, default=2
        Number of classes.
    predicted : array of shape (n_samples,), optional
        Predicted classes; None: the classes of the highest responses.
    """

    def __init__(self, response: Any, n_classes: int = 2, predicted: Any = None) -> None:
        self.response = response
        self.n_classes = n_classes
        self.predicted = predicted

    @property
    def classes_(self) -> np.ndarray:
        """Positions of the classes."""
        return np.arange(self.n_classes)

    def fit(self, X: Any, y: Any = None) -> Recorded:
        """Do nothing.

        Parameters
        ----------
        X, y : ignored
            Ignored.

        Returns
        -------
        self
            The classifier.
        """
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the responses of the rows.

        Parameters
        ----------
        X : int array of shape (n_samples,)
            Row numbers.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Probabilities; margins are squashed by the logistic function.
        """
        response = self.response[np.asarray(X).ravel()]
        if response.shape[1] == 1:
            p = expit(response[:, 0])
            return np.column_stack([1 - p, p])
        return response if np.allclose(response.sum(axis=1), 1) else softmax(response, axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted classes.

        Parameters
        ----------
        X : int array of shape (n_samples,)
            Row numbers.

        Returns
        -------
        array of shape (n_samples,)
            Positions of the classes.
        """
        if self.predicted is not None:
            return self.predicted[np.asarray(X).ravel()]
        return self.predict_proba(X).argmax(axis=1)


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


def fit_model(
    feature_set: str,
    name: str,
    estimator: Any,
    features: Blocks | LesionTable,
    outcome: Outcome,
    fold: Fold,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    options: FitOptions,
    nested: Sequence[Blocks] | None = None,
) -> Fitted:
    """Tune and fit one classifier on training samples; score and predict the held-out ones.

    Scores are computed from the stored responses, so that what is pooled, calibrated and drawn
    ranks the samples as what was scored.

    Parameters
    ----------
    feature_set : str
        Name of the feature set.
    name : str
        Name of the classifier.
    estimator : classifier or None
        The untrained classifier; None for the built-in one of this name.
    features : Blocks or LesionTable
        The columns of the feature set, or the lesions of a graph: of the samples of the cohort,
        then of those of a held-out test set.
    outcome : Outcome
        The outcome of the cohort.
    fold : Fold
        The training and the held-out samples.
    splits : sequence of (train, test)
        Inner splits of the training samples.
    options : FitOptions
        Scorers and corrections of class imbalance.
    nested : sequence of Blocks, optional
        For each inner split, the columns of the training samples as selected on its training
        part; None if no label was used to obtain the columns.

    Returns
    -------
    Fitted
        The fitted classifier.
    """
    start = time.perf_counter()
    graph = isinstance(features, LesionTable)
    with recorded_warnings() as messages, one_thread(torch_too=graph):
        rows: Any = features
        if isinstance(features, LesionTable):
            tuned = _fit_graph(estimator, features, outcome, fold, options)
            columns, n_base = [str(column) for column in features.columns], len(features.columns)
        else:
            rows = features.matrix
            tuned = _tune(name, estimator, features, outcome, fold, splits, options, nested)
            columns = [*map(str, features.base.columns), *map(str, features.added.columns)]
            n_base = features.base.shape[1]
        model, held = tuned.model, rows[fold.test]
        response = _stored(model, held)
        scores = _scores(model, held, response, outcome, fold, options)
        external = _stored(model, rows[len(outcome.y) :])
    return Fitted(
        feature_set=feature_set,
        classifier=name,
        repeat=fold.repeat,
        fold=fold.fold,
        model=model,
        chosen=tuned.chosen,
        columns=columns,
        n_base=n_base,
        response=response,
        external=external,
        scores=scores,
        threshold=_threshold(tuned, outcome, fold),
        weights=None if graph else weights_of(model),
        seconds=time.perf_counter() - start,
        warnings=messages,
    )


def _stored(model: Any, rows: Any) -> np.ndarray:
    """Return the responses to rows to be stored; margins of several classes as probabilities."""
    if not len(rows):
        return np.empty((0, 1))
    response = respond(model, rows)
    several = response.shape[1] > 2 and not np.allclose(response.sum(axis=1), 1)
    return softmax(response, axis=1) if several else response


def _scores(
    model: Any,
    held: Any,
    response: np.ndarray,
    outcome: Outcome,
    fold: Fold,
    options: FitOptions,
) -> dict[str, float]:
    """Score the responses to the held-out rows; an empty dict if there are none."""
    if not len(fold.test):
        return {}
    rows, scored = held, model
    if not outcome.is_survival:
        # Some users' classifiers rank by `decision_function` otherwise than by `predict_proba`.
        rows = np.arange(len(response))
        scored = Recorded(response, len(outcome.classes), model.predict(held))
    return {
        metric: float(scorer(scored, rows, outcome.y[fold.test]))
        for metric, scorer in options.scorers.items()
    }


def _tune(
    name: str,
    estimator: Any,
    features: Blocks,
    outcome: Outcome,
    fold: Fold,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    options: FitOptions,
    nested: Sequence[Blocks] | None,
) -> Tuned:
    """Tune and fit a classifier on the training rows."""
    pipeline = make_pipeline(
        name,
        estimator,
        features.n_known,
        class_weight=options.class_weight,
        sampler=options.sampler,
        seed=fold.seed,
        smallest=smallest_class(outcome.strata[fold.train], splits),
    )
    rows = TrainingRows(
        features.matrix[fold.train],
        outcome.y[fold.train],
        features.n_known,
        splits,
        None if nested is None else [(one.matrix, one.n_known) for one in nested],
    )
    return tune(
        name,
        pipeline,
        rows,
        learned=features.is_fused,
        own=estimator is not None,
        metric=inner_metric(options.scorers, len(outcome.classes)),
    )


def _fit_graph(
    estimator: Any, lesions: LesionTable, outcome: Outcome, fold: Fold, options: FitOptions
) -> Tuned:
    """Fit the graph of lesions on the training patients; it has nothing to tune."""
    model = clone(estimator)
    settings = {"random_state": fold.seed, "class_weight": options.class_weight}
    known = model.get_params()
    model.set_params(**{k: v for k, v in settings.items() if k in known and known[k] is None})
    model.fit(lesions[fold.train], outcome.y[fold.train])
    return Tuned(model, {}, np.empty(0, dtype=int), np.empty((0, 1)))


def inner_metric(
    scorers: dict[str, Any], n_classes: int
) -> Callable[[np.ndarray, np.ndarray], float]:
    """Return the function of labels and responses that inner cross-validation maximises."""
    first, scorer = next(iter(scorers.items()))
    if first == CONCORDANCE:
        return _concordance
    if first == ("roc_auc" if n_classes == 2 else "roc_auc_ovr"):
        return _auc
    return lambda y, response: float(scorer(Recorded(response, n_classes), np.arange(len(y)), y))


def _concordance(y: np.ndarray, response: np.ndarray) -> float:
    """Compute the concordance of risks; NaN if no two times of the split can be compared."""
    if not has_pairs(y):
        return float("nan")
    return concordance_index(y["event"], y["time"], response[:, -1])


def _auc(y: np.ndarray, response: np.ndarray) -> float:
    """Compute the area under the ROC curve; with several classes, the mean one against the rest.

    `roc_auc_score` gives the same to 2e-16, but takes 21 s for 10,000 calls on 40 samples where
    ranks take 1.2 s; tuning needs about a hundred calls per feature set, classifier and fold.
    """
    n_classes = response.shape[1]
    if n_classes <= 2:
        return _rank_auc(y == 1, response[:, -1])
    return float(np.mean([_rank_auc(y == k, response[:, k]) for k in range(n_classes)]))


def _rank_auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Compute the share of pairs in which the positive sample has the higher score."""
    n = int(positive.sum())
    ranks = rankdata(score)[positive].sum()
    return float((ranks - n * (n + 1) / 2) / (n * (len(score) - n)))


def _threshold(tuned: Tuned, outcome: Outcome, fold: Fold) -> float:
    """Return Youden's threshold on inner held-out responses, on the scale of predictions.

    `TunedThresholdClassifierCV` averages the scores of thresholds over splits; here the responses
    of all splits are pooled, which a class of few patients needs.
    """
    if len(outcome.classes) != 2 or not len(tuned.rows):
        return float("nan")
    scores = tuned.responses[:, -1]
    if isinstance(tuned.model, CalibratedMargin):
        scores = tuned.model.probability(scores)[:, -1]
    return float(operating_point(outcome.strata[fold.train][tuned.rows], scores))
