"""How many patients the development of a prediction model needs, by published criteria."""

from __future__ import annotations

import numpy as np

#: Shrinkage that a model should need at most, optimism of R², and margin of the overall risk.
_SHRINKAGE, _OPTIMISM, _MARGIN = 0.9, 0.05, 0.05
#: Quantiles of a standard normal law that stand for its cases.
_N_QUANTILES = 20_001


def development_size(
    n_parameters: int, prevalence: float, *, auc: float | None = None, r2: float | None = None
) -> dict[str, int]:
    """Compute the patients that a model of two classes needs, by the criteria of Riley et al.

    Parameters
    ----------
    n_parameters : int
        Number of coefficients that are candidates for the model.
    prevalence : float
        Share of patients with the outcome, between 0 and 1.
    auc : float, optional
        The expected AUC, from which R² is computed for normal scores of equal spread.
    r2 : float, optional
        The expected R² of Cox and Snell, in place of `auc`.

    Returns
    -------
    dict of str to int
        "shrinkage": coefficients need to shrink by at most 10 %; "optimism": R² (of Nagelkerke)
        is too large by at most 0.05; "risk": the mean risk is known to within 0.05;
        "patients": the largest of them.

    Raises
    ------
    ValueError
        If a number is out of range, or both or neither of `auc` and `r2` are given.

    Notes
    -----
    Riley et al. 2020 (doi 10.1136/bmj.m441); R² from the AUC as in Riley et al. 2021 (doi
    10.1002/sim.8806), with quantiles in place of a simulation.

    Examples
    --------
    The prediction of pre-eclampsia in Riley et al. 2020, 30 parameters:

    >>> development_size(30, 0.05, r2=0.05)["shrinkage"]
    5249
    """
    if not isinstance(n_parameters, int | np.integer) or n_parameters < 1:
        raise ValueError(f"n_parameters must be a whole number above 0, got {n_parameters!r}")
    if not 0 < prevalence < 1:
        raise ValueError(f"prevalence must lie between 0 and 1, got {prevalence!r}")
    if auc is not None and not 0.5 < auc < 1:
        raise ValueError(f"auc must lie between 0.5 and 1, got {auc!r}")
    entropy = prevalence * np.log(prevalence) + (1 - prevalence) * np.log(1 - prevalence)
    largest = 1 - np.exp(2 * entropy)
    if r2 is None and auc is not None:
        r2 = _r2_of_auc(auc, prevalence, entropy)
    elif r2 is None or auc is not None:
        raise ValueError("give either auc or r2")
    if not 0 < r2 < largest:
        raise ValueError(f"r2 must lie between 0 and {largest:.3f} at this prevalence, got {r2!r}")
    second = r2 / (r2 + _OPTIMISM * largest)
    shrinkage, optimism = (
        n_parameters / ((share - 1) * np.log(1 - r2 / share)) for share in (_SHRINKAGE, second)
    )
    risk = (1.96 / _MARGIN) ** 2 * prevalence * (1 - prevalence)
    found = {"shrinkage": shrinkage, "optimism": optimism, "risk": risk}
    sizes = {name: int(np.ceil(size)) for name, size in found.items()}
    return {**sizes, "patients": max(sizes.values())}


def _r2_of_auc(auc: float, prevalence: float, entropy: float) -> float:
    """Return the R² of Cox and Snell of normal scores whose classes have this AUC."""
    from scipy.special import ndtri

    z = ndtri((np.arange(_N_QUANTILES) + 0.5) / _N_QUANTILES)
    shift = np.sqrt(2) * ndtri(auc)
    # With normal scores of equal spread the logit of the risk is linear in the score.
    odds = np.log(prevalence / (1 - prevalence)) - shift**2 / 2
    with_outcome, without = (odds + shift * (z + place) for place in (shift, 0.0))
    gain = prevalence * -np.logaddexp(0, -with_outcome).mean()
    gain += (1 - prevalence) * -np.logaddexp(0, without).mean()
    return float(1 - np.exp(2 * (entropy - gain)))
