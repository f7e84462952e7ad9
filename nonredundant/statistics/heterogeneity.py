"""Estimates of few centres: their mean, and by how much they differ."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nonredundant.statistics.estimates import LEVEL, Difference, not_estimable, t_difference

#: With fewer centres the spread between them has no usable estimate.
LEAST_CENTRES = 3


class Heterogeneity(NamedTuple):
    """The mean of the estimates of centres, and how they differ.

    Parameters
    ----------
    n_centres : int
        Number of centres with an estimate and an error.
    mean : float
        Mean of a random-effects model.
    low, high : float
        Its 95 % interval (Hartung and Knapp); NaN with fewer than three centres.
    q, p_value : float
        Cochran's Q and its p-value: small if centres differ by more than their errors.
    i2 : float
        Share of the variance of the estimates that lies between centres.
    tau2 : float
        Variance between centres (DerSimonian and Laird).
    reason : str
        Why something is not estimable; empty if all is.

    Examples
    --------
    >>> found = heterogeneity([0.7, 0.8, 0.6], [0.05, 0.04, 0.06])
    >>> found.n_centres, round(found.q, 2), round(found.i2, 2)
    (3, 8.1, 0.75)
    """

    n_centres: int
    mean: float
    low: float
    high: float
    q: float
    p_value: float
    i2: float
    tau2: float
    reason: str = ""


def heterogeneity(estimates: Any, errors: Any) -> Heterogeneity:
    """Combine the estimates of centres by a random-effects model.

    Parameters
    ----------
    estimates : array-like of shape (n_centres,)
        An estimate of each centre; NaN for none.
    errors : array-like of shape (n_centres,)
        Their standard errors; centres where it is zero or unknown are left out.

    Returns
    -------
    Heterogeneity
        Mean, interval, Q, I² and tau².

    Raises
    ------
    ValueError
        If the two differ in length.

    Notes
    -----
    With weights w = 1 / error² and the weighted mean m, Q = Σ w (estimate - m)², tau² = max(0, (Q -
    (k - 1)) / (Σ w - Σ w² / Σ w)) (DerSimonian & Laird 1986, doi 10.1016/0197-2456(86)90046-2), and
    I² = max(0, (Q - (k - 1)) / Q). The interval is Student's with k - 1 degrees of freedom and the
    variance of Hartung & Knapp (2001, doi 10.1002/sim.1009), not below that of the model (Röver,
    Knapp & Friede 2015, doi 10.1186/s12874-015-0091-1). With few centres Q has little power, and I²
    is uncertain: with three of them it is 0 in more than half of the cases without any
    heterogeneity, and often also with some.

    Examples
    --------
    >>> found = heterogeneity([0.70, 0.72], [0.05, 0.05])
    >>> found.reason, round(found.mean, 2), found.i2
    ('2 centres are too few for an interval', 0.71, 0.0)
    """
    y, s = np.asarray(estimates, dtype=float), np.asarray(errors, dtype=float)
    if y.shape != s.shape or y.ndim != 1:
        raise ValueError(f"there are estimates of shape {y.shape} and errors of shape {s.shape}")
    usable = np.isfinite(y) & (s > 0)
    y, s = y[usable], s[usable]
    k, nan = len(y), float("nan")
    if k < 2:
        few = "1 centre has" if k else "no centre has"
        return Heterogeneity(
            k, float(y[0]) if k else nan, nan, nan, nan, nan, nan, nan, f"{few} an error"
        )
    from scipy.stats import chi2, t

    w = 1 / s**2
    q = float((w * (y - np.average(y, weights=w)) ** 2).sum())
    tau2 = max(0.0, (q - (k - 1)) / float(w.sum() - (w**2).sum() / w.sum()))
    w = 1 / (s**2 + tau2)
    mean = float(np.average(y, weights=w))
    low = high = nan
    reason = too_few(k)
    if not reason:
        spread = max(1.0, float((w * (y - mean) ** 2).sum()) / (k - 1))
        reach = float(t.ppf((1 + LEVEL) / 2, k - 1)) * float(np.sqrt(spread / w.sum()))
        low, high = mean - reach, mean + reach
    i2 = max(0.0, (q - (k - 1)) / q) if q > 0 else 0.0
    return Heterogeneity(k, mean, low, high, q, float(chi2.sf(q, k - 1)), i2, tau2, reason)


def mean_over_centres(values: Any) -> Difference:
    """Estimate the mean over centres with Student's interval, each centre being one observation.

    Parameters
    ----------
    values : array-like of shape (n_centres,)
        A score, or a difference of two, per centre.

    Returns
    -------
    Difference
        Unweighted mean, 95 % interval of k - 1 degrees of freedom and p-value of a mean of 0; NaN
        with the reason for fewer than three centres. It counts both the spread between centres and
        the errors within them, and is about centres like these.

    Examples
    --------
    >>> found = mean_over_centres([0.02, 0.05, 0.03])
    >>> f"{found.estimate:.3f} ({found.low:.3f} to {found.high:.3f})"
    '0.033 (-0.005 to 0.071)'
    >>> mean_over_centres([0.02, 0.05]).reason
    '2 centres are too few for an interval'
    """
    found = np.asarray(values, dtype=float)
    k, mean = len(found), float(np.mean(found))
    if reason := too_few(k):
        return not_estimable(mean, reason)
    if np.ptp(found) == 0:
        return not_estimable(mean, "it is the same in every centre")
    return t_difference(mean, float(found.std(ddof=1) / np.sqrt(k)), k - 1)


def too_few(n: int) -> str:
    """Return why so many centres have no interval; empty if they have."""
    return "" if n >= LEAST_CENTRES else f"{n} centres are too few for an interval"
