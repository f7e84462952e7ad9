"""Voxel sizes that the headers of NIfTI, NRRD and MetaImage files state, with their units."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nonredundant.io.errors import CaseError, ImageFileError
from nonredundant.io.nifti import unstated_axes
from nonredundant.io.voxel_size import check_plausible, check_rectangular, mark_unknown

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Endings of files of pixels, which have no place in space; a size of pixels in them is often that
#: of a printer.
WITHOUT_GRID = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_NIFTI = (".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz")
_NRRD, _META = (".nrrd", ".nhdr", ".seg.nrrd"), (".mha", ".mhd")
#: Bytes that a text header fits in.
_HEADER = 1 << 16
#: Millimetres of the units that text headers name.
_UNITS = {"m": 1000.0, "cm": 10.0, "mm": 1.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3}
_UNITS |= {"millimeter": 1.0, "millimeters": 1.0, "millimetre": 1.0, "millimetres": 1.0}


class StatedSize(NamedTuple):
    """What a header says about its voxel size.

    `unknown` are the axes without a size, and `reason` what is stated instead; `factor` the
    millimetres of its units, by which ITK does not multiply.
    """

    unknown: tuple[int, ...] = ()
    reason: str = ""
    factor: float = 1.0


def read_stated_size(path: Path) -> StatedSize:
    """Read what the header of a file says about its voxel size.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    StatedSize
        Axes without a size, and the units.

    Raises
    ------
    CaseError
        If the header contradicts itself, or states units that are unknown.

    Examples
    --------
    >>> from pathlib import Path
    >>> read_stated_size(Path("scan.nrrd"))  # doctest: +SKIP
    StatedSize(unknown=(), reason='', factor=1.0)
    """
    file_name = path.name.lower()
    if file_name.endswith(_NIFTI):
        return StatedSize(*unstated_axes(path))
    if file_name.endswith(_NRRD):
        return _read_nrrd(path)
    return _read_meta(path) if file_name.endswith(_META) else StatedSize()


def with_stated_size(image: sitk.Image, size: StatedSize, path: Path) -> sitk.Image:
    """Give an image the voxel size that its header states.

    Parameters
    ----------
    image : SimpleITK.Image
        The image as ITK reads it, changed in place.
    size : StatedSize
        What its header says.
    path : Path
        Its file.

    Returns
    -------
    SimpleITK.Image
        The image, in mm; axes without a size are marked.

    Raises
    ------
    CaseError
        If the size is implausible, or the axes are not perpendicular.

    Examples
    --------
    >>> import SimpleITK as sitk
    >>> image = sitk.Image(20, 20, sitk.sitkUInt8)
    >>> with_stated_size(image, StatedSize(factor=10.0), Path("a.nrrd")).GetSpacing()
    (10.0, 10.0)
    """
    if path.name.lower().endswith(WITHOUT_GRID):
        return image
    if size.factor != 1.0:
        image.SetSpacing([size.factor * value for value in image.GetSpacing()])
        image.SetOrigin([size.factor * value for value in image.GetOrigin()])
    check_rectangular(image.GetDirection(), image.GetDimension())
    if size.unknown:
        return mark_unknown(image, size.unknown, size.reason)
    check_plausible(image.GetSpacing()[:3], image.GetSize()[:3])
    return image


def _read_nrrd(path: Path) -> StatedSize:
    """Read the header of a NRRD file (http://teem.sourceforge.net/nrrd/format.html)."""
    fields = _fields(path, ":", "")
    if {"old min", "oldmin", "old max", "oldmax"} & set(fields):
        raise ImageFileError(
            f"{path} states that its values were quantised from others ('old min', 'old max'), "
            "which is not undone; store the intensities themselves"
        )
    directions = re.findall(r"\([^)]*\)|none", fields.get("space directions", "").lower())
    if directions:
        values = [_length(direction) for direction in directions]
    else:
        values = [_number(value) for value in fields.get("spacings", "").split()]
    kinds = fields.get("kinds", "").split()
    n_axes = int(_number(fields.get("dimension", "0")) or 0)
    values += [math.nan] * (n_axes - len(values))
    # Axes of channels have no size in space.
    spatial = [
        k
        for k in range(n_axes)
        if len(kinds) != n_axes or kinds[k].lower() in ("space", "domain", "???")
    ]
    sizes = [values[k] for k in spatial][:3]
    units = re.findall(r'"([^"]*)"', fields.get("space units", "") or fields.get("units", ""))
    return _stated(path, sizes, units, "'spacings' or 'space directions'")


def _read_meta(path: Path) -> StatedSize:
    """Read the header of a MetaImage file (https://itk.org/Wiki/ITK/MetaIO/Documentation)."""
    fields = _fields(path, "=", "elementdatafile")
    slope = _number(fields.get("elementtointensityfunctionslope", "1"))
    offset = _number(fields.get("elementtointensityfunctionoffset", "0"))
    if (slope, offset) != (1, 0):
        raise ImageFileError(
            f"{path} states that intensities are its values times {slope:g} plus {offset:g} "
            "(ElementToIntensityFunctionSlope and …Offset), which is not applied; store the "
            "intensities themselves"
        )
    skipped = _number(fields.get("headersize", "0"))
    if skipped > 0 and fields.get("elementdatafile", "").lower() == "local":
        raise ImageFileError(
            f"{path} states {skipped:g} bytes before its voxels (HeaderSize), which are not skipped"
            " in a file with its own header; save it without them"
        )
    n_axes = int(_number(fields.get("ndims", "0")) or 0)
    given = fields.get("elementspacing", "") or fields.get("elementsize", "")
    sizes = [_number(value) for value in given.split()] or [math.nan] * n_axes
    return _stated(path, sizes[:3], [fields.get("distanceunits", "")], "'ElementSpacing'")


def _stated(path: Path, sizes: Sequence[float], units: Sequence[str], field: str) -> StatedSize:
    """Judge sizes and units of a text header."""
    named = {unit.strip().lower() for unit in units} - {"", "?"}
    factors = {_UNITS.get(unit) for unit in named}
    if len(factors) > 1 or None in factors:
        raise CaseError(
            f"{path} states the size of its voxels in {', '.join(sorted(named))}; expected mm (or "
            "cm, m, um, the same for all axes)"
        )
    factor = _UNITS[named.pop()] if named else 1.0
    # ITK takes the absolute value of a negative size and turns the axis.
    wrong = [length for length in sizes if length == 0 or math.isinf(length)]
    if wrong:
        raise CaseError(
            f"{path} states a voxel size of {'×'.join(f'{length:g}' for length in sizes)}; correct "
            "the header"
        )
    unknown = tuple(k for k, length in enumerate(sizes) if math.isnan(length))
    shown = "×".join(f"{length:g}" for length in sizes)
    reason = f"its header has no {field} for axis {', '.join('xyz'[k] for k in unknown)} ({shown})"
    return StatedSize(unknown, reason, factor)


def _fields(path: Path, separator: str, last: str) -> dict[str, str]:
    """Read the fields of a text header up to an empty line, or to the field `last`."""
    with path.open("rb") as file:
        lines = file.read(_HEADER).decode("utf-8", "replace").splitlines()
    fields: dict[str, str] = {}
    for line in lines:
        key, separated, value = line.partition(separator)
        if not line.strip():
            break
        if separated and not value.startswith("="):
            fields[key.strip().lower()] = value.strip()
        if last and key.strip().lower() == last:
            break
    return fields


def _number(value: str) -> float:
    """Read a number; NaN if it is none."""
    try:
        return float(value)
    except ValueError:
        return math.nan


def _length(direction: str) -> float:
    """Compute the length of a vector in parentheses; NaN without one."""
    values = [_number(value) for value in direction.strip("()").split(",")]
    return float(np.linalg.norm(values))
