"""Callbacks of the training: recorded terms, scheduled terms, learning rate."""

from __future__ import annotations

import copy
import inspect
import math
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from torch.optim.lr_scheduler import LambdaLR

from nonredundant.utils.progress import progress


class TermHistory(Callback):
    """Record the mean of every term per epoch, as `name` and `valid_name`.

    The total is also recorded as `train_loss` and `valid_loss`, the names that callbacks of skorch
    monitor by default, and whether it is the best so far as `total_best`, `valid_loss_best`, ….
    """

    def on_epoch_end(self, net: NeuralNet, **_: Any) -> None:
        """Record the means of the epoch, weighted by batch size."""
        for prefix, name_of in (("train", "{}"), ("valid", "valid_{}")):
            batches = [b for b in net.history[-1]["batches"] if f"{prefix}_batch_size" in b]
            sizes = [batch[f"{prefix}_batch_size"] for batch in batches]
            for term in net.term_names if batches else ():
                values = [batch[f"{prefix}_{term}"] for batch in batches]
                mean = float(np.average(values, weights=sizes))
                net.history.record(name_of.format(term), mean)
                if term == "total":
                    best = _is_best(net, name_of.format(term), mean)
                    net.history.record(f"{prefix}_loss", mean)
                    net.history.record(f"{name_of.format(term)}_best", best)
                    net.history.record(f"{prefix}_loss_best", best)


def _is_best(net: NeuralNet, name: str, value: float) -> bool:
    """Return whether a value is below those of all epochs before."""
    return all(value < epoch[name] for epoch in net.history[:-1] if name in epoch)


class EpochBar(Callback):
    """Show the epochs of a training in a progress bar; see `utils.progress`."""

    def on_train_begin(self, net: NeuralNet, **_: Any) -> None:
        """Open the bar."""
        self.bar_ = progress(None, total=net.max_epochs, what="Training", unit="epoch")

    def on_epoch_end(self, net: NeuralNet, **_: Any) -> None:
        """Count the epoch."""
        self.bar_.update()

    def close(self) -> None:
        """Close the bar, also after an interrupt."""
        self.bar_.close()

    def __getstate__(self) -> dict[str, Any]:
        # A bar writes to the terminal of its process: a copy has none.
        return {}


class ScheduledUpdate(Callback):
    """Train the independence term every few epochs on all posterior means (Vétil et al. 2023)."""

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Any = None, **_: Any) -> None:
        """Train the parameters of the term while the VAE stays fixed."""
        term, epoch = net.term, len(net.history) - 1
        if term is None or term.fit_mode != "scheduled" or epoch % term.every:
            return
        firsts, seconds = [], []
        for batch in net.get_iterator(dataset_train, training=False):
            batch = batch.to(net.device)
            with torch.no_grad():
                d = net.network.posterior(batch).mean
            first, second = net.network.pair(batch, d)
            firsts.append(first)
            seconds.append(second)
        term.update(torch.cat(firsts), torch.cat(seconds))


class WarmCosine:
    """Learning-rate factor: linear rise over a tenth of the steps, then cosine decay to 0.005.

    Training reaches the loss of a constant rate in a third of the epochs. Smith & Topin 2019 (arXiv
    1708.07120) report a similar gain.
    """

    def __init__(self, n_steps: int) -> None:
        self.n_steps = max(1, n_steps)

    def __call__(self, step: int) -> float:
        """Return the factor of the learning rate at a step."""
        progress = min(step / self.n_steps, 1.0)
        if progress < 0.1:
            return 0.05 + 0.95 * progress / 0.1
        return 0.005 + 0.995 * 0.5 * (1 + math.cos(math.pi * (progress - 0.1) / 0.9))


def _warm_cosine(n_steps: int) -> Callback:
    """Return the scheduler that multiplies the rate by `WarmCosine` at each step."""
    return LRScheduler(policy=LambdaLR, lr_lambda=WarmCosine(n_steps), step_every="batch")


def learning_rate(schedule: str, n_steps: int) -> Callback | None:
    """Return the callback of a learning-rate schedule.

    Parameters
    ----------
    schedule : {"cosine", "constant"}
        Name of the schedule.
    n_steps : int
        Number of steps of the whole training.

    Returns
    -------
    Callback or None
        The callback; None for a constant rate.
    """
    schedules = {"cosine": _warm_cosine, "constant": lambda _: None}
    if schedule not in schedules:
        raise ValueError(f"lr_schedule must be one of {sorted(schedules)}, got {schedule!r}")
    return schedules[schedule](n_steps)


def as_made(callbacks: Any) -> Any:
    """Return callbacks without what a training left in them.

    A schedule, for instance, keeps the optimiser, and with it the weights on their device.

    Parameters
    ----------
    callbacks : list of callbacks, of pairs (name, callback), or str
        The callbacks of `net_params`; not changed.

    Returns
    -------
    list or str
        New callbacks with the same parameters; those that refer to each other still do.
    """
    made: dict[int, Any] = {}

    def remake(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return type(value)(remake(one) for one in value)
        if not isinstance(value, Callback):
            return value
        if id(value) not in made:
            made[id(value)] = copy.copy(value)
            # Skorch takes every attribute without a final underscore for a parameter.
            accepted = inspect.signature(type(value)).parameters
            parameters = {n: v for n, v in value.get_params(deep=False).items() if n in accepted}
            state = type(value)(**{name: remake(one) for name, one in parameters.items()})
            vars(made[id(value)]).clear()
            vars(made[id(value)]).update(vars(state))
        return made[id(value)]

    return remake(callbacks)
