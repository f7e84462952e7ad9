"""Features of lesions as estimators take them: checked, imputed, scaled and ranked."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.preprocessing import QuantileTransformer
from sklearn.utils.validation import check_is_fitted

from nonredundant.lesions.table import LesionTable
from nonredundant.utils.validation import validate_data

#: Ranks are mapped to a normal distribution and cut here, so that no lesion stands far out.
RANK_LIMIT = 3.0


class FeatureScaler(TransformerMixin, BaseEstimator):
    """Impute, rank-normalise and clip features; constant columns are dropped.

    Ranks are steadier than standardised values: radiomic features have heavy tails.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of principal components to keep; None keeps every usable column.

    Attributes
    ----------
    columns_ : list of str
        The usable columns.
    names_out_ : list of str
        Names of what `transform` returns.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"volume": [1.0, 2.0, 400.0]})
    >>> FeatureScaler().fit_transform(frame).round(1).ravel().tolist()
    [-3.0, 0.0, 3.0]
    """

    def __init__(self, n_components: int | None = None) -> None:
        self.n_components = n_components

    def fit(self, X: pd.DataFrame, y: object = None) -> FeatureScaler:
        """Learn medians, quantiles and, where asked for, principal components.

        Parameters
        ----------
        X : DataFrame of shape (n_lesions, n_features)
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
        values = self._numbers(X)
        spread = np.nanmax(values, axis=0, initial=-np.inf) > np.nanmin(
            values, axis=0, initial=np.inf
        )
        names = list(X.columns)
        dropped = [name for name, keep in zip(names, spread, strict=True) if not keep]
        if dropped:
            warnings.warn(
                f"{len(dropped)} of {len(names)} features have one value or none in the training "
                f"cohort and are left out: {', '.join(map(str, dropped[:5]))}"
                f"{', …' if len(dropped) > 5 else ''}",
                UserWarning,
                stacklevel=4,
            )
        self.columns_ = [name for name, keep in zip(names, spread, strict=True) if keep]
        self.names_out_ = list(self.columns_)
        values = values[:, spread]
        if not self.columns_:
            return self
        # Medians in a plain array: scikit-learn's imputer keeps a dtype object, which skops
        # would ask users to trust.
        self.medians_ = np.nanmedian(values, axis=0)
        filled = self._filled(values)
        self.ranks_ = QuantileTransformer(
            n_quantiles=min(1000, len(filled)), output_distribution="normal", subsample=None
        ).fit(filled)
        if self.n_components is not None:
            n_components = min(self.n_components, *filled.shape)
            self.pca_ = PCA(n_components, svd_solver="full").fit(self._ranked(filled))
            self.names_out_ = [f"hcr_pc{i:02d}" for i in range(n_components)]
        return self

    def impute(self, X: pd.DataFrame) -> np.ndarray:
        """Return the usable columns in their own units, NaN replaced by training medians.

        Parameters
        ----------
        X : DataFrame of shape (n_lesions, n_features)
            The features.

        Returns
        -------
        array of shape (n_lesions, n_usable)
            The values.
        """
        check_is_fitted(self, "columns_")
        if not self.columns_:
            return np.empty((len(X), 0))
        values = self._numbers(X[self.columns_])
        holes = np.isnan(values)
        if holes.any():
            names = [str(self.columns_[i]) for i in np.flatnonzero(holes.any(axis=0))]
            warnings.warn(
                f"{holes.sum()} missing values in {len(names)} features get the training "
                f"cohort's median: {', '.join(names[:5])}{', …' if len(names) > 5 else ''}",
                UserWarning,
                stacklevel=3,
            )
        return self._filled(values)

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Return ranks on a normal scale, or their principal components.

        Parameters
        ----------
        X : DataFrame of shape (n_lesions, n_features)
            The features.

        Returns
        -------
        array of shape (n_lesions, len(names_out_))
            The scaled values.
        """
        check_is_fitted(self, "columns_")
        if not self.columns_:
            return np.empty((len(X), 0))
        # The hole's warning is `impute`'s: a caller that wants both is warned once.
        ranked = self._ranked(self._filled(self._numbers(X[self.columns_])))
        return ranked if self.n_components is None else self.pca_.transform(ranked)

    def _filled(self, values: np.ndarray) -> np.ndarray:
        """Return the values with medians in their holes."""
        return np.where(np.isnan(values), self.medians_, values)

    def _ranked(self, filled: np.ndarray) -> np.ndarray:
        """Return clipped normal scores."""
        return np.clip(self.ranks_.transform(filled), -RANK_LIMIT, RANK_LIMIT)

    @staticmethod
    def _numbers(X: pd.DataFrame) -> np.ndarray:
        """Return the values as floats, or say which columns are not finite numbers."""
        words = [
            str(name)
            for name, kind in X.dtypes.items()
            if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind))
        ]
        if words:
            raise ValueError(
                f"features must be numbers, but these are not: {words}; encode them first, for "
                "instance with RadiomicsExtractor(clinical=ColumnTransformer(...))"
            )
        values = X.to_numpy(dtype=np.float64)
        infinite = X.columns[np.isinf(values).any(axis=0)].tolist()
        if infinite:
            raise ValueError(f"features must be finite, but these hold infinity: {infinite}")
        return values


def check_columns(estimator: Any, table: LesionTable) -> None:
    """Raise if the table has other columns than the one at fit, naming them."""
    wanted = list(getattr(estimator, "feature_names_in_", []))
    missing = [name for name in wanted if name not in table.blocks]
    unseen = [name for name in table.columns if name not in set(wanted)]
    if missing or unseen:
        raise ValueError(
            "The feature names should match those that were passed during fit. "
            f"Missing: {missing[:10]} ({len(missing)} in all). "
            f"Unseen at fit: {unseen[:10]} ({len(unseen)} in all). "
            "Extract both cohorts with the same settings"
        )


def read_table(estimator: Any, X: Any, *, reset: bool) -> LesionTable:
    """Return a table of numbers, a matrix's rows as lesions of their own, checked as at fit."""
    if not isinstance(X, LesionTable):
        matrix = validate_data(
            estimator, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan"
        )
        names = getattr(estimator, "feature_names_in_", None)
        columns = [f"x{i}" for i in range(matrix.shape[1])] if names is None else list(names)
        index = X.index if isinstance(X, pd.DataFrame) else None
        return LesionTable(pd.DataFrame(matrix, columns=columns), index=index)
    if not X.n_samples:
        raise ValueError(f"{type(estimator).__name__} got a table without samples")
    words = [name for name, kind in X.features.dtypes.items() if kind.kind not in "biuf"]
    if words:
        raise ValueError(
            f"features must be numbers, but these are not: {words}; encode them first, for "
            "instance with RadiomicsExtractor(clinical=ColumnTransformer(...))"
        )
    if reset:
        estimator.feature_names_in_ = np.asarray(X.columns, dtype=object)
        estimator.n_features_in_ = X.shape[1]
    else:
        check_columns(estimator, X)
        X = X.replace(features=X.features[list(estimator.feature_names_in_)])
    return X


def constant_columns(table: LesionTable) -> list[str]:
    """Return the clinical columns, which must have one value a patient.

    Raises
    ------
    ValueError
        If the lesions of a patient have different values.
    """
    names = table.columns_of("clinical")
    starts = np.searchsorted(table.sample, np.arange(table.n_samples))
    for name in names:
        values = table.features[name].to_numpy(dtype=np.float64)
        first = values[starts][table.sample]
        other = ~((values == first) | (np.isnan(values) & np.isnan(first)))
        if other.any():
            row = int(np.flatnonzero(other)[0])
            raise ValueError(
                f"clinical variables have one value a patient, but lesions of case "
                f"{table.index[table.sample[row]]!r} have {name!r} = {first[row]:g} and "
                f"{values[row]:g}: move it to the block 'hcr' or correct it"
            )
    return names
