"""The first screen of the report: the answer and its basis."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from nonredundant.displays.names import metric_name
from nonredundant.report.agreement import rows_with
from nonredundant.report.descriptions import validation_text
from nonredundant.report.estimate import draw_estimate
from nonredundant.report.formatting import (
    NOT_ESTIMABLE,
    SET,
    Column,
    Table,
    count,
    format_number,
    format_p,
    frame_table,
    interval_column,
    number_column,
)

#: Style class of a statement by its verdict; all others are "none".
_COLOURS = {"gain": "gain", "information": "gain", "loss": "loss", "dependent": "loss"}
#: Verdicts that are no proof of absence, and the limit that belongs to them.
_LIMITED = ("none seen", "unsettled")
_LIMIT = re.compile(
    r"a dependence below [^;)]* may have been missed|gains of more than \S+ are excluded", re.I
)


class Statement(NamedTuple):
    """What was found, without its numbers, and the style class of the verdict."""

    text: str
    colour: str


@dataclass(frozen=True)
class Headline:
    """Content above the table of contents."""

    statements: list[Statement]
    answer: str
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
        statements=_statements(comparison.findings()),
        answer=comparison.answer(),
        drawing=draw_estimate(_primary_test(comparison), metric_name(comparison.primary["metric"])),
        lines=[line for line in lines if line],
        table=_primary_table(comparison),
        basis=f"{count(settings.cohort.n_samples, 'sample')}; {validation_text(settings)}",
        best_simple=_best_simple(comparison),
        n_failed=len(settings.failed),
        n_warnings=len(comparison.warnings),
    )


def _statements(findings: Mapping[str, Any]) -> list[Statement]:
    """Shorten each finding to what stands before its numbers, with the limit of what was seen."""
    statements = []
    for key, (verdict, text) in findings.items():
        # Numbers follow a colon, those of an audit without a finding stand in brackets.
        start, colon, _ = text.partition(": ")
        if not colon and key in ("new", "explained"):
            start = text.partition(" (")[0]
        if verdict in _LIMITED:
            limit = _LIMIT.search(text)
            start += f"; {limit[0][0].lower()}{limit[0][1:]}" if limit else ""
        statements.append(Statement(start.rstrip(".") + ".", _COLOURS.get(verdict, "none")))
    return statements


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
    simple = _simple_rows(comparison)
    return "" if simple.empty else str(simple.set_index("feature_set")["mean"].idxmax())


def _simple_rows(comparison: Any) -> pd.DataFrame:
    """Return the scores of the simple sets, by the primary classifier or else by the first one.

    A graph is not fitted on sets without columns of lesions; the classifier that was is named.
    """
    primary = comparison.primary
    summary = rows_with(comparison.summary, {"metric": primary["metric"]})
    summary = summary[summary["feature_set"].isin(comparison.settings.simple_sets)]
    other = (summary["classifier"] != primary["classifier"]).to_numpy()
    summary = summary.iloc[np.argsort(other, kind="stable")].drop_duplicates("feature_set")
    names = [
        name if clf == primary["classifier"] else f"{name} ({clf})"
        for name, clf in zip(summary["feature_set"], summary["classifier"], strict=True)
    ]
    return summary.assign(feature_set=names)


def _primary_table(comparison: Any) -> Table:
    """Tabulate the sets of the primary comparison, and those without a network or HCR."""
    primary = comparison.primary
    at = {name: primary[name] for name in ("classifier", "metric")}
    summary = rows_with(comparison.summary, at)
    tests = rows_with(comparison.tests, {**at, "feature_set": primary["feature_set"]})
    simple = _simple_rows(comparison)
    names = [*tests["reference"], primary["feature_set"]]
    names = [name for name in dict.fromkeys(names) if not (simple["feature_set"] == name).any()]
    own = pd.concat([summary.set_index("feature_set").loc[names].reset_index(), simple])
    # Without a fused set the primary one is what the others were tested against.
    reference = primary.get("reference", primary["feature_set"])
    versus = rows_with(comparison.tests, {**at, "reference": reference})
    versus = versus[["feature_set", "estimate", "p_value", "reason"]]
    own = own.merge(versus, on="feature_set", how="left", suffixes=("", "_test"))
    # A score and its difference are seldom without an interval for different reasons.
    own["reason"] = own["reason"].where(own["reason"] != "", own["reason_test"])
    columns = [SET, number_column("mean", metric_name(primary["metric"])), interval_column()]
    if own["estimate"].notna().any():

        def gain(row: Any) -> str:
            is_reference = row["feature_set"] == reference
            return "reference" if is_reference else format_number(row["estimate"], signed=True)

        def p(row: Any) -> str:
            not_known = np.isnan(row["p_value"]) and not np.isnan(row["estimate"])
            if row["feature_set"] == reference:
                return ""
            return NOT_ESTIMABLE if not_known else format_p(row["p_value"])

        columns += [Column(f"gain over {reference}", gain), Column("p", p)]
    return frame_table(own, columns, marked={"feature_set": primary["feature_set"]})
