"""Scale features: impute missing values, map ranks to a normal distribution, reduce."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.preprocessing import QuantileTransformer
from sklearn.utils.validation import check_is_fitted

from nonredundant.lesions.features import check_finite, check_numeric
from nonredundant.utils.user_warnings import warn_user
from nonredundant.utils.validation import validate_data

#: Ranks are mapped to a normal distribution and clipped here, so that there are no outliers.
RANK_LIMIT = 3.0


class FeatureScaler(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Impute, rank-normalise and clip features, and drop constant columns.

    Radiomic features have heavy tails, for which ranks are more robust than standardised values.
    The estimators of the package compute with it, so that its output is always an array.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of principal components to keep; None keeps every usable column.

    Attributes
    ----------
    columns_ : list of str
        The usable columns.
    names_out_ : list of str
        Names of the columns that `transform` returns.
    ends_ : array of shape (2, n_usable)
        Normal scores of the smallest and the largest value of each usable column at `fit`, by the
        mean rank of the rows that share it: a balanced binary column becomes -0.67 and 0.67.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"volume": [1.0, 2.0, 400.0]})
    >>> FeatureScaler().fit_transform(frame).round(1).ravel().tolist()
    [-0.7, 0.0, 0.7]
    """

    def __init__(self, n_components: int | None = None) -> None:
        self.n_components = n_components

    def fit(self, X: pd.DataFrame, y: object = None) -> FeatureScaler:
        """Learn medians, quantiles and, with `n_components`, principal components.

        Parameters
        ----------
        X : DataFrame or array of shape (n_lesions, n_features)
            Numeric features; NaN where unknown.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted scaler.

        Raises
        ------
        ValueError
            If a column is not numeric or holds infinite values.
        """
        X = self._frame(X, reset=True)
        values = self._numbers(X)
        spread = np.nanmax(values, axis=0, initial=-np.inf) > np.nanmin(
            values, axis=0, initial=np.inf
        )
        names = list(X.columns)
        dropped = [name for name, keep in zip(names, spread, strict=True) if not keep]
        if dropped:
            warn_user(
                f"{len(dropped)} of {len(names)} features are constant or empty in the training "
                f"cohort and are dropped: {', '.join(map(str, dropped[:5]))}"
                f"{', …' if len(dropped) > 5 else ''}",
                "constant features",
            )
        self.columns_ = [name for name, keep in zip(names, spread, strict=True) if keep]
        self.names_out_ = list(self.columns_)
        values = values[:, spread]
        if not self.columns_:
            return self
        # A plain array: scikit-learn's imputer stores a dtype object, which skops does not trust.
        self.medians_ = np.nanmedian(values, axis=0)
        filled = self._filled(values)
        self.ranks_ = QuantileTransformer(
            n_quantiles=min(1000, len(filled)), output_distribution="normal", subsample=None
        ).fit(filled)
        self.ends_ = _scores_of_ends(filled)
        if self.n_components is not None:
            n_components = min(self.n_components, *filled.shape)
            self.pca_ = PCA(n_components, svd_solver="full").fit(self._ranked(filled))
            self.names_out_ = [f"hcr_pc{i:02d}" for i in range(n_components)]
        return self

    def impute(self, X: pd.DataFrame) -> np.ndarray:
        """Replace NaN by the training medians and keep the usable columns, in their own units.

        Parameters
        ----------
        X : DataFrame or array of shape (n_lesions, n_features)
            The features, those of a DataFrame in any order.

        Returns
        -------
        array of shape (n_lesions, n_usable)
            The values.
        """
        check_is_fitted(self, "columns_")
        X = self._frame(X, reset=False)
        if not self.columns_:
            return np.empty((len(X), 0))
        values = self._numbers(X[self.columns_])
        missing = np.isnan(values)
        if missing.any():
            names = [str(self.columns_[i]) for i in np.flatnonzero(missing.any(axis=0))]
            warn_user(
                f"{missing.sum()} missing values in {len(names)} features are replaced by the "
                "training cohort's median: "
                f"{', '.join(names[:5])}{', …' if len(names) > 5 else ''}",
                "missing features",
            )
        return self._filled(values)

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Compute ranks on a normal scale, or their principal components.

        Parameters
        ----------
        X : DataFrame or array of shape (n_lesions, n_features)
            The features, those of a DataFrame in any order.

        Returns
        -------
        array of shape (n_lesions, len(names_out_))
            The scaled values.
        """
        check_is_fitted(self, "columns_")
        X = self._frame(X, reset=False)
        if not self.columns_:
            return np.empty((len(X), 0))
        # Only `impute` warns of missing values, so that callers of both methods warn once.
        ranked = self._ranked(self._filled(self._numbers(X[self.columns_])))
        return ranked if self.n_components is None else np.asarray(self.pca_.transform(ranked))

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : None
            Ignored; the names were learned at `fit`.

        Returns
        -------
        array of str
            The names.
        """
        check_is_fitted(self, "columns_")
        return np.asarray(self.names_out_, dtype=object)

    def __sklearn_tags__(self) -> Any:
        """Declare that missing values are allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """Return the rows of an array as a data frame whose columns are x0, x1, …."""
        if isinstance(X, pd.DataFrame):
            if reset:
                # Columns are found by name, so that names are all that is stored of a frame.
                self.__dict__.pop("n_features_in_", None)
            return X
        values = validate_data(
            self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan"
        )
        return pd.DataFrame(values, columns=[f"x{i}" for i in range(values.shape[1])])

    def _filled(self, values: np.ndarray) -> np.ndarray:
        """Replace NaN by the medians."""
        return np.where(np.isnan(values), self.medians_, values)

    def _ranked(self, filled: np.ndarray) -> np.ndarray:
        """Compute clipped normal scores."""
        # scikit-learn's `transform_output` may make it a data frame.
        scores = np.clip(np.asarray(self.ranks_.transform(filled)), -RANK_LIMIT, RANK_LIMIT)
        return np.clip(scores, *self.ends_)

    @staticmethod
    def _numbers(X: pd.DataFrame) -> np.ndarray:
        """Convert the features to floats; raise if any is not a finite number."""
        check_numeric(X)
        values = X.to_numpy(dtype=np.float64)
        check_finite(X)
        return values


def _scores_of_ends(values: np.ndarray) -> np.ndarray:
    """Return the normal scores of the smallest and the largest value of each column.

    Ranks of tied values are their mean rank. The quantile transformer does so within the range,
    but gives the ends the ranks 0 and n, whatever the number of rows that share them.
    """
    n = len(values)
    low = (values == values.min(axis=0)).sum(axis=0)
    high = (values == values.max(axis=0)).sum(axis=0)
    ranks = np.stack([(low + 1) / 2, n - (high - 1) / 2])
    return np.clip(ndtri(ranks / (n + 1)), -RANK_LIMIT, RANK_LIMIT)
