"""What every fitted member of the family can do with its latents: decode, vary, draw, score."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from nonredundant._cohort import Cohort
from nonredundant._family import CHUNK, FamilyEstimator

#: A latent whose posterior mean varies less than this is collapsed (Burda et al. 2016).
LEAST_VARIANCE = 0.01


def lower_bound(estimator: FamilyEstimator, X: Any, beta: float) -> np.ndarray:
    """Return -(reconstruction + beta * KL) of each lesion; NaN without an image.

    Parameters
    ----------
    estimator : member of the family
        The fitted model.
    X : LesionTable or array of shape (n_samples, n_features)
        As at `fit`.
    beta : float
        Weight of the KL term.

    Returns
    -------
    array of shape (n_lesions,)
        The bounds at the posterior means, in the loss's units.
    """
    from nonredundant.nn import training

    check_is_fitted(estimator, "net_")
    cohort = estimator._read(X, reset=False)
    rows = np.flatnonzero(cohort.usable)
    n = len(cohort.x)
    h = estimator._condition(cohort).astype(np.float32 if cohort.shape else np.float64)
    dataset = training.LesionDataset(cohort.x, cohort.masks, h, np.zeros(n), np.zeros(n), rows)
    bounds = np.full(n, np.nan)
    bounds[rows] = training.elbo(estimator.net_, dataset, CHUNK, beta)
    return bounds


def collapsed(values: np.ndarray, names: list[str]) -> list[str]:
    """Return the names of the latents that say nothing, with a warning if most do.

    Parameters
    ----------
    values : array of shape (n_lesions, n_latents)
        Posterior means; the prior has variance 1.
    names : list of str
        The latents' names.

    Returns
    -------
    list of str
        Those whose variance is below 0.01 (Burda, Grosse & Salakhutdinov 2016, section 5.2).
    """
    dead = [
        name for name, v in zip(names, np.nanvar(values, axis=0), strict=True) if v < LEAST_VARIANCE
    ]
    if 2 * len(dead) > len(names):
        warnings.warn(
            f"{len(dead)} of {len(names)} latents are collapsed (variance of the posterior mean "
            f"below {LEAST_VARIANCE}): {', '.join(dead[:5])}{', …' if len(dead) > 5 else ''}; "
            "lower beta, train longer, or ask for fewer latents",
            UserWarning,
            stacklevel=4,
        )
    return dead


class GenerativeMethods(FamilyEstimator):
    """Methods of the family that need no more than latents, h, encoder and decoder."""

    beta: float
    dead_latents_: list[str]

    def _latent_names(self) -> list[str]:
        """Return the names of all latents, in the order of the posterior means."""
        raise NotImplementedError

    def _settle(self, cohort: Cohort) -> None:
        """Learn from the trained network what rows without image get, and what is collapsed."""
        d = self._encode(cohort)
        self.dlr_median_ = np.nanmedian(d, axis=0)
        self.dead_latents_ = collapsed(d, self._latent_names())

    def _latents(self, X: Any) -> tuple[Cohort, np.ndarray]:
        """Return the cohort and its latents, medians where there is no image."""
        check_is_fitted(self, "net_")
        cohort = self._read(X, reset=False)
        return cohort, self._fill_missing(self._encode(cohort), cohort)

    def reconstruct(self, X: Any) -> np.ndarray:
        """Return the network's reconstruction of each lesion from its latents (and h).

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_lesions, C, *spatial)
            Patches in the images' intensity units; meaningful inside the lesion's mask.
        """
        cohort, d = self._latents(X)
        return self._decode(d, self._condition(cohort))

    def traverse(
        self, X: Any, index: int | str, span: Any = 2.0, *, n_steps: int = 7
    ) -> np.ndarray:
        """Return reconstructions with one latent varied, the others (and h) fixed.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            The lesions to start from.
        index : int or str
            Which latent varies: its name, or its place among all of the model's latents.
        span : float or array-like, default=2.0
            Values added to the latent; a number s means `n_steps` values from -s to s.
        n_steps : int, default=7
            Number of values if `span` is a number.

        Returns
        -------
        array of shape (n_lesions, n_steps, C, *spatial)
            Patches in the images' intensity units.

        Raises
        ------
        ValueError
            If there is no such latent.
        """
        check_is_fitted(self, "net_")
        names = self._latent_names()
        n = len(names)
        place = names.index(index) if index in names else index
        if isinstance(place, str) or not -n <= place < n:
            raise ValueError(
                f"index must name one of {n} latents, got {index!r}: names are {names[0]} to "
                f"{names[-1]}"
            )
        cohort, d = self._latents(X)
        offsets = np.linspace(-span, span, n_steps) if np.ndim(span) == 0 else np.asarray(span)
        d = d.repeat(len(offsets), axis=0)
        d[:, place] += np.tile(offsets, len(cohort.x))
        patches = self._decode(d, self._condition(cohort).repeat(len(offsets), axis=0))
        return patches.reshape(len(cohort.x), len(offsets), *patches.shape[1:])

    def score_samples(self, X: Any) -> np.ndarray:
        """Return each lesion's evidence lower bound in the loss's units, higher is better.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_lesions,)
            -(reconstruction + beta * KL) at the posterior means; NaN without an image. Models
            with a background take the label under which the bound is larger.
        """
        return lower_bound(self, X, self.beta)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean evidence lower bound a lesion, higher is better.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.
        y : None
            Ignored.

        Returns
        -------
        float
            The mean of `score_samples` over the lesions that have an image.
        """
        return float(np.nanmean(self.score_samples(X)))
