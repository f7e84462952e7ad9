"""Repeated measurements of the same samples: split, joined by their labels, averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.lesions.features import describe_odd_cells, non_numeric_columns
from nonredundant.lesions.measures import pool_samples
from nonredundant.lesions.table import LesionTable

_SHOWN = 5


def split_repeats(table: Any, by: str, *, sample: str | None = None) -> list[Any]:
    """Split a table with several rows of a sample into one table per repeat.

    Parameters
    ----------
    table : LesionTable or DataFrame
        All measurements, such as those of two readers, or of test and retest.
    by : str
        Column, of a LesionTable a column of `samples`, that says which repeat a row is.
    sample : str, optional
        Column that says of which sample; of a frame by default its index.

    Returns
    -------
    list of LesionTable or DataFrame
        One table per repeat, in the order of their first rows, labelled by the samples.

    Raises
    ------
    ValueError
        If a column is missing, a cell of `by` is empty, there is one repeat only, or a sample has
        two rows of one repeat.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame(
    ...     {"reader": ["A", "B", "A", "B"], "volume": [1.0, 1.1, 2.0, 2.2]},
    ...     index=["anna", "anna", "bert", "bert"],
    ... )
    >>> [one["volume"].tolist() for one in split_repeats(rows, "reader")]
    [[1.0, 2.0], [1.1, 2.2]]
    """
    is_table = isinstance(table, LesionTable)
    frame = table.samples if is_table else table
    needed = [by, *([] if sample is None else [sample])]
    missing = [name for name in needed if name not in frame.columns]
    if missing or (is_table and sample is None):
        raise ValueError(
            f"the columns {missing or ['sample']} are needed to know which repeat of which sample "
            f"a row is; there are {list(frame.columns)[:_SHOWN]}"
        )
    if frame[by].isna().any():
        label = frame.index[frame[by].isna()][0]
        raise ValueError(f"the column {by!r} is empty for {label!r}: which repeat is it?")
    labels = frame.index if sample is None else pd.Index(frame[sample])
    numbers, repeats = pd.factorize(frame[by])
    if len(repeats) < 2:
        raise ValueError(f"the column {by!r} names one repeat only, {repeats[0]!r}")
    parts = []
    for number, repeat in enumerate(repeats):
        rows = np.flatnonzero(numbers == number)
        if labels[rows].has_duplicates:
            twice = labels[rows][labels[rows].duplicated()].tolist()
            raise ValueError(
                f"the samples {twice[:_SHOWN]} have several rows of the repeat {repeat!r}"
            )
        if is_table:
            parts.append(table[rows].replace(index=labels[rows]))
        else:
            parts.append(frame.iloc[rows].drop(columns=needed).set_axis(labels[rows], axis=0))
    return parts


def measured_values(
    repeat: Any, name: str = "repeat", columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return one row per sample with the columns that a repeat measures.

    Parameters
    ----------
    repeat : LesionTable, DataFrame or array of shape (n_samples, n_columns)
        One measurement of the samples. Of a table the hand-crafted features and embeddings, their
        means over the lesions of a sample: patients are what is sampled, and classifiers see them.
    name : str
        What it is called in messages.
    columns : sequence of str, optional
        The columns that are needed; others are then not looked at.

    Returns
    -------
    DataFrame of float
        The values, indexed by the labels of the samples.

    Raises
    ------
    ValueError
        If columns are missing, labels are repeated, or cells are no numbers.
    """
    frame = repeat.features if isinstance(repeat, LesionTable) else pd.DataFrame(repeat)
    if columns is not None:
        missing = [one for one in columns if one not in frame.columns]
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(columns)} features are not in {name}: "
                f"{missing[:_SHOWN]}; measure all repeats by the same settings"
            )
        frame = frame[list(columns)]
    if isinstance(repeat, LesionTable):
        clinical = [name for name in repeat.columns_of("clinical") if name in frame.columns]
        own = frame.drop(columns=clinical)
        lost = np.unique(repeat.sample[own.isna().all(axis=1).to_numpy()])
        frame = pool_samples(repeat, own)
        # The mean over other lesions is another quantity, not another measurement.
        frame.iloc[lost] = np.nan
    if frame.index.has_duplicates:
        twice = frame.index[frame.index.duplicated()].unique().tolist()
        raise ValueError(
            f"{name} has several rows of {twice[:_SHOWN]}: give one table per repeat, for instance "
            "by split_repeats, and several lesions of a sample as a LesionTable"
        )
    words = non_numeric_columns(frame)
    if words:
        what = describe_odd_cells(frame[words[0]], mostly=False) or repr(words[0])
        raise ValueError(f"{name} must hold numbers, but {what}")
    return frame.astype(float)


