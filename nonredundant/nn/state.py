"""State of estimators with networks as plain arrays, so that saved models hold no code.

Estimators have a fitted skorch net in `net_`. When they are saved by pickle, joblib or skops, its
weights are stored as NumPy arrays, together with the arguments that rebuild the network on the CPU.

The state has a format number. Raise it when a saved model of the current number could no longer
be read, add the conversion of the previous number to `unpack`, and keep a file of the previous
number in `tests/fixtures`.

The state also has checksums of its arrays and plain values, and of those in the objects of this
package and of scikit-learn that it holds, so that a file that was damaged or edited is refused.
They are no signature: who edits a file on purpose can also compute them anew. The versions of both
packages are stored, too: another one of this package is told, and with another scikit-learn, which
may restore its objects differently, only its own checks are left for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import sklearn

from nonredundant._version import __version__
from nonredundant.utils.user_warnings import warn_user

if TYPE_CHECKING:
    from torch import nn

#: Format number of the state that `pack` returns.
FORMAT = 1
_SEAL = ("_format", "_versions", "_checksum", "_object_checksum")
#: Packages whose objects enter the checksums; those of others may be saved anew differently.
_PACKAGES = frozenset({"nonredundant", "sklearn", "imblearn", "sksurv"})
#: The compiled part of decision trees, which has no dictionary of attributes.
_TREE = "sklearn.tree._tree.Tree"
#: What scikit-learn adds to a state: the version that saves, not the one that fitted.
_NOT_FITTED = ("_sklearn_version",)
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
    """Add the format number, the versions and the checksums to a state.

    Parameters
    ----------
    state : mapping
        Attributes of a fitted estimator; not changed.

    Returns
    -------
    dict
        The attributes, and `_format`, `_versions`, `_checksum` and `_object_checksum`.
    """
    sealed = {**state, "_format": FORMAT, "_versions": _versions()}
    return sealed | {
        "_checksum": checksums(sealed),
        "_object_checksum": checksums(sealed, objects=True),
    }


def _versions() -> dict[str, str]:
    """Return the versions that a saved model depends on."""
    return {"nonredundant": __version__, "scikit-learn": sklearn.__version__}


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
    number, versions = state.get("_format"), state.get("_versions", {})
    saved_by = versions.get("nonredundant", "an earlier version")
    if number != FORMAT:
        raise ValueError(
            f"the saved model has format {number!r}, but this version of nonredundant reads format "
            f"{FORMAT}: load it with the version that saved it ({saved_by}), or fit the model again"
        )
    changed = _changed(state, "_checksum")
    if not changed and versions.get("scikit-learn") == sklearn.__version__:
        changed = _changed(state, "_object_checksum", objects=True)
    if changed:
        raise ValueError(
            f"the saved model is not as it was saved: {changed[:5]} differ from their checksums. "
            "The file was damaged or edited; take another copy, or fit the model again"
        )
    if versions and saved_by != __version__:
        warn_user(
            f"the model was saved by nonredundant {saved_by} and is read by {__version__}, which "
            "may predict differently; install the version that saved it, or fit the model again",
            kind="version of a saved model",
        )


def _changed(state: Mapping[str, Any], key: str, *, objects: bool = False) -> list[str]:
    """Return the attributes that differ from their checksums, or are missing or new."""
    expected, now = state.get(key, {}), checksums(state, objects=objects)
    names = sorted({*expected, *now})
    return [name for name in names if expected.get(name) != now.get(name)]


def checksums(state: Mapping[str, Any], *, objects: bool = False) -> dict[str, str]:
    """Compute the SHA-256 of the arrays and plain values of each attribute.

    With `objects`, what is in the objects of this package and of scikit-learn enters, too.
    """
    by_name = {}
    for name, value in state.items():
        if name not in _SEAL or name == "_versions":
            digest = hashlib.sha256()
            _add(digest, value, () if objects else None)
            by_name[name] = digest.hexdigest()
    return by_name


def _add(digest: Any, value: Any, above: tuple[int, ...] | None) -> None:
    """Add a value to a digest.

    `above` are the ids of the objects that it lies in; None leaves objects out.
    """
    if isinstance(value, Mapping):
        for name in sorted(value, key=str):
            digest.update(f"{name!s}:".encode())
            _add(digest, value[name], above)
    elif isinstance(value, list | tuple):
        digest.update(f"[{len(value)}]".encode())
        for element in value:
            _add(digest, element, above)
    elif isinstance(value, np.ndarray):
        _add_array(digest, value, above)
    elif isinstance(value, np.generic):
        _add(digest, value.item(), above)
    elif value is None or isinstance(value, bool | int | float | str):
        digest.update(repr(value).encode())
    elif above is not None and id(value) not in above:
        _add_object(digest, value, (*above, id(value)))


def _add_array(digest: Any, value: np.ndarray, above: tuple[int, ...] | None) -> None:
    """Add an array to a digest."""
    if value.dtype == object:
        _add(digest, value.tolist(), above)
    elif value.dtype.names:
        # The bytes between the fields of a record mean nothing.
        _add(digest, {name: value[name] for name in value.dtype.names}, above)
    else:
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())


def _add_object(digest: Any, value: Any, above: tuple[int, ...]) -> None:
    """Add the class of an object to a digest, and its attributes if they are known to be saved."""
    digest.update(f"<{type(value).__name__}>".encode())
    is_tree = f"{type(value).__module__}.{type(value).__name__}" == _TREE
    if isinstance(value, slice):
        _add(digest, [value.start, value.stop, value.step], above)
    elif isinstance(value, np.random.RandomState):
        _add(digest, value.get_state(legacy=False), above)
    elif isinstance(value, set | frozenset):
        _add(digest, sorted(map(repr, value)), above)
    elif isinstance(value, type) or type(value).__module__.partition(".")[0] not in _PACKAGES:
        digest.update(getattr(value, "__name__", "").encode())
    elif hasattr(value, "__dict__") or is_tree:
        state = value.__getstate__()
        if isinstance(state, dict):
            state = {k: v for k, v in state.items() if k not in (*_NOT_FITTED, *_SEAL)}
        made_of = value.__reduce__()[1] if is_tree else ()
        _add(digest, [state, *made_of], above)
