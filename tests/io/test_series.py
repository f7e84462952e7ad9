"""A DICOM folder is one volume of even slices, or an error that names the place."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_for_tests import pydicom, save

from nonredundant.io import CaseError, ImageFileError, read_image


def write_ct(folder, positions, **elements):
    """Write a CT series of 6 x 8 pixels, a slice per position (mm, or x-y-z); slice k is 100 k."""
    folder.mkdir()
    for k, position in enumerate(positions):
        one = pydicom.Dataset()
        one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"1.2.3.{k + 1}"
        one.StudyInstanceUID, one.SeriesInstanceUID, one.Modality = "1.2.4", "1.2.5", "CT"
        one.Rows, one.Columns = 6, 8
        one.PixelSpacing, one.SliceThickness = [0.8, 0.9], 5.0
        place = [0.0, 0.0, position] if np.isscalar(position) else list(position)
        one.ImagePositionPatient = [f"{value:.8g}" for value in place]
        one.ImageOrientationPatient, one.InstanceNumber = [1, 0, 0, 0, 1, 0], k + 1
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
        one.PixelRepresentation, one.RescaleSlope, one.RescaleIntercept = 1, 1, 0
        for name, value in elements.items():
            setattr(one, name, value[k] if isinstance(value, list) else value)
        one.PixelData = np.full((6, 8), 100 * k, "<i2").tobytes()
        save(one, folder / f"{k:02d}.dcm")
    return folder


EVEN = [2.0 * k for k in range(10)]


def test_the_order_of_files_and_a_jitter_of_a_thousandth_do_not_matter(tmp_path):
    jitter = [z + 5e-4 * (k % 2) for k, z in enumerate(EVEN)]
    image = read_image(write_ct(tmp_path / "a", jitter[::-1]))
    np.testing.assert_allclose(image.GetSpacing(), (0.9, 0.8, 2.0), rtol=1e-3)
    assert image.GetSpacing()[2] != 5.0
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[:, 0, 0], 100 * np.arange(10)[::-1])


@pytest.mark.parametrize(
    ("positions", "elements", "said"),
    [
        (EVEN[:4] + EVEN[6:], {}, r"2 slices are missing between 6\.00 and 12\.00 mm"),
        (EVEN[:4] + EVEN[5:], {}, r"1 slice is missing between 6\.00 and 10\.00 mm"),
        (EVEN[:5] + [8 + 3 * k for k in range(1, 6)], {}, r"unevenly spaced: 2 to 3 mm"),
        (EVEN[:9] + [18.1], {}, r"unevenly spaced: 2 to 2\.1 mm, .*between 16\.00 and 18\.10"),
        (EVEN * 2, {"EchoTime": [10.0] * 10 + [20.0] * 10}, r"2 echo times \(10(\.0)?, 20"),
        (EVEN * 2, {"AcquisitionNumber": [1] * 10 + [2] * 10}, r"2 acquisitions \(1, 2\)"),
        (EVEN * 2, {}, "copies, or several volumes under one UID"),
        ([(0, 0.5 * k, z) for k, z in enumerate(EVEN)], {}, r"gantry tilt \(14\.0 degrees\)"),
        (EVEN, {"ImagesInAcquisition": 12}, "states 12 as the number of images.*10 files"),
        (EVEN, {"PixelSpacing": [[0.8, 0.9]] * 9 + [[0.4, 0.4]]}, "another size, pixel spacing"),
    ],
)
def test_a_series_that_is_no_volume_of_even_slices_is_refused(tmp_path, positions, elements, said):
    with pytest.raises(ImageFileError, match=said):
        read_image(write_ct(tmp_path / "a", positions, **elements))


def test_one_slice_of_a_series_is_refused_and_a_slice_by_itself_is_read(tmp_path):
    folder = write_ct(tmp_path / "a", EVEN)
    with pytest.raises(ImageFileError, match="one of 10 slices of its series; give the folder"):
        read_image(folder / "03.dcm")
    alone = read_image(write_ct(tmp_path / "b", EVEN[:1]) / "00.dcm")
    assert alone.GetSize() == (8, 6)
    assert alone.GetSpacing() == (0.9, 0.8)


def frames(path, positions):
    """Write an enhanced CT of one frame per position; frame k is 100 k."""
    one = pydicom.Dataset()
    one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2.1", "1.2.3.1"
    one.StudyInstanceUID, one.SeriesInstanceUID, one.Modality = "1.2.4", "1.2.5", "CT"
    one.Rows, one.Columns, one.NumberOfFrames = 6, 8, len(positions)
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
    shared, measures, axes = (pydicom.Dataset() for _ in range(3))
    measures.PixelSpacing, measures.SliceThickness = [0.8, 0.9], 5.0
    axes.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [axes]
    scale = pydicom.Dataset()
    scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = 1, 0, "HU"
    shared.PixelValueTransformationSequence = [scale]
    one.SharedFunctionalGroupsSequence, one.PerFrameFunctionalGroupsSequence = [shared], []
    for z in positions:
        frame, place = pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = [0.0, 0.0, z]
        frame.PlanePositionSequence = [place]
        one.PerFrameFunctionalGroupsSequence.append(frame)
    values = np.repeat(100 * np.arange(len(positions)), 48).astype("<i2")
    one.PixelData = values.tobytes()
    save(one, path)
    return path


@pytest.mark.parametrize("order", [1, -1])
def test_a_multi_frame_file_has_the_geometry_of_its_frames(tmp_path, order):
    image = read_image(frames(tmp_path / "a.dcm", EVEN[::order]))
    np.testing.assert_allclose(image.GetSpacing(), (0.9, 0.8, 2.0))
    for k in range(10):
        place = image.TransformPhysicalPointToIndex((0.0, 0.0, EVEN[::order][k]))
        assert image[place] == 100 * k


def test_frames_with_a_gap_or_two_volumes_are_refused(tmp_path):
    with pytest.raises(CaseError, match=r"2 slices are missing between 6\.00 and 12\.00 mm"):
        read_image(frames(tmp_path / "a.dcm", EVEN[:4] + EVEN[6:]))
    with pytest.raises(CaseError, match="several share one"):
        read_image(frames(tmp_path / "b.dcm", EVEN * 2))
