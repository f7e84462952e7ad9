"""Calibration, net benefit and operating points of predicted probabilities."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.statistics.estimates import LEVEL, check_scored

#: Probabilities are clipped to this distance from 0 and 1, where the logit is infinite.
_EDGE = 1e-6
#: Cases of the rarer class below which a calibration slope means nothing.
_LEAST_CASES = 10


@contextlib.contextmanager
def unpenalised() -> Iterator[None]:
    """Let logistic regressions be fitted with C=inf, of which scikit-learn 1.8 warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting penalty=None will ignore the C")
        yield


def calibration_summary(y: Any, p: Any, *, groups: Any = None) -> dict[str, float]:
    """Compute calibration slope, intercept and Brier score of predicted probabilities.

    The slope is that of an unpenalised logistic regression of y on logit p (1 is ideal; below 1:
    predictions are too extreme). The intercept is that of the same regression with the slope fixed
    at 1 (0 is ideal; above 0: predictions are too low on average), "calibration in the large" (Van
    Calster et al. 2019, doi 10.1186/s12916-019-1466-7).

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 1 or True for positive.
    p : array-like of shape (n,)
        Predicted probabilities of the positive class.
    groups : array-like of shape (n,), optional
        Cases of one group, such as a patient, depend on each other: the errors are those of a
        sandwich estimate that sums over groups.

    Returns
    -------
    dict
        `slope`, its 95 % interval `slope_low` and `slope_high`, `intercept` and its interval
        likewise, `brier`. The slope is NaN where it means nothing: all predictions are equal, they
        separate the classes, or the rarer class has fewer than 10 cases.

    Raises
    ------
    ValueError
        If y has one class, lengths differ, or a value of p is outside [0, 1].

    Examples
    --------
    >>> found = calibration_summary([0, 0, 0, 1, 0, 1, 1, 1] * 5, ([0.25] * 4 + [0.75] * 4) * 5)
    >>> [round(found[name], 2) for name in ("slope", "slope_low", "slope_high", "brier")]
    [1.0, 0.35, 1.65, 0.19]
    """
    from scipy.optimize import brentq
    from scipy.special import expit, logit
    from sklearn.linear_model import LogisticRegression

    positive, p = check_probabilities(y, p)
    x = logit(np.clip(p, _EDGE, 1 - _EDGE))
    brier = float(np.mean((p - positive) ** 2))
    intercept = float(brentq(lambda a: np.mean(expit(a + x) - positive), -40, 40))
    ones = np.ones((len(x), 1))
    reach = _reach(ones, positive, expit(intercept + x), groups)
    bounds = {"intercept_low": intercept - reach, "intercept_high": intercept + reach}
    slope = low = high = float("nan")
    rarer = min(int(positive.sum()), int((~positive).sum()))
    separated = x[positive].min() >= x[~positive].max() or x[positive].max() <= x[~positive].min()
    if np.ptp(x) > 0 and not separated and rarer >= _LEAST_CASES:
        model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
        with unpenalised():
            model.fit(x[:, None], positive)
        fitted = model.predict_proba(x[:, None])[:, 1]
        slope = float(model.coef_[0, 0])
        reach = _reach(np.hstack([ones, x[:, None]]), positive, fitted, groups)
        low, high = slope - reach, slope + reach
    slopes = {"slope": slope, "slope_low": low, "slope_high": high}
    return {**slopes, "intercept": intercept, **bounds, "brier": brier}


def _reach(design: np.ndarray, positive: np.ndarray, fitted: np.ndarray, groups: Any) -> float:
    """Return half the width of the interval of the last coefficient of a logistic regression."""
    from scipy.stats import norm

    weights = (fitted * (1 - fitted))[:, None]
    covariance = np.linalg.inv(design.T @ (design * weights))
    if groups is not None:
        places = np.unique(np.asarray(groups), return_inverse=True)[1]
        scores = design * (positive - fitted)[:, None]
        sums = np.array([np.bincount(places, column) for column in scores.T])
        n = sums.shape[1]
        covariance = covariance @ (sums @ sums.T * n / max(n - 1, 1)) @ covariance
    return float(norm.ppf((1 + LEVEL) / 2) * np.sqrt(covariance[-1, -1]))


