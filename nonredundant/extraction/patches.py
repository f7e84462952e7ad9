"""Crop patches of fixed size around lesions, on isotropic grids."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from nonredundant.extraction.regions import Region

if TYPE_CHECKING:
    import SimpleITK as sitk


#: Full width at half maximum of a Gaussian, in standard deviations.
_FWHM = 2.0 * math.sqrt(2.0 * math.log(2.0))
#: Extra voxels around a crop that resampling reads: half a linear kernel and a smoothing tail.
_CONTEXT = 3
#: Largest width of a Gaussian in voxels.
_WIDTH = 64
#: Axes of two images are parallel if their direction cosines differ by less.
_PARALLEL = 1e-6


class Patch(NamedTuple):
    """One patch: intensities, lesion voxels, voxel size (mm), and whether all of it is inside."""

    values: np.ndarray
    inside: np.ndarray
    spacing: float
    complete: bool


class PatchGrid(NamedTuple):
    """Where a patch lies in space: its centre (mm, z-y-x), its axes and its voxel size.

    Column i of `axes` is the direction of the patch's axis i in the world, z-y-x.
    """

    centre: np.ndarray
    axes: np.ndarray
    spacing: float


def crop_patch(
    image: sitk.Image,
    lesion: Region,
    shape: Sequence[int],
    spacing: float | str = "fit",
    margin: int = 1,
) -> Patch:
    """Resample the surroundings of a lesion to an isotropic grid of fixed size.

    The grid is centred on the lesion's bounding box and parallel to the image's axes. The axes of
    the patch (z-y-x) point to superior, posterior and left (the order LPS of DICOM, in arrays
    reversed), whatever way the file is stored; those of an oblique image are the nearest to these.
    Images in 2-D and arrays without geometry keep their axes. Intensities
    are interpolated linearly, after a Gaussian matched to the coarser grid (Cardoso et al. 2015,
    doi 10.1007/978-3-319-24571-3_81) where the patch's voxels are larger than the image's.
    Outside the image the nearest voxel is repeated. The lesion's mask is interpolated in the
    same way and thresholded at one half.

    Parameters
    ----------
    image : SimpleITK.Image
        The image.
    lesion : Region
        The region of the lesion in the image.
    shape : sequence of int
        Number of voxels of the patch, z-y-x.
    spacing : float or "fit", default="fit"
        Voxel size in mm. "fit": the smallest at which the lesion's bounding box fits.
    margin : int, default=1
        Number of voxels that "fit" leaves free on each side.

    Returns
    -------
    Patch
        `values` (float32, shape `(1, ...)`, not masked), `inside` (bool, same shape),
        `spacing` in mm, and `complete`, whether the patch contains the whole lesion.

    Examples
    --------
    >>> import numpy as np, SimpleITK as sitk
    >>> from nonredundant.extraction.regions import whole_image
    >>> pixels = np.arange(64, dtype=np.float32).reshape(8, 8)
    >>> patch = crop_patch(sitk.GetImageFromArray(pixels), whole_image((8, 8)), (8, 8), margin=0)
    >>> bool((patch.values[0] == pixels).all()), patch.spacing
    (True, 1.0)
    """
    order, flipped = axes_to_lps(image)
    voxel = np.array(image.GetSpacing()[::-1])[order]
    shape_in = np.array(image.GetSize()[::-1])[order]
    box = [_turned(lesion.box[k], shape_in[i], flipped[i]) for i, k in enumerate(order)]
    extent = lesion.extent[order] * voxel
    size = np.array(shape)
    fitting = float((extent / np.maximum(size - 2 * margin, 1)).max())
    step = fitting if spacing == "fit" else float(spacing)
    centre = np.array([(one.start + one.stop - 1) / 2 for one in box])
    # Along an axis where the image has one slice there is nothing to smooth or interpolate.
    blur = matched_blur(step, voxel)
    reach = (size * step / 2 + 3 * blur) / voxel + _CONTEXT
    low = np.clip(np.floor(centre - reach), 0, shape_in - 1).astype(int)
    high = np.clip(np.ceil(centre + reach) + 1, low + 1, shape_in).astype(int)
    slices = [slice(a, b) for a, b in zip(low, high, strict=True)]
    part = _read_turned(image, slices, order, flipped)
    values = _interpolate(part, low - centre, voxel, size, step, blur, repeat=True)
    turned = np.flip(lesion.inside.transpose(order), tuple(np.flatnonzero(flipped)))
    corner = np.array([one.start for one in box]) - centre
    inside = _resample_mask(turned, corner, voxel, size, step, blur)
    complete = bool((extent <= size * step * (1 + 1e-9)).all())
    return Patch(values[None], inside[None], step, complete)


def regrid_patch(
    values: np.ndarray, inside: np.ndarray, spacing: float, shape: Sequence[int], step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate a patch to another isotropic grid around the same centre.

    As `crop_patch`: linear, after a Gaussian where the new voxels are larger, with the nearest
    voxel repeated outside; the mask is thresholded at one half, and at least one voxel is kept.

    Parameters
    ----------
    values : float array of shape (z, y, x) or (y, x)
        Intensities.
    inside : bool array of the same shape
        Voxels of the lesion.
    spacing : float
        Voxel size of the patch in mm.
    shape : sequence of int
        Number of voxels of the result.
    step : float
        Their size in mm.

    Returns
    -------
    values : float32 array of the new shape
        Intensities.
    inside : bool array of the new shape
        Voxels of the lesion.

    Examples
    --------
    >>> patch = np.ones((4, 4, 4))
    >>> values, inside = regrid_patch(patch, patch > 0, 2.0, (8, 8, 8), 1.0)
    >>> values.shape, float(values.mean()), bool(inside[4, 4, 4])
    ((8, 8, 8), 1.0, True)
    """
    size, voxel = np.array(shape), np.full(values.ndim, float(spacing))
    blur = matched_blur(step, voxel)
    corner = -(np.array(values.shape) - 1) / 2
    resampled = _interpolate(values, corner, voxel, size, step, blur, repeat=True)
    return resampled, _resample_mask(inside, corner, voxel, size, step, blur)


