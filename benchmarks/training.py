"""Compare the training time of the estimators with plain torch loops over the same modules."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from device_rates import (
    Work,
    count_work,
    describe_rates,
    measured_bandwidth,
    measured_peak,
)
from reporting import write_section
from skorch.callbacks import EpochTimer

from nonredundant.contrastive import SepVAE
from nonredundant.cvae import NonRedundantCVAE
from nonredundant.lesions import LesionTable
from nonredundant.nn.augment import Augmentation
from nonredundant.nn.blocks import ConvDecoder
from nonredundant.nn.losses import Batch
from nonredundant.nn.net import resolve_device

BATCH = 64
REQUIRED = 1.10
#: Models by their names in the table.
MODELS: dict[str, Callable[..., Any]] = {
    "`NonRedundantCVAE`": NonRedundantCVAE,
    "`SepVAE`": SepVAE,
    "`SepVAE`, density ratio (a second optimiser)": partial(SepVAE, independence="density-ratio"),
}


def make_table(n: int, side: int, n_features: int) -> LesionTable:
    """Return random lesions; the time does not depend on their content."""
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(n, 1, side, side, side)).astype(np.float32)
    masks = rng.random(patches.shape) < 0.4
    features = rng.normal(size=(n, n_features))
    return LesionTable.from_arrays(features=features, patches=patches, masks=masks)


def time_estimator(
    make: Callable[..., Any],
    table: LesionTable,
    epochs: int,
    *,
    batch_size: int = BATCH,
    device: str = "auto",
    **options: Any,
) -> tuple[float, Any]:
    """Return the median seconds per epoch, timed by skorch, and the fitted estimator."""
    model = make(
        max_epochs=epochs + 1,
        batch_size=batch_size,
        device=device,
        random_state=0,
        net_params={"validation_fraction": 0.0, "callbacks": [EpochTimer()], **options},
    )
    labels = None if isinstance(model, NonRedundantCVAE) else np.arange(len(table)) % 2
    model.fit(table, labels)
    # The first epoch includes the warm-up of torch.
    return float(np.median(model.net_.history[1:, "dur"])), model


def training_set(table: LesionTable, model: Any) -> Batch:
    """Return the cohort as one batch, with conditions and labels as in the model's training."""
    rows = torch.arange(len(table))
    if isinstance(model, NonRedundantCVAE):
        h = torch.from_numpy(model.hcr_scaler_.transform(table.features).astype(np.float32))
        y = torch.full((len(rows),), -1)
    else:
        h, y = torch.zeros(len(rows), 0), rows % 2
    x, masks = torch.from_numpy(table.patches), torch.from_numpy(table.masks)
    return Batch(x, masks, h, y, torch.ones(len(rows)))


def time_bare_loop(table: LesionTable, model: Any, epochs: int) -> float:
    """Return the median seconds per epoch of a hand-written loop.

    Module, loss, mirror images and, where the independence term has parameters, both optimisers are
    those of the estimator.
    """
    module, term, weights = model.net_.module_, model.net_.term, model.net_.weights
    assert isinstance(module.decoder, ConvDecoder)
    optimiser = torch.optim.AdamW(module.parameters(), lr=model.lr, weight_decay=1e-4)
    cohort = training_set(table, model)
    flip = Augmentation(("flip_x", "flip_y", "flip_z")) if model.augment == "auto" else None
    module.train()
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        for rows in torch.randperm(len(table)).split(model.net_.batch_size):
            batch = cohort.take(rows).augmented(flip)
            terms, d = module.objective(batch, term.penalty)
            total = terms.total(weights)
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            optimiser.step()
            if term.fit_mode == "step":
                term.update(*module.pair(batch, d.detach()))
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def compare(name: str, table: LesionTable, rounds: int, epochs: int) -> str:
    """Return one row of the table; both are timed in turn, so that other load affects both."""
    ours, bare = [], []
    for _ in range(rounds):
        seconds, model = time_estimator(MODELS[name], table, epochs)
        ours.append(seconds)
        bare.append(time_bare_loop(table, model, epochs))
    ratios = np.divide(ours, bare)
    return (
        f"| {name} | {np.median(ours):.2f} | {np.median(bare):.2f} | {np.median(ratios):.2f} "
        f"({ratios.min():.2f}–{ratios.max():.2f}) |"
    )


