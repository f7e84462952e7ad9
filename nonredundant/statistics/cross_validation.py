"""The AUC of cross-validation with its interval, and paired differences of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nonredundant.statistics.delong import levels, placements
from nonredundant.statistics.estimates import (
    LEVEL,
    ROUNDING,
    Difference,
    Estimate,
    check_labels,
    not_estimable,
    t_difference,
)

#: Variance of a cross-validated AUC over new cohorts, relative to that of its influence curve,
#: which takes the fitted models as given: a constant, and a part that falls with the number of
#: independent cases. Fitted by simulation at 50, 150 and 500 cases; see `benchmarks/gain.py`.
_TRAINING_SHARE, _TRAINING_CASES = 1.2, 60.0
#: The same of a difference of two models, at no difference; and at a large one, where the fits of
#: the better model scatter more. Fitted at 60, 120 and 400 cases and AUC gains of 0 to 0.16.
_DIFFERENCE_CASES, _LARGE_DIFFERENCE = 45.0, 3.0


class StandardError(NamedTuple):
    """The standard error of a mean over held-out cases, for models taken as given.

    Attributes
    ----------
    error, df : float
        Standard error and its degrees of freedom; NaN if there is none.
    cases : float
        Number of independent cases in classes of equal size that tell as much.
    reason : str
        Why there is none; empty if there is one.
    """

    error: float
    df: float
    cases: float
    reason: str = ""


def cross_validated_auc(y: Any, scores: Any, folds: Any, *, groups: Any = None) -> Estimate:
    """Estimate the cross-validated AUC with its 95 % interval.

    The estimand is the mean over folds of the AUC of models of this size and kind on new cases of
    the same population. Scores are compared within folds alone, because models of different folds
    have different scales.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels, 0 or 1.
    scores : array-like of shape (n_samples,) or (n_samples, n_repeats)
        Out-of-fold scores, higher for label 1.
    folds : int array-like of the shape of `scores`
        The fold that held a sample out; -1 if none did.
    groups : array-like of shape (n_samples,), optional
        Samples of one group (a patient, a hospital) are not independent; their influences are
        summed (Obuchowski 1997, doi 10.2307/2533958).

    Returns
    -------
    Estimate
        Estimate and interval, with the reason if there is no interval.

    Raises
    ------
    ValueError
        If shapes differ, y is not 0 and 1, or a held-out score is not finite.

    Notes
    -----
    The standard error is that of the influence curve (LeDell, Petersen & van der Laan 2015, doi
    10.1214/15-EJS1035), averaged over the repeats of each sample, because repeats only permute
    the same samples. It takes the fitted models as given, and its intervals covered the mean AUC
    over new cohorts in 83, 90 and 93 % of simulated cohorts of 50, 150 and 500; the variance is
    therefore multiplied by 1.2 + 60 / n, fitted to that simulation. Its classes were of equal size;
    of other cohorts n is 4 p (1 - p) times the number of samples, with p the share of a class, and
    of groups that number is divided by the design effect. The interval is a t interval
    on the logit scale, with as many degrees of freedom as independent units of the rarer class
    less one.

    Examples
    --------
    >>> y, folds = [0, 0, 1, 1, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1]
    >>> found = cross_validated_auc(y, [0.1, 0.5, 0.4, 0.9, 0.2, 0.3, 0.8, 0.6], folds)
    >>> round(found.estimate, 3)
    0.875
    """
    labels, parts, places = _check(y, folds, scores)
    auc, influence = _influence(labels, parts[0], places, groups)
    error, df, cases, reason = standard_error(influence, labels, places, groups)
    error *= float(np.sqrt(_TRAINING_SHARE + _TRAINING_CASES / cases))
    if not reason and not ROUNDING < auc < 1 - ROUNDING:
        reason = "every pair of held-out cases is ordered alike"
    if not reason and not error > ROUNDING:
        reason = "the score does not differ between held-out cases"
    if reason:
        return Estimate(auc, float("nan"), float("nan"), reason)
    from scipy.special import expit, logit
    from scipy.stats import t

    reach = float(t.ppf((1 + LEVEL) / 2, df)) * error / (auc * (1 - auc))
    low, high = expit(logit(auc) - reach), expit(logit(auc) + reach)
    return Estimate(auc, float(low), float(high))


def cross_validated_auc_difference(
    y: Any, a: Any, b: Any, folds: Any, *, groups: Any = None
) -> Difference:
    """Test the difference of two cross-validated AUCs on the same folds, AUC(a) − AUC(b).

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels, 0 or 1.
    a, b : array-like of shape (n_samples,) or (n_samples, n_repeats)
        Out-of-fold scores of two models.
    folds : int array-like of the same shape
        The fold that held a sample out; -1 if none did.
    groups : array-like of shape (n_samples,), optional
        As in `cross_validated_auc`.

    Returns
    -------
    Difference
        Difference, interval and two-sided p-value; see `trained_difference` for the error of
        models that were trained on parts of the cohort. Where the two order all held-out cases
        alike, or differ for all of them by the same amount, interval and p-value are NaN and
        `reason` says so.

    Raises
    ------
    ValueError
        As `cross_validated_auc`.

    Examples
    --------
    >>> y, folds = [0, 0, 1, 1, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1]
    >>> score = [0.1, 0.5, 0.4, 0.9, 0.2, 0.3, 0.8, 0.6]
    >>> cross_validated_auc_difference(y, score, score, folds).reason
    'both order all cases alike'
    """
    labels, parts, places = _check(y, folds, a, b)
    (first, left), (second, right) = (_influence(labels, part, places, groups) for part in parts)
    return trained_difference(first - second, standard_error(left - right, labels, places, groups))


def trained_difference(difference: float, found: StandardError) -> Difference:
    """Test a difference of two models that were trained on parts of the same cohort.

    The scatter of the training adds to the error, and the more so the larger the difference is.
    The interval therefore holds the differences that a test would not reject, each with the
    error that it would have.

    Parameters
    ----------
    difference : float
        The difference.
    found : StandardError
        Its error for fitted models taken as given.

    Returns
    -------
    Difference
        Interval and two-sided p-value; NaN with the reason if there is no error. The interval
        excludes 0 where p is below 0.05.

    Notes
    -----
    The variance over new cohorts is 1.2 + 45 / n times that of given models where there is no
    difference, and rises to 3 times where it is many standard errors (`t_difference`): fitted to
    simulations (`benchmarks/gain.py`), in which an interval with the error of no difference
    covered gains in 81 to 92 % of cohorts.

    Examples
    --------
    >>> found = trained_difference(0.1, StandardError(0.03, 59.0, 120.0))
    >>> f"{found.low:.2f} to {found.high:.2f}, p = {found.p_value:.3f}"
    '0.02 to 0.20, p = 0.010'
    """
    if found.reason:
        return not_estimable(difference, found.reason)
    none = _TRAINING_SHARE + _DIFFERENCE_CASES / found.cases
    growth = max(1.0, _LARGE_DIFFERENCE / none)
    error = found.error * float(np.sqrt(none))
    return t_difference(difference, error, found.df, growth=growth)


def _check(y: Any, folds: Any, *scores: Any) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Return labels as booleans, scores with one column per repeat, and their usable folds."""
    labels = check_labels(y)
    parts, places = held_out_columns(len(labels), folds, *scores)
    return labels, parts, _informative(labels, places)