def calibration_of_times(
    event: Any, time: Any, risk: Any, baseline: tuple[Any, Any]
) -> dict[str, tuple[float, float, float]]:
    """Compute observed over expected events and the calibration slope of predicted log hazards.

    The expected number of events of a patient is the cumulative baseline hazard at the end of
    follow-up times exp(risk). Observed events are then counts with these expectations, which needs
    neither a horizon nor a complete follow-up (Crowson, Atkinson & Therneau 2016, doi
    10.1177/0962280213497434). Follow-up ends where that of the baseline ends: nothing is known of
    the hazard after it.

    Parameters
    ----------
    event : bool array of shape (n,)
        True if the event was observed.
    time : array of shape (n,)
        Time to the event or to censoring.
    risk : array of shape (n,)
        Predicted log hazards relative to the baseline.
    baseline : tuple of array
        Times, ascending, and the cumulative baseline hazard at them.

    Returns
    -------
    dict of str to (estimate, low, high)
        `observed / expected` (1 is ideal; above 1: risks are too low) and `slope` (1 is ideal;
        below 1: risks are too extreme), with 95 % intervals. NaN with fewer than 10 events.

    Examples
    --------
    >>> event, time = [True] * 20, list(range(1, 21))
    >>> baseline = ([1.0, 20.0], [0.05, 1.0])
    >>> found = calibration_of_times(event, time, [0.1, -0.1] * 10, baseline)
    >>> found["observed / expected"][0] > 1
    True
    """
    from scipy.stats import norm

    seen, ends, risk = (np.asarray(values, dtype=float) for values in (event, time, risk))
    times, hazard = (np.asarray(values, dtype=float) for values in baseline)
    # Nothing is predicted beyond the follow-up of the baseline.
    seen, ends = seen * (ends <= times[-1]), np.minimum(ends, times[-1])
    place = np.searchsorted(times, ends, side="right") - 1
    before = np.where(place >= 0, hazard[place], 0.0)
    nothing = (float("nan"),) * 3
    expected = before * np.exp(risk)
    # Without hazard before the end of follow-up a patient says nothing of the risk.
    known = expected > 0
    if seen[known].sum() < _LEAST_CASES:
        return {"observed / expected": nothing, "slope": nothing}
    z = float(norm.ppf((1 + LEVEL) / 2))
    n_events = float(seen[known].sum())
    ratio, spread = n_events / float(expected.sum()), float(np.exp(z / np.sqrt(n_events)))
    found = {"observed / expected": (ratio, ratio / spread, ratio * spread)}
    slope = nothing
    if np.ptp(risk[known]) > 0:
        centred = risk[known] - np.average(risk[known], weights=expected[known])
        beta, error = _poisson_slope(seen[known], centred, np.log(before[known]))
        slope = (beta, beta - z * error, beta + z * error)
    return {**found, "slope": slope}


