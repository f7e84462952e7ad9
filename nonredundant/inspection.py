"""What a latent means: where it acts, what it follows, whether it comes back, who is unlike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import check_random_state

from nonredundant._generation import LEAST_VARIANCE, lower_bound
from nonredundant._latent_frame import latent_frame, latent_names
from nonredundant._matching import held_out_r2, matched_correlations, rank_correlations

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
class LatentAtlas:
    """What each latent does; made by `latent_atlas`.

    Parameters
    ----------
    table : DataFrame
        A row a latent: `variance` of its values; `image_share`, its part of the change in the
        images; `dead`; the hand-crafted `feature` that it follows most closely with
        `correlation, low, high, p_holm`; where asked for, its `weight` in a classifier and how
        it was `matched` under other seeds.
    correlations : DataFrame
        `latent, feature, correlation, low, high, p_value, p_holm`: Spearman's, with 95 %
        intervals (Bonett & Wright 2000, Psychometrika 65, 23).
    maps : array of shape (n_latents, C, *spatial)
        Mean absolute change of the image, in its units, when the latent varies by one standard
        deviation; 0 outside the lesions.

    See Also
    --------
    nonredundant.displays.LatentAtlasDisplay : Draws it.
    """

    table: pd.DataFrame
    correlations: pd.DataFrame
    maps: np.ndarray

    def plot(self, **kwargs: Any) -> Any:
        """Draw the atlas.

        Parameters
        ----------
        **kwargs
            Handed to `LatentAtlasDisplay.from_atlas`.

        Returns
        -------
        LatentAtlasDisplay
            The display, with `ax_` and `figure_`.
        """
        import importlib

        # Pictures lie above the numbers: found by name, so that the numbers work without them.
        displays = importlib.import_module("nonredundant.displays")
        return displays.LatentAtlasDisplay.from_atlas(self, **kwargs)


def latent_atlas(
    estimator: Any,
    X: Any,
    *,
    features: Any = None,
    classifier: Any = None,
    stability: LatentStability | None = None,
    n_lesions: int = 30,
) -> LatentAtlas:
    """Describe each latent of a fitted model.

    Parameters
    ----------
    estimator : NonRedundantCVAE or another of its family
        Fitted.
    X : LesionTable
        Lesions with patches; preferably ones that the estimator was not fitted on.
    features : DataFrame of shape (n_lesions, n_features), optional
        What the latents may follow; by default the table's hand-crafted features.
    classifier : fitted classifier with `coef_` or `feature_importances_`, optional
        Fitted on `estimator.transform(X)`, so that its weights are those of its columns.
    stability : LatentStability, optional
        What `latent_stability` found for the same estimator.
    n_lesions : int, default=30
        Number of lesions, evenly spaced in X, whose images are varied.

    Returns
    -------
    LatentAtlas
        Tables and maps.

    Raises
    ------
    ValueError
        If X has no patches, there are fewer than four lesions, or the classifier's weights are
        not those of the estimator's columns.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable, NonRedundantCVAE
    >>> from nonredundant.inspection import latent_atlas
    >>> rng = np.random.default_rng(0)
    >>> table = LesionTable.from_arrays(
    ...     patches=rng.normal(size=(20, 1, 8, 8)),
    ...     features=pd.DataFrame({"volume": rng.normal(size=20)}),
    ... )
    >>> cvae = NonRedundantCVAE(dlr_size=2, max_epochs=2, random_state=0).fit(table)
    >>> atlas = latent_atlas(cvae, table)
    >>> atlas.table["latent"].tolist(), atlas.maps.shape
    (['dlr00', 'dlr01'], (2, 1, 8, 8))
    """
    if X.patches is None or len(X.features) < 4:
        raise ValueError(
            f"an atlas needs four lesions or more with patches, got {len(X.features)} lesions "
            f"{'without patches' if X.patches is None else ''}".rstrip()
        )
    latents = latent_frame(estimator, X)
    variance = latents.var(ddof=0)
    maps, change = _difference_maps(estimator, X, np.sqrt(variance), n_lesions)
    table = pd.DataFrame({"latent": latents.columns, "variance": variance.to_numpy()})
    table["image_share"] = change / max(change.sum(), np.finfo(float).tiny)
    table["dead"] = table["variance"] < LEAST_VARIANCE
    h = X.hcr if features is None else features
    correlations = rank_correlations(latents, h.reset_index(drop=True))
    if len(correlations):
        strength = correlations.assign(size=correlations["correlation"].abs())
        strongest = strength.sort_values("size", kind="stable").groupby("latent").tail(1)
        columns = ["latent", "feature", "correlation", "low", "high", "p_holm"]
        table = table.merge(strongest[columns], on="latent", how="left")
    if classifier is not None:
        table["weight"] = _weights(estimator, classifier, latents.columns)
    if stability is not None:
        table = table.merge(stability.table, on="latent", how="left", validate="1:1")
    return LatentAtlas(table, correlations, maps)


def _difference_maps(
    estimator: Any, X: Any, sd: pd.Series, n_lesions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return where each latent acts, and its mean squared change, by one standard deviation."""
    rows = np.unique(np.linspace(0, len(X) - 1, min(n_lesions, len(X))).round().astype(int))
    part = X[rows]
    inside = np.ones_like(part.patches, dtype=bool) if part.masks is None else part.masks > 0
    maps, change = [], []
    for name in latent_names(estimator):
        ends = estimator.traverse(part, name, [-sd[name] / 2, sd[name] / 2])
        difference = np.where(inside, ends[:, 1] - ends[:, 0], 0.0)
        maps.append(np.abs(difference).mean(axis=0))
        change.append(np.mean(difference**2))
    return np.array(maps), np.array(change)


def _weights(estimator: Any, classifier: Any, latents: Any) -> np.ndarray:
    """Return a classifier's |weight| of each latent: the largest over classes."""
    found = getattr(classifier, "coef_", None)
    if found is None:
        found = getattr(classifier, "feature_importances_", None)
    names = estimator.get_feature_names_out().tolist()
    if found is None or np.shape(found)[-1] != len(names):
        raise ValueError(
            f"classifier must be fitted on the estimator's {len(names)} columns and have coef_ or "
            f"feature_importances_, got {classifier!r}"
        )
    size = np.abs(np.atleast_2d(found)).max(axis=0)
    return size[[names.index(name) for name in latents]]


@dataclass(frozen=True)
class LatentStability:
    """How much of a model comes back under other seeds; made by `latent_stability`.

    Parameters
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
        import importlib

        # As in `LatentAtlas.plot`.
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
