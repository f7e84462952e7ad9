"""The faster forms of pyradiomics' formulas have the values of the plain ones."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from radiomics import getFeatureClasses

from nonredundant.extraction import lesion_features
from nonredundant.extraction.levels import discretise
from nonredundant.extraction.radiomics import compute_features, quiet
from nonredundant.extraction.settings import resolve_parameters


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


def spaced(image, spacing, direction=None):
    image, mask = (sitk.Image(one) for one in image)
    for one in (image, mask):
        one.SetSpacing(spacing)
        if direction is not None:
            one.SetDirection(direction)
    return image, mask


def within(mask):
    """The image of `blob`, with another lesion in it."""
    image, _ = blob(6, mask.shape)
    return image, sitk.GetImageFromArray(mask.astype(np.uint8))


def drawn(shape, *boxes):
    mask = np.zeros(shape, bool)
    for box in boxes:
        mask[box] = ~mask[box]
    return within(mask)


def ball(side):
    """A ball of which a part of the outside is rough, like a lesion drawn by hand."""
    rng = np.random.default_rng(side)
    distance = np.linalg.norm(np.indices((side,) * 3) - (side - 1) / 2, axis=0)
    return within(distance + rng.normal(size=distance.shape) < side / 2 - 2)


OBLIQUE = (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)
ALL = slice(None)
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
    "values of 1e12": lambda: (blob(5)[0] * 1e12, blob(5)[1]),
    "16 bits with sign": lambda: (sitk.Cast(blob(7)[0] - 500, sitk.sitkInt16), blob(7)[1]),
    "two voxels": lambda: drawn((4, 5, 6), np.s_[2, 3, 2:4]),
    "a line": lambda: drawn((4, 5, 12), np.s_[2, 3, 1:11]),
    "one slice": lambda: drawn((5, 9, 9), np.s_[2, 1:8, 2:7]),
    "the whole image": lambda: drawn((5, 6, 7), np.s_[ALL]),
    "a hollow": lambda: drawn((9, 9, 9), np.s_[1:8, 1:8, 1:8], np.s_[3:5, 3:6, 3:5]),
    "two parts": lambda: drawn((6, 6, 20), np.s_[1:3, 1:3, 1:4], np.s_[3:6, 2:6, 14:19]),
    "parts that meet at a corner": lambda: drawn((6, 6, 6), np.s_[:3, :3, :3], np.s_[3:, 3:, 3:]),
    "no two voxels touch": lambda: drawn((9, 9, 9), np.s_[1:8:2, 1:8:2, 1:8:2]),
    "one level, no two voxels touch": lambda: (
        sitk.GetImageFromArray(np.full((9, 9, 9), 3.0)),
        drawn((9, 9, 9), np.s_[1:8:2, 1:8:2, 1:8:2])[1],
    ),
    "every other voxel": lambda: within(np.indices((6, 7, 8)).sum(axis=0) % 2 == 0),
    "thick slices": lambda: spaced(blob(8), (0.7, 0.8, 6.0)),
    "oblique": lambda: spaced(blob(9), (1.0, 1.0, 3.0), OBLIQUE),
    "large voxels": lambda: spaced(blob(10), (9.5, 9.5, 30.0)),
    "larger": lambda: ball(30),
}
#: Bin widths of cases whose intensities are no tens; 5 otherwise.
BIN_WIDTH = {"tiny values": 1e-8, "many levels": 10.0, "values of 1e12": 5e12}
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
    assert close.all(), list(zip(names[~close], expected[~close], found[~close], strict=True))


@pytest.mark.parametrize("name", CASES)
def test_every_feature_of_every_case_has_the_plain_value(name):
    setting = {"binWidth": BIN_WIDTH.get(name, 5.0), "minimumROIDimensions": 1}
    assert_equal(*both(CASES[name](), resolve_parameters(settings={"setting": setting})))


@pytest.mark.slow
def test_a_lesion_of_100_000_voxels_has_the_plain_values():
    assert_equal(*both(ball(61), resolve_parameters(bin_width=5.0)))


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_has_the_plain_values(name):
    assert_equal(*both(blob(), resolve_parameters(**SETTINGS[name])))


@pytest.mark.parametrize("weighting", [None, "infinity"])
@hypothesis.settings(deadline=None, max_examples=60)
@given(
    levels=arrays(np.int8, st.tuples(*[st.integers(1, 4)] * 3), elements=st.integers(1, 4)),
    symmetrical=st.booleans(),
    distances=st.sampled_from([[1], [1, 2]]),
)
def test_few_voxels_have_the_plain_values(levels, symmetrical, distances, weighting):
    """Levels of neighbours are then often independent: a formula divides rounding errors."""
    image, mask = (np.pad(array, 1) for array in (levels.astype(float), levels > 1))
    assume(mask.sum() > 1)
    setting = {
        "binWidth": 1.0,
        "minimumROIDimensions": 1,
        "symmetricalGLCM": symmetrical,
        "distances": distances,
        "weightingNorm": weighting,
    }
    case = sitk.GetImageFromArray(image), sitk.GetImageFromArray(mask.astype(np.uint8))
    parameters = {"setting": setting, "featureClass": {"glcm": []}}
    assert_equal(*both(case, resolve_parameters(settings=parameters)))


def test_two_dimensions():
    rng = np.random.default_rng(0)
    image = sitk.GetImageFromArray(rng.normal(size=(20, 24)) * 20)
    mask = sitk.GetImageFromArray((rng.uniform(size=(20, 24)) < 0.7).astype(np.uint8))
    assert_equal(*both((image, mask), resolve_parameters(bin_width=5.0)))


@pytest.mark.parametrize("name", [*TEXTURE, "firstorder"])
def test_each_formula_alone(name):
    """A feature that is asked for alone does not lean on another one."""
    image, mask = blob()
    setting = resolve_parameters(bin_width=5.0)["setting"]
    with quiet():
        expected = getFeatureClasses()[name](image, mask, **setting).execute()
    for feature, value in expected.items():
        parameters = resolve_parameters(bin_width=5.0, feature_classes={name: [feature]})
        found, _ = compute_features(image, mask, parameters)
        assert list(found) == [f"original_{name}_{feature}"]
        assert found[f"original_{name}_{feature}"] == pytest.approx(float(value), rel=1e-9)
    assert len(expected) > 3


def test_formulas_of_lesions_are_not_left_to_pyradiomics(monkeypatch):
    monkeypatch.setattr(lesion_features, "_plain", lambda *arguments: {})
    found, _ = compute_features(*blob(), resolve_parameters(bin_width=5.0))
    assert len(found) == 107


def test_levels_are_those_of_pyradiomics():
    image, mask = blob()
    settings = resolve_parameters(bin_width=5.0)["setting"]
    plain = getFeatureClasses()["gldm"](image, mask, **settings)
    inside = sitk.GetArrayFromImage(mask) == 1
    found = discretise(sitk.GetArrayFromImage(image)[inside], settings)
    np.testing.assert_array_equal(found.levels, plain.imageArray[inside])
    np.testing.assert_array_equal(found.present, plain.coefficients["grayLevels"])
    assert found.counts.sum() == inside.sum()
    assert found.span == found.present[-1] - found.present[0] + 1
