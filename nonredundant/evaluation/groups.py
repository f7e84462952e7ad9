"""Groups of samples that no split divides, such as patients or hospitals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant.lesions.labels import align

#: Number of cases that a message names.
_SHOWN = 5


def check_groups(groups: Any, X: Any, what: str = "groups") -> np.ndarray:
    """Check the groups and bring them into the order of the cases.

    Parameters
    ----------
    groups : array-like of shape (n_samples,)
        The groups.
    X : DataFrame or LesionTable
        The cases.
    what : str, default="groups"
        The parameter, for messages.

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
    found = np.asarray(align(groups, X, what))
    if found.shape != (len(X),):
        name = groups if isinstance(groups, str) else "hospital"
        raise ValueError(
            f"{what} has shape {found.shape} but there are {len(X)} samples: give one group per "
            f"sample, for instance a column, cases[{name!r}]"
        )
    missing = np.flatnonzero(pd.isna(found))
    if len(missing):
        labels = [X.index[row] for row in missing[:_SHOWN]]
        raise ValueError(
            f"{what} is missing for {len(missing)} samples: {labels}; give each one, for "
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
