"""Independence terms in closed form, without parameters to train."""

from __future__ import annotations

from numbers import Real
from typing import Any

from sklearn.base import BaseEstimator

from nonredundant.utils.validation import Interval


class ClosedFormTerm(BaseEstimator):
    """Base of the terms without parameters: `reset` and `update` do nothing.

    A subclass defines `penalty(h, d)`, a scalar tensor that is zero at independence.

    Examples
    --------
    >>> import torch
    >>> from nonredundant.independence import ClosedFormTerm
    >>> class LargestCorrelation(ClosedFormTerm):
    ...     def penalty(self, h, d):
    ...         h, d = ((x - x.mean(0)).div(x.std(0)) for x in (h, d))
    ...         return (h.T @ d / (len(h) - 1)).abs().max()
    >>> x = torch.randn(100, 1, generator=torch.Generator().manual_seed(0))
    >>> round(float(LargestCorrelation().penalty(x, -x)), 3)
    1.0
    """

    #: When training calls `update`: never.
    fit_mode = "closed-form"

    def reset(self, n_h: int, n_d: int, *, device: str = "cpu", seed: int = 0) -> None:
        """Do nothing: the term has no parameters to initialise.

        Parameters
        ----------
        n_h, n_d : int
            Sizes of h and d.
        device : str, default="cpu"
            Device of the training.
        seed : int, default=0
            Seed of the initial weights of terms that have parameters.
        """

    def update(self, h: Any, d: Any) -> float:
        """Do nothing: the term has no parameters to train.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows.

        Returns
        -------
        float
            Always 0.0.
        """
        return 0.0


class DistanceCorrelation(ClosedFormTerm):
    """Bias-corrected squared distance correlation of h and d in a batch.

    Detects any dependence, linear or not, between all of h and all of d (Székely & Rizzo 2014,
    Ann. Stat. 42, 2382).

    Parameters
    ----------
    equal_directions : bool, default=True
        Whether the principal directions of h have about equal weight. Otherwise the directions that
        most features share, size and uptake, dominate, and information of few features stays in d.
    second_order : float, default=0.5
        Weight of the distance correlation of h with the squares and products of d, added to that
        with d. The latter is insensitive to a spread of d that depends on h, which a forest finds.
    single_latents : float, default=0.1
        Weight of the sum of the distance correlations of h with each latent alone, added to that
        with all of d, in which one dependent latent counts less the more latents there are. Each
        is multiplied by the variance of the latent, at most 1, so that collapsed ones do not count.

    Examples
    --------
    >>> import torch
    >>> h = torch.arange(8.0)[:, None]
    >>> round(DistanceCorrelation(second_order=0, single_latents=0).penalty(h, -h).item(), 4)
    1.0
    """

    _parameter_constraints = {
        "equal_directions": ["boolean"],
        "second_order": [Interval(Real, 0, None, closed="left")],
        "single_latents": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        equal_directions: bool = True,
        second_order: float = 0.5,
        single_latents: float = 0.1,
    ) -> None:
        self.equal_directions = equal_directions
        self.second_order = second_order
        self.single_latents = single_latents

    def penalty(self, h: Any, d: Any) -> Any:
        """Compute the penalty of a batch, differentiable in d.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows, n of at least 4.

        Returns
        -------
        Tensor
            A scalar, 0 at independence.
        """
        from nonredundant.nn.penalties import distance_correlation

        return distance_correlation(
            h,
            d,
            equal=self.equal_directions,
            second=self.second_order,
            single=self.single_latents,
        )


class HSIC(ClosedFormTerm):
    """Normalised Hilbert–Schmidt independence criterion of h and d in a batch.

    Gaussian kernels on standardised rows (Gretton et al. 2005; unbiased, Song et al. 2012).

    Parameters
    ----------
    equal_directions : bool, default=True
        Whether the principal directions of h have about equal weight; see `DistanceCorrelation`.

    Examples
    --------
    >>> import torch
    >>> h = torch.arange(8.0)[:, None]
    >>> round(HSIC().penalty(h, -h).item(), 4)
    1.0
    """

    _parameter_constraints = {"equal_directions": ["boolean"]}

    def __init__(self, *, equal_directions: bool = True) -> None:
        self.equal_directions = equal_directions

    def penalty(self, h: Any, d: Any) -> Any:
        """Compute the penalty of a batch, differentiable in d.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows, n of at least 4.

        Returns
        -------
        Tensor
            A scalar, 0 at independence.
        """
        from nonredundant.nn.penalties import hsic

        return hsic(h, d, equal=self.equal_directions)


class CrossCovariance(ClosedFormTerm):
    """Mean squared correlation of h and d in a batch, which detects only linear dependence.

    Examples
    --------
    >>> import torch
    >>> h = torch.arange(8.0)[:, None]
    >>> round(CrossCovariance().penalty(h, -h).item(), 4)
    1.0
    """

    def penalty(self, h: Any, d: Any) -> Any:
        """Compute the penalty of a batch, differentiable in d.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows, n of at least 4.

        Returns
        -------
        Tensor
            A scalar, 0 at independence.
        """
        from nonredundant.nn.penalties import cross_covariance

        return cross_covariance(h, d)
