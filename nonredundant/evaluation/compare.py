"""Compare feature sets by cross-validation.

The path of `compare_feature_sets`, one module per step:

1. `registration.register` records the plan. `cohort.read_cohort` checks cases, outcome and groups,
   `design.read_design` what is fitted to them; `cohort.Given.read` then extracts the lesions.
2. `folds.splits.make_folds` splits the cohort, and `folds.run.prepare_folds` fits the steps of each
   fold (`folds.steps`), which hands over its training and held-out tables (`folds.fold_data`).
3. `folds.feature_sets` adds baselines, `folds.references` says what is tested against what and
   which comparison is reported. A `folds.study.Study` then contains all that is to be run.
4. `folds.run.run` fits it. Per fold, a `folds.fold_model.FoldModel`:

   a. `folds.networks` trains each network, and residualises its latents;
   b. `folds.representations` selects the columns of each set;
   c. `folds.fitting` fits each classifier, which `classifiers.tuning` tunes on inner splits.

   `folds.audit`, the atlas and `folds.attention` follow, on the held-out samples.
5. `results.settings` records what was run; `results.tables` makes the tables, with the tests of
   `results.significance` and `results.information`, and from them the
   `results.comparison.FeatureSetComparison`, whose `answer` is the result in words.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from nonredundant.classifiers.scoring import asks_for_numbers, has_pairs
from nonredundant.evaluation.centres import check_leave_centre_out
from nonredundant.evaluation.cohort import Given, Read, read_cohort
from nonredundant.evaluation.design import Design, read_design, reducer
from nonredundant.evaluation.parameters import check_digests, check_parameters
from nonredundant.evaluation.registration import plan_of, register
from nonredundant.folds.audit import AuditOptions
from nonredundant.folds.centres import CENTRE, leave_one_centre_out, unnamed_centre
from nonredundant.folds.feature_sets import FeatureSet, choose_feature_sets
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.patient_level import has_lesion_columns
from nonredundant.folds.references import choose_primary, references
from nonredundant.folds.run import prepare_folds, run
from nonredundant.folds.splits import Fold, default_repeats, make_folds, read_cv
from nonredundant.folds.study import Primary, Study
from nonredundant.folds.tasks import TaskRunner
from nonredundant.results.comparison import FeatureSetComparison
from nonredundant.results.settings import describe_settings
from nonredundant.results.tables import comparison_of, warning_list
from nonredundant.utils.context import recorded_warnings

#: Methods of the audit; those that train a model need more held-out samples per fold.
SMALL_AUDIT = ("dcor", "largest-pair", "largest-product", "r2-of-latents", "share-of-latents")
AUDIT = ("r2-ridge", "r2-forest", "discriminator-auc", *SMALL_AUDIT)
#: With fewer held-out samples per fold, no estimator can be trained on part of them.
_AUDIT_ROWS = 40


def compare_feature_sets(
    X: Any,
    y: Any,
    *,
    extractor: Any = None,
    cvae: Any = None,
    embedding: Any = None,
    steps: Any = (),
    feature_sets: Sequence[str] | None = None,
    classifiers: Any = None,
    patients: Any = "mean",
    cv: Any = 5,
    n_repeats: int | None = None,
    groups: Any = None,
    centre: str | None = None,
    test: tuple[Any, ...] | None = None,
    shared_test: bool = False,
    scoring: Any = "roc_auc",
    baselines: bool = True,
    experiment: str | None = None,
    class_weight: Any = None,
    sampler: Any = None,
    audit: bool | Sequence[str] = True,
    controls: bool = True,
    memory: Any = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
    anonymise: bool = False,
) -> FeatureSetComparison:
    """Compare hand-crafted, deep and fused features by cross-validation without leakage.

    Features are extracted once per case. In each fold, on its training samples alone: clinical
    columns are encoded and `steps` fitted, the network is trained with and without the
    independence term, features are imputed and standardised, and each classifier is tuned and
    fitted. Every feature set uses
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
    embedding : NonRedundantEmbedding, optional
        How given embeddings are reduced to components, by default to 16. The `-MI` sets are
        independent of the known columns, and of columns of samples that its `independent_of` names,
        such as the centre; its other parameters are set by the names of the feature sets.
    steps : list of transformers, or Pipeline
        What is learned in each fold before networks and classifiers, and in this order, for
        instance `SelectFeatures`: each takes and returns a `LesionTable` of the same
        samples, whose columns of `samples` it may read. A step that sees labels says so by
        scikit-learn's tag `target_tags.required`; it is fitted again in the inner splits. Columns
        that a step leaves out are known to the network, the audit and the tests of added
        information all the same.
    feature_sets : sequence of str, optional
        By default those of the given embeddings if there are any, else of the network. `HCR`,
        `DLR`, `DLR-MI`, `HCR+DLR`, `HCR+DLR-MI`, `PCA`; with a size: `H8` (selected
        inside the fold), `D16-MI`, `H8+D16-MI`. Where there are clinical columns, they are added
        to the hand-crafted ones, and `HCR` is reported as `Clinical+HCR`, unless a set names them:
        `Clinical`, `Clinical+HCR`, `Clinical+HCR+DLR-MI`. The name of a given embedding stands for
        its components, as `DLR` does: `FMCIB`, `HCR+FMCIB`; with `-MI`, what hand-crafted and
        clinical columns do not predict of them. Blocks joined by ` & ` instead of `+`, such as
        `HCR & DLR`, are fused late: a classifier each, whose log-odds are weighed. Late fusion is
        tested against the set of the same columns side by side.
    classifiers : sequence of str, classifiers, or dict of str to classifier, default=None
        `"LR"`, `"SVM"`, `"RF"`, `"EN"` (elastic net), `"KNN"` (nearest neighbours) are tuned by
        inner cross-validation, `"GB"` is gradient boosting, and `"ensemble"` the mean probability
        of LR, SVM and RF; your own classifier is
        fitted as it is, on imputed and standardised columns. `FeatureSetComparison.answer`
        reports the first one. For times to an event the names are `"Cox"` (ridge) and `"RSF"`
        (random survival forest), of numbers `"Ridge"` and `"RFR"` (ridge regression and random
        forest). None: LR, SVM and RF, Cox and RSF, or Ridge and RFR.
    patients : str, list of str, LesionPooling or LesionGraphClassifier, default="mean"
        How several lesions of a sample make one prediction: pooled in one or several of the ways
        of `LesionPooling` before the classifiers, or, with "graph" or a graph of your own, by a
        classifier named "graph" that comes first, beside the others on pooled lesions. Times to
        an event take a `LesionGraphSurvival`.
    cv : int, splitter, list of (train, test) or "centre", default=5
        Number of stratified folds, any scikit-learn splitter, or the positions of each fold.
        "centre" leaves out one centre after the other (`centre` names the column); centres with
        fewer than three samples of a class are always trained on. Intervals and tests then take
        centres as units, so that three are needed.
    n_repeats : int or None, default=None
        Repeats of an int `cv`. None: as many as the size of the cohort asks for, so that the
        estimates hardly depend on the seed of the folds (`repeats.default_repeats`).
    groups : array-like of shape (n_samples,) or str, optional
        Samples of one group (a hospital, a patient) are never on both sides of a fold, nor of
        the inner folds that tune classifiers. The name of a column of the case table, or of
        `LesionTable.samples`, gives the groups of the test set, too. The early stopping of a graph
        ignores groups.
    centre : str, optional
        The column of the case table, or of `LesionTable.samples`, that holds the centre of a
        sample. Tests of added information then permute within centres, so that what tells only
        the centre is no information, and `FeatureSetComparison.centre_coding` says how well
        features tell it.
    test : tuple (X, y) or (X, y, groups), optional
        A held-out test set, predicted by the mean of all fold models (Vétil et al. 2023). With
        groups, errors of an AUC are those of independent groups (Obuchowski 1997).
    shared_test : bool, default=False
        Accept a test set that shares patients, images or voxels with the cohort, which is an
        error otherwise.
    scoring : str or sequence of str, default="roc_auc"
        scikit-learn scoring names; the first is the primary one. With "r2", "spearman",
        "neg_mean_absolute_error", "neg_mean_squared_error" or "neg_root_mean_squared_error" the
        outcome is continuous: y contains numbers, which models predict.
    baselines : bool, default=True
        Add volume, maximum intensity, both, the dissemination of lesions where samples have
        several, clinical columns alone where there are any, and, if a set has learned features,
        its known columns alone, HCR with principal components of the patches and HCR with
        residualised latents.
    experiment : {"petvsclin", "vetil2023"}, optional
        A published set of feature sets and hyper-parameters, in place of `feature_sets`.
    class_weight : dict of label to weight or "balanced", optional
        Passed to classifiers that accept it.
    sampler : {"smote", "over", "under"} or imbalanced-learn sampler, optional
        Resamples training rows inside the fold.
    audit : bool or sequence of str, default=True
        Methods of `metrics.redundancy_report` for the audit on held-out folds. Samples of one
        group are permuted together.
    controls : bool, default=True
        Repeat the tests of added information of the primary set on negative controls: permuted
        outcomes, random functions of the known columns in place of the latents, and the latents of
        an untrained network. They cost about as much as ten tests.
    memory : str or joblib.Memory, optional
        Where results are kept, so that an interrupted run continues.
    n_jobs : int, optional
        Number of parallel fits, each on one core; results do not depend on it.
    random_state : int, RandomState or None, default=None
        Seed of folds, networks and classifiers.
    verbose : int, default=0
        0 shows progress with the time left on a terminal and in a notebook, 1 anywhere.
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
    HCR was not compared with another set: with logistic regression it reached AUC 0.8...
    """
    given_parameters = dict(locals())
    check_parameters(given_parameters)
    start = time.perf_counter()
    # The seed in the report must, given as random_state, repeat this run.
    random_state = int(random_state) if isinstance(random_state, Integral) else _drawn(random_state)
    registration = register(plan_of(given_parameters, random_state), memory)
    given = read_cohort(
        X,
        y,
        caller="compare_feature_sets",
        test=test,
        groups=groups,
        centre=centre,
        models=(cvae, embedding),
        continuous=asks_for_numbers(scoring),
        extractor=extractor,
        steps=steps,
    )
    design = read_design(
        given.outcome,
        feature_sets=feature_sets,
        classifiers=classifiers,
        patients=patients,
        scoring=scoring,
        class_weight=class_weight,
        sampler=sampler,
        experiment=experiment,
        embeddings=given.embeddings,
    )
    reduced = reducer(embedding, design.sets)
    check_digests(memory, given.parts() | design.parts() | {"cvae": cvae})
    splits = _Splits(given, cv, n_repeats, _drawn(random_state))
    with recorded_warnings() as messages:
        read = given.read(shared_test=shared_test, n_jobs=n_jobs, memory=memory, verbose=verbose)
    seconds = {"extraction": time.perf_counter() - start}
    cohort = read.cohort
    design.level.check(cohort.table)
    folds = splits.of(read)
    runner = TaskRunner.of(cohort.table, memory, n_jobs, verbose)
    data = prepare_folds(cohort, folds, runner)
    sets, left_out = choose_feature_sets(design.sets, data[0].table, baselines=baselines)
    learns = any(one.variant is not None for one in sets)
    left_out += unnamed_centre(cohort.steps, cohort.centres, learns=learns)
    study = Study(
        cohort=cohort,
        data=data,
        sets=sets,
        references={s.name: references(sets, s) for s in sets},
        estimators=design.estimators,
        options=design.options,
        level=design.level,
        left_in=splits.left_in,
        primary=_primary(sets, design),
        cvae=design.network(cvae, sets, cohort.outcome),
        embedding=reduced,
        audit=_audit_options(audit, folds),
        controls=controls,
        sources=read.sources,
        runner=runner,
    )
    results = run(study)
    about = None if design.experiment is None else design.experiment.about
    settings = describe_settings(
        study,
        seed=random_state,
        registration=registration.described(registration.count_runs(cohort.outcome.y)),
        experiment=about,
        start=start,
        seconds=seconds | results.seconds,
    )
    messages = [*messages, *read.messages, *splits.messages, *left_out, *warning_list(results)]
    for message in messages:
        warnings.warn(message, UserWarning, stacklevel=2)
    comparison = comparison_of(study, results, settings, messages)
    return comparison.anonymised() if anonymise else comparison


def _drawn(random_state: Any) -> int:
    """Draw a seed."""
    return int(check_random_state(random_state).randint(2**31 - 1))


class _Splits:
    """The folds of a cohort, tried before its images are read, which may take hours."""

    def __init__(self, given: Given, cv: Any, n_repeats: int | None, seed: int) -> None:
        outcome, self.n_repeats = given.outcome, n_repeats
        #: The centres that no fold leaves out, and why; None unless folds are centres.
        self.left_in: dict[str, str] | None = None
        self.cv = cv
        if cv == CENTRE and isinstance(cv, str):
            check_leave_centre_out(given.centres, given.steps)
        else:
            self.cv = read_cv(cv, np.ones(len(outcome.y), dtype=bool))
        self.make = partial(
            make_folds,
            seed=seed,
            names=outcome.states,
            every_class=outcome.kind != "numbers",
        )
        splits = self._splits(given.centres, outcome, np.ones(len(outcome.y), dtype=bool))
        self.tried = self.make(
            outcome.strata, cv=splits, n_repeats=n_repeats or 1, groups=given.groups
        )

    def _splits(self, centres: Any, outcome: Outcome, kept: np.ndarray) -> Any:
        """Return what `make_folds` takes: of the samples that are kept, one centre per fold."""
        if not isinstance(self.cv, str):
            return read_cv(self.cv, kept)
        found, self.left_in = leave_one_centre_out(centres, outcome)
        return found

    @property
    def messages(self) -> list[str]:
        """Which centres no fold leaves out."""
        if not self.left_in:
            return []
        shown = "; ".join(f"{name} has {reason}" for name, reason in self.left_in.items())
        return [f"centres that are always trained on, as no score is estimable there: {shown}"]

    def of(self, read: Read) -> list[Fold]:
        """Split the samples that could be read; errors name those that could not."""
        cohort, n_repeats = read.cohort, self.n_repeats
        if n_repeats is None:
            n_repeats = default_repeats(cohort.n) if isinstance(self.cv, Integral) else 1
        try:
            folds = self.make(
                cohort.outcome.strata,
                cv=self._splits(cohort.centres, cohort.outcome, read.kept),
                n_repeats=n_repeats,
                groups=cohort.groups,
                kept=read.kept,
                tried=self.tried,
            )
            _check_pairs(cohort.outcome, folds)
        except ValueError as error:
            if not read.messages:
                raise
            raise ValueError(f"{error}. {' '.join(read.messages)}") from error
        return folds


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
        held = outcome.at(fold.test).y
        if not has_pairs(held):
            raise ValueError(
                f"{fold.name}: of its {len(held)} held-out samples with "
                f"{int(held['event'].sum())} events no two times can be compared; use fewer folds"
            )


def _audit_options(audit: bool | Sequence[str], folds: list[Fold]) -> AuditOptions | None:
    """Return the methods of the audit that the number of held-out samples allows."""
    if audit is False:
        return None
    if audit is True:
        smallest = min(len(fold.test) for fold in folds)
        return AuditOptions(AUDIT if smallest >= _AUDIT_ROWS else SMALL_AUDIT)
    return AuditOptions(tuple(audit))


def _primary(sets: list[FeatureSet], design: Design) -> Primary:
    """Choose the comparison to report before any result is seen, with the first classifier."""
    # A graph can be fitted only to sets with lesion columns.
    usable = [s for s in sets if design.level.graph is None or has_lesion_columns(s)]
    if not usable:
        raise ValueError(
            "a graph needs features of lesions, and takes them all at once, and there is no such "
            "set: add one with 'HCR' or 'DLR'"
        )
    published = design.experiment.primary if design.experiment is not None else ""
    names = (published, f"Clinical+{published}") if published else ()
    feature_set, reference = choose_primary(usable, names)
    classifier, metric = next(iter(design.estimators)), next(iter(design.options.scorers))
    return Primary(feature_set, classifier, metric, reference)
