"""The ranges of a training cohort, and the cases that lie outside of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.extraction.case_table import (
    Sources,
    read_image_rows,
    read_rows,
    source_columns,
)
from nonredundant.io.errors import CaseError
from nonredundant.io.images import read_spacing
from nonredundant.lesions.features import non_numeric_columns
from nonredundant.lesions.images import settings_by_image
from nonredundant.lesions.labels import category_name, check_same_cases
from nonredundant.lesions.measures import pool_samples
from nonredundant.lesions.table import LesionTable

#: A case is outside if a larger share of its features lies outside of the training range.
_SHARE_OUTSIDE = 0.25
#: Margin around the training range, as a share of that range.
_MARGIN = 0.1


def fingerprint(
    table: LesionTable,
    X: Any,
    root: Any,
    clinical: Sequence[str],
    categories: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the ranges of features, grey levels and voxel sizes of the training cohort.

    `clinical` are the names of the clinical columns as encoded, `categories` other columns of
    the samples, such as the centre, that a network was made independent of.
    """
    low, high = _range(table, table.hcr)
    marks: dict[str, Any] = {"n_samples": len(table), "low": low, "high": high}
    marks["embeddings"] = {name: _range(table, own) for name, own in table.embeddings.items()}
    # The largest share of the columns of a block that a sample lacked.
    marks["lacking"] = {
        name: float(pool_samples(table, own).isna().mean(axis=1).max()) if own.shape[1] else 0.0
        for name, own in {"": table.hcr, **table.embeddings}.items()
    }
    cells = _cells(X)
    marks["categories"] = {
        name: sorted(set(cells[name].dropna().map(category_name)))
        for name in (*_clinical_words(clinical, cells), *categories)
        if name in cells
    }
    for name, found in _acquisition(table, X, root).items():
        if np.isfinite(found).any():
            marks[name] = [float(np.nanmin(found)), float(np.nanmax(found))]
    return marks


def outside_of(marks: dict[str, Any], table: LesionTable, X: Any, root: Any) -> pd.Series:
    """List the quantities in which each case is outside of the training ranges; empty if none."""
    check_same_cases(X, table)
    # By row: several may have the same label.
    reasons: list[list[str]] = [[] for _ in table.index]
    for row, reason in chain(
        _odd_acquisition(marks, _acquisition(table, X, root)),
        _unseen_categories(marks, X),
        _odd_features(marks, table),
    ):
        reasons[row].append(reason)
    return pd.Series(["; ".join(parts) for parts in reasons], table.index, dtype=str)


def _odd_acquisition(
    marks: dict[str, Any], now: dict[str, np.ndarray]
) -> Iterator[tuple[int, str]]:
    """Yield the rows with grey levels or voxels outside of the training range, and which."""
    units = {"levels": "grey levels", "spacing": "mm voxels"}
    for name in (one for one in now if one in marks):
        image, _, kind = name.rpartition("_")
        what = f"{units[kind]} in {image}" if image else units[kind]
        low, high = marks[name]
        margin = _MARGIN * (high - low) + 1e-6 * abs(high)
        for row, value in enumerate(now[name]):
            if not low - margin <= value <= high + margin and not np.isnan(value):
                yield row, f"{value:.3g} {what} (trained {low:.3g}-{high:.3g})"


def _odd_features(marks: dict[str, Any], table: LesionTable) -> Iterator[tuple[int, str]]:
    """Yield the rows with many features out of the training range, or missing, and how many."""
    fine = (table.status == "ok").to_numpy()
    for name, (columns, low, high) in _blocks(marks, table).items():
        if not columns.shape[1]:
            continue
        what = f"columns of {name}" if name else "features"
        margin = _MARGIN * (high - low)
        values = pool_samples(table, columns).to_numpy()
        odd = (values < low - margin) | (values > high + margin)
        gone = np.isnan(values) & np.isfinite(low) & fine[:, None]
        usual = max(_SHARE_OUTSIDE, marks.get("lacking", {}).get(name, 0.0))
        for row, (out, missing) in enumerate(zip(odd, gone, strict=True)):
            if out.mean() > _SHARE_OUTSIDE:
                yield row, f"{int(out.sum())} of {len(out)} {what} out of range"
            if missing.mean() > usual:
                yield row, f"{int(missing.sum())} of {len(missing)} {what} missing"


