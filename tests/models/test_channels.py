"""Patches of several images: channels weigh the same, in any unit, and missing ones not at all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone

from nonredundant import LesionTable, NonRedundantCVAE
from nonredundant.contrastive import SepVAE
from nonredundant.inspection import latent_atlas
from nonredundant.models.baselines import PatchPCA
from nonredundant.models.inputs import cohort_of_table, intensity_statistics
from nonredundant.nn.augment import Augmentation
from nonredundant.nn.blocks import IntensityScaler, layout_of
from nonredundant.nn.losses import Batch

CVAE = NonRedundantCVAE(dlr_size=2, max_epochs=3, random_state=0, augment=None)


def make_table(factor=1.0, missing=(), n=24):
    """Return lesions of two channels, the second in units of its own, some without it."""
    rng = np.random.default_rng(0)
    patches = rng.normal(5.0, 1.0, (n, 2, 8, 8, 8)).astype(np.float32)
    patches[:, 1] *= factor
    patches[list(missing), 1] = np.nan
    masks = np.zeros((n, 1, 8, 8, 8), dtype=bool)
    masks[..., 1:7, 1:7, 1:7] = True
    return LesionTable.from_arrays(patches=patches, masks=masks, features=rng.normal(size=(n, 3)))


def test_units_of_a_channel_do_not_matter():
    one, two = (clone(CVAE).fit(make_table(factor)) for factor in (1.0, 1024.0))
    d, other = one.transform(make_table()), two.transform(make_table(1024.0))
    np.testing.assert_allclose(d, other, atol=1e-3)
    drawn = two.reconstruct(make_table(1024.0))
    np.testing.assert_allclose(drawn[:, 1].mean() / 1024.0, drawn[:, 0].mean(), rtol=0.2)
    shares = [
        latent_atlas(m, make_table(f)).table["image_share"] for m, f in ((one, 1.0), (two, 1024.0))
    ]
    np.testing.assert_allclose(*shares, atol=1e-2)


@pytest.mark.parametrize("is_masked", [True, False], ids=["masked", "whole"])
@pytest.mark.parametrize("network", [None, lambda **_: None], ids=["blocks", "own"])
def test_a_missing_channel_is_the_mean_and_does_not_count(network, is_masked):
    scaler = IntensityScaler(2)
    x = torch.randn(3, 2, 9, 9)
    x[1, 1] = torch.nan
    mask = torch.rand(3, 1, 9, 9) > 0.5 if is_masked else None
    layout = layout_of((9, 9), 2, network)
    batch = Batch(x, mask, *(torch.zeros(3, 1) for _ in range(3)))
    x_star, inside = scaler.cut(batch, layout)
    whole, all_inside = scaler.cut(batch._replace(x=x.nan_to_num(0.0)), layout)
    inside = inside.expand_as(x_star)
    n = x_star.shape[1] // 2
    assert (x_star[1, n:] == 0).all()
    assert (inside[1, n:] == 0).all()
    rest = torch.ones_like(x_star, dtype=torch.bool)
    rest[1, n:] = False
    assert torch.equal(x_star[rest], whole[rest])
    if is_masked:
        assert torch.equal(inside[rest], all_inside.expand_as(x_star)[rest])


def test_statistics_are_those_of_the_lesions_that_have_the_channel():
    lost = [0, 5, 6]
    every, some = make_table(10.0), make_table(10.0, missing=lost)
    kept = np.setdiff1d(np.arange(24), lost)
    cohort = cohort_of_table(some)
    found = intensity_statistics(cohort, np.arange(24))
    expected = intensity_statistics(cohort_of_table(every), kept)
    for name in ("low", "high", "mean", "scale"):
        assert found[f"scaler.{name}"][1] == pytest.approx(expected[f"scaler.{name}"][1])
    assert found["total_variance"] == pytest.approx(216 * (2 * 21 + 3) / 24)
    with pytest.raises(ValueError, match=r"channels \[1\]"):
        intensity_statistics(cohort, np.array(lost))


def test_lesions_without_a_channel_are_encoded_and_reconstructed():
    table = make_table(100.0, missing=[1, 2])
    model = clone(CVAE).set_params(augment=["noise", "rotate", "flip_x"]).fit(table)
    assert np.isfinite(model.transform(table)).all()
    assert np.isfinite(model.score_samples(table)).all()
    drawn = model.reconstruct(table)
    assert np.isfinite(drawn).all()
    assert 200 < drawn[1, 1].mean() < 800
    pca = PatchPCA(2, random_state=0).fit(table)
    assert np.isfinite(pca.transform(table)).all()


def test_a_contrastive_model_takes_lesions_without_a_channel():
    table = make_table(100.0, missing=[1, 2])
    model = SepVAE(common_size=2, salient_size=2, max_epochs=2, random_state=0)
    assert np.isfinite(model.fit(table, np.arange(24) % 2).transform(table)).all()


def test_a_channel_with_some_voxels_of_nan_is_refused():
    table = make_table()
    table.patches[3, 1, 2, 2, 2] = np.nan
    with pytest.raises(ValueError, match=r"1 lesions hold NaN.*\[3\]"):
        CVAE.fit(table)


def test_noise_is_relative_to_each_channel():
    torch.manual_seed(0)
    x = torch.randn(64, 2, 8, 8) * torch.tensor([1.0, 1000.0]).view(1, 2, 1, 1)
    noisy, _ = Augmentation(["noise"])(x, None)
    spread = (noisy - x).transpose(0, 1).flatten(1).std(dim=1)
    torch.testing.assert_close(spread, torch.tensor([0.1, 100.0]), rtol=0.1, atol=0.0)


@pytest.mark.parametrize("view", ["slice", "mip"])
def test_each_channel_is_drawn_in_units_and_a_window_of_its_own(view):
    from nonredundant.displays import LatentAtlasDisplay, ReconstructionDisplay, TraversalDisplay

    table = make_table(1000.0, missing=[1]).replace(provenance={"channels": ["pet", "ct"]})
    model = clone(CVAE).fit(table)
    shown = ReconstructionDisplay.from_estimator(model, table, rows=[0, 1], view=view)
    # The missing image has no row.
    assert shown.channels == ["pet", "ct", "pet"]
    pet, ct, _ = (row[0].images[0].get_clim() for row in shown.axes_)
    assert pet[1] < 20 < 1000 < ct[1]
    assert shown.axes_[0, 3].images[0].get_clim()[1] < 20
    moved = TraversalDisplay.from_estimator(model, table, latents=[0], n_steps=3, view=view)
    assert moved.channels == ["pet", "ct"]
    windows = [moved.axes_[i, 0].images[0].get_clim()[1] for i in (0, 2)]
    assert windows[0] < 20 < 1000 < windows[1]
    atlas = latent_atlas(model, table)
    maps = LatentAtlasDisplay.from_atlas(atlas, view=view)
    assert maps.axes_.size == 4
    assert "dlr00, ct" in maps.axes_.ravel()[1].get_title()
    assert [one.images[0].get_array().max() for one in maps.axes_.ravel()][:2] != [0, 0]
    one = ReconstructionDisplay.from_estimator(model, table, rows=[0], channel=1)
    assert one.channels == ["ct"]
