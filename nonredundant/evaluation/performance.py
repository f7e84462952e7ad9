"""What the folds of a saved model say of it: scores of samples that its fold models did not see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.statistics.calibration import calibration_summary
from nonredundant.statistics.cross_validation import (
    cross_validated_auc,
    cross_validated_auc_difference,
)
from nonredundant.statistics.estimates import Difference, Estimate
from nonredundant.statistics.resampling import resampled_interval, resampled_test
from nonredundant.statistics.survival import concordance_index

#: Name of the score of two classes, of several, and of times.
AUC, AUC_OVR, CONCORDANCE = "AUC", "AUC, one against the rest", "concordance index"
GAIN = "gain over the known features"
#: Columns of a table of scores.
COLUMNS = ["measure", "estimate", "low", "high", "reason"]
#: Why a calibration slope is not estimable.
NO_SLOPE = "too few cases, or separated classes"


def score_name(n_classes: int) -> str:
    """Return the name of the score of this many classes; of times to an event, if there is none.

    Examples
    --------
    >>> score_name(2), score_name(0)
    ('AUC', 'concordance index')
    """
    return CONCORDANCE if not n_classes else AUC if n_classes == 2 else AUC_OVR


def has_probabilities(response: np.ndarray, n_classes: int) -> bool:
    """Return whether responses are the probabilities of all classes.

    Examples
    --------
    >>> has_probabilities(np.array([[0.2, 0.8]]), 2)
    True
    """
    return n_classes > 1 and response.shape[1] == n_classes and bool((response >= 0).all())


def training_performance(held: Mapping[str, np.ndarray], n_classes: int) -> pd.DataFrame:
    """Score the predictions of held-out training samples.

    Parameters
    ----------
    held : mapping of str to array
        `FeatureSetClassifier.out_of_fold_`.
    n_classes : int
        Number of classes; 0 for times to an event.

    Returns
    -------
    DataFrame
        `measure, estimate, low, high, reason`: the score, that of the known features alone and the
        gain over them where they were fitted, and for two classes the calibration.
    """
    scored = _scored_auc(held) if n_classes == 2 else _scored_folds(held, n_classes)
    name = score_name(n_classes)
    shown = {"response": name, "reference": f"{name} of the known features"}
    table = [(shown.get(one, one), *found[:3], found.reason) for one, found in scored.items()]
    if n_classes == 2 and has_probabilities(held["response"], n_classes):
        found = calibration_summary(held["y"], held["response"][:, 1], groups=held.get("group"))
        for one in ("intercept", "slope"):
            reason = "" if found[one] == found[one] else NO_SLOPE
            ends = found[f"{one}_low"], found[f"{one}_high"]
            table.append((f"calibration {one}", found[one], *ends, reason))
    return pd.DataFrame(table, columns=COLUMNS)


def _responses(held: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the responses of the model, and of its known features alone where there are any."""
    return {name: held[name] for name in ("response", "reference") if name in held}


def _scored_auc(held: Mapping[str, np.ndarray]) -> dict[str, Estimate | Difference]:
    """Return the cross-validated AUC of each model of two classes, and their difference."""
    y, groups = held["y"], held.get("group")
    # A fold without one of the classes ranks nothing.
    both = [k for k in np.unique(held["fold"]) if len(np.unique(y[held["fold"] == k])) == 2]
    folds = np.where(np.isin(held["fold"], both), held["fold"], -1)
    scores = {name: values[:, -1] for name, values in _responses(held).items()}
    if not both:
        return _no_fold(scores)
    found: dict[str, Estimate | Difference] = {
        name: cross_validated_auc(y, score, folds, groups=groups) for name, score in scores.items()
    }
    if len(scores) > 1:
        pair = scores["response"], scores["reference"]
        found[GAIN] = cross_validated_auc_difference(y, pair[0], pair[1], folds, groups=groups)
    return found


def _scored_folds(
    held: Mapping[str, np.ndarray], n_classes: int
) -> dict[str, Estimate | Difference]:
    """Return the mean score over folds of each model of several classes or of times."""
    scores = {name: _fold_scores(held, name, n_classes) for name in _responses(held)}
    if not len(scores["response"]):
        return _no_fold(scores)
    n, n_folds = len(held["fold"]), len(np.unique(held["fold"]))
    sizes = n - n / n_folds, n / n_folds
    found: dict[str, Estimate | Difference] = {
        name: resampled_interval(values, *sizes) for name, values in scores.items()
    }
    if len(scores) > 1:
        found[GAIN] = resampled_test(scores["response"] - scores["reference"], *sizes)
    return found


def _no_fold(names: Iterable[str]) -> dict[str, Estimate | Difference]:
    """Return the scores of models where no fold can be scored."""
    nothing, reason = float("nan"), "no fold holds every class, or an event"
    return {name: Estimate(nothing, nothing, nothing, reason) for name in names}


def _fold_scores(held: Mapping[str, np.ndarray], name: str, n_classes: int) -> np.ndarray:
    """Return the score of each fold that can be scored, of several classes or of times."""
    from sklearn.metrics import roc_auc_score

    scores: list[float] = []
    for k in np.unique(held["fold"]):
        rows: Any = held["fold"] == k
        if not n_classes:
            event, time = held["event"][rows], held["time"][rows]
            # An event after which nobody is followed up is in no pair of known order.
            if event.any() and time[event].min() < time.max():
                scores.append(concordance_index(event, time, held[name][rows, -1]))
        elif len(np.unique(held["y"][rows])) == n_classes:
            scores.append(roc_auc_score(held["y"][rows], held[name][rows], multi_class="ovr"))
    return np.array(scores)
