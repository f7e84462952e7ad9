"""Results of a patient do not depend on the order of the patient's lesions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant.contrastive import VAE, ContrastiveVAE, SepVAE
from nonredundant.cvae import NonRedundantCVAE
from nonredundant.extraction import RadiomicsExtractor, dissemination_features
from nonredundant.lesions import LesionTable
from nonredundant.lesions.measures import pool_samples, size_and_uptake
from nonredundant.models.inputs import cohort_of_table, encode_labels, split_samples
from nonredundant.patients import LesionPooling
from nonredundant.patients.pooling import POOLINGS

#: Sums in another order differ in their last digits.
CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def cohort(counts, seed=0):
    """Return patients with so many lesions each; volumes are whole numbers, so that some tie."""
    rng = np.random.default_rng(seed)
    sample = np.repeat(np.arange(len(counts)), counts)
    n = len(sample)
    age = rng.normal(60, 10, len(counts))
    uptake = rng.gamma(2, 2, n)
    uptake[rng.random(n) < 0.1] = np.nan
    frame = pd.DataFrame(
        {
            "original_shape_VoxelVolume": rng.integers(1, 4, n) * 1000.0,
            "original_firstorder_Mean": uptake,
            "original_firstorder_Maximum": 2 * uptake,
            "age": age[sample],
        }
    )
    masks = np.zeros((n, 1, 8, 8), dtype=bool)
    masks[..., 1:-1, 1:-1] = True
    return LesionTable(
        frame,
        blocks={"age": "clinical"},
        patches=rng.normal(size=(n, 1, 8, 8)) + rng.normal(size=(n, 1, 1, 1)),
        masks=masks,
        sample=sample,
        positions=rng.uniform(0, 300, (n, 3)),
        spacing=(2.0, 2.0),
        index=[f"p{i}" for i in range(len(counts))],
    )


def order_of(table, seed=1):
    """Return the rows, each patient's in an order of their own."""
    return np.lexsort((np.random.default_rng(seed).random(table.n_lesions), table.sample))


def reordered(table, order):
    """Return the table with its rows in that order, which leaves patients where they are."""
    return table.replace(
        features=table.features.iloc[order],
        patches=table.patches[order],
        masks=table.masks[order],
        positions=table.positions[order],
        spacing=table.spacing[order],
    )


counts_of_lesions = st.lists(st.integers(1, 7), min_size=2, max_size=8)


# Reading ------------------------------------------------------------------------------------


def labelled_mask():
    """Return an image and a mask of five lesions; two are of equal size, two of equal centre."""
    mask = np.zeros((20, 20, 20), dtype=np.uint8)
    shell = np.zeros_like(mask)
    shell[2:7, 2:7, 2:7] = 1
    shell[3:6, 3:6, 3:6] = 0
    mask[shell == 1] = 1
    mask[3:6, 3:6, 3:6] = 2
    mask[12:15, 2:5, 2:5] = 3
    mask[2:5, 12:15, 2:5] = 4
    mask[11:16, 11:16, 11:16] = 5
    return np.random.default_rng(0).gamma(4, 0.3, mask.shape), mask


@pytest.mark.parametrize("numbers", [[5, 4, 3, 2, 1], [2, 40, 1, 7, 3]], ids=str)
def test_the_numbers_of_labels_do_not_matter(numbers):
    image, mask = labelled_mask()
    renumbered = np.array([0, *numbers], dtype=np.uint8)[mask]
    extractor = RadiomicsExtractor(
        bin_width=0.2,
        feature_classes=["shape", "firstorder"],
        patch_shape=(8, 8, 8),
        lesions="labels",
    )
    table = extractor.fit_transform(pd.DataFrame({"image": [image], "mask": [mask]}))
    other = extractor.fit_transform(pd.DataFrame({"image": [image], "mask": [renumbered]}))
    volume = table.features["original_shape_VoxelVolume"].tolist()
    assert volume == [125, 98, 27, 27, 27]
    assert table.positions[2:].tolist() == [[3, 13, 3], [4, 4, 4], [13, 3, 3]]
    pd.testing.assert_frame_equal(other.features, table.features, check_exact=True)
    for name in ("patches", "masks", "positions", "spacing", "sample"):
        np.testing.assert_array_equal(getattr(other, name), getattr(table, name))


