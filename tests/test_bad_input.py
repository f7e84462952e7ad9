"""What is wrong with a case is said with its label, path, numbers and remedy; others survive."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nonredundant.extraction import RadiomicsExtractor
from nonredundant.io import CaseError, ImageFileError

SHAPE = (12, 14, 16)


def image_of(seed=0):
    """Return a noisy image."""
    return np.random.default_rng(seed).gamma(4, 0.5, SHAPE).astype(np.float32)


def box(*slices):
    """Return a mask with a box of ones."""
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[slices or (slice(3, 9),) * 3] = 1
    return mask


def changed(array, index, value):
    """Return a copy with some voxels set."""
    copy = array.copy()
    copy[index] = value
    return copy


def elsewhere(mask):
    """Return the mask half a metre off."""
    image = sitk.GetImageFromArray(mask)
    image.SetOrigin((500.0, 0.0, 0.0))
    return image


def extractor(**parameters):
    """Return a quick extractor."""
    usual = {"bin_width": 0.1, "patch_shape": (8, 8, 8)}
    return RadiomicsExtractor(**{**usual, **parameters})


ON_A_LINE = box(slice(3, 4), slice(3, 4), slice(3, 9))
ONE_VOXEL = box(slice(3, 4), slice(3, 4), slice(3, 4))
SOME_NAN = changed(image_of(), (slice(4, 5), slice(0, 4), 4), np.nan)
ON_SCANNER = sitk.GetImageFromArray(image_of())
FLAT = sitk.GetImageFromArray(box()[0])

#: What is wrong, the sources, and what the message must hold: cause with numbers, and remedy.
BAD = {
    "missing image": ("nowhere/scan.nii", box(), "no file or folder nowhere/scan.nii", "root"),
    "missing mask": (image_of(), "mask.nrrd", "no file or folder mask.nrrd", "correct the path"),
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
    cases = pd.DataFrame({"image": ["a.nii", "b.nii"]}, index=["anna", "bert"])
    with pytest.warns(UserWarning, match="2 of 2 cases failed.*also case 'bert'"):
        table = extractor(on_error="nan").fit_transform(cases)
    assert table.features.shape == (2, 107)
    assert table.patches.shape == (2, 1, 8, 8, 8)


def test_all_lesions_too_small_is_a_failure_with_numbers():
    mask = box(slice(1, 2), slice(1, 3), slice(1, 3))
    with pytest.raises(CaseError, match=r"all 1 lesions.*min_voxels=8.*largest has 4 voxels"):
        extractor(lesions="components").fit_transform(cases_with(image_of(), mask))


def one_case(image, mask):
    """Return a table of one case."""
    return pd.DataFrame({"image": [image], "mask": [mask]}, index=["bert"])


def warnings_of(tool, cases):
    """Return the messages of an extraction and its table."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = tool.fit_transform(cases)
    return [str(one.message) for one in caught], table


def test_a_mask_on_another_grid_is_resampled_with_one_warning():
    fine = sitk.GetImageFromArray(np.kron(box(), np.ones((2, 2, 2), dtype=np.uint8)))
    fine.SetSpacing((0.5, 0.5, 0.5))
    fine.SetOrigin((-0.25, -0.25, -0.25))
    cases = pd.DataFrame(
        {"image": [sitk.GetImageFromArray(image_of(i)) for i in range(2)], "mask": [fine, fine]}
    )
    messages, table = warnings_of(extractor(n_jobs=2), cases)
    assert len(messages) == 1
    assert re.search(r"2 of 2 masks lie on another grid.*resampled.*32×28×24 voxels", messages[0])
    assert table.features["original_shape_VoxelVolume"].tolist() == [216.0, 216.0]


def test_a_lesion_one_slice_thick_is_told_with_a_remedy():
    messages, table = warnings_of(
        extractor(), one_case(image_of(), box(slice(4, 5), slice(3, 9), slice(3, 9)))
    )
    (message,) = [one for one in messages if "one voxel thick" in one]
    assert "force2D" in message
    assert "case 'bert'" in message
    assert table.features["original_shape_Flatness"].item() == 0


