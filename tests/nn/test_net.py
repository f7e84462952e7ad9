"""`TermNet`: recorded terms, divergence, and the options of the user."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch.utils.data import Dataset

from nonredundant.nn.net import TermNet, build_net, history_of, resolve_device, restored_net, seeded


class Rows(Dataset):
    """Eight rows of ones, collated as whole batches."""

    def __len__(self):
        return 8

    def __getitem__(self, i):
        return self.__getitems__([i])

    def __getitems__(self, positions):
        return torch.ones(len(positions), 2)


class SquareNet(TermNet):
    """Minimises two terms, the second of which is NaN from the third epoch on."""

    fails = False

    def objective(self, batch):
        prediction = self.module_(batch)
        spread = prediction.square().mean()
        if self.fails and len(self.history) >= 3:
            spread = spread * torch.nan
        error = (prediction - 1).square().mean()
        return error + spread, prediction, {"error": error, "spread": spread}


class FailingNet(SquareNet):
    fails = True


class Counter(Callback):
    def __init__(self):
        self.n_epochs = 0

    def on_epoch_end(self, net, **_):
        self.n_epochs += 1


def make_net(kind=SquareNet, *, valid=None, options=None, **settings):
    defaults = {"max_epochs": 4, "batch_size": 4, "lr": 0.01, "verbose": 0}
    module = torch.nn.Linear(2, 1)
    return build_net(kind, module, valid=valid, options=options, **{**defaults, **settings})


def test_history_holds_the_mean_of_each_term_per_epoch():
    net = make_net(valid=Rows()).fit(Rows())
    history = history_of(net)
    terms = ["total", "error", "spread"]
    assert list(history.columns) == [*terms, *(f"valid_{name}" for name in terms)]
    assert history.index.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(history["total"], history["error"] + history["spread"], rtol=1e-6)


def test_a_diverging_term_is_named_with_its_epoch():
    with pytest.raises(FloatingPointError, match="the term 'spread' is .* in epoch 3; lower lr"):
        make_net(FailingNet).fit(Rows())


def test_callbacks_of_the_user_are_added_to_those_of_the_estimator():
    mine, own = Counter(), Counter()
    net = make_net(options={"callbacks": [mine]}, callbacks=[own]).fit(Rows())
    names = [name for name, _ in net.callbacks_]
    assert "terms" in names
    assert mine.n_epochs == own.n_epochs == 4


def test_options_of_the_user_override_the_settings():
    net = make_net(options={"max_epochs": 2, "optimizer": torch.optim.SGD}).fit(Rows())
    assert len(net.history) == 2
    assert isinstance(net.optimizer_, torch.optim.SGD)


def test_without_a_gpu_auto_is_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == "cpu"
    assert resolve_device("cpu:0") == "cpu:0"
    with pytest.raises(ValueError, match="device='gpu' cannot be used .*'auto' takes a GPU"):
        resolve_device("gpu")


def test_seeded_draws_leave_the_global_random_state_unchanged():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with seeded(0):
        first = torch.rand(2)
    with seeded(0):
        assert torch.equal(torch.rand(2), first)
    assert torch.equal(torch.rand(2), expected)


def test_a_restored_net_keeps_the_weights():
    module = torch.nn.Linear(2, 1)
    before = module.weight.detach().clone()
    net = restored_net(module)
    assert net.is_restored
    assert torch.equal(net.module_.weight, before)


class LastStep(SquareNet):
    """The loss is finite in every step; the gradient of the last one is not."""

    def objective(self, batch):
        total, prediction, terms = super().objective(batch)
        if len(self.history) == 4 and len(self.history[-1]["batches"]) == 2:
            total = total + (prediction - prediction.detach()).abs().sum().sqrt()
        return total, prediction, terms


def test_weights_that_the_last_step_broke_are_named():
    with pytest.raises(FloatingPointError, match="last step: the weights 'weight' are no longer"):
        make_net(LastStep).fit(Rows())
