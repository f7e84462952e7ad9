"""Section: each centre that was left out, and whether features tell the centre."""

from __future__ import annotations

from typing import Any

from nonredundant.displays.comparison import FeatureSetComparisonDisplay
from nonredundant.report.figures import Drawing
from nonredundant.report.formatting import (
    SET,
    Column,
    format_interval,
    frame_table,
    interval_column,
    number_column,
    p_column,
    text_column,
)
from nonredundant.report.section import Block, Section, note

_CENTRES = (
    text_column("centre", "centre"),
    number_column("n", "samples", 0),
    number_column("events", "events", 0),
    SET,
    number_column("score", "score"),
    interval_column(),
    number_column("difference", "difference", signed=True),
    Column(
        "95 % interval",
        lambda row: format_interval(row["difference_low"], row["difference_high"], signed=True),
    ),
    text_column("reason", "remark"),
)
_HETEROGENEITY = (
    SET,
    text_column("what", "of the"),
    number_column("n_centres", "centres", 0),
    number_column("mean", "mean"),
    interval_column(),
    number_column("q", "Q", 2),
    p_column("p_value", "p"),
    number_column("i2", "I²", 2),
    number_column("tau2", "tau²", 4),
    text_column("left_out", "not in the mean"),
)
_CODING = (
    text_column("features", "features"),
    number_column("estimate", "balanced accuracy", 2),
    number_column("null_mean", "chance, mean", 2),
    number_column("null_95", "chance, 95 %", 2),
    p_column("p_value", "p"),
    text_column("detail", "remark"),
)


def _figures(comparison: Any) -> list[Drawing]:
    """Draw the centres that were left out."""
    if comparison.by_centre.empty:
        return []
    return [
        Drawing(
            "centres",
            "Centres left out",
            "Left: score of the primary set in each centre, by models trained on the others. "
            "Right: paired difference to its reference. Lines are 95 % intervals: DeLong's of one "
            "centre, Student's over centres of the mean, which is shaded.",
            lambda shown: FeatureSetComparisonDisplay.from_centres(shown).figure_,
        )
    ]


def _content(comparison: Any) -> list[Block] | None:
    """Tabulate the centres, how they differ, and whether features tell them apart."""
    if comparison.by_centre.empty and comparison.centre_coding.empty:
        return None
    primary = comparison.primary["classifier"]
    by_centre, spread = (
        table[table["classifier"] == primary]
        for table in (comparison.by_centre, comparison.heterogeneity)
    )
    blocks: list[Block] = [
        frame_table(by_centre, _CENTRES, "Each centre, by models trained on the others"),
        frame_table(spread, _HETEROGENEITY, "How scores and differences vary between centres"),
        frame_table(
            comparison.centre_coding, _CODING, "Whether the centre can be told from features"
        ),
    ]
    if len(spread):
        blocks.append(
            note(
                "Means and intervals of this table are of a random-effects model (Hartung and "
                "Knapp), those of the comparison of Student's t over centres. With few centres Q "
                "has little power, and an I² of 0 does not say that centres are alike."
            )
        )
    if len(spread) and spread["left_out"].any():
        blocks.append(
            note(
                "Centres that are not in the mean have no error by which they could be weighted: "
                "all pairs of their samples are ordered alike, such as by an AUC of 1, or too few "
                "samples are independent. An AUC of 1 that is left out makes the mean too low."
            )
        )
    if len(comparison.centre_coding):
        blocks.append(
            note(
                "The centre is predicted by a linear classifier on samples that it was not fitted "
                "to; chance: centres permuted. Features may tell it by how images were made or by "
                "who was treated there; a harmonisation cannot tell the two apart."
            )
        )
    return blocks


SECTION = Section("centres", "Centres", _content, _figures)
