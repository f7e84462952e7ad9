"""Count the texture matrices of a lesion in passes over its voxels.

Each direction to a neighbour is one distance in a flat array that has a border of zeros, so that
the neighbours of all voxels are read at once. The counts are those of pyradiomics' C functions,
which visit the voxels one by one and read the neighbours anew for each matrix.

Definitions: van Griethuysen et al. 2017 (doi 10.1158/0008-5472.CAN-17-0339).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from nonredundant.extraction.levels import Discretised

#: Largest rank of a level for which small integers have room, besides marks of the outside.
_SMALL = np.iinfo(np.uint16).max - 1
#: Voxels up to which the order along lines is kept for the next image; it takes 117 bytes a voxel.
_KEPT = 1_000_000


class Grid:
    """The voxels of a lesion in a flat array with a border.

    Parameters
    ----------
    inside : bool array of shape (z, y, x) or (y, x)
        The lesion in its bounding box.
    setting : mapping
        pyradiomics' settings, of which `distances`, `force2D` and `force2Ddimension` are read.

    Attributes
    ----------
    size : int
        Length of the flat array, with room behind it for incomplete rows.
    places : int array of shape (n_voxels,)
        Position of each voxel in it.
    angles, unit_angles : int arrays of shape (n_angles, n_dim)
        Steps to the neighbours at the distances of the settings, and at distance 1, one of each two
        opposite ones, in pyradiomics' order.
    steps, unit_steps : lists of int
        The same as distances in the flat array.
    """

    def __init__(self, inside: np.ndarray, setting: Mapping[str, Any]) -> None:
        from radiomics import cMatrices

        distances = np.array(setting.get("distances", [1]))
        plane = bool(setting.get("force2D", False)), int(setting.get("force2Ddimension", 0))
        extent = np.array(inside.shape)
        self.angles, self.unit_angles = (
            cMatrices.generate_angles(extent, each, 0, *plane)
            for each in (distances, np.ones(1, dtype=int))
        )
        border = max(1, int(distances.max()))
        shape = extent + 2 * border
        strides = np.append(np.cumprod(shape[:0:-1])[::-1], 1)
        self.size = int(shape.prod() + 2 * strides[0])
        self._coordinates = np.array(np.nonzero(inside))
        self.places = strides @ (self._coordinates + border)
        self.steps = (self.angles @ strides).tolist()
        self.unit_steps = (self.unit_angles @ strides).tolist()
        self._lines: list[tuple[np.ndarray, np.ndarray]] = []

    @cached_property
    def n_neighbours(self) -> np.ndarray:
        """Count the neighbours of each voxel in the lesion."""
        inside = np.zeros(self.size, dtype=np.int32)
        inside[self.places] = 1
        return sum_neighbours(inside, self.places, self.steps)

    def lines(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield, for each direction, the voxels in the order of its lines, and where one ends.

        The order is that of numbers of voxels; the ends are True where the next voxel in it is no
        neighbour. A direction in which no line has two voxels has none.
        """
        if self._lines:
            yield from self._lines
            return
        number = np.zeros(self.size, dtype=np.int32)
        number[self.places] = np.arange(1, self.places.size + 1)
        for angle, step in zip(self.unit_angles, self.unit_steps, strict=True):
            # The voxels of a column are neighbours in this direction; the border parts columns.
            column = number[: self.size // step * step].reshape(-1, step).T.ravel()
            found = np.flatnonzero(column)
            ends = np.append(np.diff(found) > 1, True)
            order = column[found].astype(np.intp) - 1
            if ends.all() and not self._has_line(angle):
                order, ends = order[:0], ends[:0]
            if self.places.size <= _KEPT:
                self._lines.append((order, ends))
            yield order, ends

    def _has_line(self, angle: np.ndarray) -> bool:
        """Check whether two voxels, though no neighbours, lie on one line in a direction."""
        axis = np.flatnonzero(angle)[0]
        start = self._coordinates - np.outer(angle * angle[axis], self._coordinates[axis])
        return np.unique(start, axis=1).shape[1] < start.shape[1]


def sum_neighbours(flat: np.ndarray, places: np.ndarray, steps: list[int]) -> np.ndarray:
    """Sum the values of the neighbours in both directions of each step, at some places."""
    first, last = int(places[0]), int(places[-1]) + 1
    total = np.zeros(last - first, dtype=flat.dtype)
    for step in steps:
        total += flat[first + step : last + step]
        total += flat[first - step : last - step]
    return total[places - first]


class TextureCounts:
    """The texture matrices of a discretised lesion; their rows are the levels that occur.

    Parameters
    ----------
    grid : Grid
        Its voxels.
    found : Discretised
        Their grey levels.
    setting : mapping
        pyradiomics' settings, of which `gldm_a` is read.

    Examples
    --------
    >>> grid = Grid(np.ones((1, 4), dtype=bool), {})
    >>> found = Discretised(np.array([1, 1, 2, 2]), np.array([1, 2]), np.array([2, 2]), 2, 1.0)
    >>> TextureCounts(grid, found, {}).pairs().tolist()
    [[[1, 1], [0, 1]]]
    """

    def __init__(self, grid: Grid, found: Discretised, setting: Mapping[str, Any]) -> None:
        self._grid, self._found, self._alpha = grid, found, setting.get("gldm_a", 0)
        self._n_levels = found.present.size
        rank = np.zeros(found.present[-1] + 1, dtype=np.intp)
        rank[found.present] = np.arange(self._n_levels)
        #: Rank of each voxel's level among those that occur, from 0; in the flat array from 1.
        self._rank = rank[found.levels]
        kind = np.uint16 if self._n_levels < _SMALL else np.int64
        self._flat = np.zeros(grid.size, dtype=kind)
        self._flat[grid.places] = self._rank + 1

    def _filled(self, values: np.ndarray, outside: int) -> np.ndarray:
        """Return a flat array of values of the voxels, with another value outside."""
        flat = np.full(self._grid.size, outside, dtype=values.dtype)
        flat[self._grid.places] = values
        return flat

    def pairs(self) -> np.ndarray:
        """Count pairs of neighbours by direction and levels: (n_angles, n_levels, n_levels)."""
        n, places = self._n_levels, self._grid.places
        row = self._rank * (n + 1)
        counts = np.empty((len(self._grid.steps), n, n), dtype=np.intp)
        for angle, step in enumerate(self._grid.steps):
            found = np.bincount(row + self._flat[places + step], minlength=n * (n + 1))
            counts[angle] = found.reshape(n, n + 1)[:, 1:]
        return counts

    def dependent(self) -> np.ndarray:
        """Count voxels by level and number of similar neighbours: (n_levels, 2 n_angles + 1)."""
        grid, alpha = self._grid, self._alpha
        levels = self._found.levels.astype(np.int32) if alpha else self._flat[grid.places]
        # Voxels outside resemble none, and not each other.
        apart = int(levels.max()) + 1 + alpha
        here, there = self._filled(levels, 0), self._filled(levels, apart)
        if alpha:
            here[here == 0] = -apart
        similar = np.zeros(grid.size, dtype=np.uint16)
        for step in grid.steps:
            near = (
                np.abs(here[:-step] - there[step:]) <= alpha
                if alpha
                else here[:-step] == there[step:]
            )
            similar[:-step] += near
            similar[step:] += near
        n = 2 * len(grid.steps) + 1
        key = self._rank * n + similar[grid.places]
        return np.bincount(key, minlength=self._n_levels * n).reshape(-1, n)

    def deviations(self) -> np.ndarray:
        """Sum, by level, the distances of voxels' levels to their neighbours' mean: (n_levels,)."""
        grid, levels = self._grid, self._found.levels
        total = sum_neighbours(self._filled(levels.astype(np.int32), 0), grid.places, grid.steps)
        count = grid.n_neighbours
        distance = np.where(count > 0, np.abs(levels - total / np.maximum(count, 1)), 0.0)
        return np.bincount(self._rank, distance, minlength=self._n_levels)

    def runs(self) -> np.ndarray:
        """Count runs of one level by direction, level and length: (n_angles, n_levels, longest).

        A direction in which no line has two voxels counts none.
        """
        n = self._n_levels
        rank = self._flat[self._grid.places] - 1
        parts = []
        for order, ends in self._grid.lines():
            along = rank[order]
            last = np.flatnonzero(ends | np.append(along[1:] != along[:-1], True)[: along.size])
            parts.append((along[last].astype(np.intp), last - np.append(-1, last)[:-1]))
        longest = max((int(length.max(initial=1)) for _, length in parts), default=1)
        counts = [
            np.bincount(level * longest + length - 1, minlength=n * longest)
            for level, length in parts
        ]
        return np.array(counts).reshape(-1, n, longest)

    def zones(self) -> tuple[np.ndarray, np.ndarray]:
        """Count zones of one level by level and size: (n_levels, n_sizes), and the sizes."""
        places, rank = self._grid.places, self._rank
        # Voxels that follow each other along x are one node, if x is a direction at all.
        starts = np.ones(places.size, dtype=bool)
        if 1 in self._grid.unit_steps:
            starts[1:] = (np.diff(places) > 1) | (np.diff(rank) != 0)
        number = np.cumsum(starts, dtype=np.int32) - 1
        n_nodes = int(number[-1]) + 1
        rows, columns = self._links(self._filled(number, -1))
        # Small integers are sorted in linear time; links that occur twice do no harm.
        order = np.argsort(rows.astype(np.min_scalar_type(n_nodes)), kind="stable")
        ends = np.append(0, np.cumsum(np.bincount(rows, minlength=n_nodes))).astype(np.int32)
        links = csr_array((np.ones(rows.size), columns[order], ends), (n_nodes, n_nodes))
        n_zones, zone = connected_components(links, directed=False)
        size = np.bincount(zone, np.bincount(number), minlength=n_zones).astype(np.intp)
        level = np.empty(n_zones, dtype=np.intp)
        level[zone] = rank[starts]
        sizes, column = np.unique(size, return_inverse=True)
        counts = np.bincount(level * sizes.size + column, minlength=self._n_levels * sizes.size)
        return counts.reshape(self._n_levels, sizes.size), sizes

    def _links(self, node: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find which nodes of one level have voxels that are neighbours."""
        here, there = self._flat, self._filled(self._flat[self._grid.places], self._n_levels + 1)
        first, second = [], []
        for step in self._grid.unit_steps:
            if step == 1:
                # Such neighbours are in one node.
                continue
            equal = np.flatnonzero(here[:-step] == there[step:])
            one, two = node[equal], node[equal + step]
            # Long nodes side by side meet in many voxels.
            new = np.ones(one.size, dtype=bool)
            new[1:] = (one[1:] != one[:-1]) | (two[1:] != two[:-1])
            first.append(one[new])
            second.append(two[new])
        none = [np.empty(0, dtype=np.int32)]
        return np.concatenate(none + first), np.concatenate(none + second)
