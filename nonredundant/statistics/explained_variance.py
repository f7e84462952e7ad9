"""The R² of cross-validation with its interval, and paired differences of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from nonredundant.statistics.cross_validation import StandardError, trained_difference
from nonredundant.statistics.estimates import Difference, Estimate


def cross_validated_r2(y: Any, predicted: Any, folds: Any, *, groups: Any = None) -> Estimate:
    """Estimate the cross-validated R² with its 95 % interval.

    The estimand is the mean over folds of the R² of models of this size and kind on new cases of
    the same population.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        The true numbers.
    predicted : array-like of shape (n_samples,) or (n_samples, n_repeats)
        Out-of-fold predictions.
    folds : int array-like of the shape of `predicted`
        The fold that held a sample out; -1 if none did.
    groups : array-like of shape (n_samples,), optional
        Samples of one group are not independent; their influences are summed.

    Returns
    -------
    Estimate
        Estimate and interval, with the reason if there is no interval.

    Raises
    ------
    ValueError
        If shapes differ or a held-out prediction is not finite.

    See Also
    --------
    cross_validated_r2_difference : The error of models that were trained on parts of the cohort.

    Examples
    --------
    >>> import numpy as np
    >>> y, folds = np.arange(20.0), np.arange(20) % 2
    >>> found = cross_validated_r2(y, y + np.tile([1, -2, 1, 1], 5), folds)
    >>> 0.85 < found.low < found.estimate < found.high <= 1
    True
    """
    truth, (values,), places = _check(y, folds, predicted)
    r2, influence = _influence(truth, values, places)
    found = trained_difference(r2, _standard_error(influence, places, groups))
    # A t interval is unbounded; an R² is not.
    return Estimate(r2, found.low, float(np.minimum(found.high, 1.0)), found.reason)


def cross_validated_r2_difference(
    y: Any, a: Any, b: Any, folds: Any, *, groups: Any = None
) -> Difference:
    """Test the difference of two cross-validated R² on the same folds, R²(a) − R²(b).

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        The true numbers.
    a, b : array-like of shape (n_samples,) or (n_samples, n_repeats)
        Out-of-fold predictions of two models.
    folds : int array-like of the same shape
        The fold that held a sample out; -1 if none did.
    groups : array-like of shape (n_samples,), optional
        As in `cross_validated_r2`.

    Returns
    -------
    Difference
        Difference, interval and two-sided p-value. Where the two predict alike, interval and
        p-value are NaN and `reason` says so.

    Raises
    ------
    ValueError
        As `cross_validated_r2`.

    Notes
    -----
    The influence of a case is the difference of its two squared errors, over the sum of squares of
    its fold, less what that fold's difference leads one to expect of it; its standard error takes
    the fitted models as given. What training adds is that of `trained_difference`
    (`benchmarks/explained_variance.py`).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y, folds = rng.normal(size=60), np.arange(60) % 5
    >>> found = cross_validated_r2_difference(y, 0.8 * y, 0 * y, folds)
    >>> found.estimate > 0.9 and found.p_value < 0.001
    True
    """
    truth, (first, second), places = _check(y, folds, a, b)
    (left, of_left), (right, of_right) = (
        _influence(truth, values, places) for values in (first, second)
    )
    error = _standard_error(of_left - of_right, places, groups)
    return trained_difference(left - right, error)


def _check(y: Any, folds: Any, *predicted: Any) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Return numbers, predictions with one column per repeat, and their folds."""
    truth, places = np.asarray(y, dtype=float), np.asarray(folds)
    places = places[:, None] if places.ndim == 1 else places
    parts = []
    for one in predicted:
        values = np.asarray(one, dtype=float)
        values = values[:, None] if values.ndim == 1 else values
        if values.shape != places.shape or len(values) != len(truth):
            raise ValueError(
                f"y has {len(truth)} numbers, predictions shape {values.shape}, folds "
                f"{places.shape}"
            )
        n_bad = int((~np.isfinite(values[places >= 0])).sum())
        if n_bad:
            raise ValueError(f"{n_bad} held-out predictions are not finite numbers")
        parts.append(values)
    return truth, parts, places


def _influence(y: np.ndarray, predicted: np.ndarray, folds: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean R² over folds and the influence of each sample on it."""
    scores = []
    influence = np.zeros(len(y))
    for column in range(folds.shape[1]):
        for fold in np.setdiff1d(folds[:, column], -1):
            rows = np.flatnonzero(folds[:, column] == fold)
            spread = np.square(y[rows] - y[rows].mean())
            if not spread.sum() > 0:
                continue
            errors = np.square(y[rows] - predicted[rows, column])
            lost = errors.sum() / spread.sum()
            scores.append(1 - lost)
            influence[rows] += (lost * spread - errors) / spread.sum()
    return float(np.mean(scores)), influence / len(scores)


def _standard_error(influence: np.ndarray, folds: np.ndarray, groups: Any) -> StandardError:
    """Return the standard error of an estimate from the influence of each sample on it."""
    held = (folds >= 0).any(axis=1)
    units = (
        np.arange(len(influence)) if groups is None else np.unique(groups, return_inverse=True)[1]
    )
    sums = np.bincount(units[held], influence[held])[np.unique(units[held])]
    n = len(sums)
    if n < 3:
        nan = float("nan")
        return StandardError(nan, nan, nan, f"{n} independent cases are too few")
    variance = np.square(sums - sums.mean()).sum() * n / (n - 1)
    single = np.square(influence[held]).sum()
    cases = np.clip(held.sum() * single / variance, n, held.sum()) if variance > 0 else n
    return StandardError(float(np.sqrt(variance)), float(n - 1), float(cases))
