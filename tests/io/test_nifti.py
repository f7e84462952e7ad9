"""Voxels of NIfTI files that are no numbers are found, though ITK reads them as 0."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nonredundant import RadiomicsExtractor
from nonredundant.io import read_image, read_mask
from nonredundant.io.errors import CaseError, ImageFileError
from nonredundant.io.formats import read_file
from nonredundant.io.nifti import check_nifti

SHAPE = (12, 11, 10)


def write(path, values):
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((1.0, 2.0, 3.0))
    sitk.WriteImage(image, str(path))
    return path


def lesion(folder):
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[3:9, 3:9, 3:9] = 1
    return write(folder / "mask.nii.gz", mask)


def noise(dtype):
    return np.random.default_rng(0).normal(size=SHAPE).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".hdr", ".img", ".nrrd", ".mha"])
def test_nan_and_infinite_voxels_are_an_error_of_the_case(tmp_path, suffix, dtype):
    values = noise(dtype)
    # One inside the lesion, one outside.
    values[4, 5, 6], values[0, 1, 2] = np.nan, -np.inf
    cases = pd.DataFrame(
        {"image": [write(tmp_path / f"image{suffix}", values)], "mask": [lesion(tmp_path)]}
    )
    extractor = RadiomicsExtractor(bin_width=1.0, feature_classes=["firstorder"])
    with pytest.raises(
        ValueError, match=r"2 of 1,320 voxels are NaN or infinite \(1 of them inside"
    ):
        extractor.fit_transform(cases)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".img"])
def test_numbers_are_read_as_they_are(tmp_path, suffix):
    values = noise(np.float32)
    path = write(tmp_path / f"image{suffix}", values)
    assert len(check_nifti(path)) == 0
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_file(path)), values)


def test_other_byte_order(tmp_path):
    path = write(tmp_path / "image.nii", noise(np.float32))
    content = bytearray(path.read_bytes())
    big = bytearray(content[:352]) + np.frombuffer(content[352:], "<f4").astype(">f4").tobytes()
    for place, kind in [
        (0, "i"),
        (108, "f"),
        *((40 + 2 * k, "h") for k in range(8)),
        (70, "h"),
        (72, "h"),
    ]:
        struct.pack_into(f">{kind}", big, place, *struct.unpack_from(f"<{kind}", content, place))
    struct.pack_into(">f", big, 352 + 4 * 7, np.nan)
    path.write_bytes(big)
    assert check_nifti(path).tolist() == [7]


def test_positions_across_the_chunks_of_a_large_file(tmp_path):
    values = np.zeros((70, 100, 101), dtype=np.float64)
    places = [0, 131_071, 131_072, 500_000, values.size - 1]
    values.reshape(-1)[places] = np.inf
    for suffix in (".nii", ".nii.gz"):
        assert check_nifti(write(tmp_path / f"image{suffix}", values)).tolist() == places


@pytest.mark.parametrize("place", [112, 116])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_scaling_that_is_no_number_is_refused(tmp_path, place, value):
    path = write(tmp_path / "image.nii", noise(np.float32))
    content = bytearray(path.read_bytes())
    struct.pack_into("<f", content, place, value)
    path.write_bytes(content)
    with pytest.raises(ImageFileError, match="which is no scaling; export it again"):
        read_file(path)


def test_a_shift_without_a_slope_is_refused(tmp_path):
    path = write(tmp_path / "image.nii", noise(np.float32))
    content = bytearray(path.read_bytes())
    struct.pack_into("<2f", content, 112, 0, 5)
    path.write_bytes(content)
    with pytest.raises(ImageFileError, match="scaled by 0 .* and shifted by 5"):
        read_file(path)


@pytest.mark.parametrize(
    ("what", "place", "code"),
    [("qform", 256, 252), ("qform", 268, 252), ("sform", 280, 254), ("sform", 324, 254)],
)
def test_a_place_in_space_that_is_no_number_is_refused(tmp_path, what, place, code):
    path = write(tmp_path / "image.nii", noise(np.float32))
    content = bytearray(path.read_bytes())
    struct.pack_into("<f", content, place, np.nan)
    path.write_bytes(content)
    with pytest.raises(ImageFileError, match=rf"numbers that are not finite \({what}: .*nan"):
        read_file(path)
    struct.pack_into("<h", content, code, 0)
    path.write_bytes(content)
    assert read_file(path).GetSpacing() == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("suffix", [".nii", ".mha"])
def test_complex_numbers_are_refused(tmp_path, suffix):
    path = tmp_path / f"image{suffix}"
    values = sitk.GetImageFromArray(noise(np.complex64))
    sitk.WriteImage(values, str(path.with_suffix(".nii")))
    source = path if suffix == ".nii" else values
    with pytest.raises(CaseError, match="complex of 32-bit floats; give real numbers"):
        read_image(source)
    with pytest.raises(CaseError, match="complex of 32-bit floats; give real numbers"):
        read_mask(source, read_image(noise(np.float32)))


def test_a_mask_with_nan_is_refused_like_that_of_another_format(tmp_path):
    mask = np.zeros(SHAPE, dtype=np.float32)
    mask[3:9, 3:9, 3:9] = 1
    mask[0, 0, 0] = np.nan
    image = write(tmp_path / "image.nii", noise(np.float32))
    messages = []
    for suffix in (".nrrd", ".nii.gz"):
        cases = pd.DataFrame({"image": [image], "mask": [write(tmp_path / f"mask{suffix}", mask)]})
        with pytest.raises(ValueError, match="case 0") as caught:
            RadiomicsExtractor(bin_width=1.0).fit_transform(cases)
        messages.append(str(caught.value).replace(suffix, ""))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_compressed_files_are_read_as_by_itk(tmp_path, dtype):
    values = (noise(np.float64) * 50 + 100).astype(dtype)
    image = sitk.GetImageFromArray(np.tile(values, (2, 6, 6)))
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    image.SetSpacing((0.7, 1.3, 2.0))
    image.SetOrigin((-10.5, 3.25, 7.0))
    path = tmp_path / "image.nii.gz"
    sitk.WriteImage(image, str(path))
    found, expected = read_file(path), sitk.ReadImage(str(path))
    assert found.GetPixelID() == expected.GetPixelID()
    for part in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(found, part)() == getattr(expected, part)()
    np.testing.assert_array_equal(*map(sitk.GetArrayFromImage, (found, expected)))
    assert set(found.GetMetaDataKeys()) <= set(expected.GetMetaDataKeys())
    assert found.GetMetaData("descrip") == expected.GetMetaData("descrip")


def test_scaled_integers_are_read_as_by_itk(tmp_path):
    path = write(tmp_path / "image.nii", noise(np.float32).astype(np.int16))
    content = bytearray(path.read_bytes())
    struct.pack_into("<2f", content, 112, 0.5, 2.0)
    path = tmp_path / "image.nii.gz"
    path.write_bytes(gzip.compress(content))
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_file(path)), expected)


def test_parts_of_a_compressed_file_and_what_follows_it(tmp_path):
    """Zeros compress to pieces that are longer than those that are read at a time."""
    values = np.zeros((64, 128, 129), dtype=np.float32)
    values[-1, -1, -1] = 5
    content = write(tmp_path / "image.nii", values).read_bytes()
    halves = [gzip.compress(content[:700_000]), gzip.compress(content[700_000:])]
    path = tmp_path / "image.nii.gz"
    for after in (b"", b"\0" * 100, b"something else"):
        path.write_bytes(b"".join(halves) + after)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_file(path)), values)
    whole = gzip.compress(content)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageFileError, match="is truncated"):
        read_file(path)
    path.write_bytes(whole[:-8] + bytes(4) + whole[-4:])
    with pytest.raises(ImageFileError, match="disagrees with its checksum"):
        read_file(path)


@pytest.mark.parametrize(("place", "kind", "value"), [(108, "<f", 0.0), (72, "<h", 8)])
def test_odd_headers_of_compressed_files_are_read_as_itk_reads_them(tmp_path, place, kind, value):
    path = write(tmp_path / "image.nii.gz", noise(np.float32))
    content = bytearray(gzip.decompress(path.read_bytes()))
    # Where voxels begin (0: wherever the reader thinks), and bits per voxel, which contradict.
    struct.pack_into(kind, content, place, value)
    path.write_bytes(gzip.compress(bytes(content)))
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_file(path)), expected)
