"""Estimate the memory that a case needs, before it is read and before it is measured."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nonredundant.io.headers import stored_bytes
from nonredundant.utils.validation import InvalidParameterError

_GIB = 2.0**30
#: Share of the machine's memory that one case may need if no limit is given.
_SHARE = 0.5
#: Limits of containers (cgroups, versions 2 and 1).
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
#: Directions in which pyradiomics counts pairs and runs, by dimensions of the image.
_DIRECTIONS = {2: 4, 3: 13}
#: Arrays of the size of the co-occurrence matrix that pyradiomics holds at a time.
_COPIES = 6
#: Arrays of one number a grey level that discretisation holds at a time.
_EDGES = 4


class CaseMemoryError(MemoryError):
    """A case that needs more memory than it may use."""


def memory_limit(gib: float | None = None) -> float:
    """Return the bytes that one case may use.

    Parameters
    ----------
    gib : float, optional
        The limit in GiB. None: half of the memory of the machine or container.

    Returns
    -------
    float
        The limit in bytes.

    Examples
    --------
    >>> memory_limit(2.0)
    2147483648.0
    """
    if gib is not None:
        return gib * _GIB
    total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for name in _LIMITS:
        try:
            total = min(total, float(Path(name).read_text(encoding="ascii")))
        except (OSError, ValueError):
            # The process is in no such container, or its limit is "max".
            continue
    return _SHARE * total


def check_sources(image: Any, mask: Any, limit: float) -> None:
    """Raise if image and mask need more memory than the limit, by their headers.

    Parameters
    ----------
    image, mask : object
        Cells of the case table.
    limit : float
        Bytes.

    Raises
    ------
    CaseMemoryError
        If they need more.
    CaseError
        If a header cannot be read, or claims more than its file can hold.

    Examples
    --------
    >>> check_sources(np.zeros((4, 8, 8)), None, 1e6)
    """
    need = sum(stored_bytes(one) for one in (image, mask) if one is not None)
    if need > limit:
        raise CaseMemoryError(
            f"image and mask need {_gib(need)} by their headers, and max_memory allows "
            f"{_gib(limit)}; check the headers, crop the scan, or raise max_memory"
        )


def check_grid(
    extent: np.ndarray, old: np.ndarray, new: np.ndarray, margin: int, limit: float
) -> None:
    """Raise if a lesion on another grid needs more memory than the limit.

    Parameters
    ----------
    extent : array of shape (2,) or (3,)
        Size of the lesion's bounding box in voxels.
    old, new : array of the same shape
        Size of the voxels (mm) now and on the other grid.
    margin : int
        Voxels of the other grid around the lesion.
    limit : float
        Bytes.

    Raises
    ------
    CaseMemoryError
        If it needs more.

    Examples
    --------
    >>> check_grid(np.array([9, 9]), np.array([2.0, 2.0]), np.array([1.0, 1.0]), 5, 1e9)
    """
    size = np.ceil(extent * old / new) + 2 * margin
    # Image and interpolated image in double precision, and the mask.
    need = float(np.prod(size)) * (2 * 8 + 1)
    if need > limit:
        before, after = ("×".join(f"{one:.3g}" for one in each) for each in (old, new))
        raise CaseMemoryError(
            f"resampling the lesion from voxels of {before} mm to {after} mm makes a grid of "
            f"{'×'.join(f'{one:,.0f}' for one in size)} voxels, which needs {_gib(need)}, and "
            f"max_memory allows {_gib(limit)}; check the voxel size of the image, set a larger "
            "spacing or spacing='native', or raise max_memory"
        )


def check_grey_levels(
    lowest: float,
    highest: float,
    extent: np.ndarray,
    setting: Mapping[str, Any],
    classes: Collection[str],
    limit: float,
) -> None:
    """Raise if the grey levels of a lesion need texture matrices larger than the limit.

    Parameters
    ----------
    lowest, highest : float
        Intensities of the lesion that are discretised.
    extent : array of shape (2,) or (3,)
        Size of its bounding box in voxels.
    setting : mapping
        pyradiomics' settings, of which `binWidth` and `binCount` are read.
    classes : collection of str
        Feature classes that are computed.
    limit : float
        Bytes.

    Raises
    ------
    CaseMemoryError
        If they need more.

    Notes
    -----
    Co-occurrence counts need levels² numbers in each direction, run lengths levels × the longest
    side.

    Examples
    --------
    >>> check_grey_levels(0.0, 8.0, np.array([3, 3]), {"binWidth": 1}, ["glcm"], 1e9)
    """
    if not math.isfinite(highest - lowest):
        # pyradiomics tells what is wrong with such an image.
        return
    count = setting.get("binCount")
    width = float(setting.get("binWidth", 25.0))
    levels = int(count) if count else math.floor((highest - lowest) / width) + 1
    need = 8.0 * _EDGES * levels
    if any(name.startswith("gl") for name in classes):
        need += 8.0 * levels * _DIRECTIONS[extent.size] * (_COPIES * levels + 3 * int(extent.max()))
    if need > limit:
        bins = f"a bin count of {levels:,}" if count else f"a bin width of {width:g}"
        remedy = "lower bin_count" if count else "raise bin_width, or set bin_count"
        raise CaseMemoryError(
            f"{bins} leaves {levels:,} grey levels from {lowest:.5g} to {highest:.5g}, whose "
            f"matrices need {_gib(need)}, and max_memory allows {_gib(limit)}; check the units of "
            f"the image, {remedy}, or raise max_memory"
        )


def check_patch(patch_shape: Sequence[int], limit: float) -> None:
    """Raise if one patch and its mask need more memory than the limit.

    Parameters
    ----------
    patch_shape : sequence of int
        Voxels per axis.
    limit : float
        Bytes.

    Raises
    ------
    InvalidParameterError
        If they need more.

    Examples
    --------
    >>> check_patch((32, 32, 32), 1e9)
    """
    need = math.prod(map(float, patch_shape)) * (4 + 1)
    if need > limit:
        raise InvalidParameterError(
            f"patch_shape={tuple(patch_shape)} needs {_gib(need)} for each lesion, and max_memory "
            f"allows {_gib(limit)}; set a smaller patch_shape, or raise max_memory"
        )


def _gib(size: float) -> str:
    """Describe a number of bytes."""
    return f"{size / _GIB:,.3g} GiB"
