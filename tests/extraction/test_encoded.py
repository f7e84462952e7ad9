"""Encoders in the extractor: patches as each of them asks for, beside the measured features."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from nonredundant import FrozenEncoder, RadiomicsExtractor, compare_feature_sets
from nonredundant.datasets import make_lesions

FEATURES = {"bin_count": 8, "feature_classes": ["firstorder"]}


def profile(batch):
    """Return means over slabs of the first axis of the input."""
    slabs = np.array_split(batch[:, 0], 4, axis=1)
    return np.column_stack([slab.reshape(len(batch), -1).mean(axis=1) for slab in slabs])


@pytest.fixture(scope="module")
def cases():
    """Return phantoms and labels."""
    return make_lesions(40, random_state=0)[:2]


def test_an_encoder_sees_patches_of_its_own_size(cases):
    table, _ = cases
    encoder = FrozenEncoder(profile, patch_shape=(20, 20, 20), patch_spacing=3.0)
    extractor = RadiomicsExtractor(patch_shape=(8, 8, 8), embeddings={"Net": encoder}, **FEATURES)
    found = extractor.fit_transform(table)
    wanted = RadiomicsExtractor(patch_shape=(20, 20, 20), patch_spacing=3.0, **FEATURES)
    alone = encoder.fit_transform(wanted.fit_transform(table))
    np.testing.assert_array_equal(found.embeddings["Net"], alone.embeddings["Encoder"])
    assert found.patches.shape[2:] == (8, 8, 8)
    assert found.embedding_names == ["Net"]
    assert extractor.get_feature_names_out().tolist() == list(found.columns)
    assert extractor.fit(table).transform(table).features.equals(found.features)


def test_without_patches_of_its_own_the_table_has_the_embedding_alone(cases):
    table, _ = cases
    encoder = FrozenEncoder(profile, patch_shape=(12, 12), slices="orthogonal")
    found = RadiomicsExtractor(patch_shape=None, embeddings={"Net": encoder}, **FEATURES)
    made = found.fit_transform(table[:4])
    assert made.patches is None
    assert made.embeddings["Net"].shape == (4, 4)


def test_names_are_known_after_lesions_were_seen(cases):
    encoder = FrozenEncoder(profile, patch_shape=(8, 8, 8))
    with pytest.raises(NotFittedError):
        RadiomicsExtractor(embeddings={"Net": encoder}).get_feature_names_out()


def test_failed_cases_have_no_embedding(cases):
    table = cases[0].head(4).copy()
    table["image"] = table["image"].astype(object)
    table.iloc[1, table.columns.get_loc("mask")] = np.zeros((3, 3, 3))
    encoder = FrozenEncoder(profile, patch_shape=(8, 8, 8))
    extractor = RadiomicsExtractor(on_error="nan", embeddings={"Net": encoder}, **FEATURES)
    with pytest.warns(UserWarning, match="1 of 4 cases"):
        found = extractor.fit_transform(table)
    assert found.embeddings["Net"].isna().all(axis=1).tolist() == [False, True, False, False]


def test_an_encoder_that_cannot_crop_says_so(cases):
    extractor = RadiomicsExtractor(embeddings={"Net": FrozenEncoder(profile)}, **FEATURES)
    with pytest.raises(ValueError, match="'Net' needs a patch_shape"):
        extractor.fit_transform(cases[0].head(3))


def test_an_encoder_sees_one_image(cases):
    images = {"pet": {"bin_count": 8}, "ct": {"bin_count": 8}}
    encoder = FrozenEncoder(profile, patch_shape=(8, 8, 8))
    extractor = RadiomicsExtractor(images=images, embeddings={"Net": encoder})
    table = cases[0].head(3).rename(columns={"image": "image_pet"})
    with pytest.raises(ValueError, match="see one image"):
        extractor.fit_transform(table.assign(image_ct=table["image_pet"]))


def test_images_to_answer(cases):
    table, y = cases
    encoder = FrozenEncoder(profile, patch_shape=(16, 16, 16))
    extractor = RadiomicsExtractor(embeddings={"Net": encoder}, **FEATURES)
    found = compare_feature_sets(
        table,
        np.asarray(y),
        extractor=clone(extractor),
        feature_sets=["HCR", "HCR+Net-MI"],
        classifiers={"LR": LogisticRegression()},
        baselines=False,
        controls=False,
        cv=3,
        n_repeats=1,
        random_state=0,
    )
    assert isinstance(found.answer(), str)
    assert set(found.summary["feature_set"]) == {"HCR", "HCR+Net-MI"}
    assert isinstance(found.redundancy, pd.DataFrame)


def test_small_lesions_that_keep_their_shape_have_no_embedding():
    image = np.random.default_rng(0).gamma(4.0, 0.3, (20, 20, 20))
    mask = np.zeros(image.shape, np.uint8)
    mask[2:8, 2:8, 2:8], mask[12:14, 12:14, 12:13] = 1, 2
    encoder = FrozenEncoder(profile, patch_shape=(12, 12, 12), patch_spacing=1.0)
    extractor = RadiomicsExtractor(
        bin_count=8,
        feature_classes=["firstorder", "shape"],
        lesions="labels",
        small_lesions="shape",
        patch_shape=(8, 8, 8),
        embeddings={"Net": encoder},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = extractor.fit_transform(pd.DataFrame({"image": [image], "mask": [mask]}))
    assert table.embeddings["Net"].isna().all(axis=1).tolist() == [False, True]
