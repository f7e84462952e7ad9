"""The run of a comparison: all fits of all folds, in parallel, kept on disk on request."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from nonredundant._version import __version__
from nonredundant.classifiers.builtin import GRAPH
from nonredundant.extraction.case_table import read_rows
from nonredundant.folds.attention import Attention, attention_of
from nonredundant.folds.feature_sets import Variant
from nonredundant.folds.fitting import Fitted, fit_model
from nonredundant.folds.fold_model import FoldModel
from nonredundant.folds.out_of_fold import collect
from nonredundant.folds.representations import Learned, depends_on_labels, learn
from nonredundant.folds.splits import Fold
from nonredundant.folds.study import (
    LEAST_AUDIT_ROWS,
    Audit,
    AuditOptions,
    Results,
    Study,
    study_table,
)
from nonredundant.inspection.atlas import LatentAtlas, latent_atlas
from nonredundant.lesions.measures import pool_samples
from nonredundant.lesions.table import LesionTable
from nonredundant.metrics.audit import COLUMNS, METHODS, audit_with_null
from nonredundant.results.information import (
    WHOLE,
    information_table,
    tested_sets,
    whole_cohort,
)
from nonredundant.utils.cache import KeptFunction
from nonredundant.utils.context import one_thread, recorded_warnings
from nonredundant.utils.parallel import WorkerDiedError, run_tasks


def run(study: Study) -> Results:
    """Fit everything that a comparison needs, each thing once, and score it."""
    seconds = {}
    start = time.perf_counter()
    models = [_fold_model(study, fold) for fold in study.folds]
    whole = _fold_model(study, whole_cohort(study.n, study.folds[0].seed))
    learned = _learn_all(study, models, whole)
    seconds["features"] = time.perf_counter() - start
    start = time.perf_counter()
    fitted = _fit_all(study, models)
    seconds["classifiers"] = time.perf_counter() - start
    start = time.perf_counter()
    audits = _audit_all(study, models, learned)
    held = collect(study.folds, study.n, fitted)
    information = information_table(study, held, whole.learned, learned)
    seconds["audit"] = time.perf_counter() - start
    atlas = _first_atlas(models[0])
    attention = _attention(study, models, fitted)
    return Results(learned, fitted, held, audits, information, atlas, attention, seconds)


def _fold_model(study: Study, fold: Fold) -> FoldModel:
    """Make the model of one fold, with nothing fitted but the clinical columns."""
    return FoldModel(
        table=study_table(study, fold),
        outcome=study.outcome,
        fold=fold,
        level=study.level,
        options=study.options,
        cvae=study.cvae,
        groups=study.groups,
    )


def _learn_all(study: Study, models: list[FoldModel], whole: FoldModel) -> list[Learned]:
    """Fit the networks of all folds in parallel, then residualise; return them in that order.

    Networks of the fused sets that no label affects are fitted on the whole cohort, too.
    """
    key = ""
    if study.memory is not None and study.cvae is not None:
        table = study.table
        parts = (table.features, table.blocks, table.patches, table.masks, table.sample)
        clinical = None if study.clinical is None else (study.clinical, study.cases)
        key = joblib.hash((parts, study.outcome, clinical, __version__))
    call = _cached(study, learn, ["table", "y", "target"])
    fused = [
        one
        for one, _ in tested_sets(study)
        if one.variant is not None and not depends_on_labels(one.variant, study.cvae)
    ]
    tasks = [task for model in models for task in model.network_tasks(study.sets, key)]
    tasks += whole.network_tasks(fused, key)
    order = sorted(range(len(tasks)), key=lambda i: _cost_of_learning(tasks[i]), reverse=True)
    done = _parallel(study, call, [tasks[i] for i in order], "deep features", batch_size=1)
    found = [done[place] for place in np.argsort(order)]
    for model, sets in [*((model, study.sets) for model in models), (whole, fused)]:
        place = model.fold.repeat, model.fold.fold
        model.add_learned(sets, [one for one in found if (one.repeat, one.fold) == place])
    found = [one for one in found if one.repeat != WHOLE]
    residuals = [
        one for model in models for one in model.learned.values() if one.variant.kind == "residual"
    ]
    return [*found, *residuals]


def _cost_of_learning(task: tuple) -> tuple[bool, int, bool]:
    """Return what orders the tasks of `learn` by their time, as far as it is known before.

    With the longest tasks first, no process works long after the others are done: networks before
    components, more training samples before fewer, with the term before without.
    """
    fold = next(part for part in task if isinstance(part, Fold))
    variant = next(part for part in task if isinstance(part, Variant))
    return variant.kind != "pca", len(fold.train), variant.term


def _fit_all(study: Study, models: list[FoldModel]) -> list[Fitted]:
    """Fit every classifier, and the graph if there is one, on every set in every fold."""
    tasks = [
        task for model in models for task in model.classifier_tasks(study.sets, study.estimators)
    ]
    # The longest tasks, graphs, come first, so that none of them runs alone at the end.
    tasks.sort(key=lambda task: not isinstance(task[3], LesionTable))
    return _parallel(study, _cached(study, fit_model, []), tasks, "classifiers")


def _audit_all(study: Study, models: list[FoldModel], learned: list[Learned]) -> list[Audit]:
    """Audit every variant on the held-out samples of the first repeat's folds.

    A fold that holds out too few groups, such as one hospital, has nothing that a permutation
    could exchange, and is left out; a variant without any other fold gets rows that say so.
    """
    if study.audit is None:
        return []
    first = {model.fold.fold: model for model in models if model.fold.repeat == 0}
    tasks: list[tuple] = []
    names: dict[str, None] = {}
    for one in learned:
        if one.repeat != 0:
            continue
        names[one.variant.name] = None
        model = first[one.fold]
        test, groups = model.fold.test, study.groups
        if groups is not None and len(np.unique(groups[test])) < LEAST_AUDIT_ROWS:
            continue
        h = _known(model, one.variant)
        h = h.fillna(h.iloc[model.fold.train].median()).fillna(0.0)
        d = pd.DataFrame(one.d, index=h.index, columns=one.columns)
        tasks.append((one.variant.name, h, d, model.fold, study.audit, groups))
    if not tasks:
        return [_no_audit(name, study.audit) for name in names]
    if not tasks[0][1].shape[1]:
        return []
    return _parallel(study, _cached(study, audit_variant, []), tasks, "audit")


def _no_audit(name: str, options: AuditOptions) -> Audit:
    """Return an audit without estimates, whose detail is the reason."""
    report = pd.DataFrame(np.nan, index=list(options.methods), columns=COLUMNS, dtype=object)
    report["unit"] = [METHODS[method] for method in options.methods]
    report["detail"] = f"each fold holds out fewer than {LEAST_AUDIT_ROWS} groups"
    return Audit(name, report, {method: np.empty(0) for method in options.methods})


def _known(model: FoldModel, variant: Variant) -> pd.DataFrame:
    """Return the columns that learned features should not repeat, one row per sample."""
    blocks = getattr(model.cvae, "independent_of", ("hcr",))
    table, parts = model.table, []
    if "hcr" in blocks:
        hcr = pool_samples(table, table.hcr)
        train = model.fold.train
        parts.append(hcr[variant.selection.columns(hcr.iloc[train], model.target)])
    if "clinical" in blocks:
        parts.append(pool_samples(table, table.clinical))
    return pd.concat(parts, axis=1)


def _first_atlas(model: FoldModel) -> LatentAtlas | None:
    """Describe the latents of the first fold's network on the lesions that the fold held out.

    Only one network is described, as each has latents of its own: the one with the independence
    term if there is one.
    """
    networks = [
        (variant.term, one.model)
        for variant, one in model.learned.items()
        if hasattr(one.model, "traverse")
    ]
    held = model.table[model.fold.test]
    if not networks or len(held.features) < 4:
        return None
    network = max(networks, key=lambda pair: pair[0])[1]
    # A network of selected columns accepts no others; its latents may follow any column.
    seen = set(getattr(network, "feature_names_in_", held.columns))
    shown = held.features[[name for name in held.columns if name in seen]]
    with recorded_warnings():
        return latent_atlas(network, held.replace(features=shown), features=held.hcr)


def _attention(study: Study, models: list[FoldModel], fitted: list[Fitted]) -> Attention:
    """Return the attention of the graphs on the primary set; empty without graphs."""
    name = study.primary.feature_set
    graphs = [f for f in fitted if f.classifier == GRAPH and f.feature_set == name]
    if study.level.graph is None or not graphs:
        return Attention()
    one = next(s for s in study.sets if s.name == name)
    first = [model for model in models if model.fold.repeat == 0]
    lesions = {model.fold.fold: model.lesions(one) for model in first}
    sources = None if study.cases is None else read_rows(study.cases, study.root)
    outcome = study.outcome
    folds = [model.fold for model in first]
    return attention_of(graphs, folds, lesions, outcome.strata, outcome.states, sources)


def audit_variant(
    name: str,
    h: pd.DataFrame,
    d: pd.DataFrame,
    fold: Fold,
    options: AuditOptions,
    groups: np.ndarray | None,
) -> Audit:
    """Audit one variant on the held-out samples of a fold."""
    held = h.iloc[fold.test]
    held = held.loc[:, held.nunique() > 1]
    with recorded_warnings(), one_thread(torch_too=True):
        report, null = audit_with_null(
            held,
            d.iloc[fold.test],
            methods=options.methods,
            n_permutations=options.n_permutations,
            groups=None if groups is None else groups[fold.test],
            random_state=fold.seed,
        )
    return Audit(name, report, null)


def _cached(study: Study, function: Callable[..., Any], ignore: list[str]) -> Callable[..., Any]:
    """Return the function with its results kept on disk if the study has a memory."""
    if study.memory is None:
        return function
    return KeptFunction(study.memory, function, ignore)


def _parallel(
    study: Study,
    call: Callable[..., Any],
    tasks: list[tuple],
    what: str,
    batch_size: int | str = "auto",
) -> list[Any]:
    """Return the results in the order of the tasks; a progress bar counts those that are done.

    Tasks that take seconds are given out one by one (`batch_size`), short ones together.

    Raises
    ------
    WorkerDiedError
        If a task ends its process, also when it is alone.
    """
    results: list[Any] = [None] * len(tasks)
    done = run_tasks(
        call,
        tasks,
        n_jobs=study.n_jobs,
        what=f"computing the {what}",
        ordered=False,
        batch_size=batch_size,
    )
    with contextlib.closing(done), warnings.catch_warnings():
        # joblib mistakes the memory of a worker that has trained networks for a leak and replaces
        # the worker; no task is lost.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        for i, result in tqdm(done, total=len(tasks), desc=what, disable=not study.verbose):
            if isinstance(result, WorkerDiedError):
                raise WorkerDiedError(
                    f"{what}: the process of {_name(tasks[i])} was killed ({result}), and again "
                    "when it was alone: it probably needs more memory than there is; with memory= "
                    "what has been computed is kept for the next run"
                )
            results[i] = result
    return results


def _name(task: tuple) -> str:
    """Name a task by its feature set, classifier or network, and its fold."""
    names = [one for one in task[:2] if isinstance(one, str)]
    names += [one.name for one in task if isinstance(one, Variant)]
    fold = next(one for one in task if isinstance(one, Fold))
    return f"{' with '.join(names)} in fold {fold.fold} of repeat {fold.repeat}"
