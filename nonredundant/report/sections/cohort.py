"""Section: the cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nonredundant.lesions.images import settings_by_image
from nonredundant.report.descriptions import class_shares, held_out_counts
from nonredundant.report.formatting import Table, count, format_compact, pair_table
from nonredundant.report.section import Block, Section

#: More clinical columns stand in a table of their own, which is folded.
_MOST_CLINICAL = 12


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
        rows.append(("held-out test set", f"{count(s.n_test, 'sample')}: {shares}"))
    own = _clinical_rows(cohort)
    few = len(own) <= _MOST_CLINICAL
    for name, quartiles in cohort.quartiles.items():
        label, unit, factor = _measure(name, s.provenance)
        low, middle, high = (format_compact(factor * value) for value in quartiles)
        rows.append((f"{label}, median (quartiles)", f"{middle} ({low} to {high}) {unit}"))
    images = list(s.provenance.get("channels", []))
    rows += [
        *([("images per lesion", ", ".join(images))] if images else []),
        *[
            (f"samples without {name}", f"{n:,} of {cohort.n_samples:,}")
            for name, n in cohort.missing_images.items()
        ],
        ("hand-crafted features", f"{cohort.n_hcr:,}"),
        ("clinical columns", f"{cohort.n_clinical:,}"),
        *(own if few else ()),
        *((f"embedding {name}", f"{n:,} columns") for name, n in cohort.embeddings.items()),
        ("patch", _shape_text(cohort.patch_shape)),
        ("cases left out because extraction failed", f"{len(s.failed):,}"),
    ]
    if few:
        return [pair_table(rows)]
    every = [list(row) for row in own]
    return [
        pair_table(rows),
        Table(["column", "values"], [False, False], every, "Clinical columns"),
    ]


def _clinical_rows(cohort: Any) -> list[tuple[str, str]]:
    """Describe each clinical column: the share of ones of a category, else the quartiles."""
    rows = []
    for name, (n, *values) in cohort.clinical.items():
        if len(values) == 1:
            text = f"{values[0]:,.0f} of {n:,.0f}"
            text += f" ({100 * values[0] / n:.0f} %)" if n else ""
            rows.append((f"{name} = 1", text))
        else:
            low, middle, high = map(format_compact, values)
            lost = cohort.n_samples - int(n)
            missing = f"; {count(lost, 'value')} missing" if lost else ""
            rows.append((f"{name}, median (quartiles)", f"{middle} ({low} to {high}){missing}"))
    return rows


def _measure(name: str, provenance: Mapping[str, Any]) -> tuple[str, str, float]:
    """Return label and unit of a simple measure, and the factor from the stored to that unit."""
    if name == "volume":
        # Only the extractor reads the spacing from the images.
        known = "parameters" in provenance or "channels" in provenance
        return "lesion volume per sample", "mL" if known else "mL, if spacing is in mm", 1e-3
    image, first = next(iter(settings_by_image(provenance).items()))
    unit = "SUV" if first.get("modality") == "PET" else "in units of the images"
    return f"maximum intensity{image and f' in {image}'}", unit, 1.0


def _shape_text(shape: Sequence[int] | None) -> str:
    """Format a patch's shape, channels apart."""
    if shape is None:
        return "none"
    channels = f", {count(shape[0], 'channel')}" if shape[0] > 1 else ""
    return " × ".join(map(str, shape[1:])) + f" voxels{channels}"


SECTION = Section("cohort", "Cohort", _content)
