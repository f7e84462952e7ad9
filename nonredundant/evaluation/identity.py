"""Who is who: groups by the index of the cases, and cases that occur twice."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.extraction.case_table import clinical_sources
from nonredundant.lesions.labels import align, only_counts
from nonredundant.lesions.table import LesionTable

#: Number of cases that a message names.
_SHOWN = 5


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
        If a clinical column has the name of y, or equals it in every row.

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
    # Events and times are two values per case, no single column can be both.
    if columns is None or isinstance(y, pd.DataFrame) or np.asarray(y).dtype.names:
        return
    labels = pd.Series(np.asarray(y).ravel())
    if len(labels) != len(columns):
        return
    own = getattr(y, "name", None)
    same = [
        name
        for name in columns.columns
        if name == own or (columns[name].reset_index(drop=True).astype(object) == labels).all()
    ]
    if same:
        raise ValueError(
            f"the clinical columns {same} are the outcome y itself: the model would be told the "
            "answer; leave them out"
        )


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
        shared = [one for one in _paths(held) if one in paths]
        what = "image files"
    if not shared:
        shared, what = _same_voxels(table, len(X)), "cases with the same voxels"
    if shared:
        raise ValueError(
            f"the test set shares {len(shared)} {what} with the training cohort: "
            f"{shared[:_SHOWN]}; a test on training patients tests nothing. Leave them out of "
            "one of the two, or set shared_test=True (--shared-test) if this is meant"
        )


def _paths(cases: pd.DataFrame) -> list[str]:
    """Return the images that are given by their path."""
    return [str(one) for one in cases["image"] if isinstance(one, str) or hasattr(one, "suffix")]


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
