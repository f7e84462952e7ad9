"""What a saved model tells of the cohort that it was fitted on, for its card."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.evaluation.predictor import Predictor
from nonredundant.extraction.case_table import clinical_sources
from nonredundant.folds.cohort import Cohort
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.steps import EncodeClinical, Step
from nonredundant.lesions.images import settings_by_image
from nonredundant.lesions.table import LesionTable
from nonredundant.report.formatting import count
from nonredundant.results.settings import software_versions
from nonredundant.statistics.survival import baseline_hazard


def training_facts(cohort: Cohort, seed: int, steps: Iterable[Step]) -> dict[str, Any]:
    """Return counts, settings and versions, in plain types; neither ids nor paths.

    Parameters
    ----------
    cohort : Cohort
        The samples.
    seed : int
        The random seed of the fit.
    steps : iterable of (str, transformer)
        The fitted steps.

    Returns
    -------
    dict
        `n_samples, n_lesions, n_failed, n_groups, outcome` (samples by class or state), `blocks`
        (columns by block), `clinical` (clinical columns, as they were before any step encoded
        them), `steps` (what else was learned before network and classifier), `settings`
        (pyradiomics' settings by image), `versions, made, seed`.
    """
    table, outcome = cohort.table, cohort.outcome
    counts = np.bincount(outcome.strata, minlength=len(outcome.states))
    blocks = pd.Series(table.blocks, dtype=object).value_counts(sort=False)
    by_image = settings_by_image(table.provenance)
    return {
        "n_samples": cohort.n,
        "n_lesions": table.n_lesions,
        "n_failed": len(cohort.failed),
        "n_groups": None if cohort.groups is None else len(np.unique(cohort.groups)),
        "outcome": {str(k): int(n) for k, n in zip(outcome.states, counts, strict=True)},
        "blocks": {str(name): int(n) for name, n in blocks.items()},
        "clinical": [*table.columns_of("clinical"), *_encoded(steps)],
        "steps": [_described(step) for _, step in steps if not isinstance(step, EncodeClinical)],
        "settings": {image: _plain(own.get("parameters", {})) for image, own in by_image.items()},
        "versions": software_versions(),
        "made": pd.Timestamp.now().isoformat(timespec="seconds"),
        "seed": seed,
    }


def fitted_baseline(
    predictor: Predictor, table: LesionTable, outcome: Outcome
) -> dict[str, np.ndarray] | None:
    """Return the cumulative baseline hazard of a Cox regression; None of another model."""
    if not outcome.is_survival or not predictor.is_linear:
        return None
    risk = predictor.respond(table)[:, -1]
    times, hazard = baseline_hazard(outcome.y["event"], outcome.y["time"], risk)
    return {"time": times, "hazard": hazard}


def _encoded(steps: Iterable[Step]) -> list[str]:
    """List the columns that steps encode; of those chosen by a rule, what they were made to."""
    found: list[str] = []
    for _, step in steps:
        if isinstance(step, EncodeClinical):
            sources = clinical_sources(step.transformer_) or step.get_feature_names_out()
            found += map(str, sources)
    return found


def _described(step: Any) -> str:
    """Describe a fitted step in one line, with the number of columns that it has learned."""
    text = " ".join(repr(step).split())
    columns = getattr(step, "columns_", None)
    return text if columns is None else f"{text}: {count(len(columns), 'column')}"


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters of an extraction in types that a file may hold."""
    return {
        str(section): {str(name): _text(value) for name, value in (values or {}).items()}
        for section, values in parameters.items()
    }


def _text(value: Any) -> Any:
    """Return a plain value as it is, and another one as text."""
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
