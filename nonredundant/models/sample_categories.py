"""Categories of samples, such as their centre, as columns of a condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.lesions.labels import category_name
from nonredundant.utils.close_names import suggest_names
from nonredundant.utils.user_warnings import warn_user
from nonredundant.utils.validation import InvalidParameterError

#: The blocks of features that can be made independent of.
KNOWN_BLOCKS = ("hcr", "clinical")


def named_categories(model: Any) -> list[str]:
    """Return the columns of samples that a model, or None, is to be made independent of."""
    named = getattr(model, "independent_of", None)
    names = named if isinstance(named, tuple | list) else ()
    return [name for name in names if name not in KNOWN_BLOCKS]


def check_condition(
    names: Sequence[str], samples: pd.DataFrame, features: Mapping[str, str]
) -> None:
    """Check that `independent_of` names blocks of features and columns of samples.

    Parameters
    ----------
    names : sequence of str
        Blocks, and columns of `LesionTable.samples`.
    samples : DataFrame of shape (n_samples, n_columns)
        The columns of the samples.
    features : mapping of str to str
        The block of each feature.

    Raises
    ------
    InvalidParameterError
        If nothing is named, a name is neither, the clinical block has no features, or a column has
        more categories than half of its samples.
    """
    columns = [name for name in names if name not in KNOWN_BLOCKS]
    there = list(map(str, samples.columns))
    unknown = [name for name in columns if name not in there]
    if unknown or not len(names):
        raise InvalidParameterError(
            "independent_of must name 'hcr', 'clinical', or columns of LesionTable.samples such "
            f"as the centre, got {tuple(names)!r}; the columns are {there}"
            f"{suggest_names(unknown, [*KNOWN_BLOCKS, *there])}"
        )
    if "clinical" in names and "clinical" not in features.values():
        raise InvalidParameterError(
            f"independent_of={tuple(names)!r} names 'clinical', but none of the {len(features)} "
            "columns is clinical: extract clinical columns with "
            "RadiomicsExtractor(clinical=[...]), or leave 'clinical' out"
        )
    for name in columns:
        _check_categories(name, samples[name])


def _check_categories(name: str, column: pd.Series) -> None:
    """Raise if a column is numbers or ids, of which nothing could be removed from other samples."""
    counts = pd.Series(_names(column)).value_counts()
    n = int(counts.sum())
    if len(counts) > max(1, n / 2):
        raise InvalidParameterError(
            f"independent_of names the column {name!r} of the samples, which has {len(counts)} "
            f"categories in {n} samples, such as {counts.index[:3].tolist()}: a category needs "
            "several samples; give numbers as clinical columns and name 'clinical', or merge rare "
            "categories"
        )


def category_shares(samples: pd.DataFrame, columns: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the share of each category of the training rows, by column.

    Parameters
    ----------
    samples : DataFrame of shape (n_rows, n_columns)
        What is known of the sample of each row.
    columns : sequence of str
        The columns to read.

    Returns
    -------
    dict of str to dict of str to float
        The shares; of a column with one category none, as nothing depends on it.
    """
    found = {}
    for name in columns:
        counts = pd.Series(_names(samples[name])).value_counts(normalize=True).sort_index()
        shares = {str(category): float(share) for category, share in counts.items()}
        found[name] = shares if len(shares) > 1 else {}
    return found


def category_columns(
    samples: pd.DataFrame, shares: Mapping[str, Mapping[str, float]]
) -> np.ndarray:
    """Return a column per category, 1 or 0, standardised by the share of the training rows.

    Parameters
    ----------
    samples : DataFrame of shape (n_rows, n_columns)
        What is known of the sample of each row.
    shares : mapping
        The result of `category_shares`.

    Returns
    -------
    array of shape (n_rows, n_categories)
        The columns; rows without a category, or with one that is not among the training rows, are
        0, the mean.

    Raises
    ------
    ValueError
        If the samples lack a column.
    """
    parts = [np.empty((len(samples), 0))]
    for name, share in shares.items():
        if name not in samples.columns:
            raise ValueError(
                f"the model was made independent of the column {name!r} of the samples, which X "
                f"lacks: add it to LesionTable.samples; its columns are {list(samples.columns)}"
            )
        labels = _names(samples[name])[:, None]
        _tell_unseen(name, labels[:, 0], share)
        categories = np.array(list(share), dtype=object)[None, :]
        own = (labels == categories).reshape(len(samples), len(share)).astype(float)
        mean = np.array(list(share.values()))
        scaled = (own - mean) / np.sqrt(mean * (1 - mean))
        parts.append(np.where(own.any(axis=1, keepdims=True), scaled, 0.0))
    return np.hstack(parts)


def _tell_unseen(name: str, labels: np.ndarray, share: Mapping[str, float]) -> None:
    """Warn of samples of categories that no training sample had."""
    unseen = sorted({one for one in labels if one is not None} - set(share))
    if unseen and share:
        warn_user(
            f"samples with {name} {unseen[:5]} are of no category of the training samples, "
            f"{list(share)[:5]}: what their own {name} does to the learned features is not removed",
            f"unseen {name}",
        )


def _names(column: pd.Series) -> np.ndarray:
    """Return the category of each row as text, the same for 1, 1.0 and "1"; None where missing."""
    missing = column.isna()
    names = [
        None if gone else category_name(one) for one, gone in zip(column, missing, strict=True)
    ]
    return np.array(names, dtype=object)
