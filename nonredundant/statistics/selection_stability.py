"""How much selections of features on several training sets agree."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import norm

from nonredundant.statistics.estimates import LEVEL, Estimate


def selection_stability(chosen: Any) -> Estimate:
    """Estimate the stability of a feature selection, 1 if all selections are equal.

    It is 0 for selections that agree no more than random ones of the same sizes, whatever these
    are, and may be below.

    Parameters
    ----------
    chosen : bool array of shape (n_selections, n_features)
        Which features each selection chose.

    Returns
    -------
    Estimate
        The stability and its 95 % interval; NaN with a reason where it is not defined.

    Raises
    ------
    ValueError
        If `chosen` is no matrix of truth values.

    Notes
    -----
    The interval is that of selections on independent samples of patients. The training sets of
    cross-validation share most of theirs: for them the stability is that of leaving patients out,
    higher than on a new cohort, and the interval is that of these folds.

    References
    ----------
    Nogueira, Sechidis & Brown 2018, On the stability of feature selection algorithms, J. Mach.
    Learn. Res. 18(174), 1.

    Examples
    --------
    >>> import numpy as np
    >>> same = np.tile([True, True, False, False], (5, 1))
    >>> selection_stability(same).estimate
    1.0
    """
    z = np.asarray(chosen)
    if z.ndim != 2 or z.dtype != bool:
        raise ValueError(
            "chosen must be a matrix of truth values, a row per selection and a column per "
            f"feature, got {z.dtype} of shape {z.shape}"
        )
    m, d = z.shape
    sizes, frequency = z.sum(axis=1), z.mean(axis=0) if m else np.zeros(d)
    mean_size = float(frequency.sum())
    if m < 2:
        return Estimate(np.nan, np.nan, np.nan, "one selection agrees with nothing")
    if not 0 < mean_size < d:
        return Estimate(np.nan, np.nan, np.nan, "all features or none were chosen throughout")
    by_chance = mean_size / d * (1 - mean_size / d)
    varied = (frequency * (1 - frequency)).mean() * m / (m - 1)
    stability = float(1 - varied / by_chance)
    share = sizes / d
    own = (z * frequency).mean(axis=1) - share * mean_size / d
    own += stability / 2 * (2 * share * mean_size / d - share - mean_size / d + 1)
    error = 2 / m * np.sqrt(np.square((own - own.mean()) / by_chance).sum())
    reach = float(norm.ppf((1 + LEVEL) / 2) * error)
    return Estimate(stability, stability - reach, min(1.0, stability + reach))
