"""Changes of the mask of a lesion, and the noise of its image."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, maximum_filter

from nonredundant.extraction.perturbations import GROWN
from nonredundant.extraction.regions import box_of

#: By how much second differences (1, -2, 1) along two axes enlarge white noise.
_GAIN = 6.0
#: Median of the absolute values of a standard normal law.
_MEDIAN = 0.6745
#: Thickness of a slice in mm that has no neighbours, and a distance that breaks ties.
_THICK, _TIE = 1e6, 1e-4
#: Edge of a supervoxel of 0.5 cm³ in mm, and the least number of them that a lesion has.
_EDGE, _FEWEST = 7.94, 20
#: Weight of distance against intensity, of which 0 to 1 is the range in the lesion.
_COMPACTNESS = 0.05
#: Rounds of the clustering: supervoxels that shake a contour need not have converged.
_ITERATIONS = 2
#: Intensities within this share of the lesion's range around it count.
_AROUND = 0.1
#: Supervoxels of more than the upper share in the lesion stay, of less than the lower one do not.
_LOWER, _UPPER = 0.2, 0.9


def noise_level(values: np.ndarray) -> float:
    """Estimate the standard deviation of white noise from second differences within slices.

    Parameters
    ----------
    values : array of shape (z, y, x) or (y, x)
        Intensities.

    Returns
    -------
    float
        Median of the absolute diagonal details over 0.6745 (Donoho & Johnstone 1994, doi
        10.1093/biomet/81.3.425), with the filter of Immerkær 1996 (doi 10.1006/cviu.1996.0060).
        Noise that neighbouring voxels share is underestimated.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(scale=2, size=(20, 30, 30))
    >>> ramp = 5 * np.arange(30)
    >>> round(noise_level(noise + ramp), 1)
    2.0
    """
    details = np.diff(np.diff(values, 2, axis=-1), 2, axis=-2)
    return float(np.median(np.abs(details))) / _GAIN / _MEDIAN if details.size else 0.0


def depth_of(inside: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Compute how deep each voxel lies in a mask, in mm, negative outside.

    Parameters
    ----------
    inside : bool array
        The mask, with room around the lesion.
    spacing : array of shape (n_dim,)
        Voxel size in mm, in the order of the axes of the mask.

    Returns
    -------
    float array of the same shape
        Distance from the border. Along an axis on which the lesion is one slice thick, nothing
        lies near it but this slice.
    """
    import SimpleITK as sitk

    box = box_of(inside)
    # A slice as thick as the world: the distance is that within the slice.
    sampling = np.where([one.stop - one.start == 1 for one in box], _THICK, spacing)
    image = sitk.GetImageFromArray(inside.view(np.uint8))
    image.SetSpacing(sampling[::-1].tolist())
    squares = sitk.SignedMaurerDistanceMap(image, False, True, True)
    depth = -np.sqrt(np.maximum(sitk.GetArrayFromImage(squares).astype(np.float64), 0.0))
    # The voxel outside that is nearest to one inside is not beyond the ring around the lesion.
    ring = tuple(slice(max(one.start - 1, 0), one.stop + 1) for one in box)
    depth[ring] += distance_transform_edt(inside[ring], sampling)
    return depth


def reach_of(depth: np.ndarray) -> float:
    """Return the depth of the border of a lesion that has grown as far as one may.

    Parameters
    ----------
    depth : float array
        What `depth_of` returned for the mask.

    Returns
    -------
    float
        Least depth of a voxel of it.
    """
    return _border(depth, (1 + GROWN) * int((depth > 0).sum()))


def grown(
    depth: np.ndarray, volume: float, rng: np.random.Generator, reach: float = -np.inf
) -> np.ndarray:
    """Grow or shrink a mask by a share of its volume, evenly along its border.

    Parameters
    ----------
    depth : float array
        What `depth_of` returned for the mask.
    volume : float
        Relative change of the number of voxels.
    rng : Generator
        Chooses among voxels at the same distance.
    reach : float, default=-inf
        What `reach_of` returned; without it all voxels are ranked, and the mask is the same.

    Returns
    -------
    bool array
        The voxels that lie deepest, or nearest.

    Examples
    --------
    >>> mask = np.zeros((9, 9), dtype=bool)
    >>> mask[3:6, 3:6] = True
    >>> depth, rng = depth_of(mask, np.ones(2)), np.random.default_rng(0)
    >>> [int(grown(depth, change, rng).sum()) for change in (1 / 3, 0.0, -8 / 9)]
    [12, 9, 1]
    """
    near = depth >= reach
    ranked = depth[near] + _TIE * rng.random(depth.shape)[near]
    found = np.zeros(depth.shape, dtype=bool)
    found[near] = ranked >= _border(ranked, (1 + volume) * int((depth > 0).sum()))
    return found


def _border(depth: np.ndarray, n_voxels: float) -> float:
    """Return the depth of the border of so many voxels that lie deepest."""
    n = min(max(round(n_voxels), 1), depth.size)
    return float(np.partition(depth, -n, axis=None)[-n])


