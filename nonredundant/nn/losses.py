"""Loss terms as pure functions, and the typed records of a batch and its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

#: Names of the terms, the same in history, plots and documentation.
TERM_NAMES = ("reconstruction", "kl", "independence", "label")


class Batch(NamedTuple):
    """A batch of lesions: patches, masks, conditions, labels and weights in the label term.

    `is_cut` says that patches and masks are as `IntensityScaler.cut` returns them.
    """

    x: Tensor
    mask: Tensor | None
    h: Tensor
    y: Tensor
    weight: Tensor
    is_cut: bool = False

    def to(self, device: Any) -> Batch:
        """Return the batch on a device."""
        return self.each(lambda part: part.to(device))

    def take(self, rows: Any) -> Batch:
        """Return rows of the batch."""
        return self.each(lambda part: part[rows])

    def each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with each of its tensors changed."""
        mask = None if self.mask is None else change(self.mask)
        x, h, y, weight = (change(part) for part in (self.x, self.h, self.y, self.weight))
        return Batch(x, mask, h, y, weight, self.is_cut)

    def augmented(self, augment: Any) -> Batch:
        """Return the batch with patches and masks augmented; None leaves them as they are."""
        if augment is None:
            return self
        x, mask = augment(self.x, self.mask)
        return self._replace(x=x, mask=mask)


@dataclass(frozen=True)
class LossTerms:
    """Unweighted loss terms of one batch; `extra` holds terms that only one model has."""

    reconstruction: Tensor
    kl: Tensor
    independence: Tensor
    label: Tensor
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    def named(self) -> dict[str, Tensor]:
        """Return the terms by name."""
        return {name: getattr(self, name) for name in TERM_NAMES} | dict(self.extra)

    def with_extra(self, **terms: Tensor) -> LossTerms:
        """Return the terms with further `extra` terms."""
        return replace(self, extra={**self.extra, **terms})

    def total(self, weights: Mapping[str, float]) -> Tensor:
        """Return the weighted sum; terms without a weight have weight 1.

        Terms of weight zero are left out, so that their NaN or infinity does not enter the sum.
        """
        parts = [
            value if weights.get(name, 1.0) == 1.0 else weights[name] * value
            for name, value in self.named().items()
            if weights.get(name, 1.0) != 0.0
        ]
        return torch.stack(parts).sum()


def masked_squared_error(x: Tensor, px: Tensor, mask: Tensor | None) -> Tensor:
    """Compute the squared error of each sample, summed over channels and voxels of its mask.

    Voxels outside the lesion do not count (Vétil et al. 2023, arXiv 2308.11389).

    Parameters
    ----------
    x, px : Tensor of shape (n, C, ...)
        Patches and their reconstructions.
    mask : Tensor of shape (n, 1, ...) or None
        Voxels that count; None counts all.

    Returns
    -------
    Tensor of shape (n,)
        The errors.

    Examples
    --------
    >>> import torch
    >>> x, px = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    >>> masked_squared_error(x, px, torch.tensor([[[[1, 0], [0, 1]]]])).item()
    2.0
    """
    return _SquaredError.apply(px, x, mask)


