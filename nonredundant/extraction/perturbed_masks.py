"""Changes of the mask of a lesion, and the noise of its image."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

#: By how much second differences (1, -2, 1) along two axes enlarge white noise.
_GAIN = 6.0
#: Median of the absolute values of a standard normal law.
_MEDIAN = 0.6745
#: Thickness of a slice in mm that has no neighbours, and a distance that breaks ties.
_THICK, _TIE = 1e6, 1e-6
#: Edge of a supervoxel of 0.5 cm³ in mm, and the least number of them that a lesion has.
_EDGE, _FEWEST = 7.94, 20
#: Weight of distance against intensity, of which 0 to 1 is the range in the lesion.
_COMPACTNESS = 0.05
#: Rounds of the clustering: supervoxels that shake a contour need not have converged.
_ITERATIONS = 3
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
    flat = [np.ptp(where) == 0 for where in np.nonzero(inside)]
    # A slice as thick as the world: the distance is that within the slice.
    sampling = np.where(flat, _THICK, spacing)
    return distance_transform_edt(inside, sampling) - distance_transform_edt(~inside, sampling)


def grown(depth: np.ndarray, volume: float, rng: np.random.Generator) -> np.ndarray:
    """Grow or shrink a mask by a share of its volume, evenly along its border.

    Parameters
    ----------
    depth : float array
        What `depth_of` returned for the mask.
    volume : float
        Relative change of the number of voxels.
    rng : Generator
        Chooses among voxels at the same distance.

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
    inside = depth > 0
    n = min(max(round((1 + volume) * int(inside.sum())), 1), depth.size)
    ranked = depth + _TIE * rng.random(depth.shape)
    return ranked >= np.partition(ranked, -n, axis=None)[-n]


def supervoxel_edge(inside: np.ndarray, spacing: np.ndarray) -> float:
    """Return the edge of the supervoxels of a lesion in mm.

    They have 0.5 cm³, or a twentieth of a lesion of less than 10 cm³.
    """
    volume = float(inside.sum() * np.prod(spacing)) / _FEWEST
    return min(_EDGE, volume ** (1 / inside.ndim))


def supervoxels(values: np.ndarray, inside: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Divide the surroundings of a lesion into supervoxels of similar intensity.

    Parameters
    ----------
    values : float array
        Intensities.
    inside : bool array of the same shape
        The lesion.
    spacing : array of shape (n_dim,)
        Voxel size in mm, in the order of the axes.

    Returns
    -------
    int array of the same shape
        Numbers of the supervoxels, by SLIC (Achanta et al. 2012, doi 10.1109/TPAMI.2012.120).
    """
    import SimpleITK as sitk

    low, high = values[inside].min(), values[inside].max()
    around = _AROUND * (high - low)
    scaled = np.clip(values, low - around, high + around) - low
    scaled = gaussian_filter(scaled / (high - low if high > low else 1.0), 1.0)
    image = sitk.GetImageFromArray(scaled.astype(np.float32))
    size = np.maximum(np.round(supervoxel_edge(inside, spacing) / spacing[::-1]), 1).astype(int)
    return sitk.GetArrayFromImage(sitk.SLIC(image, size.tolist(), _COMPACTNESS, _ITERATIONS))


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
