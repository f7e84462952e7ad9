"""VAE, ContrastiveVAE and SepVAE: objectives against closed forms, and the estimators in use."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from nonredundant.contrastive import VAE, ContrastiveVAE, SepVAE
from nonredundant.lesions import LesionTable
from nonredundant.nn.contrastive import (
    ContrastiveVAEModule,
    SepVAEModule,
    mean_discrepancy,
)
from nonredundant.nn.losses import Batch, gaussian_kl
from nonredundant.utils.validation import InvalidParameterError

QUICK = {"max_epochs": 2, "random_state": 0, "device": "cpu"}
LABELLED = [SepVAE(2, 2, **QUICK), ContrastiveVAE(2, 2, moment_matching=0.1, **QUICK)]
MODELS = [VAE(3, **QUICK), *LABELLED]


def name_of(estimator):
    return type(estimator).__name__


def make_table(n=24, shape=(8, 8), seed=0, **parts):
    """Return noise whose odd lesions, the targets, have a bright block, and the labels."""
    rng = np.random.default_rng(seed)
    patches = rng.normal(size=(n, 1, *shape)) + rng.normal(size=(n, *[1] * (len(shape) + 1)))
    y = np.arange(n) % 2
    block = (slice(None), slice(None), *[slice(2, 5)] * len(shape))
    patches[block] += 2.0 * y.reshape(n, *[1] * (len(shape) + 1))
    return LesionTable.from_arrays(patches=patches, **parts), y


def make_batch(n=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, 8, 8, generator=generator)
    y = torch.arange(n) % 2
    return Batch(x, None, torch.zeros(n, 0), y, torch.ones(n))


def make_sep(**parameters):
    torch.manual_seed(0)
    options = {"n_classes": 2, "background_scale": 0.1, "additive": False, **parameters}
    return SepVAEModule(shape=(8, 8), n_channels=1, n_common=3, n_salient=2, **options)


def make_con():
    torch.manual_seed(0)
    return ContrastiveVAEModule(shape=(8, 8), n_channels=1, n_common=3, n_salient=2)


# Objectives ------------------------------------------------------------------------------------


def test_the_background_is_decoded_without_its_salient_latents():
    for module in (make_sep(), make_con()):
        batch = make_batch()
        background = batch._replace(y=torch.zeros_like(batch.y))
        torch.manual_seed(0)
        terms, _ = module.objective(background, None)
        terms.reconstruction.backward()
        assert all(p.grad is None or not p.grad.any() for p in module.salient_encoder.parameters())
        decoded = []
        module.decoder.register_forward_pre_hook(
            lambda _, inputs, seen=decoded: seen.append(inputs[0])
        )
        torch.manual_seed(0)
        module.objective(batch, None)
        assert (decoded[0][batch.y == 0, 3:] == 0).all()
        assert (decoded[0][batch.y == 1, 3:] != 0).all()


def test_in_an_additive_model_the_salient_part_is_added_and_nothing_at_zero():
    module = make_sep(additive=True)
    c, s = torch.randn(5, 3), torch.randn(5, 2)
    plain = module.generative(torch.cat([c, torch.zeros_like(s)], 1))
    torch.testing.assert_close(plain, module.decoder(c))
    other = module.generative(torch.cat([torch.randn(5, 3), torch.zeros_like(s)], 1))
    added = module.generative(torch.cat([c, s], 1)) - plain
    assert added.std() > 0.01
    assert not torch.allclose(other, plain)
    torch.testing.assert_close(module.added(s), added)


def test_in_an_additive_model_common_latents_encode_the_residual_of_salient_ones():
    module, batch = make_sep(additive=True), make_batch()
    mask = torch.rand(12, 1, 8, 8) > 0.3
    x_star = batch.x * mask
    qc, qs = module.posteriors(x_star, mask)
    left = x_star - module.added(qs.mean) * mask
    torch.testing.assert_close(qc.mean, module.common_encoder(left).chunk(2, 1)[0])
    assert not torch.allclose(qc.mean, module.common_encoder(x_star).chunk(2, 1)[0])


def test_the_classifier_reads_one_salient_latent_a_class_of_target():
    module, batch = make_sep(additive=True), make_batch()
    module.objective(batch, None)[0].label.backward()
    gradient = module.salient_encoder.head.weight.grad[:2]
    assert gradient[0].any()
    assert not gradient[1].any()


def test_salient_prior_of_sepvae_is_narrow_for_the_background():
    module, batch = make_sep(background_scale=0.2), make_batch()
    terms, z = module.objective(batch, None)
    qs = module.posteriors(batch.x, None)[1]
    target = batch.y == 1
    expected = torch.cat(
        [
            gaussian_kl(qs.mean[target], qs.log_variance[target], 1.0),
            gaussian_kl(qs.mean[~target], qs.log_variance[~target], 0.2),
        ]
    ).mean()
    torch.testing.assert_close(terms.extra["salient_kl"], expected)
    torch.testing.assert_close(z[:, 3:], qs.mean)


def test_contrastive_vae_leaves_the_background_out_of_the_salient_divergence():
    module, batch = make_con(), make_batch()
    terms, _ = module.objective(batch, None)
    qs = module.posteriors(batch.x, None)[1]
    expected = gaussian_kl(qs.mean, qs.log_variance)[batch.y == 1].sum() / len(batch.y)
    torch.testing.assert_close(terms.extra["salient_kl"], expected)


def test_the_independence_term_sees_common_and_salient_means():
    seen = []

    def penalty(h, d):
        seen.append((h, d))
        return h.sum() * 0.0

    batch = make_batch()
    sep, con = make_sep(), make_con()
    sep.objective(batch, penalty)
    con.objective(batch, penalty)
    (c, s), (c_target, s_target) = seen
    assert (c.shape, s.shape) == ((12, 3), (12, 2))
    assert (c_target.shape, s_target.shape) == ((6, 3), (6, 2))
    torch.testing.assert_close(c, sep.posteriors(batch.x, None)[0].mean)


def test_the_fader_is_the_dependence_of_common_latents_and_label():
    module, batch = make_sep(), make_batch(200)
    unrelated = module.objective(batch, None)[0].extra["fader"].item()
    related = batch._replace(x=batch.x + 30.0 * batch.y[:, None, None, None])
    terms, _ = module.objective(related, None)
    assert abs(unrelated) < 0.05
    assert terms.extra["fader"].item() > 0.5
    terms.extra["fader"].backward()
    assert all(p.grad is None for p in module.salient_encoder.parameters())
    few = batch._replace(x=batch.x[:3], y=batch.y[:3], weight=batch.weight[:3])
    assert module.objective(few, None)[0].extra["fader"].item() == 0


def test_elbo_is_the_larger_bound_of_both_labels():
    module, batch = make_sep(), make_batch()
    qc, qs = module.posteriors(batch.x, None)
    bounds = []
    for scale, s in ((0.1, torch.zeros_like(qs.mean)), (1.0, qs.mean)):
        error = (batch.x - module.generative(torch.cat([qc.mean, s], 1))).square().flatten(1).sum(1)
        bounds.append(-(error + 0.01 * (gaussian_kl(*qc) + gaussian_kl(*qs, scale))))
    torch.testing.assert_close(module.elbo(batch, 0.01), torch.maximum(*bounds))


def test_mean_discrepancy_of_two_points_is_that_of_the_kernels():
    # k(0) + k(0) - 2 k(distance), with the squared distance 2 in units of twice one latent.
    expected = 2 - 2 * np.mean([np.exp(-1.0 / width) for width in (0.01, 0.1, 1.0, 10.0)])
    a, b = torch.zeros(1, 1), torch.full((1, 1), 2.0**0.5)
    assert mean_discrepancy(a, b).item() == pytest.approx(expected, rel=1e-6)


def test_mean_discrepancy_falls_to_zero_with_more_of_the_same():
    torch.manual_seed(0)
    few, many = (mean_discrepancy(torch.randn(n, 2), torch.randn(n, 2)).item() for n in (20, 2000))
    shifted = mean_discrepancy(torch.randn(2000, 2), torch.randn(2000, 2) + 1).item()
    assert many < few / 5
    assert shifted > 20 * many
    assert mean_discrepancy(torch.zeros(0, 2), torch.zeros(3, 2)).item() == 0


# Estimators ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=name_of)
@pytest.mark.parametrize("shape", [(8, 8), (9, 20), (8, 9, 10)])
def test_any_grid(model, shape):
    table, y = make_table(12, shape)
    model = clone(model).fit(table, y)
    assert model.transform(table).shape == (12, len(model.get_feature_names_out()))
    assert model.reconstruct(table).shape == table.patches.shape
    assert model.traverse(table[:2], -1).shape == (2, 7, *table.patches.shape[1:])
    assert model.score_samples(table).shape == (12,)


@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_same_seed_same_bits(model):
    table, y = make_table()
    first, second = clone(model).fit(table, y), clone(model).fit(table, y)
    np.testing.assert_array_equal(first.transform(table), second.transform(table))
    pd.testing.assert_frame_equal(first.history_, second.history_)


def test_vae_is_the_cvae_without_features():
    from nonredundant.cvae import NonRedundantCVAE

    table, _ = make_table()
    settings = {**QUICK, "max_epochs": 3}
    vae = VAE(3, **settings).fit(table)
    cvae = NonRedundantCVAE(3, **settings).fit(table)
    np.testing.assert_array_equal(vae.transform(table), cvae.transform(table))
    np.testing.assert_array_equal(vae.score_samples(table), cvae.score_samples(table))


@pytest.mark.parametrize("model", LABELLED, ids=name_of)
def test_outputs_are_named_parts_of_both(model):
    table, y = make_table()
    model = clone(model).fit(table, y)
    both = model.transform(table)
    names = ["common00", "common01", "salient00", "salient01"]
    assert model.get_feature_names_out().tolist() == names
    np.testing.assert_array_equal(model.set_params(output="common").transform(table), both[:, :2])
    np.testing.assert_array_equal(model.set_params(output="salient").transform(table), both[:, 2:])
    assert model.get_feature_names_out().tolist() == names[2:]


@pytest.mark.parametrize(
    ("model", "weights"),
    [
        (
            SepVAE(2, 2, beta=0.5, salient_beta=0.25, kappa=2, gamma=3, fader=4, **QUICK),
            {"kl": 0.5, "salient_kl": 0.25, "independence": 2, "label": 3, "fader": 4},
        ),
        (
            ContrastiveVAE(
                2, 2, beta=0.5, independence="hsic", kappa=2, moment_matching=3, **QUICK
            ),
            {"kl": 0.5, "salient_kl": 0.5, "independence": 2, "moments": 3},
        ),
    ],
    ids=["SepVAE", "ContrastiveVAE"],
)
def test_history_holds_every_term_and_their_weighted_sum(model, weights):
    table, y = make_table()
    held_out = {"validation_fraction": 0.2}
    history = clone(model).set_params(net_params=held_out).fit(table, y).history_
    expected = history["reconstruction"] + sum(w * history[name] for name, w in weights.items())
    np.testing.assert_allclose(history["total"], expected, rtol=1e-4)
    assert (history[list(weights)] != 0).all(axis=None)
    assert {f"valid_{name}" for name in weights} <= set(history)


def test_swapping_with_oneself_is_reconstruction():
    table, y = make_table()
    model = SepVAE(2, 2, **QUICK).fit(table, y)
    np.testing.assert_array_equal(model.swap(table, table), model.reconstruct(table))
    np.testing.assert_allclose(
        model.swap(table, table[::-1])[::-1], model.swap(table[::-1], table), rtol=1e-4, atol=1e-4
    )
    with pytest.raises(ValueError, match="one side has 24 and the other 3"):
        model.swap(table, table[:3])


@pytest.fixture(scope="module")
def separated():
    table, y = make_table(200)
    return SepVAE(4, 2, max_epochs=40, lr=1e-2, random_state=0, device="cpu").fit(table, y)


def test_without_salient_latents_a_target_becomes_background(separated):
    model, (table, y) = separated, make_table(200)
    block = (slice(None), 0, slice(2, 5), slice(2, 5))
    outside = (slice(None), 0, slice(5, 8), slice(5, 8))
    added = model.reconstruct(table) - model.reconstruct(table, salient=False)
    assert added[block][y == 1].mean() == pytest.approx(2.0, abs=0.5)
    assert abs(added[outside][y == 1].mean()) < 0.3
    assert abs(added[block][y == 0].mean()) < 0.3


def test_salient_latents_separate_targets_and_common_ones_do_not(separated):
    table, y = make_table(200)
    new, y_new = make_table(200, seed=1)
    score = {}
    for part in ("common", "salient"):
        model = copy.deepcopy(separated).set_params(output=part)
        classifier = LogisticRegression().fit(model.transform(table), y)
        score[part] = classifier.score(model.transform(new), y_new)
    assert score["salient"] > 0.95
    assert score["common"] < 0.7


def test_several_classes_of_target():
    table, _ = make_table()
    y = np.tile([0, 1, 2, 5], 6)
    model = SepVAE(2, 2, **QUICK).fit(table, y)
    assert model.classes_.tolist() == [0, 1, 2, 5]
    assert model.net_.module_.classifier.out_features == 4


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        ([0, 1, np.nan] * 8, "8 samples have no label.*first at position 2.*leave these"),
        ([0, 1, -1] * 8, "8 samples have no label"),
        ([0] * 24, r"24 samples of background \(0\) and 0 targets"),
        ([2] * 24, r"0 samples of background \(0\) and 24 targets"),
        ([0, 1], "2 labels but there are 24 samples"),
    ],
)
def test_labels_without_background_or_target_are_refused(y, message):
    table, _ = make_table()
    with pytest.raises(ValueError, match=message):
        SepVAE(2, 2, **QUICK).fit(table, y)


@pytest.mark.parametrize("model", LABELLED, ids=name_of)
def test_of_labels_without_0_the_lowest_is_the_background_with_a_warning(model):
    table, y = make_table()
    usual = clone(model).fit(table, y).transform(table)
    with pytest.warns(UserWarning, match="no label 0.*lowest label, 1, .*background of 12 samples"):
        shifted = clone(model).fit(table, y + 1)
    assert shifted.classes_.tolist() == [1, 2]
    np.testing.assert_array_equal(shifted.transform(table), usual)


def test_lesions_of_a_sample_share_its_label():
    table, _ = make_table(sample=np.repeat(np.arange(8), 3))
    latents = SepVAE(2, 2, **QUICK).fit_transform(table, np.arange(8) % 2)
    assert isinstance(latents, LesionTable)
    assert (len(latents), latents.n_lesions) == (8, 24)
    assert list(latents.columns) == ["common00", "common01", "salient00", "salient01"]


@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_persistence_is_bitwise_and_trusts_this_package_alone(model, tmp_path):
    import joblib
    import skops.io

    table, y = make_table()
    pipeline = make_pipeline(clone(model), LogisticRegression()).fit(table, y)
    expected = pipeline.predict_proba(table)
    joblib.dump(pipeline, tmp_path / "pipeline.joblib")
    np.testing.assert_array_equal(
        joblib.load(tmp_path / "pipeline.joblib").predict_proba(table), expected
    )
    skops.io.dump(pipeline, tmp_path / "pipeline.skops")
    untrusted = skops.io.get_untrusted_types(file=tmp_path / "pipeline.skops")
    assert all(name.startswith("nonredundant.") for name in untrusted), untrusted
    loaded = skops.io.load(tmp_path / "pipeline.skops", trusted=untrusted)
    np.testing.assert_array_equal(loaded.predict_proba(table), expected)
    np.testing.assert_array_equal(loaded[0].reconstruct(table), pipeline[0].reconstruct(table))


def test_collapsed_latents_are_named():
    table, _ = make_table()
    with pytest.warns(UserWarning, match="3 of 3 latents are collapsed.*latent00.*lower beta"):
        model = VAE(3, beta=100.0, max_epochs=30, random_state=0, device="cpu").fit(table)
    assert model.dead_latents_ == ["latent00", "latent01", "latent02"]


def test_draws_follow_the_seed():
    table, _ = make_table()
    vae = VAE(3, **QUICK).fit(table)
    first, second, other = (vae.sample(5, random_state=seed) for seed in (0, 0, 1))
    assert first.shape == (5, 1, 8, 8)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("model", "parameter"),
    [
        (VAE(0), "latent_size"),
        (SepVAE(0), "common_size"),
        (SepVAE(background_scale=0.0), "background_scale"),
        (SepVAE(fader=-1.0), "fader"),
        (SepVAE(output="fused"), "output"),
        (ContrastiveVAE(moment_matching=-1.0), "moment_matching"),
        (ContrastiveVAE(independence="mutual"), "independence"),
    ],
)
def test_parameters_out_of_range(model, parameter):
    table, y = make_table()
    with pytest.raises(InvalidParameterError, match=parameter):
        model.fit(table, y)


def test_an_unknown_latent_is_refused():
    table, y = make_table()
    with pytest.raises(ValueError, match="one of 4 latents, got 4"):
        SepVAE(2, 2, **QUICK).fit(table, y).traverse(table, 4)
