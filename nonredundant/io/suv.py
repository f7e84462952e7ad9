"""PET intensities as standardised uptake values (SUV), decided by the units that DICOM states."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.io.dicom import read_dicom, text, without_pydicom_warnings
from nonredundant.io.errors import CaseError
from nonredundant.io.pet_header import (
    check_corrections,
    find_injection,
    private_factor,
    read_amounts,
    read_half_life,
)
from nonredundant.io.pet_times import decay_seconds
from nonredundant.io.series import ACQUIRED_FIRST, DIFFERENT, MODALITY, UNITS

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Values above this are no SUV of a lesion: all activity of a patient of 70 kg in 140 ml is 500.
HIGHEST_SUV = 500.0
#: Share of an image that may exceed `HIGHEST_SUV`, such as an injection site or the bladder.
_HOT = 1e-3
#: Modalities of images that are no PET.
_OTHERS = ("CT", "MR")


@without_pydicom_warnings()
def _check_units(modality: str, units: str) -> None:
    """Raise if an image is no PET, or in units that are unknown or cannot be converted."""
    if modality and modality != "PT" and (modality in _OTHERS or not units):
        raise CaseError(f"the image is a {modality}, but modality='PET'; give the PET series")
    if modality and not units:
        raise CaseError(
            "the header of the PET states no units (0054,1001), so its values may be Bq/ml; "
            "restore them, or give an image in SUV"
        )
    if units and units not in ("GML", "BQML", "CNTS"):
        raise CaseError(
            f"the PET is in units {units!r}, which cannot be converted to SUV; export it in GML or "
            "BQML"
        )


def to_suv(image: sitk.Image) -> sitk.Image:
    """Convert a PET image to SUV by body weight, if it states its units.

    Parameters
    ----------
    image : SimpleITK.Image
        The image as `read_image` returns it: of DICOM files with the units (0054,1001) in its
        metadata.

    Returns
    -------
    SimpleITK.Image
        The image in g/ml. Units `GML`, and images without units, are returned unchanged.

    Raises
    ------
    CaseError
        If the units cannot be converted, an element that is needed is missing or implausible, or
        the image is a CT or MR.

    Notes
    -----
    SUV = activity · weight / (dose · 2^(−t / half-life)), with t from the injection to the time
    that the activities are decay corrected to. That is the vendor-neutral recipe of the QIBA
    profile for FDG-PET/CT (https://qibawiki.rsna.org/index.php/Standardized_Uptake_Value_(SUV)),
    which IBSI recommends (doi 10.1148/radiol.2020191145, section 2.2 of the reference manual).

    Examples
    --------
    >>> import numpy as np, SimpleITK as sitk
    >>> image = sitk.GetImageFromArray(np.ones((2, 2, 2)))
    >>> to_suv(image) is image
    True
    """
    import SimpleITK as sitk

    modality, units, path = (_text(image, tag) for tag in (MODALITY, UNITS, ACQUIRED_FIRST))
    _check_units(modality, units)
    if path and _text(image, DIFFERENT):
        raise CaseError(
            "the slices of the PET differ in what is the same in all slices of a scan: "
            f"{_text(image, DIFFERENT)} slices; export the series again"
        )
    if units == "GML" and path:
        _check_body_weight(read_dicom(Path(path)).elements)
    if not units or units == "GML":
        return image
    if not path:
        raise CaseError(
            f"the PET is in units {units!r} and its headers are not at hand; give the folder of "
            "its DICOM series, or an image in SUV"
        )
    header = read_dicom(Path(path)).elements
    converted = sitk.Cast(image, sitk.sitkFloat64) * suv_factor(header, units)
    # ITK drops what the masks are compared with.
    for key in set(image.GetMetaDataKeys()) - {ACQUIRED_FIRST, DIFFERENT}:
        converted.SetMetaData(key, image.GetMetaData(key))
    converted.SetMetaData(UNITS, "GML")
    return converted


def check_suv(image: sitk.Image, lesions: list[np.ndarray]) -> None:
    """Raise if the values of an image cannot be SUV.

    Parameters
    ----------
    image : SimpleITK.Image
        The image.
    lesions : list of array
        The values of the voxels of each lesion.

    Raises
    ------
    CaseError
        If a lesion, or more than a thousandth of the image, exceeds `HIGHEST_SUV`.

    Examples
    --------
    >>> import numpy as np, SimpleITK as sitk
    >>> check_suv(sitk.GetImageFromArray(np.ones((2, 2, 2))), [np.ones(8)])
    """
    import SimpleITK as sitk

    values = sitk.GetArrayViewFromImage(image)
    highest = max((float(one.max()) for one in lesions if one.size), default=0.0)
    if highest <= HIGHEST_SUV:
        if float(values.max()) <= HIGHEST_SUV:
            return
        if np.count_nonzero(values > HIGHEST_SUV) <= _HOT * values.size:
            return
    raise CaseError(
        f"these are no SUV: the image ranges from {values.min():.4g} to {values.max():.4g}, the "
        f"lesion to {highest:.4g}, and modality='PET' expects values below {HIGHEST_SUV:g} "
        "(Bq/ml?); give the DICOM series, whose headers allow the conversion, or convert the image "
        "to SUV"
    )


def suv_factor(header: Any, units: str) -> float:
    """Compute the factor from stored values to SUV.

    Parameters
    ----------
    header : pydicom.Dataset
        The slice that was acquired first.
    units : {"BQML", "CNTS"}
        The units of the stored values.

    Returns
    -------
    float
        The factor, in g/ml per unit.

    Raises
    ------
    CaseError
        If an element is missing or implausible.

    Examples
    --------
    >>> suv_factor(header, "BQML")  # doctest: +SKIP
    0.000283
    """
    scale = 1.0
    check_corrections(header)
    if units == "CNTS":
        # Philips stores both factors in private elements (its DICOM conformance statement).
        direct, activity = (private_factor(header, element) for element in (0x00, 0x09))
        if direct:
            return direct
        if not activity:
            raise CaseError(
                "the PET is in counts (CNTS) without the vendor's factor (7053,xx00) or (7053,xx09)"
                ", so its SUV are unknown; export it in BQML or GML"
            )
        scale = activity
    injection = find_injection(header)
    dose, weight = read_amounts(header, injection)
    half_life = read_half_life(injection)
    left = dose * 2 ** (-decay_seconds(header, injection, half_life) / half_life)
    return scale * weight * 1000 / left


def _check_body_weight(header: Any) -> None:
    """Raise if stored SUV are normalised by something else than body weight, or not corrected.

    Without a type they are by body weight (DICOM PS3.3, C.8.9.1).
    """
    stated = text(header, "SUVType")
    if stated not in ("", "BW"):
        raise CaseError(
            f"the SUV are of type {stated} (0054,1006: lean body mass, ideal weight or surface), "
            "not by body weight (BW); export the series in BQML, or with SUV by body weight"
        )
    check_corrections(header, stated=False)


def _text(image: sitk.Image, tag: str) -> str:
    """Return an element of an image's metadata; empty if it is absent."""
    return image.GetMetaData(tag).strip("\0 ") if image.HasMetaDataKey(tag) else ""
