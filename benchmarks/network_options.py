"""What ways to train the networks faster give: seconds of a step, and early stopping."""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from independence import fused_auc, phantoms, unexplained
from reporting import write_section
from skorch.callbacks import EarlyStopping
from torch import nn
from torch.nn import functional

from nonredundant import NonRedundantCVAE
from nonredundant.nn.blocks import build_networks
from nonredundant.nn.losses import Batch
from nonredundant.nn.memory import memory_kept
from nonredundant.nn.penalties import distance_correlation
from nonredundant.nn.vae import ConditionalVAE

SHAPE, N_LATENTS, N_FEATURES = (32, 32, 32), 16, 107
#: Networks of one comparison that are trained at once.
FOLDS = 5
Step = Callable[[], Any]


def draw_batch(n: int) -> Batch:
    """Draw a batch; the time does not depend on its content."""
    torch.manual_seed(0)
    x = torch.randn(n, 1, *SHAPE)
    mask, h = torch.rand(n, 1, *SHAPE) < 0.4, torch.randn(n, N_FEATURES)
    return Batch(x, mask, h, torch.full((n,), -1), torch.ones(n))


def full_resolution(
    shape: tuple[int, ...], n_channels: int, n_out: int, n_in: int
) -> tuple[nn.Module, nn.Module]:
    """Return networks whose first layer has stride 1; the rest is as wide as the default's."""
    side, widths = shape[0] // 8, (16, 16, 32, 64)
    layers: list[nn.Module] = [nn.Conv3d(n_channels, 16, 3, padding=1), nn.LeakyReLU(0.1)]
    for n, m in zip(widths, widths[1:], strict=False):
        layers += [nn.Conv3d(n, m, 3, stride=2, padding=1), nn.LeakyReLU(0.1)]
    encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * side**3, n_out))
    layers = [nn.Linear(n_in, 64 * side**3), nn.Unflatten(1, (64, side, side, side))]
    for n, m in zip(widths[:0:-1], widths[-2::-1], strict=True):
        layers += [nn.LeakyReLU(0.1), nn.ConvTranspose3d(n, m, 4, stride=2, padding=1)]
    decoder = nn.Sequential(*layers, nn.LeakyReLU(0.1), nn.Conv3d(16, n_channels, 3, padding=1))
    return encoder, decoder


def whole_patches(**sizes: Any) -> tuple[nn.Module, nn.Module]:
    """Return the default networks as if they were a user's: they exchange whole patches."""
    return build_networks(**sizes, network=None)


def make_step(
    batch: Batch,
    *,
    network: Any = None,
    compiled: bool = False,
    fused: bool = False,
    dtype: torch.dtype | None = None,
) -> Step:
    """Return a function that takes one step of the default model on a batch."""
    torch.manual_seed(0)
    module = ConditionalVAE(SHAPE, 1, N_LATENTS, N_FEATURES, network=network)
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3, fused=fused or None)
    objective = torch.compile(module.objective) if compiled else module.objective
    penalty = partial(distance_correlation, equal=True)

    def step() -> None:
        with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            terms, _ = objective(batch, penalty)
        optimiser.zero_grad(set_to_none=True)
        terms.total({"kl": 1e-5, "independence": 0.2}).backward()
        optimiser.step()

    return step


def make_folds_step(batch: Batch, *, together: bool) -> Step:
    """Return a step of encoder and decoder of several networks: in one pass, or one by one."""
    pairs = [build_networks(SHAPE, 1, N_LATENTS, N_LATENTS, None) for _ in range(FOLDS)]
    models = [nn.Sequential(*pair) for pair in pairs]
    x = batch.x
    if not together:

        def each() -> None:
            for model in models:
                functional.mse_loss(model(x), x).backward()

        return each
    parameters, _ = torch.func.stack_module_state(models)
    base = models[0]

    def loss(one: dict[str, torch.Tensor]) -> torch.Tensor:
        return functional.mse_loss(torch.func.functional_call(base, one, (x,)), x)

    gradients = torch.func.vmap(torch.func.grad(loss))
    return lambda: gradients(parameters)


def time_steps(ways: dict[str, Step], rounds: int) -> dict[str, np.ndarray]:
    """Return the processor seconds of each way in each round; all in turn."""
    for step in ways.values():
        step()
        step()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, step in ways.items():
            start = time.process_time()
            step()
            seconds[name].append(time.process_time() - start)
    return {name: np.array(found) for name, found in seconds.items()}


