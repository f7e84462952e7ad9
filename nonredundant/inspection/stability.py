"""Which latents come back when the network is trained with other seeds."""

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

#: A latent comes back if its match under other seeds shares half of its variance.
LEAST_SHARED = 0.5


@dataclass(frozen=True)
class LatentStability:
    """How much of a model comes back under other seeds; made by `latent_stability`.

    Attributes
    ----------
    table : DataFrame
        A row a latent: `matched`, the mean |correlation| with its partner in each other fit;
        `matched_low`, the worst; `recovered`, the mean held-out R² of a ridge regression of it
        on all latents of another fit, which a rotation does not change; `comes_back`, whether
        `matched` shares half of its variance.
    canonical : array of shape (n_fits, n_latents)
        Canonical correlations of the model's latents with those of each other fit.
    chance : float
        Mean |correlation| of partners if the rows of the other fits are shuffled.
    score : float
        Mean of `matched` over latents: 1 for the same latents but for order and sign.
    """

    table: pd.DataFrame
    canonical: np.ndarray
    chance: float
    score: float

    def plot(self, **kwargs: Any) -> Any:
        """Draw matched and recovered shares of each latent.

        Parameters
        ----------
        **kwargs
            Handed to `LatentStabilityDisplay.from_stability`.

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
    """Fit a model again under other seeds and tell which latents come back.

    Parameters
    ----------
    estimator : NonRedundantCVAE or another of its family
        Fitted; it is not changed.
    X : LesionTable
        The lesions on which it was fitted, and on which its clones are.
    y : array-like of shape (n_samples,), optional
        Their labels, for models that learn from them.
    X_test : LesionTable, optional
        Lesions whose latents are compared; by default X.
    n_fits : int, default=4
        Number of further fits: with the estimator's own, five seeds.
    random_state : int, RandomState or None, default=None
        Where their seeds come from.

    Returns
    -------
    LatentStability
        Scores of the latents and of the whole.

    Raises
    ------
    ValueError
        If `n_fits` is below 1.

    Notes
    -----
    Partners are assigned so that the sum of |correlation| is largest (Hungarian method), each
    latent to one. A VAE's prior does not know directions, so it may find the same space in
    other coordinates: `matched` is low and `recovered` and `canonical` are high then.

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