def _poisson_slope(counts: np.ndarray, x: np.ndarray, offset: np.ndarray) -> tuple[float, float]:
    """Return slope and standard error of a Poisson regression with an offset."""
    from scipy.optimize import minimize

    design = np.column_stack([np.ones(len(x)), x])

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the negative log-likelihood and its gradient."""
        log_mean = offset + design @ beta
        mean = np.exp(log_mean)
        return float(mean.sum() - counts @ log_mean), design.T @ (mean - counts)

    start = np.array([np.log(counts.sum() / np.exp(offset + x).sum()), 1.0])
    beta = minimize(loss, start, jac=True, method="BFGS").x
    mean = np.exp(offset + design @ beta)
    covariance = np.linalg.inv(design.T @ (design * mean[:, None]))
    return float(beta[1]), float(np.sqrt(covariance[1, 1]))


def net_benefit(y: Any, p: Any, thresholds: Any) -> pd.DataFrame:
    """Compute the net benefit of treating cases with predictions above a threshold.

    Vickers & Elkin 2006 (doi 10.1177/0272989X06295361): true positives minus false positives
    weighted by the odds of the threshold, per case.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 1 or True for positive.
    p : array-like of shape (n,)
        Predicted probabilities of the positive class.
    thresholds : array-like
        Probabilities in (0, 1) above which a case would be treated.

    Returns
    -------
    DataFrame
        `threshold, net_benefit, treat_all, treat_none`: one row per threshold.

    Raises
    ------
    ValueError
        If y has one class, lengths differ, or a probability or threshold is out of range.

    Examples
    --------
    >>> net_benefit([0, 1, 0, 1], [0.1, 0.8, 0.6, 0.9], [0.5])
       threshold  net_benefit  treat_all  treat_none
    0        0.5         0.25        0.0         0.0
    """
    positive, p = check_probabilities(y, p)
    at = np.atleast_1d(np.asarray(thresholds, dtype=float))
    if not ((at > 0) & (at < 1)).all():
        raise ValueError(f"thresholds must lie between 0 and 1, got {at.min()} to {at.max()}")
    above = p >= at[:, None]
    odds = at / (1 - at)
    share = positive.mean()
    benefit = (above & positive).mean(axis=1) - odds * (above & ~positive).mean(axis=1)
    return pd.DataFrame(
        {
            "threshold": at,
            "net_benefit": benefit,
            "treat_all": share - odds * (1 - share),
            "treat_none": 0.0,
        }
    )


def operating_point(y: Any, score: Any) -> float:
    """Find the threshold of the largest sensitivity + specificity (Youden 1950).

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 1 or True for positive.
    score : array-like of shape (n,)
        Scores, higher for positive cases.

    Returns
    -------
    float
        Midpoint of the lowest score that is classified as positive and the next lower score.

    Raises
    ------
    ValueError
        If y has one class, lengths differ, or a score is not a number.

    Examples
    --------
    >>> operating_point([0, 0, 1, 1], [0.1, 0.3, 0.5, 0.9])
    0.4
    """
    positive, score = check_scored(y, score)
    values = np.unique(score)
    order = np.sort(score[positive]), np.sort(score[~positive])
    missed = np.searchsorted(order[0], values) / len(order[0])
    passed = np.searchsorted(order[1], values) / len(order[1])
    best = int(np.argmax(passed - missed))
    return float(values[best] if best == 0 else (values[best] + values[best - 1]) / 2)


def sensitivity_specificity(y: Any, score: Any, threshold: float) -> dict[str, float]:
    """Compute sensitivity and specificity of classifying scores from a threshold as positive.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 1 or True for positive.
    score : array-like of shape (n,)
        Scores, higher for positive cases.
    threshold : float
        Lowest score that is classified as positive.

    Returns
    -------
    dict
        `sensitivity`, `specificity`.

    Raises
    ------
    ValueError
        If y has one class, lengths differ, or a score is not a number.

    Examples
    --------
    >>> sensitivity_specificity([0, 0, 1, 1], [0.1, 0.6, 0.5, 0.9], 0.4)
    {'sensitivity': 1.0, 'specificity': 0.5}
    """
    positive, score = check_scored(y, score)
    above = score >= threshold
    return {
        "sensitivity": float(above[positive].mean()),
        "specificity": float((~above)[~positive].mean()),
    }


def check_probabilities(y: Any, p: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as booleans and probabilities as floats.

    Raises
    ------
    ValueError
        If y has one class, lengths differ, or a value of p is outside [0, 1].
    """
    positive, p = check_scored(y, p)
    if p.min() < 0 or p.max() > 1:
        raise ValueError(
            f"probabilities must lie in [0, 1], got {p.min():.3g} to {p.max():.3g}: pass the "
            "output of predict_proba, not of decision_function"
        )
    return positive, p
