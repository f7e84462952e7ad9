"""The skorch net of the lesion graph: losses, early stopping, outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import Tensor
from torch.nn import functional

from nonredundant.nn.batches import PatientDataset
from nonredundant.nn.graph import GraphBatch, GraphOutput
from nonredundant.nn.losses import cox_loss


def as_is(batch: GraphBatch) -> GraphBatch:
    """Collate nothing: the dataset returns whole batches."""
    return batch


def to_device(batch: GraphBatch, device: Any) -> GraphBatch:
    """Move a batch's tensors to the device."""
    return GraphBatch(*(part.to(device) for part in batch))


class ClassLoss:
    """Cross-entropy, each class with its weight."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = torch.from_numpy(weights)

    def __call__(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the weighted mean over the patients."""
        return functional.cross_entropy(logits, label, self.weights.to(logits))


class CoxLoss:
    """The partial likelihood of the patients of a batch, each observed among these alone."""

    def __call__(self, risk: Tensor, label: Tensor) -> Tensor:
        """Return the mean over the events; a label is whether it was seen, and the time."""
        return cox_loss(risk[:, 0], label[:, 0] > 0, label[:, 1])


class GraphNet(NeuralNet):
    """A skorch net whose batches are graphs.

    Parameters
    ----------
    module : nn.Module
        Maps a GraphBatch to a GraphOutput.
    loss : callable
        (logits, label) to a scalar.
    **kwargs
        As for `skorch.NeuralNet`.
    """

    def __init__(
        self, module: Any, *, loss: Callable[[Tensor, Tensor], Tensor], **kwargs: Any
    ) -> None:
        self.loss = loss
        super().__init__(module, criterion=torch.nn.Identity, **kwargs)

    def train_step(self, batch: GraphBatch, **_: Any) -> dict[str, Any]:
        """Take one step."""
        self.module_.train()
        self.optimizer_.zero_grad(set_to_none=True)
        loss, logits = self._objective(batch)
        loss.backward()
        self.optimizer_.step()
        return {"loss": loss.detach(), "y_pred": logits.detach()}

    def validation_step(self, batch: GraphBatch, **_: Any) -> dict[str, Any]:
        """Evaluate the loss on patients that are not trained on."""
        self.module_.eval()
        with torch.no_grad():
            loss, logits = self._objective(batch)
        return {"loss": loss, "y_pred": logits}

    def _objective(self, batch: GraphBatch) -> tuple[Tensor, Tensor]:
        """Return the loss and the outputs, or stop if the loss is no longer a number."""
        batch = to_device(batch, self.device)
        logits = self.module_(batch).logits
        loss = self.loss(logits, batch.label)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"training diverged: the loss is no longer a finite number in epoch "
                f"{len(self.history)}; lower lr (now {self.lr})"
            )
        return loss, logits


def build_graph_net(
    module: torch.nn.Module,
    *,
    valid: PatientDataset | None,
    patience: int | None,
    callbacks: Sequence[Any] | None,
    options: Mapping[str, Any],
    **settings: Any,
) -> GraphNet:
    """Return an untrained net around a module, with the user's options on top."""
    own: list[Any] = list(callbacks or [])
    if valid is not None and patience is not None:
        own.append(EarlyStopping("valid_loss", patience=patience, load_best=True, sink=noop))
    arguments: dict[str, Any] = {
        "optimizer": torch.optim.AdamW,
        "iterator_train__shuffle": True,
        "iterator_train__collate_fn": as_is,
        "iterator_valid__collate_fn": as_is,
        "train_split": None if valid is None else predefined_split(valid),
        "callbacks": own,
        **settings,
        **options,
    }
    return GraphNet(module, **arguments)


@torch.no_grad()
def outputs(net: GraphNet, dataset: PatientDataset, batch_size: int) -> Iterator[GraphOutput]:
    """Yield the outputs of the dataset, in order, on the CPU."""
    module = net.module_.eval()
    for start in range(0, len(dataset), batch_size):
        stop = min(start + batch_size, len(dataset))
        batch = to_device(dataset.__getitems__(range(start, stop)), net.device)
        yield GraphOutput(*(part.cpu() for part in module(batch)))
