"""Compare feature sets by cross-validation.

The path of `compare_feature_sets`, one module per step:

1. `inputs.read_cohorts` extracts the lesions of cohort and test set, and `outcome.read_outcome`
   checks the labels or times.
2. `feature_sets.choose_feature_sets` adds `baselines`; `classifiers`, `aggregation` and
   `representations` resolve classifiers, the level of patients and the network.
3. `folds.make_folds` splits the cohort. A `study.Study` then contains all that is to be run,
   with the primary comparison.
4. `run.run` fits and returns `study.Results`. Per fold, a `fold_model.FoldModel`:

   a. `representations.learn` trains each network, and `residualise` its latents;
   b. `representations.Representation` selects the columns of each set, as `blocks.Blocks`;
   c. `fitting.fit_model` fits each classifier, which `tuning` tunes on inner splits.

   The audit, the atlas and the `attention` of graphs follow, on the held-out samples.
5. `settings.describe_settings` records what was run.
6. `tables.comparison_of` makes the tables, with the tests of `significance`, and from them the
   `comparison.FeatureSetComparison`, whose `answer` is the result in words.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from nonredundant.classifiers.builtin import check_sampler, resolve_classifiers
from nonredundant.evaluation.cohort import check_cases, drop_failed, read_cohorts, resolve_scoring
from nonredundant.evaluation.experiments import Experiment, get_experiment
from nonredundant.evaluation.identity import check_distinct, check_groups, check_target
from nonredundant.evaluation.parameters import check_parameters
from nonredundant.folds.feature_sets import (
    DEFAULT_SETS,
    FeatureSet,
    choose_feature_sets,
    references,
    resolve_feature_sets,
)
from nonredundant.folds.fitting import FitOptions
from nonredundant.folds.outcome import Outcome, by_position, has_pairs, read_outcome
from nonredundant.folds.patient_level import (
    PatientLevel,
    has_lesion_columns,
    resolve_patients,
)
from nonredundant.folds.repeats import default_repeats
from nonredundant.folds.representations import check_independence, resolve_network
from nonredundant.folds.run import run
from nonredundant.folds.splits import Fold, make_folds, read_cv
from nonredundant.folds.study import LEAST_AUDIT_ROWS, AuditOptions, Primary, Study
from nonredundant.lesions.labels import align
from nonredundant.results.comparison import FeatureSetComparison
from nonredundant.results.settings import describe_settings
from nonredundant.results.tables import comparison_of, warning_list
from nonredundant.utils.context import recorded_warnings

AUDIT = ("r2-ridge", "r2-forest", "discriminator-auc", "dcor", "largest-pair")
#: With fewer held-out samples per fold, no estimator can be trained on part of them.
_AUDIT_ROWS = 40


def compare_feature_sets(
    X: Any,
    y: Any,
    *,
    extractor: Any = None,
    cvae: Any = None,
    feature_sets: Sequence[str] = DEFAULT_SETS,
    classifiers: Any = None,
    patients: Any = "mean",
    cv: Any = 5,
    n_repeats: int | None = None,
    groups: Any = None,
    test: tuple[Any, ...] | None = None,
    shared_test: bool = False,
    scoring: Any = "roc_auc",
    baselines: bool = True,
    experiment: str | None = None,
    class_weight: Any = None,
    sampler: Any = None,
    audit: bool | Sequence[str] = True,
    memory: Any = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
    anonymise: bool = False,
) -> FeatureSetComparison:
    """Compare hand-crafted, deep and fused features by cross-validation without leakage.

    Features are extracted once per case. In each fold, on its training samples alone: clinical
    columns are encoded, the network is trained with and without the independence term, features
    are imputed and standardised, and each classifier is tuned and fitted. Every feature set uses
    the same folds, the same inner folds and the same networks, so that differences are paired.

    Parameters
    ----------
    X : DataFrame or LesionTable
        A case table (columns `image`, `mask`, …) for `extractor`, or lesions. `patients` defines
        how several lesions of a sample make one prediction.
    y : array-like of shape (n_samples,)
        Class labels, two or more classes, none missing (NaN, or -1 beside two others); or times to
        an event, as a structured array or DataFrame of one boolean (was the event seen?) and one
        float (time) per sample, like scikit-survival's. Times are ranked by risk and scored by
        Harrell's concordance.
    extractor : RadiomicsExtractor, optional
        For a case table. Its `clinical` transformer is fitted inside each fold.
    cvae : NonRedundantCVAE, optional
        The network; sets named `-MI` use its independence term.
    feature_sets : sequence of str
        `HCR`, `DLR`, `DLR-MI`, `HCR+DLR`, `HCR+DLR-MI`, `PCA`; with a size: `H8` (selected
        inside the fold), `D16-MI`, `H8+D16-MI`. Where there are clinical columns, they are added
        to the hand-crafted ones, and `HCR` is reported as `Clinical+HCR`, unless a set names them:
        `Clinical`, `Clinical+HCR`, `Clinical+HCR+DLR-MI`.
    classifiers : sequence of str, classifiers, or dict of str to classifier, default=None
        `"LR"`, `"SVM"`, `"RF"` are tuned by inner cross-validation; your own classifier is
        fitted as it is, on imputed and standardised columns. `FeatureSetComparison.answer`
        reports the first one. For times to an event the names are `"Cox"` (ridge) and `"RSF"`
        (random survival forest). None: all built-in ones for the outcome.
    patients : str, list of str, LesionPooling or LesionGraphClassifier, default="mean"
        How several lesions of a sample make one prediction: pooled in one or several of the ways
        of `LesionPooling` before the classifiers, or, with "graph" or a graph of your own, by a
        classifier named "graph" that comes first, beside the others on pooled lesions. Times to
        an event take a `LesionGraphSurvival`.
    cv : int, splitter or list of (train, test), default=5
        Number of stratified folds, any scikit-learn splitter, or the positions of each fold.
    n_repeats : int or None, default=None
        Repeats of an int `cv`. None: as many as the size of the cohort asks for, so that the
        estimates hardly depend on the seed of the folds (`repeats.default_repeats`).
    groups : array-like of shape (n_samples,), optional
        Samples of one group (a hospital, a patient) are never on both sides of a fold, nor of
        the inner folds that tune classifiers. The early stopping of a graph ignores groups.
    test : tuple (X, y) or (X, y, groups), optional
        A held-out test set, predicted by the mean of all fold models (Vétil et al. 2023). With
        groups, errors of an AUC are those of independent groups (Obuchowski 1997).
    shared_test : bool, default=False
        Accept a test set that shares patients, images or voxels with the cohort, which is an
        error otherwise.
    scoring : str or sequence of str, default="roc_auc"
        scikit-learn scoring names; the first is the primary one.
    baselines : bool, default=True
        Add volume, maximum intensity, both, the dissemination of lesions where samples have
        several, clinical columns alone where there are any, and, if a set has learned features,
        HCR with principal components of the patches and HCR with residualised latents.
    experiment : {"petvsclin", "vetil2023"}, optional
        A published set of feature sets and hyper-parameters, in place of `feature_sets`.
    class_weight : dict of label to weight or "balanced", optional
        Passed to classifiers that accept it.
    sampler : {"smote", "over", "under"} or imbalanced-learn sampler, optional
        Resamples training rows inside the fold.
    audit : bool or sequence of str, default=True
        Methods of `metrics.redundancy_report` for the audit on held-out folds. Samples of one
        group are permuted together.
    memory : str or joblib.Memory, optional
        Where results are kept, so that an interrupted run continues.
    n_jobs : int, optional
        Number of parallel fits, each on one core; results do not depend on it.
    random_state : int, RandomState or None, default=None
        Seed of folds, networks and classifiers.
    verbose : int, default=0
        1 shows progress with the time left.
    anonymise : bool, default=False
        Return the results without the ids of samples and the paths of their files, see
        `FeatureSetComparison.anonymised`. Warnings on the screen and a `memory` still name them.

    Returns
    -------
    FeatureSetComparison
        Scores, intervals, paired tests, audit, predictions and models.

    Raises
    ------
    ValueError
        If labels are missing, of one class or of another length than X, a class is smaller than
        the number of folds, or a set needs features or patches that are not there.
    TypeError
        If X is neither a case table nor a LesionTable, or `patients` is of another kind.
    ImportError
        If the graph or times to an event need an extra that is not installed.

    Notes
    -----
    Intervals of a cross-validated AUC are those of `statistics.cross_validated_auc`; of other
    scores over folds those of the corrected resampled t-test (Nadeau & Bengio 2003, doi
    10.1023/A:1024068626366); on a test set DeLong's. A fused set always contains the learned
    block; ridge penalties per block, tuned in each fold, keep an uninformative one from doing
    harm. The test of added information (`statistics.added_information`) takes latents of one
    network that is trained without labels on the whole cohort; a network with a label term is
    tested within the folds that hold samples out.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable, compare_feature_sets
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 30)
    >>> features = pd.DataFrame({"uptake": y + rng.normal(size=60), "size": rng.normal(size=60)})
    >>> found = compare_feature_sets(
    ...     LesionTable(features), y, feature_sets=["HCR"], classifiers="LR", baselines=False,
    ...     random_state=0,
    ... )
    >>> print(found.answer())
    HCR with logistic regression reached AUC 0.8... in cross-validation.
    """
    check_parameters(locals())
    start = time.perf_counter()
    if not isinstance(random_state, Integral):
        # The seed in the report must, given as random_state, repeat this run.
        random_state = int(check_random_state(random_state).randint(2**31 - 1))
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    named = None if experiment is None else get_experiment(experiment)
    test, test_groups = _split_test(test)
    level = resolve_patients(patients)
    check_cases(X, test, extractor)
    y = align(y, X, "y")
    check_target(y, X, getattr(extractor, "clinical", None))
    check_distinct(X, groups)
    groups = None if groups is None else check_groups(groups, X)
    held = None if test is None else align(test[1], test[0], "the test set's y")
    outcome = read_outcome(y, held, len(X), 0 if test is None else len(test[0]))
    # Names and folds are checked before images are read, which may take hours.
    level = level.for_outcome(outcome)
    check_sampler(sampler, times=outcome.is_survival, graph=level.graph is not None)
    asked = resolve_feature_sets(named.sets if named else feature_sets, baselines=False)
    estimators = level.classifiers(_classifiers(classifiers, outcome, named))
    scorers = resolve_scoring(scoring, outcome)
    cv = read_cv(cv, np.ones(len(X), dtype=bool))
    split = partial(make_folds, seed=seed, names=outcome.states)
    split(outcome.strata, cv=cv, n_repeats=n_repeats or 1, groups=groups)
    with recorded_warnings() as found:
        cohorts = read_cohorts(
            X,
            test,
            extractor,
            shared_test=shared_test,
            n_jobs=n_jobs,
            memory=memory,
            verbose=verbose,
        )
    if test_groups is not None:
        read = (cohorts.table.status == "ok").to_numpy()[cohorts.n :]
        test_groups = test_groups[read]
    cohorts, outcome, kept, messages = drop_failed(cohorts, outcome)
    outcome.check("y")
    level.check(cohorts.table)
    groups = None if groups is None else groups[kept]
    extraction_seconds = time.perf_counter() - start
    sets, left_out = choose_feature_sets(
        asked, cohorts.table, clinical=cohorts.has_clinical, baselines=baselines
    )
    if n_repeats is None:
        n_repeats = default_repeats(cohorts.n) if isinstance(cv, Integral) else 1
    folds = split(outcome.strata, cv=read_cv(cv, kept), n_repeats=n_repeats, groups=groups)
    _check_pairs(outcome, folds)
    study = Study(
        table=cohorts.table,
        outcome=outcome,
        n=cohorts.n,
        folds=folds,
        sets=sets,
        estimators=estimators,
        options=FitOptions(scorers, by_position(class_weight, outcome.classes), sampler),
        level=level,
        primary=_primary(sets, level, list(estimators)[0], list(scorers)[0], named),
        cvae=_network(cvae, sets, outcome, named),
        audit=_audit_options(audit, folds),
        groups=groups,
        test_groups=test_groups,
        clinical=cohorts.clinical,
        cases=cohorts.cases,
        root=cohorts.root,
        memory=memory,
        n_jobs=n_jobs,
        verbose=verbose,
    )
    results = run(study)
    settings = describe_settings(
        study,
        cohorts,
        seed=int(random_state),
        experiment=named,
        start=start,
        seconds={"extraction": extraction_seconds, **results.seconds},
    )
    messages = [*found, *messages, *left_out, *warning_list(results)]
    for message in messages:
        warnings.warn(message, UserWarning, stacklevel=2)
    comparison = comparison_of(study, results, settings, messages)
    return comparison.anonymised() if anonymise else comparison


def _classifiers(classifiers: Any, outcome: Outcome, named: Experiment | None) -> dict[str, Any]:
    """Return the classifiers by name, by default the built-in ones for the outcome.

    Raises
    ------
    ValueError
        If a published experiment, all of which predict classes, is used on times to an event.
    """
    if named is None:
        return resolve_classifiers(classifiers, times=outcome.is_survival)
    if outcome.is_survival:
        raise ValueError("the published experiments are about classes, not times to an event")
    return named.classifiers()


def _split_test(test: Any) -> tuple[Any, Any]:
    """Return cases and labels of the test set, and its groups in the order of the cases."""
    if isinstance(test, (tuple, list)) and len(test) == 3:
        return tuple(test[:2]), check_groups(test[2], test[0])
    return test, None


def _check_pairs(outcome: Outcome, folds: list[Fold]) -> None:
    """Raise if no two times of a test set, or of the held-out part of a fold, can be compared."""
    if not outcome.is_survival:
        return
    test = outcome.test
    if test is not None and not has_pairs(test.y):
        raise ValueError(
            f"of the {len(test.y)} held-out samples with {int(test.y['event'].sum())} events no "
            "two times can be compared: nothing can be tested on them"
        )
    for fold in folds:
        held = outcome.y[fold.test]
        if not has_pairs(held):
            raise ValueError(
                f"fold {fold.fold} of repeat {fold.repeat}: of its {len(held)} held-out samples "
                f"with {int(held['event'].sum())} events no two times can be compared; "
                "use fewer folds"
            )


def _network(cvae: Any, sets: list[FeatureSet], outcome: Outcome, named: Experiment | None) -> Any:
    """Return the untrained network, with the hyper-parameters of a published experiment."""
    cvae = resolve_network(cvae, sets, outcome)
    if cvae is None:
        return None
    if named is not None:
        return clone(cvae).set_params(**named.network())
    check_independence(cvae, sets)
    return cvae


def _audit_options(audit: bool | Sequence[str], folds: list[Fold]) -> AuditOptions | None:
    """Return the methods of the audit that the number of held-out samples allows."""
    smallest = min(len(fold.test) for fold in folds)
    if audit is False or smallest < LEAST_AUDIT_ROWS:
        return None
    if audit is True:
        return AuditOptions(AUDIT if smallest >= _AUDIT_ROWS else ("dcor", "largest-pair"))
    return AuditOptions(tuple(audit))


def _primary(
    sets: list[FeatureSet],
    level: PatientLevel,
    classifier: str,
    metric: str,
    named: Experiment | None,
) -> Primary:
    """Choose the comparison to report before any result is seen.

    Fused sets with the independence term come first, then those without it, then all others.
    """
    # The first classifier is reported; a graph can be fitted only to sets with lesion columns.
    usable = [one for one in sets if level.graph is None or has_lesion_columns(one)]
    if not usable:
        raise ValueError(
            "a graph needs features of lesions, and none of the sets has any: add one with "
            "'HCR' or 'DLR'"
        )
    fused = [one for one in usable if one.is_fused]
    vae = [one for one in fused if one.variant is not None and one.variant.kind == "vae"]
    with_term = [one for one in vae if one.variant is not None and one.variant.term]
    names = {one.name for one in usable}

    def tested_against(one: FeatureSet) -> list[str]:
        return [name for name in references(sets, one) if name in names]

    ranked = [*with_term, *vae, *fused]
    candidates = [*(one for one in ranked if tested_against(one)), *ranked, *usable]
    published = [
        one
        for one in usable
        if named is not None and one.name.removeprefix("Clinical+") == named.primary
    ]
    chosen = [*published, *candidates][0]
    found = tested_against(chosen) if chosen.is_fused else []
    return Primary(chosen.name, classifier, metric, found[0] if found else None)
