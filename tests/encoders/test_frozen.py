"""`FrozenEncoder`: lesions in, lesions with an embedding out, and what does not fit is told."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from cohorts_for_tests import make_rows
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from torch import nn

from nonredundant import LesionTable, NonRedundantEmbedding
from nonredundant.encoders import RECIPES, FrozenEncoder
from nonredundant.utils.validation import InvalidParameterError


def make_table(n=12, side=16, spacing=2.0, radius=4.0, seed=0):
    """Return lesions of one volume each, a ball in noise."""
    rng = np.random.default_rng(seed)
    patches = rng.normal(size=(n, 1, side, side, side)).astype(np.float32)
    ball = np.square(np.indices((side,) * 3) - (side - 1) / 2).sum(axis=0) <= radius**2
    return LesionTable(
        pd.DataFrame({"original_firstorder_Mean": patches[:, 0][:, ball].mean(axis=1)}),
        patches=patches,
        masks=np.broadcast_to(ball, patches.shape),
        spacing=np.full((n, 3), spacing),
        index=[f"case{i:02d}" for i in range(n)],
    )


def network(seed=0):
    """Return an untrained network of volumes."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv3d(1, 6, 3), nn.ReLU())


def means(batch):
    """Return mean and spread of each input."""
    flat = batch.reshape(len(batch), -1)
    return np.column_stack([flat.mean(axis=1), flat.std(axis=1)])


def test_the_embedding_is_what_the_module_returns_for_each_patch():
    table, module = make_table(), network()
    found = FrozenEncoder(module, name="Net", batch_size=5).fit_transform(table)
    with torch.no_grad():
        expected = module(torch.from_numpy(table.patches)).mean(dim=(2, 3, 4)).numpy()
    np.testing.assert_allclose(found.embeddings["Net"].to_numpy(), expected, rtol=1e-5, atol=1e-6)
    assert found.columns_of("hcr") == table.columns_of("hcr")
    assert found.index.equals(table.index)
    assert not module.training


def test_it_runs_in_pipelines_and_searches_like_any_other_step():
    table = make_table(40)
    y = (table.features.iloc[:, 0].to_numpy() > 0).astype(int)
    steps = [
        ("encode", FrozenEncoder(means, name="Means")),
        ("embed", NonRedundantEmbedding(1)),
        ("clf", LogisticRegression()),
    ]
    search = GridSearchCV(Pipeline(steps), {"encode__masked": [False, True]}, cv=2)
    assert search.fit(table, y).predict(table[:3]).shape == (3,)


def test_clones_and_saved_encoders_return_the_same():
    table = make_table(4)
    encoder = FrozenEncoder(network(), name="Net")
    expected = encoder.fit_transform(table).embeddings["Net"]
    for other in (clone(encoder).fit(table), pickle.loads(pickle.dumps(encoder))):
        pd.testing.assert_frame_equal(other.transform(table).embeddings["Net"], expected)


def test_a_lesion_is_encoded_once(tmp_path):
    calls = []

    class Counted(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x):
            calls.append(len(x))
            return self.weight * x.flatten(1)[:, :3]

    table = make_table(6)
    encoder = FrozenEncoder(Counted(), name="Net", memory=str(tmp_path))
    first = encoder.fit_transform(table).embeddings["Net"]
    assert sum(calls) == 6
    again = clone(encoder).fit(table[3:]).transform(table).embeddings["Net"]
    pd.testing.assert_frame_equal(again, first)
    assert sum(calls) == 6
    clone(encoder).set_params(window="range").fit(table).transform(table)
    assert sum(calls) == 12
    other = clone(encoder)
    with torch.no_grad():
        other.module.weight.fill_(2.0)
    np.testing.assert_allclose(other.fit_transform(table).embeddings["Net"], 2 * first)


def test_lesions_that_were_not_measured_have_no_embedding():
    table = make_table(5)
    status = ["ok", "unreadable: gone", "ok", "ok", "ok"]
    found = FrozenEncoder(means, name="Means").fit_transform(table.replace(status=status))
    gaps = found.embeddings["Means"].isna().all(axis=1).tolist()
    assert gaps == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("settings", "table", "message"),
    [
        ({"patch_shape": (8,) * 3, "patch_spacing": 1.5}, {"radius": 5.0}, "larger than its field"),
        ({"patch_shape": (32,) * 3, "patch_spacing": 2.0}, {}, "do not cover its field of view"),
        ({"patch_shape": (6,) * 3, "patch_spacing": 5.0}, {}, "more than two times"),
        ({"window": (-0.1, 0.1)}, {}, "outside of the window -0.1 to 0.1"),
    ],
    ids=["larger", "not covered", "voxel size", "window"],
)
def test_what_does_not_fit_is_told(settings, table, message):
    encoder = FrozenEncoder(means, name="Means", **settings)
    with pytest.warns(UserWarning, match=f"12 of 12 lesions .*{message}.*case00"):
        encoder.fit_transform(make_table(**table))


