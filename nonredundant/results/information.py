"""Whether learned features say something of the outcome beyond the hand-crafted ones."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from nonredundant.folds.feature_sets import FeatureSet
from nonredundant.folds.fold_data import FoldData
from nonredundant.folds.networks import Learned
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.study import FitResults, Study
from nonredundant.lesions.features import impute_medians
from nonredundant.statistics.added_information import (
    AddedInformation,
    added_information_of_residuals,
    class_residuals,
    martingale_residuals,
    projected_covariance,
)

COLUMNS = [
    "feature_set",
    "reference",
    "classifier",
    "method",
    "statistic",
    "null_95",
    "p_value",
    "n_permutations",
    "n_samples",
    "reason",
]
N_PERMUTATIONS = 999


def information_table(study: Study, results: FitResults) -> pd.DataFrame:
    """Test every fused set against the set without its learned features, by each classifier.

    Latents come from a network that was trained without labels on the whole cohort, so that one
    coordinate system serves all samples. A network that labels affect is trained per fold, and its
    latents are compared within the fold that held them out. The permutation test is exact if the
    latents are independent of the known columns; latents of the whole cohort are also tested by
    the projected covariance measure, which allows for linear dependence.

    Parameters
    ----------
    study : Study
        What was run.
    results : FitResults
        Its networks, and the responses of the classifiers, which give the residuals of the
        outcome.

    Returns
    -------
    DataFrame
        `feature_set, reference, classifier, method, statistic, null_95, p_value, n_permutations,
        n_samples, reason`.
    """
    rows = []
    for feature_set, reference in study.informed():
        known, latents, strata = _tested_columns(study, results, feature_set)
        for classifier in study.estimators:
            if (reference, classifier) not in results.held.responses:
                continue
            residuals = outcome_residuals(study.outcome, results.held.mean(reference, classifier))
            head = {
                "feature_set": feature_set.name,
                "reference": reference,
                "classifier": classifier,
            }
            tests = _tests(study, residuals, latents, known, strata)
            rows += [head | asdict(test) for test in tests]
    return pd.DataFrame(rows, columns=COLUMNS)


def _tested_columns(
    study: Study, results: FitResults, feature_set: FeatureSet
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    """Return known columns, latents and strata: of the whole cohort, or of the held-out folds."""
    variant = feature_set.variant
    if variant in results.whole and results.whole_data is not None:
        latents = results.whole_data.train_of(results.whole[variant].samples.to_numpy())
        return _known_columns(study, results.whole_data), latents, None
    return None, *_held_out(study, [r for r in results.learned if r.variant == variant])


def _tests(
    study: Study,
    residuals: np.ndarray,
    latents: np.ndarray,
    known: np.ndarray | None,
    strata: np.ndarray | None,
) -> list[AddedInformation]:
    """Test on the samples that have residuals and latents, by every test that applies."""
    kept = ~np.isnan(residuals).any(axis=1) & ~np.isnan(latents).any(axis=1)
    seed = study.folds[0].seed
    groups = None if study.groups is None else study.groups[kept]
    by_permutation = added_information_of_residuals(
        residuals[kept],
        latents[kept],
        groups=groups,
        strata=None if strata is None else strata[kept],
        n_permutations=N_PERMUTATIONS,
        random_state=seed,
    )
    if known is None:
        return [by_permutation]
    projected = projected_covariance(
        residuals[kept], known[kept], latents[kept], groups=groups, random_state=seed
    )
    return [by_permutation, projected]


def _known_columns(study: Study, data: FoldData) -> np.ndarray:
    """Return all columns that are known without a network, medians for gaps."""
    known = data.train_of(study.level.pooled(data.table)).features
    return impute_medians(known).to_numpy(dtype=float)


def _held_out(study: Study, records: list[Learned]) -> tuple[np.ndarray, np.ndarray]:
    """Return the latents that the folds of the first repeat held out, and the folds."""
    records = [record for record in records if record.fold.repeat == 0]
    latents = np.full((study.cohort.n, len(records[0].columns)), np.nan)
    strata = np.zeros(study.cohort.n, dtype=int)
    for record in records:
        rows = record.fold.test
        latents[rows], strata[rows] = record.held, record.fold.fold
    return latents, strata


def outcome_residuals(outcome: Outcome, responses: np.ndarray) -> np.ndarray:
    """Compute what out-of-fold responses leave unexplained of the outcome, a column per class.

    Parameters
    ----------
    outcome : Outcome
        Classes, or times to an event.
    responses : array of shape (n_samples, n_columns)
        Probabilities, margins or risks; NaN where there is no prediction.

    Returns
    -------
    array of shape (n_samples, 1) or (n_samples, n_classes)
        Label minus probability; for more than two classes one against the rest; for times the
        martingale residuals.
    """
    known = ~np.isnan(responses).any(axis=1)
    y = outcome.y[known]
    if outcome.is_survival:
        found = martingale_residuals(y["event"], y["time"], responses[known, -1])[:, None]
    else:
        found = class_residuals(y, responses[known])
    residuals = np.full((len(responses), found.shape[1]), np.nan)
    residuals[known] = found
    return residuals
