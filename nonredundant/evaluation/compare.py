"""Whether a network adds anything to hand-crafted radiomics, and whether the gain is real."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from nonredundant.evaluation.aggregation import has_lesion_columns, resolve_patients
from nonredundant.evaluation.classifiers import (
    NAMES,
    SURVIVAL_NAMES,
    make_sampler,
    resolve_classifiers,
)
from nonredundant.evaluation.comparison import FeatureSetComparison
from nonredundant.evaluation.experiments import Experiment, get_experiment
from nonredundant.evaluation.feature_sets import (
    DEFAULT_SETS,
    FeatureSet,
    cheap_columns,
    parse_feature_set,
    references,
    resolve_feature_sets,
    set_clinical_apart,
)
from nonredundant.evaluation.folds import make_folds
from nonredundant.evaluation.inputs import Cohorts, drop_failed, read_cohorts, resolve_scoring
from nonredundant.evaluation.outcome import Outcome, by_position, has_pairs, read_outcome
from nonredundant.evaluation.run import run
from nonredundant.evaluation.study import Study
from nonredundant.evaluation.tables import comparison_of, settings_of, warning_list
from nonredundant.utils.context import recorded_warnings

AUDIT = ("r2-ridge", "r2-forest", "discriminator-auc", "dcor")
#: Below so many held-out rows a fold, an estimator cannot be trained on part of them.
_AUDIT_ROWS = 40
#: Below so many there is no audit: its estimators need two rows in each of five folds.
_LEAST_AUDIT_ROWS = 10


def compare_feature_sets(
    X: Any,
    y: Any,
    *,
    extractor: Any = None,
    cvae: Any = None,
    feature_sets: Sequence[str] = DEFAULT_SETS,
    classifiers: Any = NAMES,
    patients: Any = "mean",
    cv: Any = 5,
    n_repeats: int = 1,
    groups: Any = None,
    test: tuple[Any, Any] | None = None,
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
) -> FeatureSetComparison:
    """Compare hand-crafted, deep and fused features by cross-validation without leakage.

    Features are extracted once a case. In each fold, on its training samples alone: clinical
    columns are encoded, the network is trained with and without the independence term, features
    are imputed and standardised, and each classifier is tuned and fitted. Every feature set sees
    the same folds, the same inner folds and the same networks, so that differences are paired.

    Parameters
    ----------
    X : DataFrame or LesionTable
        A case table (columns `image`, `mask`, …), which `extractor` turns into lesions, or
        lesions. What several lesions of a sample come to, `patients` says.
    y : array-like of shape (n_samples,)
        Class labels, two or more classes, none missing; or times to an event, as a structured
        array or DataFrame of one boolean (was the event seen?) and one float (time) a sample,
        like scikit-survival's. Times are ranked by risk and scored by Harrell's concordance.
    extractor : RadiomicsExtractor, optional
        For a case table. Its `clinical` transformer is fitted inside each fold.
    cvae : NonRedundantCVAE, optional
        The network; its independence term makes the sets named `-MI`.
    feature_sets : sequence of str
        `HCR`, `DLR`, `DLR-MI`, `HCR+DLR`, `HCR+DLR-MI`, `PCA`; with a size: `H8` (picked inside
        the fold), `D16-MI`, `H8+D16-MI`. Clinical columns go with the hand-crafted ones, unless
        a set asks for them by name: `Clinical`, `Clinical+HCR`, `Clinical+HCR+DLR-MI`.
    classifiers : sequence of str, classifiers, or dict of str to classifier
        `"LR"`, `"SVM"`, `"RF"` are tuned by inner cross-validation; a classifier of yours is
        fitted as it is, on imputed and standardised columns. The first is the one that
        `FeatureSetComparison.answer` speaks of. For times to an event the names are `"Cox"`
        (ridge) and `"RSF"` (random survival forest), both by default.
    patients : str, list of str, LesionPooling or LesionGraphClassifier, default="mean"
        How several lesions of a sample make one prediction: pooled in one or several of the ways
        of `LesionPooling` before the classifiers, or, with "graph" or a graph of your own, by a
        classifier named "graph" that comes first, beside the others on pooled lesions. Times to
        an event take a `LesionGraphSurvival`.
    cv : int or splitter, default=5
        Number of stratified folds, or any scikit-learn splitter.
    n_repeats : int, default=1
        Repeats of an int `cv`.
    groups : array-like of shape (n_samples,), optional
        Samples of one group (a hospital, a patient) are never on both sides of a fold, nor of
        the inner folds that tune classifiers. The early stopping of a graph knows no groups.
    test : tuple (X, y), optional
        A held-out test set, predicted by the mean of all fold models (Vétil et al. 2023).
    scoring : str or sequence of str, default="roc_auc"
        scikit-learn scoring names; the first is the primary one.
    baselines : bool, default=True
        Add volume, maximum intensity, both, HCR with principal components of the patches, HCR
        with residualised latents, how lesions are spread where samples have several, and clinical
        columns alone where there are any.
    experiment : {"petvsclin", "vetil2023"}, optional
        A published set of feature sets and hyper-parameters, in place of `feature_sets`.
    class_weight : dict of label to weight or "balanced", optional
        Handed to classifiers that know it.
    sampler : {"smote", "over", "under"} or imbalanced-learn sampler, optional
        Resamples training rows inside the fold.
    audit : bool or sequence of str, default=True
        Methods of `metrics.redundancy_report` for the audit on held-out folds.
    memory : str or joblib.Memory, optional
        Where results are kept, so that an interrupted run continues.
    n_jobs : int, optional
        Fits that run at once, each on one core; results do not depend on it.
    random_state : int, RandomState or None, default=None
        Seed of folds, networks and classifiers.
    verbose : int, default=0
        1 shows progress with the time left.

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
    Intervals over folds are those of the corrected resampled t-test (Nadeau & Bengio 2003, doi
    10.1023/A:1024068626366); on a test set DeLong's. LR, SVM and RF take the learned block only
    if inner cross-validation prefers it by one standard error, so that uninformative latents
    leave a fused set where HCR alone is: a fused set that equals HCR was found to add nothing.

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
    start = time.perf_counter()
    if not isinstance(random_state, Integral):
        # What the report names as seed must, given as random_state, make the same run again.
        random_state = int(check_random_state(random_state).randint(2**31 - 1))
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    named = None if experiment is None else get_experiment(experiment)
    level = resolve_patients(patients)
    with recorded_warnings() as found:
        cohorts = read_cohorts(X, test, extractor, n_jobs=n_jobs, memory=memory, verbose=verbose)
    held = None if test is None else test[1]
    outcome = read_outcome(y, held, cohorts.n, cohorts.table.n_samples - cohorts.n)
    cohorts, outcome, kept, messages = drop_failed(cohorts, outcome)
    outcome.check("y")
    level.check(cohorts.table)
    messages = [*found, *messages]
    groups = None if groups is None else _check_groups(groups, len(kept))[kept]
    extraction_seconds = time.perf_counter() - start
    level = level.for_times() if outcome.is_survival else level.for_classes()
    study = Study(
        table=cohorts.table,
        outcome=outcome,
        n=cohorts.n,
        folds=make_folds(outcome.strata, cv=cv, n_repeats=n_repeats, groups=groups, seed=seed),
        sets=_sets(named, feature_sets, cohorts, baselines, messages),
        cvae=None,
        estimators=level.classifiers(_classifiers(classifiers, outcome, named)),
        scorers=resolve_scoring(scoring, outcome),
        level=level,
        groups=groups,
        clinical=cohorts.clinical,
        cases=cohorts.cases,
        root=cohorts.root,
        class_weight=by_position(class_weight, outcome.classes),
        sampler=sampler,
        memory=memory,
        n_jobs=n_jobs,
        verbose=verbose,
    )
    _check_sampler(study)
    _check_pairs(study)
    study.cvae = _network(study, cvae, named)
    study.audit = _audit_options(study, audit)
    study.primary = _primary(study, named)
    results = run(study)
    settings = settings_of(study, cohorts, int(random_state), named, start)
    settings["seconds"] = {"extraction": extraction_seconds, **results.seconds}
    messages += warning_list(study, results)
    for message in messages:
        warnings.warn(message, UserWarning, stacklevel=2)
    return comparison_of(study, results, settings, messages)


