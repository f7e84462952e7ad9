"""Several images per case: each as measured alone, in one space, as channels on one grid."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cases_for_tests import image_of, quick
from dicom_for_tests import write_pet

from nonredundant.extraction import RadiomicsExtractor, one_case
from nonredundant.io import CaseError
from nonredundant.lesions.images import image_names
from nonredundant.utils.validation import InvalidParameterError

REAL = Path(os.environ.get("NONREDUNDANT_DATA", "/nowhere")) / "dicom" / "STS_001"
TWO = {"pet": {}, "ct": {"bin_width": 25.0}}


def volume(values, spacing=2.0, origin=(10.0, 20.0, 30.0), direction=None):
    """Return an image in space."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values))
    image.SetSpacing([spacing] * 3)
    image.SetOrigin(origin)
    if direction is not None:
        image.SetDirection(direction)
    return image


def pair(seed=0, shift=0.0, spacing=1.4):
    """Return a PET-like image with its mask, and an image of other voxels that covers it."""
    values, mask = image_of(seed)
    size = int(28 / spacing)
    ct = volume(
        np.random.default_rng(seed).normal(40.0, 60.0, (size,) * 3),
        spacing,
        (10.0 + shift, 20.0, 30.0),
    )
    return volume(values), volume(mask.astype(np.uint8)), ct


def table_of(**columns):
    """Return a case table of one case."""
    return pd.DataFrame({name: [cell] for name, cell in columns.items()}, index=["anna"])


def measured(extractor, cases):
    """Return the table, whatever is warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return extractor.fit_transform(cases)


def assert_equal(several, image, alone):
    """Raise unless an image's features are those of a separate extraction, to the last bit."""
    own = several.features.filter(regex=f"^{image}_")
    assert own.shape[1]
    expected = alone.features.add_prefix(f"{image}_")[list(own.columns)]
    np.testing.assert_array_equal(own.to_numpy(), expected.to_numpy())


def test_each_image_is_measured_as_if_it_were_alone():
    pet, mask, ct = pair()
    table = measured(quick(images=TWO), table_of(image_pet=pet, image_ct=ct, mask=mask))
    one = measured(quick(), table_of(image=pet, mask=mask))
    two = measured(quick(bin_width=25.0), table_of(image=ct, mask=mask))
    assert_equal(table, "pet", one)
    assert_equal(table, "ct", two)
    shape = table.features.filter(regex="shape")
    assert list(shape.columns) == list(one.features.filter(regex="shape").columns)
    np.testing.assert_array_equal(shape.to_numpy(), one.features[shape.columns].to_numpy())
    np.testing.assert_array_equal(table.patches[:, :1], one.patches)
    np.testing.assert_array_equal(table.masks, one.masks)
    np.testing.assert_array_equal(table.spacing, one.spacing)
    assert list(table.columns) == list(quick(images=TWO).get_feature_names_out())


@pytest.mark.parametrize("direction", [None, (-1, 0, 0, 0, 1, 0, 0, 0, -1), "oblique"])
def test_a_channel_shows_the_same_place_of_space(direction):
    # An image whose value is a linear function of the place in the world.
    pet, mask, _ = pair()
    if direction == "oblique":
        c, s = np.cos(0.3), np.sin(0.3)
        direction = (c, -s, 0, s, c, 0, 0, 0, 1)
    ct = volume(np.zeros((60, 60, 60), np.float32), 1.0, direction=direction)
    ct.SetOrigin(
        (np.array([24.0, 34.0, 44.0]) - np.array(ct.TransformIndexToPhysicalPoint((30,) * 3)))
        .__add__(ct.GetOrigin())
        .tolist()
    )
    index = np.indices((60, 60, 60)).reshape(3, -1)[::-1]
    axes = np.array(ct.GetDirection()).reshape(3, 3)
    place = axes @ index + np.array(ct.GetOrigin())[:, None]
    values = (place * np.array([[1.0], [10.0], [100.0]])).sum(axis=0).reshape(60, 60, 60)
    filled = sitk.GetImageFromArray(values)
    filled.CopyInformation(ct)
    table = measured(quick(images=TWO), table_of(image_pet=pet, image_ct=filled, mask=mask))
    channel = table.patches[0, 1]
    step = table.spacing[0, 0]
    for axis, slope in enumerate((100.0, 10.0, 1.0)):
        np.testing.assert_allclose(np.diff(channel, axis=axis), slope * step, rtol=1e-3)
    centre = np.argwhere(sitk.GetArrayFromImage(mask))
    middle = (centre.min(axis=0) + centre.max(axis=0)) / 2 * 2.0 + [30.0, 20.0, 10.0]
    assert channel.mean() == pytest.approx(middle @ [100.0, 10.0, 1.0], rel=1e-5)


