"""Join given embeddings to lesions by their labels, never by position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.lesions._checks import non_numeric_columns
from nonredundant.lesions.blocks import check_embedding_name, embedding_columns
from nonredundant.lesions.labels import only_counts
from nonredundant.lesions.numbers import as_numbers
from nonredundant.utils.user_warnings import warn_user

#: Number of labels that a message names.
_SHOWN = 5
#: The level of the number of a lesion in its sample, as in `LesionTable.to_frame`.
_LESION = "lesion"


def join_embeddings(
    features: pd.DataFrame,
    blocks: Mapping[str, str] | None,
    embeddings: Mapping[str, pd.DataFrame],
    index: pd.Index,
    sample: np.ndarray,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Add embeddings to the features of lesions, a block each.

    An embedding is labelled by samples, and then repeated for each of their lesions; or by
    lesions: by the labels of the rows of `features`, where they are unique, or by two levels, the
    label of the sample and the number of the lesion in it, from 0.

    Parameters
    ----------
    features : DataFrame of shape (n_lesions, n_features)
        The features, labelled as they were given.
    blocks : mapping of str to str or None
        Their blocks.
    embeddings : mapping of str to DataFrame
        The embeddings by name.
    index : Index of length n_samples
        Labels of the samples.
    sample : int array of shape (n_lesions,)
        The sample of each lesion.

    Returns
    -------
    features : DataFrame
        The features and the embeddings, as numbers.
    blocks : dict of str to str
        Their blocks.

    Raises
    ------
    TypeError
        If an embedding is no data frame.
    ValueError
        If its name is taken, it is not numbers, labels are repeated, or rows are missing or left
        over.
    """
    if not isinstance(embeddings, Mapping):
        raise TypeError(
            "embeddings must be a dict of data frames by the names of their models, got "
            f"{type(embeddings).__name__}: write embeddings={{'FMCIB': frame}}"
        )
    joined, found = [features], dict(blocks or {})
    for name, frame in embeddings.items():
        check_embedding_name(name)
        if name in found.values():
            raise ValueError(f"the table has an embedding {name!r} already: give another name")
        rows = _rows(name, frame, features.index, index, sample)
        values = _values(name, frame).to_numpy(dtype=np.float64)[rows]
        columns = embedding_columns(name, frame.columns)
        _tell_gaps(name, values, index.take(sample))
        joined.append(pd.DataFrame(values, index=features.index, columns=columns))
        found |= dict.fromkeys(columns, name)
    return pd.concat(joined, axis=1), found


