"""Cross-validated prediction of h from d."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nonredundant.metrics.networks import out_of_fold, splits

Folds = list[tuple[np.ndarray, np.ndarray]]
#: Candidate penalties of generalised cross-validation, relative to the number of rows.
RIDGE_PENALTIES = np.logspace(-4, 4, 17)


def ridge_r2(
    targets: np.ndarray,
    total: float,
    d: np.ndarray,
    folds: Folds,
    permutations: Sequence[np.ndarray],
) -> np.ndarray:
    """Return the cross-validated R² of a ridge regression for each row order of the targets.

    One decomposition of d per fold serves all orders. The penalty is chosen for each order by
    generalised cross-validation within the training rows.
    """
    errors = np.zeros(len(permutations))
    for train, test in folds:
        mean = d[train].mean(axis=0)
        u, s, vt = np.linalg.svd(d[train] - mean, full_matrices=False)
        keep = s > s[0] * 1e-10
        u, s, vt = u[:, keep], s[keep], vt[keep]
        new = (d[test] - mean) @ vt.T / s
        for i, p in enumerate(permutations):
            y = targets[p]
            offset = y[train].mean(axis=0)
            seen = y[train] - offset
            shrink = _best_shrinkage(u.T @ seen, s, np.sum(seen**2), len(train))
            predicted = offset + new @ (shrink[:, None] * (u.T @ seen))
            errors[i] += np.sum((y[test] - predicted) ** 2)
    return 1 - (errors + total - np.sum(targets**2)) / total


def _best_shrinkage(projected: np.ndarray, s: np.ndarray, total: float, n: int) -> np.ndarray:
    """Return the shrinkage per direction at the penalty of least generalised CV error."""
    shrink = s**2 / (s**2 + n * RIDGE_PENALTIES[:, None])
    power = np.sum(projected**2, axis=1)
    residual = total - (2 * shrink - shrink**2) @ power
    freedom = np.maximum(n - 1 - shrink.sum(axis=1), 1e-3)
    return shrink[np.argmin(residual / freedom**2)]


def refitted_r2(
    predict: Callable[[np.ndarray], np.ndarray],
    targets: np.ndarray,
    total: float,
    permutations: Sequence[np.ndarray],
) -> np.ndarray:
    """Return the cross-validated R² of a model that is refitted for each row order."""
    scores = []
    for p in permutations:
        y = targets[p]
        missed = np.sum((y - predict(y)) ** 2) + total - np.sum(targets**2)
        scores.append(1 - missed / total)
    return np.array(scores)


def forest_predictor(d: np.ndarray, folds: Folds, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Make a function that predicts targets out of fold by extremely randomised trees."""
    from sklearn.ensemble import ExtraTreesRegressor

    def predict(y: np.ndarray) -> np.ndarray:
        predicted = np.empty_like(y)
        for train, test in folds:
            # All columns are tried at each split: with half of them, a third of the R² was missed.
            forest = ExtraTreesRegressor(n_estimators=50, min_samples_leaf=3, random_state=seed)
            # scikit-learn expects a single target as a vector.
            known = y[train] if y.shape[1] > 1 else y[train, 0]
            fitted = forest.fit(d[train], known).predict(d[test])
            predicted[test] = fitted.reshape(len(test), -1)
        return predicted

    return predict


def boosting_predictor(
    d: np.ndarray, folds: Folds, seed: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Make a function that predicts each target out of fold by gradient-boosted trees."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    def predict(y: np.ndarray) -> np.ndarray:
        predicted = np.empty_like(y)
        for train, test in folds:
            for j in range(y.shape[1]):
                model = HistGradientBoostingRegressor(
                    max_iter=50, max_depth=3, min_samples_leaf=5, random_state=seed
                )
                predicted[test, j] = model.fit(d[train], y[train, j]).predict(d[test])
        return predicted

    return predict


def perceptron_predictor(
    d: np.ndarray, folds: Folds, seed: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Make a function that predicts targets out of fold by a network with one hidden layer."""

    def predict(y: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return out_of_fold(d, y, splits(folds, rng), rng)

    return predict
