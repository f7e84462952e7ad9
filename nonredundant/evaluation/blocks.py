"""`BlockScaler`: known columns and the learned block, imputed and scaled, on equal terms."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
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
