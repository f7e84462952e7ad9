"""AUC, its variance and its paired comparison by DeLong's method, in O(n log n)."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def placements(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return AUCs and each case's share in them, from midranks.

    Sun & Xu 2014 (IEEE Signal Process. Lett. 21, 1389): a case's rank among all less its rank in
    its own class counts the cases of the other class below it, without looking at pairs.

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
        Share of the negatives that each positive outranks; ties count one half.
    negative : array of shape (n_scores, n_negative)
        Share of the positives that outrank each negative.
    """
    m, n = int(y.sum()), int((~y).sum())
    among_all = rankdata(scores, axis=1)
    positive = (among_all[:, y] - rankdata(scores[:, y], axis=1)) / n
    negative = 1 - (among_all[:, ~y] - rankdata(scores[:, ~y], axis=1)) / m
    return positive.mean(axis=1), positive, negative


def covariance(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Return the covariance of the AUCs (DeLong, DeLong & Clarke-Pearson 1988, eq. 6).

    Parameters
    ----------
    positive, negative : array of shape (n_scores, n_positive), (n_scores, n_negative)
        What `placements` gives.

    Returns
    -------
    array of shape (n_scores, n_scores)
        Variances of the AUCs and covariances of each two.
    """
    return np.atleast_2d(np.cov(positive)) / positive.shape[1] + (
        np.atleast_2d(np.cov(negative)) / negative.shape[1]
    )
