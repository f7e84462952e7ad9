"""PET intensities as standardised uptake values (SUV), decided by the units that DICOM states."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.io.contours import read_dataset
from nonredundant.io.errors import CaseError
from nonredundant.io.series import ACQUIRED_FIRST, MODALITY, UNITS

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Values above this are no SUV of a lesion: all activity of a patient of 70 kg in 140 ml is 500.
HIGHEST_SUV = 500.0
#: Share of an image that may exceed `HIGHEST_SUV`, such as an injection site or the bladder.
_HOT = 1e-3
#: Doses outside this range (Bq) are not in Bq, or of a phantom.
_DOSES = (1e6, 1e11)
_DAY = 24 * 3600.0


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

    kind, units = (_text(image, tag) for tag in (MODALITY, UNITS))
    if kind in ("CT", "MR"):
        raise CaseError(f"the image is a {kind}, but modality='PET'; give the PET series")
    if not units or units == "GML":
        return image
    if units not in ("BQML", "CNTS"):
        raise CaseError(
            f"the PET is in units {units!r}, which cannot be converted to SUV; export it in GML or "
            "BQML"
        )
    path = _text(image, ACQUIRED_FIRST)
    if not path:
        raise CaseError(
            f"the PET is in units {units!r} and its headers are not at hand; give the folder of "
            "its DICOM series, or an image in SUV"
        )
    header = read_dataset(Path(path), "PET units other than SUV")
    return sitk.Cast(image, sitk.sitkFloat64) * suv_factor(header, units)


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
    if units == "CNTS":
        # Philips stores both factors in private elements (its DICOM conformance statement).
        direct, activity = (_private(header, element) for element in (0x00, 0x09))
        if direct:
            return direct
        if not activity:
            raise CaseError(
                "the PET is in counts (CNTS) without the vendor's factor (7053,xx00) or (7053,xx09)"
                ", so its SUV are unknown; export it in BQML or GML"
            )
        scale = activity
    _check_corrections(header)
    injection = _injection(header)
    dose = _number(injection, "RadionuclideTotalDose", "dose (0018,1074)")
    if not _DOSES[0] <= dose <= _DOSES[1]:
        raise CaseError(
            f"the dose (0018,1074) is {dose:g} Bq, expected {_DOSES[0]:.0e} to {_DOSES[1]:.0e} (is "
            "it in MBq?); correct the header"
        )
    weight = _number(header, "PatientWeight", "weight of the patient (0010,1030)")
    if not 1 <= weight <= 500:
        raise CaseError(f"the patient's weight (0010,1030) is {weight:g} kg; correct the header")
    half_life = _number(injection, "RadionuclideHalfLife", "half-life (0018,1075)")
    return scale * weight * 1000 / (dose * 2 ** (-_decay_time(header, injection) / half_life))


def _text(image: sitk.Image, tag: str) -> str:
    """Return an element of an image's metadata; empty if it is absent."""
    return image.GetMetaData(tag).strip("\0 ") if image.HasMetaDataKey(tag) else ""


def _private(header: Any, element: int) -> float:
    """Return one of Philips' private factors; 0 if it is absent."""
    try:
        block = header.private_block(0x7053, "Philips PET Private Group")
        value = float(block[element].value)
    except (KeyError, TypeError, ValueError):
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0


def _number(dataset: Any, name: str, what: str) -> float:
    """Return a positive number from a header, or raise an error that names what is missing."""
    try:
        value = float(dataset.get(name))
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise CaseError(
            f"the PET is no SUV yet and its header lacks the {what}, which SUV need; restore it, "
            "or give an image in SUV"
        )
    return value


def _injection(header: Any) -> Any:
    """Return the item that describes the radiopharmaceutical."""
    items = header.get("RadiopharmaceuticalInformationSequence") or []
    if len(items) != 1:
        raise CaseError(
            f"the header describes {len(items)} radiopharmaceuticals (0054,0016), and SUV need one;"
            " restore it, or give an image in SUV"
        )
    return items[0]


