"""The torch discriminator of the independence terms: it separates true rows from permuted ones.

It is trained beside a VAE, whose loss needs its gradient in d, and by `MIDiscriminator`. The
discriminators of the audit, refitted on permuted rows for a null, are those of `metrics.networks`.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nonredundant.metrics.information import best_temperature, donsker_varadhan
from nonredundant.nn.penalties import standardise
from nonredundant.utils.user_warnings import warn_user

#: Number of random pairings of each validation row.
VALIDATION_PAIRINGS = 10
#: Number of epochs without a lower validation loss after which training stops.
PATIENCE = 10
#: Factors by which the logits of a trained ratio may be tempered; 0 where nothing was learned.
TEMPERATURES = np.linspace(0.0, 1.2, 25)
#: Training loss, in units of that of a constant, above which training has broken down. Measured on
#: 8 to 1,000 rows, independent and identical: at most 1.2 up to lr 0.1, above 25 at lr 1.
BROKEN = 1.5
#: Product of lr and steps below which weights cannot have moved: a step of Adam moves one by lr.
LEAST_WAY = 1e-3


class DensityRatio(nn.Module):
    """Log-ratio log p(h, d) / p(h) p(d) as a perceptron plus an optional quadratic form.

    The log-ratio of Gaussians is a quadratic form, so that the form represents linear dependence
    and the perceptron the remainder.
    """

    temperature: Tensor

    def __init__(
        self, n_h: int, n_d: int, hidden_size: int, n_layers: int, quadratic: bool
    ) -> None:
        super().__init__()
        self.register_buffer("temperature", torch.ones(()))
        n_in = n_h + n_d
        layers: list[nn.Module] = []
        for size in [n_in] + [hidden_size] * (n_layers - 1):
            layers += [nn.Linear(size, hidden_size), nn.LeakyReLU(0.1)]
        self.perceptron = nn.Sequential(*layers, nn.Linear(hidden_size, 1))
        self.form = nn.Linear(n_in, 2 * min(n_in, hidden_size)) if quadratic else None
        if self.form is not None:
            # Both parts start at zero: an untrained ratio is 1 everywhere. The halves of the form
            # start equal and differ from the first step on, as their gradients have opposite signs.
            n_form = self.form.out_features // 2
            for parameter in (self.form.weight, self.form.bias):
                parameter.data[n_form:] = parameter.data[:n_form]
            nn.init.zeros_(self.perceptron[-1].weight)  # type: ignore[arg-type]
            nn.init.zeros_(self.perceptron[-1].bias)  # type: ignore[arg-type]

    def forward(self, h: Tensor, d: Tensor) -> Tensor:
        """Return the logit log D / (1 − D) of each pair."""
        pair = torch.cat([h, d], dim=1)
        logit = self.perceptron(pair)[:, 0]
        if self.form is not None:
            plus, minus = self.form(pair).chunk(2, dim=1)
            logit = logit + (plus.square() - minus.square()).mean(1)
        return self.temperature * logit


def repaired(n: int, generator: torch.Generator) -> Tensor:
    """Draw a permutation without fixed points, so that no re-paired row is a true pair."""
    order = torch.randperm(n, generator=generator)
    shift = int(torch.randint(1, n, (), generator=generator))
    partner = torch.empty(n, dtype=torch.long)
    partner[order] = order.roll(shift)
    return partner


def permuted_columns(d: Tensor, generator: torch.Generator) -> Tensor:
    """Permute each column separately, which keeps the margins of d and removes dependence."""
    order = torch.rand(d.shape, generator=generator).argsort(0)
    return d.gather(0, order.to(d.device))


def discrimination_loss(
    network: nn.Module, true: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]
) -> Tensor:
    """Return the binary cross-entropy of true against other rows (Vétil et al. 2023)."""
    return (
        functional.softplus(-network(*true)).mean() + functional.softplus(network(*other)).mean()
    ) / 2


def frozen_logit(network: nn.Module, h: Tensor, d: Tensor) -> Tensor:
    """Return log D / (1 − D) of each pair, without gradient for the parameters of the network.

    h and d are standardised over the batch.
    """
    frozen = {name: value.detach() for name, value in network.named_parameters()}
    return torch.func.functional_call(network, frozen, (standardise(h), standardise(d)))


def information(network: nn.Module, h: Tensor, d: Tensor, generator: torch.Generator) -> float:
    """Return the Donsker–Varadhan bound on the mutual information of unseen rows, in nats."""
    pairings = [repaired(len(h), generator) for _ in range(VALIDATION_PAIRINGS)]
    return donsker_varadhan(*_logits(network, h, d, pairings))


def temper(network: DensityRatio, h: Tensor, d: Tensor, pairings: list[Tensor]) -> None:
    """Set the temperature that is best on held-out rows: near 0 where nothing was learned."""
    best = best_temperature(*_logits(network, h, d, pairings), TEMPERATURES)
    network.temperature.fill_(best)


def _logits(
    network: nn.Module, h: Tensor, d: Tensor, pairings: list[Tensor]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits of the true pairs and of all re-paired rows, in double precision."""
    with torch.no_grad():
        true, other = network(h, d), torch.cat([network(h[p], d) for p in pairings])
    return true.double().cpu().numpy(), other.double().cpu().numpy()


