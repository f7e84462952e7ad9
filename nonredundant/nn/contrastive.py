"""Networks with common latents, shared with the background, and salient latents of targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nonredundant.nn.blocks import IntensityScaler, build_networks, layout_of
from nonredundant.nn.losses import (
    Batch,
    LossTerms,
    gaussian_kl,
    label_cross_entropy,
    masked_squared_error,
)
from nonredundant.nn.penalties import LEAST_ROWS, distance_correlation, squared_distances
from nonredundant.nn.vae import ConditionalVAE, Penalty, Posterior

#: Squared kernel bandwidths of `mean_discrepancy`, relative to the expected squared distance.
BANDWIDTHS = (0.01, 0.1, 1.0, 10.0)


class CommonSalientVAE(nn.Module):
    """VAE with q(c | x*), q(s | x*) and p(x* | c, s); z is (c, s) side by side.

    Parameters
    ----------
    shape : sequence of int
        Grid of the patch; empty for rows of a plain matrix.
    n_channels : int
        Channels of the patch, or columns of the matrix.
    n_common, n_salient : int
        Sizes of c and s.
    network : mapping or callable
        As for `ConditionalVAE`; c and s have separate encoders.
    normalise : bool
        Whether the squared error is divided by the total variance of the cohort.
    additive : bool
        Whether the patch is the sum of the outputs of separate decoders of c and s. Otherwise
        one decoder takes (c, s).
    """

    total_variance: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        n_channels: int,
        n_common: int,
        n_salient: int,
        network: Mapping[str, Any] | Callable[..., Any] | None = None,
        normalise: bool = True,
        additive: bool = False,
    ) -> None:
        super().__init__()
        self.normalise = normalise
        self.pair_sizes = (n_common, n_salient)
        self.scaler = IntensityScaler(n_channels)
        self.common_encoder, self.decoder = build_networks(
            shape, n_channels, 2 * n_common, n_common + (0 if additive else n_salient), network
        )
        self.salient_encoder, salient_decoder = build_networks(
            shape, n_channels, 2 * n_salient, n_salient, network
        )
        self.salient_decoder = salient_decoder if additive else None
        self.layout = layout_of(shape, n_channels, network)
        self.register_buffer("total_variance", torch.ones(()))

    def forward(self, batch: Batch, penalty: Penalty | None) -> tuple[LossTerms, Tensor]:
        """Return the objective; wrappers that join gradients of processes see only this call."""
        return self.objective(batch, penalty)

    def objective(self, batch: Batch, penalty: Penalty | None) -> tuple[LossTerms, Tensor]:
        """Return the terms of the loss, and the posterior means."""
        raise NotImplementedError

    def pair(self, batch: Batch, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the two sides of the independence term: the posterior means of c and s."""
        c, s = z.split(self.pair_sizes, dim=1)
        return c, s

    def posteriors(self, x_star: Tensor, mask: Tensor | None) -> tuple[Posterior, Posterior]:
        """Return q(c | x*) and q(s | x*) for masked patches in the layout of the networks.

        If x* = g(c) + g_s(s) + noise, then p(c | x*, s) depends on x* − g_s(s) alone. An additive
        model therefore encodes c from this difference.
        """
        qs = self._posterior(self.salient_encoder, x_star)
        if self.salient_decoder is not None:
            added = self.added(qs.mean)
            x_star = x_star - (added if mask is None else added * mask)
        return self._posterior(self.common_encoder, x_star), qs

    def _posterior(self, encoder: nn.Module, x_star: Tensor) -> Posterior:
        """Return the diagonal Gaussian that an encoder computes."""
        mean, log_variance = self.layout.encode(encoder, x_star).chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(-12.0, 6.0))

    def posterior(self, batch: Batch) -> Posterior:
        """Return q(c, s | x*) of a batch in the units of the images, side by side."""
        pair = self.posteriors(*self.scaler.cut(batch, self.layout))
        return Posterior(*(torch.cat(parts, dim=1) for parts in zip(*pair, strict=True)))

    def added(self, s: Tensor) -> Tensor:
        """Return g_s(s), the term that s adds to the decoded c, in the networks' layout; 0 at 0."""
        if self.salient_decoder is None:
            raise RuntimeError("this network has no decoder of its own for s")
        inputs = torch.cat([s, torch.zeros_like(s[:1])])
        drawn = self.layout.decode(self.salient_decoder, inputs)
        return drawn[:-1] - drawn[-1:]

    def generative(self, z: Tensor, h: Tensor | None = None) -> Tensor:
        """Return the mean of p(x* | c, s) in standardised intensities; h is not used."""
        return self.layout.assemble(self.decoded(z))

    def decoded(self, z: Tensor) -> Tensor:
        """Return the mean of p(x* | c, s) in the layout of the networks."""
        if self.salient_decoder is None:
            return self.layout.decode(self.decoder, z)
        c, s = z.split(self.pair_sizes, dim=1)
        return self.layout.decode(self.decoder, c) + self.added(s)

    def salient_kl(self, qs: Posterior, target: Tensor) -> Tensor:
        """Return the divergence of each q(s | x*) from its prior, given the mask of targets."""
        raise NotImplementedError

    def reconstruction(self, x_star: Tensor, mask: Tensor | None, c: Tensor, s: Tensor) -> Tensor:
        """Return the squared error of each sample, as a fraction of the variance if normalised."""
        px = self.decoded(torch.cat([c, s], dim=1))
        error = masked_squared_error(x_star, px, mask)
        return error / self.total_variance if self.normalise else error

    def elbo(self, batch: Batch, beta: float) -> Tensor:
        """Return −(reconstruction + β KL) of each sample for the label with the larger value.

        The label is unknown here. The larger of the bounds for background and target is still a
        bound, up to the prior of the labels.
        """
        x_star, mask = self.scaler.cut(batch, self.layout)
        qc, qs = self.posteriors(x_star, mask)
        bounds = []
        for is_target in (False, True):
            target = torch.full((len(batch.x), 1), is_target, device=x_star.device)
            error = self.reconstruction(x_star, mask, qc.mean, qs.mean * target)
            divergence = gaussian_kl(*qc) + self.salient_kl(qs, target)
            bounds.append(-(error + beta * divergence))
        return torch.maximum(*bounds)


