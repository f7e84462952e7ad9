"""Planes of a DICOM image in space: their order and distances, whether slices or frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nonredundant.io.dicom import name, numbers
from nonredundant.io.errors import CaseError, ImageFileError

#: Slice distances may differ by this fraction: positions are rounded when they are stored.
JITTER = 1e-3
#: Elements that tell images at one position apart, and what several of them are.
_SPLIT = {
    "EchoTime": "echo times",
    "EffectiveEchoTime": "echo times",
    "EchoNumbers": "echo numbers",
    "AcquisitionNumber": "acquisitions",
    "TemporalPositionIdentifier": "temporal positions",
    "TemporalPositionIndex": "temporal positions",
    "DiffusionBValue": "b-values",
    "TriggerTime": "trigger times",
    "ImageType": "image types",
    "FrameType": "frame types",
    "StackID": "stacks",
}
ADVICE = "give each volume a folder of its own"


@dataclass(frozen=True)
class Plane:
    """One slice or frame: the position of its first pixel and its axes, in mm.

    `size` is columns and rows; `spacing` the distances of columns and rows, None if unknown;
    `text` returns an element of its header.
    """

    name: str
    origin: np.ndarray
    axes: np.ndarray
    size: tuple[int, int]
    spacing: np.ndarray | None
    text: Callable[[str], str]


@dataclass(frozen=True)
class Grid:
    """The grid of a volume, and the order of its planes; `spacing` is NaN where unknown."""

    order: list[int]
    spacing: np.ndarray
    origin: np.ndarray
    direction: np.ndarray


def read_place(position: Any, orientation: Any, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the position and the axes of a plane.

    Parameters
    ----------
    position, orientation : pydicom.Dataset
        What holds ImagePositionPatient and ImageOrientationPatient.
    where : str
        The name of the plane for the message.

    Returns
    -------
    origin : array of shape (3,)
        Centre of the first pixel in mm.
    axes : array of shape (2, 3)
        Directions of rows and columns.

    Raises
    ------
    ImageFileError
        If they are absent, or no position and no pair of perpendicular unit vectors.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> place = Dataset()
    >>> place.ImagePositionPatient = [0, 0, 5]
    >>> place.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    >>> read_place(place, place, "1.dcm")[0].tolist()
    [0.0, 0.0, 5.0]
    """
    try:
        origin = np.array(numbers(position, "ImagePositionPatient"))
        axes = np.array(numbers(orientation, "ImageOrientationPatient"))
    except CaseError as error:
        raise ImageFileError(f"{where}: {error}") from error
    given = np.isfinite(origin).all() and np.isfinite(axes).all()
    if origin.shape != (3,) or axes.shape != (6,) or not given:
        raise ImageFileError(
            f"{where} has no position or orientation of its slice: "
            f"{name('ImagePositionPatient')} and {name('ImageOrientationPatient')} need 3 and 6 "
            f"finite numbers, but have {origin.tolist()} and {axes.tolist()}, so the order of the "
            "slices is unknown; export the series again"
        )
    axes = axes.reshape(2, 3)
    if not np.allclose(axes @ axes.T, np.eye(2), atol=1e-2):
        raise ImageFileError(
            f"{where}: the orientation {axes.ravel().tolist()} (0020,0037) is no pair of "
            "perpendicular unit vectors; correct the header, or export the series again"
        )
    return origin, axes


def check_alike(planes: Sequence[Plane]) -> None:
    """Raise if planes have different sizes, pixel spacings or orientations.

    Parameters
    ----------
    planes : sequence of Plane
        The planes.

    Raises
    ------
    ImageFileError
        If two differ; the message names them.

    Examples
    --------
    >>> check_alike([])
    """
    for plane in planes:
        first = planes[0]
        if not _alike(first, plane):
            raise ImageFileError(
                f"{plane.name} has another size, pixel spacing or orientation ({_describe(plane)}) "
                f"than {first.name} ({_describe(first)}) in the same series (a localizer?); "
                f"{ADVICE}"
            )


