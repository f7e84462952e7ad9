"""State of estimators with networks as plain arrays, so that saved models hold no code.

Estimators have a fitted skorch net in `net_`. When they are saved by pickle, joblib or skops, its
weights are stored as NumPy arrays, together with the arguments that rebuild the network on the CPU.

The state has a format number. Raise it when a saved model of the current number could no longer
be read, add the conversion of the previous number to `unpack`, and keep a file of the previous
number in `tests/fixtures`.

The state also has checksums of its arrays and plain values, so that a file that was damaged or
edited is refused. It is no signature: who edits a file on purpose can also compute it anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from torch import nn

#: Format number of the state that `pack` returns.
FORMAT = 1
_SEAL = ("_format", "_checksum")
_KEYS = (*_SEAL, "_net_weights", "_history_columns")


def arrays_of(module: nn.Module) -> dict[str, np.ndarray]:
    """Return the weights and buffers of a module as arrays on the CPU."""
    return {name: value.cpu().numpy() for name, value in module.state_dict().items()}


def set_arrays(module: nn.Module, arrays: dict[str, Any]) -> None:
    """Set some weights and buffers of a module and keep their types.

    Raises
    ------
    ValueError
        If the module has no array of this name or shape.
    """
    import torch

    state = module.state_dict()
    wrong = [name for name, value in arrays.items() if name not in state]
    wrong += [n for n in arrays if n in state and np.shape(arrays[n]) != tuple(state[n].shape)]
    if wrong:
        raise ValueError(
            f"the arrays {wrong[:3]} ({len(wrong)} in all) do not fit the network: they are of "
            "another model or another version, or the file was changed"
        )
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
    if (packed.get("net_params") or {}).get("callbacks"):
        from nonredundant.nn.callbacks import as_made

        callbacks = as_made(packed["net_params"]["callbacks"])
        packed["net_params"] = {**packed["net_params"], "callbacks": callbacks}
    packed |= {
        "_net_weights": arrays_of(state["net_"].module_),
        "_history_columns": {name: history[name].to_numpy() for name in history},
    }
    return seal(packed)


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
        If the state has another format number than this version reads, or was changed.
    """
    if "_net_weights" not in state:
        return dict(state), None
    check_seal(state)
    rest = {name: value for name, value in state.items() if name not in _KEYS}
    columns = state["_history_columns"]
    n_epochs = len(next(iter(columns.values())))
    index = pd.RangeIndex(1, n_epochs + 1, name="epoch")
    return rest | {"history_": pd.DataFrame(columns, index=index)}, state["_net_weights"]


def seal(state: Mapping[str, Any]) -> dict[str, Any]:
    """Add the format number and the checksums to a state.

    Parameters
    ----------
    state : mapping
        Attributes of a fitted estimator; not changed.

    Returns
    -------
    dict
        The attributes, and `_format` and `_checksum`.
    """
    return {**state, "_format": FORMAT, "_checksum": checksums(state)}


def unseal(state: Mapping[str, Any]) -> dict[str, Any]:
    """Check the format number and the checksums of a state and remove them.

    Parameters
    ----------
    state : mapping
        State that `seal` returned, or that of an unfitted estimator, which has neither; not
        changed.

    Returns
    -------
    dict
        The attributes.

    Raises
    ------
    ValueError
        As `check_seal`.
    """
    if "_format" in state:
        check_seal(state)
    return {name: value for name, value in state.items() if name not in _SEAL}


def check_seal(state: Mapping[str, Any]) -> None:
    """Raise unless a state has the format of this version and is as it was saved.

    Raises
    ------
    ValueError
        If it has another format number, or arrays or values that differ from their checksums.
    """
    number = state.get("_format")
    if number != FORMAT:
        raise ValueError(
            f"the saved model has format {number!r}, but this version of nonredundant reads format "
            f"{FORMAT}: load it with the version that saved it, or fit the model again"
        )
    saved, now = state.get("_checksum", {}), checksums(state)
    changed = [name for name in {**saved, **now} if saved.get(name) != now.get(name)]
    if changed:
        raise ValueError(
            f"the saved model is not as it was saved: {changed[:5]} differ from their checksums. "
            "The file was damaged or edited; take another copy, or fit the model again"
        )


def checksums(state: Mapping[str, Any]) -> dict[str, str]:
    """Compute the SHA-256 of the arrays and plain values of each attribute.

    Other objects, such as scalers, do not enter: another version may restore them differently.
    """
    by_name = {}
    for name, value in state.items():
        if name not in _SEAL:
            digest = hashlib.sha256()
            _add(digest, value)
            by_name[name] = digest.hexdigest()
    return by_name


def _add(digest: Any, value: Any) -> None:
    """Add a value to a digest."""
    if isinstance(value, Mapping):
        for name in sorted(value, key=str):
            digest.update(f"{name!s}:".encode())
            _add(digest, value[name])
    elif isinstance(value, list | tuple):
        digest.update(f"[{len(value)}]".encode())
        for element in value:
            _add(digest, element)
    elif isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, np.ndarray):
        _add(digest, value.tolist())
    elif isinstance(value, np.generic):
        _add(digest, value.item())
    elif value is None or isinstance(value, bool | int | float | str):
        digest.update(repr(value).encode())
