"""Interpolate an image on a grid that is turned about the axis across its slices.

The slices of such a grid are parallel to those of the image. So slices are interpolated along z
first, by a product with a matrix that also smooths along z, or finds the coefficients of splines.
What is left of these is done along y and x, and then the few voxels around each place within the
slices are summed, by a product with a sparse matrix, the same for all slices.

The values are those of SimpleITK's `Resample` (after `DiscreteGaussian`) to rounding, which is that
of single precision unless the array is of double precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import spline_filter1d
from scipy.sparse import csr_array

from nonredundant.extraction.patches import gaussian_kernel, smoothing

#: Distance in voxels by which a point may be outside by rounding.
_TIE = 1e-6
#: No matrix along z, y and x.
_UNFILTERED = (None, None, None)


class TurnedGrid(NamedTuple):
    """A grid in the index space of an array.

    Attributes
    ----------
    slices : array of shape (n_slices,)
        Place of each slice along z; of one slice, 0, in 2-D.
    rows, columns : arrays of shape (n_rows, n_columns)
        Place of the voxels of each slice along y and x.
    """

    slices: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of slices, rows and columns."""
        return (self.slices.size, *self.rows.shape)

    def seen_from(self, corner: np.ndarray) -> TurnedGrid:
        """Return the grid in the index space of a part of the array, which begins at x, y, z."""
        x, y, *z = corner
        return TurnedGrid(self.slices - z[0] if z else self.slices, self.rows - y, self.columns - x)


class _Weights(NamedTuple):
    """Voxels of an axis that are read for each place on it, and their weights: (n_places, n)."""

    voxels: np.ndarray
    weights: np.ndarray


def linear(values: np.ndarray, grid: TurnedGrid, deviations: np.ndarray) -> np.ndarray:
    """Smooth by a Gaussian and interpolate linearly.

    Parameters
    ----------
    values : array of shape (z, y, x)
        Intensities. Beyond them the nearest voxel is repeated.
    grid : TurnedGrid
        Where they are wanted.
    deviations : array of shape (3,)
        Standard deviations of the Gaussian in voxels.

    Returns
    -------
    float array of shape `grid.shape`
        The interpolated intensities.

    Examples
    --------
    >>> ramp = np.broadcast_to(np.arange(4.0), (1, 4, 4))
    >>> diagonal = np.array([[0.5, 1.5, 2.5]])
    >>> linear(ramp, TurnedGrid(np.zeros(1), diagonal, diagonal), np.zeros(3)).tolist()
    [[[0.5, 1.5, 2.5]]]
    """
    filters = _smoothing(values, deviations)
    return _extended(_summed(values, grid, _linear, filters), values, grid, filters)


def share(inside: np.ndarray, grid: TurnedGrid, deviations: np.ndarray) -> np.ndarray:
    """Smooth and interpolate a mask as `linear` does intensities; beyond the array it is empty.

    Parameters
    ----------
    inside : bool array of shape (z, y, x)
        The mask.
    grid : TurnedGrid
        Where it is wanted.
    deviations : array of shape (3,)
        Standard deviations of the Gaussian in voxels.

    Returns
    -------
    float array of shape `grid.shape`
        Share of each voxel of the grid that lies in the mask.

    Examples
    --------
    >>> grid = TurnedGrid(np.zeros(1), np.zeros((1, 4)), np.arange(4)[None] - 1.25)
    >>> share(np.ones((1, 1, 2), dtype=bool), grid, np.zeros(3)).tolist()
    [[[0.0, 0.75, 1.0, 0.25]]]
    """
    room = [gaussian_kernel(float(one)).size // 2 + 1 for one in deviations]
    padded = np.pad(inside, [(n, n) for n in room])
    where = TurnedGrid(*(axis + n for axis, n in zip(grid, room, strict=True)))
    return _summed(padded, where, _linear, _smoothing(padded, deviations))


def nearest(inside: np.ndarray, grid: TurnedGrid) -> np.ndarray:
    """Take the nearest voxel of a mask; beyond the array it is empty.

    Parameters
    ----------
    inside : bool array of shape (z, y, x)
        The mask.
    grid : TurnedGrid
        Where it is wanted.

    Returns
    -------
    bool array of shape `grid.shape`
        The nearest voxels.

    Examples
    --------
    >>> grid = TurnedGrid(np.zeros(1), np.zeros((1, 4)), np.arange(4)[None] - 1.25)
    >>> nearest(np.ones((1, 1, 2), dtype=bool), grid).tolist()
    [[[False, True, True, False]]]
    """
    where = TurnedGrid(*(axis + 1 for axis in grid))
    return _summed(np.pad(inside, 1), where, _nearest, _UNFILTERED) > 0


def cubic(values: np.ndarray, grid: TurnedGrid) -> np.ndarray:
    """Interpolate by cubic B-splines.

    Parameters
    ----------
    values : float array of shape (z, y, x)
        Intensities. Beyond them the nearest voxel is repeated.
    grid : TurnedGrid
        Where they are wanted.

    Returns
    -------
    float array of shape `grid.shape`
        The interpolated intensities.

    Examples
    --------
    >>> ramp = np.broadcast_to(np.arange(25.0), (1, 1, 25))
    >>> grid = TurnedGrid(np.zeros(1), np.zeros((1, 2)), np.array([[12.0, 12.5]]))
    >>> cubic(ramp, grid).round(6).tolist()
    [[[12.0, 12.5]]]
    """
    # The coefficients are linear in the values.
    filters = [spline_filter1d(np.eye(n), axis=0, mode="mirror") for n in values.shape]
    return _extended(_summed(values, grid, _cubic, filters), values, grid, _UNFILTERED)


def _smoothing(values: np.ndarray, deviations: np.ndarray) -> list[np.ndarray | None]:
    """Return the matrices that smooth each axis of an array; None for no smoothing."""
    return [
        smoothing(n, float(one)) if one > 0 else None
        for n, one in zip(values.shape, deviations, strict=True)
    ]


def _linear(place: np.ndarray, n: int) -> _Weights:
    """Return the weights of linear interpolation; beyond n voxels the last is repeated."""
    place = np.clip(place, 0, n - 1)
    low = np.floor(place)
    above = place - low
    index = np.minimum(_around(low, 2, 0), n - 1)
    return _Weights(index, np.stack([1 - above, above], axis=1))


def _nearest(place: np.ndarray, n: int) -> _Weights:
    """Return the weights of the nearest voxel; beyond n voxels it is the last."""
    index = _around(np.clip(np.floor(place + 0.5), 0, n - 1), 1, 0)
    return _Weights(index, np.ones(index.shape))


def _cubic(place: np.ndarray, n: int) -> _Weights:
    """Return the weights of coefficients of cubic splines, mirrored at the last of n voxels."""
    low = np.floor(place)
    t = place - low
    weights = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * (t + t**2 - t**3) + 1, t**3]
    period = max(2 * n - 2, 1)
    index = _around(low, 4, 1) % period
    return _Weights(np.minimum(index, (period - index) % period), np.stack(weights, axis=1) / 6)


