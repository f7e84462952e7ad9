"""Read numbers that a data frame holds as objects."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd


def as_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert columns of objects that are all numbers, such as arrays without dimension.

    The results of pyradiomics, `pd.DataFrame([extractor.execute(image, mask), ...])`, are such
    columns. Columns with a cell of another kind, such as text, stay as they are.

    Examples
    --------
    >>> frame = pd.DataFrame({"volume": [np.array(8.0), np.array(9.0)], "word": ["a", "b"]})
    >>> as_numbers(frame)["volume"].tolist(), as_numbers(frame)["word"].tolist()
    ([8.0, 9.0], ['a', 'b'])
    """
    objects = [i for i, dtype in enumerate(frame.dtypes) if pd.api.types.is_object_dtype(dtype)]
    converted: dict[int, np.ndarray] = {}
    for i in objects:
        cells = [_number(cell) for cell in frame.iloc[:, i]]
        if not any(cell is None for cell in cells):
            converted[i] = np.asarray(cells, dtype=np.float64)
    if not converted:
        return frame
    columns = [
        pd.Series(converted[i], index=frame.index) if i in converted else frame.iloc[:, i]
        for i in range(frame.shape[1])
    ]
    return pd.concat(columns, axis=1).set_axis(frame.columns, axis=1)


def _number(cell: Any) -> float | None:
    """Return a cell as a number, NaN for a gap; None if it is something else."""
    if isinstance(cell, np.ndarray):
        cell = cell.item() if cell.size == 1 else cell
    if cell is None or cell is pd.NA:
        return np.nan
    return float(cell) if isinstance(cell, Real) else None
