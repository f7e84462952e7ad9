"""Which features the steps of each fold selected, and how much the folds agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant.folds.fold_data import FoldData
from nonredundant.folds.study import Study
from nonredundant.lesions.blocks import LEFT_OUT
from nonredundant.lesions.table import LesionTable
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
    steps = dict.fromkeys(name for fold in chosen for name, (_, fewer) in fold.items() if fewer)
    features = list(dict.fromkeys(one for data in study.data for one in _candidates(data.table)))
    rows, stability = [], []
    for step in steps:
        folds = [fold[step][0] for fold in chosen if step in fold]
        matrix = np.array([np.isin(features, fold) for fold in folds], dtype=bool)
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


def _candidates(table: LesionTable) -> list[str]:
    """Return the columns that steps could choose from."""
    return [*table.columns_of("hcr"), *table.columns_of(LEFT_OUT)]


def _chosen(data: FoldData) -> dict[str, tuple[list[str], bool]]:
    """Return what the steps of a fold kept of what they were given, and whether this was less.

    Other steps may have `columns_`, too: those that they changed.
    """
    steps: list[tuple[str, Any]] = [] if data.pipeline is None else data.pipeline.steps
    given, found = _candidates(data.table), {}
    for name, step in steps:
        columns = set(getattr(step, "columns_", ()))
        if columns and columns.issuperset(data.table.columns_of("hcr")):
            kept = [one for one in given if one in columns]
            found[name] = kept, len(kept) < len(given)
            given = kept
    return found
