"""Scaling of the known columns and of the learned block."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from nonredundant.utils.validation import validate_data


class BlockScaler(TransformerMixin, BaseEstimator):
    """Standardise columns; bring the known and the learned block to one scale, then weigh them.

    With a weight, each block is divided by the square root of its number of columns, so that both
    have the same total variance whatever their sizes, and the learned block is multiplied by the
    weight. A ridge penalty on the result is one penalty per block: the weight divides the penalty
    of the learned block by its square. `ColumnTransformer` with `transformer_weights` needs the
    number of columns before `fit`.

    Parameters
    ----------
    n_base : int or None, default=None
        Number of leading known columns; the rest is the learned block. None: all columns are
        known.
    weight : float or None, default=None
        Scale of the learned block relative to the known one, above 0. None: every column has
        variance 1, and blocks are not brought to one scale.

    Attributes
    ----------
    mean_, scale_ : array of shape (n_features,)
        Mean and standard deviation of the training rows.
    factors_ : array of shape (n_features,)
        What the standardised columns are multiplied by.
    n_features_in_ : int
        Number of columns at `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 10.0, 5.0], [3.0, 30.0, 9.0]])
    >>> BlockScaler(n_base=1).fit_transform(X)
    array([[-1., -1., -1.],
           [ 1.,  1.,  1.]])
    >>> BlockScaler(n_base=1, weight=0.5).fit_transform(X).round(3)
    array([[-1.   , -0.354, -0.354],
           [ 1.   ,  0.354,  0.354]])
    """

    def __init__(self, n_base: int | None = None, weight: float | None = None) -> None:
        self.n_base = n_base
        self.weight = weight

    def fit(self, X: Any, y: Any = None) -> BlockScaler:
        """Compute mean and standard deviation of each column.

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
        X = validate_data(self, X)
        self.mean_ = X.mean(axis=0)
        spread = X.std(axis=0)
        # Rounding gives constant columns a tiny standard deviation; dividing other rows by it
        # would give huge values.
        constant = spread <= 1e-12 * np.maximum(np.abs(self.mean_), 1e-30)
        self.scale_ = np.where(constant, 1.0, spread)
        return self.set_weight(self.weight)

    def set_weight(self, weight: float | None) -> BlockScaler:
        """Change the weight of a fitted scaler.

        Parameters
        ----------
        weight : float or None
            The parameter `weight`.

        Returns
        -------
        self
            The scaler.
        """
        self.weight = weight
        self.factors_ = np.ones(self.n_features_in_)
        if weight is not None:
            n_base = self.n_features_in_ if self.n_base is None else self.n_base
            n_added = self.n_features_in_ - n_base
            self.factors_[:n_base] = 1 / np.sqrt(max(n_base, 1))
            self.factors_[n_base:] = weight / np.sqrt(max(n_added, 1))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Scale the columns.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        array of shape (n_samples, n_features)
            Scaled rows.
        """
        check_is_fitted(self, "factors_")
        return (validate_data(self, X, reset=False) - self.mean_) / self.scale_ * self.factors_
