"""Tests of whether features d say something of an outcome y beyond known features h."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from nonredundant.statistics.notebook import record_html
from nonredundant.statistics.outcome_residuals import (
    centred_outcome,
    class_residuals,
    martingale_residuals,
    out_of_fold_residuals,
)
from nonredundant.statistics.permutations import exchangeable, n_exchanges, permuted
from nonredundant.statistics.rows import aligned, to_matrix
from nonredundant.statistics.sensitivity import PENALTIES, leave_one_out_ridge
from nonredundant.statistics.similarity import similarity_test
from nonredundant.statistics.stacked_regression import stacked_predictions

__all__ = [
    "AddedInformation",
    "added_information",
    "added_information_of_residuals",
    "class_residuals",
    "double_residual",
    "martingale_residuals",
    "out_of_fold_residuals",
    "similarity_corrected",
]

#: Fewer distinct permutations cannot give p below 0.05.
_LEAST_PERMUTATIONS = 20
#: Fewer rows leave nothing to estimate after a mean per column.
_LEAST_ROWS = 10
#: The tests of `added_information`.
METHODS = ("permutation", "double-residual", "similarity")


@dataclass(frozen=True)
class AddedInformation:
    """The result of a test of added information.

    Attributes
    ----------
    statistic : float
        The test statistic; NaN if the test is not possible.
    null_mean, null_95 : float
        Mean and 95 % point of the statistic if d adds nothing.
    p_value : float
        One-sided p-value.
    method : {"permutation", "double-residual", "similarity"}
        The test.
    n_permutations : int
        Number of permutations; 0 if the test is not possible.
    n_samples : int
        Number of rows.
    reason : str
        Why the test is not possible; empty if it is.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant.statistics import added_information
    >>> rng = np.random.default_rng(0)
    >>> h, d = rng.normal(size=(80, 3)), rng.normal(size=(80, 2))
    >>> y = h[:, 0] + 2 * d[:, 0] + rng.logistic(size=80) > 0
    >>> found = added_information(h, d, y, random_state=0)
    >>> found.method, found.n_permutations, found.statistic > found.null_95
    ('permutation', 499, True)
    """

    statistic: float
    null_mean: float
    null_95: float
    p_value: float
    method: str
    n_permutations: int
    n_samples: int
    reason: str = ""

    def _repr_html_(self) -> str:
        """Return the fields for a notebook."""
        return record_html(asdict(self))


def added_information(
    h: Any,
    d: Any,
    y: Any,
    *,
    estimator: Any = None,
    cv: Any = 5,
    groups: Any = None,
    method: str = "permutation",
    n_permutations: int = 499,
    random_state: Any = None,
) -> AddedInformation:
    """Test whether d says something of the outcome beyond h.

    The outcome is predicted from h out of fold. What is left, the residuals, is predicted from d
    by ridge regression, leaving out one row at a time; the statistic is the largest standardised
    covariance of residuals and predictions over three penalties.

    Parameters
    ----------
    h : array-like of shape (n_samples, n_h)
        Known features.
    d : array-like of shape (n_samples, n_d)
        Features whose worth is in question, learned without the labels of these rows.
    y : array-like of shape (n_samples,)
        Two or more classes (several are tested one against the rest, all at once); times, as a
        structured array or data frame of events and times; or a continuous outcome, as
        `out_of_fold_residuals` tells them apart.
    estimator : estimator or None, default=None
        Predicts y from h: a classifier, a regressor, or a model of times whose `predict` is higher
        for earlier events. None: logistic regression, or ridge regression of numbers and of
        martingale residuals of times, on standardised features, with its L2 penalty chosen by
        cross-validation.
    cv : int or splitter, default=5
        The folds of the residuals.
    groups : array-like of shape (n_samples,), optional
        Rows of one group (a patient) stay on one side of each fold and are permuted as a whole.
    method : {"permutation", "double-residual", "similarity"}, default="permutation"
        "permutation": exact if d is independent of h, and too small a p-value if both y and d
        depend on h in a way that `estimator` does not follow. "double-residual": residuals and d
        are first predicted from h by ridge, kernel and forest models, and the permutation is of
        what these leave; approximate, and valid as far as these models follow h.
        "similarity": the covariance of d and residuals less the part that rows of similar h
        share, which holds also for functions of many columns that no model can learn.
    n_permutations : int, default=499
        Number of permutations.
    random_state : int, RandomState or None, default=None
        Seed of folds, permutations and splits.

    Returns
    -------
    AddedInformation
        Statistic, its null and the p-value.

    Raises
    ------
    ValueError
        If lengths or the labels of rows differ, values are missing or text, y has one class, or
        the method is unknown. Inputs that carry an index are aligned by it.

    Notes
    -----
    If d is independent of h, "y does not depend on d given h" implies that d is independent of
    (h, y) together. Permuting d against (h, y) then leaves the joint distribution as it is, so
    that the permutation test is exact whatever model explains y from h; a better model raises its
    power. Audit the independence first (`metrics.redundancy_report`). For the other methods
    see `double_residual` and `similarity_corrected`. No test is valid against every dependence of
    y and d on h (Shah & Peters 2020, doi 10.1214/19-AOS1857).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> h, d = rng.normal(size=(80, 3)), rng.normal(size=(80, 2))
    >>> y = h[:, 0] + 2 * d[:, 0] + rng.logistic(size=80) > 0
    >>> added_information(h, d, y, random_state=0).p_value
    0.002
    """
    from sklearn.utils import check_random_state

    inputs = aligned(h=h, d=d, y=y, groups=groups)
    known, new, groups = to_matrix(inputs["h"], "h"), to_matrix(inputs["d"], "d"), inputs["groups"]
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))}, got {method!r}")
    if method == "similarity":
        more: dict[str, Any] = {"groups": groups, "random_state": random_state}
        outcome = centred_outcome(inputs["y"])
        return similarity_corrected(outcome, known, new, n_permutations=n_permutations, **more)
    residuals = out_of_fold_residuals(
        known,
        inputs["y"],
        estimator=estimator,
        cv=cv,
        groups=groups,
        random_state=random_state,
    )
    more = {"groups": groups}
    more["random_state"] = check_random_state(random_state).randint(2**31 - 1)
    if method == "double-residual":
        return double_residual(residuals, known, new, n_permutations=n_permutations, **more)
    return added_information_of_residuals(residuals, new, n_permutations=n_permutations, **more)


def added_information_of_residuals(
    residuals: Any,
    d: Any,
    *,
    groups: Any = None,
    strata: Any = None,
    centres: Any = None,
    n_permutations: int = 499,
    random_state: Any = None,
) -> AddedInformation:
    """Test by permutation whether d predicts the residuals of an outcome.

    Parameters
    ----------
    residuals : array-like of shape (n_samples,) or (n_samples, n_columns)
        What out-of-fold predictions leave unexplained; several columns for several classes.
    d : array-like of shape (n_samples, n_d)
        Features.
    groups : array-like of shape (n_samples,), optional
        Rows of one group are permuted as a whole, with groups of the same size.
    strata : array-like of shape (n_samples,), optional
        Rows whose d can be compared, such as folds with a network each: prediction and
        permutation stay within a stratum.
    centres : array-like of shape (n_samples,), optional
        Rows are permuted within a centre, so that differences between centres, of the outcome and
        of d, are no effect; d can be compared across them.
    n_permutations : int, default=499
        Number of permutations.
    random_state : int, RandomState or None, default=None
        Seed of the permutations.

    Returns
    -------
    AddedInformation
        The result; p is (1 + number of permutations that are at least as large) / (1 + number of
        permutations).

    Raises
    ------
    ValueError
        If lengths differ or values are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> d = rng.normal(size=(60, 2))
    >>> added_information_of_residuals(d[:, 0] + rng.normal(size=60), d, random_state=0).p_value
    0.002
    """
    from sklearn.utils import check_random_state

    rows = aligned(residuals=residuals, d=d, groups=groups, strata=strata, centres=centres)
    left, new = to_matrix(rows["residuals"], "residuals"), to_matrix(rows["d"], "d")
    n = len(left)
    comparable, exchanged, blocks = _cells(n, rows["groups"], rows["strata"], rows["centres"])
    left = _centred(left, exchanged)
    rng = check_random_state(random_state)
    sets = exchangeable(blocks, exchanged)
    reason = _impossible(left, new, comparable, sets)
    if reason:
        return _not_possible("permutation", n, reason)
    orders = [np.arange(n), *(permuted(sets, n, rng) for _ in range(n_permutations))]
    values = _statistics(left, new, comparable, np.stack(orders, axis=1))
    null = values[1:]
    # Equal values up to rounding are ties, which count against the features.
    p = (1 + (null >= values[0] - 1e-9 * abs(values[0])).sum()) / (1 + n_permutations)
    return AddedInformation(
        float(values[0]),
        float(null.mean()),
        float(np.quantile(null, 0.95)),
        float(p),
        "permutation",
        n_permutations,
        n,
    )


def double_residual(
    residuals: Any,
    h: Any,
    d: Any,
    *,
    groups: Any = None,
    strata: Any = None,
    centres: Any = None,
    n_permutations: int = 499,
    random_state: Any = None,
) -> AddedInformation:
    """Test whether d predicts residuals beyond what models of h explain of both.

    Residuals and every latent are predicted from h out of fold by stacked ridge, kernel and forest
    models (`stacked_regression.stacked_predictions`); what is left of both enters the permutation
    test of `added_information_of_residuals`.

    Parameters
    ----------
    residuals : array-like of shape (n_samples,) or (n_samples, n_columns)
        What predictions from h leave unexplained of the outcome, or the outcome itself.
    h : array-like of shape (n_samples, n_h)
        All that is known. Gaps, NaN, have the score of the median.
    d : array-like of shape (n_samples, n_d)
        Features.
    groups : array-like of shape (n_samples,), optional
        Rows of one group are left out together and permuted as a whole.
    strata : array-like of shape (n_samples,), optional
        Rows whose d can be compared, such as folds with a network each: d is predicted from h
        within a stratum, and the permutation stays within it.
    centres : array-like of shape (n_samples,), optional
        Rows are permuted within a centre, so that differences between centres, of the outcome and
        of d, are no effect; d can be compared across them.
    n_permutations : int, default=499
        Number of permutations.
    random_state : int, RandomState or None, default=None
        Seed of the forest and of the permutations.

    Returns
    -------
    AddedInformation
        The result.

    Raises
    ------
    ValueError
        If lengths or the labels of rows differ, or values are text, infinite or, but for h,
        missing. Inputs that carry an index are aligned by it.

    Notes
    -----
    The test is approximate, and valid as far as the models follow the outcome or d as functions of
    h: the product of the two errors of prediction must be small beside the noise (Shah & Peters
    2020, doi 10.1214/19-AOS1857). What no such model of n rows can follow, such as the sign of a
    product of three features, looks like information of d; so does a curved function that
    determines d and a continuous outcome nearly whole, where there are a hundred rows.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> h = rng.normal(size=(100, 3))
    >>> shared = h[:, 0] ** 2 - 1
    >>> d = shared[:, None] + rng.normal(size=(100, 2))
    >>> y = rng.logistic(size=100) < shared
    >>> added_information_of_residuals(y - y.mean(), d, random_state=0).p_value < 0.05
    True
    >>> double_residual(y - y.mean(), h, d, random_state=0).p_value > 0.05
    True
    """
    from sklearn.utils import check_random_state

    rows = aligned(residuals=residuals, h=h, d=d, groups=groups, strata=strata, centres=centres)
    known = to_matrix(rows["h"], "h", gaps=True)
    left, new = to_matrix(rows["residuals"], "residuals"), to_matrix(rows["d"], "d")
    comparable, exchanged, blocks = _cells(
        len(left), rows["groups"], rows["strata"], rows["centres"]
    )
    reason = _impossible(left, new, comparable, exchangeable(blocks, exchanged))
    if reason:
        return _not_possible("double-residual", len(left), reason)
    rng = check_random_state(random_state)
    left, new = _residualised(known, left, new, blocks, comparable, rng)
    result = added_information_of_residuals(
        left,
        new,
        groups=rows["groups"],
        strata=rows["strata"],
        centres=rows["centres"],
        n_permutations=n_permutations,
        random_state=rng,
    )
    return replace(result, method="double-residual")


def similarity_corrected(
    outcome: Any,
    h: Any,
    d: Any,
    *,
    groups: Any = None,
    centres: Any = None,
    n_permutations: int = 499,
    random_state: Any = None,
) -> AddedInformation:
    """Test the covariance of d and an outcome less the part that rows of similar h share.

    What a linear and a Gaussian kernel of h explain of the covariance is estimated from pairs of
    different rows, and taken away where it is more than chance (`similarity.similarity_test`). No
    function has to be learned for it, so that the test also holds for sums of more columns than
    there are rows.

    Parameters
    ----------
    outcome : array-like of shape (n_samples,) or (n_samples, n_columns)
        The outcome as numbers, a column per class, as `outcome_residuals.centred_outcome` gives
        it. What predictions from h leave of it would hide what rows share.
    h : array-like of shape (n_samples, n_h)
        All that is known. Gaps, NaN, have the score of the median.
    d : array-like of shape (n_samples, n_d)
        Features, of one coordinate system for all rows.
    groups : array-like of shape (n_samples,), optional
        Rows of one group are permuted as a whole, and are not compared with each other.
    centres : array-like of shape (n_samples,), optional
        Rows are permuted within a centre.
    n_permutations : int, default=499
        Number of permutations.
    random_state : int, RandomState or None, default=None
        Seed of the permutations.

    Returns
    -------
    AddedInformation
        The result.

    Raises
    ------
    ValueError
        If lengths or the labels of rows differ, or values are text, infinite or, but for h,
        missing. Inputs that carry an index are aligned by it.

    Notes
    -----
    The test is approximate: a function of h is followed as far as the kernels are its prior.
    Functions that are rough in every direction, such as products of single columns among a hundred
    independent ones, look like information of d.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> h = rng.normal(size=(120, 100))
    >>> shared = h.sum(axis=1) / 10
    >>> d = shared[:, None] + rng.normal(size=(120, 2))
    >>> y = (rng.logistic(size=120) < 2 * shared).astype(float)
    >>> added_information_of_residuals(y - y.mean(), d, random_state=0).p_value < 0.05
    True
    >>> similarity_corrected(y, h, d, random_state=0).p_value > 0.05
    True
    """
    from sklearn.utils import check_random_state

    rows = aligned(outcome=outcome, h=h, d=d, groups=groups, centres=centres)
    known = to_matrix(rows["h"], "h", gaps=True)
    left, new = to_matrix(rows["outcome"], "outcome"), to_matrix(rows["d"], "d")
    n = len(left)
    comparable, exchanged, blocks = _cells(n, rows["groups"], None, rows["centres"])
    sets = exchangeable(blocks, exchanged)
    reason = _impossible(left, new, comparable, sets)
    if reason:
        return _not_possible("similarity", n, reason)
    rng = check_random_state(random_state)
    orders = [np.arange(n), *(permuted(sets, n, rng) for _ in range(n_permutations))]
    found = similarity_test(_centred(left, exchanged), known, new, blocks, np.stack(orders, axis=1))
    null = found.values[1:]
    return AddedInformation(
        float(found.values[0]),
        float(null.mean()),
        float(np.quantile(null, 0.95)),
        found.p_value,
        "similarity",
        n_permutations,
        n,
    )


def _residualised(
    known: np.ndarray,
    left: np.ndarray,
    new: np.ndarray,
    groups: np.ndarray,
    strata: np.ndarray,
    rng: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Subtract what models of h predict out of fold: of d per stratum, of the outcome at once."""
    if not strata.any():
        # One forest serves both.
        both = np.hstack([left, new])
        both = both - stacked_predictions(known, both, groups=groups, random_state=rng)
        return both[:, : left.shape[1]], both[:, left.shape[1] :]
    left = left - stacked_predictions(known, left, groups=groups, random_state=rng)
    rest = np.empty_like(new)
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        predicted = stacked_predictions(
            known[rows], new[rows], groups=groups[rows], random_state=rng
        )
        rest[rows] = new[rows] - predicted
    return left, rest


