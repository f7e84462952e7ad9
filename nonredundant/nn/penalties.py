"""Closed-form penalties of dependence: zero at independence, differentiable in d, no parameters.

All take h of shape (n, n_h) and d of shape (n, n_d), and standardise both over the batch, so that
a latent cannot lower the penalty by shrinking.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Smallest number of rows for an unbiased estimate of dependence.
LEAST_ROWS = 4
#: Keeps square roots and divisions differentiable for identical rows.
_TINY = 1e-8


def standardise(x: Tensor) -> Tensor:
    """Scale the columns to mean 0 and standard deviation 1; a constant column becomes 0."""
    centred = x - x.mean(0)
    return centred / (centred.square().mean(0) + _TINY).sqrt()


def equalise(x: Tensor) -> Tensor:
    """Standardise rows and give their principal directions similar weights: x (C + I)^(-1/2).

    C is the correlation matrix of the batch. Most of a hundred radiomics features depend on size
    and uptake, so that a factor which few features depend on, such as elongation, hardly changes
    the distances between rows. Directions with less variance than one feature are mostly noise
    and are not amplified.

    The inverse root is that of the Cholesky factor: rows are as far apart as with the symmetric
    one, and a GPU need not be waited for, as for a singular value decomposition.
    """
    x = standardise(x)
    identity = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    factor, _ = torch.linalg.cholesky_ex(x.T @ x / len(x) + identity)
    return torch.linalg.solve_triangular(factor, x.T, upper=False).T


def squared_distances(x: Tensor) -> Tensor:
    """Compute the squared Euclidean distances between rows."""
    products = x @ x.T
    norms = products.diagonal()
    return (norms[:, None] + norms[None, :] - 2 * products).clamp_min(0.0)


def without_diagonal(a: Tensor) -> Tensor:
    """Return the matrix with its diagonal set to zero."""
    return a * (1 - torch.eye(len(a), dtype=a.dtype, device=a.device))


# `metrics.pairwise.u_centre` does the same in NumPy, because the audit must not import torch.
def u_centre(a: Tensor) -> Tensor:
    """U-centre a symmetric matrix with zero diagonal.

    Inner products of U-centred matrices are unbiased (Székely & Rizzo 2014, Ann. Stat. 42, 2382,
    definition 2).
    """
    n = len(a)
    rows = a.sum(1) / (n - 2)
    total = a.sum() / ((n - 1) * (n - 2))
    return without_diagonal(a - rows[:, None] - rows[None, :] + total)


def _u_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return the correlation of two U-centred matrices, 0 if one of them is zero."""
    norm = (a.square().sum() * b.square().sum()).clamp_min(_TINY**2).sqrt()
    return (a * b).sum() / norm


def _check(h: Tensor, d: Tensor) -> None:
    """Check that the rows match and suffice for an unbiased estimate."""
    if len(h) != len(d):
        raise ValueError(f"h has {len(h)} rows but d has {len(d)}")
    if len(h) < LEAST_ROWS:
        raise ValueError(f"a penalty of dependence needs at least {LEAST_ROWS} rows, got {len(h)}")


def second_order(d: Tensor) -> Tensor:
    """Compute the squared distances between the outer products d dᵀ of rows.

    No outer product is formed: |aaᵀ − bbᵀ|² = |a|⁴ + |b|⁴ − 2 (a·b)².
    """
    products = d @ d.T
    squares = products.square()
    norms = squares.diagonal()
    return (norms[:, None] + norms[None, :] - 2 * squares).clamp_min(0.0)


def _scaled(h: Tensor, d: Tensor, equal: bool) -> tuple[Tensor, Tensor]:
    """Standardise both sides, and equalise the directions of h if `equal`."""
    return equalise(h) if equal else standardise(h), standardise(d)


def distance_correlation(
    h: Tensor, d: Tensor, *, equal: bool = False, second: float = 0.0, single: float = 0.0
) -> Tensor:
    """Compute the bias-corrected squared distance correlation of standardised h and d.

    Parameters
    ----------
    h, d : Tensor of shape (n, n_h), (n, n_d)
        Paired rows, n of at least 4.
    equal : bool, default=False
        Whether to equalise the weights of the principal directions of h (`equalise`).
    second : float, default=0
        Weight of the added distance correlation of h with the squares and products of d.
    single : float, default=0
        Weight of the added sum of the distance correlations of h with each latent alone, each
        multiplied by the variance of the latent, at most 1 (that of its prior).

    Returns
    -------
    Tensor
        A scalar of at most 1 + `second` + `single` n_d, with mean zero under independence
        (Székely & Rizzo 2014, eq. 3.5); slightly negative values occur by chance.

    Examples
    --------
    >>> import torch
    >>> h = torch.arange(8.0)[:, None]
    >>> round(distance_correlation(h, 3 * h).item(), 4)
    1.0
    """
    _check(h, d)
    signal = d.detach().var(0, correction=0).clamp_max(1.0)
    h, d = _scaled(h, d, equal)
    a, b = (_centred_root(squared_distances(x)) for x in (h, d))
    correlation = _u_correlation(a, b)
    if single:
        correlation = correlation + single * (signal * _each_correlation(a, d)).sum()
    if second:
        correlation = correlation + second * _u_correlation(a, _centred_root(second_order(d)))
    return correlation


def _each_correlation(a: Tensor, d: Tensor) -> Tensor:
    """Return the correlation of a U-centred matrix with that of each column of d."""
    n = len(d)
    apart = (d.T[:, :, None] - d.T[:, None, :]).abs()
    rows = apart.sum(2) / (n - 2)
    total = apart.sum((1, 2)) / ((n - 1) * (n - 2))
    centred = apart - rows[:, :, None] - rows[:, None, :] + total[:, None, None]
    off_diagonal = 1 - torch.eye(n, dtype=d.dtype, device=d.device)
    centred = centred * off_diagonal
    norm = a.square().sum() * centred.square().sum((1, 2))
    return (a * centred).sum((1, 2)) / norm.clamp_min(_TINY**2).sqrt()


def _centred_root(squared: Tensor) -> Tensor:
    """Return the U-centred matrix of distances, from squared distances."""
    return u_centre(without_diagonal((squared + _TINY).sqrt()))


def hsic(h: Tensor, d: Tensor, *, equal: bool = False) -> Tensor:
    """Compute the unbiased, normalised Hilbert–Schmidt independence criterion.

    The kernels are Gaussian. Their squared bandwidth is half the mean squared distance of the
    rows, which is the number of columns if these are standardised. U-centring makes the estimate
    unbiased (Song et al. 2012, J. Mach. Learn. Res. 13, 1393); it is scaled like a correlation.

    Parameters
    ----------
    h, d : Tensor of shape (n, n_h), (n, n_d)
        Paired rows, n of at least 4.
    equal : bool, default=False
        Whether to equalise the weights of the principal directions of h (`equalise`).

    Returns
    -------
    Tensor
        A scalar of at most 1, with mean about zero under independence.

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
    """Compute the mean squared correlation of the columns of h and d, minus its chance level.

    Parameters
    ----------
    h, d : Tensor of shape (n, n_h), (n, n_d)
        Paired rows, n of at least 4.

    Returns
    -------
    Tensor
        A scalar of at most 1 with mean zero under independence, where the mean squared
        correlation of n pairs is 1 / (n - 1).

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
