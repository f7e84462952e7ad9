"""What SUV need of a PET header besides times: tracer, dose, weight, corrections, differences."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from nonredundant.io.dicom import items, name, numbers, text
from nonredundant.io.errors import CaseError

#: Half-lives of PET nuclides by mass number, in s (ENSDF, https://www.nndc.bnl.gov/ensdf).
_NUCLIDES = {
    11: ("C-11", 1221.8),
    13: ("N-13", 597.9),
    15: ("O-15", 122.24),
    18: ("F-18", 6586.2),
    44: ("Sc-44", 14_292.0),
    52: ("Mn-52", 483_062.0),
    55: ("Co-55", 63_108.0),
    62: ("Cu-62", 580.2),
    64: ("Cu-64", 45_724.0),
    68: ("Ga-68", 4062.6),
    76: ("Br-76", 58_320.0),
    82: ("Rb-82", 75.5),
    86: ("Y-86", 53_064.0),
    89: ("Zr-89", 282_276.0),
    90: ("Y-90", 230_550.0),
    124: ("I-124", 360_806.0),
}
#: Half-lives of other nuclides that emit positrons, in s, from the same source: Na-22, K-38, Sc-43,
#: Ti-45, V-48, Mn-51, Fe-52, Cu-60, Cu-61, Ga-66, Ge-68, As-72, As-74, Br-75, Nb-90, Tc-94m, I-120,
#: I-122, La-132, La-133, Tb-149, Tb-152.
_RARE = (
    82_100_000.0, 458.2, 14_008.0, 11_088.0, 1_380_100.0, 2_772.0, 29_790.0, 1_422.0, 12_020.0,
    34_160.0, 23_410_000.0, 93_600.0, 1_535_300.0, 5_802.0, 52_560.0, 3_120.0, 4_896.0, 217.8,
    17_280.0, 14_080.0, 14_830.0, 63_000.0,
)  # fmt: skip
_OTHER_UNITS = {1e-3: "milliseconds", 60.0: "minutes", 3600.0: "hours", 86400.0: "days"}
#: Relative difference of a half-life from the literature: headers round, and older values differ.
_CLOSE, _STATED = 0.02, 0.05
#: Weights in kg, from a mouse on; doses in Bq, and in Bq per kg: from total-body PET at a
#: hundredth of the usual dose to a mouse.
_WEIGHTS, _DOSES, _DOSES_PER_KG = (0.005, 500.0), (1e4, 1e11), (1e4, 5e9)
#: Elements that are the same in all slices of a series, of the slice and of its injection.
_OF_SLICE = (
    "PatientWeight",
    "SUVType",
    "DecayCorrection",
    "CorrectedImage",
    "TimezoneOffsetFromUTC",
    "SeriesDate",
    "SeriesTime",
)
_OF_INJECTION = (
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartTime",
    "RadiopharmaceuticalStartDateTime",
)
_INJECTIONS = "RadiopharmaceuticalInformationSequence"
#: Philips' private factors to SUV and to Bq/ml.
_PRIVATE = {"SUV factor (7053,xx00)": 0x00, "activity factor (7053,xx09)": 0x09}


def differences(slices: Sequence[Any]) -> str:
    """Describe what SUV need and differs among the slices of a series.

    Parameters
    ----------
    slices : sequence of pydicom.Dataset
        The headers of the slices.

    Returns
    -------
    str
        The elements, their values and the number of slices; empty if nothing differs.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> slices = [Dataset(), Dataset()]
    >>> slices[0].PatientWeight, slices[1].PatientWeight = 70, 7
    >>> differences(slices)
    'PatientWeight (0010,1030): 70.0 (1), 7.0 (1)'
    """
    described = []
    for keyword in _OF_SLICE:
        if _differs(slices, keyword):
            described.append(_counts(name(keyword), slices, _reader(keyword)))
    if _differs(slices, _INJECTIONS):
        described += [
            _counts(name(element), slices, _of_injections(element)) for element in _OF_INJECTION
        ]
    for what, element in _PRIVATE.items() if text(slices[0], "Units") == "CNTS" else ():
        described.append(_counts(what, slices, _private_reader(element)))
    return "; ".join(filter(None, described))


def private_factor(header: Any, element: int) -> float:
    """Read one of Philips' private factors.

    Parameters
    ----------
    header : pydicom.Dataset
        The header of a slice.
    element : int
        Its number in the private group (Philips' DICOM conformance statement).

    Returns
    -------
    float
        The factor; 0 if it is absent.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> private_factor(Dataset(), 0x00)
    0.0
    """
    try:
        block = header.private_block(0x7053, "Philips PET Private Group")
        value = float(block[element].value)
    except (KeyError, TypeError, ValueError):
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0


def positive(dataset: Any, keyword: str, what: str) -> float:
    """Return a positive number from a header.

    Parameters
    ----------
    dataset : pydicom.Dataset
        The data set.
    keyword : str
        DICOM's keyword of the element.
    what : str
        Its name for the message.

    Returns
    -------
    float
        The number.

    Raises
    ------
    CaseError
        If it is absent or not positive.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> header = Dataset()
    >>> header.PatientWeight = 70
    >>> positive(header, "PatientWeight", "weight")
    70.0
    """
    value = (numbers(dataset, keyword) or (math.nan,))[0]
    if not (math.isfinite(value) and value > 0):
        raise CaseError(
            f"the PET is no SUV yet and its header lacks the {what}, which SUV need; restore it, "
            "or give an image in SUV"
        )
    return value


def find_injection(header: Any) -> Any:
    """Return the item that describes the radiopharmaceutical.

    Parameters
    ----------
    header : pydicom.Dataset
        The header of a slice.

    Returns
    -------
    pydicom.Dataset
        The item.

    Raises
    ------
    CaseError
        If there is none, or several.

    Examples
    --------
    >>> find_injection(header)  # doctest: +SKIP
    """
    injections = items(header, _INJECTIONS)
    if len(injections) != 1:
        raise CaseError(
            f"the header describes {len(injections)} radiopharmaceuticals (0054,0016), and SUV "
            "need one; restore it, or give an image in SUV"
        )
    return injections[0]


def read_half_life(injection: Any) -> float:
    """Read the half-life and compare it with those of PET nuclides.

    Parameters
    ----------
    injection : pydicom.Dataset
        The item of the radiopharmaceutical.

    Returns
    -------
    float
        The half-life in s.

    Raises
    ------
    CaseError
        If it is absent, in other units, or not that of the stated nuclide.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> injection = Dataset()
    >>> injection.RadionuclideHalfLife = 6586.2
    >>> read_half_life(injection)
    6586.2
    """
    value = positive(injection, "RadionuclideHalfLife", "half-life (0018,1075)")
    codes = items(injection, "RadionuclideCodeSequence")
    mass = re.search(r"\d+", text(codes[0], "CodeMeaning")) if codes else None
    stated = _NUCLIDES.get(int(mass.group())) if mass else None
    if _is_close(value, [stated] if stated else list(_NUCLIDES.values()), 1.0):
        return value
    for factor, units in _OTHER_UNITS.items():
        match = _is_close(value, [stated] if stated else list(_NUCLIDES.values()), factor)
        if match:
            raise CaseError(
                f"the half-life (0018,1075) is {value:g}, which is that of {match[0]} in {units}; "
                f"it must be in seconds ({match[1]:g}); correct the header"
            )
    if stated and abs(value / stated[1] - 1) > _STATED:
        raise CaseError(
            f"the half-life (0018,1075) is {value:g} s, but that of {stated[0]}, the nuclide that "
            f"the header states, is {stated[1]:g} s; correct the header"
        )
    known = [*_RARE, *(seconds for _, seconds in _NUCLIDES.values())]
    if not any(abs(value / seconds - 1) <= _STATED for seconds in known):
        raise CaseError(
            f"the half-life (0018,1075) is {value:g} s, which is that of no nuclide of PET; "
            "correct the header, or give an image in SUV"
        )
    return value


def read_amounts(header: Any, injection: Any) -> tuple[float, float]:
    """Read dose and weight.

    Parameters
    ----------
    header, injection : pydicom.Dataset
        The header of a slice and its item of the radiopharmaceutical.

    Returns
    -------
    dose : float
        The injected activity in Bq.
    weight : float
        The weight of the patient in kg.

    Raises
    ------
    CaseError
        If one is absent or implausible for a person or an animal.

    Examples
    --------
    >>> read_amounts(header, injection)  # doctest: +SKIP
    (370000000.0, 70.0)
    """
    dose = positive(injection, "RadionuclideTotalDose", "dose (0018,1074)")
    if not _DOSES[0] <= dose <= _DOSES[1]:
        raise CaseError(
            f"the dose (0018,1074) is {dose:g} Bq, expected {_DOSES[0]:.0e} to {_DOSES[1]:.0e} (is "
            "it in MBq?); correct the header"
        )
    weight = positive(header, "PatientWeight", "weight of the patient (0010,1030)")
    if not _WEIGHTS[0] <= weight <= _WEIGHTS[1]:
        raise CaseError(
            f"the patient's weight (0010,1030) is {weight:g} kg, expected {_WEIGHTS[0]:g} (a "
            f"mouse) to {_WEIGHTS[1]:g} (is it in grams?); correct the header"
        )
    if not _DOSES_PER_KG[0] <= dose / weight <= _DOSES_PER_KG[1]:
        raise CaseError(
            f"a dose of {dose:g} Bq (0018,1074) for a weight of {weight:g} kg (0010,1030) makes "
            f"{dose / weight:.3g} Bq/kg, expected {_DOSES_PER_KG[0]:.0e} to "
            f"{_DOSES_PER_KG[1]:.0e} (dose in kBq, weight in grams or tonnes?); correct the header"
        )
    return dose, weight


def check_corrections(header: Any, *, stated: bool = True) -> None:
    """Raise if activities are not corrected for attenuation and decay.

    Parameters
    ----------
    header : pydicom.Dataset
        The header of a slice.
    stated : bool, default=True
        Whether the header must state its corrections.

    Raises
    ------
    CaseError
        If a correction is missing.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> header = Dataset()
    >>> header.CorrectedImage = ["DECY", "ATTN"]
    >>> check_corrections(header)
    """
    corrected = text(header, "CorrectedImage").split("\\")
    for flag, value in (("AttenuationCorrected", "ATTN"), ("DecayCorrected", "DECY")):
        # Enhanced PET states each correction by an element of its own (DICOM PS3.3, C.8.22).
        if text(header, flag) == "YES":
            corrected.append(value)
        elif text(header, flag) == "NO":
            corrected.append("none")
    missing = [correction for correction in ("ATTN", "DECY") if correction not in corrected]
    if missing and (stated or any(corrected)):
        raise CaseError(
            f"the PET is not corrected for {' and '.join(missing)} (0028,0051), so its values are "
            "no SUV; give the corrected series"
        )


def _is_close(
    value: float, nuclides: list[tuple[str, float]], factor: float
) -> tuple[str, float] | None:
    """Return the nuclide whose half-life a value is, in units of `factor` seconds."""
    return next(
        (nuclide for nuclide in nuclides if abs(value * factor / nuclide[1] - 1) < _CLOSE), None
    )


def _differs(slices: Sequence[Any], keyword: str) -> bool:
    """Compare an element among slices, as it is stored: to convert it takes longer."""
    first = _raw(slices[0], keyword)
    return any(_raw(header, keyword) != first for header in slices[1:])


def _raw(elements: Any, keyword: str) -> Any:
    """Return an element as it is stored; of items, those of their elements that SUV need."""
    value = elements.get_item(keyword).value if keyword in elements else None
    if keyword == _INJECTIONS and not isinstance(value, bytes):
        return [[_raw(item, each) for each in _OF_INJECTION] for item in value or []]
    return value


def _counts(what: str, slices: Sequence[Any], read: Callable[[Any], str]) -> str:
    """Describe the values of an element and their numbers; empty if there is a single value."""
    values = Counter(map(read, slices))
    if len(values) < 2:
        return ""
    return f"{what}: " + ", ".join(f"{value or 'none'} ({n})" for value, n in values.most_common(5))


def _reader(keyword: str) -> Callable[[Any], str]:
    """Return a function that reads an element of a slice."""
    return lambda elements: text(elements, keyword)


def _of_injections(keyword: str) -> Callable[[Any], str]:
    """Return a function that reads an element of the radiopharmaceuticals of a slice."""
    return lambda elements: "; ".join(text(item, keyword) for item in items(elements, _INJECTIONS))


def _private_reader(element: int) -> Callable[[Any], str]:
    """Return a function that reads a private factor."""
    return lambda elements: f"{private_factor(elements, element):g}"
