"""Labels of samples: in the order of the cases, and spelled in one way."""

from __future__ import annotations

import re
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

#: Number of labels that a message names.
_SHOWN = 5
#: How whole numbers are written: 1, 1.0.
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
#: How a whole number is written as a decimal: 1.0.
_DECIMAL = re.compile(r"^(-?[1-9]\d*|0)\.0+$")
#: How Python and other software write truth values, and the numbers that they stand for.
_TRUTH = {"True": "1", "TRUE": "1", "true": "1", "False": "0", "FALSE": "0", "false": "0"}


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
    if not other:
        twice = own[own.duplicated()].union(index[index.duplicated()]).unique()[:_SHOWN].tolist()
        raise ValueError(
            f"{name} and the cases have their labels in another order, and some have several rows, "
            f"{twice}: which belongs to which is not known; give an array in the order of the cases"
        )
    raise ValueError(
        f"{name} has another index than the cases: {len(other)} of {len(values)} labels are not "
        f"among theirs, {other[:_SHOWN]}; the cases have {index[:_SHOWN].tolist()}. Give both the "
        "same index, or an array in the order of the cases"
    )


def among_all(found: Any, kept: Any, index: pd.Index) -> Any:
    """Give values of some cases one row per case; the other cases have none.

    Rows go by position, as cases may have the same label.

    Parameters
    ----------
    found : Series or DataFrame
        Values of the cases that were kept, in their order.
    kept : bool array of shape (n_cases,)
        Which of the cases they are.
    index : Index
        The labels of all cases.

    Returns
    -------
    Series or DataFrame
        The values. Whole numbers and truth values stay what they are beside gaps.

    Examples
    --------
    >>> found = pd.Series([1, 0], index=["anna", "anna"])
    >>> among_all(found, [True, False, True], pd.Index(["anna", "bert", "anna"])).to_dict()
    {'anna': 0, 'bert': nan}
    """
    mask = np.asarray(kept, dtype=bool)
    rows = np.where(mask, np.cumsum(mask) - 1, -1)
    values = found.reset_index(drop=True)
    whole = isinstance(values, pd.Series) and values.dtype.kind in "biu" and not mask.all()
    return (values.astype(object) if whole else values).reindex(rows).set_axis(index, axis=0)


def check_same_cases(X: Any, lesions: Any) -> None:
    """Raise unless lesions are those of the cases, in their order.

    Raises
    ------
    ValueError
        If their number or their labels differ.
    """
    labels = getattr(X, "index", None)
    if len(lesions) == len(X) and (labels is None or labels.equals(lesions.index)):
        return
    raise ValueError(
        f"lesions={lesions!r} are not those of the {len(X)} cases in their order: their labels "
        f"are {lesions.index[:_SHOWN].tolist()}, and those of the cases "
        f"{list(range(len(X)) if labels is None else labels)[:_SHOWN]}; give what `extract` "
        "returns of these cases"
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


def category_name(category: Any) -> str:
    """Return the name of a category, such as a centre: the same for 1, 1.0, "1" and "1.0".

    Examples
    --------
    >>> category_name(1.0), category_name("Lyon "), category_name("01")
    ('1', 'Lyon', '01')
    """
    text = str(category).strip()
    if isinstance(category, Real) and not isinstance(category, bool):
        return str(int(float(category))) if float(category).is_integer() else text
    # A column of whole numbers with a gap is written as one of decimals.
    return _DECIMAL.sub(r"\1", text)


def class_positions(labels: Any, classes: Any) -> np.ndarray:
    """Return the position of the class of each label; -1 where there is none.

    What is written in another way is the same label: 1, 1.0, True, "1" and "True".

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        The labels.
    classes : array-like of shape (n_classes,)
        The classes.

    Returns
    -------
    array of shape (n_samples,)
        The positions.

    Examples
    --------
    >>> class_positions([True, False], [0, 1]).tolist()
    [1, 0]
    >>> class_positions(["1", "no"], [0.0, 1.0]).tolist()
    [1, -1]
    """
    known: dict[str, int] = {}
    for position, one in enumerate(classes):
        for name in {str(one), _plain(one)}:
            # Two classes may differ by what is the same elsewhere, such as "1" and "True".
            known[name] = position if known.get(name, position) == position else -1
    known |= {str(one): position for position, one in enumerate(classes)}
    found = [known.get(str(one), known.get(_plain(one), -1)) for one in labels]
    return np.array(found, dtype=int)


def _plain(label: Any) -> str:
    """Return how a label is written that may be a truth value or a whole number."""
    text = str(label).strip()
    if text in _TRUTH:
        return _TRUTH[text]
    return str(int(float(text))) if _WHOLE.fullmatch(text) else text


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
