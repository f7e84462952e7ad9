"""The table of terms, and what every term does in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, clone

from nonredundant import independence
from nonredundant.cvae import NonRedundantCVAE
from nonredundant.independence import MIDiscriminator, resolve_independence
from nonredundant.independence.terms import TERMS
from nonredundant.lesions import LesionTable


def penalty_after_training(name, h, d):
    """Return the penalty of new rows, after 100 updates with others if the term is trained."""
    term = resolve_independence(name)
    term.reset(1, 1, device="cpu", seed=0)
    for _ in range(100):
        term.update(h[:200], d[:200])
    return float(term.penalty(h[200:], d[200:]))


@pytest.mark.parametrize("name", TERMS)
def test_each_term_is_about_zero_at_independence_and_grows_with_dependence(name):
    generator = torch.Generator().manual_seed(0)
    h, noise = torch.randn(2, 400, 1, generator=generator)
    apart, weak, strong = (
        penalty_after_training(name, h, r * h + (1 - r**2) ** 0.5 * noise) for r in (0, 0.7, 0.98)
    )
    assert abs(apart) < 0.1
    assert apart + 0.1 < weak < strong


@pytest.mark.parametrize("name", TERMS)
def test_each_term_is_a_public_class_of_its_package(name):
    assert type(resolve_independence(name)).__name__ in independence.__all__


def test_a_term_is_cloned_and_an_unknown_name_refused():
    term = MIDiscriminator(lr=1e-4)
    assert resolve_independence(term) is not term
    assert resolve_independence(term).lr == 1e-4
    assert resolve_independence(None) is None
    with pytest.raises(ValueError, match="'club' is not a known term: choose one of"):
        resolve_independence("club")


def test_a_term_must_state_how_it_is_trained():
    class Silent(BaseEstimator):
        def reset(self, *sizes, **options): ...
        def update(self, h, d): ...
        def penalty(self, h, d):
            return d.square().mean()

    with pytest.raises(ValueError, match=r"Silent\(\) needs an attribute `fit_mode`"):
        resolve_independence(Silent())
    Silent.fit_mode = "closed-form"
    assert isinstance(resolve_independence(Silent()), Silent)


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
    closed = [name for name in TERMS if resolve_independence(name).fit_mode == "closed-form"]
    for name in (None, *closed):
        cvae = NonRedundantCVAE(
            2,
            independence=name,
            kappa=1.0,
            residualise=False,
            max_epochs=40,
            random_state=0,
            output="dlr",
        )
        d = cvae.fit(table).transform(table)
        correlation[name] = np.abs(np.corrcoef(h.T, d.T)[0, 1:]).max()
    assert correlation.pop(None) > 0.5
    assert max(correlation.values()) < 0.3
