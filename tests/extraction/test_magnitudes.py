"""Intensities of any size give right values or an error that names the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from cases_for_tests import cohort, image_of, quick

from nonredundant.io import CaseError

#: About 1e12, and a power of two, by which numbers are multiplied without rounding.
LARGE = 2.0**40
TEXTURE = ["firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm"]


def extract(change, **parameters):
    cases = cohort(3)
    cases["image"] = [change(image) for image in cases["image"]]
    return quick(**parameters).fit_transform(cases)


def test_intensities_of_1e12_give_the_values_of_the_same_image_in_other_units():
    plain = extract(lambda image: image, bin_width=0.1, feature_classes=TEXTURE)
    large = extract(lambda image: LARGE * image, bin_width=0.1 * LARGE, feature_classes=TEXTURE)
    matrices = [name for name in plain.features if "firstorder" not in name]
    assert len(matrices) > 50
    np.testing.assert_allclose(large.features[matrices], plain.features[matrices], rtol=1e-9)
    for name, power in (("Mean", 1), ("Variance", 2), ("Energy", 2), ("Skewness", 0)):
        column = f"original_firstorder_{name}"
        expected = plain.features[column] * LARGE**power
        np.testing.assert_allclose(large.features[column], expected, rtol=1e-9)
    np.testing.assert_array_equal(large.patches, plain.patches * np.float32(LARGE))


def test_a_bin_count_does_not_depend_on_the_units():
    tables = [
        extract(
            lambda image, k=k: k * image, bin_width=None, bin_count=16, feature_classes=["glcm"]
        )
        for k in (2.0**-100, 1.0, LARGE)
    ]
    for one in (tables[0], tables[2]):
        np.testing.assert_allclose(one.features, tables[1].features, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda image: image * 1e200, "as large as .*e[+]200, beyond single precision"),
        (lambda image: image * 1e-310, "as small as .*e-310, beyond single precision"),
        (lambda image: (image * 1e-42).astype(np.float32), "as small as"),
        (lambda image: image + 1e12, "from 1e[+]12 to 1e[+]12 are too close together for patches"),
        (lambda image: np.full_like(image, 1e16), "a bin width of 0.1 is less than the distance"),
        (lambda image: (image * 10).astype(np.int64) + 10**9, "too close together for patches"),
    ],
)
def test_intensities_out_of_reach_are_an_error_of_the_case(change, told):
    with pytest.raises(CaseError, match=rf"case 'p0' .*{told}"):
        extract(change, feature_classes=TEXTURE)


def test_without_patches_single_precision_is_no_limit_of_contrast():
    # Steps of 2**-12 are exact at 2**40.
    steps = [np.round(image_of(seed)[0] * 4096) / 4096 for seed in range(3)]
    options = {"bin_width": 0.125, "feature_classes": ["glcm"], "patch_shape": None}
    cases = cohort(3)
    plain = quick(**options).fit_transform(cases.assign(image=steps))
    moved = quick(**options).fit_transform(cases.assign(image=[one + LARGE for one in steps]))
    np.testing.assert_allclose(
        moved.features["original_glcm_Contrast"], plain.features["original_glcm_Contrast"]
    )


def test_a_constant_lesion_is_told_and_has_no_missing_values():
    with pytest.warns(UserWarning, match="3 of 3 lesions are constant"):
        table = extract(lambda image: np.full_like(image, 3.0), feature_classes=TEXTURE)
    assert np.isfinite(table.features).all(axis=None)
    assert (table.features["original_firstorder_Variance"] == 0).all()
