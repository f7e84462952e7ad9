"""Scores of predictions: by scikit-learn's scorers, from stored responses, in inner splits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from scipy.stats import rankdata, spearmanr
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import check_scoring, get_scorer

from nonredundant.statistics.survival import concordance_index

#: The metric of times to an event.
CONCORDANCE = "concordance_index"
#: The metrics of numbers; naming one of them says that the outcome is continuous.
SPEARMAN = "spearman"
NUMBER_METRICS = (
    "r2",
    SPEARMAN,
    "neg_mean_absolute_error",
    "neg_mean_squared_error",
    "neg_root_mean_squared_error",
)


def asks_for_numbers(scoring: Any) -> bool:
    """Return whether a metric of a continuous outcome is among those that are named.

    Examples
    --------
    >>> asks_for_numbers("r2"), asks_for_numbers(["roc_auc", "accuracy"])
    (True, False)
    """
    entries = (
        scoring if isinstance(scoring, Iterable) and not isinstance(scoring, str) else [scoring]
    )
    return any(isinstance(entry, str) and entry in NUMBER_METRICS for entry in entries)


def resolve_scoring(scoring: Any, n_classes: int) -> dict[str, Any]:
    """Return the scorers by name; with more than two classes, AUC is one against the rest.

    Numbers and times to an event have no classes. Numbers are scored by the metrics that say what
    they are, times by their concordance.

    Raises
    ------
    ValueError
        If a name is unknown, none is given, or a metric of classes is used on times to an event.
    """
    if not n_classes:
        return _without_classes([scoring] if isinstance(scoring, str) else list(scoring))
    if not isinstance(scoring, Mapping):
        entries = [scoring] if isinstance(scoring, str) or callable(scoring) else scoring
        scoring = {_name_of(entry, n_classes): entry for entry in entries}
    scorers = {name: _scorer(name, entry, n_classes) for name, entry in scoring.items()}
    if not scorers:
        raise ValueError("scoring is empty: name at least one metric, for instance 'roc_auc'")
    return scorers


def _without_classes(names: list[Any]) -> dict[str, Any]:
    """Return the scorers of numbers, if the names ask for them, or of times to an event."""
    if asks_for_numbers(names):
        if unknown := [name for name in names if name not in NUMBER_METRICS]:
            raise ValueError(
                f"a continuous outcome is scored by {NUMBER_METRICS}, not by {unknown}"
            )
        return {n: _spearman_scorer if n == SPEARMAN else get_scorer(n) for n in names}
    if names not in (["roc_auc"], [CONCORDANCE]):
        raise ValueError(f"times to an event are scored by {CONCORDANCE!r} alone, not by {names}")
    return {CONCORDANCE: concordance_scorer}


def _name_of(entry: Any, n_classes: int) -> str:
    """Return the name of a metric in tables."""
    if callable(entry):
        return getattr(entry, "__name__", "score")
    return _known_name(entry, n_classes)


def _known_name(entry: Any, n_classes: int) -> Any:
    """Return the name that scikit-learn has for a metric of so many classes."""
    return "roc_auc_ovr" if entry == "roc_auc" and n_classes > 2 else entry


def _scorer(name: str, entry: Any, n_classes: int) -> Any:
    """Return the scorer of an entry: a name, or a function of (estimator, X, y)."""
    if not callable(entry):
        try:
            return get_scorer(_known_name(entry, n_classes))
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"unknown scoring {entry!r}: see sklearn.metrics.get_scorer_names()"
            ) from error
    try:
        return check_scoring(Recorded(np.empty((0, n_classes))), scoring=entry)
    except ValueError as error:
        raise ValueError(
            f"scoring {name!r} is a metric of labels and predictions, and a scorer of (estimator, "
            "X, y) is needed: use sklearn.metrics.make_scorer(metric), or its name"
        ) from error


class _Stored(BaseEstimator):
    """A model that is fitted already."""

    def fit(self, X: Any, y: Any = None) -> Any:
        """Do nothing.

        Parameters
        ----------
        X, y : ignored
            Ignored.

        Returns
        -------
        self
            The model.
        """
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True


class Recorded(ClassifierMixin, _Stored):
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


class RecordedNumbers(RegressorMixin, _Stored):
    """Return stored numbers as predictions, so that scorers can be applied to them.

    Parameters
    ----------
    response : array of shape (n_samples, 1)
        The numbers.
    """

    def __init__(self, response: Any) -> None:
        self.response = response

    def predict(self, X: Any) -> np.ndarray:
        """Return the numbers of the rows.

        Parameters
        ----------
        X : int array of shape (n_samples,)
            Row numbers.

        Returns
        -------
        array of shape (n_samples,)
            The numbers.
        """
        return self.response[np.asarray(X).ravel(), 0]


def recorded(response: np.ndarray, n_classes: int, predicted: Any = None) -> Any:
    """Return a model whose predictions are stored responses: of classes, or of numbers if none."""
    return Recorded(response, n_classes, predicted) if n_classes else RecordedNumbers(response)


def inner_metric(
    scorers: dict[str, Any], n_classes: int
) -> Callable[[np.ndarray, np.ndarray], float]:
    """Return the function of labels and responses that inner cross-validation maximises."""
    first, scorer = next(iter(scorers.items()))
    if first == CONCORDANCE:
        return _concordance
    if first == ("roc_auc" if n_classes == 2 else "roc_auc_ovr"):
        return _auc
    return lambda y, response: float(scorer(recorded(response, n_classes), np.arange(len(y)), y))


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


def concordance_scorer(model: Any, X: Any, y: np.ndarray) -> float:
    """Score a fitted model by Harrell's concordance of its risks with the times."""
    return concordance_index(y["event"], y["time"], np.ravel(model.predict(X)))


def _spearman_scorer(model: Any, X: Any, y: np.ndarray) -> float:
    """Score predicted numbers by their rank correlation; 0 if all of either are equal."""
    predicted = np.ravel(model.predict(X))
    if np.ptp(predicted) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(spearmanr(y, predicted).statistic)


def has_pairs(y: np.ndarray) -> bool:
    """Return whether there are two samples whose events can be ordered."""
    first = y["time"][y["event"]].min(initial=np.inf)
    return bool((y["time"] > first).any() or ((y["time"] == first) & ~y["event"]).any())
