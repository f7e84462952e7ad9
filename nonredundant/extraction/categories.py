"""Indicators of clinical categories, in which what was not seen at fit is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from nonredundant.utils.validation import validate_data


class CategoryIndicators(TransformerMixin, BaseEstimator):
    """Encode columns of categories as indicators; missing and unseen ones become NaN.

    scikit-learn's encoder gives an unseen category the code of the first one if that was dropped:
    of F and M, "male" would become F. Here it is missing, to be imputed like any missing value.

    Attributes
    ----------
    categories_ : list of array of str
        The categories of each column at `fit`, in ascending order.
    feature_names_in_ : array of str
        The columns of a DataFrame at `fit`.
    n_features_in_ : int
        Number of these columns.

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
        X : DataFrame or array of shape (n_samples, n_columns)
            Columns of words; those of an array are named x0, x1, ….
        y : object, optional
            Ignored.

        Returns
        -------
        self
            The fitted encoder.
        """
        X = self._frame(X, reset=True)
        self.categories_ = [np.unique(_words(X[name].dropna())) for name in X.columns]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Encode the columns; two categories give one indicator, more give one each.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_columns)
            Columns of words; those of an array are named x0, x1, ….

        Returns
        -------
        DataFrame of shape (n_samples, n_indicators)
            0 or 1; NaN in all indicators of a column where the category is missing or unseen.
        """
        check_is_fitted(self)
        X = self._frame(X, reset=False)
        parts = {}
        for name, categories in zip(self._names(), self.categories_, strict=True):
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
        pairs = zip(self._names(), self.categories_, strict=True)
        names = [f"{name}_{one}" for name, categories in pairs for one in _coded(categories)]
        return np.asarray(names, dtype=object)

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """Return the columns as a data frame."""
        if isinstance(X, pd.DataFrame):
            if reset:
                self.feature_names_in_ = np.asarray(X.columns, dtype=object)
                self.n_features_in_ = X.shape[1]
            return X
        cells = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)
        return pd.DataFrame(cells, columns=self._names())

    def _names(self) -> list[Any]:
        """Return the names of the columns at fit; those of an array are x0, x1, …."""
        numbered = [f"x{i}" for i in range(self.n_features_in_)]
        return list(getattr(self, "feature_names_in_", numbered))

    def __sklearn_tags__(self) -> Any:
        """Declare that cells are words, some maybe missing, and that indicators are numbers."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        tags.input_tags.string = tags.input_tags.categorical = tags.input_tags.allow_nan = True
        return tags


def _words(column: pd.Series) -> np.ndarray:
    """Return the cells as text."""
    # By way of objects: where pyarrow is installed, pandas cuts the words of a column with missing
    # cells to one letter if it is asked for an array of text.
    return column.astype(str).to_numpy(dtype=object).astype(str)


def _coded(categories: np.ndarray) -> np.ndarray:
    """Return the categories that have an indicator: of two, the second."""
    return categories[1:] if len(categories) == 2 else categories
