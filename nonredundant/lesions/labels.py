"""Labels of samples: in the order of the cases, and spelled in one way."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

import pandas as pd

#: Number of labels that a message names.
_SHOWN = 5


def align(values: Any, X: Any, name: str) -> Any:
    """Bring labels or groups that carry an index into the order of the cases.

    Values without an index, or with one that only counts, are taken by position; so are all
    values if either they or the cases are labelled by text and the others by numbers, unless
    these numbers are the text.

    Parameters
    ----------
    values : array, Series or DataFrame
        One row per case.
    X : DataFrame, LesionTable or Index
        The cases, or their labels.
    name : str
        What the values are, for the message.

    Returns
    -------
    array, Series or DataFrame
        The values in the order of the cases.

    Raises
    ------
    ValueError
        If the indices differ.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"image": ["a.nii", "b.nii"]}, index=["anna", "bert"])
    >>> align(pd.Series([1, 0], index=["bert", "anna"]), X, "y").tolist()
    [0, 1]
    """
    index = X if isinstance(X, pd.Index) else getattr(X, "index", None)
    if not isinstance(values, pd.Series | pd.DataFrame) or index is None:
        return values
    own = values.index
    if len(own) != len(index) or own.equals(index) or only_counts(own):
        return values
    if own.is_unique and index.is_unique and index.isin(own).all():
        return values.loc[index]
    if _is_numbered(own) != _is_numbered(index):
        # One of the two indices holds row numbers instead of ids. In a split of scikit-learn the
        # numbers have gaps.
        as_text = values.set_axis(own.map(str), axis=0)
        same = set(as_text.index) == set(index.map(str)) and own.is_unique and index.is_unique
        return as_text.loc[index.map(str)] if same else values
    other = own[~own.isin(index)].tolist()
    raise ValueError(
        f"{name} has another index than the cases: {len(other)} of {len(values)} labels are not "
        f"among theirs, {other[:_SHOWN]}; the cases have {index[:_SHOWN].tolist()}. Give both the "
        "same index, or an array in the order of the cases"
    )


def only_counts(index: pd.Index) -> bool:
    """Check whether an index only counts the rows.

    Examples
    --------
    >>> import pandas as pd
    >>> only_counts(pd.Index([0, 1, 2])), only_counts(pd.Index([1, 2, 3]))
    (True, False)
    """
    return index.equals(pd.RangeIndex(len(index)))


def _is_numbered(index: pd.Index) -> bool:
    """Check whether the labels are whole numbers, which may count the rows of a larger table."""
    return pd.api.types.is_integer_dtype(index.dtype)


def check_one_kind(labels: Any, name: str) -> None:
    """Raise if text is among labels of another kind.

    Raises
    ------
    ValueError
        If so, naming some of them.
    """
    if 0 < sum(isinstance(label, str) for label in labels) < len(labels):
        shown = list(dict.fromkeys(labels))[:_SHOWN]
        raise ValueError(f"{name} mixes text and other labels, {shown}: write all of them alike")


def check_spelling(classes: Iterable[Any]) -> None:
    """Raise if classes that are text differ by spaces or case alone.

    Raises
    ------
    ValueError
        If so, naming them.
    """
    spelled: dict[str, list[str]] = {}
    for label in classes:
        if isinstance(label, str):
            spelled.setdefault(" ".join(label.split()).casefold(), []).append(str(label))
    alike = [same for same in spelled.values() if len(same) > 1]
    if alike:
        raise ValueError(
            f"y has labels that differ by spaces or case alone: {alike}; are they one class? "
            "Spell them alike, or rename one"
        )


def check_unlabelled(labels: Any, name: str) -> None:
    """Raise if -1 is a label beside two or more others.

    By the convention of scikit-learn's semi-supervised models and of the label term of
    `NonRedundantCVAE`, it then means that there is no label. -1 and one other are two classes.

    Raises
    ------
    ValueError
        If so, with the number of samples.

    Examples
    --------
    >>> check_unlabelled([-1, 1, 1, -1], "y")
    >>> check_unlabelled([-1, 1, 0, -1], "y")
    Traceback (most recent call last):
    ...
    ValueError: y is -1 in 2 of 4 samples, beside the labels [0, 1]: ...
    """
    distinct = pd.unique(pd.Series(labels)).tolist()
    others = [label for label in distinct if not _is_minus_one(label)]
    if len(others) < 2 or len(others) == len(distinct):
        return
    n = sum(map(_is_minus_one, labels))
    shown = sorted(others, key=str)[:_SHOWN]
    raise ValueError(
        f"{name} is -1 in {n} of {len(labels)} samples, beside the labels {shown}: -1 means "
        "unlabelled where labels may be missing, and a classifier needs the label of every "
        "sample. Leave these samples out (they can train a NonRedundantCVAE), or give -1 another "
        "name if it is a class"
    )


def _is_minus_one(label: Any) -> bool:
    """Check whether a label is the number -1."""
    return isinstance(label, Real) and label == -1
