"""A fit that fails or is interrupted leaves nothing behind; a resumed comparison is whole."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import compare, make_table, make_times
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback

from nonredundant import LesionTable, NonRedundantCVAE
from nonredundant.contrastive import VAE, ContrastiveCVAE, SepVAE
from nonredundant.independence import MIDiscriminator
from nonredundant.models.residualiser import Residualiser
from nonredundant.nn import density_ratio
from nonredundant.patients import LesionGraphClassifier, LesionGraphSurvival

SMALL = {"max_epochs": 2, "random_state": 0, "device": "cpu"}


class Stop(Callback):
    """Ctrl-C in the second epoch."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) > 1:
            raise KeyboardInterrupt


def table(seed, n=24):
    rng = np.random.default_rng(seed)
    features = pd.DataFrame(rng.normal(seed, 1 + seed, size=(n, 3)), columns=list("abc"))
    return LesionTable.from_arrays(features=features, patches=rng.normal(size=(n, 1, 8, 8)))


def outcome(model, n=24):
    if isinstance(model, LesionGraphSurvival):
        return make_times(np.linspace(-1, 1, n))
    return np.arange(n) % 2


MODELS = [
    NonRedundantCVAE(2, **SMALL),
    VAE(2, **SMALL),
    SepVAE(2, 2, **SMALL),
    ContrastiveCVAE(2, **SMALL),
    LesionGraphClassifier(validation_fraction=0, **SMALL),
    LesionGraphSurvival(validation_fraction=0, **SMALL),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_an_interrupted_fit_leaves_no_attribute(model):
    model = type(model)(**model.get_params()).set_params(net_params={"callbacks": [Stop()]})
    with pytest.raises(KeyboardInterrupt):
        model.fit(table(0), outcome(model))
    with pytest.raises(NotFittedError):
        check_is_fitted(model)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_an_interrupted_refit_leaves_the_fitted_model(model):
    """Also its scalers: those of the other cohort would give other outputs."""
    model = type(model)(**model.get_params()).fit(table(0), outcome(model))
    output = getattr(model, "transform", None) or model.predict
    before = output(table(0))
    model.set_params(net_params={"callbacks": [Stop()]})
    with pytest.raises(KeyboardInterrupt):
        model.fit(table(1), outcome(model))
    np.testing.assert_array_equal(output(table(0)), before)


def test_an_interrupt_after_the_training_leaves_the_fitted_model(monkeypatch):
    model = NonRedundantCVAE(2, **SMALL, net_params={"warm_start": True}).fit(table(0))
    before = model.transform(table(0))

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Residualiser, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(table(0))
    np.testing.assert_array_equal(model.transform(table(0)), before)


def test_a_training_that_diverges_leaves_the_fitted_model():
    model = LesionGraphClassifier(validation_fraction=0, **SMALL).fit(table(0), np.arange(24) % 2)
    before = model.predict_proba(table(0))
    with pytest.raises(FloatingPointError):
        model.set_params(lr=1e30, max_epochs=20).fit(table(1), np.arange(24) % 2)
    np.testing.assert_array_equal(model.predict_proba(table(0)), before)


def test_an_interrupted_discriminator_keeps_its_last_fit(monkeypatch):
    rng = np.random.default_rng(0)
    h = rng.normal(size=(200, 1))
    d = h + 0.3 * rng.normal(size=(200, 1))
    model = MIDiscriminator(max_epochs=20, random_state=0).fit(h, d)
    before = model.score(h, d)
    assert before > 0.5

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(density_ratio, "discrimination_loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(5 + 3 * h, d)
    assert model.score(h, d) == before


def test_ctrl_c_while_a_callback_of_skorch_runs_is_no_early_stop():
    # A process that a shell starts in the background ignores Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    space = {"__name__": "skorch.callbacks.busy", "signal": signal}
    exec("def busy(): signal.raise_signal(signal.SIGINT)", space)

    class Busy(Callback):
        def on_epoch_end(self, net, **kwargs):
            space["busy"]()

    model = VAE(2, **SMALL, net_params={"callbacks": [Busy()]})
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(table(0))
    finally:
        signal.signal(signal.SIGINT, before)


class InterruptOnce:
    """An augmentation that presses Ctrl-C at one batch; files count them."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __call__(self, x, mask):
        calls, pressed = Path(self.folder) / "calls", Path(self.folder) / "pressed"
        with calls.open("a") as file:
            file.write("x")
        if calls.stat().st_size > 13 and not pressed.exists():
            pressed.touch()
            raise KeyboardInterrupt
        return x, mask


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_resumed_comparison_equals_an_uninterrupted_one(tmp_path, n_jobs):
    samples, y = make_table(60)
    network = NonRedundantCVAE(2, max_epochs=3, batch_size=20, augment=InterruptOnce(tmp_path))
    settings = {"cvae": network, "feature_sets": ["HCR", "HCR+DLR-MI"], "n_jobs": n_jobs}
    with pytest.raises(KeyboardInterrupt):
        compare(samples, y, **settings, memory=str(tmp_path / "cache"))
    resumed = compare(samples, y, **settings, memory=str(tmp_path / "cache"))
    whole = compare(samples, y, **settings)
    pd.testing.assert_frame_equal(resumed.predictions, whole.predictions, check_exact=True)
    pd.testing.assert_frame_equal(resumed.tests, whole.tests, check_exact=True)
