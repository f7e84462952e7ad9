"""Rows of several inputs that belong to the same samples: their order, numbers and lengths.

`lesions.labels` aligns in the same way on a higher floor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

#: Number of labels that a message names.
_SHOWN = 5


def aligned(**inputs: Any) -> dict[str, Any]:
    """Bring all inputs into the order of the first that has an index.

    Inputs without an index, or with one that only counts the rows, are taken by position; so are
    those labelled by numbers where the others are labelled by text.

    Parameters
    ----------
    **inputs : array-like, Series, DataFrame or LesionTable
        One row per sample, by the names that messages use; None is passed through.

    Returns
    -------
    dict
        The inputs in one order.

    Raises
    ------
    ValueError
        If indices have different labels, or lengths differ.

    Examples
    --------
    >>> import pandas as pd
    >>> h = pd.DataFrame({"volume": [1.0, 2.0]}, index=["anna", "bert"])
    >>> aligned(h=h, y=pd.Series([1, 0], index=["bert", "anna"]))["y"].tolist()
    [0, 1]
    """
    given = {name: values for name, values in inputs.items() if values is not None}
    lengths = {name: len(values) for name, values in given.items()}
    if len(set(lengths.values())) > 1:
        parts = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"there must be one row per sample, but the numbers of rows are: {parts}")
    indices = {name: _index(values) for name, values in inputs.items()}
    labelled = {name: index for name, index in indices.items() if index is not None}
    if not labelled:
        return inputs
    telling = [name for name, index in labelled.items() if not _only_counts(index)]
    first = next(iter(labelled))
    # Numbers in another order are labels of rows that count; other labels tell more than a count.
    if telling and not labelled[telling[0]].isin(labelled[first]).all():
        first = telling[0]
    return {
        name: _in_order(values, labelled[first], name, first) for name, values in inputs.items()
    }


def _in_order(values: Any, index: pd.Index, name: str, first: str) -> Any:
    """Return values in the order of an index."""
    labels = _index(values)
    if labels is None or labels.equals(index) or _only_counts(labels):
        return values
    same = labels.is_unique and index.is_unique and index.isin(labels).all()
    if same and isinstance(values, pd.Series | pd.DataFrame):
        return values.loc[index]
    if not same and _is_numbered(labels) != _is_numbered(index):
        return values
    other = labels[~labels.isin(index)].tolist()
    fault = f"{len(other)} of {len(labels)} labels are in {name} alone, {other[:_SHOWN]}"
    if not other:
        fault = "the order differs, or labels repeat"
    raise ValueError(
        f"{name} has another index than {first}: {fault}; {first} has {index[:_SHOWN].tolist()}. "
        "Give both the same index, or arrays if the order of rows is the same"
    )


def _index(values: Any) -> pd.Index | None:
    """Return the row labels of values that have some."""
    index = getattr(values, "index", None)
    return index if isinstance(index, pd.Index) else None


def _only_counts(index: pd.Index | None) -> bool:
    """Check whether an index only counts the rows."""
    return index is not None and index.equals(pd.RangeIndex(len(index)))


def _is_numbered(index: pd.Index) -> bool:
    """Check whether the labels are whole numbers."""
    return pd.api.types.is_integer_dtype(index.dtype)


def to_matrix(values: Any, name: str, *, gaps: bool = False) -> np.ndarray:
    """Convert to a matrix of finite numbers; a vector becomes one column.

    Parameters
    ----------
    values : array-like, Series, DataFrame or LesionTable
        One row per sample.
    name : str
        What the values are, for messages.
    gaps : bool, default=False
        Whether values may be missing.

    Returns
    -------
    float array of shape (n_samples, n_columns)
        The numbers; NaN for gaps.

    Raises
    ------
    ValueError
        If a column holds text, naming it, or if values are infinite, or missing without `gaps`.

    Examples
    --------
    >>> import pandas as pd
    >>> to_matrix(pd.DataFrame({"volume": [1.0, 2.0], "sex": ["f", "m"]}), "h")
    Traceback (most recent call last):
    ...
    ValueError: h must be numeric, but its column 'sex' holds text, such as 'f': ...
    """
    if isinstance(values, pd.Series):
        values = values.to_frame()
    if not isinstance(values, pd.DataFrame):
        array = np.asarray(values)
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim != 2:
            raise ValueError(f"{name} must have one row per sample, got shape {array.shape}")
        columns = getattr(getattr(values, "features", None), "columns", None)
        values = pd.DataFrame(array, columns=columns)
    matrix = np.empty(values.shape)
    for number, column in enumerate(values):
        matrix[:, number] = _numbers(values.iloc[:, number], name, column)
    allowed = np.isnan(matrix) if gaps else False
    bad = np.flatnonzero(~(np.isfinite(matrix) | allowed).all(axis=1))
    if len(bad):
        fault = "infinite values" if gaps else "missing or infinite values"
        raise ValueError(
            f"{name} has {fault} in {len(bad)} of {len(matrix)} rows, the first in row {bad[0]}: "
            "impute them or leave these rows out"
        )
    return matrix


def _numbers(values: pd.Series, name: str, column: Any) -> np.ndarray:
    """Convert one column to numbers, or name it."""
    numbers = values
    if not pd.api.types.is_numeric_dtype(values.dtype):
        numbers = pd.to_numeric(values.astype(object), errors="coerce")
        text = values[numbers.isna() & values.notna()]
        if len(text):
            raise ValueError(
                f"{name} must be numeric, but its column {column!r} holds text, such as "
                f"{text.iloc[0]!r}: encode it as numbers, or leave it out"
            )
    return numbers.to_numpy(dtype=float, na_value=np.nan)
