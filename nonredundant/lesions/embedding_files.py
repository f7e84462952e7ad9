"""Read embeddings from files: CSV, Parquet or NPZ, labelled by the ids that they hold."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.lesions.labels import only_counts
from nonredundant.utils.optional import import_optional

#: Words of which the name of a column of ids consists.
_ID_WORDS = frozenset("id ids pid mrn patient patients subject subjects case cases sample".split())
#: A word in a name such as `patient_id` or `PatientID`.
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
#: The column with the number of a lesion in its sample, from 0, as in `LesionTable.to_frame`.
_LESION = "lesion"


def read_embedding(path: Any) -> pd.DataFrame:
    """Read an embedding, a row per sample or lesion.

    Parameters
    ----------
    path : str or path-like
        `.csv` (also `.csv.gz`) or `.parquet`: a column of ids (named for ids, else the first one;
        in Parquet also the index) and columns of numbers; `.npz`: an array of two dimensions and
        one of as many ids. A column or array `lesion` is the number of a lesion in its sample,
        from 0.

    Returns
    -------
    DataFrame
        The numbers, labelled by ids as text, and by the numbers of the lesions where there are
        any.

    Raises
    ------
    ValueError
        If the file is of another kind, damaged, or has no ids.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = f"{folder}/fmcib.npz"
    ...     np.savez(file, patient_id=["anna", "bert"], embedding=[[1.0, 2.0], [3.0, 4.0]])
    ...     read_embedding(file)
            0    1
    anna  1.0  2.0
    bert  3.0  4.0
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"there is no embedding {path}; the working directory is {Path.cwd()}"
        )
    name = path.name.lower()
    try:
        if name.endswith(".npz"):
            return _read_npz(path)
        if name.endswith((".csv", ".csv.gz")):
            frame = _read_csv(path)
        elif name.endswith(".parquet"):
            import_optional("pyarrow", extra="store", purpose="reading Parquet")
            frame = pd.read_parquet(path)
        else:
            raise ValueError("it is none of .csv, .csv.gz, .parquet and .npz")
        if _is_labelled(frame):
            return frame if frame.index.nlevels > 1 else _labelled(frame, frame.index.map(str))
        ids = _id_column(list(frame.columns))
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no embedding that can be read: {error}") from error
    fractions = frame[ids].astype(str).str.fullmatch(r"\s*-?\d+\.\d+(e[+-]?\d+)?\s*")
    if fractions.any() or frame[ids].isna().any():
        raise ValueError(
            f"{path}: the column {ids!r} must hold the id of each row, got "
            f"{frame[ids].head(3).tolist()}, …; write the ids to the first column"
        )
    return _labelled(frame.drop(columns=ids), frame[ids].map(str))


def _read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file with its ids as text, without a column that only counts the rows."""
    head = list(pd.read_csv(path, nrows=0).columns)
    other = next((mark for mark in (";", "\t") if len(head) == 1 and mark in str(head[0])), None)
    if other is not None:
        raise ValueError(f"its cells are separated by {other!r}: write it with commas")
    ids = _id_column(head)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(path, dtype={ids: str}, index_col=False)
    except pd.errors.ParserWarning as warning:
        raise ValueError(
            "its rows have more cells than its first line: name all columns, also that of the ids"
        ) from warning
    counts = [c for c in head if str(c).startswith("Unnamed: ") and c != ids]
    # The counter of the rows, as `DataFrame.to_csv` writes it, is no feature.
    return frame.drop(columns=[c for c in counts if frame[c].equals(_count(frame))])


def _is_labelled(frame: pd.DataFrame) -> bool:
    """Return whether the labels of the rows are the ids, as a Parquet file may hold them."""
    index = frame.index
    if index.nlevels > 1 or index.name is not None or not pd.api.types.is_integer_dtype(index):
        return True
    # The numbers that are left of a counter when rows are dropped are no ids beside a column.
    return not only_counts(index) and not _named_for_ids(list(frame.columns))


def _count(frame: pd.DataFrame) -> pd.Series:
    """Return the numbers of the rows."""
    return pd.Series(range(len(frame)), index=frame.index)


def rows_of_cases(frame: pd.DataFrame, labels: Iterable[Any]) -> pd.DataFrame:
    """Return the rows of an embedding that belong to some cases, compared as text.

    Parameters
    ----------
    frame : DataFrame
        The embedding, of these and other cases.
    labels : iterable
        Labels of the cases.

    Returns
    -------
    DataFrame
        The rows, in the order of the embedding.
    """
    wanted = {str(label) for label in labels}
    return frame[frame.index.get_level_values(0).map(str).isin(wanted)]


def _id_column(columns: list[Any]) -> Any:
    """Return the name of the column of ids: one that is named for them, else the first one."""
    if not columns:
        raise ValueError("it has no columns")
    named = _named_for_ids(columns)
    if len(named) > 1:
        raise ValueError(
            f"it has several columns that are named as ids are, {named[:5]}: keep the one that "
            "holds the ids of the cases, else another one would be taken for a feature"
        )
    return named[0] if named else columns[0]


def _named_for_ids(columns: list[Any]) -> list[Any]:
    """Return the columns that are named as ids are."""
    return [c for c in columns if {word.lower() for word in _WORD.findall(str(c))} & _ID_WORDS]


def _labelled(frame: pd.DataFrame, ids: Any) -> pd.DataFrame:
    """Return numbers labelled by ids, and by the numbers of lesions if there are any."""
    if _LESION not in frame.columns:
        return frame.set_axis(pd.Index(ids, name=None), axis=0)
    numbers = pd.to_numeric(frame[_LESION], errors="coerce")
    if not (numbers % 1 == 0).all():
        odd = frame[_LESION][~(numbers % 1 == 0)].tolist()
        raise ValueError(
            f"the column {_LESION!r} must be the number of each lesion in its sample, from 0, got "
            f"{odd[:5]}"
        )
    index = pd.MultiIndex.from_arrays([ids, numbers.astype(int)], names=[None, None])
    return frame.drop(columns=_LESION).set_axis(index, axis=0)


def _read_npz(path: Path) -> pd.DataFrame:
    """Read the array of two dimensions, the ids and, if there are any, the numbers of lesions."""
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no file of np.savez")
    with np.load(path, allow_pickle=False) as file:
        # Arrays of objects are refused here, with an error that names none of them.
        arrays = {name: file[name] for name in file.files}
    shapes = {name: array.shape for name, array in arrays.items()}
    values = [name for name, array in arrays.items() if array.ndim == 2 and array.dtype.kind in "f"]
    if len(values) != 1:
        raise ValueError(f"it must have one array of two dimensions, and has the arrays {shapes}")
    numbers = arrays[values[0]]
    ids = [
        name
        for name, array in arrays.items()
        if array.shape == (len(numbers),) and name != _LESION and array.dtype.kind in "UiuS"
    ]
    if len(ids) != 1:
        raise ValueError(
            f"it must have one array of {len(numbers)} ids, as text or whole numbers, and has the "
            f"arrays {shapes}; np.savez(path, patient_id=ids, embedding=values) writes both"
        )
    labels = arrays[ids[0]]
    frame = pd.DataFrame(numbers.astype(np.float64))
    if _LESION in arrays:
        frame[_LESION] = arrays[_LESION]
    return _labelled(frame, labels.astype(str))
