"""Skorch is imported without torch_geometric, and still knows that it is installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
from nonredundant.nn.skorch_import import import_skorch
import_skorch()
assert "torch_geometric" not in sys.modules
import skorch.utils, torch
assert skorch.utils.TORCH_GEOMETRIC_INSTALLED
from torch_geometric.data import Data
graph = Data(x=torch.ones(2, 1))
assert skorch.utils.to_tensor(graph, "cpu") is graph
"""


def test_torch_geometric_is_imported_when_it_is_used():
    pytest.importorskip("torch_geometric")
    subprocess.run([sys.executable, "-W", "ignore", "-c", CODE], check=True)
