"""The independence terms: what keeps d independent of h while a network is trained."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator, clone


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

    Examples
    --------
    >>> import torch
    >>> h = torch.arange(8.0)[:, None]
    >>> round(DistanceCorrelation().penalty(h, -h).item(), 4)
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
        from nonredundant.nn.penalties import distance_correlation

        return distance_correlation(h, d)


class HSIC(ClosedFormTerm):
    """Normalised Hilbert–Schmidt independence criterion of a batch's h and d.

    Gaussian kernels on standardised rows (Gretton et al. 2005; unbiased, Song et al. 2012).

    Examples
    --------
    >>> import torch
    >>> h = torch.arange(8.0)[:, None]
    >>> round(HSIC().penalty(h, -h).item(), 4)
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
        from nonredundant.nn.penalties import hsic

        return hsic(h, d)


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


def _terms() -> dict[str, type]:
    """Return the terms by the names that `independence=` takes."""
    return {
        "dcor": DistanceCorrelation,
        "hsic": HSIC,
        "cross-covariance": CrossCovariance,
    }


def resolve_independence(spec: Any) -> Any:
    """Return an unfitted term for a name or a term; None for None.

    Parameters
    ----------
    spec : str, term or None
        "density-ratio", "dcor", "hsic", "cross-covariance"; a term is cloned.

    Returns
    -------
    term or None
        What training calls.

    Raises
    ------
    ValueError
        If there is no term of that name.

    Examples
    --------
    >>> resolve_independence("dcor")
    DistanceCorrelation()
    """
    if spec is None:
        return None
    if not isinstance(spec, str):
        return clone(spec)
    terms = _terms()
    if spec not in terms:
        raise ValueError(f"independence={spec!r}: the terms are {sorted(terms)} or None")
    return terms[spec]()
