"""What a comparison says of each centre, of how centres differ, and of what codes the centre."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant.folds.centres import centre_names
from nonredundant.folds.fold_data import prepare
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.splits import Fold
from nonredundant.folds.study import FitResults, Study
from nonredundant.lesions.measures import pool_samples
from nonredundant.metrics.centres import CentreCoding, centre_coding, centre_folds, coding_of
from nonredundant.statistics.delong import auc_covariance, delong_interval, delong_test
from nonredundant.statistics.heterogeneity import Heterogeneity, heterogeneity

BY_CENTRE = [
    "centre",
    "n",
    "events",
    "feature_set",
    "reference",
    "classifier",
    "metric",
    "score",
    "error",
    "low",
    "high",
    "difference",
    "difference_error",
    "difference_low",
    "difference_high",
    "p_value",
    "reason",
]
#: Which sets and which classifier a row is about.
_PLACE = ["feature_set", "reference", "classifier", "metric"]
HETEROGENEITY = [*_PLACE, "what", *Heterogeneity.__annotations__, "left_out"]
CODING = ["features", *CentreCoding.__annotations__]
_AUC_ONLY = "errors of one centre are known for the AUC of two classes only"


def centre_table(study: Study, results: FitResults, scores: pd.DataFrame) -> pd.DataFrame:
    """Score every set in the centres that the folds left out, by the first metric.

    Parameters
    ----------
    study : Study
        What was run.
    results : FitResults
        The responses of its classifiers.
    scores : DataFrame
        The scores of the folds.

    Returns
    -------
    DataFrame
        The columns of `BY_CENTRE`, a row per centre, set and classifier; empty unless the folds
        leave out centres. Intervals are DeLong's, of models taken as given.
    """
    if study.left_in is None:
        return pd.DataFrame(columns=BY_CENTRE)
    names, metric = centre_names(study.cohort.centres), next(iter(study.options.scorers))
    first = scores[scores["metric"] == metric]
    known = first.set_index(["feature_set", "classifier", "fold"])["score"]
    rows = []
    for feature_set in study.sets:
        reference = next(iter(study.references[feature_set.name]), "")
        for classifier in study.estimators:
            if (feature_set.name, classifier) not in results.held.responses:
                continue
            place = dict(
                zip(_PLACE, (feature_set.name, reference, classifier, metric), strict=True)
            )
            for fold in study.folds:
                head = _head(study.outcome, names, str(names[fold.test[0]]))
                score = float(known[feature_set.name, classifier, fold.fold])
                rows.append(head | place | {"score": score} | _errors(study, results, place, fold))
            rows += [
                _head(study.outcome, names, centre)
                | place
                | {"reason": f"always trained on, since it has {reason}"}
                for centre, reason in study.left_in.items()
            ]
    return pd.DataFrame(rows, columns=BY_CENTRE)


def _head(outcome: Outcome, names: np.ndarray, centre: str) -> dict[str, Any]:
    """Return a centre with its number of samples and of events."""
    own = outcome.strata[names == centre]
    if outcome.kind == "numbers":
        return {"centre": centre, "n": len(own), "events": np.nan}
    k = len(outcome.states)
    # Of more than two classes there is no event; the rarest one limits what can be said.
    events = np.bincount(own, minlength=k)[-1] if k == 2 else np.bincount(own, minlength=k).min()
    return {"centre": centre, "n": len(own), "events": int(events)}


def _errors(study: Study, results: FitResults, place: dict[str, str], fold: Fold) -> dict[str, Any]:
    """Return errors and intervals of score and difference in the centre that a fold held out."""
    of_auc = place["metric"] == "roc_auc" and len(study.outcome.classes) == 2
    own, other = (
        None
        if (one, place["classifier"]) not in results.held.responses
        else results.held.mean(one, place["classifier"])[fold.test][:, -1]
        for one in (place["feature_set"], place["reference"])
    )
    if not of_auc or own is None:
        return {"reason": _AUC_ONLY}
    y = study.outcome.y[fold.test]
    groups = None if study.groups is None else study.groups[fold.test]
    interval = delong_interval(y, own, groups=groups)
    reason = interval.reason
    found = {
        "error": float(np.sqrt(auc_covariance(y, own, groups=groups)[0, 0])),
        "low": interval.low,
        "high": interval.high,
    }
    if other is not None:
        (aa, ab), (_, bb) = auc_covariance(y, own, other, groups=groups)
        test = delong_test(y, own, other, groups=groups)
        found |= {
            "difference": test.estimate,
            "difference_error": float(np.sqrt(max(aa + bb - 2 * ab, 0.0))),
            "difference_low": test.low,
            "difference_high": test.high,
            "p_value": test.p_value,
        }
        reason = reason or test.reason
    if np.isnan(interval.low) and groups is not None:
        # Too few groups have no error, whatever their cases say.
        found |= {name: np.nan for name in ("error", "difference_error") if name in found}
    return found | {"reason": reason}


def heterogeneity_table(by_centre: pd.DataFrame) -> pd.DataFrame:
    """Combine the scores and differences of the centres by a random-effects model.

    Parameters
    ----------
    by_centre : DataFrame
        What `centre_table` returned.

    Returns
    -------
    DataFrame
        The columns of `HETEROGENEITY`, a row per set and classifier for the score and one for the
        difference; only those that have an error. `left_out` names the centres with an estimate
        that is not in the mean, as it has no error: such as an AUC of 1.
    """
    rows = []
    for names, group in by_centre.groupby(_PLACE, sort=False):
        place = dict(zip(_PLACE, names, strict=True))
        for what, error in (("score", "error"), ("difference", "difference_error")):
            values = group[[what, error]].astype(float)
            if values[error].notna().any():
                found = heterogeneity(values[what], values[error])
                left_out = _without_error(group["centre"], values[what], values[error])
                # A t interval is unbounded, an AUC and a difference of two are not.
                low, high = np.clip((found.low, found.high), 0.0 if what == "score" else -1.0, 1.0)
                own = {"what": what, **found._replace(low=low, high=high)._asdict()}
                rows.append({**place, **own, "left_out": left_out})
    return pd.DataFrame(rows, columns=HETEROGENEITY)


def _without_error(centres: pd.Series, values: pd.Series, errors: pd.Series) -> str:
    """Name the centres with an estimate that has no error, or none that is known."""
    found = zip(centres, values, errors, strict=True)
    return ", ".join(
        f"{name} ({value:.3f})" for name, value, e in found if value == value and not e > 0
    )


def coding_table(study: Study, results: FitResults) -> pd.DataFrame:
    """Predict the centre out of fold from hand-crafted and from learned features.

    Learned features are those of one network that was trained without labels on the whole cohort;
    hand-crafted ones are also taken after the steps, which are fitted on the training part of each
    fold.

    Parameters
    ----------
    study : Study
        What was run.
    results : FitResults
        Its networks.

    Returns
    -------
    DataFrame
        The columns of `CODING`, a row per kind of features; empty without centres.
    """
    cohort = study.cohort
    if cohort.centres is None:
        return pd.DataFrame(columns=CODING)
    names, groups, seed = centre_names(cohort.centres), study.groups, study.folds[0].seed
    options: dict[str, Any] = {"groups": groups, "random_state": seed}
    found: dict[str, CentreCoding] = {}
    hcr = pool_samples(cohort.table, cohort.table.hcr)[: cohort.n]
    if hcr.shape[1]:
        found["HCR"] = centre_coding(hcr, names, **options)
    folds = centre_folds(names, groups, seed)
    if hcr.shape[1] and cohort.steps:
        found["HCR after the steps"] = coding_of(
            [(train, test, _after_steps(study, test, seed)) for train, test in folds],
            names,
            **options,
        )
    if results.whole_data is not None:
        for variant, learned in results.whole.items():
            latents = results.whole_data.train_of(learned.samples.to_numpy())
            found[variant.name] = centre_coding(latents, names, **options)
    rows = [{"features": name, **coding._asdict()} for name, coding in found.items()]
    return pd.DataFrame(rows, columns=CODING)


def _after_steps(study: Study, test: np.ndarray, seed: int) -> np.ndarray:
    """Return the hand-crafted features after steps that are fitted on all but some samples."""
    cohort = study.cohort
    fold = Fold(0, 0, np.setdiff1d(np.arange(cohort.n), test), test, seed)
    table = prepare(cohort, fold).table
    return pool_samples(table, table.hcr)[: cohort.n].to_numpy(dtype=float)