def test_what_fits_is_not_told():
    encoder = FrozenEncoder(means, patch_shape=(24,) * 3, patch_spacing=1.3, window=(-9, 9))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.fit_transform(make_table())


def test_a_network_of_images_sees_slices():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    settings = {"name": "Photo", "patch_shape": (20, 20), "channels": ((0.5, 0.2),) * 3}
    for slices in ("largest", "orthogonal"):
        found = FrozenEncoder(module, slices=slices, **settings).fit_transform(make_table(3))
        assert found.embeddings["Photo"].shape == (3, 4)


@pytest.mark.parametrize("name", ["FMCIB", "CT-FM", "Merlin", "MedicalNet"])
def test_recipes_are_settings(name):
    table = make_table(2, side=50, spacing=1.0)
    encoder = FrozenEncoder(means, name=name, **RECIPES[name].settings)
    assert encoder.fit_transform(table).embeddings[name].shape == (2, 2)
    assert RECIPES[name].source


@pytest.mark.parametrize(
    ("encoder", "table", "error", "message"),
    [
        (FrozenEncoder(means), make_rows(), ValueError, "needs patches and masks"),
        (FrozenEncoder(means), np.zeros((2, 2)), TypeError, "RadiomicsExtractor"),
        (FrozenEncoder(means, name="HCR"), make_table(2), ValueError, "cannot name an embedding"),
        (FrozenEncoder(means, patch_shape=(8, 0)), make_table(2), InvalidParameterError, "2 or 3"),
        (FrozenEncoder(means, window=(5, 1)), make_table(2), InvalidParameterError, "lower one"),
        (FrozenEncoder(means, channels=()), make_table(2), InvalidParameterError, "channels"),
        (FrozenEncoder(means, orientation="SSL"), make_table(2), InvalidParameterError, "orient"),
        (
            FrozenEncoder(means, patch_shape=(8, 9), slices="orthogonal"),
            make_table(2),
            InvalidParameterError,
            "square",
        ),
        (
            FrozenEncoder(means, patch_spacing=1.0),
            make_table(2).replace(spacing=None),
            ValueError,
            "voxel size of the patches is not known",
        ),
        (
            FrozenEncoder(lambda x: np.full((len(x), 2), np.nan)),
            make_table(2),
            ValueError,
            "not finite for 1 lesions: cases .*case00",
        ),
    ],
    ids=[
        "no patches", "a matrix", "name", "shape", "window", "channels", "axes", "square",
        "voxel size", "not finite",
    ],
)  # fmt: skip
def test_wrong_use_is_explained(encoder, table, error, message):
    with pytest.raises(error, match=message):
        encoder.fit(table)


def test_a_second_embedding_needs_another_name():
    found = FrozenEncoder(means, name="Means").fit_transform(make_table(3))
    with pytest.raises(ValueError, match="already"):
        FrozenEncoder(means, name="Means").fit(found)
    both = FrozenEncoder(network(), name="Net").fit_transform(found)
    assert both.embedding_names == ["Means", "Net"]


def test_a_cache_does_not_answer_for_another_function(tmp_path):
    table = make_table(3)

    def scaled(factor):
        return lambda batch: factor * means(batch)

    one, two = (
        FrozenEncoder(scaled(k), memory=tmp_path).fit_transform(table).embeddings["Encoder"]
        for k in (1.0, 2.0)
    )
    np.testing.assert_allclose(two, 2.0 * one)


def test_a_module_that_changes_after_fit_is_refused():
    table, module = make_table(3), network()
    encoder = FrozenEncoder(module).fit(table)
    with torch.no_grad():
        module[0].weight.add_(1.0)
    with pytest.raises(ValueError, match="fit the encoder again"):
        encoder.transform(table)


def test_a_module_whose_content_is_unknown_has_no_cache(tmp_path):
    stream = (value for value in range(9))

    def encode(batch):
        return means(batch) if stream else batch

    table = make_table(3)
    assert FrozenEncoder(encode).fit(table).digest_ == ""
    with pytest.raises(TypeError, match="set memory=None"):
        FrozenEncoder(encode, memory=tmp_path).fit(table)


@pytest.mark.parametrize("spacing", [(4.0, 1.0, 1.0), (np.nan,) * 3], ids=["flat", "unknown"])
def test_patches_whose_voxels_are_no_cubes_are_refused(spacing):
    table = make_table(3)
    table = table.replace(spacing=np.tile(spacing, (3, 1)))
    with pytest.raises(ValueError, match="no cubes of a known size"):
        FrozenEncoder(means, patch_spacing=2.0).fit(table)


@pytest.mark.parametrize("module", [None, nn.ReLU])
def test_modules_that_cannot_be_called_are_refused(module):
    with pytest.raises(TypeError, match="module must be"):
        FrozenEncoder(module).fit(make_table(3))
