"""Probabilities from the margins of a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from nonredundant.statistics.calibration import unpenalised

#: Least rise of the log-odds per standard deviation of the held-out margins.
LEAST_RISE = 0.1


class CalibratedMargin(ClassifierMixin, BaseEstimator):
    """Add probabilities to a margin classifier by Platt's sigmoid on inner held-out margins.

    The slope is positive, so that probabilities rank as the margins do. In small cohorts,
    margins of held-out rows often fall with the label, and Platt's slope is then below 0
    (`CalibratedClassifierCV` keeps it, which inverts every prediction). There the log-odds rise by
    0.1 per standard deviation of the held-out margins: the ranks stay, and all probabilities are
    near the share of the class, which is all that such margins tell.

    Parameters
    ----------
    estimator : classifier with `decision_function`
        The margin classifier.
    margins : array of shape (n_held, n_classes) or (n_held, 1), or None
        Margins of inner held-out rows. None: the margins of the training rows give the scale of a
        sigmoid with the least rise.
    labels : array of shape (n_held,), or None
        Labels of the same rows.

    Attributes
    ----------
    margin_ : classifier
        The margin classifier, fitted on all training rows.
    slope_, intercept_ : array of shape (1,) or (n_classes,)
        The sigmoid of the second class, or of each class against the rest.
    classes_ : array
        The classes.

    References
    ----------
    Platt 1999, Probabilistic outputs for support vector machines, Advances in Large Margin
    Classifiers, 61.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.svm import SVC
    >>> X, y = np.arange(8.0)[:, None], np.repeat([0, 1], 4)
    >>> inverted = np.linspace(1, -1, 8)[:, None]
    >>> model = CalibratedMargin(SVC(kernel="linear"), inverted, y).fit(X, y)
    >>> bool((np.diff(model.predict_proba(X)[:, 1]) > 0).all())
    True
    """

    def __init__(self, estimator: Any, margins: Any = None, labels: Any = None) -> None:
        self.estimator = estimator
        self.margins = margins
        self.labels = labels

    def fit(self, X: Any, y: Any) -> CalibratedMargin:
        """Fit the margin classifier and the sigmoid.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Training rows.
        y : array of shape (n_samples,)
            Labels.

        Returns
        -------
        self
            The fitted classifier.
        """
        self.margin_ = clone(self.estimator).fit(X, y)
        self.classes_ = self.margin_.classes_
        self.n_features_in_ = self.margin_.n_features_in_
        held = self.margins is not None
        margins = _columns(self.margins if held else self.margin_.decision_function(X))
        labels = np.asarray(self.labels if held else y)
        named = self.classes_[1:] if margins.shape[1] == 1 else self.classes_
        fits = [
            _sigmoid(margin, labels == label, rises=held)
            for margin, label in zip(margins.T, named, strict=True)
        ]
        self.slope_, self.intercept_ = np.array(fits).T
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the calibrated log-odds; the margins themselves are those of `margin_`.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_classes)
            Log-odds of the second class, or of each of several against the rest.
        """
        log_odds = self._log_odds(self._margins(X))
        return log_odds[:, 0] if log_odds.shape[1] == 1 else log_odds

    def probability(self, margin: np.ndarray) -> np.ndarray:
        """Convert margins to probabilities.

        Parameters
        ----------
        margin : array of shape (n_samples,), (n_samples, 1) or (n_samples, n_classes)
            Values of the `decision_function` of the margin classifier.

        Returns
        -------
        array of shape (n_samples, n_classes)
            The probabilities; sigmoids of more than two classes are divided by their sum.
        """
        p = expit(self._log_odds(margin))
        if p.shape[1] == 1:
            return np.hstack([1 - p, p])
        return p / p.sum(axis=1, keepdims=True)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Compute the calibrated probabilities.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        array of shape (n_samples, n_classes)
            The probabilities.
        """
        return self.probability(self._margins(X))

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

    def _margins(self, X: Any) -> np.ndarray:
        """Compute the margins of rows."""
        check_is_fitted(self, "margin_")
        return self.margin_.decision_function(X)

    def _log_odds(self, margin: np.ndarray) -> np.ndarray:
        """Return the log-odds of margins, as columns."""
        return _columns(margin) * self.slope_ + self.intercept_

    def __sklearn_tags__(self) -> Any:
        """Declare the input that the margin classifier takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags


def _columns(margin: Any) -> np.ndarray:
    """Return margins as columns."""
    margin = np.asarray(margin, dtype=float)
    return margin[:, None] if margin.ndim == 1 else margin


def _sigmoid(margin: np.ndarray, positive: np.ndarray, *, rises: bool) -> tuple[float, float]:
    """Fit slope and intercept of the log-odds; `rises=False` takes the least slope.

    Labels are replaced by Platt's targets, the posterior means under a uniform prior.
    """
    spread = margin.std() or 1.0
    z = (margin - margin.mean()) / spread
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    prior = target.mean()
    slope, intercept = LEAST_RISE, np.log(prior / (1 - prior))
    if rises:
        both = np.concatenate([z, z])[:, None]
        labels, weights = np.repeat([1, 0], len(z)), np.concatenate([target, 1 - target])
        with unpenalised():
            model = LogisticRegression(C=np.inf).fit(both, labels, sample_weight=weights)
        if model.coef_[0, 0] > LEAST_RISE:
            slope, intercept = model.coef_[0, 0], model.intercept_[0]
    slope = slope / spread
    return slope, intercept - slope * margin.mean()
