"""The case table: its columns, its rows as sources, and how a case is named in a message."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from nonredundant._cases import Sources
from nonredundant.io import describe


def check_case_table(X: Any, clinical: Iterable[str] = ()) -> pd.DataFrame:
    """Return the table, or raise an error that lists the columns found and wanted."""
    wanted = "a row a sample, a column 'image' and, for regions, a column 'mask'"
    if not isinstance(X, pd.DataFrame):
        shape = f" of shape {X.shape}" if hasattr(X, "shape") else ""
        raise TypeError(
            f"X must be a case table: a pandas DataFrame with {wanted}; got "
            f"{type(X).__name__}{shape}"
        )
    found = f"found columns {list(X.columns)}"
    missing = [name for name in ("image", *clinical) if name not in X.columns]
    if missing:
        raise ValueError(
            f"the case table lacks the columns {missing}: {found}; needed are {wanted}"
        )
    if not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()].unique().tolist()
        raise ValueError(f"the case table has columns of the same name: {twice}")
    if not len(X):
        raise ValueError(f"the case table has no rows ({found})")
    if not X.index.is_unique:
        labels = X.index[X.index.duplicated()].unique().tolist()
        raise ValueError(
            f"the case table's index names {len(labels)} samples more than once: {labels[:5]}; "
            "give each sample one row, or use reset_index(drop=True)"
        )
    return X


def read_rows(X: pd.DataFrame, root: Any = None) -> list[Sources]:
    """Return the cells of each row, relative paths below `root`."""
    n = len(X)
    images = X["image"].tolist()
    masks = X["mask"].tolist() if "mask" in X.columns else [None] * n
    spacings = X["spacing"].tolist() if "spacing" in X.columns else [None] * n
    base = None if root is None else Path(root).expanduser()
    return [
        Sources(_resolved(image, base), _resolved(mask, base), _present(spacing))
        for image, mask, spacing in zip(images, masks, spacings, strict=True)
    ]


def case_name(label: Any, sources: Sources) -> str:
    """Name a case by its row label and its files."""
    shown = repr(label) if isinstance(label, str) else str(label)
    mask = "no mask" if sources.mask is None else f"mask {describe(sources.mask)}"
    return f"case {shown} (image {describe(sources.image)}, {mask})"


def _present(cell: Any) -> Any:
    """Return None for an empty cell."""
    return None if pd.api.types.is_scalar(cell) and pd.isna(cell) else cell


def _resolved(cell: Any, base: Path | None) -> Any:
    """Return a cell, a relative path joined to the base."""
    cell = _present(cell)
    if isinstance(cell, str | Path) and base is not None:
        return base / Path(cell).expanduser()
    return cell
