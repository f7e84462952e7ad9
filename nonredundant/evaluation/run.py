"""The run of a comparison: which fits it takes, in parallel, each once, cached on request."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import joblib
import numpy as np
import pandas as pd

from nonredundant._version import __version__
from nonredundant.evaluation.aggregation import GRAPH, has_lesion_columns
from nonredundant.evaluation.attention import Attention, attention_of
from nonredundant.evaluation.feature_sets import Variant, cheap_columns
from nonredundant.evaluation.fitting import Fitted, fit_classifier, fit_graph
from nonredundant.evaluation.folds import Fold, inner_splits
from nonredundant.evaluation.representations import Learned, learn, residualise
from nonredundant.evaluation.study import Results, Study, graph_lesions, matrices, study_table
from nonredundant.extraction.case_table import read_rows
from nonredundant.inspection.atlas import LatentAtlas, latent_atlas
from nonredundant.lesions.measures import pool_samples
from nonredundant.lesions.table import LesionTable
from nonredundant.utils.context import one_thread, recorded_warnings


def run(study: Study) -> Results:
    """Fit what must be fitted, each thing once, and score it."""
    seconds = {}
    start = time.perf_counter()
    tables = {id(fold): study_table(study, fold) for fold in study.folds}
    learned = _learn_all(study, tables)
    seconds["features"] = time.perf_counter() - start
    start = time.perf_counter()
    fitted = _fit_all(study, tables, learned)
    seconds["classifiers"] = time.perf_counter() - start
    start = time.perf_counter()
    audits = _audit_all(study, tables, learned)
    seconds["audit"] = time.perf_counter() - start
    atlas = _first_atlas(tables, study.folds[0], learned)
    attention = _attention(study, tables, learned, fitted)
    return Results(list(learned.values()), fitted, audits, atlas, attention, seconds)


def _learn_all(
    study: Study, tables: dict[int, LesionTable]
) -> dict[tuple[int, int, Variant], Learned]:
    """Fit every variant in every fold: networks and components first, then the residuals."""
    variants = list(dict.fromkeys(s.variant for s in study.sets if s.variant is not None))
    sources = list(dict.fromkeys(variant.source for variant in variants))
    key = ""
    if study.memory is not None and sources:
        table = study.table
        parts = (table.features, table.blocks, table.patches, table.masks, table.sample)
        clinical = None if study.clinical is None else (study.clinical, study.cases)
        key = joblib.hash((parts, study.outcome, clinical, __version__))
    call = _cached(study, learn, ["table", "y", "target"])
    y = study.outcome.for_network
    tasks = [
        (tables[id(fold)], y, study.outcome.target_of(fold.train), fold, variant, study.cvae, key)
        for fold in study.folds
        for variant in sources
    ]
    found = {
        (one.repeat, one.fold, one.variant): one
        for one in _parallel(study, call, tasks, "deep features")
    }
    for fold in study.folds:
        for variant in variants:
            if variant.kind == "residual":
                source = found[fold.repeat, fold.fold, variant.source]
                place = (fold.repeat, fold.fold, variant)
                target = study.outcome.target_of(fold.train)
                found[place] = residualise(source, variant, study.table, target, fold)
    return found


def _fit_all(study: Study, tables: dict[int, LesionTable], learned: dict) -> list[Fitted]:
    """Fit every classifier on every set in every fold, and the graph where there is one."""
    tasks, graphs = [], []
    cheap = cheap_columns(study.table)
    outcome, n = study.outcome, study.n
    options = {
        "class_weight": study.class_weight,
        "sampler": study.sampler,
        "scorers": study.scorers,
        "strata": outcome.strata,
        "n_classes": len(outcome.classes),
    }
    for fold in study.folds:
        table = tables[id(fold)]
        groups = None if study.groups is None else study.groups[fold.train]
        splits = inner_splits(outcome.strata[fold.train], groups, fold.seed)
        target = outcome.target_of(fold.train)
        for one in study.sets:
            own = learned.get((fold.repeat, fold.fold, one.variant))
            base, added = matrices(one, table, cheap, own, target, fold, study.level)
            for name, estimator in study.estimators.items():
                if name != GRAPH or study.level.graph is None:
                    work = (base, added, outcome.y[:n], fold, splits)
                    tasks.append((one.name, name, estimator, *work, options))
                elif has_lesion_columns(one):
                    lesions = graph_lesions(one, table, own, target, fold)
                    own_work = (lesions, outcome.y[:n], fold, options)
                    graphs.append((one.name, name, estimator, *own_work))
    # The longest tasks first, so that none is left alone at the end.
    fitted = list(_parallel(study, _cached(study, fit_graph, []), graphs, "graphs"))
    return [*fitted, *_parallel(study, _cached(study, fit_classifier, []), tasks, "classifiers")]


def _audit_all(study: Study, tables: dict[int, LesionTable], learned: dict) -> list[pd.DataFrame]:
    """Audit every variant on the held-out rows of the first repeat's folds."""
    if study.audit is None:
        return []
    tasks = []
    for (repeat, number, variant), one in learned.items():
        if repeat:
            continue
        fold = next(f for f in study.folds if (f.repeat, f.fold) == (repeat, number))
        table = tables[id(fold)]
        h = _known(study, table, variant, fold)
        h = h.fillna(h.iloc[fold.train].median()).fillna(0.0)
        tasks.append((variant.name, h, one.d, fold, study.audit))
    if not tasks or not tasks[0][1].shape[1]:
        return []
    return list(_parallel(study, _cached(study, audit_variant, []), tasks, "audit"))


