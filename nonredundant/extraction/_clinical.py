"""Clinical columns beside the radiomics: passed through as numbers, or a transformer's output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

#: Columns of the case table that hold no clinical variable.
SOURCE_COLUMNS = ("image", "mask", "spacing")


def is_transformer(clinical: Any) -> bool:
    """Whether `clinical` learns something."""
    return hasattr(clinical, "fit")


def listed_columns(clinical: Any) -> list[str]:
    """Return the columns that `clinical` lists."""
    return [] if clinical is None or is_transformer(clinical) else list(clinical)


def fit_clinical(clinical: Any, X: pd.DataFrame, y: Any) -> Any:
    """Return a fitted clone of a transformer; a list of columns needs no fit."""
    if not is_transformer(clinical):
        return clinical
    return clone(clinical).fit(_table(X), y)


def transform_clinical(clinical: Any, X: pd.DataFrame) -> pd.DataFrame | None:
    """Return the clinical variables of each sample as numbers, or None without any."""
    if clinical is None:
        return None
    if not is_transformer(clinical):
        return _numbers(X[list(clinical)], "encode them with clinical=ColumnTransformer(...)")
    values = clinical.transform(_table(X))
    if not isinstance(values, pd.DataFrame):
        dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
        values = pd.DataFrame(dense, columns=clinical.get_feature_names_out())
    return _numbers(values.set_axis(X.index, axis=0), "let the transformer return numbers")


def clinical_names(clinical: Any) -> list[str]:
    """Return the names of the clinical variables that `transform_clinical` returns."""
    if clinical is None:
        return []
    if is_transformer(clinical):
        return [str(name) for name in clinical.get_feature_names_out()]
    return list(clinical)


def _table(X: pd.DataFrame) -> pd.DataFrame:
    """Return the case table without the images."""
    return X.drop(columns=[name for name in SOURCE_COLUMNS if name in X.columns])


def _numbers(frame: pd.DataFrame, remedy: str) -> pd.DataFrame:
    """Return the columns as floats, or say which are not numbers."""
    words = [
        f"{name} ({kind})"
        for name, kind in frame.dtypes.items()
        if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind))
    ]
    if words:
        raise ValueError(f"clinical columns must be numbers, but these are not: {words}; {remedy}")
    return frame.astype(np.float64)
