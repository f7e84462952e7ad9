"""What predictions from known features leave unexplained of classes, times or numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant.statistics.rows import aligned
from nonredundant.statistics.survival import baseline_hazard, check_survival, null_residuals

#: Numbers with more distinct values than this are continuous even if all are whole.
MOST_CLASSES = 20
_TIMES = [("event", bool), ("time", float)]


def out_of_fold_residuals(
    h: Any,
    y: Any,
    *,
    estimator: Any = None,
    cv: Any = 5,
    groups: Any = None,
    random_state: Any = None,
    continuous: bool | None = None,
) -> np.ndarray:
    """Compute what predictions from h leave unexplained of an outcome, out of fold.

    Parameters
    ----------
    h : array-like of shape (n_samples, n_h)
        Known features.
    y : array-like of shape (n_samples,)
        Classes; times, as a structured array or data frame of events and times; or a continuous
        outcome, see `continuous`.
    estimator : estimator or None, default=None
        Predicts y from h: a classifier (one with margins only is calibrated on them), a regressor,
        or a model of times whose `predict` is higher for earlier events. None: logistic
        regression, or ridge regression of numbers and of martingale residuals of times, on
        standardised features, with the penalty chosen by cross-validation.
    cv : int or splitter, default=5
        The folds.
    groups : array-like of shape (n_samples,), optional
        Kept on one side of each fold.
    random_state : int, RandomState or None, default=None
        Seed of the folds.
    continuous : bool or None, default=None
        Whether y contains numbers, not classes. None: if there are numbers with fractions, or more
        than 20 distinct ones.

    Returns
    -------
    array of shape (n_samples, 1) or (n_samples, n_classes)
        Label minus probability, a column per class for more than two; number minus prediction; or
        martingale residuals. Rows are in the order of h, if it has an index.

    Raises
    ------
    ValueError
        If y has one value, or a missing one, or an index of other labels than h.

    Examples
    --------
    >>> import numpy as np
    >>> h, y = np.arange(20.0)[:, None], np.repeat([0, 1], 10)
    >>> out_of_fold_residuals(h, y, random_state=0).shape
    (20, 1)
    >>> y = 2 * h[:, 0] + np.tile([-0.5, 0.5], 10)
    >>> bool(np.abs(out_of_fold_residuals(h, y, random_state=0)).max() < 1)
    True
    """
    inputs = aligned(h=h, y=y, groups=groups)
    h, y, groups = inputs["h"], inputs["y"], inputs["groups"]
    groups = None if groups is None else np.asarray(groups)
    if _is_times(y):
        event, time = check_survival(y, len(h))
        known = np.array(list(zip(event, time, strict=True)), dtype=_TIMES)
        if estimator is None:
            estimator, known = _ridge(), null_residuals(event, time)
        elif isinstance(y, np.ndarray):
            known = y
        splits = _splits(h, None, cv, groups, random_state)
        risk = _out_of_fold(estimator, h, known, splits, "predict")
        return martingale_residuals(event, time, risk)[:, None]
    labels = _labels(y)
    if _is_continuous(labels) if continuous is None else continuous:
        values = labels.astype(float)
        splits = _splits(h, None, cv, groups, random_state)
        estimator = _ridge() if estimator is None else estimator
        predicted = _out_of_fold(estimator, h, values, splits, "predict")
        return (values - predicted)[:, None]
    codes = np.unique(labels, return_inverse=True)[1]
    estimator = _ridge_logistic() if estimator is None else estimator
    splits = _splits(h, codes, cv, groups, random_state)
    method = "predict_proba" if hasattr(estimator, "predict_proba") else "decision_function"
    return class_residuals(codes, _out_of_fold(estimator, h, codes, splits, method))


def centred_outcome(y: Any, *, continuous: bool | None = None) -> np.ndarray:
    """Return an outcome as what a prediction without any feature leaves unexplained of it.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        As for `out_of_fold_residuals`.
    continuous : bool or None, default=None
        As for `out_of_fold_residuals`.

    Returns
    -------
    array of shape (n_samples, 1) or (n_samples, n_classes)
        Label minus share of the class, a column per class for more than two; number minus mean; or
        martingale residuals.

    Raises
    ------
    ValueError
        If y has one value, or a missing one.

    Examples
    --------
    >>> centred_outcome(["a", "b", "b", "a"]).ravel().tolist()
    [-0.5, 0.5, 0.5, -0.5]
    """
    if _is_times(y):
        event, time = check_survival(y, len(y))
        return null_residuals(event, time)[:, None]
    labels = _labels(y)
    if _is_continuous(labels) if continuous is None else continuous:
        values = labels.astype(float)
        return (values - values.mean())[:, None]
    codes = np.unique(labels, return_inverse=True)[1]
    shares = np.bincount(codes) / len(codes)
    return class_residuals(codes, np.tile(shares, (len(codes), 1)))


def _is_times(y: Any) -> bool:
    """Check whether y has fields or two columns, as events and their times have."""
    fields = getattr(getattr(y, "dtype", None), "names", None)
    return bool(fields) or (isinstance(y, pd.DataFrame) and y.shape[1] == 2)


def _labels(y: Any) -> np.ndarray:
    """Return one label or number per row."""
    labels = np.asarray(y)
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1:
        raise ValueError(f"y must have one value per sample, got shape {labels.shape}")
    missing = np.flatnonzero(pd.isna(labels))
    if len(missing):
        raise ValueError(
            f"y is missing in {len(missing)} of {len(labels)} rows, the first is row "
            f"{missing[0]}: leave these rows out"
        )
    distinct = pd.unique(pd.Series(labels))
    if len(distinct) < 2:
        raise ValueError(f"y contains only the class {distinct[0]!r}; two or more are needed")
    return labels


def _is_continuous(labels: np.ndarray) -> bool:
    """Check whether labels are numbers with fractions, or too many to be classes."""
    if labels.dtype.kind not in "iuf":
        return False
    return bool((labels != np.round(labels)).any()) or len(np.unique(labels)) > MOST_CLASSES


def _splits(h: Any, classes: np.ndarray | None, cv: Any, groups: Any, random_state: Any) -> list:
    """Split rows into folds, stratified by classes if there are some."""
    from sklearn import model_selection

    rows = np.zeros(len(h))
    if np.ndim(cv) == 0 and not hasattr(cv, "split"):
        name = ("Stratified" if classes is not None else "") + ("" if groups is None else "Group")
        splitter = getattr(model_selection, f"{name}KFold")
        cv = splitter(int(cv), shuffle=True, random_state=_fixed(random_state))
    return list(model_selection.check_cv(cv).split(rows, classes, groups))


def _out_of_fold(estimator: Any, h: Any, y: np.ndarray, splits: list, method: str) -> np.ndarray:
    """Predict held-out rows."""
    from sklearn.model_selection import cross_val_predict

    return cross_val_predict(estimator, h, y, cv=splits, method=method)


def _ridge() -> Any:
    """Make the default regression of continuous outcomes."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13)))


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


def _probability(y: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Map margins to probabilities by a logistic regression on them."""
    from sklearn.linear_model import LogisticRegression

    spread = margin.std()
    if not spread > 0:
        return np.full(len(y), y.mean())
    x = ((margin - margin.mean()) / spread)[:, None]
    return LogisticRegression(C=1.0).fit(x, y).predict_proba(x)[:, 1]


def _fixed(random_state: Any) -> int:
    """Return a seed, so that folds are the same for every feature set."""
    from sklearn.utils import check_random_state

    return int(check_random_state(random_state).randint(2**31 - 1))
