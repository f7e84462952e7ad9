"""The skorch net that trains every network of the package: steps, recorded terms, devices."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, PrintLog
from skorch.helper import predefined_split
from torch import Tensor
from torch.utils.data import Dataset

from nonredundant.nn.batches import as_is
from nonredundant.nn.callbacks import TermHistory, learning_rate


class TermNet(NeuralNet):
    """A skorch net whose loss is a sum of named terms, each recorded per epoch.

    A subclass defines `objective`. Subclasses whose terms have parameters of their own train
    them in `after_step`.

    Parameters
    ----------
    module : nn.Module
        The network.
    lr_schedule : {"cosine", "constant"}
        Course of the learning rate over the steps; see `nn.callbacks.learning_rate`.
    n_steps : int
        Number of steps of the whole training, which the schedule spans.
    mixed_precision : bool
        Run the forward pass in half precision on CUDA.
    **kwargs
        As for `skorch.NeuralNet`.
    """

    def __init__(
        self,
        module: Any,
        *,
        lr_schedule: str = "constant",
        n_steps: int = 1,
        mixed_precision: bool = False,
        **kwargs: Any,
    ) -> None:
        self.lr_schedule = lr_schedule
        self.n_steps = n_steps
        self.mixed_precision = mixed_precision
        super().__init__(module, criterion=torch.nn.Identity, **kwargs)

    def objective(self, batch: Any) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the total loss, what the network predicts, and the terms by name."""
        raise NotImplementedError

    def after_step(self, batch: Any, prediction: Tensor) -> None:
        """Train what is trained beside the network; most nets have nothing of the kind."""

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        """The recorder of the terms, the learning rate's schedule, and a log on request."""
        callbacks: list[tuple[str, Callback]] = [("terms", TermHistory())]
        schedule = learning_rate(self.lr_schedule, self.n_steps)
        if schedule is not None:
            callbacks.append(("lr_schedule", schedule))
        return callbacks + ([("print_log", PrintLog())] if self.verbose else [])

    def initialize(self) -> TermNet:
        """Build the module, and the scaler of gradients that half precision needs."""
        super().initialize()
        on_cuda = torch.device(self.device).type == "cuda"
        self.grad_scaler_ = torch.amp.GradScaler("cuda", enabled=self.mixed_precision and on_cuda)
        return self

    @property
    def term_names(self) -> list[str]:
        """Names of the recorded terms."""
        return list(getattr(self, "term_names_", ()))

    def train_step(self, batch: Any, **_: Any) -> dict[str, Any]:
        """Take one step on a batch."""
        batch = batch.to(self.device)
        self.module_.train()
        self.optimizer_.zero_grad(set_to_none=True)
        total, prediction, terms = self._objective(batch)
        self._record("train", terms)
        self.grad_scaler_.scale(total).backward()
        self.grad_scaler_.step(self.optimizer_)
        self.grad_scaler_.update()
        self.after_step(batch, prediction.detach())
        return {"loss": total.detach(), "y_pred": prediction.detach()}

    def validation_step(self, batch: Any, **_: Any) -> dict[str, Any]:
        """Evaluate the objective on a batch of rows that are not trained on."""
        batch = batch.to(self.device)
        self.module_.eval()
        with torch.no_grad():
            total, prediction, terms = self._objective(batch)
        self._record("valid", terms)
        return {"loss": total, "y_pred": prediction}

    def _objective(self, batch: Any) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Evaluate the objective, in half precision on request."""
        device = torch.device(self.device).type
        half = self.mixed_precision and device == "cuda"
        with torch.autocast(device, dtype=torch.float16, enabled=half):
            total, prediction, terms = self.objective(batch)
        return total, prediction, {"total": total, **terms}

    def _record(self, prefix: str, terms: Mapping[str, Tensor]) -> None:
        """Record the batch's terms, and stop if one is no longer a finite number."""
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


def build_net(
    kind: Callable[..., TermNet],
    module: torch.nn.Module,
    *,
    valid: Dataset | None,
    options: Mapping[str, Any] | None,
    callbacks: list[Any] | None = None,
    **settings: Any,
) -> TermNet:
    """Return an untrained net around a module.

    Parameters
    ----------
    kind : type
        Class of the net.
    module : nn.Module
        The network.
    valid : Dataset or None
        Rows that are evaluated in each epoch and not trained on.
    options : mapping or None
        The user's `net_params`; they take precedence over `settings`, and callbacks are added.
    callbacks : list, optional
        The estimator's own callbacks.
    **settings
        Arguments of the net.
    """
    own = dict(options or {})
    arguments: dict[str, Any] = {
        "optimizer": torch.optim.AdamW,
        "iterator_train__shuffle": True,
        "iterator_train__collate_fn": as_is,
        "iterator_valid__collate_fn": as_is,
        "train_split": None if valid is None else predefined_split(valid),
        **settings,
        "callbacks": [*(own.pop("callbacks", None) or []), *(callbacks or [])],
        **own,
    }
    return kind(module, **arguments)


def history_of(net: TermNet) -> pd.DataFrame:
    """Return the epochs' terms as a data frame, `valid_*` after the training terms."""
    names = [*net.term_names, *(f"valid_{name}" for name in net.term_names)]
    kept = [name for name in names if name in net.history[-1]]
    index = pd.RangeIndex(1, len(net.history) + 1, name="epoch")
    return pd.DataFrame(net.history[:, kept], columns=kept, index=index)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from a random stream of its own and leave torch's global one as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def resolve_device(device: str) -> str:
    """Return the device's name; "auto" is CUDA where there is a GPU."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def restored_net(module: torch.nn.Module) -> TermNet:
    """Return a net around the network of a saved model, on the CPU: it predicts, nothing else."""
    net = TermNet(module, device="cpu", train_split=None).initialize()
    net.is_restored = True
    return net
