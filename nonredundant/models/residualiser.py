"""`Residualiser`: remove from latents the mean and the spread that features predict of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from nonredundant.lesions.scaler import FeatureScaler
from nonredundant.models.kernel_ridge import KernelRidge

#: Folds of the cross-fitting; fewer if there are fewer samples.
_N_FOLDS = 5
#: Fewest samples that a regression is fitted to; below, d is returned as it is.
_LEAST_SAMPLES = 10
#: Share of a latent's spread that is added to absolute residuals, so that their logarithm is
#: not dominated by residuals near 0.
_FLOOR = 0.05
#: Bounds of the ratio of a row's spread to the typical one; beyond, it is extrapolation.
_SPREAD_LIMITS = (1 / 4, 4.0)


class Residualiser(BaseEstimator):
    """Remove from each latent the mean and the log-spread that ranked features predict of it.

    r = (d - m(h)) / s(h), where m and log s are kernel ridge regressions of d and of the logarithm
    of its absolute residuals on the normal scores of h, whose principal directions are given about
    equal weight, as in `DistanceCorrelation`. Smoothness is chosen, and the residuals
    that s is fitted to are computed, on rows that were left out: a regression's residuals on its
    own rows are too small where it fits best. As d = m(h) + s(h) r, a decoder that is given h and r
    loses nothing.

    A row of the training cohort is recognised by its h, and gets the m and s of regressions that
    were fitted without its sample. Fitted to the row itself, they would take a part of its noise
    for a mean: the residuals of training rows had 16 to 22 % less variance then, and classifiers
    trained on them were worse on new rows. Rows with the same h in several samples, and all other
    rows, get the regressions of the whole cohort.

    Parameters
    ----------
    n_landmarks : int, default=600
        Most rows that kernels are centred at; see `KernelRidge`.

    Attributes
    ----------
    scaler_ : FeatureScaler
        Computes the normal scores of h.
    directions_ : array of shape (n_usable, n_directions)
        Principal directions of the scores, divided by their weight.
    mean_, spread_ : KernelRidge or None
        The regressions of means and log-spreads; None without usable columns of h, with fewer
        than 10 samples, or if no latent varies.
    known_ : array of shape (n_known, n_usable)
        Scores of the training rows, rounded, by which they are recognised.
    known_mean_, known_spread_ : array of shape (n_known, n_d)
        What the regressions without their samples predict for these rows.
    scale_ : array of shape (n_d,)
        Standard deviation of each latent at `fit`, in which the regressions compute.
    explained_ : array of shape (n_d,)
        Share of the variance of each latent that the mean given h explains, of rows that the
        regressions were not fitted to; 0 if nothing was fitted.
    level_ : array of shape (n_d,)
        Logarithm of the typical spread, which is not removed: residuals keep the units of d.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> h = pd.DataFrame({"volume": rng.normal(size=300)})
    >>> d = np.exp(h[["volume"]].to_numpy() / 2) * (1 + rng.normal(size=(300, 1)))
    >>> model = Residualiser().fit(h, d)
    >>> r = model.transform(h, d)
    >>> bool(abs(np.corrcoef(h["volume"], r[:, 0])[0, 1]) < 0.1)
    True
    >>> np.allclose(model.inverse(h, r), d)
    True
    """

    mean_: KernelRidge | None
    spread_: KernelRidge | None

    def __init__(self, n_landmarks: int = 600) -> None:
        self.n_landmarks = n_landmarks

    def fit(self, h: pd.DataFrame, d: np.ndarray, groups: Any = None) -> Residualiser:
        """Fit the regressions.

        Parameters
        ----------
        h : DataFrame of shape (n, n_h)
            Features of the training rows; NaN are replaced by the median.
        d : array of shape (n, n_d)
            Latents of the same rows.
        groups : array-like of shape (n,), optional
            Sample of each row: the lesions of one sample are left out together. By default each
            row is a sample of its own.

        Returns
        -------
        self
            The fitted regressions.

        Raises
        ------
        ValueError
            If h and d differ in their number of rows, or d has NaN or infinite values.
        """
        d = np.asarray(d, dtype=float)
        if len(h) != len(d):
            raise ValueError(f"h has {len(h)} rows but d has {len(d)}")
        if not np.isfinite(d).all():
            raise ValueError(
                "d has NaN or infinite values: leave out the rows without an image, which have no "
                "latents"
            )
        self.scaler_ = FeatureScaler().fit(h)
        self.scale_ = d.std(axis=0)
        self.level_, self.explained_ = np.zeros(d.shape[1]), np.zeros(d.shape[1])
        self.mean_ = self.spread_ = None
        sample = np.arange(len(d)) if groups is None else np.asarray(groups)
        folds = sample_folds(sample)
        if self.scaler_.columns_ and folds is not None and self.scale_.any():
            z = self.scaler_.transform(h)
            self.directions_ = equalising(z)
            self._fit_regressions(z, d / self._divisor(), folds)
        return self

    def _fit_regressions(self, z: np.ndarray, d: np.ndarray, folds: np.ndarray) -> None:
        """Fit means, then log-spreads of the residuals of rows that were left out."""
        mean, spread = (KernelRidge(self.n_landmarks) for _ in range(2))
        equal = z @ self.directions_
        left_out = mean.fit(equal, d, folds)
        residual = d - left_out
        total = np.square(d - d.mean(axis=0)).sum(axis=0)
        left = np.square(residual).sum(axis=0)
        self.explained_ = 1 - np.divide(left, total, out=np.ones_like(total), where=total > 0)
        logarithm = np.log(np.abs(residual) + _FLOOR * residual.std(axis=0) + np.finfo(float).tiny)
        spread_left_out = spread.fit(equal, logarithm, folds)
        self.level_ = spread_left_out.mean(axis=0)
        self.mean_, self.spread_ = mean, spread
        self._remember(z, folds, left_out, spread_left_out)

    def _remember(
        self, z: np.ndarray, folds: np.ndarray, mean: np.ndarray, spread: np.ndarray
    ) -> None:
        """Store what was predicted of training rows, unless other folds have rows of equal h."""
        keys, first, place = np.unique(_rounded(z), axis=0, return_index=True, return_inverse=True)
        place = place.ravel()
        lowest, highest = (np.full(len(keys), start) for start in (_N_FOLDS, -1))
        np.minimum.at(lowest, place, folds)
        np.maximum.at(highest, place, folds)
        one_fold = lowest == highest
        self.known_ = keys[one_fold]
        self.known_mean_ = mean[first[one_fold]]
        self.known_spread_ = spread[first[one_fold]]

    def transform(self, h: pd.DataFrame, d: np.ndarray) -> np.ndarray:
        """Compute the residuals of d.

        Parameters
        ----------
        h : DataFrame of shape (n, n_h)
            Features.
        d : array of shape (n, n_d)
            Latents; NaN where a row has no image.

        Returns
        -------
        array of shape (n, n_d)
            (d - m(h)) / s(h), in the units of d.
        """
        check_is_fitted(self, "scaler_")
        mean, spread = self._law(h)
        return (np.asarray(d, dtype=float) - mean) / spread

    def inverse(self, h: pd.DataFrame, r: np.ndarray) -> np.ndarray:
        """Compute d from its residuals.

        Parameters
        ----------
        h : DataFrame of shape (n, n_h)
            Features.
        r : array of shape (n, n_d)
            Residuals.

        Returns
        -------
        array of shape (n, n_d)
            m(h) + s(h) r.
        """
        check_is_fitted(self, "scaler_")
        mean, spread = self._law(h)
        return mean + spread * np.asarray(r, dtype=float)

    @property
    def share_explained(self) -> float:
        """Share of the variance of all latents together that the mean given h explains."""
        weight = self.scale_**2
        return float(weight @ self.explained_ / weight.sum())

    def _divisor(self) -> np.ndarray:
        """Return the scale of each latent, 1 for constant ones."""
        return np.where(self.scale_ > 0, self.scale_, 1.0)

    def _law(self, h: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the relative spread of each latent given h."""
        shape = (len(h), len(self.scale_))
        if self.mean_ is None or self.spread_ is None:
            return np.zeros(shape), np.ones(shape)
        z = self.scaler_.transform(h)
        equal = z @ self.directions_
        mean, spread = self.mean_.predict(equal), self.spread_.predict(equal)
        place = {row.tobytes(): i for i, row in enumerate(self.known_)}
        found = np.array([place.get(row.tobytes(), -1) for row in _rounded(z)], dtype=int)
        known = found >= 0
        mean[known] = self.known_mean_[found[known]]
        spread[known] = self.known_spread_[found[known]]
        ratio = np.clip(np.exp(spread - self.level_), *_SPREAD_LIMITS)
        return mean * self._divisor(), ratio