def train_ratio(
    network: DensityRatio,
    h: Tensor,
    d: Tensor,
    *,
    lr: float,
    weight_decay: float,
    batch_size: int,
    max_epochs: int,
    generator: torch.Generator,
) -> DensityRatio:
    """Train on four fifths of the rows until the loss of the others no longer decreases.

    The weights of the best epoch are restored, and the held-out rows set the temperature.

    Raises
    ------
    FloatingPointError
        If the loss is no longer a finite number.
    """
    n_held = max(2, len(h) // 5)
    order = torch.randperm(len(h), generator=generator)
    held, rows = order[:n_held], order[n_held:]
    pairings = [repaired(n_held, generator) for _ in range(VALIDATION_PAIRINGS)]
    optimiser = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=weight_decay)
    best, best_loss, waited = copy.deepcopy(network.state_dict()), math.log(2), 0
    losses: list[list[float]] = []
    for _ in range(max_epochs):
        batches = rows[torch.randperm(len(rows), generator=generator)].split(batch_size)
        losses.append(
            [
                _step(network, optimiser, h[batch], d[batch], generator)
                for batch in batches
                if len(batch) > 1
            ]
        )
        with torch.no_grad():
            true = h[held], d[held]
            tests = [discrimination_loss(network, true, (true[0][p], true[1])) for p in pairings]
        now = float(torch.stack(tests).mean())
        if not np.isfinite([now, *losses[-1]]).all():
            raise FloatingPointError(
                "training diverged: the loss of the discriminator is no longer a finite number in "
                f"epoch {len(losses)}; lower lr (now {lr:g})"
            )
        waited += 1
        if now < best_loss:
            best, best_loss, waited = copy.deepcopy(network.state_dict()), now, 0
        if waited >= PATIENCE:
            break
    network.load_state_dict(best)
    temper(network, h[held], d[held], pairings)
    _warn_untrained(network, losses, lr)
    return network


def _step(
    network: nn.Module, optimiser: Any, h: Tensor, d: Tensor, generator: torch.Generator
) -> float:
    """Train one step on a batch and return its loss."""
    loss = discrimination_loss(network, (h, d), (h[repaired(len(h), generator)], d))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return float(loss.detach())


def _warn_untrained(network: DensityRatio, losses: list[list[float]], lr: float) -> None:
    """Warn if a ratio that is near 1 everywhere says nothing of independence.

    On independent rows the loss of a sound training stays near that of a constant, too, so that
    it is told from a breakdown by its height alone.
    """
    n_steps = sum(map(len, losses))
    late = float(np.mean([loss for epoch in losses[-PATIENCE:] for loss in epoch]))
    if lr * n_steps < LEAST_WAY:
        warn_user(
            f"the discriminator is hardly trained: {n_steps} steps with lr={lr:g} are too small to "
            "change its weights, so that information near 0 is no evidence of independence; raise "
            "lr or max_epochs"
        )
    elif late > BROKEN * math.log(2) and not float(network.temperature):
        warn_user(
            f"the discriminator learned nothing: with lr={lr:g} its training loss was {late:.3g}, "
            f"above the {math.log(2):.2f} of a constant, so that information of 0 is no evidence "
            "of independence; lower lr"
        )