def held_out_columns(
    n: int, folds: Any, *given: Any, what: str = "scores"
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return out-of-fold values and their folds with one column per repeat.

    Parameters
    ----------
    n : int
        Number of samples.
    folds : int array-like of shape (n,) or (n, n_repeats)
        The fold that held a sample out; -1 if none did.
    *given : array-like of the same shape
        Out-of-fold values.
    what : str, default="scores"
        What they are, for messages.

    Returns
    -------
    values : list of array of shape (n, n_repeats)
        The values.
    places : int array of shape (n, n_repeats)
        The folds.

    Raises
    ------
    ValueError
        If shapes differ or a held-out value is not finite.
    """
    places = np.asarray(folds)
    places = places[:, None] if places.ndim == 1 else places
    parts = []
    for one in given:
        values = np.asarray(one, dtype=float)
        values = values[:, None] if values.ndim == 1 else values
        if values.shape != places.shape or len(values) != n:
            raise ValueError(
                f"y has {n} samples, {what} shape {values.shape}, folds {places.shape}"
            )
        n_bad = int((~np.isfinite(values[places >= 0])).sum())
        if n_bad:
            raise ValueError(f"{n_bad} held-out {what} are not finite numbers")
        parts.append(values)
    return parts, places


def _informative(y: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return the folds without those that hold out one class, which have no AUC."""
    kept = np.full_like(folds, -1)
    for column in range(folds.shape[1]):
        both = np.intersect1d(folds[y, column], folds[~y, column])
        rows = np.isin(folds[:, column], both)
        kept[rows, column] = folds[rows, column]
    if (kept < 0).all():
        raise ValueError("no fold holds out both classes: use fewer or stratified folds")
    return kept


def _influence(
    y: np.ndarray, scores: np.ndarray, folds: np.ndarray, groups: Any
) -> tuple[float, np.ndarray]:
    """Return the mean AUC over folds and the influence of each sample on it.

    The influence of a positive is its share of negatives with a lower score, less the AUC of its
    fold, over the number of positives; those of the negatives likewise. They sum to zero in each
    fold, and so would those of a group that is a fold of its own. Of groups, the difference of
    the fold's AUC to the mean is therefore added, in equal parts to both classes.
    """
    parts = []
    for column in range(folds.shape[1]):
        for fold in np.setdiff1d(folds[:, column], -1):
            rows = np.flatnonzero(folds[:, column] == fold)
            found, below, above = placements(y[rows], levels(scores[rows, column])[None])
            parts.append((rows[y[rows]], rows[~y[rows]], float(found[0]), below[0], above[0]))
    mean = float(np.mean([auc for _, _, auc, _, _ in parts]))
    influence = np.zeros(len(y))
    for positive, negative, auc, below, above in parts:
        own = 0.0 if groups is None else (auc - mean) / 2
        influence[positive] += (below - auc + own) / len(positive)
        influence[negative] += (above - auc + own) / len(negative)
    return mean, influence / len(parts)


def standard_error(
    influence: np.ndarray, y: np.ndarray, folds: np.ndarray, groups: Any
) -> StandardError:
    """Return the standard error of an estimate from the influence of each sample on it.

    Parameters
    ----------
    influence : array of shape (n_samples,)
        Influence of each sample on the estimate.
    y : bool array of shape (n_samples,)
        Labels.
    folds : int array of shape (n_samples, n_repeats)
        The fold that held a sample out; -1 if none did.
    groups : array-like of shape (n_samples,) or None
        Samples that are not independent.

    Returns
    -------
    StandardError
        The error for models taken as given, or the reason if there is none.
    """
    held = (folds >= 0).any(axis=1)
    units = independent_units(len(y), groups)
    rarer = min(len(np.unique(units[held & (y == k)])) for k in (True, False))
    if rarer < 3:
        nan = float("nan")
        return StandardError(nan, nan, nan, f"{rarer} independent cases of one class are too few")
    variance, cases = variance_over_units(influence[held], units[held])
    # The number of cases in classes of equal size that tell as much.
    share = y[held].mean()
    cases *= 4 * share * (1 - share)
    # The classes are sampled apart, so that each loses a degree of freedom.
    error = float(np.sqrt(variance * rarer / (rarer - 1)))
    return StandardError(error, float(rarer - 1), float(cases))


def independent_units(n: int, groups: Any) -> np.ndarray:
    """Return the number of the independent unit of each of n samples: itself, or its group.

    Raises
    ------
    ValueError
        If there are not as many groups as samples.
    """
    units = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    if len(units) != n:
        raise ValueError(f"there are {n} samples but groups has {len(units)}")
    return units


def variance_over_units(influence: np.ndarray, units: np.ndarray) -> tuple[float, float]:
    """Return the variance of an estimate over independent units, and the cases that they amount to.

    Fitted models depend on the number of cases; those of a group count for fewer where groups
    scatter more than as many independent cases would (the design effect).

    Parameters
    ----------
    influence : array of shape (n_held,)
        Influence of each sample that was held out.
    units : int array of shape (n_held,)
        Its unit; there are two or more.

    Returns
    -------
    variance, cases : float
        The variance, and the number of independent cases.
    """
    sums = np.bincount(units, influence)[np.unique(units)]
    n = len(sums)
    variance = float(np.square(sums - sums.mean()).sum() * n / (n - 1))
    single = np.square(influence).sum()
    held = len(influence)
    return variance, float(np.clip(held * single / variance, n, held) if variance > 0 else n)
