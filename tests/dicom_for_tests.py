"""Structure sets, segmentations and PET slices made by code."""

from __future__ import annotations

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
FRAME = "1.2.3.77"
STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"


def circle(centre, radius, z, n=60):
    """Return the corners of a circle around (x, y) at height z, in mm."""
    angles = np.linspace(0, 2 * np.pi, n, endpoint=False)
    x, y = centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)
    return np.column_stack([x, y, np.full(n, z)])


def write_contours(path, regions, *, frame=FRAME, kind="CLOSED_PLANAR"):
    """Write an RTSTRUCT of regions, a name and a list of contours each."""
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = STRUCTURE_SET, "1.2", "RTSTRUCT"
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(regions, start=1):
        entry, drawn = pydicom.Dataset(), pydicom.Dataset()
        entry.ROINumber, entry.ROIName = number, name
        entry.ReferencedFrameOfReferenceUID = frame
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for points in contours:
            one = pydicom.Dataset()
            one.ContourGeometricType, one.NumberOfContourPoints = kind, len(points)
            one.ContourData = [f"{value:.6g}" for value in np.ravel(points)]
            drawn.ContourSequence.append(one)
        dataset.StructureSetROISequence.append(entry)
        dataset.ROIContourSequence.append(drawn)
    save(dataset, path)
    return path


def save(dataset, path):
    """Write a dataset as a DICOM file."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True)


def write_pet(folder, values, *, units="BQML", **elements):
    """Write a PET series (n, rows, columns) with F-18, 370 MBq at 08:00, 70 kg, scanned at 09:00.

    Elements are those of the header or of the radiopharmaceutical; None removes one.
    """
    folder.mkdir()
    for k, plane in enumerate(values):
        drug, one = pydicom.Dataset(), pydicom.Dataset()
        one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.128", f"1.2.3.{k + 1}"
        one.StudyInstanceUID, one.SeriesInstanceUID = "1.2.4", "1.2.5"
        one.FrameOfReferenceUID, one.Modality, one.Units = FRAME, "PT", units
        one.Rows, one.Columns = plane.shape
        one.PixelSpacing, one.SliceThickness = [4.0, 4.0], 3.0
        one.ImagePositionPatient = [0.0, 0.0, 3.0 * k]
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        one.InstanceNumber, one.PatientWeight = k + 1, 70.0
        one.SeriesDate = one.AcquisitionDate = "20200101"
        one.SeriesTime = one.AcquisitionTime = "090000"
        one.DecayCorrection, one.CorrectedImage = "START", ["DECY", "ATTN"]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
        one.PixelRepresentation = 0
        # Each slice has its own slope, as on a scanner.
        one.RescaleSlope, one.RescaleIntercept = f"{max(plane.max(), 1) / 60000:.10g}", 0
        stored = np.round(plane / float(one.RescaleSlope)).astype("<u2")
        drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = 370e6, 6586.2
        drug.RadiopharmaceuticalStartTime = "080000"
        for name, value in elements.items():
            owner = drug if name.startswith("Radio") else one
            if value is None:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
        one.RadiopharmaceuticalInformationSequence = [drug]
        one.PixelData = stored.tobytes()
        save(one, folder / f"{k}.dcm")
    return folder


def plane(values, sop_class="1.2.840.10008.5.1.4.1.1.2", **elements):
    """Make a DICOM image of stored values (rows, columns) or (n, rows, columns); None removes."""
    one = pydicom.Dataset()
    one.SOPClassUID, one.SOPInstanceUID = sop_class, pydicom.uid.generate_uid()
    one.StudyInstanceUID, one.SeriesInstanceUID, one.Modality = "1.2.4", "1.2.5", "CT"
    one.Rows, one.Columns = values.shape[-2:]
    if values.ndim == 3:
        one.NumberOfFrames = len(values)
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated = one.BitsStored = 8 * values.itemsize
    one.HighBit, one.PixelRepresentation = 8 * values.itemsize - 1, int(values.dtype.kind == "i")
    one.RescaleSlope, one.RescaleIntercept = 1, 0
    one.PixelData = values.tobytes()
    for name, value in elements.items():
        if value is not None:
            setattr(one, name, value)
        elif name in one:
            delattr(one, name)
    return one


def group(**elements):
    """Make one item of a sequence."""
    one = pydicom.Dataset()
    for name, value in elements.items():
        setattr(one, name, value)
    return one


def write_stack(folder, values, *, edit=None, spacing=(0.8, 0.9), step=2.0, **elements):
    """Write a series of stored values (n, rows, columns); `edit` changes the header of slice k."""
    folder.mkdir()
    for k, stored in enumerate(values):
        one = plane(stored, PixelSpacing=list(spacing), InstanceNumber=k + 1)
        one.ImagePositionPatient = [0.0, 0.0, step * k]
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        for name, value in elements.items():
            if value is None:
                delattr(one, name)
            else:
                setattr(one, name, value)
        if edit is not None:
            edit(one, k)
        save(one, folder / f"{k:02d}.dcm")
    return folder


def enhanced(values, scales=None, *, positions=None, mappings=None, **elements):
    """Make an enhanced image of stored values, with slope and intercept of each frame."""
    n = len(values)
    axes = group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    measures = group(PixelSpacing=[0.8, 0.9], SliceThickness=5.0)
    shared = group(PlaneOrientationSequence=[axes], PixelMeasuresSequence=[measures])
    frames = []
    for k in range(n):
        place = [0.0, 0.0, 2.0 * k] if positions is None else list(map(float, positions[k]))
        frame = group(PlanePositionSequence=[group(ImagePositionPatient=place)])
        if scales is not None and scales[k] is not None:
            slope, intercept = scales[k]
            scale = group(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")
            frame.PixelValueTransformationSequence = [scale]
        if mappings is not None:
            frame.RealWorldValueMappingSequence = mappings
        frames.append(frame)
    groups = {"SharedFunctionalGroupsSequence": [shared]}
    groups["PerFrameFunctionalGroupsSequence"] = frames
    removed = {"RescaleSlope": None, "RescaleIntercept": None}
    return plane(values, "1.2.840.10008.5.1.4.1.1.2.1", **{**removed, **groups, **elements})


def mapping(slope, intercept, units):
    """Make a real world value mapping to units by their UCUM code."""
    code = group(CodeValue=units, CodingSchemeDesignator="UCUM", CodeMeaning=units)
    return group(
        RealWorldValueSlope=float(slope),
        RealWorldValueIntercept=float(intercept),
        RealWorldValueFirstValueMapped=0,
        RealWorldValueLastValueMapped=65535,
        MeasurementUnitsCodeSequence=[code],
    )
