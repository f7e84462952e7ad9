"""How large an unseen function of known features would have to be to explain a finding away."""

from __future__ import annotations

from typing import Any

import numpy as np

from nonredundant.statistics.rows import aligned, to_matrix

#: Ridge penalties of the prediction of residuals from d, relative to the number of rows.
PENALTIES = (0.03, 0.3, 3.0)
#: Standard errors between a correlation and the least one that is significant, one-sided, at 5 %.
_MARGIN = 1.645


def unseen_share(residuals: Any, d: Any, relevance: float, *, strata: Any = None) -> float:
    """Return the share of d's variance that an unseen function of h must be to explain a finding.

    d predicts the residuals of an outcome. Suppose that this is the doing of a function of the
    known features h that models of h have missed, and that explains as much of the outcome as the
    predictions from h do. The share of the variance of d (in the direction that predicts) that this
    function would have to make up before the finding is no longer significant is returned.

    Parameters
    ----------
    residuals : array-like of shape (n_samples,) or (n_samples, n_columns)
        What out-of-fold predictions from h leave unexplained of the outcome.
    d : array-like of shape (n_samples, n_d)
        Features.
    relevance : float
        Share of the variance of the outcome that the predictions from h explain, between 0 and 1.
    strata : array-like of shape (n_samples,), optional
        Rows whose d can be compared, such as folds with a network each.

    Returns
    -------
    float
        0 if nothing has to be explained. Above 1 no such function can be large enough; infinite if
        h explains nothing of the outcome.

    Raises
    ------
    ValueError
        If lengths differ or values are not finite.

    Notes
    -----
    A variable that has the correlations a with d and b with what is left of the outcome makes a
    correlation of a·b between these two, as omitted variables do in regressions (Cinelli & Hazlett
    2020, doi 10.1111/rssb.12348). b² is `relevance` in units of the variance that is left. The
    correlation of residuals with leave-one-out ridge predictions from d is taken, less 1.645
    standard errors.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> d = rng.normal(size=(200, 2))
    >>> residuals = d[:, 0] + rng.normal(size=200)
    >>> found = unseen_share(residuals, d, 0.5)
    >>> bool(0.25 < found < 0.5), unseen_share(rng.normal(size=200), d, 0.5)
    (True, 0.0)
    """
    rows = aligned(residuals=residuals, d=d, strata=strata)
    left, new = to_matrix(rows["residuals"], "residuals"), to_matrix(rows["d"], "d")
    n = len(left)
    cells = np.zeros(n) if rows["strata"] is None else np.asarray(rows["strata"])
    predicted = np.zeros((len(PENALTIES), *left.shape))
    for cell in np.unique(cells):
        own = np.flatnonzero(cells == cell)
        left[own] -= left[own].mean(axis=0)
        for i, operator in enumerate(leave_one_out_ridge(new[own])):
            predicted[i, own] = operator @ left[own]
    products = (predicted * left).sum(axis=(1, 2))
    norms = np.sqrt(np.square(predicted).sum(axis=(1, 2)) * np.square(left).sum())
    correlation = float(np.max(products / np.where(norms > 0, norms, np.inf)))
    needed = max(0.0, correlation - _MARGIN / np.sqrt(n)) ** 2
    if not needed:
        return 0.0
    relevance = float(np.clip(relevance, 0.0, 1.0))
    return needed * (1 - relevance) / relevance if relevance > 0 else float("inf")


def leave_one_out_ridge(x: np.ndarray) -> list[np.ndarray]:
    """Return the matrices that map outcomes to leave-one-out ridge predictions, per penalty.

    Parameters
    ----------
    x : array of shape (n, n_columns)
        Predictors.

    Returns
    -------
    list of array of shape (n, n)
        One matrix for each of `PENALTIES`.
    """
    n, spread = len(x), x.std(axis=0)
    varies = spread > 1e-12 * np.abs(x).max(axis=0, initial=0)
    x = (x - x.mean(axis=0))[:, varies] / spread[varies]
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    operators = []
    for penalty in PENALTIES:
        hat = (u * (s**2 / (s**2 + penalty * n))) @ u.T + 1 / n
        diagonal = np.diag(hat).copy()
        operators.append((hat - np.diag(diagonal)) / (1 - diagonal)[:, None])
    return operators
