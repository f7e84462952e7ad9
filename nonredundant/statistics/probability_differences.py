"""Paired differences of Brier score, log-loss and net benefit of predicted probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.statistics.calibration import check_probabilities
from nonredundant.statistics.cross_validation import standard_error, trained_difference
from nonredundant.statistics.estimates import not_estimable, t_difference

#: Probabilities at which the net benefit is compared unless others are named.
THRESHOLDS = (0.1, 0.2, 0.3, 0.5)
#: Probabilities are clipped to this distance from 0 and 1, where the log-loss is infinite.
_EDGE = 1e-6


def probability_differences(
    y: Any,
    a: Any,
    b: Any,
    *,
    folds: Any = None,
    groups: Any = None,
    thresholds: Sequence[float] = THRESHOLDS,
) -> pd.DataFrame:
    """Compare two predictions of probabilities on the same cases, b minus a where less is better.

    All differences are positive where `a` is better: Brier score and log-loss of b minus those of
    a, and the net benefit of a minus that of b at each threshold.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels, 0 or 1.
    a, b : array-like of shape (n_samples,) or (n_samples, n_repeats)
        Predicted probabilities of the second class; NaN where a repeat has none.
    folds : int array-like of the same shape, optional
        The fold that held a sample out; -1 if none did. None: predictions of a test set by models
        that did not see it.
    groups : array-like of shape (n_samples,), optional
        Samples of one group (a patient, a hospital) are not independent; their contributions are
        summed.
    thresholds : sequence of float, default=(0.1, 0.2, 0.3, 0.5)
        Probabilities in (0, 1) above which a case would be treated.

    Returns
    -------
    DataFrame
        `measure, threshold, estimate, low, high, p_value, reason`, with 95 % t intervals.

    Raises
    ------
    ValueError
        If shapes differ, y is not 0 and 1, or a probability or threshold is out of range.

    Notes
    -----
    Each measure is a mean of one number per case. In cross-validation its standard error is
    that of these numbers, averaged over repeats, enlarged for the training of the models as in
    `cross_validated_auc_difference`.

    Examples
    --------
    >>> y = [0, 0, 0, 1, 1, 1]
    >>> found = probability_differences(
    ...     y, [0.1, 0.2, 0.3, 0.6, 0.8, 0.9], [0.5] * 6, thresholds=[0.4]
    ... )
    >>> found[["measure", "estimate"]].round(2)
           measure  estimate
    0  Brier score      0.19
    1     log-loss      0.44
    2  net benefit      0.33
    """
    positive, first, held = _checked(y, a, folds)
    _, second, _ = _checked(y, b, folds)
    at = np.atleast_1d(np.asarray(thresholds, dtype=float))
    if not ((at > 0) & (at < 1)).all():
        raise ValueError(f"thresholds must lie between 0 and 1, got {at.min()} to {at.max()}")
    measures = [("Brier score", np.nan), ("log-loss", np.nan)]
    measures += [("net benefit", threshold) for threshold in at]
    rows = []
    for measure, threshold in measures:
        better = _worth(positive, first, threshold, measure)
        gains = np.where(held, better - _worth(positive, second, threshold, measure), 0.0)
        # The mean over repeats of each sample; repeats only permute the same samples.
        gain = gains.sum(axis=1) / np.maximum(held.sum(axis=1), 1)
        rows.append((measure, threshold, *_tested(gain, positive, held, folds, groups)))
    columns = ["measure", "threshold", "estimate", "low", "high", "p_value", "reason"]
    return pd.DataFrame(rows, columns=columns)


def _checked(y: Any, p: Any, folds: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, probabilities with one column per repeat, and where there are any."""
    values = np.asarray(p, dtype=float)
    values = values[:, None] if values.ndim == 1 else values
    held = np.ones(values.shape, dtype=bool)
    if folds is not None:
        places = np.asarray(folds)
        held = (places[:, None] if places.ndim == 1 else places) >= 0
        if held.shape != values.shape:
            raise ValueError(f"probabilities have shape {values.shape}, folds {held.shape}")
    filled = np.where(held, values, 0.5)
    for column in filled.T:
        positive, _ = check_probabilities(y, column)
    return positive, filled, held


def _worth(positive: np.ndarray, p: np.ndarray, threshold: float, measure: str) -> np.ndarray:
    """Return what each case contributes to a measure, higher for better predictions."""
    truth = positive[:, None]
    if measure == "Brier score":
        return -np.square(p - truth)
    if measure == "log-loss":
        p = np.clip(p, _EDGE, 1 - _EDGE)
        return np.where(truth, np.log(p), np.log(1 - p))
    return (p >= threshold) * np.where(truth, 1.0, -threshold / (1 - threshold))


def _tested(
    gain: np.ndarray, positive: np.ndarray, held: np.ndarray, folds: Any, groups: Any
) -> tuple[float, float, float, float, str]:
    """Return mean, interval, p-value, and the reason where there is no interval."""
    rows = held.any(axis=1)
    mean = float(gain[rows].mean())
    influence = np.where(rows, gain - mean, 0.0) / rows.sum()
    places = np.where(held, 0, -1)
    spread = standard_error(influence, positive, places, groups)
    if folds is not None:
        found = trained_difference(mean, spread)
    elif spread.reason:
        found = not_estimable(mean, spread.reason)
    else:
        found = t_difference(mean, spread.error, spread.df)
    reason = "both say the same for every case" if found.reason and not mean else found.reason
    return found.estimate, found.low, found.high, found.p_value, reason
