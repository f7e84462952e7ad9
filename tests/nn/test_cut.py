"""A small cohort that is cut once trains as one that is cut in each step."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skorch.callbacks import BatchScoring, Callback

from nonredundant import LesionTable, NonRedundantCVAE
from nonredundant.contrastive import SepVAE
from nonredundant.nn import cut
from nonredundant.nn.augment import Augmentation
from nonredundant.nn.batches import LesionDataset
from nonredundant.nn.vae import ConditionalVAE


def table(shape=(1, 16, 16, 16), *, masks=True, missing=False, n=24):
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(n, *shape)).astype(np.float32)
    if missing:
        patches[::3, 1] = np.nan
    inside = rng.random((n, 1, *shape[1:])) < 0.7
    return LesionTable.from_arrays(
        features=rng.normal(size=(n, 3)), patches=patches, masks=inside if masks else None
    )


def own_networks(shape, n_channels, n_out, n_in):
    """Make networks of the user, who sees patches as they are."""
    n_voxels = n_channels * math.prod(shape)
    decoder = [torch.nn.Linear(n_in, n_voxels), torch.nn.Unflatten(1, (n_channels, *shape))]
    encoder = [torch.nn.Flatten(), torch.nn.Linear(n_voxels, n_out)]
    return torch.nn.Sequential(*encoder), torch.nn.Sequential(*decoder)


def model(**settings):
    return NonRedundantCVAE(
        2, max_epochs=4, batch_size=7, random_state=0, device="cpu", output="dlr", **settings
    )


@pytest.fixture
def kinds(monkeypatch):
    """Note what each training is given."""
    found = []
    original = cut.cut_once
    noted = lambda *args: found.append(original(*args)) or found[-1]  # noqa: E731
    monkeypatch.setattr("nonredundant.nn.training.cut_once", noted)
    return found


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        ({}, {}),
        ({}, {"augment": None}),
        ({"masks": False}, {}),
        ({"shape": (1, 8, 8, 8)}, {}),
        # Sides that are padded to whole blocks.
        ({"shape": (1, 18, 20, 17)}, {}),
        ({"shape": (2, 16, 16)}, {}),
        ({"shape": (2, 16, 16, 16), "missing": True}, {}),
        ({}, {"independence": "density-ratio", "net_params": {"validation_fraction": 0.3}}),
        ({}, {"network": own_networks}),
    ],
)
def test_the_same_weights_as_when_each_step_cuts(case, settings, kinds, monkeypatch):
    lesions = table(**case)
    found = model(**settings).fit(lesions)
    assert isinstance(kinds.pop(), cut.CutLesions)
    monkeypatch.setattr(cut, "MOST_BYTES", 0)
    expected = model(**settings).fit(lesions)
    assert isinstance(kinds.pop(), LesionDataset)
    np.testing.assert_array_equal(found.history_, expected.history_)
    np.testing.assert_array_equal(found.transform(lesions), expected.transform(lesions))


def test_contrastive_models_are_cut_once_too(kinds, monkeypatch):
    lesions, y = table(), np.arange(24) % 2
    found = SepVAE(2, 2, max_epochs=3, random_state=0).fit(lesions, y)
    assert isinstance(kinds.pop(), cut.CutLesions)
    monkeypatch.setattr(cut, "MOST_BYTES", 0)
    expected = SepVAE(2, 2, max_epochs=3, random_state=0).fit(lesions, y)
    np.testing.assert_array_equal(found.transform(lesions), expected.transform(lesions))


@pytest.mark.parametrize(
    "augment", [("flip_x", "noise"), ("rotate",), ("shift",), lambda x, mask: (x, mask)]
)
def test_what_changes_voxels_is_cut_in_each_step(augment, kinds):
    model(augment=augment).fit(table())
    assert isinstance(kinds.pop(), LesionDataset)


def dataset(lesions, augment=None):
    n = len(lesions)
    parts = (np.zeros((n, 3), np.float32), np.zeros(n), np.ones(n, np.float32), np.arange(n))
    return LesionDataset(lesions.patches, lesions.masks, *parts, augment)


def test_only_orientations_that_fit_into_the_bound_are_kept(monkeypatch):
    module = ConditionalVAE((16, 16, 16), 1, 2, 3)
    flips = Augmentation(["flip_x", "flip_y", "flip_z"])
    whole = 24 * 16**3 * 5
    monkeypatch.setattr(cut, "MOST_BYTES", 8 * whole)
    kept = cut.cut_once(dataset(table(), flips), module, "cpu")
    batches = [kept.__getitems__([3, 1]) for _ in range(40)]
    assert len(kept._cut) == 8
    held = [part for pair in kept._cut.values() for part in pair]
    assert sum(part.numel() * part.itemsize for part in held) == 8 * whole
    assert all(batch.is_cut and batch.x.shape[0] == 2 for batch in batches)
    monkeypatch.setattr(cut, "MOST_BYTES", 8 * whole - 1)
    assert isinstance(cut.cut_once(dataset(table(), flips), module, "cpu"), LesionDataset)
    assert isinstance(cut.cut_once(dataset(table()), module, "cpu"), cut.CutLesions)


def test_blocks_stay_in_channels_last_memory():
    kept = cut.cut_once(dataset(table()), ConditionalVAE((16, 16, 16), 1, 2, 3), "cpu")
    batch = kept.__getitems__([0, 5])
    assert batch.x.is_contiguous(memory_format=torch.channels_last_3d)
    assert batch.mask.dtype == torch.uint8


class Seeing(Callback):
    """Notes the patches that it is shown."""

    def on_batch_begin(self, net, batch, **kwargs):
        self.shape_ = tuple(batch[0].x.shape[1:])


def mean_patch(net, X, y=None):
    """Score a batch by its voxels."""
    return float(X.x.mean())


class Halved(Augmentation):
    """Changes voxels, too."""

    def __call__(self, x, mask):
        return x / 2, mask


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({}, {"iterator_train__num_workers": 1}),
        ({}, {"iterator_train__collate_fn": lambda batch: batch}),
        ({}, {"callbacks": [BatchScoring(mean_patch, on_train=True)]}),
        ({}, {"callbacks": [Seeing()]}),
        ({"augment": Halved(["flip_x"])}, {}),
    ],
)
def test_code_of_the_user_is_shown_images(settings, option, kinds):
    found = model(net_params=option, **settings).fit(table())
    assert all(isinstance(kind, LesionDataset) for kind in kinds)
    for _, callback in found.net_.callbacks_:
        if isinstance(callback, Seeing):
            assert callback.shape_ == (1, 16, 16, 16)


@pytest.mark.parametrize("network", [None, own_networks])
@pytest.mark.parametrize("masks", [True, False])
def test_parts_of_the_rows_are_cut_as_all(masks, network, monkeypatch):
    lesions = table((2, 16, 16, 16), masks=masks)
    # An image is missing in the first rows alone, whose masks have channels.
    lesions.patches[:5, 1] = np.nan
    module = ConditionalVAE((16, 16, 16), 2, 2, 3, network=network)
    whole = cut.cut_once(dataset(lesions), module, "cpu").__getitems__(range(24))
    monkeypatch.setattr(cut, "CHUNK", 10)
    parts = cut.cut_once(dataset(lesions), module, "cpu").__getitems__(range(24))
    torch.testing.assert_close(parts.x, whole.x, rtol=0, atol=0)
    mask = whole.mask if masks or network is None else whole.mask.expand_as(parts.mask)
    torch.testing.assert_close(parts.mask, mask, rtol=0, atol=0)
    assert parts.x.stride() == whole.x.stride()
