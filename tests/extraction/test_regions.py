"""Regions of a mask: which are lesions, their order, and what becomes of small ones."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from cases_for_tests import image_of, quick, quietly, several, with_tiny_lesions

from nonredundant.extraction import dissemination_features
from nonredundant.extraction.regions import find_regions
from nonredundant.io import CaseError


def scattered():
    """Return a mask of four boxes: two of 8 voxels, one of 27 and one of 1; two labels."""
    mask = np.zeros((20, 20, 20), dtype=np.uint8)
    mask[10:12, 2:4, 2:4] = 1
    mask[2:4, 10:12, 2:4] = 1
    mask[14:17, 14:17, 14:17] = 2
    mask[6, 6, 6] = 2
    return mask


def find(mask, **changes):
    """Find with usual parameters."""
    usual = {"lesions": "components", "label": 1, "min_voxels": 8, "min_dims": 2}
    return find_regions(mask, **{**usual, **changes})


def test_lesions_are_ordered_by_volume_then_position():
    found, dropped = find((scattered() > 0).astype(np.uint8))
    assert [one.n_voxels for one in found] == [27, 8, 8]
    assert found[1].centroid.tolist() == [2.5, 10.5, 2.5]
    assert found[2].centroid.tolist() == [10.5, 2.5, 2.5]
    assert dropped == 1


def test_each_label_is_a_lesion_and_components_are_of_one_label():
    found, dropped = find(scattered(), lesions="labels")
    assert [(one.label, one.n_voxels) for one in found] == [(2, 28), (1, 16)]
    assert dropped == 0
    found, dropped = find(scattered(), label=2)
    assert [one.n_voxels for one in found] == [27]
    assert dropped == 1


def test_corners_connect():
    mask = np.zeros((6, 6, 6), dtype=np.uint8)
    mask[0:2, 0:2, 0:2] = mask[2:4, 2:4, 2:4] = 1
    assert len(find(mask)[0]) == 1


@pytest.mark.parametrize(
    ("mask", "changes", "message"),
    [
        (np.zeros((4, 4, 4)), {}, "mask is empty"),
        (np.zeros((4, 4, 4)), {"lesions": "labels"}, "mask is empty"),
        (
            scattered(),
            {"label": 255},
            "label 255 is not in the mask, which holds 1, 2; set `label`",
        ),
        (scattered(), {"min_voxels": 100}, r"all 2 lesions.*min_voxels=100.*largest has 8 voxels"),
        (np.eye(5)[:1], {"lesions": "label", "min_dims": 2}, r"1 voxels in a box of 1×1 \(z-y-x\)"),
    ],
)
def test_masks_without_a_lesion_say_what_they_hold(mask, changes, message):
    with pytest.raises(CaseError, match=message):
        find(mask, **changes)


@pytest.mark.filterwarnings("ignore:.*labels that are not measured")
def test_each_component_is_a_lesion_of_its_patient():
    image, mask = several()
    single, one_mask = image_of(1)
    cases = pd.DataFrame({"image": [image, single], "mask": [mask, one_mask]}, index=["a", "b"])
    table = quick(lesions="components").fit_transform(cases)
    assert table.sample.tolist() == [0, 0, 1]
    volume = table.features["original_shape_VoxelVolume"].tolist()
    assert volume == [216, 64, one_mask.sum()]
    np.testing.assert_allclose(table.positions[:2], [[14.5] * 3, [3.5] * 3])
    assert table.index.tolist() == ["a", "b"]
    labels = quick(lesions="labels").fit_transform(cases)
    assert labels.features["original_shape_VoxelVolume"].tolist()[:2] == [280, 75]


@pytest.mark.filterwarnings("ignore:.*labels that are not measured")
def test_small_lesions_are_dropped_with_one_warning():
    image, mask = several()
    mask[20:21, 20:22, 20:22] = 1
    cases = pd.DataFrame({"image": [image], "mask": [mask]})
    with pytest.warns(UserWarning, match="smaller than min_voxels.*1 dropped, 2 kept"):
        table = quick(lesions="components").fit_transform(cases)
    assert table.n_lesions == 2


@pytest.mark.parametrize(
    ("thresholds", "volumes"),
    [
        ({"min_voxels": 1, "min_volume": 32.1}, [1728, 512]),
        ({"min_voxels": 1, "min_volume": 32.0}, [1728, 512, 32]),
        ({"min_voxels": 65, "min_volume": 32.0}, [1728]),
        ({"min_voxels": 8, "min_volume": 513.0}, [1728]),
    ],
    ids=str,
)
def test_a_lesion_is_tiny_by_voxels_or_by_volume(thresholds, volumes):
    table = quietly(with_tiny_lesions(), lesions="components", **thresholds)
    assert table.features["original_shape_VoxelVolume"].tolist() == volumes
    assert (table.lesion_status == "ok").all()


def test_tiny_lesions_can_be_kept_with_shape_alone():
    cases = with_tiny_lesions()
    with pytest.warns(UserWarning) as caught:  # noqa: PT030
        table = quick(lesions="components", small_lesions="shape").fit_transform(cases)
    said = [str(one.message) for one in caught]
    assert any("which were dropped" in one and "1 dropped, 3 kept" in one for one in said)
    assert any("only shape was measured" in one and "1 of 3 lesions" in one for one in said)
    assert not any("cases lack features" in one for one in said)
    assert table.status.tolist() == ["ok"]
    assert table.lesion_status.tolist() == [
        "ok",
        "ok",
        "shape only: 4 voxels are fewer than min_voxels=8",
    ]
    alone = np.zeros((24, 24, 24), dtype=np.uint8)
    alone[20:21, 20:22, 20:22] = 1
    whole = quietly(cases.assign(mask=[alone]))
    shape = [name for name in table.columns if "_shape_" in name]
    others = [name for name in table.columns if "_firstorder_" in name]
    np.testing.assert_array_equal(table.features[shape].iloc[2], whole.features[shape].iloc[0])
    assert table.features[others].isna().to_numpy().tolist() == [
        [False] * len(others),
        [False] * len(others),
        [True] * len(others),
    ]
    np.testing.assert_array_equal(table.positions[2], whole.positions[0])
    assert table.masks.any(axis=(1, 2, 3, 4)).tolist() == [True, True, False]
    assert not table.patches[2].any()
    full = quietly(cases, lesions="components")
    np.testing.assert_array_equal(table.patches[:2], full.patches)
    found = dissemination_features(table).loc["a"]
    assert found[["n_lesions", "tmtv"]].tolist() == [3, pytest.approx(2.272)]
    assert np.isnan(found["tlg"])


def test_a_case_of_tiny_lesions_fails_unless_their_shape_is_kept():
    cases = with_tiny_lesions()
    parameters = {"lesions": "components", "min_volume": 1e4}
    message = r"all 4 lesions.*min_voxels=8 or min_volume=10000 mm³.*216 voxels, 1728 mm³"
    with pytest.raises(CaseError, match=message):
        quick(**parameters).fit_transform(cases)
    with pytest.warns(UserWarning, match="1 of 1 cases failed"):
        failed = quick(on_error="nan", **parameters).fit_transform(cases)
    assert failed.status.iloc[0].startswith("all 4 lesions")
    assert failed.lesion_status.tolist() == failed.status.tolist()
    kept = quietly(cases, small_lesions="shape", **parameters)
    assert kept.status.tolist() == ["ok"]
    assert kept.lesion_status.iloc[0] == "shape only: 1728 mm³ are less than min_volume=10000"
    assert kept.features["original_shape_VoxelVolume"].tolist() == [1728, 512, 32]


def test_a_mask_of_single_voxels_fails_whatever_becomes_of_tiny_lesions():
    image, mask = several()
    mask[:] = 0
    mask[[3, 9], [3, 9], [3, 9]] = 1
    cases = pd.DataFrame({"image": [image], "mask": [mask]})
    with pytest.raises(CaseError, match="all 2 lesions.*extend in fewer than 2.*1 voxels"):
        quick(lesions="components", small_lesions="shape").fit_transform(cases)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"lesions": "components"}, r"label 2 \(28 voxels\)"),
        ({"label": 2}, r"label 1 \(16 voxels\)"),
    ],
)
def test_labels_that_are_not_measured_are_told_once(parameters, told):
    image = np.random.default_rng(0).gamma(4, 0.3, (20, 20, 20))
    cases = pd.DataFrame({"image": [image] * 2, "mask": [scattered()] * 2})
    with pytest.warns(UserWarning) as caught:  # noqa: PT030
        quick(**parameters).fit_transform(cases)
    said = [str(one.message) for one in caught if "not measured" in str(one.message)]
    assert len(said) == 1
    assert re.search(f"2 of 2 masks hold labels.*{told}", said[0])
