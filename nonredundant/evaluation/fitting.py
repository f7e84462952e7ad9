"""One classifier on one feature set in one fold: tuned, fitted, scored, with its responses."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from nonredundant.evaluation.classifiers import CalibratedMargin, make_pipeline
from nonredundant.evaluation.folds import Fold, smallest_class
from nonredundant.evaluation.outcome import CONCORDANCE, has_pairs
from nonredundant.evaluation.tuning import Tuned, respond, tune, weights_of
from nonredundant.lesions.table import LesionTable
from nonredundant.statistics.survival import concordance_index
from nonredundant.utils.context import one_thread, recorded_warnings


@dataclass
class Fitted:
    """One classifier on one feature set in one fold."""

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
    """A classifier that answers with responses computed before, so that scorers can read them.

    Parameters
    ----------
    response : array of shape (n_samples, n_classes) or (n_samples, 1)
        Probabilities, or binary margins in one column.
    """

    def __init__(self, response: Any, n_classes: int = 2) -> None:
        self.response = response
        self.n_classes = n_classes

    @property
    def classes_(self) -> np.ndarray:
        """Positions of the classes."""
        return np.arange(self.n_classes)

    def fit(self, X: Any, y: Any = None) -> Recorded:
        """Do nothing; there is nothing to learn.

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
        if np.allclose(response.sum(axis=1), 1):
            return response
        return softmax(response, axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of the highest response.

        Parameters
        ----------
        X : int array of shape (n_samples,)
            Row numbers.

        Returns
        -------
        array of shape (n_samples,)
            Positions of the classes.
        """
        return self.predict_proba(X).argmax(axis=1)


def fit_classifier(
    feature_set: str,
    name: str,
    estimator: Any,
    base: pd.DataFrame,
    added: pd.DataFrame,
    y: np.ndarray,
    fold: Fold,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    options: dict[str, Any],
) -> Fitted:
    """Tune and fit one classifier on training rows; score and predict the held-out ones."""
    start = time.perf_counter()
    X = np.hstack([base.to_numpy(dtype=float), added.to_numpy(dtype=float)])
    scorers = options["scorers"]
    with recorded_warnings() as messages, one_thread(torch_too=False):
        pipeline = make_pipeline(
            name,
            estimator,
            base.shape[1] or added.shape[1],
            class_weight=options["class_weight"],
            sampler=options["sampler"],
            seed=fold.seed,
            smallest=smallest_class(options["strata"][fold.train], splits),
        )
        tuned = tune(
            name,
            pipeline,
            X[fold.train],
            y[fold.train],
            splits,
            learned=bool(base.shape[1] and added.shape[1]),
            own=estimator is not None,
            metric=inner_metric(scorers, options["n_classes"]),
        )
        model = tuned.model
        scores = {
            metric: float(scorer(model, X[fold.test], y[fold.test]))
            for metric, scorer in scorers.items()
        }
        response = respond(model, X[fold.test])
        rest = X[len(y) :]
        external = respond(model, rest) if len(rest) else response[:0]
    return Fitted(
        feature_set,
        name,
        fold.repeat,
        fold.fold,
        model,
        tuned.chosen,
        [*map(str, base.columns), *map(str, added.columns)],
        base.shape[1],
        response,
        external,
        scores,
        _threshold(tuned, options["strata"][fold.train], options["n_classes"]),
        weights_of(model, X.shape[1]),
        time.perf_counter() - start,
        messages,
    )


def fit_graph(
    feature_set: str,
    name: str,
    estimator: Any,
    lesions: LesionTable,
    y: np.ndarray,
    fold: Fold,
    options: dict[str, Any],
) -> Fitted:
    """Fit the graph of lesions on training patients; score and predict the held-out ones.

    `lesions` has the columns of one feature set, the cohort's patients first, and what else is to
    be predicted behind them. There is nothing to tune and no threshold to find.
    """
    start = time.perf_counter()
    with recorded_warnings() as messages, one_thread(torch_too=True):
        model = clone(estimator)
        settings = {"random_state": fold.seed, "class_weight": options["class_weight"]}
        known = model.get_params()
        model.set_params(**{k: v for k, v in settings.items() if k in known and known[k] is None})
        model.fit(lesions[fold.train], y[fold.train])
        held = lesions[fold.test]
        scores = {
            metric: float(scorer(model, held, y[fold.test]))
            for metric, scorer in options["scorers"].items()
        }
        response = respond(model, held)
        rest = lesions[len(y) :]
        external = respond(model, rest) if len(rest) else response[:0]
    return Fitted(
        feature_set,
        name,
        fold.repeat,
        fold.fold,
        model,
        {},
        [str(column) for column in lesions.columns],
        len(lesions.columns),
        response,
        external,
        scores,
        float("nan"),
        None,
        time.perf_counter() - start,
        messages,
    )


def inner_metric(
    scorers: dict[str, Any], n_classes: int
) -> Callable[[np.ndarray, np.ndarray], float]:
    """Return what inner cross-validation maximises, of labels and responses."""
    first, scorer = next(iter(scorers.items()))
    if first == CONCORDANCE:
        return _concordance
    if first == ("roc_auc" if n_classes == 2 else "roc_auc_ovr"):
        return _auc
    return lambda y, response: float(scorer(Recorded(response, n_classes), np.arange(len(y)), y))


def _concordance(y: np.ndarray, response: np.ndarray) -> float:
    """Return the concordance of risks; NaN where no two patients of the split can be compared."""
    if not has_pairs(y):
        return float("nan")
    return concordance_index(y["event"], y["time"], response[:, -1])


def _auc(y: np.ndarray, response: np.ndarray) -> float:
    """Return the area under the ROC curve by ranks, far faster than by the curve.

    For more than two classes it is the mean over each class against the rest.
    """
    n_classes = response.shape[1]
    if n_classes <= 2:
        return _rank_auc(y == 1, response[:, -1])
    return float(np.mean([_rank_auc(y == k, response[:, k]) for k in range(n_classes)]))


def _rank_auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Return the share of pairs in which the positive one scores higher."""
    n = int(positive.sum())
    ranks = rankdata(score)[positive].sum()
    return float((ranks - n * (n + 1) / 2) / (n * (len(score) - n)))


def _threshold(tuned: Tuned, y: np.ndarray, n_classes: int) -> float:
    """Return Youden's threshold on inner held-out responses, on the scale of predictions."""
    if n_classes != 2 or not len(tuned.rows):
        return float("nan")
    from nonredundant.statistics.calibration import operating_point

    scores = tuned.responses[:, -1]
    if isinstance(tuned.model, CalibratedMargin):
        scores = tuned.model.probability(scores)
    return float(operating_point(y[tuned.rows], scores))
