"""The results of single cases, put together into a `LesionTable`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nonredundant._cases import names_of
from nonredundant.lesions import LesionTable


def assemble(
    results: list[dict[str, Any]],
    index: pd.Index,
    names: Sequence[str],
    n_dim: int,
    patch_shape: Sequence[int] | None,
    provenance: dict[str, Any],
) -> LesionTable:
    """Return the table; a failed case has one row of NaN, a patch of zeros and an empty mask.

    The list of results is emptied on the way, so that patches are not held twice.
    """
    counts = [1 if result["error"] is not None else len(result["features"]) for result in results]
    n_lesions = sum(counts)
    features = np.full((n_lesions, len(names)), np.nan)
    positions = np.full((n_lesions, n_dim), np.nan)
    parts: dict[str, Any] = {}
    if patch_shape is not None:
        shape = (n_lesions, 1, *patch_shape[-n_dim:])
        parts["patches"] = np.zeros(shape, dtype=np.float32)
        parts["masks"] = np.zeros(shape, dtype=np.bool_)
        parts["spacing"] = np.full((n_lesions, n_dim), np.nan)
    columns = {name: i for i, name in enumerate(names)}
    status, lesion_status = [], []
    start = 0
    for i, count in enumerate(counts):
        result, results[i] = results[i], {}
        rows = slice(start, start + count)
        start += count
        status.append("ok" if result["error"] is None else result["error"])
        lesion_status += result.get("status", status[-1:])
        if result["error"] is not None:
            continue
        features[rows, [columns[name] for name in names_of(result)]] = result["features"]
        positions[rows] = result["positions"]
        for name, part in parts.items():
            part[rows] = result[name]
    return LesionTable(
        pd.DataFrame(features, columns=list(names)),
        sample=np.repeat(np.arange(len(counts)), counts),
        positions=positions,
        status=status,
        lesion_status=lesion_status,
        index=index,
        provenance=provenance,
        **parts,
    )


def common_dimension(names: Sequence[str], results: Sequence[dict[str, Any]]) -> int | None:
    """Return the dimensions of all images, or say which two differ."""
    seen = {
        result["n_dim"]: name
        for name, result in zip(names, results, strict=True)
        if result["error"] is None
    }
    if len(seen) > 1:
        raise ValueError(
            "a table holds 2-D images or 3-D images, not both: "
            + ", ".join(f"{name} is {n_dim}-D" for n_dim, name in sorted(seen.items()))
        )
    return next(iter(seen), None)
