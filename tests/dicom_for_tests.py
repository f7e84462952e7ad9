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
