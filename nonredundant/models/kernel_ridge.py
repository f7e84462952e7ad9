"""Kernel ridge regression of many outputs, with smoothness chosen by cross-fitting."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

#: Bandwidths of the Gaussian kernel, in units of the median distance between rows.
BANDWIDTHS = (0.5, 1.0, 2.0, 4.0)
#: Kernels to choose from: the Gaussian ones, and the polynomials of degree 2.
KERNELS: tuple[float | str, ...] = (*BANDWIDTHS, "quadratic")
#: Ridge penalties, in units of the kernel at rows of typical size.
PENALTIES = np.logspace(-2, 3, 11)
#: Directions with a smaller share of the kernel's largest eigenvalue are rounding error.
_LEAST_EIGENVALUE = 1e-10


class KernelRidge(BaseEstimator):
    """Regress outputs on rows of h by kernels, each output with its own smoothness.

    The kernels are Gaussian, or the polynomials of degree 2, which follow trends as far as the rows
    go. Kernel and penalty of each output are those of the least squared error on rows that were
    left out. With more rows than `n_landmarks`, the functions are combinations of the kernels at
    that many rows (Nyström; Williams & Seeger 2001), so that memory grows linearly with the rows.

    Parameters
    ----------
    n_landmarks : int, default=600
        Most rows that kernels are centred at.

    Attributes
    ----------
    landmarks_ : array of shape (n_landmarks, n_h)
        The rows that kernels are centred at.
    weights_ : array of shape (n_kernels, n_landmarks, n_outputs)
        Weights of the kernels.
    mean_ : array of shape (n_outputs,)
        Mean of each output.
    scale_ : float
        Median distance between landmarks.

    Examples
    --------
    >>> import numpy as np
    >>> h = np.linspace(-2, 2, 60)[:, None]
    >>> model = KernelRidge()
    >>> left_out = model.fit(h, np.sin(h), np.arange(60) % 5)
    >>> bool(abs(left_out - np.sin(h)).max() < 0.1), model.predict([[0.5]]).round(1).tolist()
    (True, [[0.5]])
    """

    def __init__(self, n_landmarks: int = 600) -> None:
        self.n_landmarks = n_landmarks

    def fit(self, h: np.ndarray, y: np.ndarray, fold: np.ndarray) -> np.ndarray:
        """Fit the regression and return its predictions of rows that were left out.

        Parameters
        ----------
        h : array of shape (n, n_h)
            Inputs.
        y : array of shape (n, n_outputs)
            Outputs.
        fold : array of shape (n,)
            Fold of each row; rows that depend on each other share a fold.

        Returns
        -------
        array of shape (n, n_outputs)
            Prediction of each row by the regression on the other folds.
        """
        chosen = np.arange(len(h))
        if len(h) > self.n_landmarks:
            chosen = np.sort(np.random.default_rng(0).permutation(len(h))[: self.n_landmarks])
        self.landmarks_ = h[chosen]
        self.mean_ = y.mean(axis=0)
        squared = squared_distances(self.landmarks_, self.landmarks_)
        positive = squared[squared > 0]
        self.scale_ = float(np.sqrt(np.median(positive))) if len(positive) else 1.0
        centred = y - self.mean_
        best = (centred**2).mean(axis=0)
        left_out = np.zeros_like(centred)
        weights = np.zeros((len(KERNELS), len(chosen), y.shape[1]))
        for number, kernel in enumerate(KERNELS):
            root = _inverse_root(self._kernel(self.landmarks_, kernel))
            basis = self._kernel(h, kernel) @ root
            found = _cross_fitted(basis, centred, fold)
            errors = ((centred - found) ** 2).mean(axis=1)
            choice = errors.argmin(axis=0)
            outputs = np.flatnonzero(errors.min(axis=0) < best)
            if not len(outputs):
                continue
            best[outputs] = errors.min(axis=0)[outputs]
            left_out[:, outputs] = found[choice[outputs], :, outputs].T
            weights[:, :, outputs] = 0.0
            solved = _ridge(basis.T @ basis, basis.T @ centred[:, outputs])
            weights[number][:, outputs] = root @ solved[choice[outputs], :, range(len(outputs))].T
        self.weights_ = weights
        return left_out + self.mean_

    def predict(self, h: np.ndarray) -> np.ndarray:
        """Predict the outputs.

        Parameters
        ----------
        h : array of shape (n, n_h)
            Inputs.

        Returns
        -------
        array of shape (n, n_outputs)
            The predictions.
        """
        check_is_fitted(self, "weights_")
        h = np.asarray(h, dtype=float)
        predicted = np.tile(self.mean_, (len(h), 1))
        for kernel, weights in zip(KERNELS, self.weights_, strict=True):
            used = np.flatnonzero(weights.any(axis=0))
            if len(used):
                predicted[:, used] += self._kernel(h, kernel) @ weights[:, used]
        return predicted

    def _kernel(self, h: np.ndarray, kernel: float | str) -> np.ndarray:
        """Return a kernel between rows and landmarks."""
        if kernel == "quadratic":
            return (1 + 2 * h @ self.landmarks_.T / self.scale_**2) ** 2 / 4
        width = float(kernel) * self.scale_
        return np.exp(-squared_distances(h, self.landmarks_) / (2 * width**2))


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute the squared Euclidean distances between two sets of rows."""
    products = a @ b.T
    return np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * products, 0.0)


def _inverse_root(kernel: np.ndarray) -> np.ndarray:
    """Return L with L Lᵀ the inverse of the kernel matrix, without directions of rounding error."""
    values, vectors = np.linalg.eigh(kernel)
    kept = values > _LEAST_EIGENVALUE * values[-1]
    return vectors[:, kept] / np.sqrt(values[kept])


def _ridge(gram: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the ridge coefficients for each penalty, shape (n_penalties, n_basis, n_outputs)."""
    values, vectors = np.linalg.eigh(gram)
    rotated = vectors.T @ target
    shrunk = rotated / (np.maximum(values, 0.0)[:, None] + PENALTIES[:, None, None])
    return np.matmul(vectors, shrunk)


def _cross_fitted(basis: np.ndarray, y: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return predictions of left-out rows for each penalty: (n_penalties, n, n_outputs)."""
    found = np.zeros((len(PENALTIES), *y.shape))
    gram = basis.T @ basis
    for one in np.unique(fold):
        out = fold == one
        mean = y[~out].mean(axis=0)
        part = basis[out]
        coefficients = _ridge(gram - part.T @ part, basis[~out].T @ (y[~out] - mean))
        found[:, out] = np.matmul(part, coefficients) + mean
    return found
