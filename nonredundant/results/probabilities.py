"""Paired differences of what probabilities are worth, for two classes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nonredundant.folds.out_of_fold import OutOfFold
from nonredundant.folds.study import Study
from nonredundant.statistics.probability_differences import probability_differences

_PAIR = ["feature_set", "reference", "classifier"]
_COLUMNS = [*_PAIR, "measure", "threshold", "estimate", "low", "high", "p_value", "reason"]


def probability_table(
    study: Study, held: OutOfFold, ensembles: dict[tuple[str, str], np.ndarray] | None
) -> pd.DataFrame:
    """Compare the probabilities of each set with those of its references.

    Parameters
    ----------
    study : Study
        What was run.
    held : OutOfFold
        Out-of-fold responses.
    ensembles : dict of (str, str) to array, or None
        Mean responses of the fold models to the held-out test set, which are compared in their
        place where there is one.

    Returns
    -------
    DataFrame
        `feature_set, reference, classifier`, then the columns of
        `statistics.probability_differences`; empty unless there are two classes. Classifiers
        without probabilities are left out.
    """
    parts = []
    if len(study.outcome.classes) == 2:
        outcome, groups = study.outcome, study.groups
        folds: np.ndarray | None = held.folds
        scores = {pair: values[..., -1] for pair, values in held.responses.items()}
        if ensembles is not None and study.outcome.test is not None:
            outcome, groups, folds = study.outcome.test, study.cohort.test_groups, None
            scores = {pair: values[:, -1] for pair, values in ensembles.items()}
        scores = {pair: values for pair, values in scores.items() if _is_probability(values)}
        for name, reference in ((s.name, other) for s, other in study.pairs()):
            for classifier in study.estimators:
                a, b = (scores.get((one, classifier)) for one in (name, reference))
                if a is None or b is None:
                    continue
                part = probability_differences(outcome.y, a, b, folds=folds, groups=groups)
                place = zip(_PAIR, (name, reference, classifier), strict=True)
                parts.append(part.assign(**dict(place)))
    if not parts:
        return pd.DataFrame(columns=_COLUMNS)
    return pd.concat(parts, ignore_index=True)[_COLUMNS]


def _is_probability(values: np.ndarray) -> bool:
    """Return whether all responses that are known lie between 0 and 1."""
    known = values[~np.isnan(values)]
    return bool(((known >= 0) & (known <= 1)).all())
