"""The network of the conditional VAE, split into inference and generative parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nonredundant.nn.blocks import IntensityScaler, build_networks, layout_of
from nonredundant.nn.losses import (
    Batch,
    LossTerms,
    gaussian_kl,
    label_cross_entropy,
    masked_squared_error,
)

#: Function of h and d, both of shape (n, ·), that returns a scalar penalty of dependence.
Penalty = Callable[[Tensor, Tensor], Tensor]
#: Number of linear mixtures of h that are the input of gates and decoder. With a hundred correlated
#: features as input, d hardly affects the decoder, which then memorises the training lesions.
MIXTURES = 16


class Posterior(NamedTuple):
    """The posterior q(d | x*, h), a diagonal Gaussian."""

    mean: Tensor
    log_variance: Tensor

    def sample(self) -> Tensor:
        """Draw one sample by reparametrisation."""
        return self.mean + torch.randn_like(self.mean) * (0.5 * self.log_variance).exp()


class Gate(nn.Module):
    """Scale and shift latents by linear functions of mixtures of h; initially the identity."""

    def __init__(self, n_mixtures: int, n_latents: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_mixtures, 2 * n_latents)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, d: Tensor, mixtures: Tensor) -> Tensor:
        """Return the scaled and shifted latents."""
        gain, shift = self.linear(mixtures).chunk(2, dim=1)
        return d * (1 + gain) + shift


class ConditionalVAE(nn.Module):
    """VAE with q(d | x*, h) and p(x* | h, d), and an optional linear classifier of (h, d).

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
        Number of classes of the label term; 0 for none.
    conditioning : {"gated", "plain"} or None
        "plain": the input of the decoder is (h, d). "gated": h also scales and shifts d, after
        the encoder and before the decoder. None: h does not enter the networks.
    network : mapping or callable
        `width`, `depth` and `norm` of the default blocks, or a factory
        `(shape, n_channels, n_out, n_in) -> (encoder, decoder)`.
    normalise : bool
        Whether the squared error is divided by the total variance of the cohort.
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
        self.layout = layout_of(shape, n_channels, network)
        self.classifier = nn.Linear(n_latents + n_conditions, n_classes) if n_classes else None
        self.register_buffer("total_variance", torch.ones(()))

    @property
    def pair_sizes(self) -> tuple[int, int]:
        """Return the sizes of the two sides of the independence term: h and d."""
        return self.n_conditions, self.n_latents

    def pair(self, batch: Batch, d: Tensor) -> tuple[Tensor, Tensor]:
        """Return the two sides of the independence term: h and the posterior means of d."""
        return batch.h, d

    def within(self, batch: Batch, d: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input of the total correlation: the means of d and an empty second side."""
        return d, d[:, :0]

    def posterior(self, batch: Batch) -> Posterior:
        """Return q(d | x*, h) of a batch in the units of the images."""
        return self.inference(self.scaler.cut(batch, self.layout)[0], batch.h)

    def inference(self, x_star: Tensor, h: Tensor) -> Posterior:
        """Return q(d | x*, h) for masked, standardised patches in the layout of the networks.

        With gated conditioning, a linear function of 16 mixtures of h scales and shifts the means
        of the encoder. This can make location and scale of d independent of h at little cost.
        """
        mean, log_variance = self.layout.encode(self.encoder, x_star).chunk(2, dim=1)
        if self.conditioning == "gated":
            mean = self.gate_in(mean, self.mix_in(h))
        return Posterior(mean, log_variance.clamp(-12.0, 6.0))

    def generative(self, d: Tensor, h: Tensor) -> Tensor:
        """Return the mean of p(x* | h, d) in standardised intensities."""
        return self.layout.assemble(self.decoded(d, h))

    def decoded(self, d: Tensor, h: Tensor) -> Tensor:
        """Return the mean of p(x* | h, d) in the layout of the networks."""
        if self.conditioning == "gated":
            h = self.mix_out(h)
            d = self.gate_out(d, h)
        shown = d if self.conditioning is None else torch.cat([h, d], dim=1)
        return self.layout.decode(self.decoder, shown)

    def forward(self, batch: Batch, penalty: Penalty | None) -> tuple[LossTerms, Tensor]:
        """Return the objective; wrappers that join gradients of processes see only this call."""
        return self.objective(batch, penalty)

    def objective(self, batch: Batch, penalty: Penalty | None) -> tuple[LossTerms, Tensor]:
        """Return the terms of the loss and the posterior means.

        −E log p(x* | h, d) + β KL(q(d | x*, h) ‖ N(0, I)) + κ I(h; d) + γ CE(y | h, d)
        (Vétil et al. 2023, eq. 2, with a label term). The squared error is divided by the
        mean total variance of the training cohort, so that it is the unexplained fraction of
        variance and no weight depends on the patch size.
        """
        x_star, mask = self.scaler.cut(batch, self.layout)
        qd = self.inference(x_star, batch.h)
        zero = qd.mean.new_zeros(())
        terms = LossTerms(
            reconstruction=self.reconstruction(x_star, mask, qd.sample(), batch.h).mean(),
            kl=gaussian_kl(*qd).mean(),
            independence=zero if penalty is None else penalty(batch.h, qd.mean),
            label=self.label_term(batch, qd.mean),
        )
        return terms, qd.mean

    def reconstruction(self, x_star: Tensor, mask: Tensor | None, d: Tensor, h: Tensor) -> Tensor:
        """Return the squared error of each lesion, as a fraction of the variance if normalised.

        x* and mask are in the layout of the networks.
        """
        error = masked_squared_error(x_star, self.decoded(d, h), mask)
        return error / self.total_variance if self.normalise else error

    def elbo(self, batch: Batch, beta: float) -> Tensor:
        """Return −(reconstruction + β KL) of each lesion at the posterior mean."""
        x_star, mask = self.scaler.cut(batch, self.layout)
        qd = self.inference(x_star, batch.h)
        error = self.reconstruction(x_star, mask, qd.mean, batch.h)
        return -(error + beta * gaussian_kl(*qd))

    def label_term(self, batch: Batch, d: Tensor) -> Tensor:
        """Return the cross-entropy of the classifier of (h, d), 0 without a classifier."""
        if self.classifier is None:
            return d.new_zeros(())
        logits = self.classifier(torch.cat([batch.h, d], dim=1))
        return label_cross_entropy(logits, batch.y, batch.weight)
