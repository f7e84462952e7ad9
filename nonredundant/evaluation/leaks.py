"""Leaks: the outcome among the clinical columns, and a test set that shares samples."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.extraction.case_table import source_columns
from nonredundant.lesions.labels import only_counts
from nonredundant.lesions.table import LesionTable

#: Number of cases that a message names.
_SHOWN = 5
#: With fewer rows a column may go with the outcome by chance; with 16 rows, 3 of 100,000 columns
#: of two equally likely values do.
_LEAST_RECODED = 16
#: A column is the outcome in other units if their correlation differs from 1 by less.
_ROUNDING = 1e-9


def check_target(y: Any, X: Any, clinical: Sequence[Any]) -> None:
    """Raise if the outcome is among the clinical columns.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels in the order of the cases.
    X : DataFrame or LesionTable
        The cases.
    clinical : sequence of str
        Columns of the samples that become clinical features.

    Raises
    ------
    ValueError
        If a clinical column has the name of y or of its times, equals it in every row, or is the
        same in another coding; or a column of a given embedding is the outcome.

    Examples
    --------
    >>> import pandas as pd
    >>> cases = pd.DataFrame({"image": ["a.nii", "b.nii"], "age": [50, 60]})
    >>> check_target([0, 1], cases, ["age"])
    """
    samples = X.samples if isinstance(X, LesionTable) else X
    columns = [samples[name] for name in clinical if name in samples.columns]
    if isinstance(X, LesionTable) and X.is_single:
        columns += [X.features[name] for name in X.columns_of("clinical")]
    if len(X) != len(y):
        return
    found = {
        column.name: reason
        for column in columns
        for outcome in _outcomes(y)
        if (reason := _same_values(column, outcome))
    }
    if isinstance(X, LesionTable):
        _check_embeddings(y, X)
    if found:
        reasons = ", ".join(f"{name!r} {reason}" for name, reason in found.items())
        raise ValueError(
            f"clinical columns are the outcome y itself: {reasons}; the model would be told the "
            f"answer; leave {list(found)} out"
        )


def _check_embeddings(y: Any, table: LesionTable) -> None:
    """Raise if a column of a given embedding is the outcome, in these or other numbers."""
    if not table.embedding_names:
        return
    for outcome in _outcomes(y):
        codes = outcome.to_numpy()
        if codes.dtype.kind not in "fiub":
            codes = pd.factorize(codes, sort=False)[0]
        codes = codes.astype(np.float64)[table.sample]
        # Unknown outcomes are refused where outcomes are read.
        if len(table) < _LEAST_RECODED or not np.isfinite(codes).all() or not np.ptp(codes):
            continue
        codes = codes - codes.mean()
        for name, frame in table.embeddings.items():
            values = frame.to_numpy(dtype=np.float64)
            values = values - values.mean(axis=0)
            size = np.sqrt((values**2).sum(axis=0) * (codes**2).sum())
            with np.errstate(invalid="ignore", divide="ignore"):
                same = np.abs(codes @ values) > (1.0 - _ROUNDING) * size
            leaks = frame.columns[same & (size > 0)].tolist()
            if leaks:
                raise ValueError(
                    f"the embedding {name!r} has {len(leaks)} columns that are the outcome y "
                    f"itself, {leaks[:_SHOWN]}; the model would be told the answer; leave them out"
                )


def _outcomes(y: Any) -> list[pd.Series]:
    """Return the labels, or the events and the times, as columns."""
    if isinstance(y, pd.DataFrame):
        return [y[name] for name in y.columns]
    array = np.asarray(y)
    if array.dtype.names:
        return [pd.Series(array[name], name=name) for name in array.dtype.names]
    return [pd.Series(array.ravel(), name=getattr(y, "name", None))]


def _same_values(column: pd.Series, outcome: pd.Series) -> str:
    """Say how a column is the outcome; empty if it is not."""
    if column.name == outcome.name:
        return "has its name"
    own, other = column.reset_index(drop=True).astype(object), outcome.reset_index(drop=True)
    if (own == other).all():
        return "equals it in every row"
    pairs = pd.DataFrame({"own": own.astype(str), "other": other.astype(str)}).drop_duplicates()
    one_to_one = pairs["own"].is_unique and pairs["other"].is_unique
    if one_to_one and own.notna().all() and len(own) >= _LEAST_RECODED and 1 < len(pairs) < 10:
        return "is the same in another coding"
    return ""


def check_held_out(X: Any, held: Any, table: LesionTable) -> None:
    """Raise if the held-out test set shares patients, images or voxels with the cohort.

    Parameters
    ----------
    X, held : DataFrame or LesionTable
        Cases of the cohort and of the test set.
    table : LesionTable
        Lesions of both, first those of the cohort.

    Raises
    ------
    ValueError
        If an id, the path of an image or the measured voxels of a case are in both.

    Examples
    --------
    >>> import numpy as np
    >>> X = LesionTable.from_arrays(features=np.arange(6.0).reshape(3, 2))
    >>> held = LesionTable.from_arrays(features=np.arange(6.0, 10.0).reshape(2, 2))
    >>> check_held_out(X, held, LesionTable.concat([X, held]))
    """
    shared: list[Any] = []
    what = ""
    if not (only_counts(X.index) or only_counts(held.index)):
        shared, what = held.index[held.index.isin(X.index)].tolist(), "ids"
    if not shared and isinstance(X, pd.DataFrame):
        paths = set(_paths(X))
        shared = [one for path, one in _paths(held).items() if path in paths]
        what = "image files"
    if not shared:
        shared, what = _same_voxels(table, len(X)), "cases with the same voxels"
    if shared:
        raise ValueError(
            f"the test set shares {len(shared)} {what} with the training cohort: "
            f"{shared[:_SHOWN]}; a test on training patients tests nothing. Leave them out of "
            "one of the two, or set shared_test=True (--shared-test) if this is meant"
        )


def _paths(cases: pd.DataFrame) -> dict[str, str]:
    """Return the images that are given by their path: the real path, and as it is written."""
    columns = [name for name in source_columns(cases) if str(name).startswith("image")]
    cells = [one for name in columns for one in cases[name]]
    written = [str(one) for one in cells if isinstance(one, str | Path)]
    return {os.path.realpath(os.path.expanduser(one)): one for one in written}


def _same_voxels(table: LesionTable, n: int) -> list[Any]:
    """List the samples after the first `n` whose lesions equal those of one of the first `n`."""
    values = table.hcr.to_numpy(dtype=np.float64)
    digests = [_digest(table, values, i) for i in range(table.n_samples)]
    known = [one for one in digests[:n] if one is not None]
    unique = set(known)
    if len(unique) < len(known):
        # Equal rows are usual in this cohort, so that they do not identify a patient.
        return []
    return [table.index[i] for i in range(n, len(digests)) if digests[i] in unique]


def _digest(table: LesionTable, features: np.ndarray, i: int) -> bytes | None:
    """Return the measured values of a sample; None if it has failed or has none."""
    rows = slice(*np.searchsorted(table.sample, [i, i + 1]))
    values = features[rows]
    patches = None if table.patches is None else table.patches[rows]
    if table.status.iloc[i] != "ok" or (patches is None and not np.isfinite(values).any()):
        return None
    content = values.tobytes() if patches is None else values.tobytes() + patches.tobytes()
    return hashlib.sha256(content).digest() if content else None
