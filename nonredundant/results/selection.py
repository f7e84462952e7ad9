"""Which features the steps of each fold selected, and how much the folds agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant.folds.fold_data import FoldData
from nonredundant.folds.study import Study
from nonredundant.lesions.blocks import LEFT_OUT
from nonredundant.statistics.selection_stability import selection_stability

SELECTED = ["step", "feature", "n_chosen", "n_fits", "share"]
STABILITY = [
    "step",
    "n_features",
    "fewest",
    "most",
    "stability",
    "low",
    "high",
    "n_fits",
    "reason",
]


def selection_tables(study: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tabulate how often each feature was selected, and the stability of each selecting step.

    A step selects if its fitted attribute `columns_` names fewer columns than it was given.

    Parameters
    ----------
    study : Study
        What was run.

    Returns
    -------
    selected : DataFrame
        `step, feature, n_chosen, n_fits, share`: of each feature that was chosen in any fold, the
        most frequent first.
    stability : DataFrame
        `step, n_features, fewest, most, stability, low, high, n_fits, reason`: the number of
        features to choose from, the fewest and most chosen ones, and
        `statistics.selection_stability`.
    """
    chosen = [_chosen(data) for data in study.data]
    # A step may keep all columns in some folds.
    steps = dict.fromkeys(
        name for fold in chosen for name, (kept, given) in fold.items() if len(kept) < len(given)
    )
    rows, stability = [], []
    for step in steps:
        folds = [fold[step] for fold in chosen if step in fold]
        features = list(dict.fromkeys(one for _, given in folds for one in given))
        matrix = np.array([np.isin(features, kept) for kept, _ in folds], dtype=bool)
        found = selection_stability(matrix)
        sizes = matrix.sum(axis=1)
        stability.append(
            (step, len(features), sizes.min(), sizes.max(), *found[:3], len(folds), found.reason)
        )
        counts = matrix.sum(axis=0)
        rows += [
            (step, features[place], counts[place], len(folds), counts[place] / len(folds))
            for place in np.argsort(-counts, kind="stable")
            if counts[place]
        ]
    return pd.DataFrame(rows, columns=SELECTED), pd.DataFrame(stability, columns=STABILITY)


def _candidates(data: FoldData) -> list[str]:
    """Return the columns that the first step could choose from."""
    table, before = data.table, data.cohort.table.blocks
    every = [*table.columns_of("hcr"), *table.columns_of(LEFT_OUT)]
    return [name for name in every if before.get(name, "hcr") == "hcr"]


def _chosen(data: FoldData) -> dict[str, tuple[list[str], list[str]]]:
    """Return what each step of a fold kept, and what it was given.

    Other steps may have `columns_`, too: those that they changed.
    """
    steps: list[tuple[str, Any]] = [] if data.pipeline is None else data.pipeline.steps
    given, found = _candidates(data), {}
    for name, step in steps:
        columns = set(getattr(step, "columns_", ()))
        if columns and columns.issuperset(data.table.columns_of("hcr")):
            kept = [one for one in given if one in columns]
            found[name] = kept, given
            given = kept
    return found
