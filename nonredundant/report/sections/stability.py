"""Section: which hand-crafted features come back when the measurement is repeated."""

from __future__ import annotations

from typing import Any

import pandas as pd

from nonredundant.displays.stability import StabilityDisplay
from nonredundant.report.figures import Drawing, draw_with
from nonredundant.report.formatting import frame_table, number_column, text_column
from nonredundant.report.section import Block, Section, note

_COLUMNS = (
    text_column("family", "family"),
    number_column("n", "features", 0),
    number_column("every", "kept in every fold", 0),
    number_column("some", "kept in some", 0),
    number_column("median", "ICC, median", 2),
    number_column("lowest", "lowest", 2),
    number_column("highest", "highest", 2),
)


def _figures(comparison: Any) -> list[Drawing]:
    """Draw the correlations by family."""
    if comparison.stability.empty:
        return []
    return [
        Drawing(
            "stability",
            "Stability of the features",
            "Intraclass correlation of each hand-crafted feature over repeated measurements of the "
            "training samples, with its interval, as means over the folds. Filled: kept in every "
            "fold. Dashed: the threshold.",
            draw_with(StabilityDisplay),
        )
    ]


def _content(comparison: Any) -> list[Block] | None:
    """Tabulate the families, and say by which rule features were kept."""
    table = comparison.stability
    if table.empty:
        return None
    rows = []
    for family, own in table.groupby("family", sort=False):
        some = (own["kept"] > 0) & (own["kept"] < 1)
        icc = own["icc"]
        rows.append(
            (family, len(own), (own["kept"] == 1).sum(), some.sum(), icc.median(), icc.min())
            + (icc.max(),)
        )
    names = ["family", "n", "every", "some", "median", "lowest", "highest"]
    first = table.iloc[0]
    bound = "the lower end of its 95 % interval" if first["bound"] == "lower" else "the estimate"
    return [
        frame_table(pd.DataFrame(rows, columns=names), _COLUMNS, "Stability by family of features"),
        note(
            "In each fold a hand-crafted feature is kept if {} of {} reaches {}, in {} repeated "
            "measurements of its training samples (a mean of {} samples); those of held-out "
            "samples are not looked at. The feature sets of this report are made of the kept ones.",
            bound,
            first["kind"],
            f"{first['threshold']:g}",
            f"{table['n_repeats'].max():g}",
            f"{table['n_samples'].max():.0f}",
        ),
    ]


SECTION = Section("stability", "Stability of the features", _content, _figures)
