"""The skorch net of the VAE family: loss terms, encoding, evidence lower bound."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from nonredundant.nn.batches import LesionDataset, as_is, batches
from nonredundant.nn.callbacks import ScheduledUpdate
from nonredundant.nn.cut import cut_once
from nonredundant.nn.losses import Batch
from nonredundant.nn.memory import memory_kept
from nonredundant.nn.net import TermNet
from nonredundant.nn.penalties import LEAST_ROWS
from nonredundant.nn.stored import LesionLoader

#: Packages whose callbacks do not look into batches.
_OWN = ("nonredundant", "skorch")
#: Methods of a callback that are given a batch, and those that are given the data.
_OF_BATCHES = {"on_batch_begin", "on_batch_end", "on_grad_computed"}
_OF_EPOCHS = {"on_epoch_begin", "on_epoch_end"}


class VAENet(TermNet):
    """Skorch net whose module returns the terms of its loss when it is called.

    Parameters
    ----------
    module : nn.Module
        Returns `(LossTerms, d)` of `(batch, penalty)`, and has `pair(batch, d)`, the two sides of
        the independence term.
    term : independence term or None
        Term that keeps d independent of h; it is trained too if it has parameters.
    disentangle : independence term or None
        Term that keeps the columns of d independent of each other, computed from
        `module.within(batch, d)`.
    weights : mapping of str to float
        Weight of each term of the loss.
    **kwargs
        As for `TermNet`.
    """

    def __init__(
        self,
        module: Any,
        *,
        term: Any = None,
        disentangle: Any = None,
        weights: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        self.term = term
        self.disentangle = disentangle
        self.weights = weights
        super().__init__(module, **kwargs)

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        """Return the callbacks of `TermNet` and the schedule of terms trained every few epochs."""
        recorder, *others = super()._default_callbacks
        return [recorder, ("term_schedule", ScheduledUpdate()), *others]

    def fit_loop(self, X: Any, y: Any = None, **settings: Any) -> VAENet:
        """Run the epochs; the memory of a step is kept for the next one."""
        with memory_kept():
            return super().fit_loop(self._cut(X), y, **settings)

    def _cut(self, dataset: Any) -> Any:
        """Return a dataset whose patches are cut once, unless others than a step see them."""
        loader = self.get_params_for("iterator_train")
        own = self.iterator_train is LesionLoader and loader["collate_fn"] is as_is
        # Each worker process would cut the cohort for itself, and again in each epoch.
        if not own or loader.get("num_workers") or any(map(_shows_batches, self.callbacks_)):
            return dataset
        return cut_once(dataset, self.network, self.device)

    def objective(self, batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the total loss, d and the terms by name."""
        # An unbiased estimate of dependence needs LEAST_ROWS rows.
        estimable = self.term is not None and len(batch.x) >= LEAST_ROWS
        penalty = self.term.penalty if estimable else None
        terms, d = self.module_(batch, penalty)
        if self.disentangle is not None:
            pair = self.network.within(batch, d)
            few = len(pair[0]) < LEAST_ROWS
            among = d.new_zeros(()) if few else self.disentangle.penalty(*pair)
            terms = terms.with_extra(total_correlation=among)
        return terms.total(self.weights or {}), d, terms.named()

    def respond(self, batch: Batch) -> Tensor:
        """Return the posterior means."""
        return self.network.posterior(batch).mean

    def as_pair(self, batch: Batch) -> tuple[Batch, Tensor]:
        """Return the batch and its labels, -1 without labels."""
        return batch, batch.y

    def after_step(self, batch: Batch, prediction: Tensor) -> None:
        """Take one step of each term that has parameters to train."""
        self._update(self.term, "pair", batch, prediction)
        self._update(self.disentangle, "within", batch, prediction)

    def _update(self, term: Any, kept_apart: str, batch: Batch, d: Tensor) -> None:
        """Take one step of a term, if it has parameters, on the two sides that it compares."""
        if term is None or term.fit_mode != "step":
            return
        pair = getattr(self.network, kept_apart)(batch, d)
        if len(pair[0]) >= LEAST_ROWS:
            term.update(*pair)


def _shows_batches(named: tuple[str, Callback]) -> bool:
    """Return whether a callback shows batches to code of the user, which expects images."""
    callback = named[1]
    if callable(getattr(callback, "scoring", None)):
        return True
    if type(callback).__module__.partition(".")[0] in _OWN:
        return False
    own = {hook for hook in _OF_BATCHES | _OF_EPOCHS if _overrides(callback, hook)}
    data = [inspect.signature(getattr(callback, hook)).parameters for hook in own & _OF_EPOCHS]
    return bool(own & _OF_BATCHES) or any("dataset_train" in names for names in data)


def _overrides(callback: Callback, hook: str) -> bool:
    """Return whether a callback has a method of its own in the place of skorch's."""
    return getattr(type(callback), hook) is not getattr(Callback, hook)


@torch.no_grad()
def encode(net: TermNet, dataset: LesionDataset, batch_size: int) -> np.ndarray:
    """Compute the posterior means of every row of the dataset."""
    module = net.module_.eval()
    parts = [
        module.posterior(batch).mean.cpu().numpy()
        for batch in batches(dataset, batch_size, net.device)
    ]
    return np.concatenate(parts)


@torch.no_grad()
def elbo(net: TermNet, dataset: LesionDataset, batch_size: int, beta: float) -> np.ndarray:
    """Compute the evidence lower bound of every row of the dataset."""
    module = net.module_.eval()
    parts = [
        module.elbo(batch, beta).cpu().numpy() for batch in batches(dataset, batch_size, net.device)
    ]
    return np.concatenate(parts)
