"""Section: features that steps of the folds selected, and how much the folds agree."""

from __future__ import annotations

from typing import Any

from nonredundant.displays.selection import SelectionFrequencyDisplay
from nonredundant.report.figures import Drawing, draw_with
from nonredundant.report.formatting import (
    Column,
    frame_table,
    interval_column,
    number_column,
    text_column,
)
from nonredundant.report.section import Block, Section, note

_STEP = text_column("step", "step")
_STABILITY = (
    _STEP,
    Column("features", lambda row: f"{row['n_features']:,}"),
    Column("chosen", lambda row: _range(row["fewest"], row["most"])),
    number_column("stability", "stability", 2),
    interval_column(),
)
_SELECTED = (
    _STEP,
    text_column("feature", "feature"),
    Column("chosen in", lambda row: f"{row['n_chosen']} of {row['n_fits']} folds"),
)


def _range(low: int, high: int) -> str:
    """Format a range of numbers."""
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _figures(comparison: Any) -> list[Drawing]:
    """Draw the most frequent features."""
    if comparison.selected.empty:
        return []
    return [
        Drawing(
            "selection",
            "Selected features",
            "In which share of the folds the most frequent features were chosen, by the first "
            "step that selects. Dashed: what a random choice of as many would give.",
            draw_with(SelectionFrequencyDisplay),
        )
    ]


def _content(comparison: Any) -> list[Block] | None:
    """Tabulate the stability of each step and the features."""
    if comparison.selected.empty:
        return None
    return [
        frame_table(comparison.selection_stability, _STABILITY, "Selection inside the folds"),
        frame_table(comparison.selected, _SELECTED, "How often each feature was chosen"),
        note(
            "Stability (Nogueira, Sechidis and Brown 2018): 1 if all folds choose the same "
            "features, 0 if they agree no more than random choices. Training samples of folds "
            "overlap, so that another cohort would agree less. What was not chosen is known all "
            "the same: the audit and the tests of added information use all features."
        ),
    ]


SECTION = Section("selection", "Selected features", _content, _figures)