def _rounded(z: np.ndarray) -> np.ndarray:
    """Return scores rounded so that equal rows are equal in every bit."""
    # Adding 0 makes a negative zero positive.
    return np.ascontiguousarray(np.round(z, 6) + 0.0)


def equalising(z: np.ndarray) -> np.ndarray:
    """Return the matrix V (L + I)^(-1/2), with the covariance V L Vᵀ of normal scores.

    Directions that many features share dominate the distances between rows of z; in z V
    (L + I)^(-1/2) they have about the weight of the others. Directions with less variance than one
    feature are mostly noise and are not amplified. `nn.penalties.equalise` does the same.
    """
    _, singular, directions = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    return directions.T / np.sqrt(singular**2 / len(z) + 1)


def sample_folds(sample: np.ndarray) -> np.ndarray | None:
    """Return the fold of each row, the rows of a sample in one fold; None for too few samples.

    Parameters
    ----------
    sample : array of shape (n,)
        Sample of each row.

    Returns
    -------
    array of shape (n,) or None
        Numbers from 0; None with fewer than 10 samples.
    """
    found, place = np.unique(sample, return_inverse=True)
    if len(found) < _LEAST_SAMPLES:
        return None
    # The folds depend only on the number of samples, so that a fit can be repeated.
    order = np.random.default_rng(0).permutation(len(found))
    return (order % _N_FOLDS)[place]
