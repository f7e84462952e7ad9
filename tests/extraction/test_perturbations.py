"""Perturbed cases: what no change gives, what each change does, seeds, cache and bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cases_for_tests import assert_same, cohort, on_disk, quick

from nonredundant.extraction import perturbed_cases, perturbed_lesion
from nonredundant.extraction.perturbations import Amounts, Perturbation, draw_perturbations
from nonredundant.extraction.perturbed_masks import (
    depth_of,
    grown,
    noise_level,
    randomised,
    room_to_grow,
    supervoxel_size,
)
from nonredundant.extraction.perturbed_masks import supervoxels as make_supervoxels
from nonredundant.utils.validation import InvalidParameterError

VOLUME = "original_shape_VoxelVolume"


def ball(radius, shape=(24, 24, 24), spacing=(1.0, 1.0, 1.0)):
    """Return a ball in the middle of an array."""
    axes = np.ogrid[tuple(slice(-(n // 2), n - n // 2) for n in shape)]
    return sum((axis * step) ** 2 for axis, step in zip(axes, spacing, strict=True)) < radius**2


def _resampled(interpolator):
    """Return settings with another interpolator."""
    return {"setting": {"interpolator": interpolator, "resampledPixelSpacing": [1.7, 1.7, 1.7]}}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"spacing": 1.7},
        {"spacing": (1.3, 0.8, 0)},
        {"lesions": "components"},
        {"patch_spacing": 1.5, "patch_shape": (8, 12, 10)},
        {"settings": {"setting": {"normalize": True, "binWidth": 0.1}}},
        {"settings": _resampled("sitkLinear")},
        {"settings": _resampled("sitkHammingWindowedSinc")},
        {"modality": "CT", "spacing": 0.9, "image_types": ("Original", "Wavelet")},
        {"feature_classes": ["shape"], "patch_shape": None},
    ],
)
@pytest.mark.filterwarnings("ignore:.*volume on the grid", "ignore:The discretisation")
def test_no_change_is_the_plain_extraction(settings):
    cases, extractor = cohort(2), quick(**settings)
    (same,) = extractor.perturb(cases, [Perturbation()])
    plain = extractor.fit_transform(cases)
    pd.testing.assert_frame_equal(same.features, plain.features, rtol=1e-9)
    np.testing.assert_allclose(same.positions, plain.positions)
    if extractor.patch_shape is None:
        assert same.patches is None
        return
    np.testing.assert_allclose(same.patches, plain.patches, atol=1e-5)
    np.testing.assert_array_equal(same.masks, plain.masks)
    np.testing.assert_allclose(same.spacing, plain.spacing)


@pytest.mark.filterwarnings("ignore:.*touch the border")
def test_a_lesion_at_the_border_of_its_image_ends_there():
    mask = np.zeros((14, 14, 14), dtype=bool)
    mask[:6, 2:12, 7:] = True
    cases = pd.DataFrame({"image": [np.random.default_rng(0).gamma(4, 1, mask.shape)]})
    cases["mask"] = [mask]
    extractor = quick(patch_shape=(16, 16, 16), patch_spacing=1.5)
    same, turned = extractor.perturb(cases, [Perturbation(), Perturbation(rotation=10)])
    plain = extractor.fit_transform(cases)
    np.testing.assert_array_equal(same.masks, plain.masks)
    np.testing.assert_allclose(same.patches, plain.patches, atol=1e-5)
    assert turned.masks.sum() == pytest.approx(plain.masks.sum(), rel=0.3)


def test_nothing_is_computed_that_is_not_asked(monkeypatch):
    def refuse(*_):
        raise AssertionError("computed")

    cases, changes = cohort(2), draw_perturbations(2, "PET")
    whole = quick().perturb(cases, changes)
    monkeypatch.setattr(perturbed_lesion, "_patch", refuse)
    quick(patch_shape=None).perturb(cases, changes)
    for name in ("_changed_values", "_interpolated"):
        monkeypatch.setattr(perturbed_lesion, name, refuse)
    shape = quick(patch_shape=None, feature_classes=["shape"]).perturb(cases, changes)
    for one, other in zip(whole, shape, strict=True):
        columns = list(other.features)
        pd.testing.assert_frame_equal(one.features[columns], other.features)


def test_oblique_files_and_two_dimensions_are_unchanged_without_a_change(tmp_path):
    cases = on_disk(cohort(2), tmp_path)
    for name in [*cases["image"], *cases["mask"]]:
        image = sitk.ReadImage(str(tmp_path / name))
        image.SetSpacing((0.8, 0.9, 2.0))
        image.SetOrigin((-30.0, 4.0, 7.0))
        image.SetDirection((0.0, -0.8, 0.6, 1.0, 0.0, 0.0, 0.0, 0.6, 0.8))
        sitk.WriteImage(image, str(tmp_path / name))
    flat = pd.DataFrame(
        {
            "image": [one[7] for one in cohort(2)["image"]],
            "mask": [one[7] for one in cohort(2)["mask"]],
        }
    )
    for table, settings in ((cases, {"root": tmp_path, "spacing": 1.1}), (flat, {})):
        extractor = quick(**settings)
        (same,) = extractor.perturb(table, [Perturbation()])
        plain = extractor.fit_transform(table)
        pd.testing.assert_frame_equal(same.features, plain.features, rtol=1e-6)
        np.testing.assert_allclose(same.patches, plain.patches, atol=1e-4)
        assert (same.masks == plain.masks).mean() > 0.99


def test_a_turned_ball_keeps_its_shape_and_a_turned_ramp_its_mean():
    ramp = np.broadcast_to(np.arange(24.0), (24, 24, 24))
    cases = pd.DataFrame({"image": [ramp], "mask": [ball(7.3)]})
    extractor = quick(bin_width=1.0)
    changes = [Perturbation(rotation=30), Perturbation(translation=(0.5, 0.25, -0.5))]
    plain = extractor.fit_transform(cases).features.iloc[0]
    for table in extractor.perturb(cases, changes):
        found = table.features.iloc[0]
        assert found[VOLUME] == pytest.approx(plain[VOLUME], rel=0.05)
        assert found["original_shape_Sphericity"] == pytest.approx(
            plain["original_shape_Sphericity"], rel=0.05
        )
        assert found["original_firstorder_Mean"] == pytest.approx(
            plain["original_firstorder_Mean"], abs=0.1
        )


def test_a_turned_bar_is_turned_in_its_patch():
    mask = np.zeros((20, 40, 40), dtype=bool)
    mask[8:12, 18:22, 6:34] = True
    cases = pd.DataFrame({"image": [mask * 5.0 + 1], "mask": [mask]})
    extractor = quick(patch_shape=(16, 16, 16), patch_spacing=2.0)
    found = extractor.perturb(cases, [Perturbation(), Perturbation(rotation=90)])
    straight, turned = ((one.patches[0, 0], one.masks[0, 0]) for one in found)
    np.testing.assert_allclose(turned[0], straight[0].transpose(0, 2, 1), atol=1e-4)
    np.testing.assert_array_equal(turned[1], straight[1].transpose(0, 2, 1))
    np.testing.assert_allclose(
        found[1].features["original_shape_Elongation"],
        found[0].features["original_shape_Elongation"],
    )


@pytest.mark.parametrize("change", [-0.5, -0.1, 0.2, 0.5])
def test_masks_grow_by_their_volume(change):
    mask = ball(7.0, spacing=(2.0, 1.0, 1.0))
    rng = np.random.default_rng(0)
    new = grown(depth_of(mask, np.array([2.0, 1.0, 1.0])), change, rng)
    assert new.sum() == round((1 + change) * mask.sum())
    larger, smaller = (new, mask) if change > 0 else (mask, new)
    assert not (smaller & ~larger).any()


@pytest.mark.parametrize("shape", [(12, 12, 12), (3, 20, 30), (1, 16, 16), (40, 4, 4)])
def test_a_lesion_has_room_to_grow_by_half(shape):
    spacing = np.array([2.0, 1.0, 0.7])
    inside = np.ones(shape, dtype=bool)
    room = np.ceil(room_to_grow(inside, spacing) / spacing).astype(int) + 1
    small, large = (np.pad(inside, [(n, n) for n in more]) for more in (room, 3 * room + 9))
    new, wanted = (
        grown(depth_of(one, spacing), 0.5, np.random.default_rng(0)) for one in (small, large)
    )
    assert new.sum() == wanted.sum() == round(1.5 * inside.sum())
    depth = depth_of(large, spacing)
    assert depth_of(small, spacing)[new].min() == pytest.approx(depth[wanted].min(), rel=1e-5)


def test_a_lesion_of_one_slice_stays_in_its_slice():
    mask = np.zeros((9, 24, 24), dtype=bool)
    mask[4] = ball(6, shape=(24, 24), spacing=(1.0, 1.0))
    image = np.random.default_rng(0).gamma(4, 1, mask.shape)
    new = grown(depth_of(mask, np.ones(3)), 0.4, np.random.default_rng(0))
    assert np.flatnonzero(new.any(axis=(1, 2))).tolist() == [4]
    cases = pd.DataFrame({"image": [image], "mask": [mask]})
    extractor = quick(feature_classes=["firstorder"], bin_width=0.5)
    change = Perturbation(rotation=10, translation=(0.5, 0.5, 0.5), volume=0.1, contour=True)
    (table,) = extractor.perturb(cases, [change])
    assert table.features.notna().all(axis=None)


def test_noise_is_that_of_the_image():
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 30)
    for level in (0.5, 8.0):
        assert noise_level(ramp + level * rng.normal(size=(20, 30, 30))) == pytest.approx(
            level, rel=0.03
        )
    assert noise_level(np.broadcast_to(ramp, (20, 30, 30))) < 1e-9
    # Noise of its own level added, variances sum: the spread grows by the root of two.
    image = 10 + rng.normal(size=(24, 24, 24))
    cases = pd.DataFrame({"image": [image], "mask": [ball(9)]})
    extractor = quick(feature_classes=["firstorder"])
    plain, noisy = extractor.perturb(cases, [Perturbation(), Perturbation(noise=1.0)])
    variance = "original_firstorder_Variance"
    ratio = noisy.features[variance] / plain.features[variance]
    assert ratio.iloc[0] == pytest.approx(2, rel=0.1)


def test_contours_follow_supervoxels():
    rng = np.random.default_rng(0)
    mask = ball(7)
    image = np.where(mask, 10.0, 0.0) + rng.normal(size=mask.shape)
    everywhere, size = np.ones_like(mask), supervoxel_size(mask, np.ones(3))
    labels = make_supervoxels(image, mask, everywhere, size)
    share = np.bincount(labels.ravel(), mask.ravel()) / np.bincount(labels.ravel()).clip(1)
    new = randomised(mask, labels, rng)
    inner, outer = (share >= 0.9)[labels], (share < 0.2)[labels]
    assert new[inner].all()
    assert not new[outer].any()
    # The image has an edge where the contour is, so that it hardly moves.
    dice = 2 * (new & mask).sum() / (new.sum() + mask.sum())
    assert dice > 0.85
    reached = ball(8)
    few = make_supervoxels(image, mask, reached, size)
    assert few[reached].all()
    assert few[0, 0, 0] == 0
    without = make_supervoxels(rng.normal(size=mask.shape), mask, everywhere, size)
    moved = randomised(mask, without, rng)
    assert 2 * (moved & mask).sum() / (moved.sum() + mask.sum()) < dice


def test_draws_spread_over_their_ranges_and_repeat():
    amounts = Amounts(rotation=5, translation=0.3, volume=0.1, noise=0.0, contour=False)
    drawn = draw_perturbations(10, amounts, random_state=1)
    assert drawn == draw_perturbations(10, amounts, random_state=1)
    assert drawn != draw_perturbations(10, amounts, random_state=2)
    for values, most in (
        ([one.rotation for one in drawn], 5),
        ([one.translation[2] for one in drawn], 0.3),
        ([one.volume for one in drawn], 0.1),
    ):
        tenths = np.floor((np.array(values) / most + 1) * 5)
        assert sorted(tenths) == list(range(10))


def test_a_perturbation_gives_the_same_in_any_company_place_and_process(tmp_path):
    cases = cohort(3)
    changes = draw_perturbations(3, "PET")
    extractor = quick()
    together = extractor.perturb(cases, changes)
    (alone,) = extractor.perturb(cases[1:2], changes[1:2])
    assert_same(together[1][[1]], alone)
    kept = extractor.set_params(memory=tmp_path / "cache", n_jobs=2).perturb(cases[::-1], changes)
    for one, other in zip(together, kept, strict=True):
        assert_same(one, other[[2, 1, 0]])


def test_each_case_is_read_once_and_each_perturbation_kept(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(
        perturbed_cases,
        "read_image",
        lambda *args, _read=perturbed_cases.read_image, **kwargs: (
            read.append(1) or _read(*args, **kwargs)
        ),
    )
    cases, extractor = cohort(2), quick(memory=tmp_path)
    extractor.perturb(cases, 2)
    assert len(read) == 2
    extractor.perturb(cases, 2)
    assert len(read) == 2
    extractor.perturb(cases, draw_perturbations(2) + [Perturbation(rotation=3)])
    assert len(read) == 4


def test_a_lesion_that_vanishes_is_missing_and_told():
    mask = np.zeros((16, 16, 16), dtype=bool)
    mask[4:10, 4:10, 4:10] = True
    mask[13, 13, 12:15] = mask[13, 12, 12:15] = True
    image = np.random.default_rng(0).gamma(4, 1, mask.shape)
    cases = pd.DataFrame({"image": [image], "mask": [mask]}, index=["anna"])
    extractor = quick(lesions="components", min_voxels=4)
    change = Perturbation(volume=-0.9)
    with pytest.warns(UserWarning, match="1 of 2 perturbed lesions could not be measured"):
        (table,) = extractor.perturb(cases, [change])
    assert table.features.isna().all(axis=1).tolist() == [False, True]
    assert table.lesion_status.iloc[1].startswith("not measured when perturbed")
    assert not table.masks[1].any()


def test_cases_that_cannot_be_read():
    cases = cohort(3)
    cases.loc["p1", "mask"] = None
    with pytest.raises(ValueError, match=r"p1.*mask cell is empty"):
        quick().perturb(cases, 2)
    for table in quick(on_error="nan").perturb(cases, 2):
        assert table.status.ne("ok").tolist() == [False, True, False]


def test_clinical_columns_are_joined_and_the_order_of_samples_kept():
    table, _ = quick(clinical=["age"]).perturb(cohort(2), 2)
    assert table.clinical["age"].tolist() == [50, 51]
    assert table.samples["sex"].tolist() == ["f", "m"]
    assert table.provenance["perturbation"]["contour"] is True


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([], "empty"),
        (0, "number of perturbations"),
        ([5], "must be Perturbation"),
        ([Perturbation(volume=2)], "change of volume"),
        ([Perturbation(noise=-1)], "noise of 0 or more"),
        ([Perturbation(rotation=np.nan)], "finite"),
        ([Perturbation(translation=(0, 0))], "three numbers"),
    ],
)
def test_perturbations_out_of_range_are_refused(changes, message):
    with pytest.raises(InvalidParameterError, match=message):
        quick().perturb(cohort(1), changes)


def test_what_cannot_be_perturbed_is_refused():
    with pytest.raises(InvalidParameterError, match="whole_image"):
        quick(whole_image=True).perturb(cohort(1)[["image"]], 2)
    several = quick(images={"pet": {}, "ct": {}})
    with pytest.raises(InvalidParameterError, match="one image is perturbed"):
        several.perturb(cohort(1), 2)
    with pytest.raises(InvalidParameterError, match="amounts"):
        draw_perturbations(2, "US")


def test_a_lesion_cannot_outgrow_its_image():
    mask = np.ones((6, 6, 6), dtype=bool)
    mask[0, 0, 0] = False
    assert grown(depth_of(mask, np.ones(3)), 0.5, np.random.default_rng(0)).all()
