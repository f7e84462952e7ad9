"""Stability of latents when the network is trained with other seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import check_random_state

from nonredundant.displays.atlas import LatentStabilityDisplay
from nonredundant.inspection.correlations import held_out_r2, matched_correlations
from nonredundant.models.latents import latent_frame

#: A latent is reproduced if its partners under other seeds share half of its variance.
LEAST_SHARED = 0.5


@dataclass(frozen=True)
class LatentStability:
    """Stability of the latents under other seeds; made by `latent_stability`.

    Attributes
    ----------
    table : DataFrame
        One row per latent: `matched`, the mean absolute correlation with its partner in each other
        fit; `matched_low`, the smallest; `recovered`, the mean held-out R² of a ridge regression of
        it on all latents of another fit, which is invariant to rotations; `comes_back`, whether
        the squared `matched` is 0.5 or more.
    canonical : array of shape (n_fits, n_latents)
        Canonical correlations of the model's latents with those of each other fit.
    chance : float
        Mean absolute correlation of partners if the rows of the other fits are shuffled.
    score : float
        Mean of `matched` over latents: 1 if latents differ only in order and sign.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant import LesionTable
    >>> from nonredundant.contrastive import VAE
    >>> from nonredundant.inspection import latent_stability
    >>> patches = np.random.default_rng(0).normal(size=(20, 1, 8, 8))
    >>> table = LesionTable.from_arrays(patches=patches)
    >>> vae = VAE(2, max_epochs=20, random_state=0).fit(table)
    >>> found = latent_stability(vae, table, n_fits=2, random_state=0)
    >>> found.canonical.shape, 0 <= found.score <= 1
    ((2, 2), True)
    """

    table: pd.DataFrame
    canonical: np.ndarray
    chance: float
    score: float

    def _repr_html_(self) -> str:
        """Return the table for a notebook, with as many digits as are of use."""
        table = self.table.to_html(index=False, float_format="{:.3f}".format)
        return f"<p>Score {self.score:.3f}, by chance {self.chance:.3f}.</p>\n{table}"

    def plot(self, **kwargs: Any) -> Any:
        """Draw matched and recovered shares of each latent.

        Parameters
        ----------
        **kwargs
            Passed to `LatentStabilityDisplay.from_stability`.

        Returns
        -------
        LatentStabilityDisplay
            The display, with `ax_` and `figure_`.
        """
        return LatentStabilityDisplay.from_stability(self, **kwargs)


def latent_stability(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    X_test: Any = None,
    n_fits: int = 4,
    random_state: Any = None,
) -> LatentStability:
    """Fit a model again with other seeds and measure which latents are reproduced.

    Parameters
    ----------
    estimator : NonRedundantCVAE or another estimator with latents
        Fitted; it is not changed.
    X : LesionTable
        Lesions on which it was fitted, and on which its clones are fitted.
    y : array-like of shape (n_samples,), optional
        Labels, for models that use them.
    X_test : LesionTable, optional
        Lesions whose latents are compared; X by default.
    n_fits : int, default=4
        Number of further fits; with that of the estimator, five seeds by default.
    random_state : int, RandomState or None, default=None
        Source of their seeds.

    Returns
    -------
    LatentStability
        Scores per latent and of the model.

    Raises
    ------
    ValueError
        If `n_fits` is below 1.

    Notes
    -----
    Latents are matched one to one so that the sum of absolute correlations is largest (Hungarian
    method).
    The prior of a VAE is invariant to rotations, so that another fit may span the same space with
    other axes: then `matched` is low, and `recovered` and `canonical` are high.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant import LesionTable
    >>> from nonredundant.contrastive import VAE
    >>> from nonredundant.inspection import latent_stability
    >>> table = LesionTable.from_arrays(
    ...     patches=np.random.default_rng(0).normal(size=(20, 1, 8, 8))
    ... )
    >>> vae = VAE(2, max_epochs=20, random_state=0).fit(table)
    >>> found = latent_stability(vae, table, n_fits=1, random_state=0)
    >>> found.table.columns.tolist()
    ['latent', 'matched', 'matched_low', 'recovered', 'comes_back']
    """
    if n_fits < 1:
        raise ValueError(f"n_fits must be 1 or more, got {n_fits}")
    rng = check_random_state(random_state)
    own = latent_frame(estimator, X if X_test is None else X_test)
    matched, shuffled, recovered, canonical = [], [], [], []
    for _ in range(n_fits):
        other = clone(estimator).set_params(random_state=rng.randint(2**31 - 1)).fit(X, y)
        values = latent_frame(other, X if X_test is None else X_test).to_numpy()
        pairs, angles = matched_correlations(own.to_numpy(), values)
        matched.append(pairs)
        canonical.append(angles)
        shuffled.append(matched_correlations(own.to_numpy(), rng.permutation(values))[0])
        recovered.append(held_out_r2(values, own.to_numpy()))
    mean = np.mean(matched, axis=0)
    table = pd.DataFrame(
        {
            "latent": own.columns,
            "matched": mean,
            "matched_low": np.min(matched, axis=0),
            "recovered": np.mean(recovered, axis=0),
            "comes_back": mean**2 >= LEAST_SHARED,
        }
    )
    return LatentStability(table, np.array(canonical), float(np.mean(shuffled)), float(mean.mean()))
