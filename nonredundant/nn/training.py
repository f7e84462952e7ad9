"""The skorch net of the VAE family: one training step, encoding, evidence lower bound."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler, PrintLog
from skorch.helper import predefined_split
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from nonredundant.nn.batches import LesionDataset, as_is, batches, to_device
from nonredundant.nn.callbacks import ScheduledUpdate, TermHistory, WarmCosine
from nonredundant.nn.losses import Batch
from nonredundant.nn.penalties import LEAST_ROWS


class FamilyNet(NeuralNet):
    """A skorch net whose module returns the terms of its loss (`module.objective`).

    Parameters
    ----------
    module : nn.Module
        Has `objective(batch, penalty) -> (LossTerms, d)` and `pair(batch, d)`: what the
        independence term keeps apart.
    term : independence term or None
        Keeps d independent of h; trained beside the module if it has parameters.
    disentangle : independence term or None
        Keeps the columns of d independent of each other: of `module.within(batch, d)`.
    weights : mapping of str to float
        Weight of each term of the loss.
    n_steps : int or None
        Steps over which the learning rate rises and falls; None keeps it constant.
    mixed_precision : bool
        Run the forward pass in half precision on CUDA.
    **kwargs
        As for `skorch.NeuralNet`.
    """

    def __init__(
        self,
        module: Any,
        *,
        term: Any = None,
        disentangle: Any = None,
        weights: Mapping[str, float] | None = None,
        n_steps: int | None = None,
        mixed_precision: bool = False,
        **kwargs: Any,
    ) -> None:
        self.n_steps = n_steps
        self.term = term
        self.disentangle = disentangle
        self.weights = weights
        self.mixed_precision = mixed_precision
        super().__init__(module, criterion=torch.nn.Identity, **kwargs)

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        """The recorder of the terms, the schedule of the term, and a log where asked for."""
        callbacks: list[tuple[str, Callback]] = [
            ("terms", TermHistory()),
            ("term_schedule", ScheduledUpdate()),
        ]
        if self.n_steps is not None:
            factor = WarmCosine(self.n_steps)
            rate = LRScheduler(policy=LambdaLR, lr_lambda=factor, step_every="batch")
            callbacks.append(("lr_schedule", rate))
        return callbacks + ([("print_log", PrintLog())] if self.verbose else [])

    def initialize(self) -> FamilyNet:
        """Build the module, and the scaler of gradients that half precision needs."""
        super().initialize()
        on_cuda = torch.device(self.device).type == "cuda"
        self.grad_scaler_ = torch.amp.GradScaler("cuda", enabled=self.mixed_precision and on_cuda)
        return self

    @property
    def term_names(self) -> list[str]:
        """Names of the recorded terms."""
        return list(getattr(self, "term_names_", ()))

    def objective(self, batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the total loss, d and the terms by name."""
        device = torch.device(self.device).type
        half = self.mixed_precision and device == "cuda"
        # Fewer rows carry no unbiased estimate of dependence.
        estimable = self.term is not None and len(batch.x) >= LEAST_ROWS
        penalty = self.term.penalty if estimable else None
        with torch.autocast(device, dtype=torch.float16, enabled=half):
            terms, d = self.module_.objective(batch, penalty)
            if self.disentangle is not None:
                pair = self.module_.within(batch, d)
                few = len(pair[0]) < LEAST_ROWS
                among = d.new_zeros(()) if few else self.disentangle.penalty(*pair)
                terms = terms.with_extra(total_correlation=among)
            total = terms.total(self.weights or {})
        return total, d, {"total": total, **terms.named()}

    def train_step(self, batch: Batch, **_: Any) -> dict[str, Any]:
        """Take one step of the VAE and one of each term that has parameters to train."""
        batch = to_device(batch, self.device)
        self.module_.train()
        self.optimizer_.zero_grad(set_to_none=True)
        total, d, terms = self.objective(batch)
        self._record("train", terms)
        self.grad_scaler_.scale(total).backward()
        self.grad_scaler_.step(self.optimizer_)
        self.grad_scaler_.update()
        self._update(self.term, "pair", batch, d.detach())
        self._update(self.disentangle, "within", batch, d.detach())
        return {"loss": total.detach(), "y_pred": d.detach()}

    def _update(self, term: Any, kept_apart: str, batch: Batch, d: Tensor) -> None:
        """Train a term's own parameters, if it has some, on what it keeps apart."""
        if term is None or term.fit_mode != "step":
            return
        pair = getattr(self.module_, kept_apart)(batch, d)
        if len(pair[0]) >= LEAST_ROWS:
            term.update(*pair)

    def validation_step(self, batch: Batch, **_: Any) -> dict[str, Any]:
        """Evaluate the objective on a batch that is not trained on."""
        batch = to_device(batch, self.device)
        self.module_.eval()
        with torch.no_grad():
            total, d, terms = self.objective(batch)
        self._record("valid", terms)
        return {"loss": total, "y_pred": d}

    def _record(self, prefix: str, terms: Mapping[str, Tensor]) -> None:
        """Record the batch's terms, and stop if one is no longer a number."""
        values = torch.stack([value.detach().float() for value in terms.values()]).tolist()
        self.term_names_ = list(terms)
        for name, value in zip(terms, values, strict=True):
            self.history.record_batch(f"{prefix}_{name}", value)
        bad = [n for n, v in zip(terms, values, strict=True) if not np.isfinite(v)]
        if bad:
            named = [name for name in bad if name != "total"] or bad
            raise FloatingPointError(
                f"training diverged: the term {named[0]!r} is no longer a finite number in epoch "
                f"{len(self.history)}; lower lr (now {self.lr}) or the weight of that term"
            )


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from a stream of its own and leave torch's global one as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def resolve_device(device: str) -> str:
    """Return CUDA where there is one if the device is left to us."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def build_net(
    module: torch.nn.Module,
    *,
    valid: LesionDataset | None,
    options: Mapping[str, Any],
    **settings: Any,
) -> FamilyNet:
    """Return an untrained net around a module, with the user's options on top."""
    arguments: dict[str, Any] = {
        "optimizer": torch.optim.AdamW,
        "iterator_train__shuffle": True,
        "iterator_train__collate_fn": as_is,
        "iterator_valid__collate_fn": as_is,
        "train_split": None if valid is None else predefined_split(valid),
        **settings,
        **options,
    }
    return FamilyNet(module, **arguments)


@torch.no_grad()
def encode(net: FamilyNet, dataset: LesionDataset, batch_size: int) -> np.ndarray:
    """Return the posterior means of every row of the dataset."""
    module = net.module_.eval()
    parts = [
        module.posterior(batch).mean.cpu().numpy()
        for batch in batches(dataset, batch_size, net.device)
    ]
    return np.concatenate(parts)


@torch.no_grad()
def elbo(net: FamilyNet, dataset: LesionDataset, batch_size: int, beta: float) -> np.ndarray:
    """Return the evidence lower bound of every row of the dataset."""
    module = net.module_.eval()
    parts = [
        module.elbo(batch, beta).cpu().numpy() for batch in batches(dataset, batch_size, net.device)
    ]
    return np.concatenate(parts)