def _around(low: np.ndarray, n: int, before: int) -> np.ndarray:
    """Return n successive indices for each place, of which some are before its own."""
    return low.astype(np.int32)[:, None] + np.arange(n, dtype=np.int32) - np.int32(before)


def _extended(
    found: np.ndarray, values: np.ndarray, grid: TurnedGrid, filters: Sequence[np.ndarray | None]
) -> np.ndarray:
    """Set interpolated values beyond the array to the nearest voxel's: nearest along all axes."""
    across, *within = (
        (axis.ravel() < -0.5 - _TIE) | (axis.ravel() > n - 0.5 + _TIE)
        for axis, n in zip(grid, values.shape, strict=True)
    )
    columns = np.flatnonzero(within[0] | within[1] | across.any())
    if not columns.size:
        return found
    part = TurnedGrid(grid.slices, *(axis.ravel()[None, columns] for axis in grid[1:]))
    beyond = across[:, None] | (within[0] | within[1])[columns]
    flat = found.reshape(len(across), -1)
    near = _summed(values, part, _nearest, filters).reshape(beyond.shape)
    flat[:, columns] = np.where(beyond, near, flat[:, columns])
    return flat.reshape(grid.shape)


def _summed(
    values: np.ndarray,
    grid: TurnedGrid,
    weights_of: Callable[[np.ndarray, int], _Weights],
    filters: Sequence[np.ndarray | None],
) -> np.ndarray:
    """Filter an array along its axes, and sum its voxels by their weights for each place."""
    n_z, n_y, n_x = values.shape
    kind: Any = np.float64 if values.dtype == np.float64 else np.float32
    z, y, x = (weights_of(axis.ravel(), n) for axis, n in zip(grid, values.shape, strict=True))
    along_z = np.zeros((len(z.voxels), n_z))
    np.add.at(along_z, (np.arange(len(z.voxels))[:, None], z.voxels), z.weights)
    if filters[0] is not None:
        along_z = along_z @ filters[0]
    flat = values.reshape(n_z, -1).astype(kind, copy=False)
    slices = (along_z.astype(kind, copy=False) @ flat).reshape(-1, n_y, n_x)
    if filters[1] is not None:
        slices = filters[1].astype(kind, copy=False) @ slices
    if filters[2] is not None:
        slices = slices @ filters[2].T.astype(kind, copy=False)
    index = y.voxels[:, :, None] * np.int32(n_x) + x.voxels[:, None, :]
    weights = (y.weights[:, :, None] * x.weights[:, None, :]).astype(kind, copy=False)
    ends = np.arange(0, index.size + 1, index[0].size, dtype=np.int32)
    within = csr_array((weights.ravel(), index.ravel(), ends), (len(index), n_y * n_x))
    found = within @ np.ascontiguousarray(slices.reshape(len(slices), -1).T)
    return found.T.reshape(grid.shape)
