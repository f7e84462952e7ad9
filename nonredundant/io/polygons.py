"""Polygons on a grid of pixels: fill them, tell copies from holes, interpolate between slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nonredundant.io.errors import CaseError

#: Outlines this close to each other everywhere, in pixels, are one outline stored twice: a wall
#: of this thickness has no pixels to speak of.
_COPY = 0.25
#: Outlines within a pixel of each other that cross are also one, rounded: a real inner outline
#: stays inside of the outer one. Share of the corners on the rarer side of the other outline.
_CLOSE, _MIXED = 1.0, 0.1
#: Two areas touch if at most this share of the smaller is common; one lies inside the other if at
#: most this share of it is not. So also if this part is a line of pixels, whatever its share:
#: outlines that were drawn together are rounded apart.
_TOUCH = 0.1
#: Areas of this ratio whose outlines cross are one region drawn twice, not a hole in another.
_SIMILAR = 0.8


def fill_polygon(points: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Find the pixels whose centres lie inside a polygon, by the even-odd rule.

    Parameters
    ----------
    points : array of shape (n, 2)
        Corners (x, y) in pixels; the centre of the first pixel is (0, 0). The last corner is
        joined to the first.
    shape : sequence of int
        Rows and columns.

    Returns
    -------
    bool array of shape `shape`
        True inside. Of centres on an edge, those on left and upper edges are inside.

    Notes
    -----
    A ray from the centre towards larger x crosses the outline an odd number of times if and only
    if the centre is inside (Shimrat 1962, doi 10.1145/368637.368653).

    Examples
    --------
    >>> import numpy as np
    >>> fill_polygon(np.array([[0.5, 0.5], [2.5, 0.5], [2.5, 1.5], [0.5, 1.5]]), (3, 4)).sum()
    np.int64(2)
    """
    rows, columns = shape
    crossings = np.zeros((rows, columns + 1), dtype=np.int64)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        low, high = min(y0, y1), max(y0, y1)
        # Half open, so that a corner on a row counts once.
        first, stop = max(int(np.ceil(low)), 0), min(int(np.ceil(high)), rows)
        if first >= stop:
            continue
        y = np.arange(first, stop)
        x = x0 + (y - y0) * ((x1 - x0) / (y1 - y0))
        # Centres left of the crossing have it on their ray: from column ceil(x) on it is missing.
        np.add.at(crossings, (y, np.clip(np.ceil(x), 0, columns).astype(int)), 1)
    # Crossings at or left of each centre; all crossings of a closed outline are an even number.
    return np.cumsum(crossings, axis=1)[:, :columns] % 2 == 1


