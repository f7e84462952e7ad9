"""States of estimators as arrays: round trips and the format number."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import Callback

from nonredundant import LesionTable, NonRedundantCVAE
from nonredundant.nn.state import FORMAT, arrays_of, pack, set_arrays, unpack


class Noting(Callback):
    """A callback that notes something in an attribute, as users write them."""

    def on_epoch_end(self, net, **kwargs):
        self.seen = len(net.history)


def make_module(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))


def make_state():
    history = pd.DataFrame({"total": [2.0, 1.0]}, index=pd.RangeIndex(1, 3, name="epoch"))
    net = SimpleNamespace(module_=make_module(0))
    return {"lr": 0.1, "net_": net, "history_": history}


def test_arrays_round_trip_bitwise_and_keep_their_types():
    first, second = make_module(0), make_module(1)
    set_arrays(second, arrays_of(first))
    for name, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name
    set_arrays(second, {"0.bias": np.arange(4.0, dtype=np.float64)})
    assert second[0].bias.dtype == torch.float32
    assert second[0].bias.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert torch.equal(second[0].weight, first[0].weight)


def test_a_packed_state_holds_arrays_and_is_restored():
    state = make_state()
    packed = pack(state)
    assert set(state) == {"lr", "net_", "history_"}
    assert packed["_format"] == FORMAT
    assert not {"net_", "history_"} & set(packed)
    rest, weights = unpack(packed)
    assert set(rest) == {"lr", "history_"}
    pd.testing.assert_frame_equal(rest["history_"], state["history_"])
    for name, value in arrays_of(state["net_"].module_).items():
        np.testing.assert_array_equal(weights[name], value)


def test_the_state_of_an_unfitted_estimator_is_unchanged():
    assert pack({"lr": 0.1}) == {"lr": 0.1}
    assert unpack({"lr": 0.1}) == ({"lr": 0.1}, None)


@pytest.mark.parametrize("number", [None, FORMAT - 1, FORMAT + 1])
def test_another_format_number_is_refused(number):
    packed = pack(make_state()) | {"_format": number}
    with pytest.raises(ValueError, match=f"has format {number}, but .* reads format {FORMAT}"):
        unpack(packed)


def test_a_callback_of_the_users_with_attributes_of_its_own_is_pickled():
    rng = np.random.default_rng(0)
    table = LesionTable.from_arrays(patches=rng.normal(size=(8, 1, 8, 8)))
    options = {"callbacks": [Noting()]}
    model = NonRedundantCVAE(2, max_epochs=1, net_params=options, device="cpu").fit(table)
    assert model.net_params["callbacks"][0].seen == 1
    copied = pickle.loads(pickle.dumps(model))
    assert not hasattr(copied.net_params["callbacks"][0], "seen")
