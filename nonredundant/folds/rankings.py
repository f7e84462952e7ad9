"""Ways to choose columns of a matrix, by what each tells of a target and repeats of the others.

Every function takes values without gaps, whose columns all vary, and returns the positions of the
chosen columns, the best first, and a score of every column. Ranks stand for the values where
columns are compared one by one, so that a choice does not depend on units or a logarithm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import binom, rankdata
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_selection import f_classif, f_regression
from sklearn.linear_model import LassoCV, MultiTaskLassoCV
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import LabelBinarizer, StandardScaler

from nonredundant.statistics.multiplicity import holm

#: Positions of the chosen columns, the best first, and the score of every column.
Chosen = tuple[np.ndarray, np.ndarray]
#: Largest Spearman correlation of a column that is chosen by itself with those chosen before it.
MAX_CORRELATION = 0.9
#: What the mean correlation with the chosen columns is at least taken for, and the largest F.
_LEAST_REDUNDANCY, _LARGEST_F = 1e-3, 1e12
#: Parts of the cross-validation of the lasso.
_LASSO_PARTS = 5
#: Its penalties, from the least that keeps no column down to 5 % of it. Correlated radiomics hardly
#: converge at weaker ones, which cross-validation does not choose with so few patients.
_LASSO: dict[str, Any] = {"alphas": 20, "eps": 5e-2, "tol": 1e-3, "max_iter": 10_000}
#: Forests of Boruta, trees of each, the depth of a tree, and the level of the test.
_ROUNDS, _TREES, _DEPTH, _LEVEL = 20, 50, 5, 0.05


def univariate(values: np.ndarray, y: np.ndarray, k: int) -> Chosen:
    """Choose the k columns with the highest rank F statistic that are no near copies.

    Parameters
    ----------
    values : array of shape (n_samples, n_columns)
        The columns.
    y : array of shape (n_samples,)
        Classes as integers, or numbers such as martingale residuals.
    k : int
        How many; near copies of chosen columns fill up where there are no others.

    Returns
    -------
    positions, scores : arrays
        The chosen columns, and the statistic of every column.
    """
    ranks = rankdata(values, axis=0)
    strength = _strength(ranks, y)
    order = np.argsort(-strength, kind="stable")
    correlation = np.abs(np.atleast_2d(np.corrcoef(ranks, rowvar=False)))
    picked: list[int] = []
    for position in order:
        if len(picked) < k and (correlation[position, picked] <= MAX_CORRELATION).all():
            picked.append(position)
    picked += [p for p in order if p not in picked][: k - len(picked)]
    return np.array(picked, dtype=int), strength


def mrmr(values: np.ndarray, y: np.ndarray, k: int) -> Chosen:
    """Choose k columns of maximum relevance and minimum redundancy, one after the other.

    The next column has the highest quotient of its F statistic and its mean absolute correlation
    with those chosen before, both of ranks (the quotient of Ding & Peng 2005, doi
    10.1142/S0219720005001004, for continuous columns).

    Parameters
    ----------
    values, y, k
        As in `univariate`.

    Returns
    -------
    positions, scores : arrays
        The chosen columns, and the F statistic of every column.
    """
    ranks = rankdata(values, axis=0)
    strength = _strength(ranks, y)
    z = ranks - ranks.mean(axis=0)
    z /= np.linalg.norm(z, axis=0)
    picked = [int(strength.argmax())]
    total = np.zeros(len(strength))
    while len(picked) < min(k, len(strength)):
        total += np.abs(z.T @ z[:, picked[-1]])
        quotient = strength / np.maximum(total / len(picked), _LEAST_REDUNDANCY)
        quotient[picked] = -np.inf
        picked.append(int(quotient.argmax()))
    return np.array(picked), strength


def _strength(ranks: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the F statistic of the ranks of each column; perfect ones are finite."""
    test = f_regression if y.dtype.kind == "f" else f_classif
    return np.nan_to_num(test(ranks, y)[0], nan=0.0, posinf=_LARGEST_F)


