"""An estimate beside its null: p-value, 95 % point, and the smallest detectable dependence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import t

#: Refits on permuted rows for the methods that train a model for each permutation.
N_REFITS = 10
#: Estimates on permuted rows that differ by less are equal but for rounding.
LEAST_SPREAD = 1e-9
#: The expected estimate that is significant in 80 % of samples, in standard deviations of the null
#: above its 95 % point. Simulated by `benchmarks/audit_power.py`, which prints the value of each
#: design; these are medians over designs. Estimates of dependent rows scatter more than those of
#: permuted ones, so that the normal quantile, 0.84, would be too small for most methods. Nats of a
#: discriminator are left out: their scatter has no fixed ratio to that of their null.
MARGINS = {
    "r2-ridge": 3.0,
    "r2-forest": 1.1,
    "r2-mlp": 4.9,
    "discriminator-auc": 2.6,
    "ksg": 1.0,
    "dcor": 0.4,
    "hsic": 1.2,
    "largest-pair": 2.3,
    "largest-product": 2.6,
    "r2-of-latents": 1.9,
    "share-of-latents": 1.5,
}


class Comparison(NamedTuple):
    """An estimate against its null; NaN where there is none.

    Attributes
    ----------
    mean, top : float
        Mean and 95 % point of the null.
    p_value : float
        One-sided p-value.
    spread : float
        Standard deviation of the null.
    """

    mean: float
    top: float
    p_value: float
    spread: float


def compare_with_null(estimate: float, null: np.ndarray) -> Comparison:
    """Compare an estimate with what the same method found on permuted rows.

    Parameters
    ----------
    estimate : float
        The estimate.
    null : array of shape (n_permutations,)
        Estimates on permuted rows.

    Returns
    -------
    Comparison
        The p-value is that of a permutation test if there are more than `N_REFITS` permutations,
        and of Student's t around the null's mean otherwise.
    """
    if len(null) < 2:
        return Comparison(np.nan, np.nan, np.nan, np.nan)
    mean, spread = float(null.mean()), float(null.std(ddof=1))
    if len(null) > N_REFITS:
        p = (1 + np.sum(null >= estimate - 1e-12)) / (1 + len(null))
        return Comparison(mean, float(np.quantile(null, 0.95)), float(p), spread)
    wider = spread * float(np.sqrt(1 + 1 / len(null)))
    law = t(df=len(null) - 1, loc=mean, scale=wider)
    return Comparison(mean, float(law.ppf(0.95)), float(law.sf(estimate)), spread)


def smallest_detectable(method: str, null: Comparison) -> float:
    """Return the expected estimate that is significant in 80 % of samples; NaN if not known.

    Parameters
    ----------
    method : str
        Name of the audit method.
    null : Comparison
        The null of the audited rows.

    Returns
    -------
    float
        In the unit of the method.
    """
    return null.top + MARGINS.get(method, np.nan) * null.spread
