"""Modules, functions and ONNX files, and weights that are loaded without running code."""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nonredundant.encoders import load_weights
from nonredundant.encoders.digest import module_digest
from nonredundant.encoders.modules import encode_function, pooled


def network(seed=0, bias=True):
    """Return a small network of volumes."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv3d(1, 4, 3, bias=bias), nn.ReLU())


class Harmful:
    """An object whose file makes a folder when it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("ending", [".pt", ".safetensors", "wrapped.pt"])
def test_weights_arrive(tmp_path, ending):
    source, path = network(1), tmp_path / f"weights{ending}"
    if ending == ".safetensors":
        save_file(source.state_dict(), path)
    else:
        content = source.state_dict()
        torch.save({"state_dict": content} if ending == "wrapped.pt" else content, path)
    found = load_weights(network(0), path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    for name, tensor in source.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor)
    assert not found.training


def test_another_checksum_is_refused(tmp_path):
    torch.save(network().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="checksum"):
        load_weights(network(), tmp_path / "weights.pt", sha256="0" * 64)


@pytest.mark.parametrize("kind", ["object", "pickle", "text", "list"])
def test_files_that_are_no_tensors_are_refused_and_run_nothing(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pt"
    if kind == "object":
        torch.save({"weights": Harmful()}, path)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Harmful()))
    elif kind == "text":
        path.write_text("<html>not found</html>")
    else:
        torch.save([torch.zeros(2)], path)
    with pytest.raises(ValueError, match=r"tensors"):
        load_weights(network(), path)
    assert not (tmp_path / "harm").exists()


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(nn.Linear(3, 2).state_dict(), path)
    with pytest.raises(ValueError, match="do not fit"):
        load_weights(network(), path)
    with pytest.raises(ValueError, match="do not fit"):
        load_weights(network(), path, strict=False)
    torch.save({**network(1).state_dict(), "head.weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="1 are left over"):
        load_weights(network(), path)
    part = load_weights(network(), path, strict=False)
    assert torch.equal(part[0].weight, network(1)[0].weight)
    torch.save(nn.Sequential(nn.Conv3d(1, 4, 5)).state_dict(), path)
    with pytest.raises(ValueError, match="another shape"):
        load_weights(network(), path, strict=False)


def test_an_onnx_file_is_run(tmp_path):
    from onnx import TensorProto, helper, save

    path = tmp_path / "model.onnx"
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("ReduceMean", ["flat"], ["y"], axes=[1], keepdims=1),
        ],
        "mean",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9)
    save(model, path)
    batch = np.random.default_rng(0).normal(size=(3, 1, 4, 4, 4)).astype(np.float32)
    found = encode_function(str(path), "cpu")(batch)
    np.testing.assert_allclose(found[:, 0], batch.mean(axis=(1, 2, 3, 4)), atol=1e-6)
    assert module_digest(str(path)) == hashlib.sha256(path.read_bytes()).hexdigest()


def double(batch):
    return 2 * batch


def triple(batch):
    return 3 * batch


def test_the_digest_tells_weights_layers_and_code_apart():
    same = module_digest(network(0)), module_digest(network(0))
    assert same[0] == same[1]
    wider = nn.Sequential(nn.Conv3d(1, 4, 3, stride=2), nn.ReLU())
    wider.load_state_dict(network(0).state_dict())
    others = [network(1), network(0, bias=False), wider, double, triple]
    digests = {same[0], *(module_digest(other) for other in others)}
    assert len(digests) == 6


def test_maps_are_averaged_and_other_shapes_refused():
    maps = np.random.default_rng(0).normal(size=(2, 3, 4, 4, 4))
    np.testing.assert_allclose(pooled(maps, 2), maps.mean(axis=(2, 3, 4)))
    assert pooled(maps[:, :, 0, 0, 0], 2).shape == (2, 3)
    with pytest.raises(ValueError, match="which axis holds the features"):
        pooled(np.zeros((2, 5, 7)), 2)
    for shape in ((2,), (3, 4), ()):
        with pytest.raises(ValueError, match="expected"):
            pooled(np.zeros(shape), 2) if shape else pooled(np.zeros((1, 4)), 2)


def test_a_module_that_returns_several_things_is_named():
    with pytest.raises(TypeError, match="returns tuple"):
        encode_function(lambda batch: (batch, batch), "cpu")(np.zeros((1, 1, 4, 4)))


class Scaled:
    """A callable whose factor is an attribute."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, batch):
        return batch * self.factor


class Level(nn.Module):
    """A network with a setting that is no weight, and that its description does not show."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, batch):
        return batch * self.factor


def closure(factor):
    """Return a function that closes over a network."""
    net = Level(factor)
    return lambda batch: net(torch.from_numpy(batch)).numpy()


def product(factor, batch):
    """Return a product."""
    return factor * batch


def words(factor):
    """Return a function with a set among its constants, whose order depends on the process."""
    return lambda batch: batch * factor if "a" in {"a", "b", "c", "d"} else batch


KINDS = {
    "object": Scaled,
    "setting": Level,
    "closure": closure,
    "partial": lambda factor: functools.partial(product, factor),
    "method": lambda factor: Scaled(factor).__call__,
    "words": words,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_digest_tells_what_a_module_refers_to(kind):
    one, same, other = KINDS[kind](1.0), KINDS[kind](1.0), KINDS[kind](2.0)
    assert module_digest(one) == module_digest(same) != module_digest(other)


FACTOR = 1.0


def test_a_digest_tells_the_objects_of_its_file_that_a_function_uses(monkeypatch):
    def scaled(batch):
        return batch * FACTOR

    before = module_digest(scaled)
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    assert module_digest(scaled) != before


def test_a_digest_survives_pickle_and_other_processes():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_modules as t; "
        "print(*[t.module_digest(make(1.0)) for make in t.KINDS.values()])"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code, os.path.dirname(__file__)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    module = network()
    assert module_digest(pickle.loads(pickle.dumps(module))) == module_digest(module)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_networks_of_other_precisions_run(kind):
    module = network().to(kind)
    found = encode_function(module, "cpu")(np.ones((2, 1, 5, 5, 5), dtype=np.float32))
    expected = encode_function(network(), "cpu")(np.ones((2, 1, 5, 5, 5), dtype=np.float32))
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.02)
    assert module_digest(module) != module_digest(network())


@pytest.mark.parametrize("output", [np.ones((2, 3), complex), np.full((2, 3), "a")])
def test_outputs_that_are_no_real_numbers_are_refused(output):
    with pytest.raises(TypeError, match="real numbers"):
        encode_function(lambda batch: output, "cpu")(np.ones((2, 1, 5, 5)))


def test_outputs_without_features_are_refused():
    with pytest.raises(ValueError, match="expected"):
        pooled(np.empty((2, 0)), 2)
