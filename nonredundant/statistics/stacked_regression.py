"""Out-of-fold regression of outcomes and latents on known features, by a stack of three models.

No single regression follows every function of a hundred features that a cohort of a hundred
patients can show: ridge regression follows sums, kernel ridge regression smooth functions, a
forest steps and thresholds. Their out-of-fold predictions are combined, target by target.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Penalties of both regressions, in units of the sum of the kernel's eigenvalues.
RIDGE_PENALTIES = np.logspace(-4, 1, 6)
KERNEL_PENALTIES = np.logspace(-4, 0, 5)
N_TREES = 120


def stacked_predictions(
    h: Any, targets: Any, *, groups: Any = None, random_state: Any = None
) -> np.ndarray:
    """Predict each row of the targets from h by models that were fitted without the row.

    The columns of h are replaced by their normal scores. Ridge regressions, kernel ridge
    regressions (a Gaussian kernel whose width is the median distance between rows, of principal
    directions of about equal weight) and a forest (out of bag) predict all targets at once; their
    predictions are combined per target by non-negative weights that sum to at most 1.

    Parameters
    ----------
    h : array-like of shape (n_samples, n_h)
        Known features; a gap, NaN, has the score of the median.
    targets : array-like of shape (n_samples,) or (n_samples, n_targets)
        What is predicted, without gaps.
    groups : array-like of shape (n_samples,), optional
        Rows of one group are left out together.
    random_state : int, RandomState or None, default=None
        Seed of the forest.

    Returns
    -------
    array of shape (n_samples, n_targets)
        The predictions; the mean of the target where no model predicts better than it.

    Notes
    -----
    Rows are left out of both ridge regressions in closed form: with the smoother H of all rows,
    the residuals of a group g by the fit without it are the solution of (I - H)_gg r = (y - Hy)_g.
    So one eigendecomposition per kernel serves all rows, penalties and targets. The weights
    are those of Breiman's stacked regressions 1996 (doi 10.1007/BF00117832).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> h = rng.normal(size=(100, 3))
    >>> predicted = stacked_predictions(h, h[:, 0] + np.abs(h[:, 1]), random_state=0)
    >>> predicted.shape, bool(np.corrcoef(predicted[:, 0], h[:, 0] + np.abs(h[:, 1]))[0, 1] > 0.9)
    ((100, 1), True)
    """
    from sklearn.utils import check_random_state

    known = normal_scores(np.asarray(h, dtype=float))
    y = np.asarray(targets, dtype=float)
    y = y[:, None] if y.ndim == 1 else y
    mean, spread = y.mean(axis=0), y.std(axis=0)
    scaled = (y - mean) / np.where(spread > 0, spread, 1.0)
    if not known.shape[1]:
        return np.tile(mean, (len(y), 1))
    labels = np.arange(len(y)) if groups is None else np.unique(groups, return_inverse=True)[1]
    # The draws of the forest go to rows of certain values, whatever the order of the rows.
    order = np.lexsort(np.hstack([scaled, known]).round(9).T)
    candidates = np.empty((1 + len(RIDGE_PENALTIES) + len(KERNEL_PENALTIES), *y.shape))
    candidates[0, order] = _forest(
        known[order], scaled[order], labels[order], check_random_state(random_state)
    )
    rest = left_out_smoothers(linear_kernel(known), RIDGE_PENALTIES, labels)
    rest += left_out_smoothers(gaussian_kernel(known), KERNEL_PENALTIES, labels)
    candidates[1:] = np.stack(rest) @ scaled
    combined = np.stack(
        [
            candidates[:, :, j].T @ stacking_weights(candidates[:, :, j].T, scaled[:, j])
            for j in range(y.shape[1])
        ],
        axis=1,
    )
    return mean + spread * combined


def normal_scores(x: np.ndarray) -> np.ndarray:
    """Replace columns by the normal scores of their ranks, and leave out constant ones.

    Parameters
    ----------
    x : array of shape (n, n_columns)
        Columns, with NaN for gaps.

    Returns
    -------
    array of shape (n, at most n_columns)
        Scores with mean 0 and variance 1; 0 for gaps.

    Examples
    --------
    >>> import numpy as np
    >>> normal_scores(np.array([[1.0, 5.0], [2.0, 5.0], [np.nan, 5.0]])).round(2).tolist()
    [[-1.22], [1.22], [0.0]]
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    ranks = rankdata(x, axis=0, nan_policy="omit")
    scores = ndtri(ranks / (1 + np.isfinite(x).sum(axis=0)))
    scores = np.where(np.isfinite(x), scores, 0.0)
    scores = scores - scores.mean(axis=0)
    spread = scores.std(axis=0)
    return scores[:, spread > 1e-9] / spread[spread > 1e-9]


def linear_kernel(x: np.ndarray) -> np.ndarray:
    """Return the products of rows, by which kernel ridge is ridge regression."""
    return x @ x.T


