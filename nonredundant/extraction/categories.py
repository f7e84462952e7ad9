"""Indicators of clinical categories, in which what was not seen at fit is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted


class CategoryIndicators(TransformerMixin, BaseEstimator):
    """Encode columns of categories as indicators; missing and unseen ones become NaN.

    scikit-learn's encoder gives an unseen category the code of the first one if that was dropped:
    of F and M, "male" would become F. Here it is missing, to be imputed like any missing value.

    Attributes
    ----------
    categories_ : list of array of str
        The categories of each column at `fit`, in ascending order.
    feature_names_in_ : array of str
        The columns at `fit`.
    n_features_in_ : int
        Their number.

    Examples
    --------
    >>> import pandas as pd
    >>> encoder = CategoryIndicators().fit(pd.DataFrame({"sex": ["F", "M", "F"]}))
    >>> encoder.transform(pd.DataFrame({"sex": ["M", "F", "male"]}))
       sex_M
    0    1.0
    1    0.0
    2    NaN
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> CategoryIndicators:
        """Find the categories of each column.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_columns)
            Columns of words.
        y : object, optional
            Ignored.

        Returns
        -------
        self
            The fitted encoder.
        """
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        self.categories_ = [np.unique(_words(X[name].dropna())) for name in X.columns]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Encode the columns; two categories give one indicator, more give one each.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_columns)
            Columns of words.

        Returns
        -------
        DataFrame of shape (n_samples, n_indicators)
            0 or 1; NaN in all indicators of a column where the category is missing or unseen.
        """
        check_is_fitted(self)
        parts = {}
        for name, categories in zip(self.feature_names_in_, self.categories_, strict=True):
            words = _words(X[name])
            known = np.isin(words, categories) & X[name].notna().to_numpy()
            for one in _coded(categories):
                parts[f"{name}_{one}"] = np.where(known, words == one, np.nan)
        return pd.DataFrame(parts, index=X.index)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """List the names of the indicators.

        Parameters
        ----------
        input_features : array of str, optional
            Ignored.

        Returns
        -------
        array of str
            Column and category.
        """
        check_is_fitted(self)
        pairs = zip(self.feature_names_in_, self.categories_, strict=True)
        names = [f"{name}_{one}" for name, categories in pairs for one in _coded(categories)]
        return np.asarray(names, dtype=object)


def _words(column: pd.Series) -> np.ndarray:
    """Return the cells as text."""
    return column.astype(str).to_numpy(dtype=str)


def _coded(categories: np.ndarray) -> np.ndarray:
    """Return the categories that have an indicator: of two, the second."""
    return categories[1:] if len(categories) == 2 else categories
