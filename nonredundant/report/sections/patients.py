"""Section: patients with several lesions, and the graph of lesions."""

from __future__ import annotations

from typing import Any

import pandas as pd

from nonredundant.displays import style as look
from nonredundant.displays.patient_graph import PatientGraphDisplay
from nonredundant.report.figures import Drawing
from nonredundant.report.formatting import (
    DIFFERENCE,
    METRIC,
    SET,
    Column,
    Table,
    column_if_varying,
    count,
    format_interval,
    frame_table,
    number_column,
    pair_table,
    text_column,
)
from nonredundant.report.references import cite
from nonredundant.report.section import Block, Section, note


def _figures(comparison: Any) -> list[Drawing]:
    """Draw a few patients as graphs."""
    if not comparison.patient_graphs:
        return []
    return [
        Drawing(
            "graphs",
            "Patients as graphs",
            "Held-out patients: for each outcome, the one with the highest and the one with the "
            "lowest prediction (with more than two classes, the prediction of the patient's own "
            "class), viewed from the front if lesions have three dimensions. The area of a lesion "
            "and the width of a line between two lesions are in proportion to the graph's "
            "attention. Attention shows what a prediction was computed from, not what caused the "
            "outcome.",
            _draw_graphs,
        )
    ]


def _draw_graphs(comparison: Any) -> Any:
    """Draw the patients side by side, two per row."""
    shown = comparison.patient_graphs
    n_columns = 1 if look.is_narrow(10.0) else 2
    n_rows = -(-len(shown) // n_columns)
    axes = look.new_grid(n_rows, n_columns, (5.0 * n_columns, 5.2 * n_rows))
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    for ax, parts in zip(axes.flat, shown, strict=False):
        PatientGraphDisplay(**parts).plot(ax)
    return axes[0, 0].figure


def _content(comparison: Any) -> list[Block]:
    """Tabulate lesions per patient, the tests of the graph, and its attention."""
    blocks: list[Block] = [
        _lesion_table(comparison.settings),
        _graph_table(comparison.graph_tests, "The graph of lesions against pooling"),
        _attention_table(comparison.attention, "Attention in the graphs of held-out patients"),
    ]
    if comparison.settings.graph:
        text = (
            "The graph of lesions follows Thiery et al.{}. It uses only the distances between "
            "lesions, so the order of the lesions and the patient's position do not matter. It is "
            "not tuned, whereas the classifiers on pooled lesions are."
        )
        blocks.append(note(text, cite("thiery")))
    return blocks


def _lesion_table(settings: Any) -> Table:
    """Tabulate the number of lesions per sample, where some samples have several."""
    cohort = settings.cohort
    if cohort.n_lesions == cohort.n_samples:
        return pair_table([])
    low, middle, high, most = cohort.lesions_a_sample
    return pair_table(
        [
            ("lesions", f"{cohort.n_lesions:,} in {count(cohort.n_samples, 'sample')}"),
            (
                "lesions per sample, median (quartiles)",
                f"{middle:g} ({low:g} to {high:g}), at most {most:g}",
            ),
            ("how lesions are combined into one prediction", settings.patients),
        ]
    )


def _graph_table(tests: pd.DataFrame, caption: str) -> Table:
    """Tabulate the paired differences of the graph to classifiers on pooled lesions."""
    metric, caption = column_if_varying(tests, "metric", METRIC, caption)
    columns = [SET, text_column("reference", "against"), *metric, *DIFFERENCE]
    return frame_table(tests, columns, caption)


def _attention_table(attention: pd.DataFrame, caption: str) -> Table:
    """Tabulate the attention to the most important lesion and to each clinical variable."""
    if attention.empty:
        return Table([], [], [], caption)
    # Where test folds overlap, a patient was held out by several graphs.
    lesions = attention[attention["kind"] == "lesion"].groupby(["fold", "sample"])["weight"]
    several = lesions.size() > 1
    shares = [("lesion with the highest attention, patients with several", lesions.max()[several])]
    clinical = attention[attention["kind"] == "clinical"]
    for name, weights in clinical.groupby("variable", sort=False)["weight"]:
        shares.append((f"clinical variable {name}", weights))
    rows = [
        (name, len(w), w.median(), w.quantile(0.25), w.quantile(0.75))
        for name, w in shares
        if len(w)
    ]
    frame = pd.DataFrame(rows, columns=["what", "n", "median", "low", "high"])
    columns = [
        text_column("what", "attention to"),
        Column("patients", lambda row: f"{row['n']:,}"),
        number_column("median", "share, median", 2),
        Column("quartiles", lambda row: format_interval(row["low"], row["high"])),
    ]
    return frame_table(frame, columns, caption)


SECTION = Section("patients", "Patients and their lesions", _content, _figures)
