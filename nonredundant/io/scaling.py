"""Stored DICOM values become intensities by the header, or their image is refused."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nonredundant.io.dicom import DicomFile, items, name, numbers, text
from nonredundant.io.errors import CaseError, ImageFileError
from nonredundant.io.pixel_size import SIZES

#: What describes stored pixels (DICOM PS3.3, C.7.6.3), besides their photometric interpretation.
_PIXEL_ELEMENTS = (
    "SamplesPerPixel",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
)
#: A class of multi-frame images whose values are not rescaled (DICOM PS3.3, A.8.4).
_PLAIN_CLASS = "1.2.840.10008.5.1.4.1.1.7.3"
#: Modalities whose classic images must state how values become intensities (DICOM PS3.3, C.8.2.1
#: and C.8.9.4).
_RESCALED = ("CT", "PT")
#: What stands for the units of values by a modality look-up table.
_TABLE = "look-up table"


class Scale(NamedTuple):
    """How stored values become intensities: slope, intercept, and their units as UCUM code.

    `mapped`: by a real world value mapping, which ITK does not apply.
    """

    slope: float = 1.0
    intercept: float = 0.0
    units: str = ""
    mapped: bool = False


def check_pixels(file: DicomFile) -> None:
    """Raise if the pixels are not what the header states.

    Parameters
    ----------
    file : DicomFile
        The file.

    Raises
    ------
    ImageFileError
        If pixels are missing or stored in a way that cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> check_pixels(read_dicom(Path("slice.dcm")))  # doctest: +SKIP
    """
    if file.pixels.tag != 0x7FE00010:
        what = "real numbers (7fe0,0008/0009)" if file.pixels.tag else "no pixels"
        raise ImageFileError(
            f"{file.path} holds {what} instead of PixelData (7fe0,0010); export the image again, "
            "or convert it to NIfTI"
        )
    rows, columns, allocated, stored, high = (
        file.whole(keyword, 0)
        for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit")
    )
    if min(rows, columns) < 1 or allocated not in (1, 8, 16, 32, 64) or not 0 < stored <= allocated:
        raise ImageFileError(
            f"{file.path} states {rows}×{columns} pixels with {stored} of {allocated} bits, which "
            "is no image; export it again"
        )
    if high != stored - 1:
        raise ImageFileError(
            f"{file.path} stores {stored} bits a pixel, but HighBit (0028,0102) is {high} instead "
            f"of {stored - 1}, so it is unknown which bits are the value; export it again"
        )
    if file.whole("SamplesPerPixel", 1) == 1:
        _check_length(file, math.ceil(rows * columns * file.n_frames * allocated / 8))


def find_scale(elements: Any, *, modality: str = "") -> Scale | None:
    """Find how stored values become intensities.

    Parameters
    ----------
    elements : pydicom.Dataset
        The header of a slice, or what describes the values of a frame.
    modality : str, default=""
        The modality; of PET a mapping to units is preferred that SUV follow from.

    Returns
    -------
    Scale or None
        Slope and intercept; None if the header states neither.

    Raises
    ------
    CaseError
        If they are no scaling, or several differ.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> elements = Dataset()
    >>> elements.RescaleSlope, elements.RescaleIntercept = 2, -1024
    >>> find_scale(elements)[:2]
    (2.0, -1024.0)
    """
    slope, intercept = numbers(elements, "RescaleSlope"), numbers(elements, "RescaleIntercept")
    mappings = items(elements, "RealWorldValueMappingSequence")
    if items(elements, "ModalityLUTSequence"):
        if slope:
            raise CaseError(
                f"the header states both a look-up table of intensities (0028,3000) and "
                f"{name('RescaleSlope')}, so it is unknown which one holds; export it again"
            )
        return Scale(units=_TABLE, mapped=True)
    if slope or (intercept and modality != "PT"):
        return _checked(slope or (1.0,), intercept or (0.0,), "RescaleSlope")
    dose = numbers(elements, "DoseGridScaling")
    if dose:
        return _checked(dose, (0.0,), "DoseGridScaling")._replace(mapped=True)
    return find_mapping(mappings) if mappings else None


def find_mapping(mappings: list[Any]) -> Scale:
    """Find the scale of real world value mappings; of several, that to units of PET.

    Parameters
    ----------
    mappings : list of pydicom.Dataset
        Items of RealWorldValueMappingSequence.

    Returns
    -------
    Scale
        Slope, intercept and units.

    Raises
    ------
    CaseError
        If there are several different ones, or a look-up table.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> mapping = Dataset()
    >>> mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 0.5, 0.0
    >>> find_mapping([mapping]).slope
    0.5
    """
    by_units: dict[str, Scale] = {}
    for mapping in mappings:
        codes = items(mapping, "MeasurementUnitsCodeSequence")
        units = text(codes[0], "CodeValue") if codes else ""
        slope = numbers(mapping, "RealWorldValueSlope")
        if not slope:
            raise CaseError(
                "the header maps stored values by a look-up table (0040,9212) or without a slope "
                "(0040,9225), which is not applied; convert the image to NIfTI"
            )
        intercept = numbers(mapping, "RealWorldValueIntercept") or (0.0,)
        scale = _checked(slope, intercept, "RealWorldValueSlope")
        scale = scale._replace(units=units, mapped=True)
        if by_units.setdefault(units, scale) != scale:
            raise CaseError(
                f"the header maps ranges of stored values to {units or 'one quantity'} by different"
                " slopes (0040,9096), which is not applied; convert the image to NIfTI"
            )
    if len({scale[:2] for scale in by_units.values()}) > 1:
        convertible = [units for units in by_units if pet_units(units)]
        if not convertible:
            raise CaseError(
                f"the header maps stored values to several quantities ({', '.join(by_units)}), so "
                "it is unknown which one is meant; convert the image to NIfTI"
            )
        return by_units[convertible[0]]
    return next(iter(by_units.values()))


def pet_units(units: str) -> str:
    """Translate a UCUM code to the units of the PET Series module.

    Parameters
    ----------
    units : str
        The code.

    Returns
    -------
    str
        BQML or GML; empty for other units.

    Examples
    --------
    >>> pet_units("Bq/ml"), pet_units("{SUVbw}g/ml")
    ('BQML', 'GML')
    """
    code = units.lower()
    if code == "bq/ml":
        return "BQML"
    return "GML" if code in ("{suvbw}g/ml", "g/ml{suvbw}") else ""


def check_emptiness(file: DicomFile, scale: Scale | None) -> None:
    """Raise if a slice with a slope of 0 holds values: only of an empty slice they are known.

    Parameters
    ----------
    file : DicomFile
        A file of one frame.
    scale : Scale or None
        Its scale.

    Raises
    ------
    CaseError
        If it holds values other than 0.

    Examples
    --------
    >>> from pathlib import Path
    >>> check_emptiness(read_dicom(Path("slice.dcm")), Scale(0.0))  # doctest: +SKIP
    """
    if scale is not None and scale.slope == 0 and _stored_values(file).any():
        raise _no_scaling("RescaleSlope", *scale[:2])


def check_scales(scales: list[Scale | None], modality: str, names: list[str]) -> None:
    """Raise if some slices state how values become intensities and others do not.

    Parameters
    ----------
    scales : list of Scale or None
        The scale of each slice or frame.
    modality : str
        The modality: CT and PET must state it.
    names : list of str
        Names of the slices.

    Raises
    ------
    ImageFileError
        If one is missing.

    Examples
    --------
    >>> check_scales([None, None], "MR", ["1.dcm", "2.dcm"])
    """
    lacking = [slice_ for slice_, scale in zip(names, scales, strict=True) if scale is None]
    if lacking and (len(lacking) < len(scales) or modality in _RESCALED):
        raise ImageFileError(
            f"{len(lacking)} of {len(scales)} slices state no {name('RescaleSlope')} or "
            f"RescaleIntercept (first {lacking[0]}), so their stored values are of unknown units; "
            "export the series again"
        )
    units = {(scale.units, scale.mapped) for scale in scales if scale is not None}
    if len(units) > 1:
        shown = ", ".join(sorted(unit or "not stated" for unit, _ in units))
        raise ImageFileError(
            f"the slices have values of different units ({shown}); export the series again"
        )


def is_read_by_itk(file: DicomFile, scale: Scale | None) -> bool:
    """Check whether ITK applies what the header says about the values of a single-frame file.

    Parameters
    ----------
    file : DicomFile
        The file.
    scale : Scale or None
        Its scale.

    Returns
    -------
    bool
        False for values stored as MONOCHROME1, which ITK inverts although this concerns the
        display alone (DICOM PS3.3, C.7.6.3.1.2), for look-up tables and real world value mappings,
        and for pixel sizes that ITK refuses.

    Examples
    --------
    >>> from pathlib import Path
    >>> is_read_by_itk(read_dicom(Path("slice.dcm")), Scale())  # doctest: +SKIP
    True
    """
    inverted = file.text("PhotometricInterpretation") == "MONOCHROME1"
    table = bool(items(file.elements, "ModalityLUTSequence"))
    if inverted or table or (scale is not None and scale.mapped):
        return False
    return all(value > 0 for keyword in SIZES for value in file.numbers(keyword))


def read_intensities(file: DicomFile, scales: list[Scale | None]) -> np.ndarray:
    """Read the intensities of a file whose values ITK would not convert rightly.

    Parameters
    ----------
    file : DicomFile
        The file.
    scales : list of Scale or None
        The scale of each frame.

    Returns
    -------
    array of shape (n_frames, rows, columns)
        The intensities, integers if all scales are whole shifts.

    Raises
    ------
    CaseError
        If pixels have several values.
    ImageFileError
        If the pixels cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> file = read_dicom(Path("slice.dcm"))  # doctest: +SKIP
    >>> read_intensities(file, [Scale(1.0, -1024.0)]).shape  # doctest: +SKIP
    (1, 512, 512)
    """
    from pydicom.pixels import apply_modality_lut

    samples = file.whole("SamplesPerPixel", 1)
    if samples > 1:
        raise CaseError(f"the image has {samples} values per voxel; give one grey-level image")
    values = _stored_values(file)
    if items(file.elements, "ModalityLUTSequence"):
        return np.ascontiguousarray(apply_modality_lut(values, file.elements))
    for frame, scale in zip(values, scales, strict=False):
        if scale is not None and scale.slope == 0 and frame.any():
            raise _no_scaling("RescaleSlope", *scale[:2])
    slopes = np.array([1.0 if scale is None else scale.slope for scale in scales])
    shifts = np.array([0.0 if scale is None else scale.intercept for scale in scales])
    if (slopes == 1).all() and (shifts == np.round(shifts)).all():
        return _shifted(values, shifts.astype(np.int64))
    return values * slopes[:, None, None] + shifts[:, None, None]


def _checked(slope: Sequence[float], intercept: Sequence[float], keyword: str) -> Scale:
    """Check that a slope and an intercept are a scaling; some scanners give empty slices 0."""
    if len(slope) != 1 or len(intercept) != 1 or not all(map(math.isfinite, (*slope, *intercept))):
        raise _no_scaling(keyword, *slope, *intercept)
    return Scale(slope[0], intercept[0])


def _no_scaling(keyword: str, *values: float) -> CaseError:
    """Build the error for a slope and an intercept that are no scaling."""
    *slope, intercept = (f"{value:g}" for value in values)
    return CaseError(
        f"{name(keyword)} is {', '.join(slope)} and the intercept {intercept}, which is no scaling "
        "of intensities; export the series again"
    )


def _check_length(file: DicomFile, wanted: int) -> None:
    """Raise if there are fewer pixels than the header states, or whole frames more."""
    _, stated, whole = file.pixels
    short = stated is not None and stated < wanted
    if short or not whole:
        have = f" ({stated:,} of {wanted:,} bytes stated)" if short else ""
        raise ImageFileError(
            f"the pixels of {file.path} ({file.path.stat().st_size:,} bytes) are cut off{have}; "
            "copy or export it again"
        )
    # A byte more makes the length even.
    if stated is not None and stated >= wanted + max(wanted // file.n_frames, 2):
        raise ImageFileError(
            f"{file.path} holds {stated:,} bytes of pixels, but its header states {wanted:,} in "
            f"{file.n_frames} frame(s); export it again"
        )


def _shifted(values: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Add whole numbers to frames, in the narrowest type that holds the results, as ITK does."""
    if not shifts.any():
        return values
    low = int(values.min()) + int(shifts.min())
    high = int(values.max()) + int(shifts.max())
    dtype = np.int16 if -(2**15) <= low and high < 2**15 else np.int32
    return np.add(values.astype(dtype), shifts.astype(dtype)[:, None, None])


