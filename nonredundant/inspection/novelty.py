"""Detection of lesions that differ from a reference cohort, by conformal p-values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant.models.base import lower_bound


def out_of_distribution(estimator: Any, reference: Any, X: Any) -> pd.DataFrame:
    """Compute conformal p-values of lesions against a reference cohort.

    Parameters
    ----------
    estimator : NonRedundantCVAE or another estimator with latents
        Fitted.
    reference : LesionTable
        Lesions like those of the training cohort, but not the training cohort itself: there the
        reconstruction errors are smaller, and the p-values would be wrong.
    X : LesionTable
        Lesions to be tested.

    Returns
    -------
    DataFrame
        One row per lesion of X, indexed by its name: `reconstruction` (error in the units of the
        loss), `kl` (divergence of posterior and prior in nats), their conformal p-values
        `reconstruction_p` and `kl_p`, and `p_value`, of both by Bonferroni. NaN without an image.

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
