"""Measure a store of 1,000 to 20,000 lesions: time, peak memory, and an epoch beside memory."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import SimpleITK as sitk
from reporting import write_section
from skorch.callbacks import EpochTimer

from nonredundant import LesionTable, NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import make_lesions

#: Numbers of lesions whose times are compared, and those whose peak memory is.
SIZES, ENDS = (1_000, 5_000, 20_000), (2_000, 20_000)
#: Different phantoms; larger tables have the same files under several labels.
N_FILES = 500
#: Lesions of the epochs from store and memory: one store in the cache, one beyond it.
EPOCHS = (2_000, 6_000)
#: Epochs and rounds of that comparison.
N_EPOCHS, ROUNDS = 3, 3


def write_phantoms(folder: Path) -> None:
    """Write the images and masks of phantoms of 32³ voxels."""
    cases, _, _ = make_lesions(N_FILES, random_state=0)
    for i, (image, mask) in enumerate(zip(cases["image"], cases["mask"], strict=True)):
        for kind, voxels in (("image", image), ("mask", np.asarray(mask, np.uint8))):
            found = sitk.GetImageFromArray(voxels)
            found.SetSpacing((2.0, 2.0, 2.0))
            sitk.WriteImage(found, str(folder / f"{i}_{kind}.mha"))


def case_table(n: int) -> pd.DataFrame:
    """Return a case table that goes through the phantoms."""
    files = np.arange(n) % N_FILES
    columns = {kind: [f"{i}_{kind}.mha" for i in files] for kind in ("image", "mask")}
    return pd.DataFrame(columns, index=[f"lesion{i:06d}" for i in range(n)])


def write(folder: Path, n: int) -> dict[str, float]:
    """Measure the lesions and write their store."""
    extractor = RadiomicsExtractor(
        bin_count=16, feature_classes=["shape", "firstorder"], root=folder
    )
    return {"write": seconds(lambda: extractor.to_store(case_table(n), folder / f"store{n}"))}


def network(max_epochs: int) -> NonRedundantCVAE:
    """Return an unfitted network that records the seconds of each epoch."""
    return NonRedundantCVAE(
        max_epochs=max_epochs, net_params={"callbacks": [EpochTimer()]}, random_state=0
    )


def train(folder: Path, n: int) -> dict[str, float]:
    """Open the store, train a network for one epoch and encode every lesion."""
    found: dict[str, float] = {}
    opened: list[LesionTable] = []
    found["open"] = seconds(lambda: opened.append(LesionTable.open(folder / f"store{n}")))
    model = network(1)
    found["fit"] = seconds(lambda: model.fit(opened[0]))
    found["epoch"] = model.net_.history[0, "dur"]
    found["transform"] = seconds(lambda: model.transform(opened[0]))
    return found


def epochs(folder: Path, n: int) -> dict[str, list[float]]:
    """Train from the store and from memory in turn; return the seconds of each epoch."""
    stored = LesionTable.open(folder / f"store{n}")
    held = stored.replace(patches=np.asarray(stored.patches), masks=np.asarray(stored.masks))
    found: dict[str, list[float]] = {"store": [], "memory": []}
    for _ in range(ROUNDS):
        for name, table in (("memory", held), ("store", stored)):
            model = network(N_EPOCHS).fit(table)
            found[name].append(sum(model.net_.history[:, "dur"]) / N_EPOCHS)
    return found


def seconds(call: Callable[[], Any]) -> float:
    """Time a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peak() -> float:
    """Return the peak memory of this process in MiB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measured(task: str, folder: Path, n: int) -> dict[str, Any]:
    """Run a task in a new process and return its times and its peak memory."""
    command = [sys.executable, __file__, "--task", task, str(folder), str(n)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(found.stdout.splitlines()[-1])


def exponent(found: dict[int, dict[str, Any]], name: str) -> float:
    """Return the slope of log seconds over log lesions."""
    times = [found[n][name] for n in SIZES]
    return float(np.polyfit(np.log(SIZES), np.log(times), 1)[0])


def time_table(found: dict[int, dict[str, Any]]) -> str:
    """Format the times and their exponents."""
    names = {
        "write": "`to_store`, one process",
        "open": "`LesionTable.open`",
        "epoch": "one training epoch",
        "fit": "`fit` with one epoch",
        "transform": "`transform`",
    }
    head = " | ".join(f"{n:,} lesions (s)" for n in SIZES)
    rows = [
        f"| {text} | {' | '.join(f'{found[n][name]:.1f}' for n in SIZES)} | "
        f"{SIZES[-1] / found[SIZES[-1]][name]:,.0f} | {exponent(found, name):.2f} |"
        for name, text in names.items()
    ]
    return (
        f"| | {head} | lesions per second at {SIZES[-1]:,} | exponent (required ≤ 1.05) |\n"
        f"|{' --- |' * (len(SIZES) + 3)}\n" + "\n".join(rows)
    )


def memory_table(found: dict[int, dict[str, Any]]) -> str:
    """Format the peaks of memory and their growth."""
    rows = []
    for name, text in (("write peak", "`to_store`"), ("train peak", "open, fit and transform")):
        low, high = (found[n][name] for n in ENDS)
        rows.append(f"| {text} | {low:.0f} | {high:.0f} | {high - low:.0f} |")
    return (
        f"| peak of a new process (MiB) | {ENDS[0]:,} lesions | {ENDS[1]:,} lesions | difference "
        "(required ≤ 1,024) |\n| --- | --- | --- | --- |\n" + "\n".join(rows)
    )


def epoch_table(found: dict[int, dict[str, list[float]]]) -> str:
    """Format the epochs from store and memory."""
    rows = []
    for n, times in found.items():
        ratios = np.array(times["store"]) / np.array(times["memory"])
        rows.append(
            f"| {n:,} | {np.median(times['memory']):.2f} | {np.median(times['store']):.2f} | "
            f"{np.median(ratios):.2f} ({ratios.min():.2f}–{ratios.max():.2f}) |"
        )
    return (
        "| lesions | from memory (s per epoch) | from the store | ratio: median (range), required "
        "≤ 1.15 |\n| --- | --- | --- | --- |\n" + "\n".join(rows)
    )


def run_epochs(folder: Path) -> str:
    """Compare epochs from store and memory, and return the body of the section."""
    write_phantoms(folder)
    compared: dict[int, dict[str, list[float]]] = {}
    for n in EPOCHS:
        measured("write", folder, n)
        compared[n] = measured("epochs", folder, n)
        shutil.rmtree(folder / f"store{n}")
    return (
        f"Epochs of `NonRedundantCVAE` on phantoms with patches of 32³, {ROUNDS} rounds of "
        f"{N_EPOCHS}, memory and store in turn, one thread; the chunks of the store are decoded in "
        "a second one. The smaller store fits into the cache of decoded chunks (384 MiB), the "
        f"larger does not:\n\n{epoch_table(compared)}"
    )


def run_sizes(folder: Path) -> str:
    """Measure stores of all sizes and return the body of the section."""
    write_phantoms(folder)
    found: dict[int, dict[str, Any]] = {}
    for n in sorted({*SIZES, *ENDS}):
        found[n] = {}
        for task in ("write", "train"):
            result = measured(task, folder, n)
            found[n] |= result | {f"{task} peak": result["peak"]}
        store = folder / f"store{n}"
        found[n]["size"] = sum(one.stat().st_size for one in store.rglob("*") if one.is_file())
        found[n]["files"] = sum(one.is_file() for one in store.rglob("*"))
        shutil.rmtree(store)
    largest = found[SIZES[-1]]
    return (
        f"Phantoms of `make_lesions` with 32³ voxels ({N_FILES} files, repeated), 18 first-order "
        "and 14 shape features, patches of 32³; one process with one thread; each row of a size "
        "in a new process. "
        f"The store of {SIZES[-1]:,} lesions has {largest['size'] / 2**30:.2f} GiB in "
        f"{largest['files']:,} files; its voxels are "
        f"{SIZES[-1] * 5 * 32**3 / 2**30:.2f} GiB in memory.\n\n"
        f"{time_table(found)}\n\n{memory_table(found)}"
    )


def main() -> None:
    """Run one task, or all and write the sections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=("sizes", "epochs"), help="measure one section")
    arguments = parser.parse_args()
    if arguments.task:
        warnings.simplefilter("ignore")
        name, folder, n = arguments.task
        task = {"write": write, "train": train, "epochs": epochs}[name]
        print(json.dumps({**task(Path(folder), int(n)), "peak": peak()}))
        return
    sections = {
        "sizes": ("A store of 1,000 to 20,000 lesions", run_sizes),
        "epochs": ("Epochs from a store beside memory", run_epochs),
    }
    for name, (title, run) in sections.items():
        if arguments.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                body = run(Path(folder))
            write_section(f"scale.py --only {name}", title, body)


if __name__ == "__main__":
    main()