def test_regions_of_one_size_and_centre_are_ordered_by_their_voxels():
    image, _ = labelled_mask()
    mask = np.zeros((20, 20, 20), dtype=np.uint8)
    mask[4, 3:12:8, 4:6] = 1
    mask[4, 4:12:6, 4:6] = 2
    extractor = RadiomicsExtractor(
        bin_width=0.01,
        feature_classes=["firstorder"],
        patch_shape=None,
        lesions="labels",
        min_voxels=4,
    )
    with pytest.warns(UserWarning, match="one voxel thick"):
        table = extractor.fit_transform(pd.DataFrame({"image": [image], "mask": [mask]}))
    swapped = np.array([0, 2, 1], dtype=np.uint8)[mask]
    with pytest.warns(UserWarning, match="one voxel thick"):
        other = extractor.fit_transform(pd.DataFrame({"image": [image], "mask": [swapped]}))
    np.testing.assert_array_equal(table.positions[0], table.positions[1])
    pd.testing.assert_frame_equal(other.features, table.features, check_exact=True)


# Pooling ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [*POOLINGS, list(POOLINGS)], ids=str)
@settings(max_examples=15, deadline=None)
@given(counts=counts_of_lesions, seed=st.integers(0, 1000))
def test_pooled_rows(how, counts, seed):
    table = cohort(counts, seed)
    other = reordered(table, order_of(table, seed))
    pooling = LesionPooling(how, dissemination=True).fit(table)
    np.testing.assert_allclose(pooling.transform(other), pooling.transform(table), **CLOSE)
    np.testing.assert_allclose(pooling.pool(other).features, pooling.pool(table).features, **CLOSE)


@settings(max_examples=30, deadline=None)
@given(counts=counts_of_lesions, seed=st.integers(0, 1000))
def test_dissemination_and_the_rows_of_a_comparison(counts, seed):
    table = cohort(counts, seed)
    order = order_of(table, seed)
    other = reordered(table, order)
    np.testing.assert_allclose(
        dissemination_features(other), dissemination_features(table), **CLOSE
    )
    np.testing.assert_allclose(size_and_uptake(other), size_and_uptake(table), **CLOSE)
    without = table.replace(features=table.features[["age"]])
    np.testing.assert_allclose(
        size_and_uptake(reordered(without, order)), size_and_uptake(without), **CLOSE
    )
    np.testing.assert_allclose(
        pool_samples(other, other.features), pool_samples(table, table.features), **CLOSE
    )
    values = np.random.default_rng(seed).normal(size=(table.n_lesions, 3))
    np.testing.assert_allclose(
        pool_samples(other, values[order]), pool_samples(table, values), **CLOSE
    )


def test_a_pipeline_fitted_on_another_order_predicts_the_same():
    table = cohort([1, 3, 5, 2] * 10)
    table = table.replace(features=table.features.fillna(1.0))
    y = table.features["age"].groupby(table.sample).first().to_numpy() > 60
    other = reordered(table, order_of(table))
    first, second = (
        make_pipeline(
            LesionPooling(["mean", "max", "largest"], dissemination=True),
            StandardScaler(),
            LogisticRegression(),
        ).fit(one, y)
        for one in (table, other)
    )
    np.testing.assert_allclose(
        second.predict_proba(other), first.predict_proba(table), rtol=1e-6, atol=1e-9
    )


# Networks -----------------------------------------------------------------------------------


