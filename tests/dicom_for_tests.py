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
