"""Scaling of the known columns and of the learned block."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted


class BlockScaler(TransformerMixin, BaseEstimator):
    """Standardise columns; multiply the learned block by a weight, or leave it out.

    `ColumnTransformer` with `transformer_weights` is not equivalent: with weight 0 it keeps
    columns of zeros, which random forests then sample. `StandardScaler` gives the same numbers to
    the last bit except for columns that are constant up to 1e-12 of their mean, which it scales
    up.

    Parameters
    ----------
    n_base : int or None, default=None
        Number of leading hand-crafted columns; the rest is the learned block. None: all columns
        are hand-crafted.
    weight : float, default=1.0
        Factor of the learned block after standardisation; with 0 its columns are left out.

    Attributes
    ----------
    mean_, scale_ : array of shape (n_features,)
        Mean and standard deviation of the training rows.
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
        X = check_array(X)
        self.n_features_in_ = X.shape[1]
        self.mean_ = X.mean(axis=0)
        spread = X.std(axis=0)
        # Rounding gives constant columns a tiny standard deviation; dividing other rows by it
        # would give huge values.
        constant = spread <= 1e-12 * np.maximum(np.abs(self.mean_), 1e-30)
        self.scale_ = np.where(constant, 1.0, spread)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Scale the columns.

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
