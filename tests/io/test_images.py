"""Every kind of source gives the same image, and content alone decides the cache's key."""

from __future__ import annotations

import gzip
import locale
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from nonredundant.io import (
    ImageFileError,
    content_key,
    describe,
    n_dimensions,
    read_image,
    read_mask,
    read_spacing,
)
from nonredundant.io.errors import CaseError
from nonredundant.io.geometry import align_mask


def volume(shape=(5, 6, 7), dtype=np.int16, spacing=(0.9, 1.1, 2.5)):
    """Return an image with a geometry of its own."""
    values = np.random.default_rng(0).integers(0, 1000, shape).astype(dtype)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing[: len(shape)])
    image.SetOrigin((-10.0, 20.0, 30.0)[: len(shape)])
    return image


def write_dicom_series(folder, image, uid="1.2.3.4"):
    """Write an image as a DICOM series, slices in shuffled files."""
    folder.mkdir()
    before = locale.setlocale(locale.LC_ALL)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z in range(image.GetSize()[2]):
        one = image[:, :, z]
        position = image.TransformIndexToPhysicalPoint((0, 0, z))
        for tag, value in {
            "0008|0060": "CT",
            "0020|000e": uid,
            "0020|000d": "1.2.3",
            "0008|0018": f"{uid}.{z}",
            "0020|0032": "\\".join(map(str, position)),
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0013": str(z),
            "0018|0050": str(image.GetSpacing()[2]),
        }.items():
            one.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{(z * 3) % 5}_{uid}.dcm"))
        writer.Execute(one)
    # Writing DICOM leaves the process in the "C" locale, where text files are no longer UTF-8.
    locale.setlocale(locale.LC_ALL, before)


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha", "mhd"])
def test_files_give_voxels_and_geometry(tmp_path, ending):
    image = volume()
    path = tmp_path / f"image.{ending}"
    sitk.WriteImage(image, str(path))
    for source in (path, str(path)):
        read = read_image(source)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read), sitk.GetArrayFromImage(image))
        np.testing.assert_allclose(read.GetSpacing(), image.GetSpacing(), rtol=1e-6)
        np.testing.assert_allclose(read.GetOrigin(), image.GetOrigin(), rtol=1e-6)
    assert n_dimensions(path) == 3


def test_a_folder_is_one_dicom_series(tmp_path):
    image = volume()
    write_dicom_series(tmp_path / "series", image)
    read = read_image(tmp_path / "series")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read), sitk.GetArrayFromImage(image))
    np.testing.assert_allclose(read.GetSpacing(), image.GetSpacing(), rtol=1e-6)
    assert n_dimensions(tmp_path / "series") == 3


def test_a_folder_of_two_series_names_both(tmp_path):
    write_dicom_series(tmp_path / "series", volume())
    write_dicom_series(tmp_path / "other", volume(), uid="1.2.3.9")
    for file in (tmp_path / "other").iterdir():
        shutil.move(file, tmp_path / "series" / file.name)
    with pytest.raises(ImageFileError, match=r"holds 2 DICOM series.*\(5\).*a folder of its own"):
        read_image(tmp_path / "series")


def test_a_folder_without_dicom_says_so(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ImageFileError, match=r"a folder of 1 files\) holds no DICOM series"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    "dtype", [bool, np.uint8, np.int16, np.int64, np.float16, np.float32, ">f8", np.longdouble]
)
def test_arrays_of_every_number_type_are_images(dtype):
    array = np.arange(60).reshape(3, 4, 5).astype(dtype)
    image = read_image(array, spacing=(1, 2, 3))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), array.astype(float))
    assert image.GetSpacing() == (1, 2, 3)
    assert read_image(array[0], spacing=2).GetSpacing() == (2, 2)


@pytest.mark.parametrize(
    ("source", "spacing", "message"),
    [
        (np.zeros(4), None, r"shape \(D, H, W\) or \(H, W\).*got \(4,\)"),
        (np.zeros((0, 4)), None, r"got \(0, 4\)"),
        (np.zeros((2, 2), dtype=complex), None, "real numbers, got dtype complex128"),
        (np.zeros((2, 2)), (1, 2, 3), r"2 positive numbers.*got \(1, 2, 3\)"),
        (np.zeros((2, 2)), -1, "got -1"),
        (np.zeros((2, 2)), "wide", "got 'wide'"),
        (None, None, "the cell is empty"),
        (3.5, None, "float 3.5 is not an image"),
    ],
)
def test_what_is_no_image_is_described(source, spacing, message):
    with pytest.raises(CaseError, match=message):
        read_image(source, spacing=spacing)


