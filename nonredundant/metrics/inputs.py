"""Input of the audit: checks of paired rows, and transformation to a common scale."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import rankdata

#: Least number of rows from which dependence can be estimated.
MIN_ROWS = 8


def check_pair(h: Any, d: Any, cv: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Check h and d and return finite frames of paired rows without constant columns."""
    named = [(name, _matrix(x, name)) for name, x in (("h", h), ("d", d))]
    (_, first), (_, second) = named
    if len(first) != len(second):
        raise ValueError(
            f"h has {len(first)} rows but d has {len(second)}: row i of both must belong to the "
            "same sample"
        )
    if isinstance(h, pd.DataFrame) and isinstance(d, pd.DataFrame) and not h.index.equals(d.index):
        raise ValueError(
            "h and d have different indices, so their rows may belong to different samples: pass "
            "d.loc[h.index], or arrays if the order of rows is the same"
        )
    for name, x in (("d", d), ("h", h)):
        if isinstance(x, pd.Series):
            _same_labels(x.index, getattr(h if name == "d" else d, "index", None), name)
    n = len(first)
    if n < max(MIN_ROWS, 2 * cv):
        raise ValueError(
            f"an audit with cv={cv} needs at least {max(MIN_ROWS, 2 * cv)} rows, got {n}"
        )
    return _varying(first, "h"), _varying(second, "d")


def _same_labels(labels: pd.Index, index: Any, name: str) -> None:
    """Refuse a vector whose index has other labels, or another order, than the rows have."""
    if not isinstance(index, pd.Index) or labels.equals(index):
        return
    if not any(some.equals(pd.RangeIndex(len(some))) for some in (labels, index)):
        raise ValueError(
            f"{name} has another index than the rows, so its values may belong to other samples: "
            f"{labels[:3].tolist()} beside {index[:3].tolist()}; reorder it by .loc, or pass an "
            "array if the order is the same"
        )


def check_groups(groups: Any, index: pd.Index, cv: int) -> np.ndarray:
    """Return the number of the group of each row; without groups each row is its own."""
    n = len(index)
    if groups is None:
        return np.arange(n)
    values = np.asarray(groups)
    if values.shape != (n,):
        raise ValueError(f"groups has shape {values.shape} but there are {n} rows")
    if isinstance(groups, pd.Series):
        _same_labels(groups.index, index, "groups")
    missing = np.flatnonzero(pd.isna(values))
    if len(missing):
        raise ValueError(f"groups is missing in {len(missing)} rows, the first is row {missing[0]}")
    numbers = np.unique(values, return_inverse=True)[1]
    if numbers.max() + 1 < 2 * cv:
        raise ValueError(
            f"an audit with cv={cv} needs at least {2 * cv} groups, got {numbers.max() + 1}"
        )
    return numbers


def _matrix(x: Any, name: str) -> pd.DataFrame:
    """Return x as a data frame of finite numbers, one row per sample."""
    if isinstance(x, pd.DataFrame | pd.Series):
        frame = pd.DataFrame(x)
    else:
        # A LesionTable with several lesions per sample raises here, with advice to aggregate.
        values = np.asarray(x)
        if values.ndim == 1:
            values = values[:, None]
        if values.ndim != 2:
            raise ValueError(f"{name} must have one row per sample, got shape {values.shape}")
        columns = getattr(getattr(x, "features", None), "columns", None)
        if columns is None and values.dtype.kind in "biuf":
            columns = [f"{name}{i}" for i in range(values.shape[1])]
        frame = pd.DataFrame(values, columns=columns)
    try:
        frame = frame.astype(float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numeric{_text_columns(frame)}: {error}") from error
    bad = ~np.isfinite(frame.to_numpy())
    if bad.any():
        columns = list(frame.columns[bad.any(axis=0)])
        raise ValueError(
            f"{name} has {int(bad.sum())} NaN or infinite values in {int(bad.any(axis=1).sum())} "
            f"rows, in the columns {_few(columns)}: impute them, or drop these rows from both h "
            "and d"
        )
    return frame


def _text_columns(frame: pd.DataFrame) -> str:
    """Name the columns that hold text."""
    text = [
        frame.columns[i]
        for i in range(frame.shape[1])
        if (
            pd.to_numeric(frame.iloc[:, i].astype(object), errors="coerce").isna()
            & frame.iloc[:, i].notna()
        ).any()
    ]
    return f", but text is in the columns {_few(text)}" if text else ""


def _varying(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the columns that vary, and warn about the others."""
    values = frame.to_numpy(dtype=float)
    # Ranks would turn differences of the last digits into a column like any other.
    rounding = 16 * np.finfo(float).eps * np.abs(values).max(axis=0)
    constant = np.ptp(values, axis=0) <= rounding
    if constant.all():
        raise ValueError(
            f"{name} has no column that varies over its {len(frame)} rows, so there is nothing to "
            "audit"
        )
    if constant.any():
        warnings.warn(
            f"{name} has {int(constant.sum())} constant columns, which the audit drops: "
            f"{_few(list(frame.columns[constant]))}",
            UserWarning,
            stacklevel=5,
        )
    return frame.loc[:, ~constant]


def _few(names: list, at_most: int = 5) -> str:
    """Format the first names and the number of the others."""
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(str(name) for name in names[:at_most]) + more


def normal_scores(x: np.ndarray) -> np.ndarray:
    """Return the normal scores (van der Waerden) of each column, with mean 0 and variance 1.

    A monotone transformation of each column: it changes neither independence nor mutual
    information, and removes scale, skew and outliers.
    """
    scores = ndtri(rankdata(x, axis=0) / (len(x) + 1))
    centred = scores - scores.mean(axis=0)
    return centred / centred.std(axis=0)


def leading_components(
    x: np.ndarray, *, explained: float = 1.0, at_most: int | None = None
) -> np.ndarray:
    """Return the scores on the leading principal components, unscaled.

    The largest absolute score of each is positive, so that the order of columns does not matter.
    """
    centred = x - x.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    share = np.cumsum(s**2) / np.sum(s**2)
    # Without the tolerance `explained=1` would include directions of rounding error.
    size = int(np.searchsorted(share, explained - 1e-9)) + 1
    size = min(size, len(s), at_most or len(s))
    u = u[:, :size]
    signs = np.sign(u[np.abs(u).argmax(axis=0), np.arange(size)])
    return u * signs * s[:size]
