"""Size of the pixels of a DICOM image, by the elements that each kind of image has."""

from __future__ import annotations

from typing import Any

import numpy as np

from nonredundant.io.dicom import items, name, numbers
from nonredundant.io.errors import CaseError

#: Elements that state the size of a pixel, in the order of their precedence.
SIZES = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_MAGNIFICATION = "EstimatedRadiographicMagnificationFactor"
#: Units of ultrasound regions (DICOM PS3.3, C.8.5.5.1.15): 3 is cm.
_CM = 3
#: A region that shows tissue in two dimensions (DICOM PS3.3, C.8.5.5.1.1).
_TISSUE = 1


def pixel_size(elements: Any) -> np.ndarray | None:
    """Read the distance of columns and rows.

    Parameters
    ----------
    elements : pydicom.Dataset
        The header of a slice, or the pixel measures of a frame.

    Returns
    -------
    array of shape (2,) or None
        The distances in mm, x-y; None if the header states none.

    Raises
    ------
    CaseError
        If what is stated is no size, or an ultrasound image has regions of different sizes.

    Notes
    -----
    PixelSpacing is the size in the patient: of a tomographic slice, or calibrated in a radiograph.
    ImagerPixelSpacing is the size on the detector, where the patient's shadow is enlarged; it is
    divided by EstimatedRadiographicMagnificationFactor, if that is stated (DICOM PS3.3, 10.7.1.3
    and C.8.7.10). Both have the distance of rows first. NominalScannedPixelSpacing is the size on
    a scanned film. Calibrated regions of ultrasound state theirs in cm (PS3.3, C.8.5.5).

    Examples
    --------
    >>> from pydicom import Dataset
    >>> elements = Dataset()
    >>> elements.PixelSpacing = [0.8, 0.9]
    >>> pixel_size(elements).tolist()
    [0.9, 0.8]
    """
    size = _pair(elements, "PixelSpacing")
    regions = _region_size(elements)
    if size is not None and regions is not None and not np.allclose(size, regions, rtol=1e-2):
        raise CaseError(
            f"{name('PixelSpacing')} states pixels of {_in_mm(size)}, the ultrasound regions "
            f"(0018,6011) of {_in_mm(regions)}; correct the header"
        )
    if size is None:
        size = regions
    if size is None:
        size = _pair(elements, "ImagerPixelSpacing")
        factor = (numbers(elements, _MAGNIFICATION) or (1.0,))[0]
        if not (np.isfinite(factor) and factor > 0):
            raise CaseError(
                f"{name(_MAGNIFICATION)} is {factor:g}, which is no magnification; correct it"
            )
        size = None if size is None else size / factor
    return _pair(elements, "NominalScannedPixelSpacing") if size is None else size


def _pair(elements: Any, keyword: str) -> np.ndarray | None:
    """Read distances that are stated for rows, then columns; None if they are absent or no size."""
    values = np.array(numbers(elements, keyword))
    if values.shape != (2,) or not (np.isfinite(values) & (values > 0)).all():
        return None
    return values[::-1]


def _region_size(elements: Any) -> np.ndarray | None:
    """Read the pixel size of the ultrasound regions that show tissue; None without any."""
    sizes = []
    for region in items(elements, "SequenceOfUltrasoundRegions"):
        units = [numbers(region, f"PhysicalUnits{axis}Direction") for axis in "XY"]
        if units != [(_CM,), (_CM,)] or numbers(region, "RegionSpatialFormat") != (_TISSUE,):
            continue
        size = np.abs([numbers(region, f"PhysicalDelta{axis}") for axis in "XY"]).ravel()
        if size.shape == (2,) and (np.isfinite(size) & (size > 0)).all():
            sizes.append(10 * size)
    if not sizes:
        return None
    if not np.allclose(sizes, sizes[0], rtol=1e-3, atol=0):
        raise CaseError(
            f"the ultrasound image has {len(sizes)} regions (0018,6011) with pixels of different "
            f"sizes ({'; '.join(map(_in_mm, sizes[:3]))}); give each region as an image of its own"
        )
    return sizes[0]


def _in_mm(size: np.ndarray) -> str:
    """Describe a pixel size."""
    return "×".join(f"{length:.4g}" for length in size) + " mm"