def test_colour_and_time_are_refused_and_a_single_time_point_is_not(tmp_path):
    colour = sitk.Compose([volume()] * 3)
    with pytest.raises(CaseError, match="3 values per voxel"):
        read_image(colour)
    frames = sitk.JoinSeries([sitk.Cast(volume(), sitk.sitkInt16)] * 2)
    with pytest.raises(CaseError, match=r"4 dimensions of size \(7, 6, 5, 2\)"):
        read_image(frames)
    path = tmp_path / "one.nii"
    sitk.WriteImage(sitk.JoinSeries([volume()]), str(path))
    assert read_image(path).GetSize() == (7, 6, 5)
    assert n_dimensions(path) == 3


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha"])
def test_a_truncated_file_is_an_error_with_its_size(tmp_path, ending):
    path = tmp_path / f"image.{ending}"
    sitk.WriteImage(volume((20, 20, 20)), str(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(
        ImageFileError, match=rf"image\.{ending} \([\d,]+ bytes\) (cannot|is trunc)"
    ):
        read_image(path)


def test_missing_and_foreign_files_are_errors_of_both_kinds(tmp_path):
    with pytest.raises(ImageFileError, match="there is no file or folder nowhere.nii below"):
        read_image("nowhere.nii")
    path = tmp_path / "letter.nii"
    path.write_text("dear colleague")
    with pytest.raises(OSError, match="14 bytes"):
        read_image(path)
    with pytest.raises(ValueError, match="SimpleITK reads"):
        read_image(path)
    with pytest.raises(ImageFileError):
        n_dimensions(path)


def test_a_mask_array_lies_on_the_image_and_a_channel_can_be_chosen():
    image = volume()
    labels = np.zeros((5, 6, 7), dtype=bool)
    mask = read_mask(labels, image)
    assert mask.GetOrigin() == image.GetOrigin()
    with pytest.raises(CaseError, match=r"shape \(5, 6\), but the image has shape \(5, 6, 7\)"):
        read_mask(labels[..., 0], image)
    layers = sitk.Compose([sitk.Cast(image > bound, sitk.sitkUInt8) for bound in (100, 500)])
    second = sitk.GetArrayFromImage(read_mask(layers, image, channel=1))
    np.testing.assert_array_equal(second, sitk.GetArrayFromImage(image > 500))
    with pytest.raises(CaseError, match="2 channels, but label_channel is 2"):
        read_mask(layers, image, channel=2)


def test_keys_follow_content_and_nothing_else(tmp_path):
    image = volume()
    one, two = tmp_path / "one.nii", tmp_path / "two.nii"
    sitk.WriteImage(image, str(one))
    shutil.copy(one, two)
    assert content_key(one) == content_key(str(two))
    image[1, 2, 3] += 1
    sitk.WriteImage(image, str(two))
    assert content_key(one) != content_key(two)
    array = sitk.GetArrayFromImage(image)
    keys = {
        content_key(array),
        content_key(array, spacing=2),
        content_key(array.astype(np.int32)),
        content_key(array.reshape(7, 6, 5)),
        content_key(image),
        content_key(None),
    }
    assert len(keys) == 6
    assert content_key(np.asfortranarray(array)) == content_key(array)
    moved = sitk.Image(image)
    moved.SetOrigin((0, 0, 0))
    assert content_key(moved) != content_key(image)


def test_key_of_a_series_and_of_a_header_with_voxels_elsewhere(tmp_path):
    image = volume()
    write_dicom_series(tmp_path / "series", image)
    before = content_key(tmp_path / "series")
    file = next((tmp_path / "series").iterdir())
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    assert content_key(tmp_path / "series") != before
    path = tmp_path / "image.mhd"
    sitk.WriteImage(image, str(path))
    before = content_key(path)
    raw = tmp_path / "image.raw"
    content = bytearray(raw.read_bytes())
    content[-1] ^= 1
    raw.write_bytes(bytes(content))
    assert content_key(path) != before


def test_sources_are_described():
    assert describe("a/b.nii") == "a/b.nii"
    assert describe(volume()) == "SimpleITK.Image of size (7, 6, 5)"
    assert describe(3.5) == "float 3.5"


def shifted(image, offset=(0, 0, 0), scale=1.0):
    """Return a copy elsewhere."""
    copy = sitk.Image(image)
    copy.SetOrigin([a + b for a, b in zip(image.GetOrigin(), offset, strict=True)])
    copy.SetSpacing([value * scale for value in image.GetSpacing()])
    return copy


def ball():
    """Return a mask with a box of labels."""
    labels = np.zeros((10, 12, 14), dtype=np.uint8)
    labels[3:7, 4:9, 5:10] = 1
    mask = sitk.GetImageFromArray(labels)
    mask.SetSpacing((1, 1, 2))
    return mask


def test_headers_rounded_to_single_precision_are_the_same_grid():
    image = ball()
    mask = shifted(image, (1e-5, 0, 0), 1 + 1e-6)
    aligned, note = align_mask(mask, image)
    assert note is None
    assert aligned.GetOrigin() == image.GetOrigin()
    assert mask.GetOrigin() != image.GetOrigin()


def test_a_mask_on_a_finer_grid_is_resampled_to_the_same_region():
    image = ball()
    fine = sitk.Resample(
        image, [28, 24, 20], sitk.Transform(), sitk.sitkNearestNeighbor, (-0.25, -0.25, -0.5),
        (0.5, 0.5, 1.0),
    )  # fmt: skip
    aligned, note = align_mask(fine, image)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(aligned), sitk.GetArrayFromImage(image))
    assert "28×24×20 voxels of 0.5×0.5×1 mm" in note
    assert "14×12×10 voxels of 1×1×2 mm" in note


def test_a_flipped_direction_is_resampled_in_space():
    image = ball()
    flipped = sitk.Flip(image, [True, False, False])
    assert flipped.GetDirection() != image.GetDirection()
    aligned, note = align_mask(flipped, image)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(aligned), sitk.GetArrayFromImage(image))
    assert note is not None


