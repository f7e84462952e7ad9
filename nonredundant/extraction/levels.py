"""The grey levels of a lesion, discretised as pyradiomics does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Discretised(NamedTuple):
    """The grey levels of a lesion.

    Attributes
    ----------
    levels : int array of shape (n_voxels,)
        Grey level of each voxel of the lesion, from 1.
    present : int array of shape (n_levels,)
        The levels that occur.
    counts : int array of shape (n_levels,)
        Voxels of each.
    span : int
        Number of levels from the lowest to the highest one.
    extent : float
        Difference between the highest and the lowest intensity.
    """

    levels: np.ndarray
    present: np.ndarray
    counts: np.ndarray
    span: int
    extent: float


def discretise(
    values: np.ndarray,
    setting: Mapping[str, Any],
    check: Callable[[float, float], None] | None = None,
) -> Discretised:
    """Discretise the intensities of a lesion as pyradiomics does.

    Parameters
    ----------
    values : array of shape (n_voxels,)
        Intensities of its voxels.
    setting : mapping
        pyradiomics' settings, of which `binWidth` and `binCount` are read.
    check : callable, optional
        Called with the lowest and the highest intensity before bins are made; it may raise.

    Returns
    -------
    Discretised
        The grey levels.

    Examples
    --------
    >>> discretise(np.array([0.0, 9.0, 31.0]), {"binWidth": 10}).levels
    array([1, 1, 4])
    """
    from radiomics import imageoperations

    # The edges of the bins depend on the two extremes alone.
    ends = np.array([values.min(), values.max()])
    if check is not None:
        check(float(ends[0]), float(ends[1]))
    levels = np.digitize(values, imageoperations.getBinEdges(ends, **setting))
    counts = np.bincount(levels)
    present = np.flatnonzero(counts)
    span = int(present[-1] - present[0] + 1)
    return Discretised(levels, present, counts[present], span, float(ends[1] - ends[0]))
