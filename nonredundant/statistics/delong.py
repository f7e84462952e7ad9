"""Area under the ROC curve (AUC): DeLong's interval and paired test."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata

from nonredundant.statistics.estimates import (
    LEVEL,
    ROUNDING,
    Difference,
    Estimate,
    check_scored,
    check_size,
    not_estimable,
    t_difference,
)

#: Scores that differ by less than this share of their range are equal.
_EQUAL = 1e-9
#: Fewer groups with cases of a class tell nothing of the variance between groups.
_LEAST_GROUPS = 3


# `sklearn.metrics.roc_auc_score` gives the same AUC, but not the placements for its variance.
def placements(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute AUCs and placement values from midranks.

    Sun & Xu 2014 (IEEE Signal Process. Lett. 21, 1389): the rank of a case among all cases minus
    its rank in its own class is the number of cases of the other class below it, which avoids a
    comparison of all pairs.

    Parameters
    ----------
    y : bool array of shape (n,)
        Which cases are positive.
    scores : array of shape (n_scores, n)
        Scores of the same cases, higher for positive ones.

    Returns
    -------
    aucs : array of shape (n_scores,)
        Area under each ROC curve.
    positive : array of shape (n_scores, n_positive)
        Share of the negatives ranked below each positive; ties count one half.
    negative : array of shape (n_scores, n_negative)
        Share of the positives ranked above each negative; ties count one half.
    """
    m, n = int(y.sum()), int((~y).sum())
    among_all = rankdata(scores, axis=1)
    positive = (among_all[:, y] - rankdata(scores[:, y], axis=1)) / n
    negative = 1 - (among_all[:, ~y] - rankdata(scores[:, ~y], axis=1)) / m
    return positive.mean(axis=1), positive, negative