class _SquaredError(torch.autograd.Function):
    """The squared error, with one pass over the voxels backward where autograd takes four."""

    @staticmethod
    def forward(ctx: Any, px: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the sums of squares; the errors are kept."""
        error = px.to(x.dtype) - x
        if mask is not None:
            # A product with a bool would convert it in a slow pass of its own.
            error = error.mul_(mask.to(x.dtype))
        ctx.save_for_backward(error)
        ctx.needed = px.dtype
        # A sum over the axes as they lie in memory; to flatten channels-last blocks copies them.
        return error.square().sum(tuple(range(1, error.ndim)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        """Return 2 (px - x) and its negative; the mask is 0 or 1."""
        (error,) = ctx.saved_tensors
        slope = error * (2 * gradient).view(-1, *(1,) * (error.ndim - 1))
        return slope.to(ctx.needed), -slope if ctx.needs_input_grad[1] else None, None


def gaussian_kl(mean: Tensor, log_variance: Tensor, prior_scale: float | Tensor = 1.0) -> Tensor:
    """Compute KL(N(mean, variance) ‖ N(0, prior_scale²)) of each sample, in nats.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (n, n_latents)
        Parameters of the diagonal Gaussians.
    prior_scale : float or Tensor broadcastable to (n, n_latents), default=1.0
        Standard deviation of the prior.

    Returns
    -------
    Tensor of shape (n,)
        The divergences (Kingma & Welling 2014, appendix B, for scale 1).

    Examples
    --------
    >>> import torch
    >>> gaussian_kl(torch.ones(1, 2), torch.zeros(1, 2)).item()
    1.0
    """
    scale = torch.as_tensor(prior_scale, dtype=mean.dtype, device=mean.device)
    log_ratio = log_variance - 2 * scale.log()
    return 0.5 * (log_ratio.exp() + (mean / scale).square() - 1 - log_ratio).sum(1)


def label_cross_entropy(logits: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """Compute the weighted mean cross-entropy of the labelled samples, 0 if there are none.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Unnormalised scores.
    y : int Tensor of shape (n,)
        Class positions; -1 is unlabelled.
    weight : Tensor of shape (n,), optional
        Weight of each sample.

    Returns
    -------
    Tensor
        A scalar, in nats.

    Examples
    --------
    >>> import torch
    >>> round(label_cross_entropy(torch.zeros(2, 4), torch.tensor([1, -1])).item(), 4)
    1.3863
    """
    # Unlabelled rows are not left out but weighted by 0: their number is known to the device alone.
    losses = functional.cross_entropy(logits, y, ignore_index=-1, reduction="none")
    chosen = (y >= 0).to(losses.dtype) * (1.0 if weight is None else weight)
    return (losses * chosen).sum() / chosen.sum().clamp_min(torch.finfo(losses.dtype).tiny)


def cox_loss(risk: Tensor, event: Tensor, time: Tensor) -> Tensor:
    """Compute the negative log partial likelihood of Cox's model, as the mean over the events.

    The probability that the event of a time is that of patient i is exp(risk_i) over the sum of
    exp(risk) of the patients at risk (Cox 1972; with a network as risk Katzman et al. 2018,
    DeepSurv, doi 10.1186/s12874-018-0482-1). Ties are handled by Efron's method (Efron 1977).

    Parameters
    ----------
    risk : Tensor of shape (n,)
        Log hazards up to a constant.
    event : bool Tensor of shape (n,)
        True if the event was observed, False if the patient was censored.
    time : Tensor of shape (n,)
        Time until the event or until censoring; a patient is at risk up to and including this
        time.

    Returns
    -------
    Tensor
        A scalar, in nats; 0 without events.

    Examples
    --------
    >>> import torch
    >>> event, time = torch.tensor([True, False, True]), torch.tensor([1.0, 2.0, 3.0])
    >>> round(cox_loss(torch.zeros(3), event, time).item(), 4)  # (ln 3 + ln 1) / 2
    0.5493
    """
    if not event.any():
        return risk.sum() * 0.0
    order = torch.argsort(time, descending=True, stable=True)
    risk, event, time = risk[order], event[order], time[order]
    _, group, size = torch.unique_consecutive(time, return_inverse=True, return_counts=True)
    observed = torch.logcumsumexp(risk, 0)[size.cumsum(0) - 1]
    risk, group = risk[event], group[event]
    # For the l-th of d events at one time, the fraction l / d of all d has left the risk set.
    gone = torch.zeros_like(observed).index_add(0, group, (risk - observed[group]).exp())
    n_events = torch.bincount(group, minlength=len(size))
    place = torch.arange(len(group), device=risk.device) - (n_events.cumsum(0) - n_events)[group]
    left = torch.log1p(-(place / n_events[group]).to(risk) * gone[group])
    return (observed[group] + left - risk).mean()
