"""The density-ratio discriminator as a term of training and as an estimator."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from pairs_for_tests import correlated_gaussians
from sklearn.base import clone

from nonredundant.independence import MIDiscriminator


@pytest.mark.parametrize("schedule", ["step", "alternate"])
def test_the_penalty_rises_with_training_on_dependent_rows_alone(schedule):
    values = {}
    for nats in (0.0, 2.0):
        term = MIDiscriminator(schedule=schedule, lr=1e-2)
        term.reset(5, 5, device="cpu", seed=0)
        h, d = map(torch.from_numpy, correlated_gaussians(500, nats, size=5, seed=0))
        assert term.penalty(h, d).item() == pytest.approx(0, abs=1e-12)
        for _ in range(100 if schedule == "step" else 1):
            term.update(h, d)
        fresh = map(torch.from_numpy, correlated_gaussians(500, nats, size=5, seed=1))
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
    discriminator = MIDiscriminator(random_state=0).fit(
        *correlated_gaussians(5000, nats, size=5, seed=0)
    )
    estimate = discriminator.score(*correlated_gaussians(5000, nats, size=5, seed=1))
    assert abs(estimate - nats) <= max(0.03, 0.15 * nats)


@pytest.mark.parametrize("seed", [0, 1])
def test_no_information_under_independence(seed):
    discriminator = MIDiscriminator(random_state=seed).fit(
        *correlated_gaussians(3000, 0.0, size=5, seed=seed)
    )
    assert abs(discriminator.score(*correlated_gaussians(3000, 0.0, size=5, seed=seed + 10))) < 0.02


def test_dependence_without_correlation_is_seen():
    rng = np.random.default_rng(0)
    h = rng.normal(size=(2000, 1))
    d = h**2 + 0.3 * rng.normal(size=(2000, 1))
    discriminator = MIDiscriminator(random_state=0).fit(h[:1500], d[:1500])
    assert discriminator.score(h[1500:], d[1500:]) > 0.4


def test_true_pairs_are_likelier_than_others():
    H, D = correlated_gaussians(1000, 1.0, size=5, seed=0)
    discriminator = MIDiscriminator(random_state=0).fit(H, D)
    true, other = discriminator.predict_proba(H, D), discriminator.predict_proba(H[::-1], D)
    np.testing.assert_allclose(true.sum(axis=1), 1)
    assert true[:, 1].mean() > other[:, 1].mean() + 0.2


def test_same_seed_same_bits_and_persistence(tmp_path):
    import joblib
    import skops.io

    H, D = correlated_gaussians(200, 1.0, size=5, seed=0)
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
    H, D = correlated_gaussians(50, 1.0, size=5, seed=0)
    fitted = MIDiscriminator(max_epochs=1, random_state=0).fit(H, D)
    with pytest.raises(ValueError, match="D has 4 columns but had 5 at fit"):
        fitted.score(H, D[:, :4])
    with pytest.raises(ValueError, match="4 features"):
        fitted.score(H[:, :4], D)


@pytest.mark.parametrize("lr", [1.0, 10.0, 1e3])
def test_a_training_that_broke_down_is_no_independence(lr):
    H = np.random.default_rng(0).normal(size=(200, 3))
    with pytest.warns(UserWarning, match=f"lr={lr:g} its training loss was .* lower lr"):
        assert MIDiscriminator(lr=lr, random_state=0).fit(H, H).score(H, H) == 0


@pytest.mark.parametrize("lr", [1e10, 1e30])
def test_a_loss_that_is_no_number_is_an_error_that_names_the_rate(lr):
    H = np.random.default_rng(0).normal(size=(200, 3))
    model = MIDiscriminator(lr=lr, random_state=0)
    with pytest.raises(FloatingPointError, match=r"training diverged: .* lower lr \(now 1e\+"):
        model.fit(H, H)
    assert not hasattr(model, "network_")


def test_a_rate_too_low_to_learn_is_named():
    H = np.random.default_rng(0).normal(size=(200, 3))
    with pytest.warns(UserWarning, match="hardly trained: .* lr=1e-09 .* raise lr"):
        MIDiscriminator(lr=1e-9, random_state=0).fit(H, H)


@pytest.mark.parametrize("lr", [3e-3, 3e-2, 0.1])
@pytest.mark.parametrize("n", [10, 60, 400])
def test_independent_rows_raise_no_warning(n, lr):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        H, D = rng.normal(size=(n, 3)), rng.standard_t(3, size=(n, 2))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            MIDiscriminator(lr=lr, random_state=seed).fit(H, D)


def test_messages_call_the_sides_h_and_d():
    H = np.random.default_rng(0).normal(size=(20, 2))
    bad = H.copy()
    bad[[3, 7], 1] = np.nan, np.inf
    for pair, name in [((bad, H), "H"), ((H, bad), "D")]:
        with pytest.raises(ValueError, match=rf"^{name} has NaN or inf.* in 2 of 20 .*\[3, 7\]"):
            MIDiscriminator().fit(*pair)
    with pytest.raises(ValueError, match="H has 20 rows but D has 19"):
        MIDiscriminator().fit(H, H[1:])
    with pytest.raises(ValueError, match="D is None"):
        MIDiscriminator().fit(H, None)
