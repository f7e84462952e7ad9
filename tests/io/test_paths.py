"""Paths that lead nowhere, and files and folders that are no images: the message says why."""

from __future__ import annotations

import gzip
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from cases_for_tests import volume, write_dicom_series

from nonredundant.io import ImageFileError, read_image, read_mask

if sys.platform != "linux":
    pytest.skip("names of files differ among systems", allow_module_level=True)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with an image."""
    sitk.WriteImage(volume(), str(tmp_path / "scan.nii.gz"))
    return tmp_path


def refusal(path, image=None):
    """Return the message of an image, or of a mask, that cannot be read."""
    with pytest.raises(ImageFileError) as error:
        read_image(path) if image is None else read_mask(path, image)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("scan.nii.gz ", "'scan.nii.gz', which differs from 'scan.nii.gz ' in a blank"),
        ("scan.nii.gz\n", "in a blank or quotation mark at the start or end"),
        ("\xa0scan.nii.gz", "in a blank"),
        ('"scan.nii.gz"', "in a blank or quotation mark"),
        ("Scan.nii.gz", "in upper and lower case"),
        ("scan.nii", "'scan.nii.gz', which differs from 'scan.nii' in its ending"),
        ("scan", "in its ending"),
        ("scan.mha", "in its ending"),
        (" SCAN.nii.gz", "in one of: a blank"),
        ("scann.nii.gz", "holds 'scan.nii.gz'; correct the path"),
        ("gone/scan.nii.gz", "already the folder .*gone does not exist"),
        ("scan.nii.gz/scan.nii.gz", "scan.nii.gz is a file, not a folder"),
        ('" /scan.nii.gz', "one of its parts is '\" ': remove blanks"),
        ("quite_another.nii.gz", "set `root`"),
    ],
)
def test_a_name_that_differs_from_one_that_exists_is_explained(folder, name, said):
    import re

    assert re.search(said, refusal(f"{folder}/{name}"))


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_in_another_form_are_named(folder, forms):
    there, asked = (unicodedata.normalize(form, "Müller") for form in forms)
    (folder / there).mkdir()
    assert "in the form of its accents (Unicode NFC or NFD)" in refusal(folder / asked / "a.nii")


def test_links_without_content_are_named(folder):
    (folder / "a.nii.gz").symlink_to(folder / "gone.nii.gz")
    (folder / "b.nii.gz").symlink_to("../.git/annex/objects/zk/71/MD5E-s5.nii.gz")
    (folder / "below").symlink_to(folder / "nowhere")
    assert "is a link to " in refusal(folder / "a.nii.gz")
    assert "git annex get" in refusal(folder / "b.nii.gz")
    assert "nowhere, which does not exist" in refusal(folder / "below" / "a.nii.gz")
    (folder / "series").mkdir()
    (folder / "series" / "1.dcm").symlink_to("../.git/annex/objects/zk/71/MD5E-s5.dcm")
    said = refusal(folder / "series")
    assert "1 of its 1 entries are links without content: git annex get" in said


def test_paths_that_the_system_refuses_are_named(folder, monkeypatch):
    assert "… cannot be looked up (File name too long)" in refusal(folder / ("x" * 5000))

    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", denied)
    assert "scan.nii.gz cannot be looked up (Permission denied)" in refusal(folder / "scan.nii.gz")


def test_paths_of_windows_and_addresses_are_named(folder):
    turned = str(folder).replace("/", "\\") + "\\scan.nii.gz"
    assert f"but '{folder}/scan.nii.gz' exists: separate folders by '/'" in refusal(turned)
    (folder / "sub").mkdir()
    (folder / "scan.nii.gz").rename(folder / "sub" / "scan.nii.gz")
    said = refusal(folder / "sub\\scan.nii.gz")
    assert f"but '{folder}/sub/scan.nii.gz' exists" in said
    for path in ("C:\\data\\scan.nii.gz", "D:/data/scan.nii.gz", folder / "E:\\scan.nii.gz"):
        assert "it is a path of Windows" in refusal(path)
    for path in ("https://example.org/a.nii.gz", folder / "s3://bucket/a.nii.gz"):
        assert "it is an address, and nothing is downloaded" in refusal(path)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.dcm"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "Git LFS.*git lfs pull"),
        (b"/annex/objects/SHA256E-s12--4d.nii.gz\n", "git-annex.*git annex get"),
        (b"", "it is empty: copy it again"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"PK\3\4" + bytes(60), "ZIP archive: unpack it"),
    ],
    ids=["lfs", "annex", "empty", "html", "zip"],
)
def test_files_that_stand_for_others_are_named(folder, name, content, said):
    import re

    (folder / name).write_bytes(content)
    assert re.search(said, refusal(folder / name))
    assert re.search(said, refusal(folder / name, volume()))


def test_a_compressed_file_without_the_ending_is_named(folder):
    path = folder / "scan.nii.gz"
    assert "rename it to 'a.nii.gz'" in refusal(path.rename(folder / "a.nii"))
    assert "unpack it" in refusal((folder / "a.nii").rename(folder / "a.mha"))
    # The other way round it is read.
    plain = folder / "b.nii.gz"
    plain.write_bytes(gzip.decompress((folder / "a.mha").read_bytes()))
    assert read_image(plain).GetSize() == volume().GetSize()


def test_the_folder_above_a_series_names_the_series(folder):
    above = folder / "patient"
    above.mkdir()
    write_dicom_series(above / "ct", volume(), "1.2.3.4")
    assert "DICOM files are in 'ct' below it: give the folder of one series" in refusal(above)
    write_dicom_series(above / "pet", volume(), "1.2.3.5")
    said = refusal(folder / "patient")
    assert "a folder of 0 files and 2 folders" in said
    assert "DICOM files are in 'ct', 'pet' below it" in said
    assert "'patient/ct', 'patient/pet'" in refusal_of_parent(folder)


def refusal_of_parent(folder):
    """Return the message of a folder two levels above, without the image beside."""
    (folder / "scan.nii.gz").unlink()
    return refusal(folder)


def test_a_dicomdir_names_the_series(folder):
    pydicom = pytest.importorskip("pydicom")
    above = folder / "medium"
    above.mkdir()
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.1.3.10", "1.2"
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    directory = pydicom.Dataset()
    directory.file_meta = meta
    directory.save_as(above / "DICOMDIR", enforce_file_format=True)
    assert "(DICOMDIR), which lists files and holds no image: give the f" in refusal(above)
    write_dicom_series(above / "ct", volume(), "1.2.3.4")
    for path in (above / "DICOMDIR", above):
        for image in (None, volume()):
            assert "DICOM files are in 'ct' below it" in refusal(path, image)


def test_a_folder_of_other_images_names_them(folder):
    said = refusal(folder)
    assert "holds no DICOM series: it holds 'scan.nii.gz': give the file, not its folder" in said
    empty = folder / "empty"
    empty.mkdir()
    assert "a folder of 0 files) holds no DICOM series" in refusal(empty)
    (empty / "1.dcm").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert "of 1 of its 1 entries: it is a pointer of Git LFS" in refusal(empty)


def test_a_series_some_of_whose_slices_are_links_or_pointers_is_incomplete(folder):
    write_dicom_series(folder / "ct", volume(), "1.2.3.4")
    assert read_image(folder / "ct").GetSize() == volume().GetSize()
    last = folder / "ct" / "last.dcm"
    last.symlink_to("nowhere.dcm")
    assert "incomplete: 1 of its 6 entries are links without content" in refusal(folder / "ct")
    last.unlink()
    last.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n")
    assert "incomplete: of 1 of its 6 entries: it is a pointer of Git" in refusal(folder / "ct")


def test_an_image_of_a_path_object_and_of_text_are_the_same(folder):
    path = Path(folder / "scan.nii.gz")
    one, two = (sitk.GetArrayFromImage(read_image(source)) for source in (path, str(path)))
    np.testing.assert_array_equal(one, two)