def _classifiers(classifiers: Any, outcome: Outcome, named: Experiment | None) -> dict[str, Any]:
    """Return the classifiers by name, those of times to an event in place of the others' default.

    Raises
    ------
    ValueError
        If a published experiment, which is about classes, is asked for times to an event.
    """
    if not outcome.is_survival:
        return named.classifiers() if named else resolve_classifiers(classifiers)
    if named is not None:
        raise ValueError("the published experiments are about classes, not times to an event")
    if classifiers is NAMES:
        # Nobody asked for classifiers of classes: it is the default itself.
        classifiers = SURVIVAL_NAMES
    return resolve_classifiers(classifiers, SURVIVAL_NAMES)


def _check_sampler(study: Study) -> None:
    """Raise if rows are to be resampled where that has no meaning."""
    make_sampler(study.sampler, 0)
    if study.sampler is not None and (study.outcome.is_survival or study.level.graph is not None):
        what = "times to an event" if study.outcome.is_survival else "graphs of lesions"
        raise ValueError(f"sampler={study.sampler!r} resamples rows of classes, not {what}")


def _check_pairs(study: Study) -> None:
    """Raise if the held-out part of a fold cannot be ranked: no two times can be compared."""
    if not study.outcome.is_survival:
        return
    test = study.outcome.test
    if test is not None and not has_pairs(test.y):
        raise ValueError(
            f"of the {len(test.y)} held-out samples with {int(test.y['event'].sum())} events no "
            "two can be told apart by their times: nothing can be tested on them"
        )
    for fold in study.folds:
        held = study.outcome.y[fold.test]
        if not has_pairs(held):
            raise ValueError(
                f"fold {fold.fold} of repeat {fold.repeat}: of its {len(held)} held-out samples "
                f"with {int(held['event'].sum())} events no two can be told apart by their times; "
                "use fewer folds"
            )


