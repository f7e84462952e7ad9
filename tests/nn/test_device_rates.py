"""The benchmark of a device counts operations and bytes, and runs on the CPU."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the package is installed without its benchmarks"
)


def test_a_product_of_matrices_is_counted():
    found = importlib.util.spec_from_file_location("device_rates", FOLDER / "device_rates.py")
    rates = importlib.util.module_from_spec(found)
    found.loader.exec_module(rates)
    a, b = torch.ones(4, 8), torch.ones(8, 2)
    work = rates.count_work(lambda: (a @ b).view(-1))
    assert work.flops == 2 * 4 * 8 * 2
    assert work.bytes == 4 * (4 * 8 + 8 * 2 + 4 * 2)


def test_rates_of_the_cpu_are_printed():
    sizes = ["--epochs", "1", "--samples", "24", "--side", "8", "--batch-sizes", "8"]
    script = [sys.executable, "training.py", "--device", "cpu", *sizes]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        script, cwd=FOLDER, env=one_thread, check=True, capture_output=True, text=True
    ).stdout
    rows = [line for line in found.splitlines() if "| float32 |" in line]
    assert len(rows) == 3
    samples = [float(row.split("|")[4].replace(",", "")) for row in rows]
    assert min(samples) > 1
