"""Concatenate tables of lesions, and describe lesions in a data frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.lesions._checks import check_same_blocks, check_same_columns, joined


def concatenated_parts(tables: Sequence[Any]) -> dict[str, Any]:
    """Concatenate the constructor arguments of tables."""
    if not tables:
        raise ValueError("concat needs at least one table")
    first = tables[0]
    for table in tables[1:]:
        check_same_columns(first.columns, table.columns)
        check_same_blocks(first.blocks, table.blocks)
    offsets = np.cumsum([0] + [len(table) for table in tables[:-1]])
    parts: dict[str, Any] = {}
    for name in ("patches", "masks", "positions", "spacing"):
        values = [getattr(table, name) for table in tables]
        parts[name] = None if any(v is None for v in values) else joined(values)
    pairs = zip(tables, offsets, strict=True)
    return {
        "features": pd.concat([table.features[first.columns] for table in tables]),
        "blocks": first.blocks,
        "sample": np.concatenate([table.sample + offset for table, offset in pairs]),
        "status": np.concatenate([table.status.to_numpy() for table in tables]),
        "lesion_status": np.concatenate([table.lesion_status.to_numpy() for table in tables]),
        "index": first.index.append([table.index for table in tables[1:]]),
        "samples": pd.concat([table.samples for table in tables]),
        "provenance": first.provenance,
        **parts,
    }


def leading_columns(table: Any) -> dict[str, np.ndarray]:
    """Return the columns that precede the features in a data frame of lesions."""
    status = table.status.to_numpy()[table.sample]
    columns = {
        "lesion": np.arange(table.n_lesions) - np.searchsorted(table.sample, table.sample),
        "status": status,
    }
    own = table.lesion_status.to_numpy()
    if (own != status).any():
        columns["lesion_status"] = own
    if table.positions is not None:
        axes = "zyx"[-table.positions.shape[1] :]
        columns |= {f"position_{axis}": table.positions[:, i] for i, axis in enumerate(axes)}
    return columns
