"""Intervals and paired tests by bootstrap and over cross-validation folds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nonredundant.statistics.estimates import (
    LEVEL,
    ROUNDING,
    Difference,
    Estimate,
    not_estimable,
    t_difference,
)

#: Ratio of the variance of a large difference over folds to that of none; fitted to simulated
#: cohorts of 60 and 120 with gains of concordance and of three classes (`benchmarks/gain.py`).
_GROWTH = 2.3


def bootstrap_interval(
    y: Any,
    x: Any,
    metric: Callable[..., float],
    *,
    stratify: bool = True,
    n_resamples: int = 1000,
    random_state: Any = None,
) -> Estimate:
    """Estimate a metric with its 95 % interval by the bootstrap, within classes if there are any.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, or numbers.
    x : array-like of shape (n, ...)
        Second argument of the metric, one row per case.
    metric : callable
        `metric(y, x) -> float`.
    stratify : bool, default=True
        Whether each class keeps its size in every resample; False for numbers.
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
    draws = _resamples(labels, values, stratify, n_resamples, random_state)
    resampled = [metric(labels[rows], values[rows]) for rows in draws]
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    estimate = float(metric(labels, values))
    if high - low <= ROUNDING:
        reason = "the metric is the same in every resample"
        return Estimate(estimate, float("nan"), float("nan"), reason)
    return Estimate(estimate, float(low), float(high))


def paired_bootstrap(
    y: Any,
    a: Any,
    b: Any,
    metric: Callable[..., float],
    *,
    stratify: bool = True,
    n_resamples: int = 1000,
    random_state: Any = None,
) -> Difference:
    """Test the difference of a metric between two predictions of the same cases.

    Each resample draws cases, within classes if there are any, with both of their predictions.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, or numbers.
    a, b : array-like of shape (n, ...)
        Two predictions of each case.
    metric : callable
        `metric(y, prediction) -> float`.
    stratify : bool, default=True
        Whether each class keeps its size in every resample; False for numbers.
    n_resamples : int, default=1000
        Number of resamples.
    random_state : int, RandomState or None, default=None
        Seed of the resamples.

    Returns
    -------
    Difference
        metric(a) − metric(b), its 95 % percentile interval, and as p-value twice the smaller share
        of resamples on either side of zero (at least 1 / n_resamples).

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
    draws = _resamples(labels, first, stratify, n_resamples, random_state)
    resampled = np.array(
        [metric(labels[rows], first[rows]) - metric(labels[rows], second[rows]) for rows in draws]
    )
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    difference = float(metric(labels, first) - metric(labels, second))
    if high - low <= ROUNDING:
        reason = "the difference is the same in every resample"
        return not_estimable(difference, reason)
    side = min((resampled <= 0).mean(), (resampled >= 0).mean())
    p = float(np.clip(2 * side, 1 / n_resamples, 1.0))
    return Difference(difference, float(low), float(high), p)


def resampled_interval(scores: Any, n_train: float, n_test: float) -> Estimate:
    """Estimate the mean score of repeated cross-validation with a 95 % interval.

    The folds share training samples, so that their variance underestimates the uncertainty;
    Nadeau & Bengio 2003 (doi 10.1023/A:1024068626366) multiply it by 1/k + n_test / n_train
    instead of 1/k.

    Parameters
    ----------
    scores : array-like of shape (k,)
        One score per fold, of all repeats.
    n_train, n_test : float
        Mean number of training and of held-out samples per fold.

    Returns
    -------
    Estimate
        Mean, lower and upper bound; NaN with the reason if fewer than two folds differ.

    Raises
    ------
    ValueError
        If there is no score or one is not finite.

    Examples
    --------
    >>> found = resampled_interval([0.7, 0.8, 0.75, 0.65, 0.8], 80, 20)
    >>> round(found.estimate, 3), round(found.low, 3), round(found.high, 3)
    (0.74, 0.619, 0.861)
    """
    values = _finite(scores)
    mean = float(values.mean())
    found = _corrected(values - mean, n_train, n_test, growth=1.0)
    if found.reason:
        reason = "one fold" if values.size == 1 else "the score is the same in every fold"
        return Estimate(mean, float("nan"), float("nan"), reason)
    return Estimate(mean, mean + found.low, mean + found.high)


def resampled_test(differences: Any, n_train: float, n_test: float) -> Difference:
    """Test paired differences over folds by the corrected resampled t-test.

    Nadeau & Bengio 2003; for repeated cross-validation Bouckaert & Frank 2004
    (doi 10.1007/978-3-540-24775-3_3).

    Parameters
    ----------
    differences : array-like of shape (k,)
        Difference of two scores on each fold, of all repeats.
    n_train, n_test : float
        Mean number of training and of held-out samples per fold.

    Returns
    -------
    Difference
        Mean, 95 % interval and two-sided p-value with k − 1 degrees of freedom. NaN with the
        reason if there is one fold, or if the differences of fewer than two folds are not zero,
        for which the t statistic does not depend on their size.

    Raises
    ------
    ValueError
        If there is no difference or one is not finite.

    Notes
    -----
    The p-value is that of the test. The interval is wider than its t interval on the side of large
    differences, whose folds scatter more from cohort to cohort (`t_difference`, with a growth of
    2.3): the t interval covered gains of concordance and of three classes in 79 to 92 % of
    simulated cohorts (`benchmarks/gain.py`).

    Examples
    --------
    >>> round(resampled_test([0.02, 0.01, 0.03, 0.0, 0.02], 80, 20).p_value, 3)
    0.105
    """
    return _corrected(_finite(differences), n_train, n_test, growth=_GROWTH)


def _corrected(values: np.ndarray, n_train: float, n_test: float, *, growth: float) -> Difference:
    """Return mean, interval and p-value with the variance corrected for shared training rows."""
    k = values.size
    mean = float(values.mean())
    differ = int((np.abs(values) > ROUNDING).sum())
    spread = float(values.std(ddof=1)) if k > 1 else 0.0
    if differ < 2 or spread <= ROUNDING:
        reason = "one fold" if k == 1 else f"the scores differ in {differ} of {k} folds"
        if differ > 1:
            reason = "the difference is the same in every fold"
        return not_estimable(mean, reason)
    error = float(np.sqrt(1 / k + n_test / n_train)) * spread
    return t_difference(mean, error, k - 1, growth=growth)


def _finite(values: Any) -> np.ndarray:
    """Convert to a vector of finite numbers."""
    found = np.asarray(values, dtype=float)
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise ValueError(f"the scores of the folds must be finite numbers, got {found}")
    return found


def _same_length(labels: np.ndarray, values: np.ndarray) -> None:
    """Check that labels and predictions have the same length."""
    if len(labels) != len(values):
        raise ValueError(f"y has {len(labels)} labels but predictions have {len(values)} rows")


def _resamples(
    labels: np.ndarray, values: np.ndarray, stratify: bool, n_resamples: int, random_state: Any
) -> list[np.ndarray]:
    """Draw rows with replacement, within each class or among all."""
    from sklearn.utils import check_random_state

    _same_length(labels, values)
    rng = check_random_state(random_state)
    if not stratify:
        return list(rng.randint(len(labels), size=(n_resamples, len(labels))))
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(f"y must contain at least two classes, got {classes.tolist()}")
    members = [np.flatnonzero(labels == label) for label in classes]
    return [
        np.concatenate([rng.choice(rows, len(rows)) for rows in members])
        for _ in range(n_resamples)
    ]