def _check_corrections(header: Any) -> None:
    """Raise if activities are not corrected for attenuation and decay."""
    corrected = header.get("CorrectedImage") or []
    corrected = [corrected] if isinstance(corrected, str) else list(corrected)
    missing = [one for one in ("ATTN", "DECY") if one not in corrected]
    if missing:
        raise CaseError(
            f"the PET is not corrected for {' and '.join(missing)} (0028,0051), so its values are "
            "no SUV; give the corrected series"
        )


def _decay_time(header: Any, injection: Any) -> float:
    """Compute the seconds from the injection to the time that activities are corrected to."""
    reference = str(header.get("DecayCorrection") or "")
    if reference == "ADMIN":
        return 0.0
    if reference != "START":
        raise CaseError(
            f"the decay correction (0054,1102) is {reference or 'not stated'}, but SUV need START "
            "or ADMIN; restore it, or give an image in SUV"
        )
    start = _scan_start(header, injection)
    stated = _moment(injection.get("RadiopharmaceuticalStartDateTime"))
    if stated is None:
        time = _time(injection.get("RadiopharmaceuticalStartTime"))
        if time is None:
            raise CaseError("the header lacks the time of injection (0018,1072), which SUV need")
        stated = datetime.datetime.combine(start.date(), time)
        if stated > start:
            # Injected before midnight, scanned after.
            stated -= datetime.timedelta(days=1)
    seconds = (start - stated).total_seconds()
    if not 0 <= seconds <= _DAY:
        raise CaseError(
            f"the scan (at {start}) starts {seconds / 3600:.1f} h after the injection (at "
            f"{stated}); correct the times in the header"
        )
    return seconds


def _scan_start(header: Any, injection: Any) -> datetime.datetime:
    """Return the time that activities are corrected to.

    That is the time of the series, unless a later reconstruction replaced it by its own: then it
    follows from the acquisition time and the frame's reference time.
    """
    series = _date_time(header, "Series")
    acquired = _date_time(header, "Acquisition")
    if acquired is None:
        raise CaseError("the header lacks the date and time of acquisition, which SUV need")
    if series is not None and series <= acquired:
        return series
    reference = header.get("FrameReferenceTime")
    duration = header.get("ActualFrameDuration")
    if reference is None or duration is None or float(duration) <= 0:
        raise CaseError(
            "the series is dated after its acquisition and has no frame reference time "
            "(0054,1300), so the time of its decay correction is unknown; give an image in SUV"
        )
    rate = math.log(2) / _number(injection, "RadionuclideHalfLife", "half-life (0018,1075)")
    frame = rate * float(duration) / 1000
    # The moment within the frame at which the count rate equals its mean.
    mean = math.log(frame / -math.expm1(-frame)) / rate
    return acquired + datetime.timedelta(seconds=mean - float(reference) / 1000)


def _date_time(header: Any, prefix: str) -> datetime.datetime | None:
    """Combine a date and a time of the header."""
    return _moment(f"{header.get(prefix + 'Date') or ''}{header.get(prefix + 'Time') or ''}")


def _moment(value: Any) -> datetime.datetime | None:
    """Read a date and time (YYYYMMDDHHMMSS, then a fraction or a time zone); None if it is none."""
    text = str(value or "").replace(":", "")
    time = _time(text[8:14])
    try:
        date = datetime.datetime.strptime(text[:8], "%Y%m%d").date()
    except ValueError:
        return None
    return None if time is None else datetime.datetime.combine(date, time)


def _time(value: Any) -> datetime.time | None:
    """Read a time (HHMMSS, seconds and minutes may be absent); None if it is none."""
    text = str(value or "").strip().replace(":", "").split(".")[0]
    if len(text) not in (2, 4, 6) or not text.isdigit():
        return None
    try:
        hour, minute, second = (int(text[k : k + 2] or 0) for k in (0, 2, 4))
        return datetime.time(hour, minute, second)
    except ValueError:
        return None
