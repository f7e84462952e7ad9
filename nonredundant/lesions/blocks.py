"""Blocks of columns: hand-crafted, clinical, left out of these, and one per given embedding."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from nonredundant.utils.close_names import suggest_names

#: The block of known columns that no classifier is given, such as those that a step did not select.
LEFT_OUT = "left out"
#: The blocks of known columns, in the order in which a table keeps them; embeddings follow.
BLOCKS = ("hcr", "clinical", LEFT_OUT)
#: What stands between the name of an embedding and that of its column.
_BETWEEN = "__"
_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9.\-]|_(?!_))*")
#: Names with another meaning in blocks or in feature sets.
_TAKEN = re.compile(r"hcr|clinical|dlr|pca\d*|[hd]\d+|volume|dissemination|.*-(mi|residual)", re.I)


def check_embedding_name(name: Any) -> str:
    """Return the name of an embedding, which is also that of its block and feature set.

    Raises
    ------
    ValueError
        If it is no name, or one that means something else in blocks or feature sets.

    Examples
    --------
    >>> check_embedding_name("CT-FM")
    'CT-FM'
    >>> check_embedding_name("D16")
    Traceback (most recent call last):
    ...
    ValueError: 'D16' cannot name an embedding: ...
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or _TAKEN.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot name an embedding: a name starts with a letter, has letters, digits, "
            "'.', '-' and single '_', and is none of those that stand for other features (HCR, "
            "Clinical, DLR, PCA, H8, D16, volume, dissemination) and ends in neither -MI nor "
            "-residual; for instance 'FMCIB'"
        )
    return name


def embedding_columns(name: str, columns: Iterable[Any]) -> list[str]:
    """Return the names of an embedding's columns in a table.

    Examples
    --------
    >>> embedding_columns("FMCIB", [0, 1])
    ['FMCIB__0', 'FMCIB__1']
    """
    return [f"{name}{_BETWEEN}{column}" for column in columns]


def check_blocks(blocks: Mapping[str, str] | None, columns: pd.Index) -> dict[str, str]:
    """Return the block of every column; HCR by default.

    Raises
    ------
    ValueError
        If columns have one name, or a column or block is unknown: that of an embedding has columns
        that bear its name.
    """
    if columns.has_duplicates:
        raise ValueError(f"duplicated features: {columns[columns.duplicated()].tolist()}")
    blocks = dict(blocks or {})
    unknown = sorted(set(blocks) - set(columns))
    wrong = sorted({kind for name, kind in blocks.items() if not _may_contain(kind, name)})
    if unknown or wrong:
        given = "; deep features are given as embeddings={name: frame}" if wrong else ""
        raise ValueError(
            f"blocks maps columns to {' or '.join(map(repr, BLOCKS))}; "
            f"unknown columns: {unknown}, unknown blocks: {wrong}"
            f"{suggest_names(unknown, columns)}{given}"
        )
    return {name: blocks.get(name, "hcr") for name in columns}


def embedding_names(blocks: Mapping[str, str]) -> list[str]:
    """List the embeddings among the blocks of columns, in order."""
    return [kind for kind in dict.fromkeys(blocks.values()) if kind not in BLOCKS]


def in_order(blocks: Mapping[str, str]) -> list[str]:
    """Return the columns in the order of their blocks."""
    places = {kind: i for i, kind in enumerate((*BLOCKS, *embedding_names(blocks)))}
    return sorted(blocks, key=lambda name: places[blocks[name]])


def _may_contain(kind: Any, column: Any) -> bool:
    """Return whether a block may have a column of this name."""
    if kind in BLOCKS:
        return True
    # Pooling puts its own name before that of the column.
    return isinstance(kind, str) and f"{_BETWEEN}{kind}{_BETWEEN}" in f"{_BETWEEN}{column}"
