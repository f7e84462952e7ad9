"""What the estimator's training costs beside a bare torch loop over the same module."""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from reporting import write_section
from skorch.callbacks import EpochTimer

from nonredundant.cvae import NonRedundantCVAE
from nonredundant.lesions import LesionTable
from nonredundant.nn.augment import Augmentation
from nonredundant.nn.blocks import ConvDecoder
from nonredundant.nn.losses import Batch

BATCH = 64


def make_table(n: int, side: int, n_features: int) -> LesionTable:
    """Return random lesions; speed does not depend on what they show."""
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(n, 1, side, side, side)).astype(np.float32)
    masks = rng.random(patches.shape) < 0.4
    features = rng.normal(size=(n, n_features))
    return LesionTable.from_arrays(features=features, patches=patches, masks=masks)


def time_estimator(table: LesionTable, epochs: int) -> tuple[float, NonRedundantCVAE]:
    """Return the median seconds of an epoch, as skorch times it, and the fitted estimator."""
    cvae = NonRedundantCVAE(
        max_epochs=epochs + 1,
        batch_size=BATCH,
        validation_fraction=0.0,
        callbacks=[EpochTimer()],
        random_state=0,
    ).fit(table)
    # The first epoch warms up torch.
    return float(np.median(cvae.net_.history[1:, "dur"])), cvae


def time_bare_loop(table: LesionTable, cvae: NonRedundantCVAE, epochs: int) -> float:
    """Return the median seconds of an epoch of a hand-written loop: same module, loss, flips."""
    module, term, weights = cvae.net_.module_, cvae.net_.term, cvae.net_.weights
    assert isinstance(module.decoder, ConvDecoder)
    optimiser = torch.optim.AdamW(module.parameters(), lr=cvae.lr, weight_decay=1e-4)
    x, masks = torch.from_numpy(table.patches), torch.from_numpy(table.masks)
    h = torch.from_numpy(cvae.hcr_scaler_.transform(table.features).astype(np.float32))
    y, weight = torch.full((len(x),), -1), torch.ones(len(x))
    size = cvae.net_.batch_size
    flip = Augmentation(("flip_x", "flip_y", "flip_z"))
    module.train()
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        for rows in torch.randperm(len(x)).split(size):
            flipped, mask = flip(x[rows], masks[rows])
            batch = Batch(flipped, mask, h[rows], y[rows], weight[rows], rows)
            terms, _d = module.objective(batch, term.penalty)
            total = terms.total(weights)
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            optimiser.step()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def main() -> None:
    """Measure in alternation, so that a busy machine is busy for both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()
    table = make_table(400, 32, 107)
    ratios, ours, bare = [], [], []
    for _ in range(arguments.rounds):
        seconds, cvae = time_estimator(table, arguments.epochs)
        loop = time_bare_loop(table, cvae, arguments.epochs)
        ratios.append(seconds / loop)
        ours.append(seconds)
        bare.append(loop)
    body = (
        "One epoch on 400 patches of 32³ with 107 HCR, batches of 64, default settings; "
        f"{arguments.rounds} alternating rounds of {arguments.epochs} epochs.\n\n"
        "| | seconds an epoch (median) |\n| --- | --- |\n"
        f"| `NonRedundantCVAE` (skorch) | {np.median(ours):.2f} |\n"
        f"| hand-written loop, same module and mirror images | {np.median(bare):.2f} |\n\n"
        f"Median ratio {np.median(ratios):.2f} (asked: at most 1.10), "
        f"range {min(ratios):.2f}–{max(ratios):.2f}."
    )
    write_section("training.py", "Training speed", body)


if __name__ == "__main__":
    main()
