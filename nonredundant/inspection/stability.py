"""What a latent means: where it acts, what it follows, whether it comes back, who is unlike."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import check_random_state

from nonredundant._atlas import LatentAtlas, latent_atlas
from nonredundant._generation import lower_bound
from nonredundant._latent_frame import latent_frame
from nonredundant._matching import held_out_r2, matched_correlations

__all__ = [
    "LatentAtlas",
    "LatentStability",
    "latent_atlas",
    "latent_stability",
    "out_of_distribution",
]

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
        # Pictures lie above the numbers: found by name, so that the numbers work without them.
        displays = importlib.import_module("nonredundant.displays")
        return displays.LatentStabilityDisplay.from_stability(self, **kwargs)


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


def out_of_distribution(estimator: Any, reference: Any, X: Any) -> pd.DataFrame:
    """Tell which lesions a model finds unlike those that it knows.

    Parameters
    ----------
    estimator : NonRedundantCVAE or another of its family
        Fitted.
    reference : LesionTable
        Lesions like those of the training cohort. Only if the estimator was not fitted on them
        are the p-values right: its errors are smaller where it was.
    X : LesionTable
        The lesions in question.

    Returns
    -------
    DataFrame
        A row a lesion of X, by its name: `reconstruction` (error in the loss's units), `kl`
        (nats between posterior and prior), their conformal p-values among the reference,
        `reconstruction_p` and `kl_p`, and `p_value` of both by Bonferroni. NaN without an image.

    Notes
    -----
    p = (1 + number of reference values at least as large) / (n + 1) is valid for any model
    (Vovk, Gammerman & Shafer 2005, section 2.2); it cannot be below 1 / (n + 1).

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant import LesionTable
    >>> from nonredundant.contrastive import VAE
    >>> from nonredundant.inspection import out_of_distribution
    >>> noise = np.random.default_rng(0).normal(size=(60, 1, 8, 8))
    >>> table, odd = LesionTable.from_arrays(patches=noise), noise[:2] * 9
    >>> vae = VAE(2, max_epochs=20, random_state=0).fit(table[:30])
    >>> found = out_of_distribution(vae, table[30:], LesionTable.from_arrays(patches=odd))
    >>> bool((found["reconstruction_p"] < 0.05).all())
    True
    """
    known, new = _bound_parts(estimator, reference), _bound_parts(estimator, X)
    out = pd.DataFrame(new, index=X.features.index)
    for name in ("reconstruction", "kl"):
        pool = np.sort(known[name][np.isfinite(known[name])])
        at_least = len(pool) - np.searchsorted(pool, new[name], side="left")
        p = (1 + at_least) / (len(pool) + 1)
        out[f"{name}_p"] = np.where(np.isfinite(new[name]), p, np.nan)
    smallest = out[["reconstruction_p", "kl_p"]].min(axis=1, skipna=False)
    out["p_value"] = (2 * smallest).clip(upper=1.0)
    return out


def _bound_parts(estimator: Any, X: Any) -> dict[str, np.ndarray]:
    """Return reconstruction error and divergence, read off the bound at two weights."""
    error = -lower_bound(estimator, X, 0.0)
    return {"reconstruction": error, "kl": -lower_bound(estimator, X, 1.0) - error}
