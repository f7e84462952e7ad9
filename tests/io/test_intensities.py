"""Stored DICOM values become the intensities that the header states, or the image is refused."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_for_tests import enhanced, group, mapping, plane, pydicom, save, write_stack

from nonredundant.io import ImageFileError, read_image
from nonredundant.io.errors import CaseError
from nonredundant.io.hounsfield import check_hounsfield

rng = np.random.default_rng(0)
UNSIGNED = rng.integers(0, 4096, (6, 5, 7)).astype("<u2")
SIGNED = rng.integers(-2048, 2048, (6, 5, 7)).astype("<i2")


def values_of(source):
    return sitk.GetArrayFromImage(read_image(source))


def write(one, path):
    save(one, path)
    return path


@pytest.mark.parametrize(
    ("stored", "bits"),
    [(UNSIGNED, 16), (UNSIGNED, 12), (SIGNED, 16), (SIGNED, 12), (UNSIGNED.astype("u1"), 8)],
)
def test_monochrome1_concerns_the_display_alone(tmp_path, stored, bits):
    how = {"BitsStored": bits, "HighBit": bits - 1, "RescaleSlope": 2, "RescaleIntercept": -1024}
    how["PhotometricInterpretation"] = "MONOCHROME1"
    expected = stored * 2.0 - 1024
    folder = write_stack(tmp_path / "a", stored, **how)
    np.testing.assert_array_equal(values_of(folder), expected)
    file = write(plane(stored[0], PixelSpacing=[1, 1], **how), tmp_path / "one.dcm")
    np.testing.assert_array_equal(values_of(file), expected[0])
    frames = enhanced(stored, [(2, -1024)] * 6, **{**how, "RescaleSlope": 1})
    np.testing.assert_array_equal(values_of(write(frames, tmp_path / "many.dcm")), expected)


def test_hounsfield_units_stay_integers_whatever_the_display(tmp_path):
    images = [
        read_image(write_stack(tmp_path / name, UNSIGNED, RescaleIntercept=-1024, **{key: name}))
        for key, name in (
            ("PhotometricInterpretation", one) for one in ("MONOCHROME1", "MONOCHROME2")
        )
    ]
    assert images[0].GetPixelIDTypeAsString().endswith("integer")
    np.testing.assert_array_equal(*map(sitk.GetArrayFromImage, images))


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_each_frame_has_its_own_slope_intercept_and_place(tmp_path, modality):
    scales = [(0.5 + k, 10.0 * k) for k in range(6)]
    order = [3, 0, 5, 1, 4, 2]
    one = enhanced(UNSIGNED, scales, positions=[(1, 2, 2.0 * k) for k in order], Modality=modality)
    image = read_image(write(one, tmp_path / "a.dcm"))
    np.testing.assert_allclose(image.GetSpacing(), (0.9, 0.8, 2.0))
    np.testing.assert_allclose(image.GetOrigin(), (1, 2, 0))
    found = sitk.GetArrayFromImage(image)
    for frame, (place, (slope, intercept)) in enumerate(zip(order, scales, strict=True)):
        np.testing.assert_allclose(found[place], UNSIGNED[frame] * slope + intercept)


def test_a_compressed_file_is_read_as_the_plain_one(tmp_path):
    scales = [(1.0 + k, -5.0) for k in range(6)]
    plain = values_of(write(enhanced(UNSIGNED, scales), tmp_path / "plain.dcm"))
    path = write(enhanced(UNSIGNED, scales), tmp_path / "small.dcm")
    packed = pydicom.dcmread(path)
    packed.compress(pydicom.uid.RLELossless)
    packed.save_as(path)
    np.testing.assert_array_equal(values_of(path), plain)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ImageFileError, match=r"pixels of .*small\.dcm .* are cut off"):
        read_image(path)


def test_a_slope_may_stand_in_a_real_world_value_mapping_alone(tmp_path):
    maps = [mapping(0.25, 3, "um2/s")]
    folder = write_stack(
        tmp_path / "a",
        UNSIGNED,
        Modality="MR",
        RescaleSlope=None,
        RescaleIntercept=None,
        RealWorldValueMappingSequence=maps,
    )
    np.testing.assert_allclose(values_of(folder), UNSIGNED * 0.25 + 3)
    one = enhanced(UNSIGNED, mappings=maps, Modality="MR")
    np.testing.assert_allclose(values_of(write(one, tmp_path / "b.dcm")), UNSIGNED * 0.25 + 3)
    two = enhanced(UNSIGNED, mappings=[*maps, mapping(7, 0, "1")], Modality="MR")
    with pytest.raises(CaseError, match="several quantities"):
        read_image(write(two, tmp_path / "c.dcm"))
    table = group(RealWorldValueLUTData=[1.0, 2.0], RealWorldValueFirstValueMapped=0)
    three = enhanced(UNSIGNED, mappings=[table], Modality="MR")
    with pytest.raises(CaseError, match="look-up table"):
        read_image(write(three, tmp_path / "d.dcm"))


def test_a_modality_look_up_table_is_applied(tmp_path):
    table = np.arange(4096, dtype="<u2")[::-1] * 10
    lut = group(LUTDescriptor=[4096, 0, 16], ModalityLUTType="US", LUTData=table.tobytes())
    lut["LUTData"].VR = "OW"
    folder = write_stack(
        tmp_path / "a",
        UNSIGNED,
        Modality="CR",
        RescaleSlope=None,
        RescaleIntercept=None,
        ModalityLUTSequence=[lut],
    )
    np.testing.assert_array_equal(values_of(folder), table[UNSIGNED])
    ct = write_stack(tmp_path / "b", UNSIGNED, RescaleSlope=None, ModalityLUTSequence=[lut])
    np.testing.assert_array_equal(values_of(ct), table[UNSIGNED])
    for k, path in enumerate(sorted(folder.iterdir())):
        one = pydicom.dcmread(path)
        if k == 2:
            del one.ModalityLUTSequence
            one.save_as(path)
    with pytest.raises(ImageFileError, match=r"1 of 6 slices state no .*02\.dcm"):
        read_image(folder)
    both = write_stack(tmp_path / "c", UNSIGNED, ModalityLUTSequence=[lut])
    with pytest.raises(CaseError, match="both a look-up table of intensities .* and RescaleSlope"):
        read_image(both)


def test_ranges_of_stored_values_with_slopes_of_their_own_are_refused(tmp_path):
    maps = [mapping(0.5, 0, "um2/s"), mapping(2, -100, "um2/s")]
    one = enhanced(UNSIGNED, mappings=maps, Modality="MR")
    with pytest.raises(CaseError, match="ranges of stored values to um2/s by different slopes"):
        read_image(write(one, tmp_path / "a.dcm"))


def test_dose_is_scaled(tmp_path):
    folder = write_stack(
        tmp_path / "a",
        UNSIGNED,
        Modality="RTDOSE",
        RescaleSlope=None,
        RescaleIntercept=None,
        DoseGridScaling="0.01",
    )
    np.testing.assert_allclose(values_of(folder), UNSIGNED * 0.01)


def test_each_slice_has_its_own_slope_and_intercept(tmp_path):
    def edit(one, k):
        one.RescaleSlope, one.RescaleIntercept = 1 + k % 2, -100 * k

    expected = [stored * (1.0 + k % 2) - 100 * k for k, stored in enumerate(UNSIGNED)]
    np.testing.assert_array_equal(
        values_of(write_stack(tmp_path / "a", UNSIGNED, edit=edit)), expected
    )


def test_slices_may_be_stored_in_different_types(tmp_path):
    def edit(one, k):
        if k == 0:
            one.BitsAllocated = one.BitsStored = 8
            one.HighBit = 7
            one.PixelData = (UNSIGNED[0] % 256).astype("u1").tobytes() + b"\0"

    expected = UNSIGNED.copy()
    expected[0] %= 256
    np.testing.assert_array_equal(
        values_of(write_stack(tmp_path / "a", UNSIGNED, edit=edit)), expected
    )


def test_stored_values_of_mr_without_a_scale_are_intensities(tmp_path):
    folder = write_stack(
        tmp_path / "a", UNSIGNED, Modality="MR", RescaleSlope=None, RescaleIntercept=None
    )
    np.testing.assert_array_equal(values_of(folder), UNSIGNED)


def on(k, **elements):
    """Return an edit that changes one slice; None removes an element."""

    def edit(one, slice_):
        for name, value in elements.items() if slice_ == k else ():
            if value is None:
                delattr(one, name)
            else:
                setattr(one, name, value)

    return edit


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (on(2, BitsStored=12, HighBit=15), "12 bits a pixel, but HighBit .* is 15 instead of 11"),
        (on(2, RescaleSlope=0), "RescaleSlope .* is 0"),
        (on(2, RescaleSlope="nan"), "RescaleSlope .* is nan"),
        (on(2, RescaleSlope=[1, 2]), "RescaleSlope .* is 1, 2 and the intercept 0"),
        (lambda one, k: setattr(one, "FrameOfReferenceUID", f"1.{k // 5}"), r"1\.0 \(5\), 1\.1"),
        (on(2, RescaleSlope=None, RescaleIntercept=None), r"1 of 6 slices state no .*02\.dcm"),
        (on(2, PixelData=bytes(60)), r"pixels of .*02\.dcm .* cut off \(60 of 70 bytes"),
        (on(2, PixelData=bytes(210)), "holds 210 bytes of pixels, but its header states 70"),
        (on(2, Modality="MR"), r"different Modality \(0008,0060\): CT \(5\), MR \(1\)"),
        (on(2, RescaleType="HU") , None),
        (lambda one, k: setattr(one, "RescaleType", "US" if k else "HU"), "RescaleType"),
        (on(5, PixelData=None), "1 of the 6 files of the series .*05.dcm"),
        (on(2, ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "no pair of perpendicular unit"),
        (on(2, ImagePositionPatient=[0, 0, "nan"]), "no position or orientation"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_a_slice_whose_values_are_unknown_refuses_its_series(tmp_path, edit, said):
    folder = write_stack(tmp_path / "a", UNSIGNED, edit=edit)
    if said is None:
        np.testing.assert_array_equal(values_of(folder), UNSIGNED)
        return
    with pytest.raises(CaseError, match=said):
        read_image(folder)


def test_an_empty_slice_may_have_a_slope_of_0(tmp_path):
    stored = np.where(np.arange(6)[:, None, None] == 2, 0, UNSIGNED).astype("<u2")
    folder = write_stack(tmp_path / "a", stored, edit=on(2, RescaleSlope=0))
    np.testing.assert_array_equal(values_of(folder), stored)
    scales = [(2.0 * (k != 2), 0) for k in range(6)]
    path = write(enhanced(stored, scales), tmp_path / "a.dcm")
    np.testing.assert_array_equal(values_of(path), stored * 2.0)


def test_parts_of_a_concatenation_in_one_folder_are_named(tmp_path):
    (tmp_path / "a").mkdir()
    for part in (1, 2):
        one = enhanced(UNSIGNED, [(1, 0)] * 6, ConcatenationUID="1.2.9")
        one.InConcatenationNumber, one.InConcatenationTotalNumber = part, 2
        save(one, tmp_path / f"a/{part}.dcm")
    with pytest.raises(ImageFileError, match="part 1 of 2 of a concatenation"):
        read_image(tmp_path / "a")


@pytest.mark.parametrize(
    ("order", "n_bytes"),
    [(one, n) for one in ("Implicit", "Explicit", "Deflated") for n in (1, 2, 4)] + [("Big", 2)],
)
def test_each_way_to_store_values_gives_the_same(tmp_path, order, n_bytes):
    stored = (UNSIGNED % 256).astype(f"<u{n_bytes}")
    folder = write_stack(tmp_path / "a", stored, RescaleSlope=0.5, RescaleIntercept=-3)
    syntax = {
        "Implicit": pydicom.uid.ImplicitVRLittleEndian,
        "Explicit": pydicom.uid.ExplicitVRLittleEndian,
        "Big": pydicom.uid.ExplicitVRBigEndian,
        "Deflated": pydicom.uid.DeflatedExplicitVRLittleEndian,
    }[order]
    for path in folder.iterdir():
        one = pydicom.dcmread(path)
        if order == "Big":
            values = np.frombuffer(one.PixelData, "<u2")
            one.PixelData = values.astype(">u2").tobytes()
        again = pydicom.Dataset(one)
        again.file_meta = one.file_meta
        again.file_meta.TransferSyntaxUID = syntax
        again.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(values_of(folder), stored * 0.5 - 3)


def test_ct_that_states_no_scale_is_refused(tmp_path):
    folder = write_stack(tmp_path / "a", UNSIGNED, RescaleSlope=None, RescaleIntercept=None)
    with pytest.raises(ImageFileError, match="6 of 6 slices state no RescaleSlope"):
        read_image(folder)


@pytest.mark.parametrize("left", [0, 60, 140, 500, 0.5, -1])
def test_a_slice_that_is_cut_off_anywhere_refuses_its_series(tmp_path, left):
    folder = write_stack(tmp_path / "a", UNSIGNED)
    last = folder / "05.dcm"
    content = last.read_bytes()
    last.write_bytes(content[: int(left * len(content)) if left == 0.5 else left])
    with pytest.raises(ImageFileError, match=r"05\.dcm"):
        read_image(folder)


def test_what_is_no_slice_may_lie_beside_the_slices(tmp_path):
    folder = write_stack(tmp_path / "a", UNSIGNED)
    for name in (".DS_Store", "Thumbs.db", "notes.txt", "README", "LICENSE.md"):
        (folder / name).write_bytes(b"anything at all" * 20)
    report = plane(UNSIGNED[0], "1.2.840.10008.5.1.4.1.1.88.11", Modality="SR", PixelData=None)
    save(report, folder / "report.dcm")
    index = plane(UNSIGNED[0], "1.2.840.10008.1.3.10", PixelData=None)
    save(index, folder / "DICOMDIR")
    listing = pydicom.dcmread(folder / "DICOMDIR")
    del listing.SOPClassUID
    listing.save_as(folder / "DICOMDIR")
    (folder / "03.dcm").rename(folder / "slice.txt")
    np.testing.assert_array_equal(values_of(folder), UNSIGNED)


def test_a_file_older_than_the_mark_of_dicom_is_checked_alike(tmp_path):
    folder = write_stack(tmp_path / "a", UNSIGNED, RescaleIntercept=-1000)
    for path in folder.iterdir():
        one = pydicom.dcmread(path)
        del one.file_meta
        one.save_as(path, implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(values_of(folder), UNSIGNED - 1000.0)


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"scales": [(1, 0)] * 5 + [None]}, "1 of 6 slices state no RescaleSlope"),
        ({"scales": [(1, 0)] * 5 + [(0, 0)]}, "RescaleSlope .* is 0"),
        ({"positions": [(0, 0.7 * k, 2 * k) for k in range(6)]}, "gantry tilt"),
        ({"positions": [(0, 0, z) for z in (0, 2, 4, 8, 10, 12)]}, "1 slice is missing"),
        ({"positions": [(0, 0, z) for z in (0, 2, 4, 0, 2, 4)]}, "several share one"),
        (
            {"ConcatenationUID": "1.2.9", "InConcatenationNumber": 1,
             "InConcatenationTotalNumber": 2},
            "part 1 of 2 of a concatenation",
        ),
        ({"ConcatenationUID": "1.2.9"}, "several of a concatenation"),
        ({"InConcatenationNumber": 2}, "part 2 of several of a concatenation"),
        ({"PixelData": bytes(490)}, "holds 490 bytes of pixels, but its header states 420 in 6"),
        ({"NumberOfFrames": 5}, "holds 420 bytes of pixels, but its header states 350 in 5"),
        ({"NumberOfFrames": 5, "PixelData": bytes(350)}, "states 5 frames, but describes 6"),
    ],
)  # fmt: skip
def test_frames_that_form_no_volume_are_refused(tmp_path, elements, said):
    scales = elements.pop("scales", [(1, 0)] * 6)
    with pytest.raises(CaseError, match=said):
        read_image(write(enhanced(UNSIGNED, scales, **elements), tmp_path / "a.dcm"))


def test_frames_of_different_pixel_size_are_refused(tmp_path):
    one = enhanced(UNSIGNED, [(1, 0)] * 6)
    frames = one.PerFrameFunctionalGroupsSequence
    for k, frame in enumerate(frames):
        frame.PixelMeasuresSequence = [group(PixelSpacing=[1.0, 1.0 + (k == 3)])]
    with pytest.raises(ImageFileError, match="frame 4 of .* another size, pixel spacing"):
        read_image(write(one, tmp_path / "a.dcm"))


def test_real_numbers_instead_of_pixels_are_refused(tmp_path):
    one = plane(UNSIGNED[0], PixelSpacing=[1, 1], PixelData=None)
    one.FloatPixelData = UNSIGNED[0].astype("<f4").tobytes()
    with pytest.raises(ImageFileError, match="holds real numbers"):
        read_image(write(one, tmp_path / "a.dcm"))


@pytest.mark.parametrize("stated", [12, 20, 25, 30])
def test_an_acquisition_of_several_volumes_states_more_images_than_one(tmp_path, stated):
    stack = np.zeros((10, 5, 7), "<i2")
    folder = write_stack(tmp_path / "a", stack, Modality="MR", ImagesInAcquisition=stated)
    if stated < 20:
        with pytest.raises(ImageFileError, match=f"states {stated} as the number of images"):
            read_image(folder)
    else:
        assert read_image(folder).GetSize() == (7, 5, 10)


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({}, None),
        ({"RescaleType": "HU"}, None),
        ({"RescaleType": "US"}, None),
        ({"RescaleType": "Z"}, r"values of the image are of type Z \(0028,1054\)"),
        ({"RescaleType": "ED"}, "of type ED"),
        ({"Modality": "MR"}, "the image is a MR, but modality='CT'"),
    ],
)
def test_the_settings_of_ct_are_for_hounsfield_units(tmp_path, elements, said):
    image = read_image(write_stack(tmp_path / "a", UNSIGNED, **elements))
    one = enhanced(UNSIGNED, [(1, 0)] * 6)
    for frame in one.PerFrameFunctionalGroupsSequence:
        frame.PixelValueTransformationSequence[0].RescaleType = elements.get("RescaleType", "HU")
    one.Modality = elements.get("Modality", "CT")
    frames = read_image(write(one, tmp_path / "a.dcm"))
    if said is None:
        check_hounsfield(image)
        check_hounsfield(frames)
        return
    with pytest.raises(CaseError, match=said):
        check_hounsfield(frames)
    with pytest.raises(CaseError, match=said):
        check_hounsfield(image)
