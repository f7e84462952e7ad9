"""What a comparison returns, put together from the run's results: tables, settings, models."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

from nonredundant import _tables as tables
from nonredundant._cohorts import Cohorts, describe, versions
from nonredundant._comparison import FeatureSetComparison
from nonredundant._experiments import Experiment
from nonredundant._study import Results, Study, study_table


def settings_of(
    study: Study,
    cohorts: Cohorts,
    seed: int,
    named: Experiment | None,
    start: float,
) -> dict[str, Any]:
    """Return what was run, as plain JSON types."""
    n_clinical = len(study_table(study, study.folds[0]).columns_of("clinical"))
    return {
        "feature_sets": [one.name for one in study.sets],
        "classifiers": list(study.estimators),
        "scoring": list(study.scorers),
        "primary": study.primary,
        "n_folds": len(study.folds),
        "n_repeats": len({fold.repeat for fold in study.folds}),
        "grouped": study.groups is not None,
        "n_test": study.table.n_samples - study.n,
        "classes": [str(label) for label in study.outcome.classes],
        "cohort": describe(cohorts, study.outcome, n_clinical),
        "failed": cohorts.failed,
        "patients": _patients_text(study),
        "graph": study.level.graph is not None,
        "experiment": None if named is None else named.about,
        "cvae": None if study.cvae is None else _plain(study.cvae.get_params(deep=False)),
        "extractor": cohorts.extractor,
        "class_weight": None if study.class_weight is None else str(study.class_weight),
        "sampler": None if study.sampler is None else str(study.sampler),
        "seed": seed,
        "n_jobs": study.n_jobs,
        "versions": versions(),
        "provenance": cohorts.table.provenance,
        "made": pd.Timestamp.now().isoformat(timespec="seconds"),
        "total_seconds": time.perf_counter() - start,
    }


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON types."""
    simple = (str, int, float, bool, type(None))
    return {k: v if isinstance(v, simple) else str(v) for k, v in params.items()}


def _patients_text(study: Study) -> str | None:
    """Return how lesions make one prediction a sample; None where each sample has one lesion."""
    if study.level.graph is not None:
        return f"{study.level.graph}; other classifiers see {study.level.pooling}"
    return None if study.table.is_single else repr(study.level.pooling)


def comparison_of(
    study: Study, results: Results, settings: dict[str, Any], messages: list[str]
) -> FeatureSetComparison:
    """Return the comparison that the results make."""
    train = float(np.mean([len(fold.train) for fold in study.folds]))
    sizes = train, float(np.mean([len(fold.test) for fold in study.folds]))
    scores = tables.score_table(results.fitted)
    summary = tables.fold_summary(scores, sizes)
    tests = tables.fold_tests(study, scores, sizes)
    predictions = tables.prediction_table(study, results.fitted)
    parts: dict[str, Any] = {
        "scores": scores,
        "cv_summary": summary,
        "cv_tests": tests,
        "cv_predictions": predictions,
        "summary": summary,
        "tests": tests,
        "predictions": predictions,
        "pooled_tests": tables.pooled_tests(study, predictions),
        "graph_tests": tables.graph_tests(study, scores, sizes),
    }
    if study.outcome.test is not None:
        mean = tables.ensembles(results.fitted)
        held = tables.TestSet(study, mean, study.outcome.test, settings["seed"])
        held_predictions = tables.ensemble_predictions(study, mean, study.outcome.test)
        parts |= {"summary": held.summary(), "tests": held.tests()}
        parts["predictions"] = held_predictions
    first = [one for one in results.learned if one.repeat == 0]
    return FeatureSetComparison(
        **parts,
        redundancy=tables.redundancy_table(results.audits),
        choices=tables.choice_table(results.fitted),
        weights=tables.weight_table(results.fitted),
        history=tables.history_table(results),
        models={
            (one.feature_set, one.classifier, one.repeat, one.fold): one.model
            for one in results.fitted
        },
        networks={(one.variant.name, one.repeat, one.fold): one.model for one in results.learned},
        latents={name: _held_out(study, first, name) for name in {o.variant.name for o in first}},
        atlas=results.atlas,
        attention=results.attention.table,
        patient_graphs=results.attention.pictures,
        settings=settings,
        warnings=messages,
    )


def _held_out(study: Study, learned: list[Any], name: str) -> pd.DataFrame:
    """Return a variant's features of each sample from the fold that held it out."""
    parts = []
    for one in learned:
        if one.variant.name == name:
            fold = next(f for f in study.folds if (f.repeat, f.fold) == (0, one.fold))
            part = pd.DataFrame(one.d[fold.test], study.table.index[fold.test], one.columns)
            part.insert(0, "fold", one.fold)
            parts.append(part)
    return pd.concat(parts)
