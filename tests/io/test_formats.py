"""File formats: voxels and geometry of each, incomplete files, and files without voxels."""

from __future__ import annotations

import gzip
import shutil

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
