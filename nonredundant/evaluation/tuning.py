"""Steps of a classifier's pipeline: scaled blocks of columns, and margins with probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.utils.validation import check_array, check_is_fitted


class BlockScaler(TransformerMixin, BaseEstimator):
    """Standardise columns; scale the learned block by a weight, or leave it out.

    Parameters
    ----------
    n_base : int or None, default=None
        The first columns are hand-crafted; the rest is the learned block. None: all are.
    weight : float, default=1.0
        Factor of the learned block after standardising; with 0 its columns are left out.

    Attributes
    ----------
    mean_, scale_ : array of shape (n_features,)
        Of the training rows.
    n_features_in_ : int
        Number of columns at `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> BlockScaler(n_base=1, weight=0.3).fit_transform(X)
    array([[-1. , -0.3],
           [ 1. ,  0.3]])
    >>> BlockScaler(n_base=1, weight=0).fit_transform(X).shape
    (2, 1)
    """

    def __init__(self, n_base: int | None = None, weight: float = 1.0) -> None:
        self.n_base = n_base
        self.weight = weight

    def fit(self, X: Any, y: Any = None) -> BlockScaler:
        """Learn mean and spread of each column.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Training rows.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted scaler.
        """
        X = check_array(X)
        self.n_features_in_ = X.shape[1]
        self.mean_ = X.mean(axis=0)
        spread = X.std(axis=0)
        # Rounding leaves constant columns a tiny spread that would blow up on other rows.
        constant = spread <= 1e-12 * np.maximum(np.abs(self.mean_), 1e-30)
        self.scale_ = np.where(constant, 1.0, spread)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the scaled columns.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        array of shape (n_samples, n_features) or (n_samples, n_base)
            Scaled rows.
        """
        check_is_fitted(self, "scale_")
        scaled = (check_array(X) - self.mean_) / self.scale_
        n_base = scaled.shape[1] if self.n_base is None else self.n_base
        if self.weight == 0:
            return scaled[:, :n_base]
        scaled[:, n_base:] *= self.weight
        return scaled


class CalibratedMargin(ClassifierMixin, BaseEstimator):
    """A margin classifier with probabilities by Platt's sigmoid on inner held-out margins.

    Ranking uses the margin itself, so that the sigmoid cannot change an AUC.

    Parameters
    ----------
    estimator : classifier with `decision_function`
        What is fitted on all training rows.
    cv : sequence of (train, test)
        Splits of the training rows that the sigmoid is learned on.

    Attributes
    ----------
    margin_ : classifier
        Fitted on all training rows.
    sigmoid_ : CalibratedClassifierCV
        Gives the probabilities.
    classes_ : array
        The classes.
    """

    def __init__(self, estimator: Any, cv: Any = 5) -> None:
        self.estimator = estimator
        self.cv = cv

    def fit(self, X: Any, y: Any) -> CalibratedMargin:
        """Fit margin and sigmoid.

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
        from sklearn.calibration import CalibratedClassifierCV

        self.sigmoid_ = CalibratedClassifierCV(
            clone(self.estimator), method="sigmoid", cv=self.cv, ensemble=False
        ).fit(X, y)
        # With `ensemble=False` the one inner estimator is fitted on all rows.
        self.margin_ = self.sigmoid_.calibrated_classifiers_[0].estimator
        self.classes_ = self.sigmoid_.classes_
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the margins.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_classes)
            The margins.
        """
        return self.margin_.decision_function(X)

    def probability(self, margin: np.ndarray) -> np.ndarray:
        """Return the second class's probability at given margins, for two classes.

        Parameters
        ----------
        margin : array of shape (n_samples,)
            Values of `decision_function`.

        Returns
        -------
        array of shape (n_samples,)
            The sigmoid at these margins.
        """
        return self.sigmoid_.calibrated_classifiers_[0].calibrators[0].predict(margin)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the calibrated probabilities.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        array of shape (n_samples, n_classes)
            The probabilities.
        """
        return self.sigmoid_.predict_proba(X)

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
        return self.sigmoid_.predict(X)