def room_to_grow(inside: np.ndarray, spacing: np.ndarray) -> float:
    """Return how far the border of a lesion moves, at most, where it grows as far as one may.

    Parameters
    ----------
    inside : bool array
        The lesion in its bounding box.
    spacing : array of shape (n_dim,)
        Voxel size in mm, in the order of the axes.

    Returns
    -------
    float
        The distance in mm, which is that of a ball: no other shape of the same volume needs more
        (Brunn and Minkowski).

    Examples
    --------
    >>> round(room_to_grow(np.ones((10, 10, 10), dtype=bool), np.ones(3)), 2)
    0.9
    """
    thick = np.array(inside.shape) > 1
    n = max(int(thick.sum()), 1)
    volume = float(inside.sum() * np.prod(spacing[thick]))
    radius = (volume * math.gamma(n / 2 + 1)) ** (1 / n) / math.sqrt(math.pi)
    return ((1 + GROWN) ** (1 / n) - 1) * radius


def supervoxel_size(inside: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Return the edges of the supervoxels of a lesion in voxels, in the order of the axes.

    They have 0.5 cm³, or a twentieth of a lesion of less than 10 cm³.
    """
    volume = float(inside.sum() * np.prod(spacing)) / _FEWEST
    edge = min(_EDGE, volume ** (1 / inside.ndim))
    return np.maximum(np.round(edge / spacing), 1).astype(int)


def supervoxels(
    values: np.ndarray, inside: np.ndarray, reached: np.ndarray, size: np.ndarray
) -> np.ndarray:
    """Divide a lesion and its surroundings into supervoxels of similar intensity.

    Parameters
    ----------
    values : float array
        Intensities.
    inside : bool array of the same shape
        The lesion.
    reached : bool array of the same shape
        Voxels that the lesion may have after growth.
    size : array of shape (n_dim,)
        Edges of the supervoxels in voxels.

    Returns
    -------
    int array of the same shape
        Numbers of the supervoxels, by SLIC (Achanta et al. 2012, doi 10.1109/TPAMI.2012.120)
        without enforced connectivity; 0 where none comes near to the lesion.
    """
    near = maximum_filter(reached, 2 * size + 1)
    low, high = values[inside].min(), values[inside].max()
    around = _AROUND * (high - low)
    scaled = np.clip(values, low - around, high + around) - low
    scaled = gaussian_filter(scaled / (high - low if high > low else 1.0), 1.0)
    labels = np.zeros(values.shape, dtype=np.intp)
    labels[near] = _clustered(scaled[near], np.argwhere(near), size)
    return labels


def _clustered(values: np.ndarray, index: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Cluster voxels by intensity and place; return the number of the cluster of each, from 1.

    A cluster begins as a cell of a grid. A voxel joins the nearest of the clusters whose cells'
    centres are within a cell's size along each axis: two along axes where the size is even, or
    three.
    """
    cell, place = np.divmod(index, size)
    shape = cell.max(axis=0) + 3
    strides = np.append(np.cumprod(shape[:0:-1])[::-1], 1)
    labels = (cell + 1) @ strides
    even = size % 2 == 0
    first = labels - np.where(even, 2 * place < size, True) @ strides
    steps = [np.arange(2 if one else 3) * stride for one, stride in zip(even, strides, strict=True)]
    candidates = functools.reduce(np.add.outer, steps).ravel()
    points = np.column_stack([values, _COMPACTNESS * index / size]).astype(np.float32)
    for _ in range(_ITERATIONS):
        count = np.bincount(labels, minlength=int(shape.prod()))
        sums = [np.bincount(labels, one, minlength=count.size) for one in points.T]
        # A cluster without voxels is near to none.
        centres = np.where(count > 0, sums / np.maximum(count, 1), np.inf).T.astype(np.float32)
        best = np.full(len(points), np.inf, dtype=np.float32)
        for candidate in candidates:
            number = first + candidate
            offset = centres.take(number, axis=0)
            offset -= points
            distance = np.einsum("ij,ij->i", offset, offset)
            np.copyto(labels, number, where=distance < best)
            np.minimum(best, distance, out=best)
    return labels


def randomised(inside: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Redraw the contour of a lesion along supervoxels.

    Those with 90 % or more of their voxels in the lesion are taken, those with less than 20 % are
    not, and others by the chance that is their share, as in Zwanenburg et al. 2019.

    Parameters
    ----------
    inside : bool array
        The lesion.
    labels : int array of the same shape
        What `supervoxels` returned.
    rng : Generator
        Source of randomness.

    Returns
    -------
    bool array
        The new lesion; the old one if no supervoxel is taken.

    Examples
    --------
    >>> labels = np.array([0, 0, 1, 1, 2, 2, 2, 2, 2, 2])
    >>> inside = np.array([1, 1, 1, 0, 1, 0, 0, 0, 0, 0], dtype=bool)
    >>> randomised(inside, labels, np.random.default_rng(0))[[0, 1, 4]].tolist()
    [True, True, False]
    """
    share = np.bincount(labels.ravel(), inside.ravel()) / np.maximum(np.bincount(labels.ravel()), 1)
    chance = np.where(share >= _UPPER, 1.0, np.where(share < _LOWER, 0.0, share))
    found = (rng.random(len(chance)) < chance)[labels]
    return found if found.any() else inside