def step_table(n: int, rounds: int) -> list[str]:
    """Return the rows of the table of steps, relative to the first way."""
    torch.set_num_threads(1)
    batch = draw_batch(n)
    with memory_kept():
        ways = {
            "default: first layer on blocks of 4³, channels last, blocks in the loss": {},
            "the same networks on whole patches, as a user's own": {"network": whole_patches},
            "first layer at full resolution": {"network": full_resolution},
            "`torch.compile` of the objective": {"compiled": True},
            "AdamW, fused": {"fused": True},
            "bfloat16 (`torch.autocast` on the CPU)": {"dtype": torch.bfloat16},
        }
        steps = {name: make_step(batch, **options) for name, options in ways.items()}
        times = time_steps(steps, rounds)
        folds = {
            f"{FOLDS} networks one by one": make_folds_step(batch, together=False),
            f"{FOLDS} networks in one pass (`vmap`)": make_folds_step(batch, together=True),
        }
        several = time_steps(folds, rounds)
    return [*_ratio_rows(times), *_ratio_rows(several)]


def _ratio_rows(times: dict[str, np.ndarray]) -> list[str]:
    """Return rows of milliseconds and ratios to the first way."""
    first = next(iter(times.values()))
    rows = []
    for name, seconds in times.items():
        ratios = seconds / first
        low, middle, high = np.percentile(ratios, [10, 50, 90])
        rows.append(
            f"| {name} | {1e3 * np.median(seconds):.0f} | {middle:.2f} ({low:.2f}–{high:.2f}) |"
        )
    return rows


def stopping_table(seeds: int, epochs: int) -> list[str]:
    """Return the rows of the table of early stopping."""
    stop = EarlyStopping(monitor="valid_total", patience=10, load_best=True)
    ways = {
        "default": {},
        "a fifth held out": {"validation_fraction": 0.2},
        "early stopping, rate of the default": {"validation_fraction": 0.2, "callbacks": [stop]},
        "early stopping, constant rate": {
            "validation_fraction": 0.2,
            "callbacks": [stop],
            "lr_schedule": "constant",
        },
    }
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in ways}
    split = phantoms()
    for seed in range(seeds):
        train, y, test, labels = split(seed)
        for name, options in ways.items():
            start = time.process_time()
            model = NonRedundantCVAE(
                max_epochs=epochs, random_state=seed, device="cpu", net_params=options or None
            ).fit(train)
            seconds = time.process_time() - start
            columns = [np.asarray(model.transform(part)) for part in (train, test)]
            auc = fused_auc(columns, [y, labels])
            found[name].append((seconds, len(model.history_), unexplained(model, test), auc))
    rows = []
    for name, runs in found.items():
        mean, sd = np.mean(runs, axis=0), np.std(runs, axis=0, ddof=1 if seeds > 1 else 0)
        cells = [f"{m:.{d}f} ± {s:.{d}f}" for m, s, d in zip(mean, sd, (1, 0, 3, 3), strict=True)]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows


def main() -> None:
    """Measure both tables and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--print", action="store_true", help="do not write the section")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    body = "\n".join(
        [
            f"A step of `NonRedundantCVAE` on {options.batch} patches of 32³ with {N_FEATURES} "
            f"features, one thread, processor time, {options.rounds} rounds, all ways in turn. "
            "Compilation (17 to 27 s per process) is not counted.",
            "",
            "| way | milliseconds (median) | relative to the first: median (10–90 %) |",
            "| --- | --- | --- |",
            *step_table(options.batch, options.rounds),
            "",
            f"Early stopping on `valid_total` (patience 10, best weights), {options.epochs} epochs "
            f"at most, 400 phantoms to train on and 600 others, {options.seeds} seeds, mean ± SD. "
            "FVU: unexplained fraction of the voxel variance; fused AUC: logistic regression on "
            "(h, d).",
            "",
            "| training | seconds | epochs | FVU | fused AUC |",
            "| --- | --- | --- | --- | --- |",
            *stopping_table(options.seeds, options.epochs),
            "",
            "The default's rate falls to almost nothing over all epochs, so that the held-out "
            "loss falls to the end and early stopping seldom ends a training; with a constant "
            "rate it does.",
        ]
    )
    title = "Networks: what ways to train faster give"
    print(body) if options.print else write_section("network_options.py", title, body)


if __name__ == "__main__":
    main()
