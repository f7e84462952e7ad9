"""Errors of a case name its label, path, cause and remedy; other cases are not affected."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from bad_cases_for_tests import SHAPE, box, changed, extractor, image_of, one_case

from nonredundant.io import CaseError, ImageFileError


def elsewhere(mask):
    """Return the mask half a metre off."""
    image = sitk.GetImageFromArray(mask)
    image.SetOrigin((500.0, 0.0, 0.0))
    return image


ON_A_LINE = box(slice(3, 4), slice(3, 4), slice(3, 9))
ONE_VOXEL = box(slice(3, 4), slice(3, 4), slice(3, 4))
SOME_NAN = changed(image_of(), (slice(4, 5), slice(0, 4), 4), np.nan)
ON_SCANNER = sitk.GetImageFromArray(image_of())
FLAT = sitk.GetImageFromArray(box()[0])

#: What is wrong, the sources, and what the message must hold: cause with numbers, and remedy.
BAD = {
    "missing image": ("nowhere/scan.nii", box(), "/nowhere/scan.nii; correct", "root"),
    "missing mask": (image_of(), "mask.nrrd", "/mask.nrrd; correct", "correct the path"),
    "not an image": ("letter.nii", box(), "letter.nii (14 bytes) cannot be read", "NIfTI, NRRD"),
    "truncated": ("short.nii.gz", box(), "bytes of its voxels are missing", "copy or export"),
    "empty folder": ("folder", box(), "folder (a folder of 0 files) holds no DICOM", "DICOM"),
    "number as image": (3.5, box(), "float 3.5 is not an image", "give a path"),
    "empty cell": (None, box(), "the cell is empty", "image"),
    "one dimension": (np.zeros(7), None, "(D, H, W) or (H, W)", "got (7,)"),
    "complex": (np.zeros(SHAPE, complex), box(), "dtype complex128", "real numbers"),
    "other shape": (image_of(), box()[1:], "shape (11, 14, 16)", "image has shape (12, 14, 16)"),
    "disjoint": (ON_SCANNER, elsewhere(box()), "lie outside the image", "same scan"),
    "2-D mask": (image_of(), FLAT, "the mask is 2-D", "same number of dimensions"),
    "empty mask": (image_of(), box() * 0, "every voxel is 0", "draw the lesion"),
    "other label": (
        image_of(),
        box() * 255,
        "label 1 is not in the mask, which holds 255",
        "`label`",
    ),
    "one voxel": (image_of(), ONE_VOXEL, "1 voxels in a box of 1×1×1", "drop the case"),
    "a line": (image_of(), ON_A_LINE, "6 voxels in a box of 1×1×6", "at least 2 dimensions"),
    "NaN": (SOME_NAN, box(), "4 of 2,688 voxels are NaN or infinite (1 of", "replace them"),
    "infinite": (changed(image_of(), 0, np.inf), box(), "224 of 2,688 voxels", "replace them"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with broken files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "letter.nii").write_text("dear colleague")
    sitk.WriteImage(sitk.GetImageFromArray(image_of()), "short.nii.gz")
    content = (tmp_path / "short.nii.gz").read_bytes()
    (tmp_path / "short.nii.gz").write_bytes(content[: len(content) // 2])
    return tmp_path


def cases_with(image, mask):
    """Return three cases, the bad one in the middle."""
    return pd.DataFrame(
        {"image": [image_of(1), image, image_of(2)], "mask": [box(), mask, box()]},
        index=["anna", "bert", "carl"],
    )


@pytest.mark.parametrize(("image", "mask", "cause", "remedy"), BAD.values(), ids=BAD)
def test_the_error_names_case_cause_and_remedy(folder, image, mask, cause, remedy):
    with pytest.raises(CaseError) as caught:
        extractor().fit_transform(cases_with(image, mask))
    message = str(caught.value)
    assert message.startswith("case 'bert' (image ")
    for part in (cause, remedy, *(one for one in (image, mask) if isinstance(one, str))):
        assert part in message


@pytest.mark.parametrize(("image", "mask", "cause", "remedy"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("cached", [False, True])
def test_other_cases_survive(folder, image, mask, cause, remedy, cached):
    memory = folder / "cache" if cached else None
    tool = extractor(on_error="nan", memory=memory, feature_classes=["firstorder"])
    with pytest.warns(UserWarning, match="1 of 3 cases failed.*case 'bert'") as caught:
        table = tool.fit_transform(cases_with(image, mask))
    assert len(caught) == 1
    assert table.status[["anna", "carl"]].tolist() == ["ok", "ok"]
    assert cause in table.status["bert"]
    assert table.features.loc["bert"].isna().all()
    assert not table.patches[1].any()
    assert not table.masks[1].any()
    alone = extractor(feature_classes=["firstorder"]).fit_transform(
        cases_with(image, mask).loc[["anna", "carl"]]
    )
    np.testing.assert_array_equal(table[[0, 2]].features, alone.features)


def test_file_errors_are_os_errors_too(folder):
    with pytest.raises(OSError, match="nowhere.nii"):
        extractor().fit_transform(cases_with("nowhere.nii", box()))
    with pytest.raises(ImageFileError):
        extractor(memory=folder / "cache").fit_transform(cases_with("nowhere.nii", box()))


def test_a_failure_is_remembered_like_a_result(folder, monkeypatch):
    cases = cases_with(image_of(), box() * 0)
    tool = extractor(on_error="nan", memory=folder / "cache")
    with pytest.warns(UserWarning, match="1 of 3 cases failed"):
        first = tool.fit_transform(cases)
    monkeypatch.setattr("nonredundant.extraction.measurement.measure_case", None)
    with pytest.warns(UserWarning, match="1 of 3 cases failed"):
        second = tool.transform(cases)
    assert second.status.equals(first.status)


def test_a_table_without_any_good_case_still_has_its_columns(folder):
    cases = pd.DataFrame(
        {"image": ["a.nii", "b.nii"], "mask": ["c.nii", "d.nii"]}, index=["anna", "bert"]
    )
    with pytest.warns(UserWarning, match="2 of 2 cases failed.*also case 'bert'"):
        table = extractor(on_error="nan").fit_transform(cases)
    assert table.features.shape == (2, 107)
    assert table.patches.shape == (2, 1, 8, 8, 8)


def test_all_lesions_too_small_is_a_failure_with_numbers():
    mask = box(slice(1, 2), slice(1, 3), slice(1, 3))
    with pytest.raises(CaseError, match=r"all 1 lesions.*min_voxels=8.*largest has 4 voxels"):
        extractor(lesions="components").fit_transform(cases_with(image_of(), mask))


def test_2d_and_3d_images_do_not_mix():
    cases = pd.DataFrame({"image": [image_of(), image_of()[0]]})
    with pytest.raises(ValueError, match=r"not both: case 1 .* is 2-D, case 0 .* is 3-D"):
        extractor(whole_image=True).fit_transform(cases)


def test_a_flat_patch_of_a_volume_is_refused():
    with pytest.raises(
        CaseError, match=r"3-D of shape .*patch_shape=\(8, 8\) has 2 numbers; give 3"
    ):
        extractor(patch_shape=(8, 8)).fit_transform(one_case(image_of(), box()))