class SepVAEModule(CommonSalientVAE):
    """Network of SepVAE (Louiset et al. 2023, arXiv 2307.06206), with a fader term.

    Parameters
    ----------
    n_classes : int
        Number of classes: background and the classes of target.
    background_scale : float
        Standard deviation of the salient prior of the background, N(0, background_scale²).
    **options
        As for `CommonSalientVAE`.
    """

    def __init__(self, *, n_classes: int, background_scale: float, **options: Any) -> None:
        super().__init__(**options)
        self.background_scale = background_scale
        # In additive models the classifier takes only as many latents as separate the classes. If
        # it took all of them, each would encode the label instead of differences among targets.
        n_salient = self.pair_sizes[1]
        self.n_read = n_salient if self.salient_decoder is None else min(n_classes - 1, n_salient)
        self.classifier = nn.Linear(self.n_read, n_classes)

    def objective(self, batch: Batch, penalty: Penalty | None) -> tuple[LossTerms, Tensor]:
        """Return the terms of the loss and the posterior means.

        −E log p(x* | c, [y > 0] s) + β KL(q(c | x*) ‖ N(0, I)) + β_s KL(q(s | x*) ‖ p(s | y))
        + κ I(c; s) − γ E log p(y | s) + φ dCor²(y; c), where p(s | background) =
        N(0, background_scale² I), p(s | target) = N(0, I).
        """
        x_star, mask = self.scaler.cut(batch, self.layout)
        target = (batch.y > 0)[:, None]
        qc, qs = self.posteriors(x_star, mask)
        c, s = qc.sample(), qs.sample()
        zero = c.new_zeros(())
        terms = LossTerms(
            reconstruction=self.reconstruction(x_star, mask, c, s * target).mean(),
            kl=gaussian_kl(*qc).mean(),
            independence=zero if penalty is None else penalty(qc.mean, qs.mean),
            label=label_cross_entropy(self.classifier(s[:, : self.n_read]), batch.y, batch.weight),
            extra={
                "salient_kl": self.salient_kl(qs, target).mean(),
                "fader": self._fader_term(batch, qc.mean),
            },
        )
        return terms, torch.cat([qc.mean, qs.mean], dim=1)

    def salient_kl(self, qs: Posterior, target: Tensor) -> Tensor:
        """Return KL(q(s | x*) ‖ p(s | y)); the prior of the background is narrow."""
        wide = torch.ones_like(qs.mean)
        return gaussian_kl(*qs, torch.where(target, wide, wide * self.background_scale))

    def _fader_term(self, batch: Batch, c: Tensor) -> Tensor:
        """Return the distance correlation of c and the label.

        With an adversary instead, a newly trained classifier could still predict the label.
        """
        if len(c) < LEAST_ROWS:
            return c.sum() * 0.0
        label = functional.one_hot(batch.y, self.classifier.out_features)
        return distance_correlation(label.to(c.dtype), c)


