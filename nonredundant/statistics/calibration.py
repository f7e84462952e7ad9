"""Calibration, net benefit and operating points of predicted probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant.statistics.estimates import LEVEL, check_scored

#: Probabilities are clipped to this distance from 0 and 1, where the logit is infinite.
_EDGE = 1e-6
#: Cases of the rarer class below which a calibration slope means nothing.
_LEAST_CASES = 10


def calibration_summary(y: Any, p: Any) -> dict[str, float]:
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

    Returns
    -------
    dict
        `slope`, its 95 % interval `slope_low` and `slope_high`, `intercept`, `brier`. The slope is
        NaN where it means nothing: all predictions are equal, they separate the classes, or the
        rarer class has fewer than 10 cases.

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
    from scipy.stats import norm
    from sklearn.linear_model import LogisticRegression

    positive, p = check_probabilities(y, p)
    x = logit(np.clip(p, _EDGE, 1 - _EDGE))
    brier = float(np.mean((p - positive) ** 2))
    intercept = float(brentq(lambda a: np.mean(expit(a + x) - positive), -40, 40))
    slope = low = high = float("nan")
    rarer = min(int(positive.sum()), int((~positive).sum()))
    separated = x[positive].min() >= x[~positive].max() or x[positive].max() <= x[~positive].min()
    if np.ptp(x) > 0 and not separated and rarer >= _LEAST_CASES:
        model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(x[:, None], positive)
        fitted = model.predict_proba(x[:, None])[:, 1]
        design = np.column_stack([np.ones(len(x)), x])
        information = design.T @ (design * (fitted * (1 - fitted))[:, None])
        slope = float(model.coef_[0, 0])
        reach = float(norm.ppf((1 + LEVEL) / 2) * np.sqrt(np.linalg.inv(information)[1, 1]))
        low, high = slope - reach, slope + reach
    bounds = {"slope": slope, "slope_low": low, "slope_high": high}
    return {**bounds, "intercept": intercept, "brier": brier}


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
