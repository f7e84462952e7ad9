"""Check and read tables of features for estimators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.lesions._checks import check_numeric as check_numeric
from nonredundant.lesions._checks import non_numeric_columns as non_numeric_columns
from nonredundant.lesions.table import LesionTable
from nonredundant.utils.validation import validate_data

#: An array (n, c, h, w) with more channels is taken for one of volumes (n, d, h, w).
_MOST_CHANNELS = 4


def describe_odd_cells(column: pd.Series, *, mostly: bool = True) -> str:
    """Describe the cells that keep a column of numbers from being one; empty if it is none.

    A column is meant as numbers if more than half of its cells are, counting decimal commas;
    without `mostly`, any column is.
    """
    if pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        return ""
    cells = column.dropna().astype(str).str.strip()
    cells = cells[cells != ""]
    meant = pd.to_numeric(cells.str.replace(",", ".", n=1, regex=False), errors="coerce").notna()
    odd = cells[pd.to_numeric(cells, errors="coerce").isna()]
    if odd.empty or (mostly and 2 * meant.sum() <= len(cells)):
        return ""
    shown = ", ".join(f"{cell!r} ({label})" for label, cell in odd.iloc[:5].items())
    more = f" and {len(odd) - 5} more" if len(odd) > 5 else ""
    verb = "is" if len(odd) == 1 else "are"
    return f"{column.name}: {len(odd)} of {len(column)} cells {verb} no number: {shown}{more}"


def refuse_images(X: Any, name: str) -> None:
    """Raise if X is a case table or an array of images, where lesions or a matrix are needed.

    Raises
    ------
    TypeError
        If X is a case table.
    ValueError
        If X is an array of more than two dimensions.
    """
    if isinstance(X, pd.DataFrame) and _has_images(X):
        raise TypeError(
            f"{name} learns from lesions, and X is a case table of images: extract them by "
            "RadiomicsExtractor().fit_transform(X), or put the extractor before it in a Pipeline"
        )
    shape: tuple[int, ...] = getattr(X, "shape", ())
    if isinstance(X, LesionTable) or len(shape) < 3:
        return
    # Images of few channels, such as (n, 3, 28, 28), have the axis already.
    has_channels = len(shape) == 5 or (len(shape) == 4 and shape[1] <= _MOST_CHANNELS)
    patches = "X" if has_channels else "X[:, None]"
    raise ValueError(
        f"Found array with dim {len(shape)}: {name} takes a matrix or lesions, and X has the shape "
        f"{tuple(shape)}; images become lesions by LesionTable.from_arrays(patches={patches}), "
        "with masks=... if there are any"
    )


def _has_images(X: pd.DataFrame) -> bool:
    """Check whether a table has a column of images, or several called `image_NAME`."""
    named = [name for name in X.columns if str(name).startswith("image_")]
    return "image" in X.columns or any(X[name].dtype == object for name in named)


def check_finite(features: pd.DataFrame) -> None:
    """Raise if a feature is infinite, naming columns and cases."""
    infinite = np.isinf(features.to_numpy(dtype=np.float64))
    if infinite.any():
        names = features.columns[infinite.any(axis=0)].tolist()
        rows = features.index[infinite.any(axis=1)].tolist()
        raise ValueError(
            f"features must be finite, but {infinite.sum()} values are infinite: columns "
            f"{names[:5]} of the cases {rows[:5]}; correct them, or set them to NaN to have them "
            "imputed"
        )


def check_usable(table: LesionTable, name: str = "X") -> LesionTable:
    """Return a table of samples whose features are finite numbers or NaN, or raise.

    Raises
    ------
    ValueError
        If the table has no samples, or a feature is text or infinite.
    """
    if not table.n_samples:
        raise ValueError(f"{name} is a table without samples: the selection that made it is empty")
    check_numeric(table.features)
    check_finite(table.features)
    return table


def check_columns(names_at_fit: Sequence[str], table: LesionTable) -> None:
    """Raise if the columns of the table differ from those at fit; their order may differ.

    Raises
    ------
    ValueError
        If a column is missing or was not there at fit.
    """
    known = set(names_at_fit)
    missing = [name for name in names_at_fit if name not in table.blocks]
    unseen = [name for name in table.columns if name not in known]
    if missing or unseen:
        raise ValueError(
            "The feature names should match those that were passed during fit. "
            f"Missing: {missing[:10]} ({len(missing)} in all). "
            f"Unseen at fit: {unseen[:10]} ({len(unseen)} in all). "
            "Extract both cohorts with the same settings"
        )


def read_table(estimator: Any, X: Any, *, reset: bool) -> LesionTable:
    """Read numeric features as at fit; each row of a matrix becomes a sample with one lesion.

    With `reset`, the names and number of features are stored in the estimator; without, the
    columns are compared with these and brought into their order.

    Raises
    ------
    ValueError
        If X has no samples, features are not numbers or the columns differ from those at fit.
    """
    refuse_images(X, type(estimator).__name__)
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
    check_numeric(X.features)
    check_finite(X.features)
    if reset:
        estimator.feature_names_in_ = np.asarray(X.columns, dtype=object)
        estimator.n_features_in_ = X.shape[1]
        return X
    names = list(getattr(estimator, "feature_names_in_", []))
    check_columns(names, X)
    return X.replace(features=X.features[names])


def constant_columns(table: LesionTable) -> list[str]:
    """List the clinical columns and check that they have one value per patient.

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
                f"clinical variables must have one value per patient, but lesions of case "
                f"{table.index[table.sample[row]]!r} have {name!r} = {first[row]:g} and "
                f"{values[row]:g}: correct it, or move it to the block 'hcr'"
            )
    return names


def impute_medians(features: pd.DataFrame, training: pd.DataFrame | None = None) -> pd.DataFrame:
    """Fill gaps with the medians of the training rows, by default of all rows; 0 without any.

    Examples
    --------
    >>> impute_medians(pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": np.nan}))["a"].tolist()
    [1.0, 2.0, 3.0]
    """
    medians = (features if training is None else training).median()
    return features.fillna(medians).fillna(0.0)
