"""Tests of whether features d say something of an outcome y beyond known features h."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nonredundant.statistics.permutations import exchangeable, n_exchanges, permuted
from nonredundant.statistics.survival import baseline_hazard, check_classes

#: Ridge penalties of the prediction of residuals from d, relative to the number of rows.
_PENALTIES = (0.03, 0.3, 3.0)
#: Fewer distinct permutations cannot give p below 0.05.
_LEAST_PERMUTATIONS = 20
#: Fewer rows leave nothing to estimate after a mean per column.
_LEAST_ROWS = 10
#: Random halves of the projected covariance measure, whose p-values are combined.
_N_SPLITS = 25


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
    method : {"permutation", "projected-covariance"}
        The test.
    n_permutations : int
        Number of permutations; 0 for the projected covariance measure.
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
        Two or more classes; several classes are tested one against the rest, all at once.
    estimator : classifier or None, default=None
        Predicts y from h; None: logistic regression on standardised features, with its L2
        penalty chosen by cross-validation.
    cv : int or splitter, default=5
        The folds of the residuals.
    groups : array-like of shape (n_samples,), optional
        Rows of one group (a patient) stay on one side of each fold and are permuted as a whole.
    method : {"permutation", "projected-covariance"}, default="permutation"
        "permutation": exact if d is independent of h. "projected-covariance": the projected
        covariance measure, which also holds if d depends on h, at less power.
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
        If lengths differ, values are missing, y has one class, or the method is unknown.

    Notes
    -----
    If d is independent of h, "y does not depend on d given h" implies that d is independent of
    (h, y) together. Permuting d against (h, y) then leaves the joint distribution as it is, so
    that the permutation test is exact whatever model explains y from h; a better model raises its
    power. Audit the independence first (`metrics.redundancy_report`). The projected covariance
    measure follows Lundborg et al. 2022 (arXiv 2211.02039), which builds on Shah & Peters 2020
    (doi 10.1214/19-AOS1857): half of the rows choose the direction of d, the other half tests its
    covariance with the residuals after h has been regressed out of both (out of d by ridge
    regression, so that it also holds where the estimator explains y from h, however d depends on
    h); p-values of several random halves are combined as twice their median (Meinshausen et al.
    2009, doi 10.1198/jasa.2009.tm08647).

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

    known, new = _matrix(h, "h"), _matrix(d, "d")
    residuals = out_of_fold_residuals(
        known, y, estimator=estimator, cv=cv, groups=groups, random_state=random_state
    )
    _same_length(len(residuals), h=len(known), d=len(new))
    seed = check_random_state(random_state).randint(2**31 - 1)
    if method == "projected-covariance":
        return projected_covariance(residuals, known, new, groups=groups, random_state=seed)
    if method != "permutation":
        raise ValueError(f"method must be 'permutation' or 'projected-covariance', got {method!r}")
    return added_information_of_residuals(
        residuals, new, groups=groups, n_permutations=n_permutations, random_state=seed
    )


def added_information_of_residuals(
    residuals: Any,
    d: Any,
    *,
    groups: Any = None,
    strata: Any = None,
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

    left, new = _matrix(residuals, "residuals"), _matrix(d, "d")
    n = len(left)
    own = np.zeros(n, dtype=int) if strata is None else np.asarray(strata)
    blocks = np.arange(n) if groups is None else np.asarray(groups)
    _same_length(n, d=len(new), strata=len(own), groups=len(blocks))
    left = _centred(left, own)
    rng = check_random_state(random_state)
    sets = exchangeable(blocks, own)
    reason = _impossible(left, new, own, sets)
    if reason:
        return _not_possible("permutation", n, reason)
    orders = [np.arange(n), *(permuted(sets, n, rng) for _ in range(n_permutations))]
    values = _statistics(left, new, own, np.stack(orders, axis=1))
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


def projected_covariance(
    residuals: Any, h: Any, d: Any, *, groups: Any = None, random_state: Any = None
) -> AddedInformation:
    """Test whether d predicts residuals beyond h, also where d depends linearly on h.

    Parameters
    ----------
    residuals : array-like of shape (n_samples,) or (n_samples, n_columns)
        What out-of-fold predictions from h leave unexplained of the outcome.
    h : array-like of shape (n_samples, n_h)
        Known features.
    d : array-like of shape (n_samples, n_d)
        Features.
    groups : array-like of shape (n_samples,), optional
        Rows of one group stay in one half, and their products are summed.
    random_state : int, RandomState or None, default=None
        Seed of the halves.

    Returns
    -------
    AddedInformation
        The median statistic over random halves, standard normal if d adds nothing, and twice the
        median of their p-values, which makes the test conservative.

    Raises
    ------
    ValueError
        If lengths differ or values are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> h = rng.normal(size=(200, 2))
    >>> d = h + rng.normal(size=(200, 2))
    >>> projected_covariance(rng.normal(size=200), h, d, random_state=0).p_value > 0.05
    True
    """
    from scipy.stats import norm
    from sklearn.utils import check_random_state

    left, known, new = _matrix(residuals, "residuals"), _matrix(h, "h"), _matrix(d, "d")
    n = len(left)
    blocks = np.arange(n) if groups is None else np.asarray(groups)
    _same_length(n, h=len(known), d=len(new), groups=len(blocks))
    left = left - left.mean(axis=0)
    labels, place = np.unique(blocks, return_inverse=True)
    reason = "" if len(labels) >= 2 * _LEAST_ROWS else f"{len(labels)} samples are too few"
    reason = reason or _constant(left, new)
    if reason:
        return _not_possible("projected-covariance", n, reason)
    rng = check_random_state(random_state)
    values = []
    for _ in range(_N_SPLITS):
        first = rng.permutation(len(labels)) < len(labels) // 2
        values.append(_half_statistic(left, known, new, first[place], place))
    z = float(np.median(values))
    p = float(min(1.0, 2 * np.median(norm.sf(values))))
    null_95 = float(norm.ppf(0.95))
    return AddedInformation(z, 0.0, null_95, p, "projected-covariance", 0, n)


def _half_statistic(
    left: np.ndarray, known: np.ndarray, new: np.ndarray, first: np.ndarray, place: np.ndarray
) -> float:
    """Choose the direction of d on one half and studentise its covariance on the other."""
    mean, spread = new[first].mean(axis=0), new[first].std(axis=0)
    x = (new - mean) / np.where(spread > 0, spread, 1.0)
    weights = np.linalg.solve(
        x[first].T @ x[first] + _PENALTIES[1] * first.sum() * np.eye(x.shape[1]),
        x[first].T @ left[first],
    )
    projected = _without(known[~first], (x @ weights)[~first])
    products = (projected * left[~first]).sum(axis=1)
    sums = np.bincount(place[~first], products)[np.unique(place[~first])]
    error = np.sqrt(np.square(sums - sums.mean()).sum())
    return float(sums.sum() / error) if error > 0 else 0.0


def _without(h: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return values minus their leave-one-out ridge predictions from h."""
    spread = h.std(axis=0)
    x = (h - h.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    centred = values - values.mean(axis=0)
    best, error = centred, np.square(centred).sum()
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    for penalty in len(x) * np.logspace(-2, 2, 9):
        hat = (u * (s**2 / (s**2 + penalty))) @ u.T + 1 / len(x)
        rest = (centred - hat @ centred) / (1 - np.diag(hat))[:, None]
        if np.square(rest).sum() < error:
            best, error = rest, np.square(rest).sum()
    return best


def out_of_fold_residuals(
    h: Any,
    y: Any,
    *,
    estimator: Any = None,
    cv: Any = 5,
    groups: Any = None,
    random_state: Any = None,
) -> np.ndarray:
    """Compute what predictions from h leave unexplained of classes, out of fold.

    Parameters
    ----------
    h : array-like of shape (n_samples, n_h)
        Known features.
    y : array-like of shape (n_samples,)
        Classes.
    estimator : classifier or None, default=None
        As in `added_information`; one with margins only is calibrated on them.
    cv : int or splitter, default=5
        The folds.
    groups : array-like of shape (n_samples,), optional
        Kept on one side of each fold.
    random_state : int, RandomState or None, default=None
        Seed of the folds.

    Returns
    -------
    array of shape (n_samples, 1) or (n_samples, n_classes)
        Label minus probability; a column per class for more than two.

    Raises
    ------
    ValueError
        If y has one class or is not made of classes.

    Examples
    --------
    >>> import numpy as np
    >>> h, y = np.arange(20.0)[:, None], np.repeat([0, 1], 10)
    >>> out_of_fold_residuals(h, y, random_state=0).shape
    (20, 1)
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
    from sklearn.utils.multiclass import check_classification_targets

    check_classes(y, "give the residuals of a model of the times to added_information_of_residuals")
    labels = np.asarray(y)
    check_classification_targets(labels)
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y contains only the class {classes[0]!r}; two or more are needed")
    if estimator is None:
        estimator = _ridge_logistic()
    if np.ndim(cv) == 0 and not hasattr(cv, "split"):
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        cv = kind(int(cv), shuffle=True, random_state=_fixed(random_state))
    method = "predict_proba" if hasattr(estimator, "predict_proba") else "decision_function"
    response = cross_val_predict(estimator, h, codes, cv=cv, groups=groups, method=method)
    return class_residuals(codes, response)


def _ridge_logistic() -> Any:
    """Make the default classifier of the residuals."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    one = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky"))
    grid = {"logisticregression__C": np.logspace(-4, 0, 5)}
    return GridSearchCV(one, grid, scoring="neg_log_loss", cv=5)


