"""Run pretrained modules, functions or ONNX files, and load weights without running their code."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nonredundant.utils.optional import import_optional

#: Bytes of a file that are read at once.
_BLOCK = 1 << 20
Encode = Callable[[np.ndarray], np.ndarray]


def load_weights(
    module: Any, path: str | Path, *, sha256: str | None = None, strict: bool = True
) -> Any:
    """Load weights from a file into a module, without running code of the file.

    Parameters
    ----------
    module : torch.nn.Module
        The network, built by its authors' code.
    path : str or path-like
        A `.safetensors` file, or one of `torch.save` that holds tensors alone.
    sha256 : str, optional
        The published checksum of the file.
    strict : bool, default=True
        Whether the file must have exactly the weights of the module. False loads those that both
        have, of which there must be some: for the encoder of a larger model.

    Returns
    -------
    torch.nn.Module
        The same module, in evaluation mode.

    Raises
    ------
    ValueError
        If the file has another checksum, holds something else than tensors, or does not fit.

    Examples
    --------
    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save(torch.nn.Linear(2, 1).state_dict(), f"{folder}/weights.pt")
    ...     load_weights(torch.nn.Linear(2, 1), f"{folder}/weights.pt").training
    False
    """
    file = Path(path)
    if sha256 is not None:
        found = file_digest(file)
        if found != sha256.lower():
            raise ValueError(
                f"{file} has the checksum {found}, not {sha256.lower()}: it is damaged or another "
                "file; download it again from where its authors publish it"
            )
    tensors = _read_tensors(file)
    own = module.state_dict()
    _check_fit(own, tensors, file, strict=strict)
    module.load_state_dict({name: tensors[name] for name in own if name in tensors}, strict=False)
    return module.eval()


def _check_fit(own: Any, tensors: dict[str, Any], file: Path, *, strict: bool) -> None:
    """Raise if the tensors of a file are not those of a module, or none of a part of them."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    missing = sorted(own.keys() - shapes.keys())
    extra = sorted(shapes.keys() - own.keys())
    both = own.keys() & shapes.keys()
    unlike = sorted(name for name in both if tuple(own[name].shape) != shapes[name])
    if unlike or not both or (strict and (missing or extra)):
        raise ValueError(
            f"the weights of {file} do not fit the module: {len(missing)} are missing "
            f"{missing[:3]}, {len(extra)} are left over {extra[:3]}, {len(unlike)} have another "
            f"shape {unlike[:3]}; build the module as its authors do, or set strict=False if the "
            "module is a part of the model"
        )


def _read_tensors(file: Path) -> dict[str, Any]:
    """Read the tensors of a file by name."""
    if file.suffix == ".safetensors":
        loader = import_optional("safetensors.torch", extra="encoders", purpose="this file")
        return dict(loader.load_file(str(file)))
    import pickle  # nosec B403
    import zipfile

    import torch

    try:
        with warnings.catch_warnings():
            # What it warns of in files of other programs is the error below.
            warnings.simplefilter("ignore")
            found = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError) as error:
        raise ValueError(
            f"{file} is no file of tensors alone ({str(error).splitlines()[0]}): a file with whole "
            "objects can run code and is not loaded; save the `state_dict` of its model, or use "
            "its .safetensors file"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise ValueError(f"{file} holds no dict of tensors by name, as `state_dict()` returns")
    return found


def file_digest(path: Path) -> str:
    """Return the SHA-256 checksum of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def encode_function(module: Any, device: str) -> Encode:
    """Return the function from a batch of inputs to what the module makes of it.

    Parameters
    ----------
    module : torch.nn.Module, str, path or callable
        A network, a file in the format ONNX, or a function of arrays.
    device : str
        Where a network runs.

    Returns
    -------
    callable
        From an array of shape (n, n_channels, ...) to one of shape (n, ...).
    """
    if isinstance(module, str | Path):
        return _onnx(Path(module))
    if not hasattr(module, "state_dict"):
        return lambda batch: as_array(module(batch))
    import torch

    network = module.eval().to(device)
    # A network in half or double precision takes inputs of its own precision alone.
    kind = next((one.dtype for one in network.parameters() if one.is_floating_point()), None)

    def run(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return as_array(network(torch.from_numpy(batch).to(device, dtype=kind)))

    return run


def _onnx(path: Path) -> Encode:
    """Return the function that runs a file in the format ONNX."""
    runtime = import_optional("onnxruntime", extra="encoders", purpose="a file in the format ONNX")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: as_array(session.run(None, {name: batch})[0])


def as_array(output: Any) -> np.ndarray:
    """Convert the output of a module to an array.

    Raises
    ------
    TypeError
        If it is no tensor or array of real numbers, such as a tuple or an object with several.
    """
    if hasattr(output, "detach") and not output.is_complex():
        output = output.detach().cpu().float().numpy()
    if not isinstance(output, np.ndarray):
        raise TypeError(
            f"the module returns {type(output).__name__}, not one tensor of shape (n, features): "
            "wrap it in a module or function that returns the part that is the embedding"
        )
    if output.dtype.kind not in "fiub":
        raise TypeError(
            f"the module returns an array of {output.dtype}, and an embedding is real numbers"
        )
    return output


def pooled(output: np.ndarray, n: int) -> np.ndarray:
    """Return one row of features per input; maps of features are averaged over their voxels.

    Raises
    ------
    ValueError
        If the output has another number of rows, or three axes, which may be features and positions
        or positions and features.
    """
    if output.ndim < 2 or len(output) != n or not output.size:
        raise ValueError(
            f"the module returns shape {output.shape} for {n} inputs; expected (n, features)"
        )
    if output.ndim == 3:
        raise ValueError(
            f"the module returns shape {output.shape}: it is not known which axis holds the "
            "features; wrap it in a module that returns (n, features), for instance the first "
            "token or the mean over tokens"
        )
    return output.reshape(*output.shape[:2], -1).mean(axis=2)
