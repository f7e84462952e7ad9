"""Area, volume and diameters of a lesion's mesh, equal to pyradiomics' but in linear time.

pyradiomics' C function visits all pairs of vertices for the diameters, which for a lesion of
100,000 voxels takes longer than all other features together. Here the largest distances are
searched among vertices that can have them. Its marching cubes are kept: what each of the 256
configurations of a cube adds to area and volume is read off the C function, and the cubes of the
lesion are counted.

Definitions: van Griethuysen et al. 2017 (doi 10.1158/0008-5472.CAN-17-0339).
"""

from __future__ import annotations

import functools

import numpy as np
import SimpleITK as sitk
from radiomics import cShape
from radiomics.shape import RadiomicsShape
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

#: Configurations of a cube: its 8 corners are inside the lesion or outside.
_N_CONFIGURATIONS = 256
#: Volumes under triangles are multiples of the 48th part of a cube.
_PARTS = 48
#: Points of which the convex hull is taken first; of fewer, all pairs take less time.
_MANY = 400
#: Relative rounding error of a distance.
_ROUNDING = 1e-12
#: Corners of each configuration, shape (256, 2, 2, 2); bit 4 z + 2 y + x is the corner (z, y, x).
_CORNERS = (
    (np.arange(_N_CONFIGURATIONS)[:, None] >> np.arange(8) & 1).astype(bool).reshape(-1, 2, 2, 2)
)


class Shape(RadiomicsShape):
    """3-D shape features, with the mesh's values from `mesh_coefficients`."""

    def _initSegmentBasedCalculation(self) -> None:
        self.pixelSpacing = np.array(self.inputImage.GetSpacing()[::-1])
        inside = sitk.GetArrayViewFromImage(self.inputMask) == self.label
        # One voxel on each side, so that the mesh is closed.
        self.maskArray = np.pad(inside, 1)
        self.labelledVoxelCoordinates = np.nonzero(self.maskArray)
        self.SurfaceArea, self.Volume, self.diameters = mesh_coefficients(
            self.maskArray, self.pixelSpacing
        )
        voxels = np.array(self.labelledVoxelCoordinates).T * self.pixelSpacing
        voxels -= voxels.mean(axis=0)
        voxels /= np.sqrt(len(voxels))
        values = np.linalg.eigvals(voxels.T.copy() @ voxels)
        # The smallest eigenvalue of a flat lesion may be negative by rounding.
        values[(values < 0) & (values > -1e-10)] = 0
        self.eigenValues = np.sort(values)


def mesh_coefficients(
    mask: np.ndarray, spacing: np.ndarray
) -> tuple[float, float, tuple[float, float, float, float]]:
    """Compute the area, the volume and the diameters of the mesh around a lesion.

    Parameters
    ----------
    mask : bool array of shape (z, y, x)
        The lesion, with at least one voxel outside of it on each side.
    spacing : array of shape (3,)
        Voxel size in mm, z-y-x.

    Returns
    -------
    area : float
        Area of the mesh (mm²).
    volume : float
        Volume inside the mesh (mm³).
    diameters : tuple of 4 floats
        The largest distances (mm) between two vertices in one axial, coronal and sagittal plane,
        and in 3-D.

    Examples
    --------
    >>> mask = np.zeros((3, 3, 3), dtype=bool)
    >>> mask[1, 1, 1] = True
    >>> area, volume, diameters = mesh_coefficients(mask, np.ones(3))
    >>> round(area, 3), round(volume, 3), diameters
    (1.732, 0.167, (1.0, 1.0, 1.0, 1.0))
    """
    configurations = np.zeros(np.array(mask.shape) - 1, dtype=np.uint8)
    for bit in range(8):
        z, y, x = bit >> 2, bit >> 1 & 1, bit & 1
        part = mask[z : z + len(mask) - 1, y : y + mask.shape[1] - 1, x : x + mask.shape[2] - 1]
        configurations |= part.astype(np.uint8) << bit
    # Cubes that are wholly inside or outside have no triangles.
    position = np.nonzero((configurations != 0) & (configurations != _N_CONFIGURATIONS - 1))
    found = configurations[position]
    counts = np.bincount(found, minlength=_N_CONFIGURATIONS)
    volumes, shifts = _volume_parts()
    volume = counts @ volumes
    for axis, index in enumerate(position):
        volume += shifts[axis][found] @ index
    area = counts @ _areas(tuple(spacing.tolist()))
    volume = volume * np.prod(spacing) / _PARTS
    return float(area), float(volume), _diameters(_vertices(mask), spacing)


