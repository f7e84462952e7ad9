"""The result tables of a comparison."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.classifiers.builtin import OWN, WEIGHT
from nonredundant.folds.audit import Audit
from nonredundant.folds.fitting import Fitted
from nonredundant.folds.networks import Learned
from nonredundant.folds.study import FitResults, Study
from nonredundant.metrics.audit import COLUMNS, pool_redundancy
from nonredundant.results.centres import centre_table, coding_table, heterogeneity_table
from nonredundant.results.comparison import FeatureSetComparison
from nonredundant.results.controls import controls_table
from nonredundant.results.information import information_table
from nonredundant.results.models import embedding_table
from nonredundant.results.probabilities import probability_table
from nonredundant.results.selection import selection_tables
from nonredundant.results.settings import ComparisonSettings
from nonredundant.results.significance import (
    FoldTests,
    TestSet,
    ensemble_predictions,
    ensembles,
    score_columns,
)
from nonredundant.results.stability import stability_table

#: Chosen values that have columns of their own.
_OWN_COLUMNS = (f"{OWN}C", f"{OWN}alpha", WEIGHT)


def score_table(fitted: list[Fitted]) -> pd.DataFrame:
    """Tabulate the scores, one row per fold, feature set, classifier and metric."""
    rows = [
        (*_place(fit).values(), metric, score)
        for fit in fitted
        for metric, score in fit.scores.items()
    ]
    columns = ["feature_set", "classifier", "repeat", "fold", "metric", "score"]
    return pd.DataFrame(rows, columns=columns)


def _place(fit: Fitted) -> dict[str, Any]:
    """Return the columns that identify a fit."""
    return {
        "feature_set": fit.feature_set,
        "classifier": fit.classifier,
        "repeat": fit.fold.repeat,
        "fold": fit.fold.fold,
    }


def prediction_table(study: Study, fitted: list[Fitted]) -> pd.DataFrame:
    """Tabulate out-of-fold predictions, one row per sample, repeat, feature set and classifier."""
    parts = []
    for fit in fitted:
        place = _place(fit)
        head = {
            "sample": fit.samples,
            **{name: place[name] for name in ("repeat", "fold", "feature_set", "classifier")},
            **fit.truth,
        }
        scores = score_columns(fit.response, study.outcome.classes)
        parts.append(pd.DataFrame({**head, **scores}))
    return pd.concat(parts, ignore_index=True)


def redundancy_table(audits: list[Audit]) -> pd.DataFrame:
    """Pool the audits of each learned block over the folds, whose held-out samples are disjoint."""
    parts = []
    for block in dict.fromkeys(audit.block for audit in audits):
        folds = [(audit.report, audit.null) for audit in audits if audit.block == block]
        table = pool_redundancy(folds).reset_index()
        table.insert(0, "feature_set", block)
        parts.append(table)
    if parts:
        return pd.concat(parts, ignore_index=True)
    return pd.DataFrame(columns=["feature_set", "method", *COLUMNS])


def history_table(learned: list[Learned]) -> pd.DataFrame:
    """Tabulate the losses of every network, one row per epoch."""
    parts = []
    for record in learned:
        if record.history is not None:
            part = record.history.rename_axis("epoch").reset_index()
            part.insert(0, "feature_set", record.variant.name)
            part.insert(1, "repeat", record.fold.repeat)
            part.insert(2, "fold", record.fold.fold)
            parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def choice_table(fitted: list[Fitted]) -> pd.DataFrame:
    """Tabulate the values and the threshold chosen by inner cross-validation in each fold."""
    rows = [
        {
            **_place(fit),
            "C": fit.chosen.get("classifier__C", np.nan),
            "alpha": fit.chosen.get("classifier__alpha", np.nan),
            "block_weight": fit.chosen.get(WEIGHT, np.nan),
            "others": "; ".join(
                f"{name.replace(OWN, '')} = {value}"
                for name, value in fit.chosen.items()
                if name not in _OWN_COLUMNS
            ),
            "threshold": fit.threshold,
        }
        for fit in fitted
    ]
    return pd.DataFrame(rows)


def weight_table(fitted: list[Fitted]) -> pd.DataFrame:
    """Tabulate coefficients or importances, one row per fold model and feature."""
    parts = []
    for fit in fitted:
        if fit.weights is None:
            continue
        n_added = len(fit.columns) - fit.n_base
        part = {
            **_place(fit),
            "feature": fit.columns,
            "block": ["base"] * fit.n_base + ["learned"] * n_added,
            "weight": fit.weights,
        }
        parts.append(pd.DataFrame(part))
    columns = ["feature_set", "classifier", "repeat", "fold", "feature", "block", "weight"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def warning_list(results: FitResults) -> list[str]:
    """List the warnings of fits, one of each kind, with the number of fits that raised it."""
    kinds: dict[str, list[str]] = {}
    raised = [results.messages]
    raised += [record.warnings for record in results.learned]
    raised += [fit.warnings for fit in results.fitted]
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
    study: Study, results: FitResults, settings: ComparisonSettings, messages: list[str]
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
    mean = None
    if study.outcome.test is not None:
        mean = ensembles(results.fitted)
        held = TestSet(study, mean, study.outcome.test, settings.seed)
        held_predictions = ensemble_predictions(study, mean, study.outcome.test)
        parts |= {"summary": held.summary(), "tests": held.tests()}
        parts["predictions"] = held_predictions
    parts["selected"], parts["selection_stability"] = selection_tables(study)
    first = [record for record in results.learned if record.fold.repeat == 0]
    by_centre = centre_table(study, results, scores)
    return FeatureSetComparison(
        **parts,
        redundancy=redundancy_table(results.audits),
        stability=stability_table(study.data),
        embeddings=embedding_table(results.learned),
        added_information=information_table(study, results),
        controls=controls_table(study, results),
        probability_tests=probability_table(study, results.held, mean),
        by_centre=by_centre,
        heterogeneity=heterogeneity_table(by_centre),
        centre_coding=coding_table(study, results),
        choices=choice_table(results.fitted),
        weights=weight_table(results.fitted),
        history=history_table(results.learned),
        models={tuple(_place(fit).values()): fit.model for fit in results.fitted},
        networks={
            (record.variant.name, record.fold.repeat, record.fold.fold): record.model
            for record in results.learned
        },
        latents={
            block: _held_out([record for record in first if record.variant.name == block])
            for block in dict.fromkeys(record.variant.name for record in first)
        },
        atlas=results.atlas,
        attention=results.attention.table,
        patient_graphs=results.attention.pictures,
        settings=settings,
        warnings=messages,
    )


def _held_out(records: list[Learned]) -> pd.DataFrame:
    """Collect the latents of each sample from the fold that held it out."""
    parts = []
    for record in records:
        part = record.held.copy()
        part.insert(0, "fold", record.fold.fold)
        parts.append(part)
    return pd.concat(parts)
