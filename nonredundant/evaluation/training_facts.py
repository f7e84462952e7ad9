"""What a saved model tells of the cohort that it was fitted on, for its card."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant.evaluation.predictor import Predictor
from nonredundant.folds.cohort import Cohort
from nonredundant.folds.outcome import Outcome
from nonredundant.lesions.images import settings_by_image
from nonredundant.lesions.table import LesionTable
from nonredundant.results.settings import software_versions
from nonredundant.statistics.survival import baseline_hazard


def training_facts(cohort: Cohort, seed: int) -> dict[str, Any]:
    """Return counts, settings and versions, in plain types; neither ids nor paths.

    Parameters
    ----------
    cohort : Cohort
        The samples.
    seed : int
        The random seed of the fit.

    Returns
    -------
    dict
        `n_samples, n_lesions, n_failed, n_groups, outcome` (samples by class or state), `blocks`
        (columns by block), `settings` (pyradiomics' settings by image), `versions, made, seed`.
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


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters of an extraction in types that a file may hold."""
    return {
        str(section): {str(name): _text(value) for name, value in (values or {}).items()}
        for section, values in parameters.items()
    }


def _text(value: Any) -> Any:
    """Return a plain value as it is, and another one as text."""
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
