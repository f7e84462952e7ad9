"""What identifies a pretrained module: its weights, settings and code."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import joblib
import numpy as np

from nonredundant.encoders.modules import file_digest
from nonredundant.utils.own_code import is_installed, own_code

#: Attributes of each torch module that its weights and layers are kept in, or that do not count.
_OF_TORCH = ("_parameters", "_buffers", "_modules", "training")


def module_digest(module: Any) -> str:
    """Return what identifies a module: its weights, settings and code, or the content of its file.

    Of a function, also what it refers to outside of itself: variables that it closes over,
    defaults, and objects of its file, such as the network that it calls.

    Parameters
    ----------
    module : torch.nn.Module, str, path or callable
        The module.

    Returns
    -------
    str
        Its SHA-256 checksum.

    Raises
    ------
    TypeError
        If it refers to something whose content cannot be told, such as an open session.

    Examples
    --------
    >>> def scaled(factor):
    ...     return lambda batch: batch * factor
    >>> module_digest(scaled(1.0)) == module_digest(scaled(2.0))
    False
    """
    if isinstance(module, str | Path):
        return file_digest(Path(module))
    digest = hashlib.sha256()
    for part in _parts(module, frozenset()):
        digest.update(part)
    return digest.hexdigest()


def _parts(value: Any, above: frozenset[int]) -> Iterator[bytes]:
    """Yield what identifies an object; `above` are those that refer to it."""
    if isinstance(value, type | ModuleType):
        yield _named(value) if isinstance(value, type) else value.__name__.encode()
        return
    if _is_data(value):
        yield _hash(value)
        return
    if id(value) in above:
        yield b"above"
        return
    above |= {id(value)}
    if inspect.isfunction(value):
        yield from _function_parts(value, above)
    elif hasattr(value, "state_dict") and hasattr(value, "modules"):
        yield from _torch_parts(value, above)
    elif isinstance(value, set | frozenset):
        # In an order that does not depend on the process.
        yield from sorted(b"".join(_parts(one, above)) for one in value)
    elif (inner := _inner(value)) is not None:
        yield from _each(inner, above)
    else:
        yield _hash(value)


def _inner(value: Any) -> Iterable[Any] | None:
    """Return the objects that an object consists of; None if its content is all that it is."""
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if inspect.ismethod(value):
        return [value.__func__, value.__self__]
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list | tuple):
        return value
    if callable(value) and hasattr(value, "__dict__"):
        return [type(value), vars(value)]
    return None


def _each(values: Iterable[Any], above: frozenset[int]) -> Iterator[bytes]:
    """Yield what identifies each of some objects, and where one ends."""
    for value in values:
        yield from _parts(value, above)
        yield b"|"


def _torch_parts(module: Any, above: frozenset[int]) -> Iterator[bytes]:
    """Yield the weights of a network, and code and settings of its layers."""
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        yield name.encode()
        yield _hash(tensor)
    # The tree of layers with their settings, such as strides.
    yield repr(module).encode()
    for layer in module.modules():
        yield _named(type(layer))
        own = {name: value for name, value in vars(layer).items() if name not in _OF_TORCH}
        yield from _parts(own, above | {id(layer)})


def _function_parts(function: Any, above: frozenset[int]) -> Iterator[bytes]:
    """Yield the code of a function, and the values that it refers to outside of itself."""
    yield _named(function)
    if is_installed(function.__code__.co_filename):
        # It changes with the version of its package.
        return
    codes = list(_codes(function.__code__))
    for code in codes:
        yield code.co_code
        yield _hash(code.co_names)
        yield from _each((one for one in code.co_consts if not isinstance(one, CodeType)), above)
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    yield from _each([function.__defaults__, function.__kwdefaults__, *cells], above)
    names = sorted({name for code in codes for name in code.co_names})
    known = function.__globals__
    yield from _each([(name, known[name]) for name in names if name in known], above)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of a function and of those inside it."""
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)


def _named(kind: Any) -> bytes:
    """Return the name of a class or function, and its code if it is the user's own."""
    name = f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', '')}"
    return "\n".join([name, *own_code([kind])]).encode()


def _is_data(value: Any) -> bool:
    """Return whether an object is a number, text, array or tensor, of which content is all."""
    plain = str | bytes | int | float | np.ndarray | np.generic
    return value is None or isinstance(value, plain) or hasattr(value, "detach")


def _hash(value: Any) -> bytes:
    """Return a digest of an object's content, which does not depend on the process."""
    if hasattr(value, "detach"):
        import torch

        # As bytes: NumPy lacks some types of numbers.
        flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        value = [str(value.dtype), tuple(value.shape), flat]
    try:
        return str(joblib.hash(value)).encode()
    except Exception as error:
        raise TypeError(
            f"the module refers to a {type(value).__name__}, whose content cannot be told "
            f"({error}), so that what a cache keeps of it could be of another module: set "
            "memory=None, or give a file in the format ONNX"
        ) from error
