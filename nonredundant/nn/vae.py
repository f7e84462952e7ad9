"""The conditional VAE in its inference / generative split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nonredundant.nn.blocks import IntensityScaler, build_networks
from nonredundant.nn.losses import (
    Batch,
    LossTerms,
    gaussian_kl,
    label_cross_entropy,
    masked_squared_error,
)

#: A penalty of the dependence between h and d, both of shape (n, ·), as a scalar.
Penalty = Callable[[Tensor, Tensor], Tensor]
#: Gates and decoder see so many linear mixtures of h. A hundred correlated features would drown d
#: in the decoder's first layer and let it learn the training lesions by heart.
MIXTURES = 16


class Posterior(NamedTuple):
    """q(d | x*, h): a diagonal Gaussian."""

    mean: Tensor
    log_variance: Tensor

    def sample(self) -> Tensor:
        """Return one reparametrised draw."""
        return self.mean + torch.randn_like(self.mean) * (0.5 * self.log_variance).exp()


class Gate(nn.Module):
    """Scale and shift latents by what a few linear mixtures of h say; the identity at first."""

    def __init__(self, n_mixtures: int, n_latents: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_mixtures, 2 * n_latents)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, d: Tensor, mixtures: Tensor) -> Tensor:
        """Return the latents in the scale and place that h gives them."""
        gain, shift = self.linear(mixtures).chunk(2, dim=1)
        return d * (1 + gain) + shift


class ConditionalVAE(nn.Module):
    """q(d | x*, h) and p(x* | h, d), with an optional linear classifier on (h, d).

    Parameters
    ----------
    shape : sequence of int
        Grid of the patch; empty for rows of a plain matrix.
    n_channels : int
        Channels of the patch, or columns of the matrix.
    n_latents : int
        Size of d.
    n_conditions : int
        Size of h.
    n_classes : int
        Classes of the label term; 0 for none.
    conditioning : {"gated", "plain"} or None
        "plain": the decoder sees h beside d. "gated": h also scales and shifts d, after the
        encoder and before the decoder. None: the networks do not see h.
    network : mapping or callable
        `width`, `depth` and `norm` of the default blocks, or a factory
        `(shape, n_channels, n_out, n_in) -> (encoder, decoder)`.
    normalise : bool
        Whether the squared error is divided by the cohort's total variance.
    """

    total_variance: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        n_channels: int,
        n_latents: int,
        n_conditions: int = 0,
        n_classes: int = 0,
        conditioning: str | None = "gated",
        network: Mapping[str, Any] | Callable[..., Any] | None = None,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        self.normalise = normalise
        self.n_latents = n_latents
        self.n_conditions = n_conditions
        self.conditioning = conditioning if n_conditions > 0 else None
        n_shown = 0 if self.conditioning is None else n_conditions
        if self.conditioning == "gated":
            n_shown = MIXTURES
            self.mix_in, self.mix_out = (nn.Linear(n_conditions, MIXTURES) for _ in range(2))
            self.gate_in, self.gate_out = (Gate(MIXTURES, n_latents) for _ in range(2))
        self.scaler = IntensityScaler(n_channels)
        sizes = (2 * n_latents, n_latents + n_shown)
        self.encoder, self.decoder = build_networks(shape, n_channels, *sizes, network)
        self.classifier = nn.Linear(n_latents + n_conditions, n_classes) if n_classes else None
        self.register_buffer("total_variance", torch.ones(()))

    @property
    def pair_sizes(self) -> tuple[int, int]:
        """Sizes of what the independence term keeps apart: h and d."""
        return self.n_conditions, self.n_latents

    def pair(self, batch: Batch, d: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the independence term keeps apart: h and the posterior means of d."""
        return batch.h, d

    def within(self, batch: Batch, d: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the total correlation is of: the posterior means of d, and nothing."""
        return d, d[:, :0]

    def posterior(self, batch: Batch) -> Posterior:
        """Return q(d | x*, h) of a batch as it comes from the cohort."""
        return self.inference(self.scaler(batch.x, batch.mask), batch.h)

    def inference(self, x_star: Tensor, h: Tensor) -> Posterior:
        """Return q(d | x*, h) for masked, standardised patches.

        Where h gates d, the encoder's means are brought to one place and scale whatever h is, as
        far as 16 mixtures of h tell: half of independence costs no more than a linear map.
        """
        mean, log_variance = self.encoder(x_star).chunk(2, dim=1)
        if self.conditioning == "gated":
            mean = self.gate_in(mean, self.mix_in(h))
        return Posterior(mean, log_variance.clamp(-12.0, 6.0))

    def generative(self, d: Tensor, h: Tensor) -> Tensor:
        """Return the mean of p(x* | h, d) in standardised intensities."""
        if self.conditioning is None:
            return self.decoder(d)
        if self.conditioning == "gated":
            h = self.mix_out(h)
            d = self.gate_out(d, h)
        return self.decoder(torch.cat([h, d], dim=1))

    def objective(self, batch: Batch, penalty: Penalty | None) -> tuple[LossTerms, Tensor]:
        """Return the terms of the loss and the posterior means.

        −E log p(x* | h, d) + β KL(q(d | x*, h) ‖ N(0, I)) + κ I(h; d) + γ CE(y | h, d)
        (Vétil et al. 2023, eq. 2, with a label term). The squared error is divided by the
        training cohort's mean total variance, so it reads as the fraction of variance
        unexplained and no weight depends on the patch's size.
        """
        x_star = self.scaler(batch.x, batch.mask)
        qd = self.inference(x_star, batch.h)
        zero = qd.mean.new_zeros(())
        terms = LossTerms(
            reconstruction=self.reconstruction(batch, x_star, qd.sample()).mean(),
            kl=gaussian_kl(*qd).mean(),
            independence=zero if penalty is None else penalty(batch.h, qd.mean),
            label=self.label_term(batch, qd.mean),
        )
        return terms, qd.mean

    def reconstruction(self, batch: Batch, x_star: Tensor, d: Tensor) -> Tensor:
        """Return each lesion's squared error, as a fraction of the variance if normalised."""
        error = masked_squared_error(x_star, self.generative(d, batch.h), batch.mask)
        return error / self.total_variance if self.normalise else error

    def elbo(self, batch: Batch, beta: float) -> Tensor:
        """Return each lesion's −(reconstruction + β KL), at the posterior mean."""
        x_star = self.scaler(batch.x, batch.mask)
        qd = self.inference(x_star, batch.h)
        error = self.reconstruction(batch, x_star, qd.mean)
        return -(error + beta * gaussian_kl(*qd))

    def label_term(self, batch: Batch, d: Tensor) -> Tensor:
        """Return the classifier's cross-entropy on (h, d), 0 without a classifier."""
        if self.classifier is None:
            return d.new_zeros(())
        logits = self.classifier(torch.cat([batch.h, d], dim=1))
        return label_cross_entropy(logits, batch.y, batch.weight)
