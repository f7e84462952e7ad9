"""Given embeddings of the cases of a table: of files, or of its own columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nonredundant.lesions.blocks import check_embedding_name, embedding_columns
from nonredundant.lesions.embedding_files import read_embedding, rows_of_cases
from nonredundant.utils.close_names import suggest_names


def case_embeddings(
    embeddings: Mapping[str, Any] | None, cases: pd.DataFrame, root: Any = None
) -> dict[str, pd.DataFrame]:
    """Read the embeddings of cases, before their images are.

    Parameters
    ----------
    embeddings : mapping of str to path, DataFrame or list of str, or None
        File, frame or columns of the case table, by the name of the embedding. Files and frames
        may hold other cases, too.
    cases : DataFrame
        The case table.
    root : path, optional
        Folder that relative paths start from.

    Returns
    -------
    dict of str to DataFrame
        The rows of the cases.

    Raises
    ------
    ValueError
        If a file cannot be read, or a column or a case is missing.
    """
    found = {}
    for name, source in (embeddings or {}).items():
        check_embedding_name(name)
        frame = _read(name, source, cases, root)
        there = set(frame.index.get_level_values(0).map(str))
        missing = [label for label in cases.index if str(label) not in there]
        if missing:
            raise ValueError(
                f"the embedding {name!r} has no row of {len(missing)} of {len(cases)} cases, "
                f"{missing[:5]}; its ids are {sorted(there)[:5]}, …: leave these cases out, or "
                "compute their embedding"
            )
        found[name] = rows_of_cases(frame, cases.index)
    return found


def names_of_embeddings(embeddings: Mapping[str, Any] | None, root: Any = None) -> list[str]:
    """List the columns that given embeddings have in a table of lesions."""
    columns: list[str] = []
    for name, source in (embeddings or {}).items():
        listed = source if isinstance(source, list | tuple) else _frame(source, root).columns
        columns += embedding_columns(name, listed)
    return columns


def listed_embedding_columns(embeddings: Mapping[str, Any] | None) -> list[Any]:
    """List the columns of the case table that are embeddings."""
    sources = (embeddings or {}).values()
    return [c for source in sources if isinstance(source, list | tuple) for c in source]


def _read(name: str, source: Any, cases: pd.DataFrame, root: Any) -> pd.DataFrame:
    """Return an embedding of a file or frame, or of columns of the case table."""
    if not isinstance(source, list | tuple):
        return _frame(source, root)
    missing = [column for column in source if column not in cases.columns]
    if missing or not source:
        raise ValueError(
            f"the embedding {name!r} needs {len(missing)} columns that the case table lacks: "
            f"{missing[:5]}{suggest_names(missing[:5], cases.columns)}"
        )
    return cases[list(source)]


def _frame(source: Any, root: Any) -> pd.DataFrame:
    """Return a frame, or that of a file, whose relative path starts from the root."""
    if isinstance(source, pd.DataFrame):
        return source
    return read_embedding(Path("" if root is None else root) / Path(source).expanduser())