def test_the_tolerance_can_be_widened():
    image = ball()
    mask = shifted(image, (0.1, 0, 0))
    assert align_mask(mask, image)[1] is not None
    assert align_mask(mask, image, tolerance=0.2)[1] is None


def test_a_mask_elsewhere_is_an_error_with_both_boxes():
    image = ball()
    with pytest.raises(CaseError, match=r"labels lie outside the image: image 14×12×10.*500…513"):
        align_mask(shifted(image, (500, 0, 0)), image)


def test_a_mask_that_loses_volume_says_how_much():
    image = ball()
    _, note = align_mask(shifted(image, (6, 0, 0)), image)
    assert "40% of its volume lost" in note


def test_different_dimensions_are_an_error():
    image = ball()
    with pytest.raises(CaseError, match="the image is 3-D.*but the mask is 2-D"):
        align_mask(image[:, :, 0], image)


def test_a_file_compressed_in_parts_is_complete_and_other_content(tmp_path):
    path = tmp_path / "image.nii.gz"
    sitk.WriteImage(volume(), str(path))
    before = content_key(path)
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:500]) + gzip.compress(content[500:], 1))
    assert content_key(path) != before
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(read_image(path)), sitk.GetArrayFromImage(volume())
    )


def test_voxels_missing_at_the_very_end_are_noticed(tmp_path):
    path = tmp_path / "image.nii"
    sitk.WriteImage(volume(), str(path))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ImageFileError, match="3 bytes of its voxels are missing"):
        read_image(path)


@pytest.mark.parametrize("name", ["image.nii.gz", "image.nrrd", "image.mha"])
def test_voxel_size_of_a_file_comes_from_its_header(tmp_path, monkeypatch, name):
    file = tmp_path / name
    sitk.WriteImage(volume(), str(file))
    expected = read_image(file).GetSpacing()
    monkeypatch.setattr(sitk, "ReadImage", None)
    np.testing.assert_array_equal(read_spacing(file), expected)


def test_voxel_size_of_other_sources(tmp_path):
    image = volume()
    write_dicom_series(tmp_path / "series", image)
    np.testing.assert_allclose(read_spacing(tmp_path / "series"), image.GetSpacing())
    np.testing.assert_array_equal(read_spacing(image), image.GetSpacing())
    np.testing.assert_array_equal(read_spacing(np.zeros((3, 4)), spacing=2.0), [2.0, 2.0])
    with pytest.raises(ImageFileError, match="no file or folder"):
        read_spacing(tmp_path / "nowhere.nii")
