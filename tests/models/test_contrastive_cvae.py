"""`ContrastiveCVAE`: the objective against closed forms, and the estimator in use."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from nonredundant.contrastive import ContrastiveCVAE
from nonredundant.lesions import LesionTable
from nonredundant.nn.contrastive import SalientConditionalVAE
from nonredundant.nn.losses import Batch, gaussian_kl

QUICK = {"max_epochs": 2, "random_state": 0, "device": "cpu"}


def make_module(**parameters):
    torch.manual_seed(0)
    options = {"n_conditions": 2, "n_classes": 2, "conditioning": "plain", **parameters}
    return SalientConditionalVAE(
        shape=(8, 8), n_channels=1, n_latents=3, background_scale=0.2, **options
    )


def make_batch(n=12):
    generator = torch.Generator().manual_seed(0)
    x, h = torch.randn(n, 1, 8, 8, generator=generator), torch.randn(n, 2, generator=generator)
    return Batch(x, None, h, torch.arange(n) % 2, torch.ones(n))


def test_the_background_is_decoded_from_h_alone():
    module, batch = make_module(), make_batch()
    seen = []
    module.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    module.objective(batch, None)
    h, d = seen[0].split((2, 3), dim=1)
    torch.testing.assert_close(h, batch.h)
    assert (d[batch.y == 0] == 0).all()
    assert (d[batch.y == 1] != 0).all()


def test_the_prior_of_the_background_is_narrow():
    module, batch = make_module(), make_batch()
    terms, d = module.objective(batch, None)
    qd = module.posterior(batch)
    parts = [
        gaussian_kl(qd.mean[batch.y == y], qd.log_variance[batch.y == y], scale)
        for y, scale in ((0, 0.2), (1, 1.0))
    ]
    torch.testing.assert_close(terms.kl, torch.cat(parts).mean())
    torch.testing.assert_close(d, qd.mean)


@pytest.mark.parametrize("conditioning", ["plain", "gated"])
def test_elbo_is_the_larger_bound_of_both_labels(conditioning):
    module, batch = make_module(conditioning=conditioning), make_batch()
    qd = module.posterior(batch)
    bounds = []
    for scale, d in ((0.2, torch.zeros_like(qd.mean)), (1.0, qd.mean)):
        error = (batch.x - module.generative(d, batch.h)).square().flatten(1).sum(1)
        bounds.append(-(error + 0.1 * gaussian_kl(*qd, scale)))
    torch.testing.assert_close(module.elbo(batch, 0.1), torch.maximum(*bounds))


def test_only_targets_are_disentangled():
    # A mixture of a narrow and a wide population has no independent columns.
    module, batch = make_module(), make_batch()
    d = torch.randn(12, 3)
    rows, nothing = module.within(batch, d)
    torch.testing.assert_close(rows, d[1::2])
    assert nothing.shape == (6, 0)


def make_cohort(n=200, seed=0):
    """Return lesions of a brightness that h holds; targets add a block of varying strength."""
    rng = np.random.default_rng(seed)
    brightness, strength = rng.normal(size=n), rng.normal(size=n)
    y = np.arange(n) % 2
    patches = 0.2 * rng.normal(size=(n, 1, 8, 8)) + brightness[:, None, None, None]
    patches[:, :, 2:5, 2:5] += (y * (2 + strength))[:, None, None, None]
    table = LesionTable.from_arrays(features=brightness[:, None], patches=patches)
    return table, y, strength


@pytest.fixture(scope="module")
def separated():
    table, y, _ = make_cohort()
    model = ContrastiveCVAE(2, max_epochs=30, random_state=0, device="cpu", output="dlr")
    return model.fit(table, y)


def test_latents_hold_what_targets_add(separated):
    table, y, strength = make_cohort(seed=1)
    d, h = separated.transform(table), table.features.to_numpy()
    target = y == 1
    # The background's prior is a tenth as wide.
    assert d[~target].std() < 0.3 * d[target].std()
    told = np.abs(spearmanr(np.column_stack([strength, h])[target], d[target]).statistic[:2, 2:])
    assert told[0].max() > 0.8
    assert told[1].max() < 0.3


def test_without_latents_a_target_becomes_background(separated):
    table, y, strength = make_cohort(seed=1)
    added = separated.reconstruct(table) - separated.reconstruct(table, salient=False)
    block, outside = added[:, 0, 2:5, 2:5], added[:, 0, 5:, 5:]
    assert block[y == 1].mean() == pytest.approx((2 + strength[y == 1]).mean(), abs=0.4)
    assert abs(outside[y == 1].mean()) < 0.3
    assert abs(block[y == 0].mean()) < 0.3


@pytest.mark.parametrize("gamma", [0.0, 1.0])
def test_classes_of_targets_follow_the_background(gamma):
    table, y, _ = make_cohort(24)
    labels = np.where(y == 0, 0, 2 + np.arange(24) % 4)
    cvae = ContrastiveCVAE(2, gamma=gamma, **QUICK).fit(table, labels)
    assert cvae.classes_.tolist() == [0, 3, 5]
    assert (cvae.history_["label"] > 0).all() == (gamma > 0)
    assert cvae._augmentation(cvae._read(table, reset=False)) is None


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        (np.tile([0.0, 1.0, np.nan], 8), "8 samples have no label.*position 2"),
        (np.ones(24), "0 samples of background"),
        (np.tile([0, 1], 3), "6 labels but there are 24 samples"),
    ],
)
def test_every_sample_needs_a_label_and_both_groups_exist(y, message):
    with pytest.raises(ValueError, match=message):
        ContrastiveCVAE(2, **QUICK).fit(make_cohort(24)[0], y)


def test_a_background_needs_features_to_be_decoded_from():
    table, y, _ = make_cohort(24)
    bare = LesionTable.from_arrays(patches=table.patches)
    with pytest.raises(ValueError, match=r"no usable features in the blocks \('hcr',\)"):
        ContrastiveCVAE(2, **QUICK).fit(bare, y)
    with pytest.raises(ValueError, match="'conditioning' parameter of ContrastiveCVAE"):
        ContrastiveCVAE(2, conditioning=None, **QUICK).fit(table, y)


def test_everything_together_persists(tmp_path):
    import joblib
    import skops.io

    table, y, _ = make_cohort(24)
    cvae = ContrastiveCVAE(2, gamma=1.0, disentangle=0.01, **QUICK).fit(table, y)
    joblib.dump(cvae, tmp_path / "cvae.joblib")
    skops.io.dump(cvae, tmp_path / "cvae.skops")
    untrusted = skops.io.get_untrusted_types(file=tmp_path / "cvae.skops")
    assert all(name.startswith("nonredundant.") for name in untrusted), untrusted
    again = skops.io.load(tmp_path / "cvae.skops", trusted=untrusted)
    for loaded in (joblib.load(tmp_path / "cvae.joblib"), again):
        np.testing.assert_array_equal(loaded.transform(table), cvae.transform(table))
        np.testing.assert_array_equal(loaded.score_samples(table), cvae.score_samples(table))
        pd.testing.assert_frame_equal(loaded.history_, cvae.history_)