@functools.lru_cache(maxsize=64)
def _areas(spacing: tuple[float, ...]) -> np.ndarray:
    """Return the area (mm²) of the triangles of each configuration."""
    size = np.array(spacing)
    return np.array([cShape.calculate_coefficients(cube, size)[0] for cube in _CORNERS])


@functools.lru_cache(maxsize=1)
def _volume_parts() -> tuple[np.ndarray, np.ndarray]:
    """Return what each configuration adds to the volume, for cubes of side 1.

    A triangle adds the signed volume of the tetrahedron that it forms with the origin, which is a
    constant plus a multiple of each coordinate of the cube's position. The constants have the shape
    (256,), the multiples (3, 256); both are integers, in 48ths of a cube.
    """
    at_origin = _volumes(_CORNERS)
    shifts = []
    for axis in range(3):
        # The cube, moved by one along the axis, and a second cube before it, both of whose faces
        # across the axis equal the near face of the first.
        near = _CORNERS.take([0], axis=axis + 1)
        moved = _volumes(np.concatenate([near, _CORNERS], axis=axis + 1))
        before = _volumes(np.concatenate([near, near], axis=axis + 1))
        shifts.append(moved - before - at_origin)
    return at_origin, np.array(shifts)


def _volumes(blocks: np.ndarray) -> np.ndarray:
    """Compute pyradiomics' signed volume of each block of voxels of side 1, in 48ths.

    The vertices have half coordinates: six times the volume is a multiple of an eighth.
    """
    volumes = [cShape.calculate_coefficients(one, np.ones(3))[1] for one in blocks]
    return np.rint(np.array(volumes) * _PARTS).astype(np.int64)


def _vertices(mask: np.ndarray) -> np.ndarray:
    """Find the vertices of the mesh, halfway between a voxel inside and one outside.

    Coordinates are in half voxels, shape (n_vertices, 3).
    """
    found = []
    for axis in range(3):
        ends = np.array(np.nonzero(np.diff(mask, axis=axis))).T * 2
        ends[:, axis] += 1
        found.append(ends)
    return np.concatenate(found)


def _diameters(vertices: np.ndarray, spacing: np.ndarray) -> tuple[float, float, float, float]:
    """Compute the largest distances between two vertices in a plane of each axis, and in 3-D."""
    planes = [_largest_in_a_plane(np.roll(vertices, -axis, 1), axis, spacing) for axis in range(3)]
    points = _far_apart(vertices * (spacing / 2))
    if len(points) > _MANY:
        points = points[ConvexHull(points).vertices]
    return planes[0], planes[1], planes[2], float(pdist(points).max())


def _far_apart(points: np.ndarray) -> np.ndarray:
    """Leave out points that are too near to the centre to be one of the two farthest apart."""
    one = points[_farthest(points, points.mean(axis=0))]
    two = points[_farthest(points, one)]
    distance = np.linalg.norm(points - (one + two) / 2, axis=1)
    # The sum of the distances of two points from any third one is at least their own.
    least = float(np.linalg.norm(one - two)) - float(distance.max())
    return points[distance >= least * (1 - _ROUNDING)]


def _farthest(points: np.ndarray, place: np.ndarray) -> int:
    """Find the point that is farthest from a place."""
    return int(np.square(points - place).sum(axis=1).argmax())


def _largest_in_a_plane(vertices: np.ndarray, axis: int, spacing: np.ndarray) -> float:
    """Compute the largest distance between two vertices in the same plane.

    The first column is the plane; the other axes follow in cyclic order.
    """
    extent = vertices.max(axis=0) + 1
    keys = np.sort(np.ravel_multi_index(tuple(vertices.T), tuple(extent.tolist())))
    plane, line, place = np.unravel_index(keys, tuple(extent.tolist()))
    # Of the vertices on a line only the two ends can be farthest from any other.
    change = np.flatnonzero(np.diff(keys // extent[2])) + 1
    first, last = np.append(0, change), np.append(change, len(keys)) - 1
    across, along = np.roll(spacing, -axis)[1:] / 2
    where, low, high = line[first] * across, place[first] * along, place[last] * along
    starts = np.flatnonzero(np.diff(plane[first], prepend=-1))
    stops = np.append(starts[1:], len(first))
    width = where[stops - 1] - where[starts]
    height = np.maximum.reduceat(high, starts) - np.minimum.reduceat(low, starts)
    reach = width**2 + height**2
    largest = 0.0
    # The widest planes first: no distance exceeds the diagonal of a plane's bounding box.
    for i in np.argsort(-reach):
        if reach[i] <= largest:
            break
        part = slice(starts[i], stops[i])
        squares = np.square(np.subtract.outer(where[part], where[part]))
        squares += np.square(np.subtract.outer(high[part], low[part]))
        largest = max(largest, float(squares.max()))
    return float(np.sqrt(largest))