def _stored_values(file: DicomFile) -> np.ndarray:
    """Read the stored values, without any scaling or inversion.

    ITK decompresses all transfer syntaxes, but applies what it understands of the header; so it
    reads a copy whose header describes the pixels alone.
    """
    import pydicom
    import SimpleITK as sitk

    try:
        full = pydicom.dcmread(file.path, force=True)
        copy = pydicom.Dataset()
        for keyword in _PIXEL_ELEMENTS:
            if keyword in full:
                copy[keyword] = full[keyword]
        copy.PhotometricInterpretation, copy.Modality = "MONOCHROME2", "OT"
        copy.SOPClassUID, copy.SOPInstanceUID = _PLAIN_CLASS, pydicom.uid.generate_uid()
        copy.file_meta = pydicom.dataset.FileMetaDataset()
        syntax = getattr(getattr(full, "file_meta", None), "TransferSyntaxUID", None)
        copy.file_meta.TransferSyntaxUID = syntax or pydicom.uid.ImplicitVRLittleEndian
        copy.file_meta.MediaStorageSOPClassUID = copy.SOPClassUID
        copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pixels.dcm"
            copy.save_as(path, enforce_file_format=True)
            values = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except Exception as error:
        # A damaged file raises any kind of error from the depth of the parsers.
        raise ImageFileError(f"the pixels of {file.path} cannot be read ({error})") from error
    return values.reshape(-1, *values.shape[-2:])
