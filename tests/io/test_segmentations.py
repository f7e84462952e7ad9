"""DICOM segmentations: their segments, classes and frames, and what is refused."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cases_for_tests import quick
from dicom_for_tests import write_pet

from nonredundant.io import CaseError, ImageFileError, read_image, read_mask

highdicom = pytest.importorskip("highdicom")
SHAPE = (8, 12, 10)


def described(number, label):
    """Describe a segment."""
    code = highdicom.sr.CodedConcept("108369006", "SCT", "Neoplasm")
    return highdicom.seg.SegmentDescription(number, label, code, code, "MANUAL")


def segmented(folder, segments, kind="BINARY", **options):
    """Write a series and a segmentation of it: masks by their labels; return both paths."""
    pydicom = pytest.importorskip("pydicom")
    series = write_pet(folder / "series", np.random.default_rng(0).gamma(9, 500, SHAPE))
    source = [pydicom.dcmread(one) for one in sorted(series.iterdir())]
    for one in source:
        one.PatientID = one.PatientName = one.StudyID = one.AccessionNumber = "X"
        one.PatientBirthDate = one.PatientSex = one.StudyDate = one.StudyTime = ""
        one.ReferringPhysicianName = ""
    stacked = np.stack([inside for _, inside in segments], axis=-1).astype(np.uint8)
    if kind == "LABELMAP":
        stacked = (stacked * np.arange(1, len(segments) + 1)).max(axis=-1).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        segmentation = highdicom.seg.Segmentation(
            source_images=source,
            pixel_array=stacked,
            segmentation_type=kind,
            segment_descriptions=[described(k, name) for k, (name, _) in enumerate(segments, 1)],
            series_instance_uid="1.2.6",
            series_number=2,
            sop_instance_uid="1.2.7",
            instance_number=1,
            manufacturer="X",
            manufacturer_model_name="X",
            software_versions="1",
            device_serial_number="1",
            **options,
        )
    path = folder / "seg.dcm"
    segmentation.save_as(path)
    return series, path


def box(*corner, size=4):
    """Return a cube in a volume."""
    inside = np.zeros(SHAPE, dtype=bool)
    inside[tuple(slice(one, one + size) for one in corner)] = True
    return inside


def voxels(mask):
    return sitk.GetArrayFromImage(mask)


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_segments_are_chosen_by_label_in_both_classes(tmp_path, kind):
    regions = [("Lung", box(0, 0, 0)), ("Tumour", box(3, 6, 5, size=3))]
    series, path = segmented(tmp_path, regions, kind)
    image = read_image(series)
    tumour = sitk.Resample(read_mask(path, image, roi="tum*"), image, sitk.Transform(), 1)
    np.testing.assert_array_equal(voxels(tumour), regions[1][1])
    with pytest.raises(CaseError, match="the file has 'Lung', 'Tumour'"):
        read_mask(path, image)
    cases = pd.DataFrame({"image": [series], "mask": [path]})
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*another grid")
        warnings.filterwarnings("ignore", ".*(touch the border|grey levels)")
        table = quick(lesions="labels").fit_transform(cases)
    assert table.features["original_shape_VoxelVolume"].tolist() == [64 * 48, 27 * 48]


def test_a_label_map_is_no_image_and_is_found_in_its_folder(tmp_path):
    (tmp_path / "mask").mkdir()
    series, path = segmented(tmp_path, [("Tumour", box(2, 3, 3))], "LABELMAP")
    path = path.rename(tmp_path / "mask" / "seg.dcm")
    assert voxels(read_mask(path.parent, read_image(series))).sum() == 64
    with pytest.raises(ImageFileError, match="column 'mask'"):
        read_image(path)


def test_a_segmentation_of_some_slices_of_the_series_lies_on_its_grid(tmp_path):
    series, path = segmented(tmp_path, [("Tumour", box(2, 3, 3))])
    assert read_mask(path, read_image(series)).GetSize()[2] < SHAPE[0]
    cases = pd.DataFrame({"image": [series], "mask": [path]})
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*another grid")
        warnings.filterwarnings("ignore", ".*grey levels")
        table = quick().fit_transform(cases)
    assert table.features["original_shape_VoxelVolume"].tolist() == [64 * 48]


def test_overlapping_segments_name_the_remedy(tmp_path):
    regions = [("Tumour", box(2, 3, 3)), ("Necrosis", box(3, 4, 4, size=2))]
    series, path = segmented(tmp_path, regions)
    image = read_image(series)
    with pytest.raises(CaseError, match="'Tumour', 'Necrosis'; measure them one at a time with `r"):
        read_mask(path, image, several=True)
    assert voxels(read_mask(path, image, roi="Necrosis")).sum() == 8


def test_a_segment_without_frames_is_named(tmp_path):
    regions = [("Lung", box(0, 0, 0)), ("Tumour", np.zeros(SHAPE, bool))]
    series, path = segmented(tmp_path, regions)
    image = read_image(series)
    with pytest.raises(CaseError, match="'Tumour' of the file has neither contours nor voxels"):
        read_mask(path, image, roi="Tumour")
    assert voxels(read_mask(path, image)).sum() == 64


def test_fractions_and_surfaces_are_refused(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    (tmp_path / "a").mkdir()
    options = {"fractional_type": "PROBABILITY", "max_fractional_value": 100}
    series, path = segmented(tmp_path / "a", [("Tumour", box(2, 3, 3))], "FRACTIONAL", **options)
    image = read_image(series)
    with pytest.raises(CaseError, match="export a binary"):
        read_mask(path, image)
    dataset = pydicom.dcmread(path)
    uid = "1.2.840.10008.5.1.4.1.1.66.5"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid
    dataset.save_as(path)
    with pytest.raises(ImageFileError, match="surfaces .*, which has no voxels"):
        read_mask(path, image)


def test_a_segmentation_of_another_frame_of_reference_is_refused(tmp_path):
    series, path = segmented(tmp_path, [("Tumour", box(2, 3, 3))])
    image = read_image(series)
    image.SetMetaData("0020|0052", "9.9")
    with pytest.raises(CaseError, match="another frame of reference"):
        read_mask(path, image)


def test_without_highdicom_the_error_names_the_extra(tmp_path, monkeypatch):
    series, path = segmented(tmp_path, [("Tumour", box(3, 6, 5))])
    image = read_image(series)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(ImportError, match=r"nonredundant\[dicom\]"):
        read_mask(path, image)


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"NumberOfFrames": 2}, "holds 60 bytes of pixels, but its header states 30 in 2"),
        ({"NumberOfFrames": 5, "PixelData": bytes(76)}, "states 5 frames, but describes 4"),
        ({"PixelData": bytes(30)}, r"are cut off \(30 of 60 bytes stated\)"),
        ({"InConcatenationNumber": 1, "InConcatenationTotalNumber": 2}, "part 1 of 2 of a concat"),
    ],
)
def test_frames_that_are_missing_are_not_taken_for_empty_ones(tmp_path, elements, said):
    pydicom = pytest.importorskip("pydicom")
    series, path = segmented(tmp_path, [("Tumour", box(2, 3, 3))])
    dataset = pydicom.dcmread(path)
    dataset.update(elements)
    dataset.save_as(path)
    with pytest.raises(ImageFileError, match=said):
        read_mask(path, read_image(series))