def gaussian_kernel(x: np.ndarray) -> np.ndarray:
    """Return a Gaussian kernel of rows whose principal directions have about equal weight.

    A direction of variance v has the variance (v / (1 + v))²: near 1 where it is shared by many
    columns, and near 0 where it has less than one column, which is mostly noise. The width is the
    median distance between rows.
    """
    from scipy.spatial.distance import pdist, squareform

    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    squared = pdist(u * (np.sqrt(len(x)) * s**2 / (len(x) + s**2)), "sqeuclidean")
    middle = float(np.median(squared))
    return np.exp(-squareform(squared) / (2 * middle if middle > 0 else 1.0))


def left_out_smoothers(
    kernel: np.ndarray, penalties: np.ndarray, groups: np.ndarray
) -> list[np.ndarray]:
    """Return the matrices that map targets to predictions of rows that were left out.

    Parameters
    ----------
    kernel : array of shape (n, n)
        Kernel of all rows.
    penalties : array of shape (n_penalties,)
        Penalties, in units of the sum of eigenvalues of the centred kernel.
    groups : int array of shape (n,)
        Rows of a group are left out together.

    Returns
    -------
    list of array of shape (n, n)
        One smoother per penalty, of kernel ridge regression with a free intercept.

    Examples
    --------
    With a large penalty, the prediction of a row is the mean of all other rows:

    >>> import numpy as np
    >>> x, y = np.arange(3.0)[:, None], np.array([1.0, 2.0, 6.0])
    >>> (left_out_smoothers(x @ x.T, [1e9], np.arange(3))[0] @ y).round(3).tolist()
    [4.0, 3.5, 1.5]
    """
    n = len(kernel)
    centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, None] + kernel.mean()
    values, vectors = np.linalg.eigh(centred)
    values = np.maximum(values, 0.0)
    single = len(np.unique(groups)) == n
    members = [] if single else [np.flatnonzero(groups == g) for g in np.unique(groups)]
    smoothers = []
    for penalty in penalties:
        # The smoothed mean is 1 / n; centred directions are orthogonal to it.
        shrunk = values / (values + penalty * values.sum())
        rest = np.eye(n) - (vectors * shrunk) @ vectors.T - 1 / n
        left_out = np.eye(n)
        if single:
            left_out -= rest / np.diag(rest)[:, None]
        for rows in members:
            left_out[rows] -= np.linalg.solve(rest[np.ix_(rows, rows)], rest[rows])
        smoothers.append(left_out)
    return smoothers


def stacking_weights(candidates: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return non-negative weights of least squared error that sum to at most 1.

    Parameters
    ----------
    candidates : array of shape (n, n_candidates)
        Left-out predictions.
    target : array of shape (n,)
        What they predict.

    Returns
    -------
    array of shape (n_candidates,)
        The weights.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> stacking_weights(x, np.array([0.3, -1.0, 0.0])).round(3).tolist()
    [0.3, 0.0]
    >>> stacking_weights(x, np.array([3.0, 2.5, 0.0])).round(3).tolist()
    [0.75, 0.25]
    """
    from scipy.optimize import nnls

    # With mode "r" NumPy returns the triangle alone.
    triangle = np.asarray(np.linalg.qr(np.column_stack([candidates, target]), mode="r"))
    a, b = triangle[:, :-1], triangle[:, -1]
    weights = nnls(a, b)[0]
    if weights.sum() <= 1:
        return weights
    # The error is convex, so that the best weights within the bound lie on it: a row of large
    # weight asks for the sum 1.
    heavy = 1e4 * np.abs(triangle).max()
    row = np.full(a.shape[1], heavy)
    return nnls(np.vstack([a, row]), np.append(b, heavy))[0]


def _forest(x: np.ndarray, targets: np.ndarray, groups: np.ndarray, rng: Any) -> np.ndarray:
    """Predict all targets by the trees of one forest whose bootstrap left the group out."""
    from sklearn.tree import DecisionTreeRegressor

    # Groups are numbered as they occur, so that their draws do not depend on their names.
    _, first, labels = np.unique(groups, return_index=True, return_inverse=True)
    labels = np.argsort(np.argsort(first))[labels]
    n_groups = len(first)
    total, counts = np.zeros(targets.shape), np.zeros((len(x), 1))
    for _ in range(N_TREES):
        times = np.bincount(rng.randint(n_groups, size=n_groups), minlength=n_groups)[labels]
        drawn = times > 0
        tree = DecisionTreeRegressor(
            max_features=1 / 3, min_samples_leaf=3, random_state=rng.randint(2**31 - 1)
        )
        tree.fit(x[drawn], targets[drawn], sample_weight=times[drawn])
        if not drawn.all():
            total[~drawn] += tree.predict(x[~drawn]).reshape(-1, targets.shape[1])
            counts[~drawn] += 1
    return total / np.maximum(counts, 1)
