"""Who is who: groups by the index of the cases, and cases that occur twice."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.extraction.case_table import clinical_sources
from nonredundant.lesions.labels import align, only_counts
from nonredundant.lesions.table import LesionTable

#: Number of cases that a message names.
_SHOWN = 5
#: With fewer rows a column may go with the outcome by chance; with 16 rows, 3 of 100,000 columns
#: of two equally likely values do.
_LEAST_RECODED = 16


def check_groups(groups: Any, X: Any) -> np.ndarray:
    """Check the groups and bring them into the order of the cases.

    Parameters
    ----------
    groups : array-like of shape (n_samples,)
        The groups.
    X : DataFrame or LesionTable
        The cases.

    Returns
    -------
    array of shape (n_samples,)
        The groups.

    Raises
    ------
    ValueError
        If their number is wrong, their index is another one, or some are missing.

    Examples
    --------
    >>> import pandas as pd
    >>> check_groups(["a", "a"], pd.DataFrame({"image": ["1.nii", "2.nii"]})).tolist()
    ['a', 'a']
    """
    found = np.asarray(align(groups, X, "groups"))
    if found.shape != (len(X),):
        name = groups if isinstance(groups, str) else "hospital"
        raise ValueError(
            f"groups has shape {found.shape} but there are {len(X)} samples: give one group per "
            f"sample, for instance a column, cases[{name!r}]"
        )
    missing = np.flatnonzero(pd.isna(found))
    if len(missing):
        labels = [X.index[row] for row in missing[:_SHOWN]]
        raise ValueError(
            f"groups is missing for {len(missing)} samples: {labels}; give each a group, for "
            "instance its own id"
        )
    return found


def read_groups(groups: Any, X: Any) -> np.ndarray | None:
    """Return the groups in the order of the cases: by default the ids, if some repeat.

    Parameters
    ----------
    groups : array-like of shape (n_samples,) or None
        The groups.
    X : DataFrame or LesionTable
        The cases.

    Returns
    -------
    array of shape (n_samples,) or None
        The groups; None if every case is its own.

    Raises
    ------
    ValueError
        If their number is wrong, their index is another one, or some are missing.

    Examples
    --------
    >>> import pandas as pd
    >>> read_groups(None, pd.DataFrame({"image": ["1.nii", "2.nii"]}, index=["a", "a"])).tolist()
    ['a', 'a']
    """
    if groups is not None:
        return check_groups(groups, X)
    index = getattr(X, "index", None)
    return None if index is None or index.is_unique else np.asarray(index)


def check_distinct(X: Any, groups: Any) -> None:
    """Raise if an id has several rows that no groups keep on one side of each split.

    Parameters
    ----------
    X : DataFrame or LesionTable
        The cases.
    groups : array-like or None
        The groups.

    Raises
    ------
    ValueError
        If there are none, and the index names samples more than once.

    Examples
    --------
    >>> import pandas as pd
    >>> check_distinct(pd.DataFrame({"image": ["1.nii", "2.nii"]}, index=["a", "b"]), None)
    """
    if groups is None and not X.index.is_unique:
        twice = X.index[X.index.duplicated()].unique().tolist()
        raise ValueError(
            f"{len(twice)} ids have several rows: {twice[:_SHOWN]}; set groups=X.index to keep "
            "the rows of a patient on one side of each split"
        )


def check_target(y: Any, X: Any, clinical: Any) -> None:
    """Raise if the outcome is among the clinical columns.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels in the order of the cases.
    X : DataFrame or LesionTable
        The cases.
    clinical : list of str, transformer or None
        Of the extractor of a case table.

    Raises
    ------
    ValueError
        If a clinical column has the name of y or of its times, equals it in every row, or is the
        same in another coding.

    Examples
    --------
    >>> import pandas as pd
    >>> cases = pd.DataFrame({"image": ["a.nii", "b.nii"], "age": [50, 60]})
    >>> check_target([0, 1], cases, ["age"])
    """
    if isinstance(X, LesionTable):
        columns = X.features[X.columns_of("clinical")] if X.n_lesions == len(X) else None
    else:
        columns = X[[name for name in clinical_sources(clinical) if name in X.columns]]
    if columns is None or len(columns) != len(y):
        return
    found = {
        name: reason
        for name in columns.columns
        for outcome in _outcomes(y)
        if (reason := _same_values(columns[name], outcome))
    }
    if found:
        reasons = ", ".join(f"{name!r} {reason}" for name, reason in found.items())
        raise ValueError(
            f"clinical columns are the outcome y itself: {reasons}; the model would be told the "
            f"answer; leave {list(found)} out"
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
    written = [str(one) for one in cases["image"] if isinstance(one, str | Path)]
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