def patch_grid(image: sitk.Image, lesion: Region, spacing: float) -> PatchGrid:
    """Locate the patch of a lesion that `crop_patch` has made.

    Parameters
    ----------
    image : SimpleITK.Image
        The image that it was cropped from.
    lesion : Region
        The lesion.
    spacing : float
        Voxel size of the patch in mm.

    Returns
    -------
    PatchGrid
        Its grid.

    Examples
    --------
    >>> import SimpleITK as sitk
    >>> from nonredundant.extraction.regions import whole_image
    >>> patch_grid(sitk.Image(8, 8, sitk.sitkFloat32), whole_image((8, 8)), 1.0).centre
    array([3.5, 3.5])
    """
    order, flipped = axes_to_lps(image)
    centre = [(one.start + one.stop - 1) / 2 for one in lesion.box[::-1]]
    place = image.TransformContinuousIndexToPhysicalPoint(centre)
    axes = _cosines(image)[:, order] * np.where(flipped, -1.0, 1.0)
    return PatchGrid(np.array(place)[::-1], axes, float(spacing))


def crop_channel(image: sitk.Image, grid: PatchGrid, shape: Sequence[int]) -> np.ndarray:
    """Interpolate another image of the same space on the grid of a patch.

    It is smoothed where the patch's voxels are larger than its own, and outside of it the nearest
    voxel is repeated, as in `crop_patch`.

    Parameters
    ----------
    image : SimpleITK.Image
        The image.
    grid : PatchGrid
        The grid of the patch, in the same space.
    shape : sequence of int
        Number of voxels of the patch, z-y-x.

    Returns
    -------
    float32 array of shape (1, ...)
        The intensities.

    Examples
    --------
    >>> import numpy as np, SimpleITK as sitk
    >>> image = sitk.GetImageFromArray(np.arange(64, dtype=np.float32).reshape(8, 8))
    >>> crop_channel(image, PatchGrid(np.array([3.5, 3.5]), np.eye(2), 1.0), (2, 2)).tolist()
    [[[27.0, 28.0], [35.0, 36.0]]]
    """
    import SimpleITK as sitk

    order, flipped = axes_to_lps(image)
    voxel = np.array(image.GetSpacing()[::-1])[order]
    shape_in, size = np.array(image.GetSize()[::-1])[order], np.array(shape)
    place = image.TransformPhysicalPointToContinuousIndex(grid.centre[::-1].tolist())
    centre = np.array(place)[::-1][order]
    centre = np.where(flipped, shape_in - 1 - centre, centre)
    blur = matched_blur(grid.spacing, voxel)
    # Axes of the image as seen from the patch, and how far the patch reaches along each of them.
    turn = grid.axes.T @ (_cosines(image)[:, order] * np.where(flipped, -1.0, 1.0))
    reach = (np.abs(turn.T) @ (size * grid.spacing / 2) + 3 * blur) / voxel + _CONTEXT
    low = np.clip(np.floor(centre - reach), 0, shape_in - 1).astype(int)
    high = np.clip(np.ceil(centre + reach) + 1, low + 1, shape_in).astype(int)
    slices = [slice(a, b) for a, b in zip(low, high, strict=True)]
    part = _read_turned(image, slices, order, flipped)
    if np.allclose(turn, np.eye(len(size)), atol=_PARALLEL):
        return _interpolate(part, low - centre, voxel, size, grid.spacing, blur, repeat=True)[None]
    oblique = sitk.GetImageFromArray(np.ascontiguousarray(part))
    oblique.SetSpacing(voxel[::-1].tolist())
    oblique.SetDirection(turn[::-1, ::-1].ravel().tolist())
    oblique.SetOrigin((turn @ ((low - centre) * voxel))[::-1].tolist())
    values = _smooth_and_resample(oblique, size, grid.spacing, blur)
    return sitk.GetArrayFromImage(values)[None]