def test_a_mask_on_another_image_measures_both():
    pet, mask, ct = pair()
    on_ct = sitk.Resample(mask, ct, sitk.Transform(), sitk.sitkNearestNeighbor)
    table = measured(
        quick(images=TWO),
        table_of(image_pet=pet, image_ct=ct, mask_ct=sitk.GetArrayFromImage(on_ct)),
    )
    assert_equal(table, "ct", measured(quick(bin_width=25.0), table_of(image=ct, mask=on_ct)))
    assert_equal(table, "pet", measured(quick(), table_of(image=pet, mask=on_ct)))


@pytest.mark.parametrize("lesions", ["labels", "components"])
def test_lesions_are_matched_by_label_and_not_by_order(lesions):
    values = np.random.default_rng(0).gamma(4, 0.3, (24, 24, 24))
    mask = np.zeros(values.shape, np.uint8)
    # On the coarse grid of the other image the order by volume is another one.
    mask[2:8, 2:8, 2:8], mask[14:20, 14:20, 14:19] = 1, 1 if lesions == "components" else 2
    ct = np.zeros((16, 16, 16))
    ct[:8, :8, :8], ct[8:, 8:, 8:] = 100.0, 200.0
    ct += np.random.default_rng(1).normal(0, 1, ct.shape)
    table = measured(
        quick(images=TWO, lesions=lesions),
        table_of(
            image_pet=volume(values),
            image_ct=volume(ct, 3.0, (10.5, 20.5, 30.5)),
            mask=volume(mask),
        ),
    )
    means = table.features["ct_original_firstorder_Mean"].to_numpy()
    np.testing.assert_allclose(means, [100.0, 200.0], atol=2.0)
    np.testing.assert_allclose(table.patches[:, 1].mean(axis=(1, 2, 3)), means, atol=5.0)


def test_masks_of_their_own_have_a_shape_each():
    pet, mask, ct = pair()
    small = sitk.BinaryErode(sitk.Resample(mask, ct, sitk.Transform(), sitk.sitkNearestNeighbor))
    table = measured(
        quick(images=TWO), table_of(image_pet=pet, image_ct=ct, mask_pet=mask, mask_ct=small)
    )
    assert_equal(table, "pet", measured(quick(), table_of(image=pet, mask=mask)))
    assert_equal(table, "ct", measured(quick(bin_width=25.0), table_of(image=ct, mask=small)))
    names = [f"{name}_original_shape_VoxelVolume" for name in TWO]
    assert table.features[names].iloc[0].is_monotonic_decreasing


def test_the_cache_holds_each_image_by_itself(tmp_path, monkeypatch):
    calls = []
    original = one_case.compute_features

    def counted(image, *args, **kwargs):
        calls.append(image.GetSize())
        return original(image, *args, **kwargs)

    monkeypatch.setattr(one_case, "compute_features", counted)
    pet, mask, ct = pair()
    alone = measured(quick(memory=tmp_path), table_of(image=pet, mask=mask))
    cases = table_of(image_pet=pet, image_ct=ct, mask=mask)
    first = measured(quick(images=TWO, memory=tmp_path), cases)
    assert len(calls) == 2
    again = measured(quick(images=TWO, memory=tmp_path), cases)
    assert len(calls) == 2
    pd.testing.assert_frame_equal(first.features, again.features, check_exact=True)
    np.testing.assert_array_equal(first.patches, again.patches)
    assert_equal(first, "pet", alone)
    other = {"pet": {}, "ct": {"bin_width": 50.0}}
    measured(quick(images=other, memory=tmp_path), cases)
    assert len(calls) == 3


def test_a_store_holds_all_channels(tmp_path):
    pytest.importorskip("zarr")
    pet, mask, ct = pair()
    cases = table_of(image_pet=pet, image_ct=ct, mask=mask)
    table = measured(quick(images=TWO), cases)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stored = quick(images=TWO).to_store(cases, tmp_path / "store")
    pd.testing.assert_frame_equal(table.features, stored.features, check_exact=True)
    np.testing.assert_array_equal(table.patches, np.asarray(stored.patches))
    assert image_names(stored) == ["pet", "ct"]


