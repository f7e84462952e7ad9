"""The result tables of a comparison."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.folds.fitting import Fitted
from nonredundant.folds.study import Audit, Results, Study
from nonredundant.metrics.audit import COLUMNS, pool_redundancy
from nonredundant.results.comparison import FeatureSetComparison
from nonredundant.results.settings import ComparisonSettings
from nonredundant.results.significance import (
    FoldTests,
    TestSet,
    ensemble_predictions,
    ensembles,
    score_columns,
)


def score_table(fitted: list[Fitted]) -> pd.DataFrame:
    """Tabulate the scores, one row per fold, feature set, classifier and metric."""
    rows = [
        (one.feature_set, one.classifier, one.repeat, one.fold, metric, score)
        for one in fitted
        for metric, score in one.scores.items()
    ]
    columns = ["feature_set", "classifier", "repeat", "fold", "metric", "score"]
    return pd.DataFrame(rows, columns=columns)


def prediction_table(study: Study, fitted: list[Fitted]) -> pd.DataFrame:
    """Tabulate out-of-fold predictions, one row per sample, repeat, feature set and classifier."""
    folds = {(fold.repeat, fold.fold): fold for fold in study.folds}
    index = study.table.index[: study.n]
    parts = []
    for one in fitted:
        test = folds[one.repeat, one.fold].test
        head = {
            "sample": index[test],
            "repeat": one.repeat,
            "fold": one.fold,
            "feature_set": one.feature_set,
            "classifier": one.classifier,
            **study.outcome.truth(test),
        }
        scores = score_columns(one.response, study.outcome.classes)
        parts.append(pd.DataFrame({**head, **scores}))
    return pd.concat(parts, ignore_index=True)


def redundancy_table(audits: list[Audit]) -> pd.DataFrame:
    """Pool the audits of each learned block over the folds, whose held-out samples are disjoint."""
    parts = []
    for name in dict.fromkeys(audit.name for audit in audits):
        own = [(audit.report, audit.null) for audit in audits if audit.name == name]
        table = pool_redundancy(own).reset_index()
        table.insert(0, "feature_set", name)
        parts.append(table)
    if parts:
        return pd.concat(parts, ignore_index=True)
    return pd.DataFrame(columns=["feature_set", "method", *COLUMNS])


def history_table(results: Results) -> pd.DataFrame:
    """Tabulate the losses of every network, one row per epoch."""
    parts = []
    for one in results.learned:
        if one.history is not None:
            part = one.history.rename_axis("epoch").reset_index()
            part.insert(0, "feature_set", one.variant.name)
            part.insert(1, "repeat", one.repeat)
            part.insert(2, "fold", one.fold)
            parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def choice_table(fitted: list[Fitted]) -> pd.DataFrame:
    """Tabulate the values and the threshold chosen by inner cross-validation in each fold."""
    rows = [
        {
            "feature_set": one.feature_set,
            "classifier": one.classifier,
            "repeat": one.repeat,
            "fold": one.fold,
            "C": one.chosen.get("classifier__C", np.nan),
            "alpha": one.chosen.get("classifier__alpha", np.nan),
            "block_weight": one.chosen.get("blocks__weight", np.nan),
            "threshold": one.threshold,
        }
        for one in fitted
    ]
    return pd.DataFrame(rows)


def weight_table(fitted: list[Fitted]) -> pd.DataFrame:
    """Tabulate coefficients or importances, one row per fold model and feature."""
    parts = []
    for one in fitted:
        if one.weights is None:
            continue
        n_added = len(one.columns) - one.n_base
        head = {
            "feature_set": one.feature_set,
            "classifier": one.classifier,
            "repeat": one.repeat,
            "fold": one.fold,
            "feature": one.columns,
            "block": ["base"] * one.n_base + ["learned"] * n_added,
            "weight": one.weights,
        }
        parts.append(pd.DataFrame(head))
    columns = ["feature_set", "classifier", "repeat", "fold", "feature", "block", "weight"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def warning_list(results: Results) -> list[str]:
    """List the warnings of fits, one of each kind, with the number of fits that raised it."""
    kinds: dict[str, list[str]] = {}
    raised = [one.warnings for one in results.learned] + [one.warnings for one in results.fitted]
    for message in itertools.chain.from_iterable(raised):
        kinds.setdefault(_kind_of(message), []).append(message)
    found = []
    for messages in kinds.values():
        n = len(messages)
        others = ", with other numbers in some" if len(set(messages)) > 1 else ""
        found.append(f"{messages[0]} ({n} fits{others})" if n > 1 else messages[0])
    return found


def _kind_of(message: str) -> str:
    """Return a warning without its numbers and the names that it lists after a colon."""
    return re.sub(r": [^;:]*|\d[\d.,]*", "", message)


def comparison_of(
    study: Study, results: Results, settings: ComparisonSettings, messages: list[str]
) -> FeatureSetComparison:
    """Assemble the comparison from the results of the run."""
    scores = score_table(results.fitted)
    folds = FoldTests(study, results.held, scores)
    summary, tests = folds.summary(), folds.tests()
    predictions = prediction_table(study, results.fitted)
    parts: dict[str, Any] = {
        "scores": scores,
        "cv_summary": summary,
        "cv_tests": tests,
        "cv_predictions": predictions,
        "summary": summary,
        "tests": tests,
        "predictions": predictions,
        "graph_tests": folds.graph_tests(),
    }
    if study.outcome.test is not None:
        mean = ensembles(results.fitted)
        held = TestSet(study, mean, study.outcome.test, settings.seed)
        held_predictions = ensemble_predictions(study, mean, study.outcome.test)
        parts |= {"summary": held.summary(), "tests": held.tests()}
        parts["predictions"] = held_predictions
    first = [one for one in results.learned if one.repeat == 0]
    return FeatureSetComparison(
        **parts,
        redundancy=redundancy_table(results.audits),
        added_information=results.information,
        choices=choice_table(results.fitted),
        weights=weight_table(results.fitted),
        history=history_table(results),
        models={
            (one.feature_set, one.classifier, one.repeat, one.fold): one.model
            for one in results.fitted
        },
        networks={(one.variant.name, one.repeat, one.fold): one.model for one in results.learned},
        latents={
            name: _held_out(study, first, name)
            for name in dict.fromkeys(one.variant.name for one in first)
        },
        atlas=results.atlas,
        attention=results.attention.table,
        patient_graphs=results.attention.pictures,
        settings=settings,
        warnings=messages,
    )


def _held_out(study: Study, learned: list[Any], name: str) -> pd.DataFrame:
    """Collect the features of a variant for each sample, from the fold that held it out."""
    parts = []
    for one in learned:
        if one.variant.name == name:
            fold = next(f for f in study.folds if (f.repeat, f.fold) == (0, one.fold))
            part = pd.DataFrame(one.d[fold.test], study.table.index[fold.test], one.columns)
            part.insert(0, "fold", one.fold)
            parts.append(part)
    return pd.concat(parts)