def _cells(
    n: int, groups: Any, strata: Any, centres: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return numbers of strata, of cells of stratum and centre, and of groups."""
    strata, centres = (
        np.zeros(n, dtype=int) if labels is None else np.unique(labels, return_inverse=True)[1]
        for labels in (strata, centres)
    )
    blocks = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    return strata, strata * (1 + centres.max(initial=0)) + centres, blocks


def _statistics(
    left: np.ndarray, new: np.ndarray, strata: np.ndarray, orders: np.ndarray
) -> np.ndarray:
    """Compute the statistic of each permutation, a column of `orders`."""
    products = [np.zeros(orders.shape) for _ in PENALTIES]
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        for i, operator in enumerate(leave_one_out_ridge(new[rows])):
            for column in left.T:
                shuffled = column[orders[rows]]
                products[i][rows] += shuffled * (operator @ shuffled)
    sums = [p.sum(axis=0) / np.sqrt(np.square(p).sum(axis=0) + 1e-300) for p in products]
    return np.max(sums, axis=0)


def _centred(values: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Subtract the mean of each stratum."""
    _, place = np.unique(strata, return_inverse=True)
    sums = np.stack([np.bincount(place, column) for column in values.T], axis=1)
    return values - (sums / np.bincount(place)[:, None])[place]


def _not_possible(method: str, n: int, reason: str) -> AddedInformation:
    """Return the result of a test that is not possible."""
    unknown = float("nan")
    return AddedInformation(unknown, unknown, unknown, unknown, method, 0, n, reason)


def _impossible(
    left: np.ndarray, new: np.ndarray, strata: np.ndarray, sets: list[np.ndarray]
) -> str:
    """Return the reason why the test is not possible; an empty text if it is."""
    n_smallest = int(np.unique(strata, return_counts=True)[1].min())
    if len(left) < _LEAST_ROWS or n_smallest < 3:
        return f"{len(left)} samples, {n_smallest} in the smallest stratum, are too few"
    if n_exchanges(sets) < _LEAST_PERMUTATIONS:
        return "too few groups of equal size can be exchanged"
    return _constant(left, new)


def _constant(left: np.ndarray, new: np.ndarray) -> str:
    """Return the reason why constant values allow no test."""
    if not (left.std(axis=0) > 1e-9).any():
        return "the outcome leaves no residuals"
    if not (new.std(axis=0) > 1e-12 * np.abs(new).max(axis=0, initial=1e-300)).any():
        return "the learned features are constant"
    return ""