def test_a_missing_image_is_told_and_left_out(tmp_path):
    pet, mask, ct = pair()
    cases = pd.concat(
        [
            table_of(image_pet=pet, image_ct=ct, mask=mask),
            table_of(image_pet=pet, image_ct=None, mask=mask),
        ]
    ).set_axis(["anna", "bert"])
    with pytest.raises(CaseError, match="'bert'.*images 'ct' are empty.*on_missing='nan'"):
        measured(quick(images=TWO), cases)
    with pytest.warns(UserWarning, match="1 of 2 cases lack an image.*bert"):
        table = quick(images=TWO, on_missing="nan").fit_transform(cases)
    lost = table.features.filter(regex="^ct_").isna().all(axis=1)
    assert lost.tolist() == [False, True]
    assert table.features.filter(regex="^(pet|original)_").notna().all(axis=None)
    assert np.isnan(table.patches).all(axis=(2, 3, 4)).tolist() == [[False, False], [False, True]]
    assert table.samples["missing_images"].tolist() == ["", "ct"]
    table.save(tmp_path / "lesions.npz")
    loaded = type(table).load(tmp_path / "lesions.npz")
    assert loaded.samples["missing_images"].tolist() == ["", "ct"]
    swapped = cases.assign(image_pet=[pet, None], image_ct=[ct, ct])
    with pytest.raises(CaseError, match="first image, 'pet', is missing"):
        quick(images=TWO, on_missing="nan").fit_transform(swapped)


def test_a_field_of_view_that_cuts_the_lesion_is_told_with_the_share():
    pet, mask, ct = pair()
    part = ct[9:, :, :]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quick(images=TWO).fit_transform(table_of(image_pet=pet, image_ct=part, mask=mask))
    told = next(str(one.message) for one in caught if "field of view" in str(one.message))
    points = np.argwhere(sitk.GetArrayFromImage(mask))[:, 2] * 2.0 + 10.0
    share = (points < part.GetOrigin()[0] - 0.7).mean()
    assert 0.1 < share < 0.9
    assert f"ct: {share:.0%} of the lesion is missing" in told


def set_frame(image, frame):
    """Return a copy with a frame of reference."""
    image = sitk.Image(image)
    image.SetMetaData("0020|0052", frame)
    return image


def bad(fault):
    """Return a case table with a fault, and what the message must say."""
    pet, mask, ct = pair()
    values = sitk.GetArrayFromImage(ct)
    if fault == "elsewhere":
        return table_of(image_pet=pet, image_ct=pair(shift=300.0)[2], mask=mask), "300 mm.*apart"
    if fault == "another frame":
        found = table_of(image_pet=set_frame(pet, "1.2"), image_ct=set_frame(ct, "1.3"), mask=mask)
        return found, "frame of reference .1.3. is not that of 'pet'"
    if fault == "NaN":
        values[3, 3, 3] = np.nan
        return table_of(image_pet=pet, image_ct=volume(values, 1.4), mask=mask), "1 of 8,000 voxels"
    if fault == "2-D":
        return table_of(image_pet=pet, image_ct=ct[:, :, 5], mask=mask), "2-D.*'pet' is 3-D"
    if fault == "array":
        return table_of(image_pet=pet, image_ct=values, mask=mask), "without a place in space"
    if fault == "not covered":
        found = table_of(image_pet=pet, image_ct=ct[:3, :, :], mask=mask)
        return found, "covers nothing of the lesion"
    other = sitk.GetArrayFromImage(mask)
    if fault == "other labels":
        return table_of(image_pet=pet, image_ct=pet, mask_pet=mask, mask_ct=volume(other * 2)), (
            "lacks the lesions with the labels .1."
        )
    moved = np.zeros_like(other)
    moved[:2, :2, :2] = 1
    ball = np.zeros_like(other)
    ball[9:13, 9:13, 9:13] = 1
    found = table_of(image_pet=pet, image_ct=pet, mask_pet=volume(ball), mask_ct=volume(moved))
    return found, "drawn elsewhere"


@pytest.mark.parametrize(
    "fault",
    ["elsewhere", "another frame", "NaN", "2-D", "array", "not covered", "other labels", "moved"],
)
def test_faults_of_one_image_name_case_image_and_remedy(fault):
    cases, told = bad(fault)
    lesions = "labels" if fault == "other labels" else "label"
    with pytest.raises(CaseError, match=f"(?s)case 'anna'.*image 'ct': .*{told}"):
        measured(quick(images=TWO, lesions=lesions), cases)


