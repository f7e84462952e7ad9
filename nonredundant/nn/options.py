"""Checks of `net_params`: each key is an option of the model, of skorch or of a part of the net."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from torch.utils.data import DataLoader

from nonredundant.utils.validation import InvalidParameterError

#: Arguments of the net that the estimator sets itself.
_SET_BY_THE_ESTIMATOR = ("module", "criterion", "train_split", "term", "disentangle", "weights")


def check_options(net: NeuralNet, options: Mapping[str, Any], own: Iterable[str]) -> None:
    """Raise if a key of `net_params` means nothing, so that a typing error is no silent default.

    Parameters
    ----------
    net : skorch.NeuralNet
        The net that was built with the options.
    options : mapping
        The options that were passed on to the net.
    own : iterable of str
        Options that the model reads itself, for the message.

    Raises
    ------
    InvalidParameterError
        If a key is unknown; the message names it and the nearest known ones.
    """
    known = known_arguments(type(net))
    unknown = [name for name in options if "__" not in name and name not in known]
    if unknown:
        raise InvalidParameterError(
            f"net_params names {unknown}, which are neither options of this model, {list(own)}, "
            f"nor arguments of skorch's NeuralNet{_nearest(unknown, [*own, *known])}"
        )
    for name in options:
        prefix, dunder, argument = name.partition("__")
        if dunder:
            allowed = _arguments_of_part(net, prefix)
            if allowed is not None and argument.partition("__")[0] not in allowed:
                raise InvalidParameterError(
                    f"net_params names {name!r}, but {_described(net, prefix)} has no "
                    f"{argument.partition('__')[0]!r}{_nearest([argument], allowed)}"
                )


def known_arguments(kind: type) -> list[str]:
    """List the arguments of a class of nets that a user may set."""
    names = {name for cls in kind.__mro__ for name in inspect.signature(cls).parameters}
    return sorted(names - {"args", "kwargs", *_SET_BY_THE_ESTIMATOR})


def refuse_own_arguments(options: Mapping[str, Any]) -> None:
    """Raise an InvalidParameterError if an option is one that the estimator sets itself."""
    names = [name for name in options if name in _SET_BY_THE_ESTIMATOR]
    if names:
        raise InvalidParameterError(
            f"net_params names {names}, which follow from the parameters of the estimator"
        )


def check_callbacks(callbacks: Any) -> list[Any]:
    """Return the callbacks of `net_params` as a list.

    Raises
    ------
    InvalidParameterError
        If they are no list of skorch callbacks.
    """
    if callbacks is None:
        return []
    if not isinstance(callbacks, list | tuple) or not all(map(_is_callback, _unnamed(callbacks))):
        raise InvalidParameterError(
            "net_params['callbacks'] must be a list of skorch callbacks, or of pairs (name, "
            f"callback), got {callbacks!r}"
        )
    return list(callbacks)


def schedules(callbacks: Any) -> bool:
    """Return whether a callback of the user sets the learning rate."""
    entries = _unnamed(callbacks) if isinstance(callbacks, list | tuple) else []
    return any(isinstance(one, LRScheduler) or one is LRScheduler for one in entries)


def _unnamed(callbacks: Iterable[Any]) -> list[Any]:
    """Return callbacks without their names."""
    return [one[-1] if isinstance(one, tuple) and one else one for one in callbacks]


def _is_callback(value: Any) -> bool:
    """Return whether a value is a callback, the class of one, or None, which removes one."""
    if isinstance(value, type):
        return issubclass(value, Callback)
    return value is None or isinstance(value, Callback)


def _arguments_of_part(net: NeuralNet, prefix: str) -> Iterable[str] | None:
    """Return the arguments of a part of the net by its prefix; None if it takes any."""
    if prefix == "callbacks":
        return [name for name, _, _ in net._yield_callbacks()]
    parts = {
        "optimizer": net.optimizer,
        "iterator_train": net.iterator_train,
        "iterator_valid": net.iterator_valid,
    }
    if prefix not in parts:
        allowed = ["callbacks", *parts]
        raise InvalidParameterError(
            f"net_params names an option of {prefix!r}, but the parts of the net that have options "
            f"are {allowed}{_nearest([prefix], allowed)}"
        )
    part = parts[prefix]
    if isinstance(part, type) and issubclass(part, DataLoader):
        # Loaders of the package pass options that they do not know on to torch's loader.
        return list(inspect.signature(DataLoader).parameters)
    parameters = inspect.signature(part).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return None
    return [*parameters, "param_groups"] if prefix == "optimizer" else list(parameters)


def _described(net: NeuralNet, prefix: str) -> str:
    """Return the name of a part of the net for messages."""
    if prefix == "callbacks":
        return "the list of callbacks"
    return getattr(getattr(net, prefix), "__name__", prefix)


def _nearest(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Return the known names that are spelled alike, as the end of a message."""
    choices = sorted(set(known))
    found = [near for name in unknown for near in difflib.get_close_matches(name, choices, n=1)]
    return f"; did you mean {found}?" if found else ""