def step_work(table: LesionTable, model: Any) -> Work:
    """Count the work of one step on the first batch of a fitted model."""
    net, module = model.net_, model.net_.module_
    batch = training_set(table, model).take(slice(net.batch_size)).to(net.device)
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-9)
    module.train()

    def step() -> None:
        half = net.half_ != torch.float32
        with torch.autocast("cuda" if half else "cpu", dtype=net.half_, enabled=half):
            terms, _ = module.objective(batch, net.term.penalty)
        optimiser.zero_grad(set_to_none=True)
        terms.total(net.weights).backward()
        optimiser.step()

    return count_work(step)


def rate_rows(table: LesionTable, device: str, epochs: int, batch_sizes: list[int]) -> list[str]:
    """Return the rows of the table of rates of a device."""
    rows = []
    bandwidth = measured_bandwidth(device)
    kinds = {"float32": (torch.float32, False)}
    if torch.device(device).type == "cuda":
        kinds["bfloat16"] = (torch.bfloat16, True)
    for kind, (dtype, half) in kinds.items():
        peak = measured_peak(device, dtype)
        for name, make in MODELS.items():
            for batch_size in batch_sizes:
                seconds, model = time_estimator(
                    make, table, epochs, batch_size=batch_size, device=device, mixed_precision=half
                )
                n_steps = -(-len(table) // model.net_.batch_size)
                work = step_work(table, model)
                rates = describe_rates(seconds, len(table), n_steps, work, peak, bandwidth)
                rows.append(f"| {name} | {kind} | {batch_size} | {rates} |")
    peaks = f"Copy of a large array: {bandwidth / 1e9:,.0f} GB/s."
    return [*rows, "", peaks]


def report_device(options: argparse.Namespace) -> None:
    """Measure the rates of a device; those of a GPU are written to a section of their own."""
    device = resolve_device(options.device)
    table = make_table(options.samples, options.side, 107)
    body = [
        f"Epochs on {options.samples} patches of {options.side}³ with 107 HCR, which stay on the "
        f"device ({device}); {options.epochs} epochs, the median. In parentheses: share of the "
        "rate of a large matrix product of that type, and of that of a large copy. Bytes are those "
        "of all operators, as if nothing stayed in a cache: an upper bound.",
        "",
        "| model | type | batch | samples/s | 10⁹ operations/s (of the peak) | GB/s (of a copy) |",
        "| --- | --- | --- | --- | --- | --- |",
        *rate_rows(table, device, options.epochs, options.batch_sizes),
    ]
    if torch.device(device).type == "cuda":
        body.append(f"GPU: {torch.cuda.get_device_name(device)}.")
        write_section("training.py --device cuda", "Training on a GPU", "\n".join(body))
    else:
        print("\n".join(body))


def main() -> None:
    """Measure every model and write the section; with --device the rates of that device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--device", help="measure the rates of this device instead: cpu, cuda")
    parser.add_argument("--samples", type=int, default=4000, help="patches, with --device")
    parser.add_argument("--side", type=int, default=32, help="voxels per axis, with --device")
    parser.add_argument(
        "--batch-sizes", type=int, nargs="*", default=[64, 256], help="with --device"
    )
    options = parser.parse_args()
    if options.device:
        report_device(options)
        return
    table = make_table(400, 32, 107)
    rows = [compare(name, table, options.rounds, options.epochs) for name in MODELS]
    body = [
        "One epoch on 400 patches of 32³ (with 107 HCR for `NonRedundantCVAE`, which mirrors them "
        "as well), batches of 64, default settings; "
        f"{options.rounds} alternating rounds of {options.epochs} epochs. The loop is hand-written "
        "with the same module, loss and updates of the independence term.",
        "",
        "| model | estimator: seconds per epoch (median) | loop | median ratio (range), required: "
        f"at most {REQUIRED:.2f} |",
        "| --- | --- | --- | --- |",
        *rows,
    ]
    write_section("training.py", "Training speed", "\n".join(body))


if __name__ == "__main__":
    main()