def without_copies(polygons: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Drop polygons that are stored before: from another corner, in the other direction, rounded.

    Parameters
    ----------
    polygons : sequence of array of shape (n, 2)
        Corners in pixels.

    Returns
    -------
    list of array
        Those of which no earlier one is a copy.

    Examples
    --------
    >>> import numpy as np
    >>> square = np.array([[0, 0], [5, 0], [5, 5], [0, 5]], dtype=float)
    >>> len(without_copies([square, square[::-1], square + 0.01, square / 2]))
    2
    """
    boxes = _boxes(polygons)
    kept: list[int] = []
    for k, points in enumerate(polygons):
        close = np.abs(boxes[kept] - boxes[k]).max(axis=1) <= _CLOSE
        if not any(_are_copies(points, polygons[kept[i]]) for i in np.flatnonzero(close)):
            kept.append(k)
    return [polygons[k] for k in kept]


def without_second_round(points: np.ndarray) -> np.ndarray:
    """Return a polygon whose corners go round its outline once.

    An outline that a file lists twice in a row would cross each ray twice, and be empty.

    Parameters
    ----------
    points : array of shape (n, 2)
        Corners in pixels.

    Returns
    -------
    array of shape (m, 2)
        The corners, or their first half if the second is a copy of it.

    Examples
    --------
    >>> import numpy as np
    >>> square = np.array([[0, 0], [5, 0], [5, 5], [0, 5]], dtype=float)
    >>> len(without_second_round(np.concatenate([square, square, square[:1]])))
    4
    """
    closed = len(points) > 1 and (points[0] == points[-1]).all()
    corners = points[:-1] if closed else points
    half = len(corners) // 2
    if half < 3 or 2 * half != len(corners):
        return points
    rounds = without_copies([corners[:half], corners[half:]])
    return rounds[0] if len(rounds) == 1 else points


def combine_polygons(
    polygons: Sequence[np.ndarray], shape: Sequence[int], *, exclusive: bool
) -> np.ndarray:
    """Fill the polygons of one region on one slice.

    A polygon inside another one cuts a hole, one inside the hole is an island. Polygons beside
    each other add up, also if their edges overlap.

    Parameters
    ----------
    polygons : sequence of array of shape (n, 2)
        Corners in pixels.
    shape : sequence of int
        Rows and columns.
    exclusive : bool
        Whether they are declared to cut each other (DICOM's CLOSEDPLANAR_XOR), however they lie.

    Returns
    -------
    bool array of shape `shape`
        True inside.

    Raises
    ------
    CaseError
        If two polygons overlap in part, so that it is unknown whether one cuts the other.

    Examples
    --------
    >>> import numpy as np
    >>> outer = np.array([[0.5, 0.5], [8.5, 0.5], [8.5, 8.5], [0.5, 8.5]])
    >>> combine_polygons([outer, (outer + 4) / 2], (10, 10), exclusive=False).sum()
    np.int64(48)
    """
    filled = [fill_polygon(points, shape) for points in polygons]
    if len(filled) == 1:
        return filled[0]
    if exclusive:
        return np.logical_xor.reduce(filled)
    depth = _depths(polygons, filled)
    level = np.zeros(shape, dtype=np.int32)
    for k in np.argsort(depth, kind="stable"):
        level[filled[k]] = depth[k] + 1
    return level % 2 == 1


def interpolate_slices(
    first: np.ndarray, last: np.ndarray, n_between: int, spacing: Sequence[float]
) -> np.ndarray:
    """Interpolate a region between two slices by its signed distances from the outline.

    Parameters
    ----------
    first, last : bool array of shape (rows, columns)
        The region on both slices.
    n_between : int
        Number of slices between them.
    spacing : sequence of two floats
        Distance of rows and of columns in mm.

    Returns
    -------
    bool array of shape (n_between, rows, columns)
        The region on the slices between.

    Notes
    -----
    Shape-based interpolation (Raya & Udupa 1990, doi 10.1109/42.52980).

    Examples
    --------
    >>> import numpy as np
    >>> line = np.zeros((1, 9), bool)
    >>> line[0, 2:7] = True
    >>> interpolate_slices(line, line, 2, (1, 1)).sum(axis=(1, 2))
    array([5, 5])
    """
    before, after = _signed_distance(first, spacing), _signed_distance(last, spacing)
    weights = np.arange(1, n_between + 1)[:, None, None] / (n_between + 1)
    return before * (1 - weights) + after * weights > 0


def _signed_distance(inside: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Compute the distance from the outline in mm, positive inside."""
    from scipy.ndimage import distance_transform_edt

    # A frame of pixels outside: a region that fills the slice has an outline, too.
    padded = np.pad(inside, 1)
    within = distance_transform_edt(padded, sampling=spacing)
    beyond = distance_transform_edt(~padded, sampling=spacing)
    return (within - beyond)[1:-1, 1:-1]


def _depths(polygons: Sequence[np.ndarray], filled: Sequence[np.ndarray]) -> np.ndarray:
    """Count for each polygon those that it lies in."""
    depth = np.zeros(len(polygons), dtype=int)
    areas = [int(np.count_nonzero(part)) for part in filled]
    for i, j in _overlapping_boxes(polygons):
        inner, outer = (i, j) if areas[i] < areas[j] else (j, i)
        common, rest = filled[inner] & filled[outer], filled[inner] & ~filled[outer]
        shared = int(np.count_nonzero(common))
        if shared >= (1 - _TOUCH) * areas[inner] and not (
            rest.any()
            and areas[inner] >= _SIMILAR * areas[outer]
            and _share_inside(polygons[inner], polygons[outer]) < 1 - _MIXED
        ):
            depth[inner] += bool(shared)
        elif shared <= _TOUCH * areas[inner] or _is_line(common):
            continue
        elif _is_line(rest) and areas[inner] < _SIMILAR * areas[outer]:
            depth[inner] += 1
        else:
            raise CaseError(
                f"two of its contours on one slice, of {areas[outer]} and {areas[inner]} pixels, "
                f"overlap in {shared} pixels, so it is unknown whether they add up or one cuts the "
                "other; correct them in the planning system"
            )
    return depth


def _is_line(inside: np.ndarray) -> bool:
    """Check whether an area is nowhere two pixels wide."""
    wide = inside[1:, 1:] & inside[1:, :-1] & inside[:-1, 1:] & inside[:-1, :-1]
    return not wide.any()


def _boxes(polygons: Sequence[np.ndarray]) -> np.ndarray:
    """Return the sides of the bounding box of each polygon: low x, low y, high x, high y."""
    sides = [np.concatenate([one.min(axis=0), one.max(axis=0)]) for one in polygons]
    return np.array(sides).reshape(-1, 4)


def _overlapping_boxes(polygons: Sequence[np.ndarray]) -> Iterator[tuple[int, int]]:
    """List the pairs of polygons whose bounding boxes overlap."""
    boxes = _boxes(polygons)
    low, high = boxes[:, :2], boxes[:, 2:]
    overlap = ((low[:, None] <= high) & (low <= high[:, None])).all(axis=2)
    yield from ((int(i), int(j)) for i, j in np.argwhere(np.triu(overlap, 1)))


def _are_copies(one: np.ndarray, other: np.ndarray) -> bool:
    """Check whether two polygons are one outline, up to start, direction, corners and rounding."""
    distance = max(_distance(one, other), _distance(other, one))
    if distance <= _COPY:
        return True
    if distance > _CLOSE:
        return False
    inside = _share_inside(one, other)
    return _MIXED < inside < 1 - _MIXED


def _distance(points: np.ndarray, outline: np.ndarray) -> float:
    """Compute the largest distance of points from an outline."""
    start, step = outline, np.roll(outline, -1, axis=0) - outline
    length = np.maximum((step**2).sum(axis=1), np.finfo(float).tiny)
    largest = 0.0
    for part in np.array_split(points, max(1, len(points) // 256)):
        offset = part[:, None] - start
        along = np.clip((offset * step).sum(axis=2) / length, 0, 1)
        gap = ((offset - along[:, :, None] * step) ** 2).sum(axis=2).min(axis=1)
        largest = max(largest, float(np.sqrt(gap.max())))
    return largest


def _share_inside(points: np.ndarray, outline: np.ndarray) -> float:
    """Compute the share of points that lie inside an outline."""
    (x, y), (x0, y0) = points.T[:, :, None], outline.T[:, None]
    x1, y1 = np.roll(outline, -1, axis=0).T[:, None]
    crosses = (y0 <= y) != (y1 <= y)
    with np.errstate(divide="ignore", invalid="ignore"):
        right = x < x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    return float(((crosses & right).sum(axis=1) % 2 == 1).mean())