def class_residuals(y: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Subtract probabilities from class labels.

    Parameters
    ----------
    y : int array of shape (n_samples,)
        Positions of the classes.
    response : array of shape (n_samples,) or (n_samples, n_columns)
        Probabilities of the classes, or of the second class; or margins, which a logistic
        regression (two classes) or the softmax converts to probabilities.

    Returns
    -------
    array of shape (n_samples, 1) or (n_samples, n_classes)
        Residuals; one column for two classes.

    Examples
    --------
    >>> import numpy as np
    >>> class_residuals(np.array([0, 1]), np.array([[0.75, 0.25], [0.5, 0.5]])).ravel().tolist()
    [-0.25, 0.5]
    """
    values = response[:, None] if response.ndim == 1 else response
    if y.max() < 2:
        score = values[:, -1]
        if score.min() < 0 or score.max() > 1:
            score = _probability(y, score)
        return (y - score)[:, None]
    if not np.allclose(values.sum(axis=1), 1):
        values = np.exp(values - values.max(axis=1, keepdims=True))
        values = values / values.sum(axis=1, keepdims=True)
    return np.eye(values.shape[1])[y] - values


def martingale_residuals(event: np.ndarray, time: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """Subtract expected from observed events, given a risk score.

    The score enters a Cox model of one covariate, whose slope makes it a log hazard ratio.

    Parameters
    ----------
    event : bool array of shape (n,)
        True if the event was observed.
    time : array of shape (n,)
        Times to the event or to censoring.
    risk : array of shape (n,)
        Higher for earlier events, on any scale.

    Returns
    -------
    array of shape (n,)
        The residuals (Therneau, Grambsch & Fleming 1990, doi 10.1093/biomet/77.1.147).

    Examples
    --------
    >>> import numpy as np
    >>> event, time = np.array([True, False, True]), np.array([1.0, 2.0, 3.0])
    >>> martingale_residuals(event, time, np.zeros(3)).round(3).tolist()
    [0.667, -0.333, -0.333]
    """
    from scipy.optimize import minimize_scalar

    spread = risk.std()
    scaled = (risk - risk.mean()) / spread if spread > 0 else np.zeros(len(risk))
    order = np.argsort(-time, kind="stable")

    def negative_log_likelihood(slope: float) -> float:
        """Breslow's partial likelihood."""
        eta = slope * scaled[order]
        at_risk = np.logaddexp.accumulate(eta)
        # Patients with equal times are at risk together.
        last = np.searchsorted(-time[order], -time[order], side="right") - 1
        return float((at_risk[last] - eta)[event[order]].sum())

    slope = minimize_scalar(negative_log_likelihood, bounds=(0.0, 5.0), method="bounded").x
    log_hazard = slope * scaled if spread > 0 else scaled
    times, cumulative = baseline_hazard(event, time, log_hazard)
    return event - cumulative[np.searchsorted(times, time)] * np.exp(log_hazard)


def _statistics(
    left: np.ndarray, new: np.ndarray, strata: np.ndarray, orders: np.ndarray
) -> np.ndarray:
    """Compute the statistic of each permutation, a column of `orders`."""
    products = [np.zeros(orders.shape) for _ in _PENALTIES]
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        for i, operator in enumerate(_leave_one_out(new[rows])):
            for column in left.T:
                shuffled = column[orders[rows]]
                products[i][rows] += shuffled * (operator @ shuffled)
    sums = [p.sum(axis=0) / np.sqrt(np.square(p).sum(axis=0) + 1e-300) for p in products]
    return np.max(sums, axis=0)


def _leave_one_out(x: np.ndarray) -> list[np.ndarray]:
    """Return the matrices that map outcomes to leave-one-out ridge predictions, per penalty."""
    n, spread = len(x), x.std(axis=0)
    varies = spread > 1e-12 * np.abs(x).max(axis=0, initial=0)
    x = (x - x.mean(axis=0))[:, varies] / spread[varies]
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    operators = []
    for penalty in _PENALTIES:
        hat = (u * (s**2 / (s**2 + penalty * n))) @ u.T + 1 / n
        diagonal = np.diag(hat).copy()
        operators.append((hat - np.diag(diagonal)) / (1 - diagonal)[:, None])
    return operators


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


def _probability(y: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Map margins to probabilities by a logistic regression on them."""
    from sklearn.linear_model import LogisticRegression

    spread = margin.std()
    if not spread > 0:
        return np.full(len(y), y.mean())
    x = ((margin - margin.mean()) / spread)[:, None]
    return LogisticRegression(C=1.0).fit(x, y).predict_proba(x)[:, 1]


def _matrix(values: Any, name: str) -> np.ndarray:
    """Convert to a finite matrix; a vector becomes one column."""
    matrix = np.asarray(values, dtype=float)
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    if matrix.ndim != 2:
        raise ValueError(f"{name} must have one row per sample, got shape {matrix.shape}")
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{name} has missing or infinite values in {len(bad)} of {len(matrix)} rows, the first "
            f"in row {bad[0]}: impute them or leave these rows out"
        )
    return matrix


def _same_length(n: int, **lengths: int) -> None:
    """Raise a ValueError if a length differs from the number of rows."""
    for name, length in lengths.items():
        if length != n:
            raise ValueError(f"there are {n} outcomes but {name} has {length} rows")


def _fixed(random_state: Any) -> int:
    """Return a seed, so that folds are the same for every feature set."""
    from sklearn.utils import check_random_state

    return int(check_random_state(random_state).randint(2**31 - 1))
