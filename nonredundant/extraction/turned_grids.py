"""Interpolate an image on a grid that is turned about the axis across its slices.

The slices of such a grid are parallel to those of the image. So a value is a sum along z of sums
within slices, and each of the two steps is a product with a sparse matrix. Within a slice, the
weight of a voxel is the product of one along y and one along x, whatever the angle, smoothing
included: no voxel is smoothed that is not read.

The values are those of SimpleITK's `Resample` (after `DiscreteGaussian`) to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import spline_filter1d
from scipy.sparse import csr_array

from nonredundant.extraction.patches import gaussian_kernel

#: Distance in voxels by which a point may be outside by rounding.
_TIE = 1e-6


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

    index: np.ndarray
    weights: np.ndarray


def linear(values: np.ndarray, grid: TurnedGrid, deviations: Sequence[float]) -> np.ndarray:
    """Smooth by a Gaussian and interpolate linearly.

    Parameters
    ----------
    values : array of shape (z, y, x)
        Intensities. Beyond them the nearest voxel is repeated.
    grid : TurnedGrid
        Where they are wanted.
    deviations : sequence of 3 floats
        Standard deviations of the Gaussian in voxels.

    Returns
    -------
    float array of shape `grid.shape`
        The interpolated intensities.

    Examples
    --------
    >>> ramp = np.broadcast_to(np.arange(4.0), (1, 4, 4))
    >>> diagonal = np.array([[0.5, 1.5, 2.5]])
    >>> linear(ramp, TurnedGrid(np.zeros(1), diagonal, diagonal), (0, 0, 0)).tolist()
    [[[0.5, 1.5, 2.5]]]
    """
    kernels = [gaussian_kernel(float(one)) for one in deviations]
    found = [
        _linear(np.clip(place, 0, n - 1), kernel)
        for place, n, kernel in zip(_places(grid), values.shape, kernels, strict=True)
    ]
    return _extended(_summed(values, found, grid), values, grid, kernels)


def share(inside: np.ndarray, grid: TurnedGrid, deviations: Sequence[float]) -> np.ndarray:
    """Smooth and interpolate a mask as `linear` does intensities; beyond the array it is empty.

    Parameters
    ----------
    inside : bool array of shape (z, y, x)
        The mask.
    grid : TurnedGrid
        Where it is wanted.
    deviations : sequence of 3 floats
        Standard deviations of the Gaussian in voxels.

    Returns
    -------
    float array of shape `grid.shape`
        Share of each voxel of the grid that lies in the mask.

    Examples
    --------
    >>> grid = TurnedGrid(np.zeros(1), np.zeros((1, 4)), np.arange(4)[None] - 1.25)
    >>> share(np.ones((1, 1, 2), dtype=bool), grid, (0, 0, 0)).tolist()
    [[[0.0, 0.75, 1.0, 0.25]]]
    """
    kernels = [gaussian_kernel(float(one)) for one in deviations]
    found = [_linear(*one) for one in zip(_places(grid), kernels, strict=True)]
    return _summed(inside, [_emptied(*one) for one in zip(found, inside.shape, strict=True)], grid)


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
    found = [_nearest(place, np.ones(1)) for place in _places(grid)]
    return (
        _summed(inside, [_emptied(*one) for one in zip(found, inside.shape, strict=True)], grid) > 0
    )


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
    z, y, x = (
        _mirrored(_cubic(place), n) for place, n in zip(_places(grid), values.shape, strict=True)
    )
    # Of the coefficients along z only those of few slices are needed.
    filtered = spline_filter1d(np.eye(len(values)), mode="mirror", axis=0)
    slices = np.tensordot(_matrix(z, len(values)) @ filtered, values, 1)
    for axis in (1, 2):
        slices = spline_filter1d(slices, mode="mirror", axis=axis)
    return _extended(_within(slices, y, x, grid), values, grid, [np.ones(1)] * 3)


def _places(grid: TurnedGrid) -> list[np.ndarray]:
    """Return the places along z of the slices, and those along y and x of the voxels of each."""
    return [axis.ravel() for axis in grid]


def _linear(place: np.ndarray, kernel: np.ndarray) -> _Weights:
    """Return the weights of linear interpolation after smoothing."""
    low = np.floor(place)
    beyond = (place - low)[:, None]
    weights = (1 - beyond) * np.append(kernel, 0) + beyond * np.append(0, kernel)
    return _Weights(_around(low, kernel.size + 1, kernel.size // 2), weights)


def _nearest(place: np.ndarray, kernel: np.ndarray) -> _Weights:
    """Return the weights of the nearest voxel after smoothing."""
    index = _around(np.floor(place + 0.5), kernel.size, kernel.size // 2)
    return _Weights(index, np.broadcast_to(kernel, index.shape))


def _cubic(place: np.ndarray) -> _Weights:
    """Return the weights of the coefficients of cubic B-splines."""
    low = np.floor(place)
    t = place - low
    weights = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * (t + t**2 - t**3) + 1, t**3]
    return _Weights(_around(low, 4, 1), np.stack(weights, axis=1) / 6)


def _mirrored(found: _Weights, n: int) -> _Weights:
    """Return weights whose voxels are mirrored at the centre of the last one, as splines are."""
    period = max(2 * n - 2, 1)
    index = found.index % period
    return _Weights(np.minimum(index, period - index) if n > 1 else index, found.weights)


def _around(low: np.ndarray, n: int, before: int) -> np.ndarray:
    """Return n successive indices for each place, of which some are before its own."""
    return low.astype(int)[:, None] + np.arange(n) - before


def _emptied(found: _Weights, n: int) -> _Weights:
    """Return weights that are 0 beyond an axis of n voxels."""
    there = (found.index >= 0) & (found.index < n)
    return _Weights(found.index, np.where(there, found.weights, 0.0))


def _extended(
    found: np.ndarray, values: np.ndarray, grid: TurnedGrid, kernels: Sequence[np.ndarray]
) -> np.ndarray:
    """Set interpolated values beyond the array to the nearest voxel's: nearest along all axes."""
    across, *within = (
        (place < -0.5 - _TIE) | (place > n - 0.5 + _TIE)
        for place, n in zip(_places(grid), values.shape, strict=True)
    )
    columns = np.flatnonzero(within[0] | within[1] | across.any())
    if not columns.size:
        return found
    part = TurnedGrid(
        grid.slices, *(axis.reshape(1, -1)[:, columns] for axis in (grid.rows, grid.columns))
    )
    weights = [
        _nearest(np.clip(place, 0, n - 1), kernel)
        for place, n, kernel in zip(_places(part), values.shape, kernels, strict=True)
    ]
    beyond = across[:, None] | (within[0] | within[1])[columns]
    flat = found.reshape(len(across), -1)
    near = _summed(values, weights, part).reshape(beyond.shape)
    flat[:, columns] = np.where(beyond, near, flat[:, columns])
    return flat.reshape(grid.shape)


