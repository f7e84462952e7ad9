"""Which hand-crafted features the folds found stable, where a step `StableFeatures` asked."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from nonredundant.folds.fold_data import FoldData
from nonredundant.folds.stable_features import StableFeatures
from nonredundant.inspection.repeatability import family_of

COLUMNS = [
    "column",
    "family",
    "icc",
    "low",
    "high",
    "kept",
    "n_samples",
    "n_repeats",
    "kind",
    "threshold",
    "bound",
]


def stability_table(data: Sequence[FoldData]) -> pd.DataFrame:
    """Average the intraclass correlations of hand-crafted features over the folds.

    Parameters
    ----------
    data : sequence of FoldData
        The folds after their steps.

    Returns
    -------
    DataFrame
        `column, family, icc, low, high, kept, n_samples, n_repeats, kind, threshold, bound`: a row
        per feature that a fold's first such step saw, with means over the folds; `kept` is the
        share of folds that kept it. Empty without such a step.
    """
    found = []
    for fold in data:
        steps = [] if fold.pipeline is None else [step for _, step in fold.pipeline.steps]
        stable = [step for step in steps if isinstance(step, StableFeatures)]
        found += [
            step.icc_.assign(kind=step.kind, threshold=step.threshold, bound=step.bound)
            for step in stable[:1]
        ]
    if not found:
        return pd.DataFrame(columns=COLUMNS)
    every = pd.concat(found).rename(columns={"stable": "kept"})
    how = dict.fromkeys(("icc", "low", "high", "kept", "n_samples", "n_repeats"), "mean")
    how |= dict.fromkeys(("kind", "threshold", "bound"), "first")
    table = every.astype({"kept": float}).groupby("column", sort=False).agg(how).reset_index()
    table["family"] = [family_of(name) for name in table["column"]]
    return table[COLUMNS]
