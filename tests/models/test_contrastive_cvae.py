"""`ContrastiveCVAE`, total correlation, and the blocks that make up h."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from nonredundant.contrastive import ContrastiveCVAE
from nonredundant.cvae import NonRedundantCVAE
from nonredundant.independence import TotalCorrelation
from nonredundant.lesions import LesionTable
from nonredundant.nn.contrastive import SalientConditionalVAE
from nonredundant.nn.losses import Batch, gaussian_kl

QUICK = {"max_epochs": 2, "random_state": 0, "device": "cpu"}


# Total correlation -----------------------------------------------------------------------------


def equicorrelated(size, r):
    return np.full((size, size), r) + (1 - r) * np.eye(size)


def draw(correlation, n, seed):
    """Return Gaussian rows of unit variance, and nothing beside them."""
    rng = np.random.default_rng(seed)
    rows = rng.multivariate_normal(np.zeros(len(correlation)), correlation, size=n)
    rows = torch.as_tensor(rows, dtype=torch.float32)
    return rows, rows[:, :0]


@pytest.mark.parametrize(("size", "r"), [(4, 0.0), (2, 0.8), (4, 0.5), (4, 0.8)])
def test_total_correlation_of_gaussians(size, r):
    # KL(N(0, R) || product of its margins) = -1/2 log det R.
    correlation = equicorrelated(size, r)
    nats = -0.5 * np.linalg.slogdet(correlation)[1]
    term = TotalCorrelation(hidden_size=8, lr=1e-2)
    for _ in range(40):
        term.update(*draw(correlation, 3000, 0))
    estimate = term.penalty(*draw(correlation, 3000, 1)).item()
    assert estimate == pytest.approx(nats, abs=0.03 + 0.12 * nats)


def test_total_correlation_sees_what_no_pair_shows():
    # The sign of the third is the product of the others' signs: each pair is independent, and
    # the three share ln 2 nats.
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2000, 3))
    z[:, 2] = np.abs(z[:, 2]) * np.sign(z[:, 0] * z[:, 1])
    rows = torch.as_tensor(z, dtype=torch.float32)
    assert abs(spearmanr(z).statistic[np.triu_indices(3, 1)]).max() < 0.07
    term = TotalCorrelation(lr=1e-2)
    for _ in range(40):
        term.update(rows[:1000], rows[:1000, :0])
    assert 0.3 < term.penalty(rows[1000:], rows[1000:, :0]).item() < math.log(2) + 0.1


def test_total_correlation_knows_neither_place_nor_scale():
    term = TotalCorrelation()
    rows, nothing = draw(equicorrelated(3, 0.7), 500, 0)
    for _ in range(8):
        term.update(rows, nothing)
    moved = rows * torch.tensor([1.0, 5.0, 0.2]) + 3
    torch.testing.assert_close(term.penalty(moved, nothing), term.penalty(rows, nothing))


def make_matrix(n, seed):
    """Return rows that mix three correlated factors into nine columns."""
    rng = np.random.default_rng(seed)
    factors = rng.multivariate_normal(np.zeros(3), equicorrelated(3, 0.7), size=n)
    mixing = np.random.default_rng(99).normal(size=(3, 9))
    return factors @ mixing + 0.1 * rng.normal(size=(n, 9))


def dependence(d):
    """Return the mean absolute rank correlation of the columns."""
    rho = pd.DataFrame(d).corr("spearman").to_numpy()
    return np.abs(rho[np.triu_indices(len(rho), 1)]).mean()


def test_disentangled_latents_are_less_dependent_on_unseen_rows():
    settings = {"dlr_size": 3, "max_epochs": 30, "random_state": 0, "device": "cpu"}
    found = {}
    for weight in (0.0, 0.05):
        cvae = NonRedundantCVAE(disentangle=weight, **settings).fit(make_matrix(400, 0))
        found[weight] = dependence(cvae.transform(make_matrix(1000, 1)))
    assert found[0.05] < 0.15
    assert found[0.0] > 2 * found[0.05]


def test_history_holds_the_total_correlation_where_it_is_asked_for():
    X = make_matrix(60, 0)
    parts = {"beta": 0.5, "disentangle": 3.0}
    history = NonRedundantCVAE(2, **parts, **QUICK).fit(X).history_
    assert {"total_correlation", "valid_total_correlation"} <= set(history)
    weighted = history["reconstruction"] + 0.5 * history["kl"] + 3 * history["total_correlation"]
    np.testing.assert_allclose(history["total"], weighted, rtol=1e-4)
    assert (history["total_correlation"].iloc[1:] != 0).all()
    for off in ({}, {"disentangle": 0.0}):
        assert not [c for c in NonRedundantCVAE(2, **off, **QUICK).fit(X).history_ if "corr" in c]


# The contrastive mode --------------------------------------------------------------------------


def make_module(**parameters):
    torch.manual_seed(0)
    options = {"n_conditions": 2, "n_classes": 2, "conditioning": "plain", **parameters}
    return SalientConditionalVAE(
        shape=(8, 8), n_channels=1, n_latents=3, background_scale=0.2, **options
    )


def make_batch(n=12):
    generator = torch.Generator().manual_seed(0)
    x, h = torch.randn(n, 1, 8, 8, generator=generator), torch.randn(n, 2, generator=generator)
    return Batch(x, None, h, torch.arange(n) % 2, torch.ones(n), torch.arange(n))


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
    """Return lesions of a brightness that h knows; targets add a block of some strength."""
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
def test_classes_of_targets_come_behind_the_background(gamma):
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
def test_a_background_must_be_known(y, message):
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


# What h is made of -----------------------------------------------------------------------------


def make_aged(n, seed):
    """Return lesions whose brightness is one feature and whose core brightens with age."""
    rng = np.random.default_rng(seed)
    age, brightness = rng.uniform(40, 80, size=n), rng.normal(size=n)
    patches = 0.3 * rng.normal(size=(n, 1, 8, 8)) + brightness[:, None, None, None]
    patches[:, :, 2:6, 2:6] += ((age - 60) / 10)[:, None, None, None]
    features = pd.DataFrame({"brightness": brightness})
    return LesionTable(features, patches=patches).join(pd.DataFrame({"age": age})), age


def test_latents_can_be_kept_from_repeating_a_clinical_variable():
    (table, _), (new, age) = make_aged(200, 0), make_aged(300, 1)
    told = {}
    for blocks in (("hcr",), ("hcr", "clinical")):
        cvae = NonRedundantCVAE(
            2, independent_of=blocks, max_epochs=40, random_state=0, device="cpu"
        ).fit(table)
        fused = pd.DataFrame(cvae.transform(new), columns=cvae.get_feature_names_out())
        np.testing.assert_array_equal(fused["age"], age)
        told[blocks] = fused[["dlr00", "dlr01"]].corrwith(fused["age"], method="spearman").abs()
    assert told["hcr",].max() > 0.8
    assert told["hcr", "clinical"].max() < 0.3
    # The decoder is given the age: an older lesion's core is drawn brighter.
    old, young = (
        cvae.sample(new.replace(features=new.features.assign(age=value)), random_state=0)
        for value in (75.0, 45.0)
    )
    assert (old - young)[:, :, 2:6, 2:6].mean() == pytest.approx(3.0, abs=0.7)


def test_clinical_columns_must_be_there_if_named():
    table, _ = make_aged(24, 0)
    alone = table.replace(features=table.features[["brightness"]])
    for X in (alone, make_matrix(24, 0)):
        cvae = NonRedundantCVAE(2, independent_of=("hcr", "clinical"), **QUICK)
        with pytest.raises(ValueError, match=r"names 'clinical', but none of the [01] columns is"):
            cvae.fit(X)
