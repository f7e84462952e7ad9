"""The first screen of the report: the answer and its basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from nonredundant.displays.names import estimate_name, metric_name
from nonredundant.report.agreement import agreement_text, all_tests, rows_with, verdict
from nonredundant.report.descriptions import validation_text
from nonredundant.report.formatting import (
    SET,
    Table,
    frame_table,
    interval_column,
    number_column,
    p_column,
)


@dataclass(frozen=True)
class Headline:
    """Content above the table of contents."""

    answer: str
    verdict: str
    lines: list[str]
    table: Table
    basis: str
    best_simple: str
    n_failed: int
    n_warnings: int


def headline(comparison: Any) -> Headline:
    """Summarise a comparison on one screen."""
    tests, settings = all_tests(comparison), comparison.settings
    lines = [comparison.graph_answer(), _redundancy_text(comparison), agreement_text(tests)]
    return Headline(
        answer=comparison.answer(),
        verdict=verdict(tests),
        lines=[line for line in lines if line],
        table=_primary_table(comparison),
        basis=f"{settings.cohort.n_samples:,} samples; {validation_text(settings)}",
        best_simple=_best_simple(comparison),
        n_failed=len(settings.failed),
        n_warnings=len(comparison.warnings),
    )


def _redundancy_text(comparison: Any) -> str:
    """Summarise the audit of the primary set's learned block."""
    table = comparison.redundancy
    if table.empty:
        return "The redundancy of the learned features with the hand-crafted ones was not audited."
    blocks = table["feature_set"].unique().tolist()
    own = comparison.primary["feature_set"].rpartition("+")[2]
    own = own if own in blocks else blocks[0]
    n, found, number = _audit_of(table, own)
    who = f"{found} of {n} newly trained estimators detect"
    if n == 1:
        does = "detects" if found else "does not detect"
        who = f"a newly trained estimator {does}"
    text = (
        f"On held-out samples, {who} the hand-crafted features in {own} beyond chance ({number})."
    )
    plain = own.removesuffix("-MI")
    if plain != own and plain in blocks:
        n, found, number = _audit_of(table, plain)
        who = f"{found} of {n} do" if n > 1 else "it does" if found else "it does not either"
        text += f" In {plain}, trained without the independence term, {who} ({number})."
    return text


def _audit_of(table: pd.DataFrame, name: str) -> tuple[int, int, str]:
    """Count the estimators and those that found redundancy; describe the estimate of one."""
    own = table[table["feature_set"] == name]
    # Distance correlation is the one whose value can be read without knowing the estimator.
    first = own.sort_values("method", key=lambda names: names != "dcor", kind="stable").iloc[0]
    number = f"{first['estimate']:.2f}, by chance {first['null_mean']:.2f}"
    n_found = int((own["p_value"] < 0.05).sum())
    return len(own), n_found, f"{estimate_name(first['method'])} {number}"


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
