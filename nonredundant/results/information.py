"""Whether learned features say something of the outcome beyond the hand-crafted ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pandas as pd

from nonredundant.folds.feature_sets import FeatureSet, Variant, references
from nonredundant.folds.out_of_fold import OutOfFold
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.representations import Learned
from nonredundant.folds.splits import Fold
from nonredundant.folds.study import Study, study_table
from nonredundant.lesions.measures import pool_samples
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
#: Position of the network that is trained on the whole cohort among repeats and folds.
WHOLE = -1
N_PERMUTATIONS = 999


def whole_cohort(n: int, seed: int) -> Fold:
    """Return a split that trains on all samples and holds out none."""
    return Fold(WHOLE, WHOLE, np.arange(n), np.empty(0, dtype=int), seed)


def tested_sets(study: Study) -> list[tuple[FeatureSet, str]]:
    """Return the fused sets, each with the set that holds what is known without the network."""
    known = {one.name for one in study.sets if one.is_known}
    pairs = []
    for one in study.sets:
        base = next((name for name in references(study.sets, one) if name in known), None)
        if one.is_fused and base is not None:
            pairs.append((one, base))
    return pairs


def information_table(
    study: Study, held: OutOfFold, whole: Mapping[Variant, Learned], learned: list[Learned]
) -> pd.DataFrame:
    """Test every fused set against the set without its learned features, by each classifier.

    Latents come from a network that was trained without labels on the whole cohort, so that one
    coordinate system serves all samples. A network that sees labels is trained per fold, and its
    latents are compared within the fold that held them out. The permutation test is exact if the
    latents are independent of the known columns; latents of the whole cohort are also tested by
    the projected covariance measure, which allows for linear dependence.

    Parameters
    ----------
    study : Study
        What was run.
    held : OutOfFold
        Responses of the classifiers, which give the residuals of the outcome.
    whole : dict of Variant to Learned
        Learned features by networks trained on the whole cohort.
    learned : list of Learned
        Learned features of each fold.

    Returns
    -------
    DataFrame
        `feature_set, reference, classifier, method, statistic, null_95, p_value, n_permutations,
        n_samples, reason`.
    """
    rows = []
    for one, reference in tested_sets(study):
        if one.variant is None:
            continue
        known = None
        if one.variant in whole:
            d, strata = whole[one.variant].d[: study.n], None
            known = _known_columns(study, one)
        else:
            d, strata = _held_out(study, learned, one.variant)
        for name in study.estimators:
            if (reference, name) not in held.responses:
                continue
            residuals = outcome_residuals(study.outcome, held.mean(reference, name))
            place = {"feature_set": one.name, "reference": reference, "classifier": name}
            tests = _tests(study, residuals, d, known, strata)
            rows += [place | asdict(found) for found in tests]
    return pd.DataFrame(rows, columns=COLUMNS)


def _tests(
    study: Study,
    residuals: np.ndarray,
    d: np.ndarray,
    known: np.ndarray | None,
    strata: np.ndarray | None,
) -> list[AddedInformation]:
    """Test on the samples that have residuals and latents, by every test that applies."""
    kept = ~np.isnan(residuals).any(axis=1) & ~np.isnan(d).any(axis=1)
    seed = study.folds[0].seed
    groups = None if study.groups is None else study.groups[kept]
    by_permutation = added_information_of_residuals(
        residuals[kept],
        d[kept],
        groups=groups,
        strata=None if strata is None else strata[kept],
        n_permutations=N_PERMUTATIONS,
        random_state=seed,
    )
    if known is None:
        return [by_permutation]
    projected = projected_covariance(
        residuals[kept], known[kept], d[kept], groups=groups, random_state=seed
    )
    return [by_permutation, projected]


def _known_columns(study: Study, one: FeatureSet) -> np.ndarray:
    """Return the columns of a fused set that are known without the network, medians for gaps."""
    parts = []
    if one.selection is not None:
        parts.append(study.level.hcr(study.table))
    if one.clinical:
        fold = whole_cohort(study.n, study.folds[0].seed)
        table = study_table(study, fold)
        parts.append(pool_samples(table, table.clinical))
    frame = pd.concat(parts, axis=1).iloc[: study.n]
    return frame.fillna(frame.median()).fillna(0.0).to_numpy(dtype=float)


def _held_out(
    study: Study, learned: list[Learned], variant: Variant
) -> tuple[np.ndarray, np.ndarray]:
    """Return the features that the folds of the first repeat held out, and the folds."""
    folds = {(fold.repeat, fold.fold): fold for fold in study.folds}
    own = [one for one in learned if one.variant == variant and one.repeat == 0]
    d = np.full((study.n, own[0].d.shape[1]), np.nan)
    strata = np.zeros(study.n, dtype=int)
    for one in own:
        test = folds[one.repeat, one.fold].test
        d[test], strata[test] = one.d[test], one.fold
    return d, strata


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
