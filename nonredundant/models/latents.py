"""The latents of an estimator as a data frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

_LATENTS = r"^(dlr|common|salient|latent)\d+$"


def latent_names(estimator: Any) -> list[str]:
    """Return the names of the latents in the output of an estimator."""
    names = pd.Index(estimator.get_feature_names_out())
    found = names[names.str.match(_LATENTS)].tolist()
    if not found:
        raise ValueError(f"{estimator!r} has no latents in its output: set output='dlr' or 'fused'")
    return found


def latent_frame(estimator: Any, X: Any) -> pd.DataFrame:
    """Return the latents of each lesion, one named column per latent."""
    names = latent_names(estimator)
    kept = np.isin(estimator.get_feature_names_out().astype(str), names)
    values = estimator.transform(X)
    values = getattr(values, "features", values)
    return pd.DataFrame(np.asarray(values)[:, kept], columns=names)
