"""Independence terms in closed form: nothing to train."""

from __future__ import annotations

from numbers import Real
from typing import Any

from sklearn.base import BaseEstimator

from nonredundant.utils.validation import Interval


class ClosedFormTerm(BaseEstimator):
    """A term without parameters of its own: `update` and `reset` have nothing to do."""

    #: How training calls `update`: never.
    fit_mode = "closed-form"

    def reset(self, n_h: int, n_d: int, *, device: str = "cpu", seed: int = 0) -> None:
        """Start anew: there is nothing to build.

        Parameters
        ----------
        n_h, n_d : int
            Sizes of h and d.
        device : str, default="cpu"
            Where training runs.
        seed : int, default=0
            Seed of initial weights, for the terms that have some.
        """

    def update(self, h: Any, d: Any) -> float:
        """Train the term's own parameters: there are none.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows.

        Returns
        -------
        float
            0.0, the loss of nothing.
        """
        return 0.0


class DistanceCorrelation(ClosedFormTerm):
    """Bias-corrected squared distance correlation of a batch's h and d.

    Sees any dependence, also nonlinear, of h as a whole on d as a whole (Székely & Rizzo 2014,
    Ann. Stat. 42, 2382).

    Parameters
    ----------
    equal_directions : bool, default=True
        Whether h's principal directions count about alike. Otherwise those that most features
        share, size and uptake, hide the others, and what few features say stays in d.
    second_order : float, default=0.5
        Weight of the distance correlation of h with the squares and products of d, added to that
        with d. A spread of d that follows h hardly moves the latter, but a forest finds it.

    Examples
    --------
    >>> import torch
    >>> h = torch.arange(8.0)[:, None]
    >>> round(DistanceCorrelation(second_order=0).penalty(h, -h).item(), 4)
    1.0
    """

    _parameter_constraints = {
        "equal_directions": ["boolean"],
        "second_order": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, *, equal_directions: bool = True, second_order: float = 0.5) -> None:
        self.equal_directions = equal_directions
        self.second_order = second_order

    def penalty(self, h: Any, d: Any) -> Any:
        """Return the penalty of a batch, differentiable in d.

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

        return distance_correlation(h, d, equal=self.equal_directions, second=self.second_order)


class HSIC(ClosedFormTerm):
    """Normalised Hilbert–Schmidt independence criterion of a batch's h and d.

    Gaussian kernels on standardised rows (Gretton et al. 2005; unbiased, Song et al. 2012).

    Parameters
    ----------
    equal_directions : bool, default=True
        Whether h's principal directions count about alike; see `DistanceCorrelation`.

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
        """Return the penalty of a batch, differentiable in d.

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
    """Mean squared correlation of a batch's h and d: linear dependence alone.

    Examples
    --------
    >>> import torch
    >>> h = torch.arange(8.0)[:, None]
    >>> round(CrossCovariance().penalty(h, -h).item(), 4)
    1.0
    """

    def penalty(self, h: Any, d: Any) -> Any:
        """Return the penalty of a batch, differentiable in d.

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
