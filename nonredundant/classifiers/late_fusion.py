"""Late fusion: a model per block of columns, weighed by what each says of rows it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils import get_tags
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted

from nonredundant.classifiers.calibrated_margin import LEAST_RISE, CalibratedMargin
from nonredundant.classifiers.cox import RidgeCox
from nonredundant.classifiers.tuning import Tuned, respond, weights_of
from nonredundant.utils.validation import validate_data

#: Probabilities are taken for at least this, so that their log-odds are finite.
_LEAST = 1e-3
#: Ridge penalty of the Cox regression of two or three risks.
_COX_PENALTY = 0.01


class _Fusion(BaseEstimator):
    """What late fusion of classes and of times have in common."""

    def __init__(
        self,
        estimators: Sequence[Any],
        part: Any = None,
        scores: Any = None,
        labels: Any = None,
        class_weight: Any = None,
    ) -> None:
        self.estimators = estimators
        self.part = part
        self.scores = scores
        self.labels = labels
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any) -> Any:
        """Fit a model to the columns of each block, and the weights to the held-out scores.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Training rows.
        y : array of shape (n_samples,)
            The outcome.

        Returns
        -------
        self
            The fitted model.
        """
        X = validate_data(self, X, ensure_all_finite="allow-nan")
        blocks = [X[:, self._columns(b)] for b in range(len(self.estimators))]
        self.models_ = [
            clone(one).fit(block, y) for one, block in zip(self.estimators, blocks, strict=True)
        ]
        first = self.models_[0]
        if hasattr(first, "classes_"):
            self.classes_ = first.classes_
        n_blocks = len(blocks)
        self.center_, self.scale_ = np.zeros(n_blocks), np.ones(n_blocks)
        self.weights_, self.intercept_ = np.full(n_blocks, 1 / n_blocks), 0.0
        if self.scores is not None:
            self._weigh(np.asarray(self.scores), np.asarray(self.labels))
        return self

    def _weigh(self, scores: np.ndarray, labels: np.ndarray) -> None:
        """Fit the weights to scores of shape (n_held, n_blocks, n_columns)."""
        self.center_ = scores.mean(axis=(0, 2))
        self.scale_ = np.maximum(scores.std(axis=(0, 2)), 1e-12)
        z = (scores - self.center_[:, None]) / self.scale_[:, None]
        rows, target, weight = self._rows(z, labels)
        self.weights_, self.intercept_ = _non_negative(
            lambda columns: self._final(columns, target, weight), rows
        )

    def _rows(
        self, z: np.ndarray, labels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return rows of one score per block, their targets and weights."""
        raise NotImplementedError

    def _final(self, rows: np.ndarray, target: np.ndarray, weight: Any) -> Any:
        """Fit the regression of the scores."""
        raise NotImplementedError

    def _columns(self, block: int) -> np.ndarray:
        """Return the positions of the columns of a block."""
        if self.part is None:
            return np.arange(self.n_features_in_)
        return np.flatnonzero(np.asarray(self.part) == block)

    def _fused(self, X: Any) -> np.ndarray:
        """Return the weighed scores of rows, shape (n_samples, n_columns)."""
        check_is_fitted(self, "models_")
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        scores = [
            scores_of(respond(model, X[:, self._columns(b)]))
            for b, model in enumerate(self.models_)
        ]
        return self.weigh(np.stack(scores, axis=1))

    def weigh(self, scores: np.ndarray) -> np.ndarray:
        """Weigh the scores of the blocks.

        Parameters
        ----------
        scores : array of shape (n_samples, n_blocks, n_columns)
            Log-odds or risks.

        Returns
        -------
        array of shape (n_samples, n_columns)
            One log-odds or risk of all blocks.
        """
        z = (scores - self.center_[:, None]) / self.scale_[:, None]
        return np.einsum("nbc,b->nc", z, self.weights_) + self.intercept_

    def __sklearn_tags__(self) -> Any:
        """Declare that missing values are allowed where the models allow them."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self.estimators[0]).input_tags.allow_nan
        return tags

    @property
    def column_weights(self) -> np.ndarray | None:
        """Coefficients of the columns in the fused score; None unless all blocks have some."""
        own = [weights_of(getattr(one, "estimator", one)) for one in self.models_]
        found = np.empty(self.n_features_in_)
        for block, values in enumerate(own):
            if values is None:
                return None
            found[self._columns(block)] = values * self.weights_[block] / self.scale_[block]
        return found


class LateFusion(ClassifierMixin, _Fusion):
    """Fit one classifier per block of columns, and a logistic regression of their log-odds.

    The regression has one weight per block, none below 0, and a ridge penalty. It is fitted to
    log-odds of rows that the classifiers had not seen: those of seen rows would trust the block
    that overfits most. A block that only noise informs ranks held-out rows against the labels as
    often as with them; a weight below 0 would take that for a finding. Where no block has a
    weight above 0, all get the least rise of `CalibratedMargin`.

    Parameters
    ----------
    estimators : list of classifiers
        One per block.
    part : int array of shape (n_features,), optional
        The block of each column. None: all columns are those of every classifier.
    scores : array of shape (n_held, n_blocks, n_columns), optional
        Log-odds of held-out rows, one column for two classes, else one per class. None: the mean
        of all log-odds.
    labels : array of shape (n_held,), optional
        The classes of these rows.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the regression.

    Attributes
    ----------
    models_ : list of classifiers
        The fitted classifiers.
    weights_ : array of shape (n_blocks,)
        Weight of the standardised log-odds of each block.
    center_, scale_ : array of shape (n_blocks,)
        Mean and standard deviation of the held-out log-odds.
    intercept_ : float
        The intercept.
    classes_ : array
        The classes.

    References
    ----------
    Wolpert 1992, Neural Networks 5, 241; Breiman 1996, Machine Learning 24, 49 (weights that are
    not negative).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 20)
    >>> X = np.column_stack([y + rng.normal(size=40), rng.normal(size=40)])
    >>> held = (X * [1.0, 0.1])[:, :, None]
    >>> blocks = [LogisticRegression(), LogisticRegression()]
    >>> model = LateFusion(blocks, part=[0, 1], scores=held, labels=y).fit(X, y)
    >>> bool(model.weights_[0] > model.weights_[1])
    True
    """

    def _rows(self, z: np.ndarray, labels: np.ndarray) -> Any:
        """Return a row per sample, with several classes a row per sample and class."""
        weight = compute_sample_weight(self.class_weight, labels)
        if z.shape[2] == 1:
            return z[:, :, 0], (labels == self.classes_[-1]).astype(int), weight
        # One against the rest, with the same weights for every class.
        target = (labels[:, None] == self.classes_).astype(int)
        rows = z.transpose(0, 2, 1).reshape(-1, z.shape[1])
        return rows, target.ravel(), np.repeat(weight, z.shape[2])

    def _final(self, rows: np.ndarray, target: np.ndarray, weight: Any) -> Any:
        """Fit a ridge logistic regression."""
        return LogisticRegression(C=1.0).fit(rows, target, sample_weight=weight)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Compute the probabilities of the classes.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        array of shape (n_samples, n_classes)
            The probabilities.
        """
        return probabilities(self._fused(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        array of shape (n_samples,)
            The classes.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


class LateFusionOfTimes(_Fusion):
    """Fit one model of times to an event per block, and a Cox regression of their risks.

    Parameters
    ----------
    estimators, part, scores, labels, class_weight
        As those of `LateFusion`, of risks; labels are events and times, and have no weights.

    Attributes
    ----------
    models_, weights_, center_, scale_, intercept_
        As those of `LateFusion`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(12.0)[:, None] % 7
    >>> times = np.array([(True, 9.0 - t) for t in x[:, 0]], [("event", bool), ("time", float)])
    >>> model = LateFusionOfTimes([RidgeCox(), RidgeCox()]).fit(x, times)
    >>> bool((np.diff(model.predict([[0.0], [1.0], [2.0]])) > 0).all())
    True
    """

    def _rows(self, z: np.ndarray, labels: np.ndarray) -> Any:
        """Return a row per sample."""
        return z[:, :, 0], labels, None

    def _final(self, rows: np.ndarray, target: np.ndarray, weight: Any) -> Any:
        """Fit a ridge Cox regression, which has no intercept."""
        del weight
        return RidgeCox(alpha=_COX_PENALTY).fit(rows, target)

    def predict(self, X: Any) -> np.ndarray:
        """Compute the risks.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        array of shape (n_samples,)
            Risks, higher for earlier events.
        """
        return self._fused(X)[:, 0]

    def __sklearn_tags__(self) -> Any:
        """Declare that a target is required."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def fuse(
    tuned: Mapping[str, Tuned],
    columns: Sequence[np.ndarray],
    X: np.ndarray,
    y: np.ndarray,
    class_weight: Any = None,
) -> Tuned:
    """Fuse the tuned models of blocks by their inner held-out responses.

    Parameters
    ----------
    tuned : mapping of str to Tuned
        The models by the names of their blocks, fitted on all training rows.
    columns : sequence of int arrays
        The columns of each block.
    X : array of shape (n_train, n_features)
        The training rows.
    y : array of shape (n_train,)
        Their outcome.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the regression of their log-odds.

    Returns
    -------
    Tuned
        The fused model, with its responses to the rows of inner splits.
    """
    part = np.empty(X.shape[1], dtype=int)
    for block, own in enumerate(columns):
        part[own] = block
    scores, rows = None, np.empty(0, dtype=int)
    if all(len(one.rows) for one in tuned.values()):
        held = [
            mean_held_out(scores_of(held_probabilities(one)), one.rows, len(y))
            for one in tuned.values()
        ]
        scores = np.stack(held, axis=1)
        rows = np.flatnonzero(~np.isnan(scores).any(axis=(1, 2)))
        scores = scores[rows]
    kind = LateFusion if y.dtype.names is None else LateFusionOfTimes
    models = [FrozenEstimator(one.model) for one in tuned.values()]
    labels = None if scores is None else y[rows]
    model = kind(models, part, scores, labels, class_weight).fit(X, y)
    chosen = {f"{name}: {key}": v for name, one in tuned.items() for key, v in one.chosen.items()}
    responses = np.empty(0)
    if scores is not None:
        responses = model.weigh(scores)
        responses = probabilities(responses) if kind is LateFusion else responses
    return Tuned(model, chosen, rows, responses)


def mean_held_out(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """Return the mean of the values of each of n rows, NaN for a row without any."""
    total, count = np.zeros((n, values.shape[1])), np.zeros(n)
    np.add.at(total, rows, values)
    np.add.at(count, rows, 1)
    count[count == 0] = np.nan
    return total / count[:, None]


def held_probabilities(tuned: Tuned) -> np.ndarray:
    """Return the inner held-out responses of a tuned classifier, margins as probabilities."""
    if isinstance(tuned.model, CalibratedMargin):
        return tuned.model.probability(tuned.responses)
    return tuned.responses


def scores_of(responses: np.ndarray) -> np.ndarray:
    """Return the log-odds of probabilities, of two classes those of the second; others as they are.

    Parameters
    ----------
    responses : array of shape (n_samples, n_columns)
        Probabilities, margins or risks.

    Returns
    -------
    array of shape (n_samples, 1) or (n_samples, n_classes)
        The scores.
    """
    if responses.shape[1] == 1 or not np.allclose(responses.sum(axis=1), 1):
        return responses
    odds = logit(np.clip(responses, _LEAST, 1 - _LEAST))
    return odds[:, 1:] if odds.shape[1] == 2 else odds


def probabilities(log_odds: np.ndarray) -> np.ndarray:
    """Return probabilities of log-odds; sigmoids of more than two classes are divided by their sum.

    Parameters
    ----------
    log_odds : array of shape (n_samples, 1) or (n_samples, n_classes)
        Of the second class, or of each of several against the rest.

    Returns
    -------
    array of shape (n_samples, n_classes)
        The probabilities.
    """
    p = expit(log_odds)
    if p.shape[1] == 1:
        return np.hstack([1 - p, p])
    return p / p.sum(axis=1, keepdims=True)


def _non_negative(fit: Callable[[np.ndarray], Any], rows: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit a regression, leaving out the column with the most negative weight until there is none.

    Where all are left out, each gets the least rise.
    """
    kept = list(range(rows.shape[1]))
    weights = np.zeros(rows.shape[1])
    while kept:
        model = fit(rows[:, kept])
        found = np.ravel(model.coef_)
        if (found >= 0).all():
            weights[kept] = found
            return weights, float(np.ravel(getattr(model, "intercept_", 0.0))[0])
        kept.pop(int(found.argmin()))
    return np.full(rows.shape[1], LEAST_RISE), float(np.ravel(getattr(model, "intercept_", 0.0))[0])