def missing_throughout(
    marks: dict[str, Any], table: LesionTable, cells: Sequence[str]
) -> list[str]:
    """List the columns that the training cohort had, and that no sample of a table has.

    Parameters
    ----------
    marks : dict
        The fingerprint of the training cohort.
    table : LesionTable
        Samples that could be read.
    cells : sequence of str
        Columns of `table.samples` that a model reads.

    Returns
    -------
    list of str
        Names of features, of columns of embeddings and of these columns.
    """
    found = []
    for columns, low, _ in _blocks(marks, table).values():
        gone = columns.isna().all(axis=0).to_numpy() & np.isfinite(low)
        found += columns.columns[gone].tolist()
    found += [name for name, column in table.clinical.items() if column.isna().all()]
    there = [name for name in dict.fromkeys(cells) if name in table.samples]
    return found + [name for name in there if table.samples[name].isna().all()]


def _blocks(marks: dict[str, Any], table: LesionTable) -> dict[str, tuple[Any, Any, Any]]:
    """Return the columns of each block with their least and largest values; "" is HCR."""
    blocks = {"": (table.hcr, marks["low"], marks["high"])}
    for name, (low, high) in marks.get("embeddings", {}).items():
        blocks[name] = table.embeddings[name], low, high
    return blocks


def _range(table: LesionTable, columns: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest value of each column, of samples."""
    values = pool_samples(table, columns).to_numpy()
    if not values.size:
        return np.empty(0), np.empty(0)
    with warnings.catch_warnings():
        # A column without any value has no range.
        warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
        return np.nanmin(values, axis=0), np.nanmax(values, axis=0)


def _cells(X: Any) -> Any:
    """Return the columns of the samples of lesions; cases and matrices unchanged."""
    return X.samples if isinstance(X, LesionTable) else X


def _clinical_words(made: Sequence[str], X: Any) -> list[str]:
    """List the columns of words of the case table that its clinical columns are made from."""
    if not made or not isinstance(X, pd.DataFrame):
        return []
    sources = source_columns(X)
    words = [name for name in non_numeric_columns(X) if name not in sources]
    # Encoders name a column after its source, for instance "sex_M" or "onehotencoder__sex_M".
    return [name for name in words if any(str(name) in one for one in made)]


def _unseen_categories(marks: dict[str, Any], X: Any) -> Iterator[tuple[int, str]]:
    """Yield the rows with a category that was not seen in training, and which."""
    X = _cells(X)
    for name, seen in marks.get("categories", {}).items():
        if not isinstance(X, pd.DataFrame) or name not in X.columns:
            continue
        cells = X[name].reset_index(drop=True).dropna().map(category_name)
        for row, cell in cells[~cells.isin([category_name(one) for one in seen])].items():
            yield int(row), f"{name}: category {cell!r} was not seen in training"


def _acquisition(table: LesionTable, X: Any, root: Any) -> dict[str, np.ndarray]:
    """Return the grey levels of each sample, where they are known, and its voxel size."""
    found: dict[str, np.ndarray] = {}
    by_image = settings_by_image(table.provenance)
    for image, plan in by_image.items():
        settings, start = (
            plan.get("parameters", {}).get("setting", {}),
            f"{image}_" if image else "",
        )
        width, column = settings.get("binWidth", 25.0), f"{start}original_firstorder_Range"
        if column in table.blocks and settings.get("binCount") is None:
            span = pool_samples(table, table.features[[column]])
            found[f"{start}levels"] = np.floor(span.to_numpy()[:, 0] / width) + 1
    if not isinstance(X, pd.DataFrame):
        return found
    if "" in by_image:
        return found | {"spacing": _voxel_sizes(read_rows(X, root))}
    rows = read_image_rows(X, list(by_image), root)
    for image in by_image:
        sources = [row.parts[image] for row in rows]
        found[f"{image}_spacing"] = _voxel_sizes(sources)
    return found


def _voxel_sizes(rows: list[Sources]) -> np.ndarray:
    """Return the cube root of the voxel volume of each image in mm; NaN if it cannot be read."""
    sizes = []
    for row in rows:
        if row.image is None:
            sizes.append(np.nan)
            continue
        try:
            spacing = read_spacing(row.image, spacing=row.spacing)
        except CaseError:
            # The extraction has reported what is wrong with it.
            sizes.append(np.nan)
            continue
        sizes.append(float(spacing.prod() ** (1 / len(spacing))))
    return np.asarray(sizes)