def covariance(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Compute the covariance of the AUCs (DeLong, DeLong & Clarke-Pearson 1988, eq. 6).

    Parameters
    ----------
    positive, negative : array of shape (n_scores, n_positive), (n_scores, n_negative)
        Placement values from `placements`.

    Returns
    -------
    array of shape (n_scores, n_scores)
        Variances of the AUCs and covariances of each pair.
    """
    return np.atleast_2d(np.cov(positive)) / positive.shape[1] + (
        np.atleast_2d(np.cov(negative)) / negative.shape[1]
    )


def clustered_covariance(
    y: np.ndarray, groups: Any, positive: np.ndarray, negative: np.ndarray
) -> np.ndarray:
    """Compute the covariance of the AUCs where the cases of a group depend on each other.

    Obuchowski 1997 (Biometrics 53, 567): the placement values of a group are summed before they
    are squared, so that groups, not cases, are the independent units.

    Parameters
    ----------
    y : bool array of shape (n,)
        Which cases are positive.
    groups : array-like of shape (n,)
        Group of each case, such as its patient.
    positive, negative : array of shape (n_scores, n_positive), (n_scores, n_negative)
        Placement values from `placements`.

    Returns
    -------
    array of shape (n_scores, n_scores)
        Variances of the AUCs and covariances of each pair.

    Raises
    ------
    ValueError
        If y and groups differ in length.
    """
    found, place = np.unique(np.asarray(groups), return_inverse=True)
    if len(place) != len(y):
        raise ValueError(f"y has {len(y)} labels but groups has {len(place)}")
    influence = np.empty((len(positive), len(y)))
    auc = positive.mean(axis=1, keepdims=True)
    influence[:, y] = (positive - auc) / positive.shape[1]
    influence[:, ~y] = (negative - auc) / negative.shape[1]
    sums = np.array([np.bincount(place, row, minlength=len(found)) for row in influence])
    return sums @ sums.T * len(found) / max(len(found) - 1, 1)


def levels(scores: np.ndarray) -> np.ndarray:
    """Return the rank of each score among the distinct ones; rounding does not make a difference.

    Parameters
    ----------
    scores : array of shape (n,)
        Scores.

    Returns
    -------
    int array of shape (n,)
        The numbers, from 0.

    Examples
    --------
    >>> import numpy as np
    >>> levels(np.array([0.1 + 0.2, 0.3, 0.5])).tolist()
    [0, 0, 1]
    """
    order = np.argsort(scores, kind="stable")
    least = _EQUAL * max(float(np.ptp(scores)), float(np.abs(scores).max()) * 1e-3)
    level = np.empty(len(scores), dtype=int)
    level[order] = np.concatenate([[0], np.cumsum(np.diff(scores[order]) > least)])
    return level


def delong_interval(y: Any, score: Any, *, groups: Any = None) -> Estimate:
    """Compute an AUC with DeLong's 95 % interval on the logit scale.

    On the logit scale the interval stays within (0, 1) and keeps its coverage for an AUC near 1,
    where the untransformed one is too short (Pepe 2003, section 5.2). A score that separates the
    classes has an estimated variance of zero; the bound is then the AUC at which the probability
    of a sample without a misordered pair is 5 %, with the smaller class as sample size.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 1 or True for positive.
    score : array-like of shape (n,)
        Scores, higher for positive cases.
    groups : array-like of shape (n,), optional
        Group of each case, such as its patient: cases of a group may depend on each other. See
        `clustered_covariance`. The interval is then one of Student's t, with as many degrees of
        freedom as groups that hold the rarer class less one.

    Returns
    -------
    Estimate
        AUC, lower and upper bound; NaN with the reason if all scores are equal, up to rounding,
        or fewer than three groups hold a class.

    Raises
    ------
    ValueError
        If y has one class or a class has one case, lengths differ, or a score is not a number.

    Examples
    --------
    >>> auc, low, high, _ = delong_interval([0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6])
    >>> round(auc, 3), low < auc < high
    (0.889, True)
    """
    from scipy.special import expit, logit
    from scipy.stats import t

    positive, score = check_scored(y, score)
    check_size(positive)
    aucs, *parts = placements(positive, levels(score)[None])
    variance = _covariance(positive, groups, parts)
    auc, error = float(aucs[0]), float(np.sqrt(variance[0, 0]))
    rarer = _units(positive, groups)
    if groups is not None and rarer < _LEAST_GROUPS:
        return Estimate(auc, float("nan"), float("nan"), _few_groups(rarer))
    if auc in (0.0, 1.0):
        edge = float((1 - LEVEL) ** (1 / rarer))
        return Estimate(auc, edge, 1.0) if auc else Estimate(auc, 0.0, 1 - edge)
    if not error > ROUNDING:
        return Estimate(auc, float("nan"), float("nan"), "the score does not differ between cases")
    df = np.inf if groups is None else rarer - 1
    reach = t.ppf((1 + LEVEL) / 2, df) * error / (auc * (1 - auc))
    return Estimate(auc, float(expit(logit(auc) - reach)), float(expit(logit(auc) + reach)))


def delong_test(y: Any, a: Any, b: Any, *, groups: Any = None) -> Difference:
    """Test the difference of two AUCs on the same cases, AUC(a) − AUC(b).

    DeLong, DeLong & Clarke-Pearson 1988 (doi 10.2307/2531595), in the O(n log n) form of
    Sun & Xu 2014. The scores are taken as fixed: for scores of fitted models, the variation between
    training sets is not included.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 1 or True for positive.
    a, b : array-like of shape (n,)
        Two scores of each case, higher for positive ones.
    groups : array-like of shape (n,), optional
        As in `delong_interval`.

    Returns
    -------
    Difference
        Difference, 95 % interval and two-sided p-value; NaN with the reason if both scores
        order every pair equally, up to rounding, if the difference is the same for every case,
        or if fewer than three groups hold a class.

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
    positive, a, b = check_scored(y, a, b)
    check_size(positive)
    aucs, *parts = placements(positive, np.vstack([levels(a), levels(b)]))
    (aa, ab), (_, bb) = _covariance(positive, groups, parts)
    difference = float(aucs[0] - aucs[1])
    rarer = _units(positive, groups)
    if groups is not None and rarer < _LEAST_GROUPS:
        return not_estimable(difference, _few_groups(rarer))
    error = float(np.sqrt(max(aa + bb - 2 * ab, 0.0)))
    return t_difference(difference, error, np.inf if groups is None else rarer - 1)


def auc_covariance(y: Any, *scores: Any, groups: Any = None) -> np.ndarray:
    """Compute the covariance of the AUCs of scores of the same cases, which are taken as given.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 1 or True for positive; two of each class or more.
    *scores : array-like of shape (n,)
        Scores of each case.
    groups : array-like of shape (n,), optional
        Cases of one group are not independent.

    Returns
    -------
    array of shape (n_scores, n_scores)
        Variances and covariances.

    Examples
    --------
    >>> auc_covariance([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8]).round(4).tolist()
    [[0.125]]
    """
    positive, *checked = check_scored(y, *scores)
    check_size(positive)
    parts = placements(positive, np.vstack([levels(one) for one in checked]))[1:]
    return _covariance(positive, groups, list(parts))


def _covariance(y: np.ndarray, groups: Any, parts: list[np.ndarray]) -> np.ndarray:
    """Compute the covariance of the AUCs, of groups where there are some."""
    return covariance(*parts) if groups is None else clustered_covariance(y, groups, *parts)


def _units(y: np.ndarray, groups: Any) -> int:
    """Return the number of cases of the rarer class, or of groups that hold such cases."""
    units = np.arange(len(y)) if groups is None else np.asarray(groups)
    return min(len(np.unique(units[rows])) for rows in (y, ~y))


def _few_groups(n: int) -> str:
    """Return the reason why groups allow no error."""
    return f"one class lies in {n} group{'s' if n > 1 else ''}, too few for an error"
