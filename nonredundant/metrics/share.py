"""How much of the latents' variance the known features explain."""

from __future__ import annotations

from typing import Any

from nonredundant.metrics import predictability as prediction
from nonredundant.metrics.latents import explained_share as share_of_scores
from nonredundant.metrics.prepared import prepare


def explained_share(
    h: Any, d: Any, *, cv: int = 5, groups: Any = None, random_state: Any = None
) -> float:
    """Return the share of the variance of d that h explains, out of fold.

    The mean over the latents of their R² given h, by ridge and kernel ridge regressions and a
    forest that are combined per latent by non-negative weights whose sum is at most 1. The latents
    have equal weight, as their columns are normal scores.

    Parameters
    ----------
    h, d : array-like, DataFrame or LesionTable of shape (n, n_h), (n, n_d)
        Features of the same n samples in the same row order, held out from the training of the
        model that made d.
    cv : int, default=5
        Folds of the forest; the regressions leave out one row, or one group, at a time.
    groups : array-like of shape (n,), optional
        Rows of one group are left out together.
    random_state : int, RandomState or None, default=None
        Seed of the forest and its folds.

    Returns
    -------
    float
        Between 0 and 1. As the weights are chosen on the same rows, it is somewhat above 0 at
        independence, less so the more rows there are: "r2-of-latents" of `redundancy_report`
        has the test.

    Raises
    ------
    ValueError
        For input that `redundancy_report` rejects.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> h = rng.normal(size=(300, 3))
    >>> d = h + rng.normal(size=(300, 3))
    >>> 0.4 < explained_share(h, d, random_state=0) < 0.6  # the truth is 0.5
    True
    """
    pair = prepare(h, d, 0, cv, random_state, groups)
    forest = prediction.forest_predictor(pair.h, pair.folds, pair.seed)
    return share_of_scores(pair.h, pair.d, pair.groups, forest)
