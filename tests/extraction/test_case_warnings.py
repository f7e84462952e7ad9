"""Warnings about cases: one of each kind per transform, with numbers and a remedy."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from bad_cases_for_tests import box, changed, extractor, image_of, one_case
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant.extraction import RadiomicsExtractor

STS = Path(os.environ.get("NONREDUNDANT_DATA", "")) / "sts"


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


def test_a_lesion_one_slice_thick_gives_a_warning_with_a_remedy():
    messages, table = warnings_of(
        extractor(), one_case(image_of(), box(slice(4, 5), slice(3, 9), slice(3, 9)))
    )
    (message,) = [one for one in messages if "one voxel thick" in one]
    assert "force2D" in message
    assert "case 'bert'" in message
    assert table.features["original_shape_Flatness"].item() == 0


def test_a_lesion_at_the_border_gives_a_warning():
    messages, table = warnings_of(
        extractor(), one_case(image_of(), box(slice(0, 6), slice(3, 9), slice(3, 9)))
    )
    assert len(messages) == 1
    assert "1 of 1 cases have lesions that touch the border" in messages[0]
    assert table.features.notna().all(axis=None)


def test_a_constant_lesion_gives_a_warning_and_has_pyradiomics_values():
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
def test_grey_levels_out_of_bounds_give_one_warning(width, bound, change):
    cases = pd.DataFrame({"image": [image_of(i) for i in range(3)], "mask": [box()] * 3})
    tool = extractor(bin_width=width, feature_classes=["firstorder"], n_jobs=2)
    messages, _ = warnings_of(tool, cases)
    assert len(messages) == 1
    assert f"bin_width={width:g}" in messages[0]
    assert f"3 of 3 lesions with {bound} grey levels" in messages[0]
    assert f"{change} `bin_width`" in messages[0]


def test_a_lesion_larger_than_the_patch_gives_a_warning():
    messages, _ = warnings_of(extractor(patch_spacing=0.5), one_case(image_of(), box()))
    assert len(messages) == 1
    assert "larger than the patch" in messages[0]
    assert "the largest 6 mm" in messages[0]


def test_an_image_too_small_for_a_filter_gives_nan_and_a_warning():
    thin = pd.DataFrame(
        {"image": [image_of(), image_of()[:3]], "mask": [box(), box()[3:6]]}, index=["a", "b"]
    )
    tool = extractor(image_types={"LoG": {"sigma": [1.0]}}, feature_classes=["firstorder"])
    messages, table = warnings_of(tool, thin)
    (message,) = [one for one in messages if "lack features" in one]
    assert "case b" in message or "case 'b'" in message
    assert table.features.loc["a"].notna().all()
    assert table.features.loc["b"].isna().all()


def test_a_grid_search_over_cases_warns_once_of_each_kind_and_names_this_file():
    cases = pd.DataFrame(
        {"image": [image_of(i) for i in range(8)], "mask": [box(slice(0, 4))] * 8},
        index=[f"P{i}" for i in range(8)],
    )
    tool = extractor(feature_classes=["firstorder"], patch_shape=None)
    grid = {"radiomicsextractor__min_voxels": [8, 9], "logisticregression__C": [0.1, 1.0]}
    steps = make_pipeline(tool, StandardScaler(), LogisticRegression())
    search = GridSearchCV(steps, grid, cv=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(cases, np.arange(8) % 2)
    border = [one for one in caught if "touch the border" in str(one.message)]
    assert len(border) == 1
    assert border[0].filename == __file__
    assert len({str(one.message)[:40] for one in caught}) == len(caught)


def test_a_warning_counts_the_cases_and_names_the_first_five():
    cases = pd.DataFrame(
        {"image": [image_of(i) for i in range(7)], "mask": [box(slice(0, 4))] * 7},
        index=[f"P{i}" for i in range(7)],
    )
    tool = extractor(feature_classes=["firstorder"], patch_shape=None)
    (message,) = [one for one in warnings_of(tool, cases)[0] if "border" in one]
    assert message.startswith("7 of 7 cases")
    assert "case 'P0' (image" in message
    assert message.endswith("also case 'P1', case 'P2', case 'P3', case 'P4' and 2 more")


@pytest.mark.skipif(not STS.is_dir(), reason="needs $NONREDUNDANT_DATA")
@pytest.mark.filterwarnings("ignore:.*touch the border")
def test_bin_width_25_on_suv_gives_one_warning_with_numbers():
    cases = pd.read_csv(STS / "cohort.csv", index_col="patient_id")[:6]
    with pytest.warns(UserWarning, match="bin_width") as caught:
        RadiomicsExtractor(bin_width=25, root=STS, patch_shape=None).fit_transform(cases)
    messages = [str(one.message) for one in caught if "bin_width" in str(one.message)]
    assert len(messages) == 1
    assert "bin_width=25" in messages[0]
    assert "6 of 6 lesions with fewer than 8 grey levels" in messages[0]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The discretisation")
        RadiomicsExtractor("PET", root=STS, patch_shape=None).fit_transform(cases)
