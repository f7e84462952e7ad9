"""Measure the training of the lesion graph: seconds per epoch, and memory by number of lesions."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from reporting import write_section
from skorch.callbacks import EpochTimer

from nonredundant.lesions import LesionTable
from nonredundant.patients import LesionGraphClassifier

N_PATIENTS, N_LESIONS, N_FEATURES = 500, 20, 128
#: Lesions per patient, and neighbours per lesion, of the memory measurement.
MORE_LESIONS, N_NEIGHBORS = (20, 40, 80, 160), 8
N_EPOCHS = 8


def make_table(n_lesions: int) -> tuple[LesionTable, np.ndarray]:
    """Return patients with `n_lesions` each and random labels; only time and memory matter."""
    rng = np.random.default_rng(0)
    n = N_PATIENTS * n_lesions
    features = rng.normal(size=(n, N_FEATURES))
    sample = np.repeat(np.arange(N_PATIENTS), n_lesions)
    table = LesionTable(
        pd.DataFrame(features, columns=[f"f{i:03d}" for i in range(N_FEATURES)]),
        sample=sample,
        positions=rng.uniform(0, 500, size=(n, 3)),
    )
    return table, rng.permutation(N_PATIENTS) % 2


def epochs(n_epochs: int) -> dict[str, float]:
    """Return the seconds per epoch and of the work before the first one, with defaults."""
    table, y = make_table(N_LESIONS)
    graph = LesionGraphClassifier(
        max_epochs=n_epochs,
        patience=n_epochs,
        random_state=0,
        device="cpu",
        net_params={"callbacks": [EpochTimer()]},
    )
    start = time.perf_counter()
    graph.fit(table, y)
    whole = time.perf_counter() - start
    seconds = graph.net_.history[:, "dur"]
    return {"epoch": float(np.median(seconds)), "once": whole - sum(seconds)}


def peak() -> float:
    """Return the peak memory of this process in MiB (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def memory(n_lesions: int) -> dict[str, float]:
    """Return the peak memory in MiB before and during a fit, in this process."""
    table, y = make_table(n_lesions)
    LesionGraphClassifier(max_epochs=1, random_state=0, device="cpu").fit(table[:4], [0, 1, 0, 1])
    before = peak()
    graph = LesionGraphClassifier(
        n_neighbors=N_NEIGHBORS, max_epochs=1, random_state=0, device="cpu"
    )
    graph.fit(table, y)
    return {"before": before, "after": peak()}


def memory_apart(n_lesions: int) -> dict[str, float]:
    """Run `memory` in a separate process, as the peak of a process never decreases."""
    command = [sys.executable, __file__, "--memory", str(n_lesions)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", type=int, help="only print the memory for this many lesions")
    chosen = parser.parse_args().memory
    if chosen:
        print(json.dumps(memory(chosen)))
        return
    load = os.getloadavg()[0]
    found = epochs(N_EPOCHS)
    lines = [
        f"{N_PATIENTS} patients × {N_LESIONS} lesions × {N_FEATURES} features, "
        f"`LesionGraphClassifier` with defaults, {torch.get_num_threads()} torch threads, load "
        f"average at the start {load:.1f}: **{found['epoch']:.2f} s per epoch** (median of "
        f"{N_EPOCHS}; required: at most 2), and {found['once']:.1f} s once, for input and for the "
        "regression that initialises training. A step has no loop over lesions.",
        "",
        f"Additional memory of a fit, with `n_neighbors={N_NEIGHBORS}` (required: linear in the "
        "number of lesions):",
        "",
        "| lesions per patient | lesions | MiB | KiB per lesion |",
        "| --- | --- | --- | --- |",
    ]
    for n_lesions in MORE_LESIONS:
        found = memory_apart(n_lesions)
        more, total = found["after"] - found["before"], N_PATIENTS * n_lesions
        lines.append(f"| {n_lesions} | {total} | {more:.0f} | {1024 * more / total:.1f} |")
    write_section("graph_training.py", "Training the graph: time and memory", "\n".join(lines))


if __name__ == "__main__":
    main()
