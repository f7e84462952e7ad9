"""Section: audit of the redundancy between hand-crafted and learned features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nonredundant.displays.names import method_name
from nonredundant.displays.redundancy import RedundancyDisplay
from nonredundant.report.figures import Drawing, draw_with
from nonredundant.report.formatting import (
    Column,
    frame_table,
    number_column,
    p_column,
    text_column,
)
from nonredundant.report.section import Block, Section, note

_COLUMNS = (
    text_column("feature_set", "learned features"),
    Column("estimator", lambda row: method_name(row["method"]), False),
    text_column("unit", "unit"),
    number_column("estimate", "estimate"),
    number_column("null_mean", "chance, mean"),
    number_column("null_95", "chance, 95 %"),
    p_column("p_value", "p"),
    number_column("detectable", "smallest detectable"),
)


_EMBEDDING = (
    text_column("embedding", "embedding"),
    number_column("n_columns", "columns that vary", 0),
    number_column("n_components", "components", 0),
    number_column("share_of_variance", "share of its variance", 2),
    number_column("share_explained", "explained by known features", 2),
    number_column("lowest", "lowest of folds", 2),
    number_column("highest", "highest of folds", 2),
)


def _figures(comparison: Any) -> list[Drawing]:
    """Draw the estimates against chance."""
    if comparison.redundancy["estimate"].isna().all():
        return []
    return [
        Drawing(
            "redundancy",
            "Redundancy",
            "Dependence between hand-crafted and learned features that newly trained estimators "
            "find on held-out samples. Grey: the range of independent features, from the mean to "
            "the 95 % point. A marker inside or left of the grey bar is no more than chance.",
            draw_with(RedundancyDisplay),
        )
    ]


def _content(comparison: Any) -> list[Block] | None:
    """Tabulate the audit."""
    if comparison.redundancy.empty:
        return None
    table = frame_table(comparison.redundancy, _COLUMNS, "Audit on held-out samples")
    remarks = [
        f"{row['feature_set']}, {method_name(row['method'])}: {row['detail']}"
        for _, row in comparison.redundancy.iterrows()
        if row["detail"]
    ]
    given = [frame_table(comparison.embeddings, _EMBEDDING, "Given embeddings")]
    return [
        *([] if comparison.embeddings.empty else given),
        replace(table, notes=remarks),
        note(
            "Smallest detectable: the estimate that this number of held-out samples shows with 80 "
            "% power."
        ),
        note(
            "An audit can show that features are redundant; it cannot prove that they are "
            "independent, because its estimators detect only some forms of dependence, and only "
            "with enough held-out samples."
        ),
    ]


SECTION = Section("audit", "Audit of redundancy", _content, _figures)
