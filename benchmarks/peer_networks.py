"""Compare an epoch of the VAE with a bare torch loop and with pythae's trainer, in one thread.

Pythae is installed into an environment of its own. The script runs itself there, and once per
program and round in a process of its own.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import venv
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

ROOT = Path(__file__).resolve().parent.parent
PEERS = ("torch==2.13.0", "pythae==0.1.2")
N_LATENTS, BATCH, LR, DECAY = 16, 64, 1e-3, 1e-4
#: Weight of the KL term of `VAE`, whose reconstruction is a fraction of the variance.
BETA = 1e-5
#: Requirements: at most so many times the bare loop, at least so many times faster than pythae.
LOOP, PYTHAE = 1.05, 1.5
OURS, BARE = "nonredundant", "bare loop"
SAME, USUAL = "pythae, the same networks", "pythae, strided convolutions of equal size"


def draw_patches(n: int, side: int) -> np.ndarray:
    """Draw standardised patches of two blobs each, shape (n, 1, side, side, side)."""
    rng = np.random.default_rng(0)
    axis = np.linspace(-1, 1, side)
    patches = 0.3 * rng.normal(size=(n, 1, side, side, side))
    for _ in range(2):
        centre, width = rng.uniform(-0.5, 0.5, (3, n)), rng.uniform(0.2, 0.5, n)
        z, y, x = (np.exp(-(((axis - c[:, None]) / width[:, None]) ** 2)) for c in centre)
        patches[:, 0] += np.einsum("nz,ny,nx->nzyx", z, y, x)
    return ((patches - patches.mean()) / patches.std()).astype(np.float32)


def usual_networks(side: int) -> tuple[nn.Module, nn.Module]:
    """Return encoder and decoder of strided convolutions, with about the parameters of ours."""
    widths = (1, 8, 16, 32)
    layers: list[nn.Module] = []
    for n_in, n_out in zip(widths, widths[1:], strict=False):
        layers += [nn.Conv3d(n_in, n_out, 4, stride=2, padding=1), nn.LeakyReLU(0.1)]
    grid = side // 8
    encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * grid**3, 2 * N_LATENTS))
    layers = [nn.Linear(N_LATENTS, 32 * grid**3), nn.Unflatten(1, (32, grid, grid, grid))]
    for n_in, n_out in zip(widths[:0:-1], widths[-2::-1], strict=True):
        layers += [nn.LeakyReLU(0.1), nn.ConvTranspose3d(n_in, n_out, 4, stride=2, padding=1)]
    return encoder, nn.Sequential(*layers)


def same_networks(side: int) -> tuple[nn.Module, nn.Module]:
    """Return the default networks of the package."""
    from nonredundant.nn.blocks import build_networks

    return build_networks((side,) * 3, 1, 2 * N_LATENTS, N_LATENTS, None)


def run_ours(x: np.ndarray, epochs: int) -> tuple[list[float], float, int]:
    """Train `VAE`; return the seconds of each epoch, the last error and the parameters."""
    from skorch.callbacks import EpochTimer

    from nonredundant import LesionTable
    from nonredundant.contrastive import VAE

    options = {"callbacks": [EpochTimer()], "lr_schedule": "constant"}
    vae = VAE(
        N_LATENTS,
        beta=BETA,
        max_epochs=epochs,
        batch_size=BATCH,
        lr=LR,
        augment=None,
        random_state=0,
        net_params=options,
    ).fit(LesionTable.from_arrays(patches=x))
    n_parameters = sum(one.numel() for one in vae.net_.module_.parameters())
    return vae.net_.history[:, "dur"], vae.history_["reconstruction"].iloc[-1], n_parameters


def run_bare(x: np.ndarray, epochs: int) -> tuple[list[float], float, int]:
    """Train the same networks in a hand-written loop."""
    torch.manual_seed(0)
    cohort = torch.from_numpy(x)
    encoder, decoder = same_networks(x.shape[-1])
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=LR, weight_decay=DECAY)
    seconds, error = [], torch.zeros(())
    for _ in range(epochs):
        start, errors = time.perf_counter(), []
        for rows in torch.randperm(len(x)).split(BATCH):
            batch = cohort[rows]
            mean, log_variance = encoder(batch).chunk(2, dim=1)
            z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
            error = functional.mse_loss(decoder(z), batch)
            kl = 0.5 * (log_variance.exp() + mean.square() - 1 - log_variance).sum(1).mean()
            optimiser.zero_grad()
            (error + BETA * kl).backward()
            optimiser.step()
            errors.append(error.item() * len(rows))
        seconds.append(time.perf_counter() - start)
    return seconds, sum(errors) / len(x), sum(one.numel() for one in parameters)


def run_pythae(
    x: np.ndarray, epochs: int, networks: Callable[[int], tuple[nn.Module, nn.Module]]
) -> tuple[list[float], float, int]:
    """Train pythae's BetaVAE with its own trainer; the loss is that of the others, rescaled."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import BetaVAE, BetaVAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    logging.disable(logging.CRITICAL)
    torch.manual_seed(0)

    class Encoder(BaseEncoder):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: torch.Tensor) -> Any:
            mean, log_variance = self.network(x).chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, z: torch.Tensor) -> Any:
            return ModelOutput(reconstruction=self.network(z))

    class Timed(BaseTrainer):
        def train_step(self, epoch: int) -> Any:
            start = time.perf_counter()
            loss = super().train_step(epoch)
            seconds.append(time.perf_counter() - start)
            return loss

    seconds: list[float] = []
    encoder, decoder = networks(x.shape[-1])
    # Half the squared error summed over voxels, so that this weight is that of BETA.
    beta = BETA * x[0].size / 2
    settings = BetaVAEConfig(input_dim=x.shape[1:], latent_dim=N_LATENTS, beta=beta)
    model = BetaVAE(settings, encoder=Encoder(encoder), decoder=Decoder(decoder))
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=epochs,
            per_device_train_batch_size=BATCH,
            learning_rate=LR,
            optimizer_cls="AdamW",
            optimizer_params={"weight_decay": DECAY},
            no_cuda=True,
        )
        dataset = BaseDataset(torch.from_numpy(x), torch.zeros(len(x)))
        Timed(model, train_dataset=dataset, training_config=config).train()
    with torch.no_grad():
        cohort = torch.from_numpy(x)
        mean, log_variance = encoder(cohort).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        error = functional.mse_loss(decoder(z), cohort).item()
    return seconds, error, sum(one.numel() for one in model.parameters())


