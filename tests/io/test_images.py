"""Every kind of source gives the same image, and content alone decides the cache's key."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from cases_for_tests import volume, write_dicom_series

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
from nonredundant.io.images import take_grid


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


def test_pixels_take_the_spacing_that_is_given_and_headers_are_compared(tmp_path):
    pixels = sitk.GetImageFromArray(np.arange(30, dtype=np.uint8).reshape(5, 6))
    sitk.WriteImage(pixels, str(tmp_path / "a.png"))
    assert read_image(tmp_path / "a.png", spacing=(0.5, 0.25)).GetSpacing() == (0.5, 0.25)
    np.testing.assert_array_equal(read_spacing(tmp_path / "a.png", spacing=0.5), [0.5, 0.5])
    keys = {content_key(tmp_path / "a.png", spacing) for spacing in (None, 0.5, (0.5, 0.25))}
    assert len(keys) == 3
    path = tmp_path / "a.nii"
    sitk.WriteImage(volume(), str(path))
    stated = read_image(path).GetSpacing()
    assert read_image(path, spacing=np.array(stated) * 1.0001).GetSpacing() == stated
    with pytest.raises(CaseError, match="spacing of the case is 9×9×9 mm, but the image states"):
        read_image(path, spacing=9)
    with pytest.raises(CaseError, match="spacing of the case is 9×9×9 mm, but the image states"):
        read_image(volume(), spacing=9)


def test_a_mask_of_pixels_lies_on_its_image(tmp_path):
    labels = sitk.GetImageFromArray(np.eye(6, dtype=np.uint8))
    sitk.WriteImage(labels, str(tmp_path / "m.png"))
    image = read_image(np.zeros((6, 6)), spacing=(0.5, 0.25))
    assert read_mask(tmp_path / "m.png", image).GetSpacing() == (0.5, 0.25)
    with pytest.raises(CaseError, match=r"a file of pixels of shape \(6, 6\), but the image has"):
        read_mask(tmp_path / "m.png", read_image(np.zeros((6, 7))))


def test_an_image_without_a_grid_takes_that_of_its_mask():
    mask = sitk.GetImageFromArray(np.ones((4, 5, 6), np.uint8))
    mask.SetSpacing((4, 4, 3))
    mask.SetOrigin((1, 2, 3))
    image = read_image(np.zeros((4, 5, 6)))
    take_grid(image, mask, stated=False)
    assert (image.GetSpacing(), image.GetOrigin()) == ((4, 4, 3), (1, 2, 3))
    with pytest.raises(CaseError, match="spacing of the case is 2×2×2 mm, but the mask states 4×4"):
        take_grid(read_image(np.zeros((4, 5, 6)), spacing=2), mask, stated=True)
    with pytest.raises(CaseError, match="unknown where they overlap"):
        take_grid(read_image(np.zeros((4, 5, 7))), mask, stated=False)
    plain = sitk.GetImageFromArray(np.ones((4, 5, 6), np.uint8))
    image = read_image(np.zeros((4, 5, 6)), spacing=2)
    take_grid(image, plain, stated=True)
    assert image.GetSpacing() == plain.GetSpacing() == (2, 2, 2)
