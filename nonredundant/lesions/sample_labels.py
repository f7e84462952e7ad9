"""Labels and columns of samples as JSON types, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


def calendar_type(index: pd.Index) -> str | None:
    """Return the type of labels that are dates, times or periods, else None."""
    kinds = pd.DatetimeIndex | pd.PeriodIndex | pd.TimedeltaIndex
    return str(index.dtype) if isinstance(index, kinds) else None


def labels_of(index: pd.Index) -> list[Any]:
    """Convert the labels of the samples to JSON types; raise if they are of other types."""
    if calendar_type(index) is not None:
        return index.astype(str).tolist()
    labels = [label.item() if isinstance(label, np.generic) else label for label in index]
    odd = [label for label in labels if not isinstance(label, str | int | float | None)]
    if odd:
        raise TypeError(
            f"a sample is labelled by text, a number or a date, but {len(odd)} labels are of type "
            f"{type(odd[0]).__name__}, such as {odd[0]!r}; use table.replace(index=[...])"
        )
    return labels


def index_from_labels(labels: Sequence[Any], calendar: str | None, name: Any) -> pd.Index:
    """Build the index of labels that `labels_of` converted."""
    index = pd.Index(labels, name=name)
    return index if calendar is None else index.astype(calendar)


def columns_of(samples: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Convert the columns of the samples to JSON types, each with its data type.

    Cells of other kinds than text, numbers, truth values and dates become text.
    """
    return {
        str(name): {"dtype": str(column.dtype), "values": _cells(column), **_order(column)}
        for name, column in samples.items()
    }


def _order(column: pd.Series) -> dict[str, Any]:
    """Return the categories of ordered ones."""
    dtype = column.dtype
    if not isinstance(dtype, pd.CategoricalDtype) or not dtype.ordered:
        return {}
    return {"order": _cells(dtype.categories.to_series())}


def samples_from_columns(columns: Mapping[str, Mapping[str, Any]], index: pd.Index) -> pd.DataFrame:
    """Build the frame of samples whose columns `columns_of` converted."""
    frame = pd.DataFrame(index=index)
    for name, column in columns.items():
        dtype = column["dtype"]
        if "order" in column:
            dtype = pd.CategoricalDtype(column["order"], ordered=True)
        frame[name] = pd.Series(column["values"], index=index, dtype=dtype)
    return frame


def _cells(column: pd.Series) -> list[Any]:
    """Convert the cells of a column to JSON types."""
    return [_json_cell(cell) for cell in column]


def _json_cell(cell: Any) -> Any:
    """Convert a cell to a JSON type; what has none, such as a date, is written as text."""
    if pd.api.types.is_scalar(cell) and pd.isna(cell):
        return None
    cell = cell.item() if isinstance(cell, np.generic) else cell
    return cell if isinstance(cell, str | int | float) else str(cell)