NETWORKS = {
    "NonRedundantCVAE": NonRedundantCVAE(dlr_size=3, gamma=1.0),
    "VAE": VAE(3),
    "SepVAE": SepVAE(2, 2),
    "ContrastiveVAE": ContrastiveVAE(2, 2),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.filterwarnings("ignore:.*latents")
@pytest.mark.filterwarnings("ignore:.*median")
def test_networks_describe_each_lesion_independently_of_its_row(name):
    table = cohort([1, 3, 5, 2, 4, 1])
    order = order_of(table)
    y = np.tile([0, 1], 3)
    model = (
        clone(NETWORKS[name]).set_params(max_epochs=2, random_state=0, device="cpu").fit(table, y)
    )
    here, there = model.transform(table), model.transform(reordered(table, order))
    assert list(there.columns) == list(here.columns)
    np.testing.assert_allclose(there.features, here.features.iloc[order], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(there.positions, here.positions[order])


# A label reaches a patient, not so many lesions ---------------------------------------------


@settings(max_examples=30, deadline=None)
@given(counts=counts_of_lesions, seed=st.integers(0, 1000))
def test_a_patients_weights_in_the_label_term_sum_to_one_in_any_order(counts, seed):
    table = cohort(counts, seed)
    y = np.arange(len(counts)) % 2
    classes, labels, weights = encode_labels(y, cohort_of_table(table))
    assert classes.tolist() == [0, 1]
    np.testing.assert_array_equal(labels, y[table.sample])
    np.testing.assert_allclose(np.bincount(table.sample, weights), 1.0, rtol=1e-6)
    other = encode_labels(y, cohort_of_table(reordered(table, order_of(table, seed))))
    np.testing.assert_array_equal(other[1], labels)
    np.testing.assert_array_equal(other[2], weights)


def test_a_patient_of_many_lesions_counts_once_in_the_label_term():
    import torch

    from nonredundant.nn.losses import label_cross_entropy

    rng = np.random.default_rng(0)
    scores, y = rng.normal(size=(4, 2)), np.array([0, 1, 1, 0])
    counts = np.array([1, 6, 2, 20])
    table = cohort(counts)
    _, labels, weights = encode_labels(y, cohort_of_table(table))
    many = label_cross_entropy(
        torch.tensor(scores[table.sample]), torch.tensor(labels), torch.tensor(weights)
    )
    by_hand = -np.log(np.exp(scores[np.arange(4), y]) / np.exp(scores).sum(axis=1)).mean()
    assert many.item() == pytest.approx(by_hand, rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(counts=counts_of_lesions, seed=st.integers(0, 1000), fraction=st.floats(0.0, 0.9))
def test_whole_patients_are_held_out(counts, seed, fraction):
    sample = np.repeat(np.arange(len(counts)), counts)
    held = split_samples(sample, fraction, np.random.RandomState(seed))
    share = np.bincount(sample, held) / np.bincount(sample)
    assert np.isin(share, [0.0, 1.0]).all()
    assert share.sum() == round(fraction * len(counts))


@pytest.mark.parametrize("name", ["NonRedundantCVAE", "VAE"])
@pytest.mark.filterwarnings("ignore:.*latents")
@pytest.mark.filterwarnings("ignore:.*median")
def test_networks_validate_on_patients_that_they_do_not_train_on(name, monkeypatch):
    from nonredundant.nn import batches

    seen = []

    class Spy(batches.LesionDataset):
        def __init__(self, *parts, **options):
            seen.append(np.asarray(parts[5]))
            super().__init__(*parts, **options)

    monkeypatch.setattr(batches, "LesionDataset", Spy)
    table = cohort([1, 3, 5, 2, 4, 1, 6, 2])
    model = clone(NETWORKS[name]).set_params(
        max_epochs=1, net_params={"validation_fraction": 0.25}, random_state=0, device="cpu"
    )
    model.fit(table, np.tile([0, 1], 4))
    train, valid = (set(table.sample[rows]) for rows in seen[:2])
    assert len(valid) == 2
    assert not train & valid
    assert train | valid == set(range(8))


def test_a_lesion_that_is_not_seen_takes_no_weight_from_the_others():
    masks = np.ones((3, 1, 8, 8), dtype=bool)
    masks[1] = False
    table = LesionTable.from_arrays(
        patches=np.random.default_rng(0).normal(size=(3, 1, 8, 8)), masks=masks, sample=[0, 0, 1]
    )
    cohort = cohort_of_table(table)
    weights = encode_labels([0, 1], cohort)[2]
    np.testing.assert_allclose(np.bincount(table.sample, weights * cohort.usable), 1.0)