def work(name: str, n: int, side: int, epochs: int) -> dict[str, Any]:
    """Run one program in this process."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    x = draw_patches(n, side)
    if name == OURS:
        found, version = run_ours(x, epochs), ""
    elif name == BARE:
        found, version = run_bare(x, epochs), f"torch {torch.__version__}"
    else:
        found = run_pythae(x, epochs, same_networks if name == SAME else usual_networks)
        version = f"pythae {importlib.metadata.version('pythae')}, torch {torch.__version__}"
    seconds, error, n_parameters = found
    # The first epoch includes the warm-up of torch.
    second = float(np.median(seconds[1:]))
    return {"seconds": second, "error": error, "parameters": n_parameters, "version": version}


def install(folder: Path) -> str:
    """Make the environment of pythae; return why it cannot be made, or nothing."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    request = [str(python), "-m", "pip", "install", "--quiet", *PEERS]
    done = subprocess.run(request, capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one program in a process of its own with one thread."""
    python = options.environment.absolute() / "bin" / "python"
    interpreter = str(python) if name.startswith("pythae") else sys.executable
    sizes = [str(one) for one in (options.samples, options.side, options.epochs)]
    done = subprocess.run(
        [interpreter, __file__, "--work", name, *sizes],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def describe(name: str, found: list[dict[str, Any]], ours: list[dict[str, Any]]) -> str:
    """Return one row of the table; ratios are those within a round."""
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(found, ours, strict=True)]
    seconds = np.median([one["seconds"] for one in found])
    version = f" ({found[0]['version']})" if found[0]["version"] else ""
    return (
        f"| {name}{version} | {found[0]['parameters']:,} | {seconds:.3f} | {np.median(ratios):.2f} "
        f"({min(ratios):.2f}–{max(ratios):.2f}) | {np.median([o['error'] for o in found]):.3f} |"
    )


def main() -> None:
    """Install pythae, run all programs in turn, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--environment", type=Path, default=Path(".peers-networks"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--print", action="store_true", help="do not write the section")
    options = parser.parse_args()
    if options.work:
        name, *sizes = options.work
        print(json.dumps(work(name, *map(int, sizes))))
        return
    reason = install(options.environment)
    names = [OURS, BARE] if reason else [OURS, BARE, SAME, USUAL]
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in names:
            results[name].append(measure(name, options))
    body = "\n".join(
        [
            f"One epoch of a VAE with {N_LATENTS} latents on {options.samples} drawn patches of "
            f"{options.side}³, batches of {BATCH}, AdamW with a constant rate of {LR}, the same "
            f"loss up to a factor; one thread; {options.rounds} rounds of {options.epochs} epochs, "
            "each program once per round in a process of its own. Error: unexplained fraction of "
            "the voxel variance in the last epoch. The loop and the first of pythae have the "
            "package's own encoder and decoder; the second has three strided convolutions of the "
            "usual kind and about as many parameters. Of pythae the epochs are timed, not what "
            "its trainer does between them (it copies the best model).",
            "",
            "| program | parameters | seconds per epoch (median) | time relative to ours: median "
            f"(range); required: loop at least {1 / LOOP:.2f}, pythae at least {PYTHAE} | error |",
            "| --- | --- | --- | --- | --- |",
            *(describe(name, found, results[OURS]) for name, found in results.items()),
            *(["", f"Pythae was not installed: {reason}."] if reason else []),
        ]
    )
    if options.print:
        print(body)
        return
    from reporting import write_section

    write_section("peer_networks.py", "Networks: a bare loop and pythae", body)


if __name__ == "__main__":
    main()
