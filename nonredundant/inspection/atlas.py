"""Atlas of the latents of a fitted model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays.atlas import LatentAtlasDisplay
from nonredundant.inspection.correlations import rank_correlations
from nonredundant.lesions.images import image_names
from nonredundant.models.base import LEAST_VARIANCE
from nonredundant.models.latents import latent_frame, latent_names


@dataclass(frozen=True)
class LatentAtlas:
    """Effect and correlates of each latent; made by `latent_atlas`.

    Attributes
    ----------
    table : DataFrame
        One row per latent: `variance` of its values; `image_share`, its share of the change in the
        images; `dead`, whether it collapsed; the hand-crafted `feature` with the strongest
        correlation and `correlation, low, high, p_holm`; on request its `weight` in a classifier
        and the columns of `LatentStability.table`.
    correlations : DataFrame
        `latent, feature, correlation, low, high, p_value, p_holm`: Spearman's, with 95 %
        intervals (Bonett & Wright 2000, Psychometrika 65, 23).
    maps : array of shape (n_latents, C, ...)
        Mean absolute change of the image, in its units, when the latent varies by one standard
        deviation; 0 outside the lesions.
    channels : tuple of str
        Names of the images of the channels, if there are several. `image_share` counts the change
        of each in units of its own spread.

    See Also
    --------
    nonredundant.displays.LatentAtlasDisplay : Draw the atlas.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant import LesionTable, NonRedundantCVAE
    >>> from nonredundant.inspection import latent_atlas
    >>> rng = np.random.default_rng(0)
    >>> table = LesionTable.from_arrays(
    ...     patches=rng.normal(size=(20, 1, 8, 8)), features=rng.normal(size=(20, 3))
    ... )
    >>> cvae = NonRedundantCVAE(dlr_size=2, max_epochs=2, random_state=0).fit(table)
    >>> atlas = latent_atlas(cvae, table)
    >>> atlas.correlations.shape  # each latent with each feature
    (6, 7)
    """

    table: pd.DataFrame
    correlations: pd.DataFrame
    maps: np.ndarray
    channels: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """Return the table for a notebook, with as many digits as are of use."""
        return self.table.to_html(index=False, float_format="{:.3g}".format, na_rep="")

    def plot(self, **kwargs: Any) -> Any:
        """Draw the atlas.

        Parameters
        ----------
        **kwargs
            Passed to `LatentAtlasDisplay.from_atlas`.

        Returns
        -------
        LatentAtlasDisplay
            The display, with `ax_` and `figure_`.
        """
        return LatentAtlasDisplay.from_atlas(self, **kwargs)


def latent_atlas(
    estimator: Any,
    X: Any,
    *,
    features: Any = None,
    classifier: Any = None,
    stability: Any = None,
    n_lesions: int = 30,
) -> LatentAtlas:
    """Describe each latent of a fitted model.

    Parameters
    ----------
    estimator : NonRedundantCVAE or another estimator with latents
        Fitted.
    X : LesionTable
        Lesions with patches; preferably not those of the training set.
    features : DataFrame of shape (n_lesions, n_features), optional
        Features to correlate with the latents; by default the hand-crafted ones of the table.
    classifier : fitted classifier with `coef_` or `feature_importances_`, optional
        Fitted on `estimator.transform(X)`, so that its weights belong to these columns.
    stability : LatentStability, optional
        Result of `latent_stability` for the same estimator.
    n_lesions : int, default=30
        Number of lesions, evenly spaced in X, for which the latents are varied.

    Returns
    -------
    LatentAtlas
        Tables and maps.

    Raises
    ------
    ValueError
        If X has no patches or fewer than four lesions, or the classifier was not fitted on the
        columns of the estimator.

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
            f"an atlas needs at least four lesions with patches, got {len(X.features)} lesions "
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
    return LatentAtlas(table, correlations, maps, tuple(image_names(X)))


def _difference_maps(
    estimator: Any, X: Any, sd: pd.Series, n_lesions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute absolute change per voxel and mean squared change by one SD of each latent."""
    rows = np.unique(np.linspace(0, len(X) - 1, min(n_lesions, len(X))).round().astype(int))
    part = X[rows]
    inside = np.ones_like(part.patches, dtype=bool) if part.masks is None else part.masks > 0
    maps, change = [], []
    unit = _units(estimator, part)
    for name in latent_names(estimator):
        ends = estimator.traverse(part, name, [-sd[name] / 2, sd[name] / 2])
        difference = np.where(inside, ends[:, 1] - ends[:, 0], 0.0)
        maps.append(np.abs(difference).mean(axis=0))
        change.append(np.mean((difference / unit) ** 2))
    return np.array(maps), np.array(change)


def _units(estimator: Any, table: Any) -> Any:
    """Return the spread of the intensities of each channel, whose changes are added; 1 of one."""
    n_channels = table.patches.shape[1]
    if n_channels == 1:
        return 1.0
    scale = estimator.net_.module_.scaler.scale.cpu().numpy()
    return scale.reshape(-1, *(1,) * (table.patches.ndim - 2))


def _weights(estimator: Any, classifier: Any, latents: Any) -> np.ndarray:
    """Return the |weight| of each latent in a classifier: the largest over classes."""
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