def arrange(planes: Sequence[Plane]) -> Grid:
    """Order planes by their positions and check that they form a grid.

    Parameters
    ----------
    planes : sequence of Plane
        At least two planes of the same size and orientation.

    Returns
    -------
    Grid
        The grid.

    Raises
    ------
    ImageFileError
        If planes are missing, unevenly spaced or shifted sideways, or several share a position.

    Examples
    --------
    >>> axes = np.eye(3)[:2]
    >>> planes = [
    ...     Plane(str(z), np.array([0.0, 0.0, z]), axes, (2, 2), np.ones(2), lambda keyword: "")
    ...     for z in (6, 2, 4)
    ... ]
    >>> arrange(planes).order
    [1, 2, 0]
    """
    normal = np.cross(*planes[0].axes)
    along = np.array([plane.origin @ normal for plane in planes])
    order = np.argsort(along, kind="stable").tolist()
    planes, along = [planes[k] for k in order], along[order]
    distance = _check_positions(planes, along, normal)
    in_plane = planes[0].spacing if planes[0].spacing is not None else np.full(2, np.nan)
    return Grid(
        order,
        np.array([*in_plane, distance]),
        planes[0].origin,
        np.column_stack([*planes[0].axes, normal]),
    )


def _alike(first: Plane, second: Plane) -> bool:
    """Compare size, pixel spacing and orientation."""
    a, b = first.spacing, second.spacing
    if (a is None) != (b is None) or first.size != second.size:
        return False
    same = a is None or b is None or np.allclose(a, b, rtol=JITTER, atol=0)
    return same and np.allclose(first.axes, second.axes, atol=1e-3)


def _describe(plane: Plane) -> str:
    """Describe size and pixel spacing."""
    spacing = "unknown" if plane.spacing is None else f"{tuple(plane.spacing.tolist())} mm"
    return f"{plane.size}, {spacing}"


def _check_positions(planes: Sequence[Plane], along: np.ndarray, normal: np.ndarray) -> float:
    """Check that planes lie evenly above each other; return their distance."""
    steps = np.diff(along)
    typical = float(np.median(steps))
    if (steps < JITTER).any():
        _refuse_shared(planes, along, steps)
    _check_steps(along, steps, typical)
    origins = np.array([plane.origin for plane in planes])
    sideways = origins - origins[0] - np.outer(along - along[0], normal)
    shift = float(np.linalg.norm(sideways, axis=1).max())
    if shift > JITTER * len(planes) * typical:
        tilt = np.degrees(np.arctan2(np.linalg.norm(sideways[-1]), along[-1] - along[0]))
        raise ImageFileError(
            f"the slices are shifted sideways by up to {shift:.2f} mm, as with a gantry tilt "
            f"({tilt:.1f} degrees): such voxels are sheared; resample the scan to a rectangular "
            "grid (for instance dcm2niix does) and give that file"
        )
    return float((along[-1] - along[0]) / (len(planes) - 1))


def _refuse_shared(planes: Sequence[Plane], along: np.ndarray, steps: np.ndarray) -> None:
    """Raise an error that says how images at one position differ."""
    differing: dict[str, list[str]] = {}
    for keyword, what in _SPLIT.items():
        values = sorted({plane.text(keyword) for plane in planes})
        if len(values) > 1:
            differing[what] = values
    why = "; ".join(
        f"{len(values)} {what} ({', '.join(v or 'none' for v in values[:5])})"
        for what, values in differing.items()
    )
    shared = int((steps < JITTER).sum())
    raise ImageFileError(
        f"of the {len(planes)} slices or frames several share one position ({shared} times, first "
        f"at {along[:-1][steps < JITTER][0]:.2f} mm): "
        f"{why or 'copies, or several volumes under one UID'}; {ADVICE}"
    )


def _check_steps(along: np.ndarray, steps: np.ndarray, typical: float) -> None:
    """Raise if the distances of neighbouring slices differ, naming the first wide gap."""
    smallest = float(steps.min())
    wrong = np.abs(steps - typical) > JITTER * typical
    if not wrong.any():
        return
    at = int(steps.argmax())
    low, high, ratio = along[at], along[at + 1], steps[at] / smallest
    if abs(ratio - round(ratio)) < 0.02 and round(ratio) > 1:
        n = round(ratio) - 1
        raise ImageFileError(
            f"{n} {'slice is' if n == 1 else 'slices are'} missing between {low:.2f} and "
            f"{high:.2f} mm ({int(wrong.sum())} of {steps.size} distances differ from "
            f"{typical:.3g} mm); copy or export the whole series again"
        )
    raise ImageFileError(
        f"the slices are unevenly spaced: {smallest:.4g} to {steps.max():.4g} mm, the widest "
        f"between {low:.2f} and {high:.2f} mm; export a series of even spacing, or resample it"
    )