def _check_groups(groups: Any, n: int) -> np.ndarray:
    """Return the groups as an array of the cohort's length."""
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise ValueError(f"groups has shape {groups.shape} but there are {n} samples")
    return groups


def _sets(
    named: Experiment | None,
    feature_sets: Sequence[str],
    cohorts: Cohorts,
    baselines: bool,
    messages: list[str],
) -> list[FeatureSet]:
    """Return the sets to compare; a baseline that the cohort cannot give is left out, said so."""
    chosen = resolve_feature_sets(named.sets if named else feature_sets, baselines=False)
    table = cohorts.table
    cheap = cheap_columns(table)
    for one in chosen:
        if one.selection is not None and not table.columns_of("hcr"):
            raise ValueError(
                f"feature set {one.name!r} needs hand-crafted features, and the table has none"
            )
        if one.variant is not None and table.patches is None:
            raise ValueError(
                f"feature set {one.name!r} needs patches, and the table has none: extract it with "
                "a patch_shape"
            )
        unknown = sorted(set(one.cheap) - set(cheap))
        if unknown:
            raise ValueError(
                f"feature set {one.name!r} needs {unknown}, which follow from the positions and "
                "volumes of lesions: extract them with the feature class 'shape'"
            )
    has_clinical = bool(table.columns_of("clinical")) or cohorts.clinical is not None
    if not has_clinical and any(one.name.startswith("Clinical") for one in chosen):
        raise ValueError(
            "feature sets named 'Clinical…' need clinical columns: name them in the extractor's "
            "`clinical`"
        )
    if not baselines:
        return set_clinical_apart(chosen)
    added = [
        one
        for one in resolve_feature_sets(["HCR"], baselines=True)[1:]
        if (one.selection is None or table.columns_of("hcr"))
        and (one.variant is None or table.patches is not None)
        and (one.name != "dissemination" or not table.is_single)
        and set(one.cheap) <= set(cheap)
    ]
    for column in ("volume", "maximum"):
        if cheap[column].nunique() < 2:
            added = [one for one in added if column not in one.cheap]
            messages.append(f"The baseline {column!r} is left out: it is unknown or constant")
    if has_clinical:
        added.append(parse_feature_set("clinical"))
    return set_clinical_apart(list({one.name: one for one in [*chosen, *added]}.values()))


def _network(study: Study, cvae: Any, named: Experiment | None) -> Any:
    """Return the network's template, with the hyper-parameters of a named experiment."""
    if not any(one.variant is not None for one in study.sets):
        return None
    if cvae is None:
        from nonredundant.models.cvae import NonRedundantCVAE

        cvae = NonRedundantCVAE()
    if study.outcome.is_survival and cvae.get_params().get("gamma"):
        raise ValueError(
            f"cvae has gamma={cvae.gamma}, a label term of classes, and the outcome is a time to "
            "an event: set gamma=0"
        )
    with_term = [one.name for one in study.sets if one.variant is not None and one.variant.term]
    if named is not None:
        from sklearn.base import clone

        cvae = clone(cvae).set_params(**named.network())
    elif with_term and cvae.get_params().get("independence") is None:
        raise ValueError(
            f"{with_term[0]!r} needs an independence term and cvae has independence=None: name "
            "one, for instance independence='dcor', or leave the '-MI' sets out"
        )
    return cvae


def _audit_options(study: Study, audit: bool | Sequence[str]) -> dict[str, Any] | None:
    """Return the audit's options, fit for the number of held-out rows."""
    if audit is False:
        return None
    smallest = min(len(fold.test) for fold in study.folds)
    methods = AUDIT if audit is True else tuple(audit)
    if audit is True and smallest < _AUDIT_ROWS:
        methods = ("dcor",)
    return {"methods": methods, "n_permutations": 100} if smallest >= _LEAST_AUDIT_ROWS else None


def _primary(study: Study, named: Experiment | None) -> dict[str, str]:
    """Return the comparison that is asked before looking at any result."""
    # The first classifier answers, and a graph has no answer without features of lesions.
    sets = [s for s in study.sets if study.level.graph is None or has_lesion_columns(s)]
    if not sets:
        raise ValueError(
            "a graph needs features of lesions, and none of the sets has any: add one with "
            "'HCR' or 'DLR'"
        )
    fused = [one for one in sets if one.is_fused]
    vae = [one for one in fused if one.variant is not None and one.variant.kind == "vae"]
    with_term = [one for one in vae if one.variant is not None and one.variant.term]
    names = {one.name for one in sets}

    def tested_against(one: FeatureSet) -> list[str]:
        return [name for name in references(study.sets, one) if name in names]

    ranked = [*with_term, *vae, *fused]
    candidates = [*(one for one in ranked if tested_against(one)), *ranked, *sets]
    chosen = next(
        (one for one in sets if named is not None and one.name == named.primary),
        candidates[0],
    )
    found = tested_against(chosen) if chosen.is_fused else []
    primary = {
        "feature_set": chosen.name,
        "classifier": next(iter(study.estimators)),
        "metric": next(iter(study.scorers)),
    }
    return {**primary, "reference": found[0]} if found else primary
