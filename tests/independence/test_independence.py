"""The terms as training uses them, and the discriminator as an estimator of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone

from nonredundant.cvae import NonRedundantCVAE
from nonredundant.independence import (
    HSIC,
    CrossCovariance,
    DistanceCorrelation,
    MIDiscriminator,
    resolve_independence,
)
from nonredundant.independence.terms import TERMS
from nonredundant.lesions import LesionTable


def draw_gaussians(n, nats, seed, size=5):
    """Return two matrices whose columns are paired Gaussians of a known mutual information."""
    rng = np.random.default_rng(seed)
    r = np.sqrt(1 - np.exp(-2 * nats / size))
    h = rng.normal(size=(n, size))
    return h, r * h + np.sqrt(1 - r * r) * rng.normal(size=(n, size))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("dcor", DistanceCorrelation),
        ("hsic", HSIC),
        ("cross-covariance", CrossCovariance),
        ("density-ratio", MIDiscriminator),
    ],
)
def test_terms_by_name(name, kind):
    assert isinstance(resolve_independence(name), kind)


def test_a_term_is_cloned_and_an_unknown_name_refused():
    term = MIDiscriminator(lr=1e-4)
    assert resolve_independence(term) is not term
    assert resolve_independence(term).lr == 1e-4
    assert resolve_independence(None) is None
    with pytest.raises(ValueError, match="'club' is not a known term: choose one of"):
        resolve_independence("club")


@pytest.mark.parametrize("name", TERMS)
def test_penalty_is_a_scalar_differentiable_in_d(name):
    term = resolve_independence(name)
    term.reset(3, 2, device="cpu", seed=0)
    h, d = torch.randn(32, 3), torch.randn(32, 2, requires_grad=True)
    term.update(h, d.detach())
    penalty = term.penalty(h, d + h[:, :2])
    penalty.backward()
    assert penalty.ndim == 0
    assert torch.isfinite(d.grad).all()


@pytest.mark.parametrize("schedule", ["step", "alternate"])
def test_the_penalty_rises_with_training_on_dependent_rows_alone(schedule):
    values = {}
    for nats in (0.0, 2.0):
        term = MIDiscriminator(schedule=schedule, lr=1e-2)
        term.reset(5, 5, device="cpu", seed=0)
        h, d = map(torch.from_numpy, draw_gaussians(500, nats, seed=0))
        assert term.penalty(h, d).item() == pytest.approx(0, abs=1e-12)
        for _ in range(100 if schedule == "step" else 1):
            term.update(h, d)
        fresh = map(torch.from_numpy, draw_gaussians(500, nats, seed=1))
        values[nats] = term.penalty(*fresh).item()
    assert values[2.0] > 1.0 > 0.6 > values[0.0]


def test_the_penalty_gives_the_discriminator_no_gradient():
    term = MIDiscriminator()
    term.reset(2, 2, device="cpu", seed=0)
    h, d = torch.randn(8, 2), torch.randn(8, 2, requires_grad=True)
    term.update(h, d.detach())
    for parameter in term._network.parameters():
        parameter.grad = None
    term.penalty(h, d).backward()
    assert all(parameter.grad is None for parameter in term._network.parameters())


@pytest.mark.parametrize("nats", [0.1, 0.5, 1.0, 2.0])
def test_mutual_information_of_gaussians(nats):
    discriminator = MIDiscriminator(random_state=0).fit(*draw_gaussians(5000, nats, seed=0))
    estimate = discriminator.score(*draw_gaussians(5000, nats, seed=1))
    assert abs(estimate - nats) <= max(0.03, 0.15 * nats)


@pytest.mark.parametrize("seed", [0, 1])
def test_no_information_under_independence(seed):
    discriminator = MIDiscriminator(random_state=seed).fit(*draw_gaussians(3000, 0.0, seed))
    assert abs(discriminator.score(*draw_gaussians(3000, 0.0, seed + 10))) < 0.02


def test_dependence_without_correlation_is_seen():
    rng = np.random.default_rng(0)
    h = rng.normal(size=(2000, 1))
    d = h**2 + 0.3 * rng.normal(size=(2000, 1))
    discriminator = MIDiscriminator(random_state=0).fit(h[:1500], d[:1500])
    assert discriminator.score(h[1500:], d[1500:]) > 0.4


def test_true_pairs_are_likelier_than_others():
    H, D = draw_gaussians(1000, 1.0, seed=0)
    discriminator = MIDiscriminator(random_state=0).fit(H, D)
    true, other = discriminator.predict_proba(H, D), discriminator.predict_proba(H[::-1], D)
    np.testing.assert_allclose(true.sum(axis=1), 1)
    assert true[:, 1].mean() > other[:, 1].mean() + 0.2


def test_same_seed_same_bits_and_persistence(tmp_path):
    import joblib
    import skops.io

    H, D = draw_gaussians(200, 1.0, seed=0)
    fitted = MIDiscriminator(max_epochs=3, random_state=0).fit(H, D)
    expected = fitted.predict_proba(H, D)
    again = clone(fitted).fit(H, D)
    np.testing.assert_array_equal(again.predict_proba(H, D), expected)
    joblib.dump(fitted, tmp_path / "mi.joblib")
    np.testing.assert_array_equal(joblib.load(tmp_path / "mi.joblib").predict_proba(H, D), expected)
    skops.io.dump(fitted, tmp_path / "mi.skops")
    untrusted = skops.io.get_untrusted_types(file=tmp_path / "mi.skops")
    assert untrusted == ["nonredundant.independence.density_ratio.MIDiscriminator"]
    loaded = skops.io.load(tmp_path / "mi.skops", trusted=untrusted)
    np.testing.assert_array_equal(loaded.predict_proba(H, D), expected)
    assert loaded.score(H, D) == fitted.score(H, D)


def test_other_columns_than_at_fit():
    H, D = draw_gaussians(50, 1.0, seed=0)
    fitted = MIDiscriminator(max_epochs=1, random_state=0).fit(H, D)
    with pytest.raises(ValueError, match="D has 4 columns but had 5 at fit"):
        fitted.score(H, D[:, :4])
    with pytest.raises(ValueError, match="4 features"):
        fitted.score(H[:, :4], D)


@pytest.mark.parametrize("name", [*TERMS, MIDiscriminator(schedule="alternate", n_epochs=5)])
def test_every_term_trains_a_cvae_and_repeats(name):
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(24, 1, 8, 8))
    table = LesionTable.from_arrays(features=patches[:, 0, :2, 0], patches=patches)
    cvae = NonRedundantCVAE(2, independence=name, max_epochs=3, random_state=0, device="cpu")
    first = cvae.fit(table).transform(table)
    np.testing.assert_array_equal(first, clone(cvae).fit(table).transform(table))
    assert (cvae.history_["independence"] != 0).any()


def test_a_term_takes_the_redundancy_out_of_a_linear_network():
    # Patches whose brightness is h: without a term d repeats it, with one it must not.
    rng = np.random.default_rng(0)
    h = rng.normal(size=(200, 1))
    patches = h[:, :, None, None] + 0.5 * rng.normal(size=(200, 1, 8, 8))
    table = LesionTable.from_arrays(features=h, patches=patches)
    correlation = {}
    for name in (None, "dcor", "hsic", "cross-covariance"):
        cvae = NonRedundantCVAE(
            2, independence=name, kappa=1.0, max_epochs=40, random_state=0, output="dlr"
        )
        d = cvae.fit(table).transform(table)
        correlation[name] = np.abs(np.corrcoef(h.T, d.T)[0, 1:]).max()
    assert correlation.pop(None) > 0.5
    assert max(correlation.values()) < 0.3
