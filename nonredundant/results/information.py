"""Whether learned features say something of the outcome beyond the known ones."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nonredundant.folds.feature_sets import FeatureSet
from nonredundant.folds.networks import Learned
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.study import FitResults, Study
from nonredundant.statistics.added_information import (
    AddedInformation,
    added_information_of_residuals,
    class_residuals,
    double_residual,
    martingale_residuals,
    similarity_corrected,
)
from nonredundant.statistics.multiplicity import holm
from nonredundant.statistics.outcome_residuals import centred_outcome
from nonredundant.statistics.sensitivity import unseen_share

COLUMNS = [
    "feature_set",
    "reference",
    "classifier",
    "method",
    "statistic",
    "null_95",
    "p_value",
    "p_holm",
    "unseen_share",
    "unit",
    "n_permutations",
    "n_samples",
    "reason",
]
N_PERMUTATIONS = 999
#: Units of a test: latents of one network for all samples, or of the network of each fold.
COHORT, FOLD = "cohort", "fold"


class Tested(NamedTuple):
    """What a test takes: known columns, latents, and the strata within which latents compare."""

    known: np.ndarray
    latents: np.ndarray
    strata: np.ndarray | None

    @property
    def unit(self) -> str:
        """Whether the latents are of one network, or of the network of each fold."""
        return COHORT if self.strata is None else FOLD


def information_table(study: Study, results: FitResults) -> pd.DataFrame:
    """Test every fused set against all that is known without its network, by each classifier.

    Latents come from a network that was trained without labels on the whole cohort, so that one
    coordinate system serves all samples. A network that labels affect is trained per fold, and its
    latents are compared within the fold that held them out; as other folds' labels have shaped
    them, p is approximate. Three tests are made, and a claim needs all of them: by permutation,
    which is exact if the latents are independent of the known columns; by permutation of what
    models of all known columns leave of the latents and of the residuals; and of the covariance
    less the part that patients of similar known columns share (`statistics.added_information`).
    The last one takes latents of one network.

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
        `feature_set, reference, classifier, method, statistic, null_95, p_value, p_holm,
        unseen_share, unit, n_permutations, n_samples, reason`. `p_holm` is corrected over the sets
        and classifiers of a method.
    """
    rows = []
    tested: dict[object, Tested] = {}
    # Early and late fusion of the same columns ask the same question.
    done: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for feature_set, reference in study.informed():
        for classifier in study.estimators:
            if (reference, classifier) not in results.held.responses:
                continue
            if feature_set.variant not in tested:
                tested[feature_set.variant] = tested_columns(study, results, feature_set)
            own = tested[feature_set.variant]
            question = (feature_set.variant, reference, classifier)
            if question not in done:
                response = results.held.mean(reference, classifier)
                done[question] = _tests(study, response, own)
            head = {
                "feature_set": feature_set.name,
                "reference": reference,
                "classifier": classifier,
                "unit": own.unit,
                "question": list(done).index(question),
            }
            rows += [head | row for row in done[question]]
    table = pd.DataFrame(rows, columns=[*COLUMNS, "question"])
    for _, family in table[table["p_value"].notna()].groupby("method", sort=False):
        first = family.drop_duplicates("question").set_index("question")["p_value"]
        corrected = pd.Series(holm(first.to_numpy(dtype=float)), index=first.index)
        table.loc[family.index, "p_holm"] = family["question"].map(corrected)
    return table.drop(columns="question")


def tested_columns(study: Study, results: FitResults, feature_set: FeatureSet) -> Tested:
    """Return what a set is tested on: the whole cohort, or the held-out folds.

    Parameters
    ----------
    study : Study
        What was run.
    results : FitResults
        Its networks.
    feature_set : FeatureSet
        The set, with learned features.

    Returns
    -------
    Tested
        Known columns, latents and strata, a row per sample of the cohort.
    """
    variant = feature_set.variant
    if variant in results.whole and results.whole_data is not None:
        data = results.whole_data
        latents = data.train_of(results.whole[variant].samples.to_numpy())
        known = study.level.known(data.table)
        return Tested(data.train_of(known.to_numpy(dtype=float)), latents, None)
    return _held_out(study, [r for r in results.learned if r.variant == variant])


def _tests(study: Study, response: np.ndarray, tested: Tested) -> list[dict[str, object]]:
    """Test the samples that have residuals and latents in both ways; return a row of each."""
    residuals = outcome_residuals(study.outcome, response)
    kept = ~np.isnan(residuals).any(axis=1) & ~np.isnan(tested.latents).any(axis=1)
    left, known, latents = residuals[kept], tested.known[kept], tested.latents[kept]
    options: dict[str, Any] = {
        "groups": None if study.groups is None else study.groups[kept],
        "strata": None if tested.strata is None else tested.strata[kept],
        "centres": None if study.cohort.centres is None else study.cohort.centres[kept],
        "n_permutations": N_PERMUTATIONS,
        "random_state": study.folds[0].seed,
    }
    outcome = centred_outcome(study.outcome.y[kept], continuous=study.outcome.kind == "numbers")
    results = three_tests(left, outcome, known, latents, **options)
    share = unseen_share(left, latents, _relevance(left, outcome), strata=options["strata"])
    return [asdict(result) | {"unseen_share": share} for result in results]


def three_tests(
    residuals: np.ndarray,
    outcome: np.ndarray,
    known: np.ndarray,
    latents: np.ndarray,
    *,
    strata: np.ndarray | None,
    **options: Any,
) -> list[AddedInformation]:
    """Test in every way that applies: pairs of rows need latents of one coordinate system.

    Parameters
    ----------
    residuals : array of shape (n, n_columns)
        What the reference leaves unexplained of the outcome.
    outcome : array of shape (n, n_columns)
        The outcome as numbers.
    known, latents : array of shape (n, n_known), (n, n_d)
        Known columns, NaN for gaps, and latents.
    strata : array of shape (n,) or None
        Folds with a network each.
    **options
        Parameters of the tests.

    Returns
    -------
    list of AddedInformation
        By "permutation", "double-residual" and, without strata, "similarity".
    """
    found = [
        added_information_of_residuals(residuals, latents, strata=strata, **options),
        double_residual(residuals, known, latents, strata=strata, **options),
    ]
    if strata is None:
        found.append(similarity_corrected(outcome, known, latents, **options))
    return found


def _relevance(residuals: np.ndarray, outcome: np.ndarray) -> float:
    """Return the share of the outcome's variance that out-of-fold responses explain."""
    total = np.square(outcome - outcome.mean(axis=0)).sum()
    return max(0.0, 1 - float(np.square(residuals).sum() / total))


