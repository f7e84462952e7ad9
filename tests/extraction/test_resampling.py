"""Resampling: the type of the file is without effect; `settings` alone is pyradiomics' own way."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nonredundant.extraction import RadiomicsExtractor
from nonredundant.extraction.regions import find_regions
from nonredundant.extraction.resampling import resample_lesion
from nonredundant.radiomics import compute_features, quiet


def scan(dtype, shape=(30, 34, 38), seed=0):
    """Return a textured ellipsoid of whole Hounsfield units, off the centre, and its mask."""
    rng = np.random.default_rng(seed)
    place = [np.arange(n) - 0.4 * n for n in shape]
    grid = np.meshgrid(*place, indexing="ij")
    inside = sum((x / a) ** 2 for x, a in zip(grid, (6, 8, 9), strict=True)) <= 1
    values = sitk.GetImageFromArray(rng.normal(40, 60, shape) + 50 * inside)
    values = sitk.GetArrayFromImage(sitk.DiscreteGaussian(values, 1.0)).round()
    image = sitk.GetImageFromArray(values.astype(dtype))
    mask = sitk.GetImageFromArray(inside.astype(np.uint8))
    for one in (image, mask):
        one.SetSpacing((0.8, 0.8, 2.5))
        one.SetOrigin((-101.3, 7.7, 55.1))
    return image, mask


def features(image, mask, **parameters):
    """Return the features of one case."""
    cases = pd.DataFrame({"image": [image], "mask": [mask]})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The discretisation")
        table = RadiomicsExtractor(patch_shape=None, **parameters).fit_transform(cases)
    return table.features.iloc[0]


def reference(image, mask, settings):
    """Return pyradiomics' own features."""
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    with quiet(), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = RadiomicsFeatureExtractor(settings).execute(image, mask)
    return pd.Series({k: float(v) for k, v in values.items() if not k.startswith("diagnostics")})


@pytest.mark.parametrize(
    "parameters", [{"modality": "CT"}, {"modality": "MR"}, {"spacing": 1.5, "bin_width": 20}]
)
def test_the_type_of_the_file_does_not_change_a_feature(parameters):
    mask = scan(np.int16)[1]
    first = features(scan(np.int16)[0], mask, **parameters)
    for dtype in (np.int32, np.float32, np.float64):
        pd.testing.assert_series_equal(first, features(scan(dtype)[0], mask, **parameters))


def test_hounsfield_units_are_whole_numbers_after_interpolation_and_others_are_not():
    image, mask = scan(np.float32)
    names = ["original_firstorder_Minimum", "original_firstorder_Maximum"]
    only = {"feature_classes": ["firstorder"], "spacing": 1.1, "bin_width": 25}
    rounded = features(image, mask, modality="CT", **only)[names]
    free = features(image, mask, **only)[names]
    assert (rounded == free.round()).all()
    assert (free != free.round()).all()
    # Nothing is interpolated, so that nothing is rounded.
    own = features(image * 1.25, mask, modality="CT", **{**only, "spacing": "native"})[names]
    assert (own != own.round()).any()


SETTINGS = {
    "isotropic": {"binWidth": 20, "resampledPixelSpacing": [1.0, 1.0, 1.0]},
    "coarse": {"binWidth": 20, "resampledPixelSpacing": [3.0, 3.0, 3.0], "padDistance": 2},
    "in plane": {"binWidth": 20, "resampledPixelSpacing": [1.0, 1.0, 0]},
    "same": {"binWidth": 20, "resampledPixelSpacing": [0.8, 0.8, 2.5]},
    "linear": {
        "binWidth": 20,
        "resampledPixelSpacing": [1.3, 1.3, 1.3],
        "interpolator": "sitkLinear",
    },
    "normalised": {
        "binWidth": 5,
        "resampledPixelSpacing": [2.0, 2.0, 2.0],
        "normalize": True,
        "normalizeScale": 100,
        "removeOutliers": 2,
    },
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_a_lesion_is_resampled_as_pyradiomics_resamples_the_whole_image(setting):
    # The image is larger than what is read around the lesion.
    image, mask = scan(np.float64, (60, 130, 170))
    (region,), _ = find_regions(
        sitk.GetArrayFromImage(mask), lesions="label", label=1, min_voxels=1, min_dims=3
    )
    parameters = {
        "setting": setting,
        "imageType": {"Original": {}, "LoG": {"sigma": [2.0]}},
        "featureClass": {},
    }
    with quiet():
        found = resample_lesion(image, region, parameters)
        ours = pd.Series(compute_features(*found)[0])
    theirs = reference(image, mask, {key: parameters[key] for key in ("setting", "imageType")})
    assert set(ours.index) == set(theirs.index)
    np.testing.assert_allclose(ours[theirs.index], theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_settings_alone_give_pyradiomics_own_values_for_every_type(dtype):
    image, mask = scan(np.int16)
    image = sitk.GetImageFromArray(np.clip(sitk.GetArrayFromImage(image), 0, 255).astype(dtype))
    image.CopyInformation(mask)
    settings = {"setting": SETTINGS["linear"]}
    ours = features(image, mask, settings=settings)
    wide = image if dtype == np.float32 else sitk.Cast(image, sitk.sitkInt32)
    theirs = reference(wide, mask, settings)
    np.testing.assert_allclose(ours[theirs.index], theirs, rtol=1e-9, atol=1e-9)


def test_a_constant_image_cannot_be_standardised():
    image, mask = scan(np.float32)
    with pytest.raises(ValueError, match="the image is constant"):
        features(image * 0, mask, modality="MR")
