"""Edges of the graphs of patients' lesions, built for a whole table by index arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nonredundant.lesions.table import LesionTable

#: Limit of the number of pairs of lesions that are processed together.
MOST_PAIRS = 2_000_000
#: Relative tolerance of distances. All neighbours that are as far as the last one are kept, so
#: that the choice among them does not depend on the order of lesions or on a rotation.
_TIE = 1e-6


@dataclass(frozen=True)
class LesionEdges:
    """Edges source -> target between rows of a table, sorted by patient.

    `start[p]` is the first edge of patient p, `start[-1]` the number of edges. Each lesion has
    an edge to itself with distance 0. `distance` is in mm.
    """

    source: np.ndarray
    target: np.ndarray
    distance: np.ndarray
    start: np.ndarray


def lesion_edges(table: LesionTable, kind: str, n_neighbors: int, radius: float) -> LesionEdges:
    """Connect the lesions of each patient.

    Raises
    ------
    ValueError
        If distances are needed and the table has no positions, or a patient with several
        lesions has one whose position is not finite.
    """
    counts = np.bincount(table.sample, minlength=table.n_samples)
    starts = np.cumsum(counts) - counts
    positions = _checked_positions(table, counts)
    parts = [
        _chunk_edges(starts[a:b], counts[a:b], positions, kind, n_neighbors, radius)
        for a, b in _chunks(counts)
    ]
    source, target, distance = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    per_patient = np.bincount(table.sample[target], minlength=table.n_samples)
    start = np.concatenate([[0], np.cumsum(per_patient)])
    return LesionEdges(source, target, distance.astype(np.float32), start)


def check_positions(table: LesionTable) -> None:
    """Raise if a patient has several lesions but the table has no positions."""
    if table.positions is None and not table.is_single:
        raise ValueError(
            "the graph of a patient needs the distances between lesions, but the table has no "
            "positions: extract it with RadiomicsExtractor(lesions='components'), or give "
            "LesionTable the centroids in mm"
        )


def _checked_positions(table: LesionTable, counts: np.ndarray) -> np.ndarray:
    """Return the positions in mm; raise if one that a distance needs is not finite."""
    several = counts[table.sample] > 1
    check_positions(table)
    if table.positions is None:
        return np.zeros((table.n_lesions, 1))
    unknown = several & ~np.isfinite(table.positions).all(axis=1)
    if unknown.any():
        labels = table.features.index[unknown].unique().tolist()
        raise ValueError(
            f"{unknown.sum()} lesions of {len(labels)} patients with several lesions have no "
            f"finite position: cases {labels[:5]}; repair or drop them"
        )
    return np.nan_to_num(table.positions)


def _chunks(counts: np.ndarray) -> list[tuple[int, int]]:
    """Split the patients into ranges with a limited number of pairs of lesions."""
    group = np.cumsum(counts.astype(np.int64) ** 2) // MOST_PAIRS
    bounds = [0, *(np.flatnonzero(np.diff(group)) + 1), len(counts)]
    return [(int(a), int(b)) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]


def _chunk_edges(
    starts: np.ndarray,
    counts: np.ndarray,
    positions: np.ndarray,
    kind: str,
    n_neighbors: int,
    radius: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute source, target and distance of the edges of some patients, sorted by target."""
    patient = np.repeat(np.arange(len(counts)), counts**2)
    within = np.arange(len(patient)) - np.repeat(np.cumsum(counts**2) - counts**2, counts**2)
    target = starts[patient] + within // counts[patient]
    source = starts[patient] + within % counts[patient]
    distance = np.linalg.norm(positions[target] - positions[source], axis=1)
    if kind == "complete":
        return source, target, distance
    if kind == "radius":
        keep = (distance <= radius * (1 + _TIE)) | (source == target)
    else:
        keep = _nearest(source, target, distance, np.repeat(counts, counts), n_neighbors)
    return source[keep], target[keep], distance[keep]


def _nearest(
    source: np.ndarray, target: np.ndarray, distance: np.ndarray, degree: np.ndarray, k: int
) -> np.ndarray:
    """Select the pairs that connect a target with itself or one of its k nearest lesions."""
    # Sorted by target and distance, the pairs of a target stay a block. Its pair with itself comes
    # first, even if another lesion has the same position.
    order = np.lexsort((np.where(source == target, -1.0, distance), target))
    first = np.cumsum(degree) - degree
    limit = distance[order][first + np.minimum(k, degree - 1)]
    return (distance <= np.repeat(limit, degree) * (1 + _TIE)) | (source == target)


def ranges(start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, Any]:
    """Concatenate the integer ranges start..stop, and return their lengths."""
    lengths = stop - start
    offset = np.repeat(start - (np.cumsum(lengths) - lengths), lengths)
    return np.arange(len(offset)) + offset, lengths