def matched_blur(step: float, voxel: np.ndarray) -> np.ndarray:
    """Return the standard deviation, in mm, of the Gaussian that matches voxels to larger ones.

    Parameters
    ----------
    step : float
        Size of the voxels of a patch in mm.
    voxel : array of shape (n_dim,)
        That of the image's voxels.

    Returns
    -------
    array of shape (n_dim,)
        0 along axes on which the voxels of the patch are not larger.

    Examples
    --------
    >>> matched_blur(2.0, np.array([1.0, 3.0])).round(3)
    array([0.736, 0.   ])
    """
    return voxel * np.sqrt(np.maximum((step / voxel) ** 2 - 1, 0)) / _FWHM


def _cosines(image: sitk.Image) -> np.ndarray:
    """Return the directions of the array axes: rows world z-y-x, columns array axes z-y-x."""
    n_dim = image.GetDimension()
    return np.array(image.GetDirection()).reshape(n_dim, n_dim)[::-1, ::-1]


def axes_to_lps(image: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """Find the order of the array axes (z-y-x) that is closest to LPS, and the axes to flip.

    In this order the axes point to superior, posterior and left, whatever way the file is stored.
    A 2-D image has no anatomical axes and stays as it is.
    """
    n_dim = image.GetDimension()
    if n_dim == 2:
        return np.arange(2), np.zeros(2, dtype=bool)
    cosines = _cosines(image)
    _, order = linear_sum_assignment(-np.abs(cosines))
    return order, cosines[np.arange(n_dim), order] < 0


def _turned(box: slice, size: int, flip: bool) -> slice:
    """Return the extent of a box along an axis that may be flipped."""
    return slice(size - box.stop, size - box.start) if flip else box


def _read_turned(
    image: sitk.Image, slices: Sequence[slice], order: np.ndarray, flipped: np.ndarray
) -> np.ndarray:
    """Read a part of the image, given in turned axes, as float32, without copying the rest."""
    import SimpleITK as sitk

    shape = np.array(image.GetSize()[::-1])
    stored: list[slice] = [slice(0, 0)] * len(slices)
    for i, k in enumerate(order):
        stored[k] = _turned(slices[i], int(shape[k]), bool(flipped[i]))
    part = sitk.GetArrayViewFromImage(image)[tuple(stored)].transpose(order)
    return np.flip(part, tuple(np.flatnonzero(flipped))).astype(np.float32)


def _interpolate(
    part: np.ndarray,
    corner: np.ndarray,
    voxel: np.ndarray,
    size: np.ndarray,
    step: float,
    blur: np.ndarray,
    *,
    repeat: bool,
) -> np.ndarray:
    """Smooth with a Gaussian (standard deviation in mm) and interpolate linearly.

    The first voxel lies at an offset (in voxels) from the patch's centre: positions relative to
    the centre are the same numbers for any origin and any way of storage, and so are the patches.
    Both grids have the same axes, so each axis is one product with a matrix. The values are those
    of ITK's filters, which evaluate each voxel in space, to single precision. With `repeat` a voxel
    outside has the value of the nearest voxel, else 0.
    """
    along, nearest, outside = [], [], []
    for axis, n in enumerate(part.shape):
        place = (np.arange(size[axis]) - (size[axis] - 1) / 2) * step / voxel[axis] - corner[axis]
        smoothed = smoothing(n, float(blur[axis] / voxel[axis]))
        beyond = (place < -0.5) | (place > n - 0.5)
        place = np.clip(place, 0, n - 1)
        low = np.minimum(np.floor(place).astype(int), max(n - 2, 0))
        share = (place - low)[:, None]
        high = smoothed[np.minimum(low + 1, n - 1)]
        linear = (1 - share) * smoothed[low] + share * high
        along.append(linear if repeat else np.where(beyond[:, None], 0.0, linear))
        nearest.append(smoothed[np.floor(place + 0.5).astype(int)])
        outside.append(beyond)
    values = _along_axes(part, along)
    if repeat and any(beyond.any() for beyond in outside):
        # Beyond one axis, ITK takes the nearest voxel along all of them.
        beyond = functools.reduce(np.logical_or.outer, outside)
        values = np.where(beyond, _along_axes(part, nearest), values)
    return values.astype(np.float32)


def _along_axes(array: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Multiply each axis of an array by a matrix."""
    found = array.astype(np.float64)
    for axis, matrix in enumerate(matrices):
        found = np.moveaxis(np.tensordot(matrix, found, (1, axis)), 0, axis)
    return found


def smoothing(n: int, deviation: float) -> np.ndarray:
    """Return the matrix that smooths a line of n voxels, whose ends are repeated.

    Parameters
    ----------
    n : int
        Number of voxels.
    deviation : float
        Standard deviation of the Gaussian in voxels; 0 is no smoothing.

    Returns
    -------
    array of shape (n, n)
        The matrix.

    Examples
    --------
    >>> smoothing(3, 0.5).round(2)
    array([[0.9 , 0.1 , 0.01],
           [0.1 , 0.79, 0.1 ],
           [0.01, 0.1 , 0.9 ]])
    """
    kernel = gaussian_kernel(deviation)
    reach = kernel.size // 2
    columns = np.clip(np.arange(n)[:, None] + np.arange(-reach, reach + 1), 0, n - 1)
    matrix = np.zeros((n, n))
    np.add.at(matrix, (np.arange(n)[:, None], columns), kernel)
    return matrix


@functools.lru_cache(maxsize=64)
def gaussian_kernel(deviation: float) -> np.ndarray:
    """Return the weights of ITK's discrete Gaussian.

    Parameters
    ----------
    deviation : float
        Standard deviation in voxels; 0 is no smoothing.

    Returns
    -------
    array of odd length
        The weights, whose sum is 1.

    Examples
    --------
    >>> gaussian_kernel(0.0), gaussian_kernel(0.5).round(2)
    (array([1.]), array([0.01, 0.1 , 0.79, 0.1 , 0.01]))
    """
    if deviation == 0:
        return np.ones(1)
    import SimpleITK as sitk

    impulse = np.zeros((1, 2 * _WIDTH + 1))
    impulse[0, _WIDTH] = 1
    line = sitk.DiscreteGaussian(sitk.GetImageFromArray(impulse), [deviation**2, 0.0], _WIDTH)
    weights = sitk.GetArrayFromImage(line)[0]
    reach = int(np.abs(np.flatnonzero(weights) - _WIDTH).max())
    return weights[_WIDTH - reach : _WIDTH + reach + 1]


def _smooth_and_resample(
    part: sitk.Image, size: np.ndarray, step: float, blur: np.ndarray
) -> sitk.Image:
    """Smooth and interpolate an image whose axes are not those of the patch, with ITK."""
    import SimpleITK as sitk

    if blur.any():
        part = sitk.DiscreteGaussian(part, (blur[::-1] ** 2).tolist(), _WIDTH)
    return sitk.Resample(
        part,
        interpolator=sitk.sitkLinear,
        defaultPixelValue=0.0,
        outputPixelType=sitk.sitkFloat32,
        useNearestNeighborExtrapolator=True,
        size=size[::-1].tolist(),
        outputOrigin=(-(size[::-1] - 1) / 2 * step).tolist(),
        outputSpacing=[step] * len(size),
        outputDirection=np.eye(len(size)).ravel().tolist(),
    )


def _resample_mask(
    lesion: np.ndarray,
    corner: np.ndarray,
    voxel: np.ndarray,
    size: np.ndarray,
    step: float,
    blur: np.ndarray,
) -> np.ndarray:
    """Resample the lesion's voxels to the patch's grid; at least one voxel is kept."""
    pad = _CONTEXT + int(np.ceil((3 * blur / voxel).max()))
    mask = np.pad(lesion.astype(np.float32), pad)
    share = _interpolate(mask, corner - pad, voxel, size, step, blur, repeat=False)
    inside = share >= 0.5
    if not inside.any():
        # Thinner than a patch voxel: mark the patch voxels that contain a voxel of the lesion.
        place = (np.argwhere(lesion) + corner) * voxel / step + (size - 1) / 2
        target = np.floor(place + 0.5).astype(int)
        target = target[((target >= 0) & (target < size)).all(axis=1)]
        inside[tuple(target.T)] = True
    return inside
