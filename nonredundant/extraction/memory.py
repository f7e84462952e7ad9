"""Estimate the memory that a case needs, before it is read and before it is measured."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nonredundant.io.headers import stored_bytes

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
            # No such container, or "max".
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


def check_grey_levels(
    values: np.ndarray, extent: np.ndarray, parameters: Mapping[str, Any], limit: float
) -> None:
    """Raise if the grey levels of a lesion need texture matrices larger than the limit.

    Parameters
    ----------
    values : array of shape (n_voxels,)
        Intensities inside the lesion.
    extent : array of shape (2,) or (3,)
        Size of its bounding box in voxels.
    parameters : mapping
        Parameters from `resolve_parameters`.
    limit : float
        Bytes.

    Raises
    ------
    CaseMemoryError
        If they need more.

    Notes
    -----
    The number of levels is that of the stored intensities; a filter or a standardisation changes
    it, but seldom by an order of magnitude. Co-occurrence counts need levels² numbers in each
    direction, run lengths levels × the longest side.

    Examples
    --------
    >>> parameters = {"setting": {"binWidth": 1}, "featureClass": {}}
    >>> check_grey_levels(np.arange(9.0), np.array([3, 3]), parameters, 1e9)
    """
    setting, classes = parameters["setting"], parameters["featureClass"]
    if not values.size or setting.get("normalize") or setting.get("binCount"):
        return
    width = float(setting.get("binWidth", 25.0))
    spread = float(values.max()) - float(values.min())
    levels = math.floor(spread / width) + 1
    need = 0.0
    if not classes or not all(name.startswith("shape") for name in classes):
        need = 8.0 * _EDGES * levels
    if not classes or any(name.startswith("gl") for name in classes):
        need += 8.0 * levels * _DIRECTIONS[extent.size] * (_COPIES * levels + 3 * int(extent.max()))
    if need > limit:
        raise CaseMemoryError(
            f"a bin width of {width:g} leaves {levels:,} grey levels from {values.min():.5g} to "
            f"{values.max():.5g}, whose matrices need {_gib(need)}, and max_memory allows "
            f"{_gib(limit)}; check the units of the image, raise bin_width, or set bin_count"
        )


def _gib(size: float) -> str:
    """Describe a number of bytes."""
    return f"{size / _GIB:,.3g} GiB"