def test_pet_that_is_no_suv_beside_good_ct_is_refused():
    pet, mask, ct = pair()
    pet = pet * 1000.0
    images = {"ct": {"modality": "CT"}, "pet": {"modality": "PET"}}
    with pytest.raises(CaseError, match="image 'pet': .*SUV"):
        measured(
            RadiomicsExtractor(images=images, patch_shape=None),
            table_of(image_pet=pet, image_ct=ct, mask=mask),
        )


@pytest.mark.parametrize(
    ("images", "told"),
    [
        ({"pet": {"modalty": "PET"}}, "modalty.*did you mean|modalty"),
        ({"pet": {"bin_width": -1}}, "bin_width"),
        ({"p t": {}}, "letters, digits"),
        ({}, "a name for each image"),
        ({"pet": {"lesions": "labels"}}, "lesions"),
        ({"pet": {"modality": "XY"}}, "XY"),
    ],
    ids=["unknown", "out of range", "bad name", "empty", "common", "no preset"],
)
def test_wrong_images_are_refused(images, told):
    with pytest.raises(InvalidParameterError, match=told):
        quick(images=images).fit(table_of(image_pet=0, mask=0))


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["image_pet", "mask"], "lacks the columns .'image_ct'"),
        (["image_pet", "image_ct"], "whole_image=True"),
        (["image_pet", "image_ct", "mask", "mask_ct"], "'mask' alone"),
        (["image", "image_pet", "image_ct", "mask"], "column 'image' beside"),
    ],
    ids=["image", "no mask", "both", "single"],
)
def test_columns_of_the_case_table_are_checked(columns, told):
    with pytest.raises(ValueError, match=told):
        quick(images=TWO).fit(table_of(**dict.fromkeys(columns, "a.nii")))


def test_one_mask_is_read_in_one_way():
    pet, mask, ct = pair()
    images = {"pet": {}, "ct": {"label": 2}}
    with pytest.raises(InvalidParameterError, match="label is 1 for 'pet' and 2 for 'ct'"):
        quick(images=images).fit(table_of(image_pet=pet, image_ct=ct, mask=mask))


@pytest.mark.skipif(not REAL.is_dir(), reason="NONREDUNDANT_DATA has no folder dicom/STS_001")
def test_pet_and_ct_of_a_patient_equal_separate_extractions():
    images = {"pet": {"modality": "PET"}, "ct": {"modality": "CT"}}
    options = {"patch_shape": (16, 16, 16), "feature_classes": ["shape", "firstorder"]}
    pet, ct, contours = (str(REAL / name) for name in ("PET/image", "CT/image", "PET/mask/RS.dcm"))
    table = measured(
        RadiomicsExtractor(images=images, **options),
        table_of(image_pet=pet, image_ct=ct, mask=contours),
    )
    drawn = str(REAL / "PET_mask.nii.gz")
    one = RadiomicsExtractor("PET", **options)
    assert_equal(table, "pet", measured(one, table_of(image=pet, mask=contours)))
    two = RadiomicsExtractor("CT", **options)
    alone = measured(two, table_of(image=ct, mask=drawn))
    assert_equal(table, "ct", alone)
    inside = table.masks[0, 0]
    # The same voxels on almost the same grid: the masks differ by their rounding at the border.
    assert np.abs(table.patches[0, 1] - alone.patches[0, 0])[inside].max() < 5.0


SCANS = {"before": {}, "after": {}}


def scans(lesions="label"):
    """Return a case of two scans that are not in one space, the second 1.5 times as bright."""
    values = np.random.default_rng(0).gamma(4, 0.3, (20, 20, 20))
    mask = np.zeros(values.shape, np.uint8)
    mask[2:8, 2:8, 2:8], mask[12:17, 12:17, 12:17] = 1, 2 if lesions == "labels" else 0
    # The lesions of the later scan have other sizes, so that their order is another one.
    later = np.zeros_like(mask)
    later[2:6, 2:6, 2:6], later[10:18, 10:18, 10:18] = 1, 2 if lesions == "labels" else 0
    return table_of(
        image_before=volume(values),
        image_after=volume(values * 1.5, origin=(500.0, 0.0, 0.0)),
        mask_before=volume(mask),
        mask_after=volume(later, origin=(500.0, 0.0, 0.0)),
    )


