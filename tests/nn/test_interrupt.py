"""An interrupt ends a fit at once and leaves nothing half-trained."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from nonredundant import LesionTable, NonRedundantCVAE
from nonredundant.contrastive import VAE, SepVAE
from nonredundant.patients import LesionGraphClassifier


class Interrupt:
    """An augmentation that presses Ctrl-C at its nth batch."""

    def __init__(self, after):
        self.left = after

    def __call__(self, x, mask):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return x, mask


def table(n=16):
    rng = np.random.default_rng(0)
    return LesionTable.from_arrays(
        features=rng.normal(size=(n, 3)), patches=rng.normal(size=(n, 1, 8, 8))
    )


@pytest.mark.parametrize(
    "model",
    [
        NonRedundantCVAE(dlr_size=2, max_epochs=40, random_state=0),
        VAE(2, max_epochs=40, random_state=0),
        SepVAE(2, 2, max_epochs=40, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_an_interrupt_propagates_and_the_model_stays_unfitted(model):
    model.set_params(augment=Interrupt(3))
    with pytest.raises(KeyboardInterrupt):
        model.fit(table(), np.arange(16) % 2)
    with pytest.raises(NotFittedError):
        model.transform(table())


def test_the_graph_is_interrupted_too():
    from skorch.callbacks import Callback

    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    graph = LesionGraphClassifier(max_epochs=9, device="cpu", net_params={"callbacks": [Stop()]})
    with pytest.raises(KeyboardInterrupt):
        graph.fit(table(), np.arange(16) % 2)
    assert not hasattr(graph, "net_")


def test_an_interrupted_warm_start_leaves_the_fitted_network():
    model = NonRedundantCVAE(
        dlr_size=2, max_epochs=2, random_state=0, augment=None, net_params={"warm_start": True}
    )
    before = model.fit(table()).transform(table())
    with pytest.raises(KeyboardInterrupt):
        model.set_params(augment=Interrupt(1)).fit(table())
    np.testing.assert_array_equal(model.transform(table()), before)


def test_an_interrupted_net_is_not_saved_as_a_trained_one(tmp_path):
    from skorch.callbacks import TrainEndCheckpoint

    model = VAE(2, max_epochs=2, random_state=0, device="cpu")
    model.set_params(net_params={"callbacks": [TrainEndCheckpoint(dirname=tmp_path)]})
    with pytest.raises(KeyboardInterrupt):
        model.set_params(augment=Interrupt(1)).fit(table())
    assert not list(tmp_path.iterdir())
    model.set_params(augment=None).fit(table())
    assert (tmp_path / "train_end_params.pt").exists()


def test_early_stopping_is_no_interrupt():
    """Skorch's early stopping ends the training by the exception of Ctrl-C."""
    from skorch.callbacks import EarlyStopping

    stop = EarlyStopping(monitor="total", patience=1, threshold=10.0)
    options = {"callbacks": [stop]}
    model = NonRedundantCVAE(dlr_size=2, max_epochs=30, random_state=0, net_params=options)
    assert len(model.fit(table()).history_) < 30


def test_the_bar_of_an_interrupted_training_is_closed(monkeypatch):
    from nonredundant.utils import progress

    monkeypatch.setattr(progress, "_is_watched", lambda: True)
    model = VAE(2, max_epochs=40, augment=Interrupt(3), random_state=0)
    made = []
    monkeypatch.setattr(
        "nonredundant.nn.callbacks.progress",
        lambda *args, **settings: made.append(progress.progress(*args, **settings)) or made[-1],
    )
    with pytest.raises(KeyboardInterrupt):
        model.fit(table())
    assert len(made) == 1
    assert made[0].disable
