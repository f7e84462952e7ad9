"""The skorch net of the lesion graph: losses, early stopping, outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from skorch.callbacks import EarlyStopping
from skorch.utils import noop
from torch import Tensor
from torch.nn import functional

from nonredundant.nn.batches import PatientDataset, batches
from nonredundant.nn.graph import GraphBatch, GraphOutput
from nonredundant.nn.losses import cox_loss
from nonredundant.nn.net import TermNet


class ClassLoss:
    """Cross-entropy with one weight per class."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = torch.from_numpy(weights)

    def __call__(self, logits: Tensor, label: Tensor) -> Tensor:
        """Compute the weighted mean over the patients."""
        return functional.cross_entropy(logits, label, self.weights.to(logits))


class CoxLoss:
    """Negative log partial likelihood with the risk sets of the batch."""

    def __call__(self, risk: Tensor, label: Tensor) -> Tensor:
        """Compute the mean over the events; label columns are the event indicator and the time."""
        return cox_loss(risk[:, 0], label[:, 0] > 0, label[:, 1])


class GraphNet(TermNet):
    """Skorch net whose batches are graphs.

    Parameters
    ----------
    module : nn.Module
        Maps a GraphBatch to a GraphOutput.
    loss : callable
        Function of (logits, label) that returns a scalar.
    **kwargs
        As for `TermNet`.
    """

    def __init__(
        self, module: Any, *, loss: Callable[[Tensor, Tensor], Tensor], **kwargs: Any
    ) -> None:
        self.loss = loss
        super().__init__(module, **kwargs)

    def objective(self, batch: GraphBatch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the loss and the logits; the loss has one term."""
        logits = self.module_(batch).logits
        return self.loss(logits, batch.label), logits, {}

    def respond(self, batch: GraphBatch) -> Tensor:
        """Return the logits of the classes, or the risks."""
        return self.module_(batch).logits

    def as_pair(self, batch: GraphBatch) -> tuple[GraphBatch, Tensor]:
        """Return the batch and its labels."""
        return batch, batch.label

    def predict(self, X: Any) -> np.ndarray:
        """Return the position of the most probable class, or the risk; scoring callbacks use it."""
        values = self.forward(X, training=False).cpu().numpy()
        return values.argmax(axis=1) if isinstance(self.loss, ClassLoss) else values[:, 0]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes."""
        return functional.softmax(self.forward(X, training=False), dim=1).cpu().numpy()


def early_stopping(patience: int) -> EarlyStopping:
    """Return the callback that stops after `patience` epochs and restores the best weights."""
    return EarlyStopping("valid_total", patience=patience, load_best=True, sink=noop)


@torch.no_grad()
def outputs(net: TermNet, dataset: PatientDataset, batch_size: int) -> Iterator[GraphOutput]:
    """Yield the outputs of the batches in order, on the CPU."""
    module = net.module_.eval()
    for batch in batches(dataset, batch_size, net.device):
        yield GraphOutput(*(part.cpu() for part in module(batch)))
