"""Labels of samples as JSON types, and back."""

from __future__ import annotations

from collections.abc import Sequence
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