class ContrastiveVAEModule(CommonSalientVAE):
    """Network of the contrastive VAE (Abid & Zou 2019) and MM-cVAE (Weinberger et al. 2022).

    MM-cVAE adds the last term of the loss. The parameters are those of `CommonSalientVAE`.
    """

    def objective(self, batch: Batch, penalty: Penalty | None) -> tuple[LossTerms, Tensor]:
        """Return the terms of the loss and the posterior means.

        −E log p(x* | c, [y > 0] s) + β KL(q(c | x*) ‖ N(0, I)) + β_s [y > 0] KL(q(s | x*) ‖
        N(0, I)) + κ I(c; s | target) + μ {MMD²(c of background, c of targets) + MMD²(s of
        background, 0)}.
        """
        x_star, mask = self.scaler.cut(batch, self.layout)
        target = (batch.y > 0)[:, None]
        qc, qs = self.posteriors(x_star, mask)
        c, s = qc.sample(), qs.sample()
        zero = c.new_zeros(())
        chosen = target[:, 0]
        enough = int(chosen.sum()) >= LEAST_ROWS
        terms = LossTerms(
            reconstruction=self.reconstruction(x_star, mask, c, s * target).mean(),
            kl=gaussian_kl(*qc).mean(),
            independence=penalty(qc.mean[chosen], qs.mean[chosen])
            if penalty is not None and enough
            else zero,
            label=zero,
            extra={
                "salient_kl": self.salient_kl(qs, target).mean(),
                "moments": mean_discrepancy(c[~chosen], c[chosen])
                + mean_discrepancy(s[~chosen], torch.zeros_like(s[~chosen])),
            },
        )
        return terms, torch.cat([qc.mean, qs.mean], dim=1)

    def salient_kl(self, qs: Posterior, target: Tensor) -> Tensor:
        """Return KL(q(s | x*) ‖ N(0, I)) of targets; 0 for the background, whose s is not used."""
        return gaussian_kl(*qs) * target[:, 0]


def mean_discrepancy(a: Tensor, b: Tensor) -> Tensor:
    """Compute the squared maximum mean discrepancy of two sets of latents, 0 if one is empty.

    The biased estimate (Gretton et al. 2012, J. Mach. Learn. Res. 13, 723, eq. 5), averaged over
    Gaussian kernels of several widths; Weinberger et al. 2022 match moments with it.

    Parameters
    ----------
    a, b : Tensor of shape (n, k), (m, k)
        The latents.

    Returns
    -------
    Tensor
        A scalar from 0 to 2.

    Examples
    --------
    >>> import torch
    >>> a = torch.randn(5, 2)
    >>> round(mean_discrepancy(a, a).item(), 6), round(mean_discrepancy(a, a + 100).item(), 2) > 0.3
    (0.0, True)
    """
    if len(a) == 0 or len(b) == 0:
        return (a.sum() + b.sum()) * 0.0
    distances = squared_distances(torch.cat([a, b])) / (2 * a.shape[1])
    kernel = torch.stack([torch.exp(-distances / width) for width in BANDWIDTHS]).mean(0)
    n = len(a)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


class SalientConditionalVAE(ConditionalVAE):
    """Contrastive version of the conditional VAE: h in place of common latents, d salient.

    Parameters
    ----------
    background_scale : float
        Standard deviation of the prior of d of the background, N(0, background_scale²).
    **options
        As for `ConditionalVAE`.
    """

    def __init__(self, *, background_scale: float, **options: Any) -> None:
        super().__init__(**options)
        self.background_scale = background_scale

    def within(self, batch: Batch, d: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input of the total correlation: the d of targets and an empty second side.

        Background and targets differ in spread, so that over both no columns are independent.
        """
        return super().within(batch, d[batch.y > 0])

    def objective(self, batch: Batch, penalty: Penalty | None) -> tuple[LossTerms, Tensor]:
        """Return the terms of the loss and the posterior means.

        −E log p(x* | h, [y > 0] d) + β KL(q(d | x*, h) ‖ p(d | y)) + κ I(h; d) + γ CE(y | h, d),
        where p(d | background) = N(0, background_scale² I), p(d | target) = N(0, I).
        """
        x_star, mask = self.scaler.cut(batch, self.layout)
        target = (batch.y > 0)[:, None]
        qd = self.inference(x_star, batch.h)
        zero = qd.mean.new_zeros(())
        terms = LossTerms(
            reconstruction=self.reconstruction(x_star, mask, qd.sample() * target, batch.h).mean(),
            kl=self.salient_kl(qd, target).mean(),
            independence=zero if penalty is None else penalty(batch.h, qd.mean),
            label=self.label_term(batch, qd.mean),
        )
        return terms, qd.mean

    def salient_kl(self, qd: Posterior, target: Tensor) -> Tensor:
        """Return KL(q(d | x*, h) ‖ p(d | y)); the prior of the background is narrow."""
        return gaussian_kl(*qd, torch.where(target, 1.0, self.background_scale))

    def elbo(self, batch: Batch, beta: float) -> Tensor:
        """Return −(reconstruction + β KL) of each lesion for the label with the larger value."""
        x_star, mask = self.scaler.cut(batch, self.layout)
        qd = self.inference(x_star, batch.h)
        bounds = []
        for is_target in (False, True):
            target = torch.full((len(batch.x), 1), is_target, device=x_star.device)
            error = self.reconstruction(x_star, mask, qd.mean * target, batch.h)
            bounds.append(-(error + beta * self.salient_kl(qd, target)))
        return torch.maximum(*bounds)
