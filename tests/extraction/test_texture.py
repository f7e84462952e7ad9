"""The faster forms of pyradiomics' formulas have the values of the plain ones."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from radiomics import getFeatureClasses

from nonredundant.extraction.radiomics import compute_features, quiet
from nonredundant.extraction.settings import resolve_parameters
from nonredundant.extraction.texture import CLASSES, DISCRETISED, discretise


def blob(seed=0, shape=(9, 10, 11), scale=5.0):
    """Draw a smooth lesion of random outline."""
    rng = np.random.default_rng(seed)
    image = sitk.GetImageFromArray(rng.normal(size=shape).cumsum(axis=0) * scale + 40)
    mask = (rng.uniform(size=shape) < 0.8).astype(np.uint8)
    return image, sitk.GetImageFromArray(mask)


def constant():
    image, mask = blob()
    return sitk.Image(image) * 0 + 7.0, mask


def three_voxels():
    image, _ = blob()
    mask = np.zeros(image.GetSize()[::-1], np.uint8)
    mask[4, 4, 4:6] = mask[4, 5, 4] = 1
    return image, sitk.GetImageFromArray(mask)


def two_levels():
    image, mask = blob()
    array = (sitk.GetArrayFromImage(image) > 40) * 10.0
    return sitk.GetImageFromArray(array), mask


def separate_levels():
    """Two halves of different levels that do not touch: the second eigenvalue is 1, too."""
    array = np.ones((4, 4, 9)) * 10
    array[:, :, 5:] = 90
    mask = np.ones(array.shape, np.uint8)
    mask[:, :, 4] = 0
    return sitk.GetImageFromArray(array), sitk.GetImageFromArray(mask)


def bytes_of():
    image, mask = blob(scale=20)
    return sitk.Cast(sitk.Clamp(image, sitk.sitkFloat64, 0, 255), sitk.sitkUInt8), mask


CASES = {
    "a lesion": blob,
    "another one": lambda: blob(1, (3, 20, 20), 50.0),
    "many levels": lambda: blob(2, (6, 12, 12), 900.0),
    "one level": constant,
    "two levels": two_levels,
    "levels that do not touch": separate_levels,
    "three voxels": three_voxels,
    "8 bits": bytes_of,
    "negative": lambda: (blob(3)[0] - 1000, blob(3)[1]),
    "single precision": lambda: (sitk.Cast(blob(4)[0], sitk.sitkFloat32), blob(4)[1]),
    "tiny values": lambda: (blob(5)[0] * 1e-9, blob(5)[1]),
}
TEXTURE = {"glcm": [], "glrlm": [], "glszm": [], "gldm": [], "ngtdm": []}
SETTINGS = {
    "width": {"bin_width": 5.0},
    "count": {"bin_count": 16},
    "all images": {"bin_width": 5.0, "image_types": {"Wavelet": {}, "LoG": {"sigma": [1.0]}}},
    "one direction, weighted": {
        "settings": {"setting": {"binWidth": 5, "weightingNorm": "euclidean"}}
    },
    "not symmetrical": {"settings": {"setting": {"binWidth": 5, "symmetricalGLCM": False}}},
    "slices": {"settings": {"setting": {"binWidth": 5, "force2D": True}, "featureClass": TEXTURE}},
    "shifted": {"settings": {"setting": {"binWidth": 5, "voxelArrayShift": 300}}},
}


def both(case, parameters):
    with quiet():
        return [compute_features(*case, parameters, plain=plain)[0] for plain in (True, False)]


def assert_equal(plain, fast):
    assert list(plain) == list(fast)
    names = np.array(list(plain))
    expected, found = (np.array(list(values.values())) for values in (plain, fast))
    close = np.isclose(found, expected, rtol=1e-9, atol=1e-12, equal_nan=True)
    # Where levels are independent or all of one kind, the coefficient is 0 but for rounding, of
    # which pyradiomics takes a root.
    close |= np.char.endswith(names, "_MCC") & (np.nan_to_num(expected) < 1e-6) & (found < 1e-6)
    assert close.all(), list(zip(names[~close], expected[~close], found[~close], strict=True))


@pytest.mark.parametrize("name", CASES)
def test_every_feature_of_every_case_has_the_plain_value(name):
    bin_width = {"tiny values": 1e-8, "many levels": 10.0}.get(name, 5.0)
    assert_equal(*both(CASES[name](), resolve_parameters(bin_width=bin_width)))


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_has_the_plain_values(name):
    assert_equal(*both(blob(), resolve_parameters(**SETTINGS[name])))


def test_two_dimensions():
    rng = np.random.default_rng(0)
    image = sitk.GetImageFromArray(rng.normal(size=(20, 24)) * 20)
    mask = sitk.GetImageFromArray((rng.uniform(size=(20, 24)) < 0.7).astype(np.uint8))
    assert_equal(*both((image, mask), resolve_parameters(bin_width=5.0)))


@pytest.mark.parametrize("name", CLASSES)
def test_each_formula_alone(name):
    """A feature that is asked for alone does not lean on another one."""
    image, mask = blob()
    settings = resolve_parameters(bin_width=5.0)["setting"]
    shared = discretise(image, mask, **settings)
    with quiet():
        plain = getFeatureClasses()[name](image, mask, **settings)
        expected = plain.execute()
        for feature, value in expected.items():
            one = CLASSES[name](image, mask, **settings, **{DISCRETISED: shared})
            one.enableFeatureByName(feature)
            np.testing.assert_allclose(one.execute()[feature], value, rtol=1e-9, err_msg=feature)
    assert len(expected) > 3


def test_levels_are_those_of_pyradiomics():
    image, mask = blob()
    settings = resolve_parameters(bin_width=5.0)["setting"]
    plain = getFeatureClasses()["gldm"](image, mask, **settings)
    found = discretise(image, mask, **settings)
    np.testing.assert_array_equal(found.levels, plain.imageArray)
    np.testing.assert_array_equal(found.present, plain.coefficients["grayLevels"])
    assert found.counts.sum() == found.mask.sum() == sitk.GetArrayFromImage(mask).sum()
    assert found.span == found.present[-1] - found.present[0] + 1