def lasso(values: np.ndarray, y: np.ndarray, k: int | None, seed: int) -> Chosen:
    """Choose the columns with a coefficient in a lasso whose penalty is cross-validated.

    The target are the numbers, or an indicator of each class (of two classes, one); with several,
    a column is in the models of all classes or of none. Without a coefficient above 0, the column
    is chosen that enters first.

    Parameters
    ----------
    values, y
        As in `univariate`.
    k : int or None
        The most columns, those with the largest coefficients; None: all.
    seed : int
        Seed of the parts.

    Returns
    -------
    positions, scores : arrays
        The chosen columns, and the size of each coefficient per standard deviation.
    """
    z = StandardScaler().fit_transform(values)
    is_number = y.dtype.kind == "f"
    target = y[:, None] if is_number else LabelBinarizer().fit_transform(y).astype(float)
    smallest = len(y) if is_number else int(np.unique(y, return_counts=True)[1].min())
    splitter = KFold if is_number else StratifiedKFold
    n_parts = min(_LASSO_PARTS, smallest)
    size = np.zeros(z.shape[1])
    if n_parts > 1:
        parts = list(splitter(n_parts, shuffle=True, random_state=seed).split(z, y))
        settings = {**_LASSO, "cv": parts}
        if target.shape[1] == 1:
            size = np.abs(LassoCV(**settings).fit(z, target[:, 0]).coef_)
        else:
            size = np.linalg.norm(MultiTaskLassoCV(**settings).fit(z, target).coef_, axis=0)
    order = np.argsort(-size, kind="stable")
    chosen = order[size[order] > 0][:k]
    if not len(chosen):
        chosen = np.linalg.norm(z.T @ (target - target.mean(axis=0)), axis=1).argmax(keepdims=True)
    return chosen, size


def correlation_groups(values: np.ndarray, k: int | None) -> Chosen:
    """Choose one column of each group of correlated ones, without looking at a target.

    Columns are joined as long as all of a group have a Spearman correlation above 0.9 (complete
    linkage). A group is represented by the column that is most like the others.

    Parameters
    ----------
    values : array of shape (n_samples, n_columns)
        The columns.
    k : int or None
        The most groups; None: as many as the correlation makes.

    Returns
    -------
    positions, scores : arrays
        The chosen columns in their order, and the mean absolute correlation of every column with
        its group.
    """
    alike = np.abs(np.atleast_2d(np.corrcoef(rankdata(values, axis=0), rowvar=False)))
    if len(alike) == 1:
        return np.array([0]), np.ones(1)
    distance = np.clip(1 - (alike + alike.T) / 2, 0, 1)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance), "complete")
    group = fcluster(tree, 1 - MAX_CORRELATION, "distance")
    if k is not None and group.max() > k:
        group = fcluster(tree, k, "maxclust")
    same = group[:, None] == group
    score = (alike * same).sum(axis=1) / same.sum(axis=1)
    chosen = [np.flatnonzero(group == one) for one in np.unique(group)]
    return np.sort([rows[score[rows].argmax()] for rows in chosen]), score


def boruta(values: np.ndarray, y: np.ndarray, k: int | None, seed: int) -> Chosen:
    """Choose the columns that are more important to forests than the best of permuted columns.

    In each of 20 forests, a column hits if its importance exceeds that of every column of a
    permuted copy; more hits than a fair coin would give, by a binomial test with Holm's correction
    at 5 %, make a column relevant (Kursa & Rudnicki 2010, doi 10.18637/jss.v036.i11). Without a
    relevant column, that with the most hits and the highest importance is chosen.

    Parameters
    ----------
    values, y
        As in `univariate`.
    k : int or None
        The most columns; None: all relevant ones.
    seed : int
        Seed of permutations and forests.

    Returns
    -------
    positions, scores : arrays
        The chosen columns, and the share of forests in which every column hit.
    """
    rng = np.random.default_rng(seed)
    make = RandomForestRegressor if y.dtype.kind == "f" else RandomForestClassifier
    n = values.shape[1]
    hits, importance = np.zeros(n), np.zeros(n)
    for _ in range(_ROUNDS):
        forest = make(
            _TREES, max_depth=_DEPTH, max_features="sqrt", random_state=int(rng.integers(2**31))
        )
        both = np.hstack([values, rng.permuted(values, axis=0)])
        found = forest.fit(both, y).feature_importances_
        hits += found[:n] > found[n:].max()
        importance += found[:n] / _ROUNDS
    p = binom.sf(hits - 1, _ROUNDS, 0.5)
    order = np.lexsort((-importance, -hits))
    chosen = order[holm(p)[order] < _LEVEL][:k]
    return chosen if len(chosen) else order[:1], hits / _ROUNDS
