"""Intervals and paired tests of predictions' scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nonredundant._delong import covariance, placements
from nonredundant._estimates import LEVEL, Difference, Estimate
from nonredundant._operating import (
    calibration_summary,
    net_benefit,
    operating_point,
    sensitivity_specificity,
)
from nonredundant._scored import check_scored
from nonredundant._survival import compare_concordance, concordance_index

__all__ = [
    "Difference",
    "Estimate",
    "bootstrap_interval",
    "calibration_summary",
    "compare_concordance",
    "concordance_index",
    "delong_interval",
    "delong_test",
    "holm",
    "net_benefit",
    "operating_point",
    "paired_bootstrap",
    "resampled_interval",
    "resampled_test",
    "sensitivity_specificity",
]


def delong_interval(y: Any, score: Any) -> Estimate:
    """Return an AUC with DeLong's 95 % interval on the logit scale.

    On the logit scale the interval stays within (0, 1) and covers the truth also where the AUC is
    near 1, where the plain one is too short (Pepe 2003, section 5.2). A score that separates the
    classes has no variance by this method; its interval then ends where the chance of a sample
    without a single misordered pair falls to 5 %, with the smaller class as sample size.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 1 or True for positive.
    score : array-like of shape (n,)
        Scores, higher for positive cases.

    Returns
    -------
    Estimate
        AUC, low and high end.

    Raises
    ------
    ValueError
        If y has one class or a class has one case, lengths differ, or a score is not a number.

    Examples
    --------
    >>> auc, low, high = delong_interval([0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6])
    >>> round(auc, 3), low < auc < high
    (0.889, True)
    """
    from scipy.special import expit, logit
    from scipy.stats import norm

    positive, score = check_scored(y, score)
    _check_size(positive)
    aucs, *parts = placements(positive, score[None])
    auc, error = float(aucs[0]), float(np.sqrt(covariance(*parts)[0, 0]))
    if auc in (0.0, 1.0):
        edge = float((1 - LEVEL) ** (1 / min(positive.sum(), (~positive).sum())))
        return Estimate(auc, edge, 1.0) if auc else Estimate(auc, 0.0, 1 - edge)
    reach = norm.ppf((1 + LEVEL) / 2) * error / (auc * (1 - auc))
    return Estimate(auc, float(expit(logit(auc) - reach)), float(expit(logit(auc) + reach)))


def delong_test(y: Any, a: Any, b: Any) -> Difference:
    """Return the difference of two AUCs on the same cases, AUC(a) − AUC(b).

    DeLong, DeLong & Clarke-Pearson 1988 (doi 10.2307/2531595), in the O(n log n) form of
    Sun & Xu 2014. It takes the scores as given: of scores by models it says nothing about other
    training sets.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 1 or True for positive.
    a, b : array-like of shape (n,)
        Two scores of each case, higher for positive ones.

    Returns
    -------
    Difference
        Difference, 95 % interval and two-sided p-value; p is 1 where both scores order every
        pair alike.

    Raises
    ------
    ValueError
        If y has one class or a class has one case, lengths differ, or a score is not a number.

    Examples
    --------
    >>> y = [0, 0, 0, 0, 1, 1, 1, 1]
    >>> round(delong_test(y, [1, 2, 3, 5, 4, 6, 7, 8], [1, 4, 6, 7, 2, 3, 5, 8]).estimate, 4)
    0.4375
    """
    from scipy.stats import norm

    positive, a, b = check_scored(y, a, b)
    _check_size(positive)
    aucs, *parts = placements(positive, np.vstack([a, b]))
    (aa, ab), (_, bb) = covariance(*parts)
    difference = float(aucs[0] - aucs[1])
    error = float(np.sqrt(max(aa + bb - 2 * ab, 0.0)))
    if error == 0:
        return Difference(difference, difference, difference, 1.0 if difference == 0 else 0.0)
    reach = float(norm.ppf((1 + LEVEL) / 2)) * error
    p = float(2 * norm.sf(abs(difference) / error))
    return Difference(difference, difference - reach, difference + reach, p)


def bootstrap_interval(
    y: Any,
    x: Any,
    metric: Callable[..., float],
    *,
    n_resamples: int = 1000,
    random_state: Any = None,
) -> Estimate:
    """Return a metric with its 95 % interval by the bootstrap within classes.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels; each class keeps its size in every resample.
    x : array-like of shape (n, ...)
        What the metric takes beside y, a row a case.
    metric : callable
        `metric(y, x) -> float`.
    n_resamples : int, default=1000
        Number of resamples.
    random_state : int, RandomState or None, default=None
        Seed of the resamples.

    Returns
    -------
    Estimate
        The metric on all cases, and the 2.5 and 97.5 percentiles of the resamples.

    Raises
    ------
    ValueError
        If y has one class or lengths differ.

    Examples
    --------
    >>> from sklearn.metrics import accuracy_score
    >>> y = [0, 0, 0, 1, 1, 1]
    >>> bootstrap_interval(y, [0, 0, 1, 1, 1, 1], accuracy_score, random_state=0).high
    1.0
    """
    labels, values = np.asarray(y), np.asarray(x)
    draws = _resamples(labels, values, n_resamples, random_state)
    resampled = [metric(labels[rows], values[rows]) for rows in draws]
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Estimate(float(metric(labels, values)), float(low), float(high))


def paired_bootstrap(
    y: Any,
    a: Any,
    b: Any,
    metric: Callable[..., float],
    *,
    n_resamples: int = 1000,
    random_state: Any = None,
) -> Difference:
    """Return the difference of a metric between two predictions of the same cases.

    Each resample draws cases, within classes, and both predictions with them.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    a, b : array-like of shape (n, ...)
        Two predictions of each case.
    metric : callable
        `metric(y, prediction) -> float`.
    n_resamples : int, default=1000
        Number of resamples.
    random_state : int, RandomState or None, default=None
        Seed of the resamples.

    Returns
    -------
    Difference
        metric(a) − metric(b), its 95 % percentile interval, and twice the smaller share of
        resamples on either side of zero (at least 1 / n_resamples).

    Raises
    ------
    ValueError
        If y has one class or lengths differ.

    Examples
    --------
    >>> from sklearn.metrics import accuracy_score
    >>> y = [0, 0, 0, 1, 1, 1]
    >>> good, poor = [0, 0, 0, 1, 1, 1], [1, 1, 0, 0, 1, 0]
    >>> round(paired_bootstrap(y, good, poor, accuracy_score, random_state=0).estimate, 3)
    0.667
    """
    labels, first, second = np.asarray(y), np.asarray(a), np.asarray(b)
    _same_length(labels, second)
    draws = _resamples(labels, first, n_resamples, random_state)
    resampled = np.array(
        [metric(labels[rows], first[rows]) - metric(labels[rows], second[rows]) for rows in draws]
    )
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    side = min((resampled <= 0).mean(), (resampled >= 0).mean())
    p = float(np.clip(2 * side, 1 / n_resamples, 1.0))
    difference = float(metric(labels, first) - metric(labels, second))
    return Difference(difference, float(low), float(high), p)


def resampled_interval(scores: Any, n_train: float, n_test: float) -> Estimate:
    """Return the mean of repeated cross-validation's scores with a 95 % interval.

    The folds share training samples, so their spread understates the uncertainty; Nadeau & Bengio
    2003 (doi 10.1023/A:1024068626366) widen the variance by 1/k + n_test / n_train instead of 1/k.

    Parameters
    ----------
    scores : array-like of shape (k,)
        One score a fold, of all repeats.
    n_train, n_test : float
        Mean number of training and of held-out samples a fold.

    Returns
    -------
    Estimate
        Mean, low and high end.

    Raises
    ------
    ValueError
        If there are fewer than two scores or one is not a number.

    Examples
    --------
    >>> mean, low, high = resampled_interval([0.7, 0.8, 0.75, 0.65, 0.8], 80, 20)
    >>> round(mean, 3), round(low, 3), round(high, 3)
    (0.74, 0.619, 0.861)
    """
    mean, low, high, _ = resampled_test(scores, n_train, n_test)
    return Estimate(mean, low, high)


def resampled_test(differences: Any, n_train: float, n_test: float) -> Difference:
    """Return the corrected resampled t-test of paired differences over folds.

    Nadeau & Bengio 2003; for repeated cross-validation Bouckaert & Frank 2004
    (doi 10.1007/978-3-540-24775-3_3).

    Parameters
    ----------
    differences : array-like of shape (k,)
        Difference of two scores on each fold, of all repeats.
    n_train, n_test : float
        Mean number of training and of held-out samples a fold.

    Returns
    -------
    Difference
        Mean, 95 % interval and two-sided p-value with k − 1 degrees of freedom.

    Raises
    ------
    ValueError
        If there are fewer than two differences or one is not a number.

    Examples
    --------
    >>> round(resampled_test([0.02, 0.01, 0.03, 0.0, 0.02], 80, 20).p_value, 3)
    0.105
    """
    from scipy.stats import t

    values = np.asarray(differences, dtype=float)
    k = values.size
    if values.ndim != 1 or k < 2 or not np.isfinite(values).all():
        raise ValueError(f"at least two folds with finite scores are needed, got {values}")
    mean = float(values.mean())
    error = float(np.sqrt((1 / k + n_test / n_train) * values.var(ddof=1)))
    if error == 0:
        return Difference(mean, mean, mean, 1.0 if mean == 0 else 0.0)
    law = t(df=k - 1)
    reach = float(law.ppf((1 + LEVEL) / 2)) * error
    return Difference(mean, mean - reach, mean + reach, float(2 * law.sf(abs(mean) / error)))


def holm(p_values: Any) -> np.ndarray:
    """Return p-values corrected over their family (Holm 1979).

    Parameters
    ----------
    p_values : array-like of shape (k,)
        p-values of k tests.

    Returns
    -------
    array of shape (k,)
        Corrected values in the same order; calling those below 0.05 significant keeps the chance
        of one false call in the family at 5 %.

    Raises
    ------
    ValueError
        If a value is not in [0, 1].

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must lie in [0, 1], got {p}")
    order = np.argsort(p)
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty_like(p)
    result[order] = np.minimum(corrected, 1.0)
    return result


def _check_size(positive: np.ndarray) -> None:
    """Raise where a class has too few cases for a variance."""
    if min(positive.sum(), (~positive).sum()) < 2:
        raise ValueError("DeLong's variance needs two cases of each class at least")


def _same_length(labels: np.ndarray, values: np.ndarray) -> None:
    """Raise where rows do not match."""
    if len(labels) != len(values):
        raise ValueError(f"y has {len(labels)} labels but predictions have {len(values)} rows")


def _resamples(
    labels: np.ndarray, values: np.ndarray, n_resamples: int, random_state: Any
) -> list[np.ndarray]:
    """Return rows drawn with replacement within each class."""
    from sklearn.utils import check_random_state

    _same_length(labels, values)
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(f"y must hold at least two classes, got {classes.tolist()}")
    rng = check_random_state(random_state)
    members = [np.flatnonzero(labels == label) for label in classes]
    return [
        np.concatenate([rng.choice(rows, len(rows)) for rows in members])
        for _ in range(n_resamples)
    ]