def joined_repeats(
    repeats: Sequence[Any], columns: Sequence[str] | None = None
) -> tuple[pd.Index, pd.Index, np.ndarray]:
    """Join repeats by the labels of their samples and the names of their columns.

    Parameters
    ----------
    repeats : sequence of LesionTable, DataFrame or array
        Two or more measurements of the same samples, all of which count alike.
    columns : sequence of str, optional
        The columns to join; all by default, which must then be the same in all repeats.

    Returns
    -------
    samples, columns : Index
        Labels of all samples that any repeat has, and the columns, which all repeats have.
    values : array of shape (n_samples, n_repeats, n_columns)
        The measurements; NaN where a repeat lacks a sample.

    Raises
    ------
    TypeError
        If the repeats are no sequence.
    ValueError
        If there are fewer than two, columns differ, or no sample is in two of them.

    Examples
    --------
    >>> import pandas as pd
    >>> one = pd.DataFrame({"volume": [1.0, 2.0]}, index=["anna", "bert"])
    >>> samples, columns, values = joined_repeats([one, one.loc[["bert"]] + 0.2])
    >>> values[:, :, 0]
    array([[1. , nan],
           [2. , 2.2]])
    """
    if isinstance(repeats, LesionTable | pd.DataFrame | str) or not hasattr(repeats, "__len__"):
        raise TypeError(
            "repeats must be a list of tables, one per measurement; split_repeats makes it from "
            f"one table. Got {type(repeats).__name__}"
        )
    if len(repeats) < 2:
        raise ValueError(
            f"agreement needs two or more measurements, got {len(repeats)}: the first measurement "
            "counts, too, as in [table, retest]"
        )
    frames = [measured_values(one, f"repeat {i}", columns) for i, one in enumerate(repeats)]
    names, samples = frames[0].columns, frames[0].index
    for number, frame in enumerate(frames[1:], start=1):
        lacks, more = names.difference(frame.columns), frame.columns.difference(names)
        if len(lacks) or len(more):
            raise ValueError(
                f"repeat {number} has other columns than repeat 0: {len(lacks)} are missing, "
                f"{list(lacks)[:_SHOWN]}, and {len(more)} more, {list(more)[:_SHOWN]}; measure all "
                "repeats by the same settings"
            )
        samples = samples.union(frame.index, sort=False)
    values = np.stack([one.reindex(samples)[names].to_numpy() for one in frames], axis=1)
    present = sum(samples.isin(frame.index).astype(int) for frame in frames)
    if not np.any(present > 1):
        raise ValueError(
            f"no sample has two measurements: repeat 0 has {frames[0].index[:_SHOWN].tolist()}, "
            f"repeat 1 has {frames[1].index[:_SHOWN].tolist()}; label the samples alike"
        )
    return samples, names, values


def average_repeats(repeats: Sequence[LesionTable]) -> LesionTable:
    """Average the features of repeats, lesion by lesion, as test-time augmentation does.

    Parameters
    ----------
    repeats : sequence of LesionTable
        Tables of the same lesions in the same order, such as those of `RadiomicsExtractor.perturb`.

    Returns
    -------
    LesionTable
        The first table, with the mean of each feature over the repeats that have it.

    Raises
    ------
    ValueError
        If samples, lesions or columns differ.

    Examples
    --------
    >>> import pandas as pd
    >>> one = LesionTable(pd.DataFrame({"volume": [1.0, 2.0]}, index=["anna", "bert"]))
    >>> two = one.replace(features=one.features + 0.5)
    >>> average_repeats([one, two]).features["volume"].tolist()
    [1.25, 2.25]
    """
    first = repeats[0]
    for number, one in enumerate(repeats[1:], start=1):
        alike = one.index.equals(first.index) and np.array_equal(one.sample, first.sample)
        if not alike or not one.columns.equals(first.columns):
            raise ValueError(
                f"repeat {number} has other samples, lesions or columns than repeat 0, or in "
                "another order: lesions are averaged one by one"
            )
    values = np.stack([one.features.to_numpy(dtype=float) for one in repeats])
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    means = np.where(known, values, 0.0).sum(axis=0) / np.where(counts > 0, counts, np.nan)
    features = pd.DataFrame(means, index=first.features.index, columns=first.columns)
    return first.replace(features=features)