def _summed(values: np.ndarray, found: Sequence[_Weights], grid: TurnedGrid) -> np.ndarray:
    """Sum the voxels of an array by their weights along z, y and x; its ends are repeated."""
    z, y, x = (
        _Weights(np.clip(index, 0, n - 1), weights)
        for (index, weights), n in zip(found, values.shape, strict=True)
    )
    flat = values.reshape(len(values), -1).astype(np.float64, copy=False)
    slices = (_matrix(z, len(values)) @ flat).reshape(-1, *values.shape[1:])
    return _within(slices, y, x, grid)


def _within(slices: np.ndarray, y: _Weights, x: _Weights, grid: TurnedGrid) -> np.ndarray:
    """Sum the voxels of each slice by their weights along y and x."""
    n_y, n_x = slices.shape[1:]
    index = y.index[:, :, None] * n_x + x.index[:, None, :]
    weights = y.weights[:, :, None] * x.weights[:, None, :]
    n = len(index)
    matrix = _matrix(_Weights(index.reshape(n, -1), weights.reshape(n, -1)), n_y * n_x)
    return (matrix @ np.ascontiguousarray(slices.reshape(len(slices), -1).T)).T.reshape(grid.shape)


def _matrix(found: _Weights, n_columns: int) -> csr_array:
    """Return the sparse matrix whose rows have the weights of each place."""
    rows, n = found.index.shape
    ends = np.arange(0, rows * n + 1, n)
    return csr_array((found.weights.ravel(), found.index.ravel(), ends), (rows, n_columns))
