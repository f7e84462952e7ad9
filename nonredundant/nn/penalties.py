"""Dependence penalties in closed form: zero at independence, differentiable in d, no parameters.

Every function standardises both sides over the batch, so that a latent cannot escape by
shrinking, and takes h of shape (n, n_h) and d of shape (n, n_d).
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Rows that an unbiased estimate of dependence needs.
LEAST_ROWS = 4
#: Keeps square roots and divisions differentiable where two lesions coincide.
_TINY = 1e-8


def standardise(x: Tensor) -> Tensor:
    """Return columns of mean 0 and standard deviation 1; a constant column stays 0."""
    centred = x - x.mean(0)
    return centred / (centred.square().mean(0) + _TINY).sqrt()


def equalise(x: Tensor) -> Tensor:
    """Return standardised rows whose principal directions count about alike: x (C + I)^(-1/2).

    C is the batch's correlation matrix. Of a hundred radiomics features most say the size and the
    uptake, so that a factor which few of them share, such as elongation, hardly moves a distance
    between rows. Directions of less variance than one feature, mostly noise, are not blown up.
    """
    u, s, _ = torch.linalg.svd(standardise(x), full_matrices=False)
    return u * (s / (s.square() / len(x) + 1).sqrt())


def squared_distances(x: Tensor) -> Tensor:
    """Return the squared Euclidean distances between rows."""
    products = x @ x.T
    norms = products.diagonal()
    return (norms[:, None] + norms[None, :] - 2 * products).clamp_min(0.0)


def without_diagonal(a: Tensor) -> Tensor:
    """Return the matrix with a diagonal of zeros."""
    return a * (1 - torch.eye(len(a), dtype=a.dtype, device=a.device))


# The same centring in NumPy is `metrics.pairwise.u_centre`: the audit must not load torch.
def u_centre(a: Tensor) -> Tensor:
    """Return the U-centred matrix of a symmetric one with zero diagonal.

    Székely & Rizzo 2014 (Ann. Stat. 42, 2382), definition 2: its inner products are unbiased.
    """
    n = len(a)
    rows = a.sum(1) / (n - 2)
    total = a.sum() / ((n - 1) * (n - 2))
    return without_diagonal(a - rows[:, None] - rows[None, :] + total)


def _u_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return the correlation of two U-centred matrices, 0 where one of them vanishes."""
    norm = (a.square().sum() * b.square().sum()).clamp_min(_TINY**2).sqrt()
    return (a * b).sum() / norm


def _check(h: Tensor, d: Tensor) -> None:
    """Raise unless the rows match and are enough for an unbiased estimate."""
    if len(h) != len(d):
        raise ValueError(f"h has {len(h)} rows but d has {len(d)}")
    if len(h) < LEAST_ROWS:
        raise ValueError(f"a penalty of dependence needs at least {LEAST_ROWS} rows, got {len(h)}")


def second_order(d: Tensor) -> Tensor:
    """Return the squared distances between d dᵀ of rows: of their squares and products.

    They need no products of columns: |aaᵀ − bbᵀ|² = |a|⁴ + |b|⁴ − 2 (a·b)².
    """
    products = d @ d.T
    squares = products.square()
    norms = squares.diagonal()
    return (norms[:, None] + norms[None, :] - 2 * squares).clamp_min(0.0)


def _scaled(h: Tensor, d: Tensor, equal: bool) -> tuple[Tensor, Tensor]:
    """Return both sides standardised, h with equal directions where asked for."""
    return equalise(h) if equal else standardise(h), standardise(d)


def distance_correlation(
    h: Tensor, d: Tensor, *, equal: bool = False, second: float = 0.0
) -> Tensor:
    """Return the bias-corrected squared distance correlation of standardised h and d.

    Parameters
    ----------
    h, d : Tensor of shape (n, n_h), (n, n_d)
        Paired rows, n of at least 4.
    equal : bool, default=False
        Whether h's principal directions count alike (`equalise`).
    second : float, default=0
        Weight of the same for h and the squares and products of d, added to it.

    Returns
    -------
    Tensor
        A scalar of at most 1 + `second`, of mean zero under independence (Székely & Rizzo 2014,
        eq. 3.5); slightly negative values are chance.

    Examples
    --------
    >>> import torch
    >>> h = torch.arange(8.0)[:, None]
    >>> round(distance_correlation(h, 3 * h).item(), 4)
    1.0
    """
    _check(h, d)
    h, d = _scaled(h, d, equal)
    a, b = (_centred_root(squared_distances(x)) for x in (h, d))
    correlation = _u_correlation(a, b)
    if second:
        correlation = correlation + second * _u_correlation(a, _centred_root(second_order(d)))
    return correlation


def _centred_root(squared: Tensor) -> Tensor:
    """Return the U-centred matrix of distances."""
    return u_centre(without_diagonal((squared + _TINY).sqrt()))


def hsic(h: Tensor, d: Tensor, *, equal: bool = False) -> Tensor:
    """Return the unbiased, normalised Hilbert–Schmidt independence criterion.

    Gaussian kernels whose squared bandwidth is half the mean squared distance of the rows, that
    is, the number of columns if these are standardised; U-centring makes the estimate unbiased
    (Song et al. 2012, J. Mach. Learn. Res. 13, 1393), and it is scaled like a correlation.

    Parameters
    ----------
    h, d : Tensor of shape (n, n_h), (n, n_d)
        Paired rows, n of at least 4.
    equal : bool, default=False
        Whether h's principal directions count alike (`equalise`).

    Returns
    -------
    Tensor
        A scalar of at most 1, of mean about zero under independence.

    Examples
    --------
    >>> import torch
    >>> h = torch.arange(8.0)[:, None]
    >>> round(hsic(h, 3 * h).item(), 4)
    1.0
    """
    _check(h, d)
    kernels = []
    for x in _scaled(h, d, equal):
        spread = x.square().sum(1).mean().clamp_min(_TINY)
        kernel = torch.exp(-squared_distances(x) / (2 * spread))
        kernels.append(u_centre(without_diagonal(kernel)))
    return _u_correlation(*kernels)


def cross_covariance(h: Tensor, d: Tensor) -> Tensor:
    """Return the mean squared correlation of the columns of h and d, less its chance level.

    Parameters
    ----------
    h, d : Tensor of shape (n, n_h), (n, n_d)
        Paired rows, n of at least 4.

    Returns
    -------
    Tensor
        A scalar of at most 1; under independence its mean is zero, as the mean squared
        correlation of n independent pairs is 1 / (n - 1).

    Examples
    --------
    >>> import torch
    >>> h = torch.arange(8.0)[:, None]
    >>> round(cross_covariance(h, 3 * h).item(), 4)
    1.0
    """
    _check(h, d)
    n = len(h)
    squares = (standardise(h).T @ standardise(d) / n).square().mean()
    return (squares - 1 / (n - 1)) * (n - 1) / (n - 2)
