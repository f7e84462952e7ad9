"""Mutual information from the logits of a trained discriminator, in nats.

Both discriminators of the package use it: the NumPy one of the audit (`metrics.networks`) and the
torch one of the independence terms (`nn.density_ratio`).
"""

from __future__ import annotations

import numpy as np


def donsker_varadhan(true: np.ndarray, other: np.ndarray) -> float:
    """Return the Donsker–Varadhan lower bound of the mutual information.

    E[f] over true pairs − log E[exp f] over re-paired rows (Donsker & Varadhan 1983; Belghazi et
    al. 2018, arXiv 1801.04062). The second part corrects a density ratio that is not normalised.

    Parameters
    ----------
    true, other : array of shape (n_true,), (n_other,)
        Logits of true and of re-paired rows.

    Returns
    -------
    float
        The bound, in nats.

    Examples
    --------
    >>> donsker_varadhan(np.array([1.0, 1.0]), np.array([0.0, 0.0]))
    1.0
    """
    top = other.max()
    return float(np.mean(true) - top - np.log(np.mean(np.exp(other - top))))


def best_temperature(true: np.ndarray, other: np.ndarray, temperatures: np.ndarray) -> float:
    """Return the factor on the logits that maximises the bound on held-out rows.

    A network fitted to few rows is overconfident, which the bound penalises. One factor corrects
    that and leaves the order of the pairs as it is.

    Parameters
    ----------
    true, other : array of shape (n_true,), (n_other,)
        Logits of held-out true and re-paired rows.
    temperatures : array of shape (k,)
        Factors to choose from.

    Returns
    -------
    float
        The best of the factors.

    Examples
    --------
    >>> overconfident, other = np.array([4.0, -4.0]), np.zeros(2)
    >>> best_temperature(overconfident - 1, other, np.array([0.1, 1.0]))
    0.1
    """
    bounds = [donsker_varadhan(t * true, t * other) for t in temperatures]
    return float(temperatures[int(np.argmax(bounds))])
