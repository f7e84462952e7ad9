"""State of estimators with networks as plain arrays, so that saved models hold no code.

Estimators have a fitted skorch net in `net_`. When they are saved by pickle, joblib or skops, its
weights are stored as NumPy arrays, together with the arguments that rebuild the network on the CPU.

The state has a format number. Raise it when a saved model of the current number could no longer
be read, add the conversion of the previous number to `unpack`, and keep a file of the previous
number in `tests/fixtures`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from torch import nn

#: Format number of the state that `pack` returns.
FORMAT = 1
_KEYS = ("_format", "_net_weights", "_history_columns")


def arrays_of(module: nn.Module) -> dict[str, np.ndarray]:
    """Return the weights and buffers of a module as arrays on the CPU."""
    return {name: value.cpu().numpy() for name, value in module.state_dict().items()}


def set_arrays(module: nn.Module, arrays: dict[str, Any]) -> None:
    """Set some weights and buffers of a module and keep their types."""
    import torch

    state = module.state_dict()
    for name, value in arrays.items():
        # A copy: a cluster hands over arrays that may not be written to.
        state[name] = torch.as_tensor(np.array(value)).to(state[name].dtype)
    module.load_state_dict(state)


def pack(state: dict[str, Any]) -> dict[str, Any]:
    """Replace `net_` and `history_` in the state of an estimator by arrays.

    Parameters
    ----------
    state : dict
        Attributes of the estimator; not changed.

    Returns
    -------
    dict
        Arrays and plain types. The state of an unfitted estimator is returned unchanged.
    """
    if "net_" not in state:
        return state
    packed = {name: value for name, value in state.items() if name not in ("net_", "history_")}
    history = state["history_"]
    return packed | {
        "_format": FORMAT,
        "_net_weights": arrays_of(state["net_"].module_),
        "_history_columns": {name: history[name].to_numpy() for name in history},
    }


def unpack(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray] | None]:
    """Undo `pack`, except for the net, which the estimator rebuilds.

    Parameters
    ----------
    state : dict
        State that `pack` returned; not changed.

    Returns
    -------
    state : dict
        Attributes of the estimator, with `history_`.
    weights : dict of str to array, or None
        Arrays of the network; None for an unfitted estimator.

    Raises
    ------
    ValueError
        If the state has another format number than this version reads.
    """
    if "_net_weights" not in state:
        return dict(state), None
    number = state.get("_format")
    if number != FORMAT:
        raise ValueError(
            f"the saved model has format {number!r}, but this version of nonredundant reads format "
            f"{FORMAT}: load it with the version that saved it, or fit the model again"
        )
    rest = {name: value for name, value in state.items() if name not in _KEYS}
    columns = state["_history_columns"]
    n_epochs = len(next(iter(columns.values())))
    index = pd.RangeIndex(1, n_epochs + 1, name="epoch")
    return rest | {"history_": pd.DataFrame(columns, index=index)}, state["_net_weights"]