def _known(study: Study, table: LesionTable, variant: Variant, fold: Fold) -> pd.DataFrame:
    """Return the columns that d should not repeat, a row a sample."""
    blocks = getattr(study.cvae, "independent_of", ("hcr",))
    parts = []
    if "hcr" in blocks:
        hcr = pool_samples(table, table.hcr)
        target = study.outcome.target_of(fold.train)
        parts.append(hcr[variant.selection.columns(hcr.iloc[fold.train], target)])
    if "clinical" in blocks:
        parts.append(pool_samples(table, table.clinical))
    return pd.concat(parts, axis=1)


def _first_atlas(
    tables: dict[int, LesionTable], fold: Fold, learned: dict[tuple[int, int, Variant], Learned]
) -> LatentAtlas | None:
    """Return what the latents of the first fold's network do on its held-out lesions.

    One network is described, as each has latents of its own; the one with the term if there is.
    """
    networks = [
        (variant.term, one.model)
        for (repeat, number, variant), one in learned.items()
        if (repeat, number) == (fold.repeat, fold.fold) and hasattr(one.model, "traverse")
    ]
    held = tables[id(fold)][fold.test]
    if not networks or len(held.features) < 4:
        return None
    model = max(networks, key=lambda pair: pair[0])[1]
    # A network of picked columns knows no others; its latents may follow any.
    seen = set(getattr(model, "feature_names_in_", held.columns))
    shown = held.features[[name for name in held.columns if name in seen]]
    with recorded_warnings():
        return latent_atlas(model, held.replace(features=shown), features=held.hcr)


def _attention(
    study: Study, tables: dict[int, LesionTable], learned: dict, fitted: list[Fitted]
) -> Attention:
    """Return what the graphs of the primary set looked at, if there are graphs."""
    name = study.primary.get("feature_set")
    graphs = [f for f in fitted if f.classifier == GRAPH and f.feature_set == name]
    if study.level.graph is None or not graphs:
        return Attention()
    one = next(s for s in study.sets if s.name == name)
    first = [fold for fold in study.folds if fold.repeat == 0]
    lesions = {
        fold.fold: graph_lesions(
            one,
            tables[id(fold)],
            learned.get((0, fold.fold, one.variant)),
            study.outcome.target_of(fold.train),
            fold,
        )
        for fold in first
    }
    sources = None if study.cases is None else read_rows(study.cases, study.root)
    outcome = study.outcome
    return attention_of(graphs, first, lesions, outcome.strata, outcome.states, sources)


def audit_variant(
    name: str, h: pd.DataFrame, d: np.ndarray, fold: Fold, options: dict[str, Any]
) -> pd.DataFrame:
    """Audit one variant on a fold's held-out rows."""
    from nonredundant.metrics.audit import redundancy_report

    held = h.iloc[fold.test]
    held = held.loc[:, held.nunique() > 1]
    with recorded_warnings(), one_thread(torch_too=True):
        report = redundancy_report(
            held.to_numpy(dtype=float), d[fold.test], random_state=fold.seed, **options
        )
    report.index.name = "method"
    report = report.reset_index()
    report.insert(0, "feature_set", name)
    report.insert(1, "fold", fold.fold)
    return report


def _cached(study: Study, function: Callable[..., Any], ignore: list[str]) -> Callable[..., Any]:
    """Return the function, remembering its results on disk if the study has a memory."""
    if study.memory is None:
        return function
    memory = study.memory
    if not hasattr(memory, "cache"):
        memory = joblib.Memory(memory, verbose=0)
    return memory.cache(function, ignore=ignore)


def _parallel(
    study: Study, call: Callable[..., Any], tasks: list[tuple], what: str
) -> Iterable[Any]:
    """Return the tasks' results in their order, with a progress bar over those that are done."""
    from tqdm.auto import tqdm

    results: list[Any] = [None] * len(tasks)
    parallel = joblib.Parallel(n_jobs=study.n_jobs, return_as="generator_unordered")
    with warnings.catch_warnings():
        # A worker that has trained networks holds more memory than a fresh one. joblib takes that
        # for a leak and starts another in its place; no task is lost.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        done = parallel(joblib.delayed(_numbered)(i, call, task) for i, task in enumerate(tasks))
        for i, result in tqdm(done, total=len(tasks), desc=what, disable=not study.verbose):
            results[i] = result
    return results


def _numbered(i: int, call: Callable[..., Any], task: tuple) -> tuple[int, Any]:
    """Return the result with its place, as results come in any order."""
    return i, call(*task)
