"""Networks as plain arrays, so that saved models hold no code.

Estimators keep a fitted skorch net in `net_`. Saved by pickle, joblib or skops they hold its
weights as NumPy arrays instead, with what is needed to build the network again on the CPU.

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

#: Version of the layout below.
FORMAT = 1
_KEYS = ("_format", "_net_weights", "_history_columns")


def arrays_of(module: nn.Module) -> dict[str, np.ndarray]:
    """Return a module's weights and buffers as arrays on the CPU."""
    return {name: value.cpu().numpy() for name, value in module.state_dict().items()}


def set_arrays(module: nn.Module, arrays: dict[str, Any]) -> None:
    """Set some of a module's weights and buffers, in the types that they have."""
    import torch

    state = module.state_dict()
    for name, value in arrays.items():
        state[name] = torch.as_tensor(value).to(state[name].dtype)
    module.load_state_dict(state)


def pack(state: dict[str, Any]) -> dict[str, Any]:
    """Replace `net_` and `history_` of an estimator's state by arrays.

    Parameters
    ----------
    state : dict
        The estimator's attributes; not changed.

    Returns
    -------
    dict
        Arrays and plain types. An unfitted estimator's state is returned as it is.
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
    """Undo `pack`, all but the net, which its estimator builds.

    Parameters
    ----------
    state : dict
        What `pack` returned; not changed.

    Returns
    -------
    state : dict
        The estimator's attributes, with `history_`.
    weights : dict of str to array, or None
        Arrays of the network; None for an unfitted estimator.

    Raises
    ------
    ValueError
        If the state was written by a later version of the package, or is not one of `pack`.
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
