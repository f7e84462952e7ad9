"""Section: the cohort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nonredundant.report.descriptions import class_shares, held_out_counts
from nonredundant.report.formatting import format_compact, pair_table
from nonredundant.report.section import Block, Section

_QUARTILES = {
    "volume": ("lesion volume per sample", "mL if spacing is in mm", 1e-3),
    "maximum": ("maximum intensity", "image units", 1.0),
}


def _content(comparison: Any) -> list[Block]:
    """Tabulate samples, lesions, classes and columns."""
    s, cohort = comparison.settings, comparison.settings.cohort
    rows: list[tuple[str, Any]] = [
        ("samples", f"{cohort.n_samples:,}"),
        ("lesions", f"{cohort.n_lesions:,}"),
        ("classes" if s.classes else "outcome", class_shares(cohort.class_counts)),
    ]
    if s.n_test:
        shares = class_shares(held_out_counts(comparison))
        rows.append(("held-out test set", f"{s.n_test:,} samples: {shares}"))
    for name, quartiles in cohort.quartiles.items():
        label, unit, factor = _QUARTILES[name]
        low, middle, high = (format_compact(factor * value) for value in quartiles)
        rows.append((f"{label}, median (quartiles)", f"{middle} ({low} to {high}), {unit}"))
    rows += [
        ("hand-crafted features", f"{cohort.n_hcr:,}"),
        ("clinical columns", f"{cohort.n_clinical:,}"),
        ("patch", _shape_text(cohort.patch_shape)),
        ("cases left out because extraction failed", f"{len(s.failed):,}"),
    ]
    return [pair_table(rows)]


def _shape_text(shape: Sequence[int] | None) -> str:
    """Format a patch's shape, channels apart."""
    if shape is None:
        return "none"
    channels = f", {shape[0]} channels" if shape[0] > 1 else ""
    return " × ".join(map(str, shape[1:])) + f" voxels{channels}"


SECTION = Section("cohort", "Cohort", _content)
