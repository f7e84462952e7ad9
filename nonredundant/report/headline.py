"""The first screen of the report: the answer and its basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nonredundant.displays.names import metric_name
from nonredundant.report.agreement import rows_with
from nonredundant.report.descriptions import validation_text
from nonredundant.report.estimate import draw_estimate
from nonredundant.report.formatting import (
    SET,
    Table,
    frame_table,
    interval_column,
    number_column,
    p_column,
)

#: Style class of the answer by its verdict; all others are "none".
_COLOURS = {"gain": "gain", "information": "gain", "loss": "loss"}


@dataclass(frozen=True)
class Headline:
    """Content above the table of contents."""

    answer: str
    verdict: str
    drawing: Markup
    lines: list[str]
    table: Table
    basis: str
    best_simple: str
    n_failed: int
    n_warnings: int


def headline(comparison: Any) -> Headline:
    """Summarise a comparison on one screen."""
    settings = comparison.settings
    lines = [comparison.graph_answer(), _flow(comparison)]
    return Headline(
        answer=comparison.answer(),
        verdict=_COLOURS.get(comparison.findings()["helps"].verdict, "none"),
        drawing=draw_estimate(_primary_test(comparison), metric_name(comparison.primary["metric"])),
        lines=[line for line in lines if line],
        table=_primary_table(comparison),
        basis=f"{settings.cohort.n_samples:,} samples; {validation_text(settings)}",
        best_simple=_best_simple(comparison),
        n_failed=len(settings.failed),
        n_warnings=len(comparison.warnings),
    )


def _flow(comparison: Any) -> str:
    """Describe how many cases were given, read, usable and analysed, and why others were not."""
    flow = comparison.flow
    stages = " → ".join(f"{row.n:,} {row.stage}" for row in flow.itertuples())
    reasons = "; ".join(row.reason for row in flow.itertuples() if row.reason)
    return f"Cases: {stages}{f' ({reasons})' if reasons else ''}."


def _primary_test(comparison: Any) -> Any:
    """Return the row of the primary test; None if there is none."""
    if "reference" not in comparison.primary:
        return None
    own = rows_with(comparison.tests, comparison.primary)
    return None if own.empty else own.iloc[0]


def _best_simple(comparison: Any) -> str:
    """Return the simple feature set that scored best; an empty text if there is none."""
    primary = comparison.primary
    at = {name: primary[name] for name in ("classifier", "metric")}
    summary = rows_with(comparison.summary, at)
    simple = summary[summary["feature_set"].isin(comparison.settings.simple_sets)]
    return "" if simple.empty else str(simple.set_index("feature_set")["mean"].idxmax())


def _primary_table(comparison: Any) -> Table:
    """Tabulate the sets of the primary comparison, and the best one without a network."""
    primary = comparison.primary
    at = {name: primary[name] for name in ("classifier", "metric")}
    summary = rows_with(comparison.summary, at)
    tests = rows_with(comparison.tests, {**at, "feature_set": primary["feature_set"]})
    best = _best_simple(comparison)
    names = [*tests["reference"], primary["feature_set"], *([best] if best else [])]
    own = summary.set_index("feature_set").loc[list(dict.fromkeys(names))].reset_index()
    # Without a fused set the primary one is what the others were tested against.
    reference = primary.get("reference", primary["feature_set"])
    versus = rows_with(comparison.tests, {**at, "reference": reference})
    own = own.merge(versus[["feature_set", "estimate", "p_value"]], on="feature_set", how="left")
    columns = [SET, number_column("mean", metric_name(primary["metric"])), interval_column()]
    if own["estimate"].notna().any():
        columns.append(number_column("estimate", f"gain over {reference}", signed=True))
        columns.append(p_column("p_value", "p"))
    return frame_table(own, columns, marked={"feature_set": primary["feature_set"]})
