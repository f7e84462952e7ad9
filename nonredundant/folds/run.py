"""The run of a comparison: every fit of every fold, each thing once."""

from __future__ import annotations

import time

from nonredundant.classifiers.builtin import GRAPH
from nonredundant.folds.attention import Attention, attention_of
from nonredundant.folds.audit import audit_all
from nonredundant.folds.cohort import Cohort
from nonredundant.folds.fitting import Fitted
from nonredundant.folds.fold_data import FoldData, PrepareTask, prepare, with_voxels
from nonredundant.folds.fold_model import FoldModel
from nonredundant.folds.networks import Learned, depends_on_labels
from nonredundant.folds.out_of_fold import collect
from nonredundant.folds.splits import Fold, whole_cohort
from nonredundant.folds.study import FitResults, Study
from nonredundant.folds.tasks import TaskRunner
from nonredundant.inspection.atlas import LatentAtlas, latent_atlas
from nonredundant.utils.context import recorded_warnings


def prepare_folds(cohort: Cohort, folds: list[Fold], runner: TaskRunner) -> list[FoldData]:
    """Fit the steps of every fold, and return its samples after them."""
    if not cohort.steps:
        return [prepare(cohort, fold) for fold in folds]
    tasks = [PrepareTask(cohort, fold) for fold in folds]
    prepared = runner.run(tasks, "steps")
    return [with_voxels(cohort, *parts) for parts in zip(folds, prepared, strict=True)]


def run(study: Study) -> FitResults:
    """Fit everything that a comparison needs, each thing once, and score it."""
    seconds = {}
    start = time.perf_counter()
    models = [_model(study, data) for data in study.data]
    whole = _whole_cohort(study)
    learned = _learn_all(study, models, whole)
    seconds["features"] = time.perf_counter() - start
    start = time.perf_counter()
    tasks = [
        task for model in models for task in model.classifier_tasks(study.sets, study.estimators)
    ]
    # Graphs take longest.
    tasks.sort(key=lambda task: task.is_graph, reverse=True)
    fitted = study.runner.run(tasks, "classifiers")
    seconds["classifiers"] = time.perf_counter() - start
    start = time.perf_counter()
    audits = audit_all(models, study.audit, study.runner)
    seconds["audit"] = time.perf_counter() - start
    return FitResults(
        learned=learned,
        whole={} if whole is None else whole.learned,
        whole_data=None if whole is None else whole.data,
        fitted=fitted,
        held=collect(study.folds, study.cohort.n, fitted),
        audits=audits,
        atlas=_first_atlas(models[0]),
        attention=_attention(study, models, fitted),
        messages=[message for data in study.data for message in data.messages],
        seconds=seconds,
    )


def _model(study: Study, data: FoldData) -> FoldModel:
    """Return the model of one fold, with nothing fitted but the steps."""
    return FoldModel(data, study.level, study.options, study.cvae, study.embedding)


def _whole_cohort(study: Study) -> FoldModel | None:
    """Return the model for networks of the whole cohort; None if labels affect all networks."""
    variants = [s.variant for s, _ in study.informed() if s.variant is not None]
    if all(depends_on_labels(variant, study.cvae, study.cohort) for variant in variants):
        return None
    fold = whole_cohort(study.cohort.n, study.folds[0].seed)
    return _model(study, prepare(study.cohort, fold))


def _learn_all(study: Study, models: list[FoldModel], whole: FoldModel | None) -> list[Learned]:
    """Fit the networks of all folds, then residualise; return those of the folds.

    Networks of the fused sets that no label affects are fitted on the whole cohort, too.
    """
    wanted = [(model, study.sets) for model in models]
    if whole is not None:
        label_free = [
            s
            for s, _ in study.informed()
            if s.variant is not None and not depends_on_labels(s.variant, study.cvae, study.cohort)
        ]
        wanted.append((whole, label_free))
    tasks = [model.network_tasks(sets) for model, sets in wanted]
    done = iter(
        study.runner.run([task for own in tasks for task in own], "deep features", batch_size=1)
    )
    for (model, sets), own in zip(wanted, tasks, strict=True):
        model.add_learned(sets, [next(done) for _ in own])
    records = [record for model in models for record in model.learned.values()]
    # Networks before their residualised latents.
    return sorted(records, key=lambda record: record.variant.kind == "residual")


def _first_atlas(model: FoldModel) -> LatentAtlas | None:
    """Describe the latents of the first fold's network on the lesions that the fold held out.

    Only one network is described, as each has latents of its own: the one with the independence
    term if there is one.
    """
    networks = [
        (variant.term, record.model)
        for variant, record in model.learned.items()
        if hasattr(record.model, "traverse")
    ]
    held = model.data.test.with_left_out()
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
    primary = study.primary.feature_set
    graphs = [
        fit
        for fit in fitted
        if fit.classifier == GRAPH and fit.feature_set == primary and fit.fold.repeat == 0
    ]
    if study.level.graph is None or not graphs:
        return Attention()
    (feature_set,) = [s for s in study.sets if s.name == primary]
    lesions = {
        model.data.fold.fold: model.lesions(feature_set)
        for model in models
        if model.data.fold.repeat == 0
    }
    return attention_of(graphs, lesions, study.outcome, study.sources)