def _values(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return an embedding as numbers, or raise."""
    frame = as_numbers(frame)
    if not frame.shape[1]:
        raise ValueError(f"the embedding {name!r} has no columns")
    words = non_numeric_columns(frame)
    if words:
        raise ValueError(
            f"the embedding {name!r} must be numbers, but {len(words)} of {frame.shape[1]} columns "
            f"are not: {words[:_SHOWN]}; drop them, and make ids the index by frame.set_index(...)"
        )
    return frame


def _rows(name: str, frame: Any, rows: pd.Index, index: pd.Index, sample: np.ndarray) -> np.ndarray:
    """Return the row of an embedding that belongs to each lesion."""
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(
            f"the embedding {name!r} must be a DataFrame whose index names the samples, got "
            f"{type(frame).__name__}; an array becomes one by DataFrame(array, index=ids)"
        )
    own = _sample_first(frame.index)
    bare = pd.isna(own.to_numpy()) if own.nlevels == 1 else np.zeros(len(own), dtype=bool)
    if bare.any():
        raise ValueError(
            f"the embedding {name!r} has {int(bare.sum())} rows without a label; label each "
            "by its sample, or leave them out"
        )
    if own.has_duplicates:
        twice = own[own.duplicated()].unique()
        raise ValueError(
            f"the embedding {name!r} has several rows of {len(twice)} labels: "
            f"{twice[:_SHOWN].tolist()}; keep one of each, or label rows of lesions by sample and "
            "number of the lesion in it, from 0: "
            "frame.set_index(frame.groupby(level=0).cumcount(), append=True)"
        )
    labels = index.take(sample)
    if own.nlevels == index.nlevels + 1:
        number = np.arange(len(sample)) - np.searchsorted(sample, sample)
        levels = [labels.get_level_values(i) for i in range(labels.nlevels)]
        labels = pd.MultiIndex.from_arrays([*levels, number])
    elif _names_lesions(rows, index) and own.isin(rows).any():
        labels = rows
    found = _places(own, labels)
    if found is None:
        raise ValueError(_mismatch(name, frame, labels.unique()))
    return found


def _sample_first(index: pd.Index) -> pd.Index:
    """Return labels whose level "lesion" is the last one, wherever it was."""
    if not isinstance(index, pd.MultiIndex) or list(index.names).count(_LESION) != 1:
        return index
    return index.reorder_levels([*(n for n in index.names if n != _LESION), _LESION])


def _names_lesions(rows: pd.Index, index: pd.Index) -> bool:
    """Return whether the rows of features have labels of their own, beside those of samples."""
    return len(rows) > len(index) and rows.is_unique and not only_counts(rows)


def _places(own: pd.Index, labels: pd.Index) -> np.ndarray | None:
    """Return where each label is among those of an embedding, of which none may be left over."""
    if len(own) != labels.nunique():
        return None
    found = own.get_indexer(labels)
    if (found < 0).any() and own.nlevels == labels.nlevels == 1:
        # Ids that one file holds as text may be numbers in another one.
        as_text = own.map(str)
        found = as_text.get_indexer(labels.map(str)) if as_text.is_unique else found
    return None if (found < 0).any() else found


def _mismatch(name: str, frame: pd.DataFrame, labels: pd.Index) -> str:
    """Say which rows of an embedding are missing, and which are left over."""
    own = frame.index
    missing, extra = labels[~labels.isin(own)].tolist(), own[~own.isin(labels)].tolist()
    remedy = "give both the same ids"
    column = _column_of_ids(frame, labels)
    if column is not None:
        remedy = f"make the column {column!r} its index by frame.set_index({column!r})"
    elif not missing:
        remedy = "leave them out, for instance by frame.loc[features.index]"
    elif not extra:
        remedy = "leave these cases out, or compute their embedding"
    return (
        f"the embedding {name!r} has other rows than the table: {len(missing)} of {len(labels)} "
        f"are missing, {missing[:_SHOWN]}, and {len(extra)} of {len(own)} are left over, "
        f"{extra[:_SHOWN]}; {remedy}"
    )


def _column_of_ids(frame: pd.DataFrame, labels: pd.Index) -> Any:
    """Return the name of a column that holds the labels; None if there is none."""
    wanted = set(labels.map(str))
    for column in frame.columns[[not pd.api.types.is_float_dtype(t) for t in frame.dtypes]]:
        if len(wanted & set(frame[column].map(str))) > len(wanted) / 2:
            return column
    return None


def _tell_gaps(name: str, values: np.ndarray, labels: pd.Index) -> None:
    """Warn of lesions without an embedding, and of gaps in others."""
    gaps = np.isnan(values)
    empty = gaps.all(axis=1)
    if empty.all() and len(empty):
        raise ValueError(f"the embedding {name!r} has no value in any row")
    if empty.any():
        warn_user(
            f"{int(empty.sum())} of {len(empty)} lesions have no embedding {name!r}: cases "
            f"{labels[empty].unique()[:_SHOWN].tolist()}; they get the median of the training "
            "lesions; leave these cases out if you do not want this",
            f"no embedding {name}",
        )
    partly = gaps.any(axis=1) & ~empty
    if partly.any():
        warn_user(
            f"the embedding {name!r} has {int(gaps[partly].sum())} gaps in {int(partly.sum())} "
            f"lesions: cases {labels[partly].unique()[:_SHOWN].tolist()}; they are filled by the "
            "medians of the training lesions",
            f"gaps in embedding {name}",
        )
