"""The R² of cross-validation with its interval, and paired differences of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from nonredundant.statistics.cross_validation import (
    StandardError,
    held_out_columns,
    independent_units,
    trained_difference,
    variance_over_units,
)
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
    truth = np.asarray(y, dtype=float)
    (values,), places = held_out_columns(len(truth), folds, predicted, what="predictions")
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
    truth = np.asarray(y, dtype=float)
    (first, second), places = held_out_columns(len(truth), folds, a, b, what="predictions")
    (left, of_left), (right, of_right) = (
        _influence(truth, values, places) for values in (first, second)
    )
    error = _standard_error(of_left - of_right, places, groups)
    return trained_difference(left - right, error)


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
    units = independent_units(len(influence), groups)[held]
    n = len(np.unique(units))
    if n < 3:
        nan = float("nan")
        return StandardError(nan, nan, nan, f"{n} independent cases are too few")
    variance, cases = variance_over_units(influence[held], units)
    return StandardError(float(np.sqrt(variance)), float(n - 1), cases)