def _held_out(study: Study, records: list[Learned]) -> Tested:
    """Return what the folds of the first repeat held out, and the folds."""
    folds = {record.fold.fold: record for record in records if record.fold.repeat == 0}
    held = [data for data in study.data if data.fold.repeat == 0]
    n = study.cohort.n
    latents = np.full((n, len(folds[held[0].fold.fold].columns)), np.nan)
    strata = np.zeros(n, dtype=int)
    known = []
    for data in held:
        rows = data.fold.test
        latents[rows], strata[rows] = folds[data.fold.fold].held, data.fold.fold
        own = study.level.known(data.table).iloc[rows]
        known.append(own.set_axis(rows, axis=0))
    # Columns that a fold has not, such as a category that it has not seen, are gaps there.
    every = pd.concat(known)
    every = every[~every.index.duplicated(keep="last")].reindex(range(n))
    return Tested(every.to_numpy(dtype=float), latents, strata)


def outcome_residuals(outcome: Outcome, responses: np.ndarray) -> np.ndarray:
    """Compute what out-of-fold responses leave unexplained of the outcome, a column per class.

    Parameters
    ----------
    outcome : Outcome
        Classes, numbers, or times to an event.
    responses : array of shape (n_samples, n_columns)
        Probabilities, margins, numbers or risks; NaN where there is no prediction.

    Returns
    -------
    array of shape (n_samples, 1) or (n_samples, n_classes)
        Label minus probability, for more than two classes one against the rest; number minus
        prediction; for times the martingale residuals.
    """
    known = ~np.isnan(responses).any(axis=1)
    y = outcome.y[known]
    if outcome.kind == "numbers":
        found = (y - responses[known, -1])[:, None]
    elif outcome.is_survival:
        found = martingale_residuals(y["event"], y["time"], responses[known, -1])[:, None]
    else:
        found = class_residuals(y, responses[known])
    residuals = np.full((len(responses), found.shape[1]), np.nan)
    residuals[known] = found
    return residuals