def test_a_lesion_at_the_border_is_told():
    messages, table = warnings_of(
        extractor(), one_case(image_of(), box(slice(0, 6), slice(3, 9), slice(3, 9)))
    )
    assert len(messages) == 1
    assert "1 of 1 cases have lesions that touch the border" in messages[0]
    assert table.features.notna().all(axis=None)


def test_a_constant_lesion_is_told_and_has_pyradiomics_values():
    messages, table = warnings_of(
        extractor(), one_case(changed(image_of(), (slice(3, 9),) * 3, 2.0), box())
    )
    assert len(messages) == 1
    assert "1 of 1 lesions are constant" in messages[0]
    assert table.features["original_glcm_JointEnergy"].item() == 1
    assert table.features["original_firstorder_Variance"].item() == 0


@pytest.mark.parametrize(
    ("width", "bound", "change"),
    [(5.0, "fewer than 8", "lower"), (0.01, "more than 512", "raise")],
)
def test_grey_levels_out_of_bounds_are_told_once(width, bound, change):
    cases = pd.DataFrame({"image": [image_of(i) for i in range(3)], "mask": [box()] * 3})
    tool = extractor(bin_width=width, feature_classes=["firstorder"], n_jobs=2)
    messages, _ = warnings_of(tool, cases)
    assert len(messages) == 1
    assert f"bin_width={width:g}" in messages[0]
    assert f"3 of 3 lesions with {bound} grey levels" in messages[0]
    assert f"{change} `bin_width`" in messages[0]


def test_a_lesion_larger_than_the_patch_is_told():
    messages, _ = warnings_of(extractor(patch_spacing=0.5), one_case(image_of(), box()))
    assert len(messages) == 1
    assert "larger than the patch" in messages[0]
    assert "the largest 6 mm" in messages[0]


def test_an_image_too_small_for_a_filter_gives_nan_and_says_so():
    thin = pd.DataFrame(
        {"image": [image_of(), image_of()[:3]], "mask": [box(), box()[3:6]]}, index=["a", "b"]
    )
    tool = extractor(image_types={"LoG": {"sigma": [1.0]}}, feature_classes=["firstorder"])
    messages, table = warnings_of(tool, thin)
    (message,) = [one for one in messages if "lack features" in one]
    assert "case b" in message or "case 'b'" in message
    assert table.features.loc["a"].notna().all()
    assert table.features.loc["b"].isna().all()


@pytest.mark.parametrize(
    ("X", "kind", "message"),
    [
        (np.zeros((3, 4)), TypeError, r"a pandas DataFrame.*got ndarray of shape \(3, 4\)"),
        ([1, 2], TypeError, "got list"),
        (pd.DataFrame({"scan": [1]}), ValueError, r"lacks the columns \['image'\].*\['scan'\]"),
        (pd.DataFrame({"image": []}), ValueError, "no rows"),
        (
            pd.DataFrame({"image": [1, 2]}, index=["anna", "anna"]),
            ValueError,
            r"names 1 samples more than once: \['anna'\]",
        ),
        (pd.DataFrame([[1, 2]], columns=["image", "image"]), ValueError, "same name"),
    ],
)
def test_what_is_no_case_table_is_refused_with_the_columns(X, kind, message):
    with pytest.raises(kind, match=message):
        extractor().fit(X)
    with pytest.raises(kind, match=message):
        extractor().transform(X)


def test_clinical_columns_that_are_missing_or_words_are_named():
    cases = one_case(image_of(), box()).assign(sex="f", age=50)
    with pytest.raises(ValueError, match=r"lacks the columns \['weight'\]"):
        extractor(clinical=["weight"]).fit(cases)
    with pytest.raises(ValueError, match=r"not: \['sex \(.*\)'\].*ColumnTransformer"):
        extractor(clinical=["age", "sex"]).fit(cases)


def test_2d_and_3d_images_do_not_mix():
    cases = pd.DataFrame({"image": [image_of(), image_of()[0]]})
    with pytest.raises(ValueError, match=r"not both: case 1 .* is 2-D, case 0 .* is 3-D"):
        extractor().fit_transform(cases)


def test_a_flat_patch_of_a_volume_is_refused():
    with pytest.raises(
        CaseError, match=r"3-D of shape .*patch_shape=\(8, 8\) has 2 numbers; give 3"
    ):
        extractor(patch_shape=(8, 8)).fit_transform(one_case(image_of(), box()))
