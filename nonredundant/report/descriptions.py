"""Phrases about a comparison that several sections of the report share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nonredundant.report.formatting import count


def class_shares(counts: Mapping[str, int]) -> str:
    """Format class counts with their shares."""
    total = sum(counts.values())
    return ", ".join(f"{name}: {n:,} ({100 * n / total:.0f} %)" for name, n in counts.items())


def held_out_counts(comparison: Any) -> dict[str, int]:
    """Count the classes of the held-out test set; nothing for numbers."""
    if comparison.settings.kind == "numbers":
        return {}
    own = comparison.predictions.drop_duplicates("sample")["y"].astype(str).value_counts()
    return {name: int(own.get(name, 0)) for name in comparison.settings.cohort.class_counts}


def validation_text(settings: Any) -> str:
    """Describe how the models were validated."""
    n_folds = settings.n_folds // settings.n_repeats
    text = f"cross-validation, {count(n_folds, 'fold')}"
    if n_folds == 1:
        text = "one split into training and validation samples"
    if settings.centres_left_out:
        text = f"leave one centre out, {n_folds} of {count(settings.n_centres, 'centre')}"
    if settings.n_repeats > 1:
        text += f", {settings.n_repeats} repeats"
    text += "; groups kept together" if settings.grouped else ""
    if settings.n_test:
        held = count(settings.n_test, "held-out sample")
        text += f"; mean of the fold models on {held}"
    return text


def where_tested(settings: Any) -> str:
    """Describe the samples of the main tables, for their captions."""
    if settings.n_test:
        return "on the held-out test set"
    return "in centres left out" if settings.centres_left_out else "in cross-validation"


def where_predicted(settings: Any) -> str:
    """Describe the samples whose predictions are drawn."""
    return "the held-out test set" if settings.n_test else "held-out folds"