@pytest.mark.parametrize("lesions", ["label", "labels"])
def test_two_scans_are_compared_lesion_by_lesion(lesions):
    extractor = quick(images=SCANS, delta=("after", "before"), lesions=lesions, patch_shape=None)
    table = measured(extractor, scans(lesions))
    f = table.features
    for feature in ("firstorder_Mean", "shape_VoxelVolume"):
        after, before = (f[f"{name}_original_{feature}"] for name in ("after", "before"))
        pd.testing.assert_series_equal(
            f[f"delta_original_{feature}"], after - before, check_names=False
        )
        pd.testing.assert_series_equal(
            f[f"ratio_original_{feature}"], after / before, check_names=False
        )
    volumes = f["after_original_shape_VoxelVolume"] / 8.0
    assert volumes.tolist() == ([4**3, 8**3] if lesions == "labels" else [4**3])
    assert list(table.columns) == list(extractor.fit(scans(lesions)).get_feature_names_out())
    assert table.samples["scan_interval_days"].isna().all()


def test_patches_of_scans_in_two_spaces_are_refused():
    extractor = quick(images=SCANS, delta=("after", "before"))
    with pytest.raises(CaseError, match="image 'after': it lies elsewhere.*register"):
        measured(extractor, scans())


def test_the_interval_is_that_of_the_dicom_headers(tmp_path):
    rng = np.random.default_rng(0)
    for name, date in (("before", "20200101"), ("after", "20200215")):
        write_pet(tmp_path / name, rng.gamma(9, 1e3, (8, 12, 12)), AcquisitionDate=date)
    mask = np.zeros((8, 12, 12), np.uint8)
    mask[2:6, 3:9, 3:9] = 1
    cases = table_of(
        image_before=str(tmp_path / "before"), image_after=str(tmp_path / "after"), mask=mask
    )
    table = measured(
        quick(images=SCANS, delta=("after", "before"), delta_as="ratio", bin_width=500.0), cases
    )
    assert table.samples["scan_interval_days"].tolist() == [45.0]
    assert not table.features.filter(regex="^delta_").shape[1]


@pytest.mark.parametrize(
    ("images", "delta", "told"),
    [
        (SCANS, ("after",), "two names"),
        (SCANS, ("after", "later"), "two names"),
        (None, ("after", "before"), "two names"),
        ({"before": {}, "after": {"bin_width": 3}}, ("after", "before"), "bin_width"),
        ({"delta": {}, "after": {}}, ("after", "delta"), "rename"),
    ],
    ids=["one", "unknown", "single", "settings", "name"],
)
def test_wrong_pairs_are_refused(images, delta, told):
    with pytest.raises(InvalidParameterError, match=told):
        quick(images=images, delta=delta).fit(scans())


def test_whole_radiographs_have_channels_and_no_mask():
    rng = np.random.default_rng(0)
    one, two = (rng.normal(100.0, 9.0, (12, 12)) for _ in range(2))
    cases = pd.DataFrame({"image_a": [one, two], "image_b": [two, one]}, index=["anna", "bert"])
    options = {"whole_image": True, "feature_classes": ["firstorder"], "patch_shape": (8, 8)}
    table = measured(quick(images={"a": {}, "b": {}}, n_jobs=2, **options), cases)
    alone = measured(quick(**options), pd.DataFrame({"image": [one, two]}))
    np.testing.assert_array_equal(table.patches[:, :1], alone.patches)
    np.testing.assert_allclose(table.patches[:, 1:], alone.patches[::-1], rtol=1e-6)
    np.testing.assert_array_equal(
        table.features.filter(regex="^b_").to_numpy(), alone.features.to_numpy()[::-1]
    )


def test_labels_of_another_mask_alone_are_told():
    pet, mask, _ = pair()
    extra = sitk.GetArrayFromImage(mask)
    extra[0, :6, :6] = 5
    with pytest.warns(UserWarning, match=r"labels \[5\], which are not those of 'pet'"):
        quick(images={"pet": {}, "ct": {}}, lesions="labels", patch_shape=None).fit_transform(
            table_of(image_pet=pet, image_ct=pet, mask_pet=mask, mask_ct=volume(extra))
        )


def test_too_large_an_image_is_named():
    pet, mask, ct = pair(spacing=0.2)
    extractor = quick(images=TWO, max_memory=0.01)
    with pytest.raises(CaseError, match="image 'ct': image and mask need"):
        measured(extractor, table_of(image_pet=pet, image_ct=ct, mask=mask))
