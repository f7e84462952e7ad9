"""File formats: voxels and geometry of each, incomplete files, and files without voxels."""

from __future__ import annotations

import gzip
import shutil
import zlib

import numpy as np
import pytest
import SimpleITK as sitk
from cases_for_tests import volume, write_dicom_series

from nonredundant.io import (
    ImageFileError,
    content_key,
    formats,
    n_dimensions,
    read_image,
    read_mask,
)


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


def test_a_folder_without_dicom_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ImageFileError, match=r"a folder of 1 files\) holds no DICOM series"):
        read_image(tmp_path)


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


def test_an_entry_of_the_table_is_all_that_a_new_format_needs(tmp_path, monkeypatch):
    path = tmp_path / "mask.box"
    path.write_text("1 4")

    def read_box(path):
        first, last = map(int, path.read_text().split())
        values = np.zeros((5, 6, 7), dtype=np.uint8)
        values[first:last, first:last, first:last] = 1
        return sitk.GetImageFromArray(values)

    box = formats.FileFormat("a box", lambda path: path.suffix == ".box", read_box)
    monkeypatch.setattr(formats, "FORMATS", (box, *formats.FORMATS))
    assert sitk.GetArrayFromImage(read_mask(path, volume())).sum() == 27
    before = content_key(path)
    path.write_text("1 5")
    assert content_key(path) != before


def test_damage_of_compressed_voxels_is_known_by_their_checksum(tmp_path):
    path = tmp_path / "image.nii.gz"
    noise = np.random.default_rng(0).integers(0, 2**15, (60, 60, 60)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(path))
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # in the checksum, after the last voxel
    path.write_bytes(bytes(content))
    with pytest.raises(ImageFileError, match="damaged.*checksum"):
        read_image(path)
    # What follows the compressed file is not read.
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(path))
    path.write_bytes(path.read_bytes() + b"trailing bytes")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(path)), noise)


@pytest.mark.parametrize("kept", [380, 480, 600])
def test_a_file_that_ends_within_or_behind_its_header_is_truncated(tmp_path, kept):
    path = tmp_path / "image.nii.gz"
    sitk.WriteImage(volume(), str(path))
    content = gzip.decompress(path.read_bytes())
    packed = zlib.compressobj(wbits=31)
    path.write_bytes(packed.compress(content[:kept]) + packed.flush(zlib.Z_SYNC_FLUSH))
    with pytest.raises(ImageFileError, match="truncated|cannot be read"):
        read_image(path)


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0, 1, 255], np.int16), ([0, 1, 2.0001], np.float64), ([0, 1, 300], np.float32)],
)
def test_a_large_mask_is_read_in_parts(tmp_path, monkeypatch, ending, values, dtype):
    monkeypatch.setattr(formats, "_PART", 2000)
    rng = np.random.default_rng(0)
    image = volume()
    array = np.kron(rng.choice(values, (3, 3, 4)), np.ones((2, 2, 2)))[:5, :6, :7].astype(dtype)
    mask = sitk.GetImageFromArray(np.repeat(array, 3, axis=0))
    mask.SetSpacing((1, 2, 3))
    mask.SetOrigin((4, 5, 6))
    path = tmp_path / f"mask.{ending}"
    sitk.WriteImage(mask, str(path))
    found = read_mask(path, image)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), np.rint(np.repeat(array, 3, 0)))
    assert found.GetSpacing() == mask.GetSpacing()
    assert found.GetOrigin() == mask.GetOrigin()
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ImageFileError):
        read_mask(path, image)


@pytest.mark.parametrize("name", ["scan.h5", "scan.nii", "scan.mnc"])
def test_a_damaged_file_prints_no_pages_of_another_library(tmp_path, capfd, name):
    content = b"\x89HDF\r\n\x1a\n" + bytes(64) if name != "scan.mnc" else b"garbage"
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageFileError, match="cannot be read as"):
        read_image(tmp_path / name)
    assert capfd.readouterr().err == ""
