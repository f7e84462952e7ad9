"""Numbers and data frames as text, in one format for the whole report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nonredundant.displays.names import metric_name, p_number

#: Stands for a value that is not known.
NOTHING = "–"
#: Stands for an interval or a p-value that cannot be estimated.
NOT_ESTIMABLE = "not estimable"
#: Tables with more rows are folded.
_MOST_ROWS = 12


class Column(NamedTuple):
    """A column of a table: its head, how a row's cell is formatted, whether it holds numbers."""

    head: str
    show: Callable[[Any], str]
    is_number: bool = True


@dataclass(frozen=True)
class Table:
    """A table of text cells, the first of each row being its name.

    Attributes
    ----------
    heads : sequence of str
        Column heads; all empty for a table without a head.
    numbers : sequence of bool
        Whether a column holds numbers.
    rows : sequence of sequence of str
        Cells.
    caption : str
        Text above the table.
    marked : frozenset of int
        Rows to shade: those of the primary comparison.
    kind : {"", "pairs", "checklist"}
        Style class.
    is_tall : bool
        Whether the table scrolls in a box of limited height.
    notes : sequence of str
        Numbered notes below the table: why a value is not estimable.
    """

    heads: Sequence[str]
    numbers: Sequence[bool]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    marked: frozenset[int] = field(default_factory=frozenset)
    kind: str = ""
    is_tall: bool = False
    notes: Sequence[str] = ()

    @property
    def is_long(self) -> bool:
        """Whether the table is folded away until the reader opens it."""
        return len(self.rows) > _MOST_ROWS and self.kind != "pairs"

    def __bool__(self) -> bool:
        """Whether the table has rows."""
        return bool(self.rows)


def format_number(value: Any, digits: int = 3, *, signed: bool = False) -> str:
    """Format a number with fixed decimals; a dash for NaN and None."""
    if value is None or np.isnan(value):
        return NOTHING
    # What rounds to zero has no sign.
    value = round(float(value), digits) + 0.0
    return f"{value:{'+' if signed and value else ''}.{digits}f}"


def format_interval(low: Any, high: Any, *, signed: bool = False) -> str:
    """Format an interval; "not estimable" if an end is not known."""
    ends = [format_number(end, signed=signed) for end in (low, high)]
    return NOT_ESTIMABLE if NOTHING in ends else " to ".join(ends)


def format_estimate(row: Any, *, signed: bool = False) -> str:
    """Format an estimate with its interval, or with the reason why there is none.

    Examples
    --------
    >>> format_estimate({"estimate": 0.8, "low": 0.7, "high": 0.9})
    '0.800 (0.700 to 0.900)'
    >>> nothing = float("nan")
    >>> format_estimate({"estimate": 1.0, "low": nothing, "high": nothing, "reason": "one fold"})
    '1.000 (interval not estimable: one fold)'
    """
    estimate = format_number(row["estimate"], signed=signed)
    interval = format_interval(row["low"], row["high"], signed=signed)
    if interval == NOT_ESTIMABLE:
        reason = f": {row['reason']}" if row.get("reason") else ""
        if estimate == NOTHING:
            return f"{NOT_ESTIMABLE}{reason}"
        interval = f"interval {NOT_ESTIMABLE}{reason}"
    return f"{estimate} ({interval})"


def format_p(value: float) -> str:
    """Format a p-value without the letter; a dash for NaN."""
    return p_number(value) or NOTHING


def format_compact(value: float) -> str:
    """Format a number with three significant digits, or as an integer from 1000 on."""
    if np.isnan(value):
        return NOTHING
    # Adding 0 removes the sign of -0.
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value + 0.0:.3g}"


def count(n: int, noun: str) -> str:
    """Format a number of things: "1 fold", "5 folds"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def frame_table(
    frame: pd.DataFrame,
    columns: Sequence[Column],
    caption: str = "",
    *,
    marked: Mapping[str, str] | None = None,
) -> Table:
    """Format a data frame; rows that hold all values of `marked` are shaded.

    Where a row has a `reason`, its cells that are not estimable refer to it by a number.
    """
    rows = [[column.show(row) for column in columns] for _, row in frame.iterrows()]
    notes = _number_reasons(rows, frame["reason"]) if "reason" in frame else []
    shaded = np.full(len(frame), bool(marked))
    for name, value in (marked or {}).items():
        shaded &= (frame[name] == value).to_numpy()
    return Table(
        [column.head for column in columns],
        [column.is_number for column in columns],
        rows,
        caption,
        frozenset(np.flatnonzero(shaded).tolist()),
        notes=[f"[{number}] {note}" for number, note in enumerate(notes, start=1)],
    )


def _number_reasons(rows: list[list[str]], reasons: pd.Series) -> list[str]:
    """Add to cells that are not estimable the number of their row's reason; return the reasons."""
    texts = reasons.where(reasons.map(lambda reason: isinstance(reason, str)), "")
    notes = [text for text in texts.unique() if text]
    for row, text in zip(rows, texts, strict=True):
        if text:
            mark = f"{NOT_ESTIMABLE} [{notes.index(text) + 1}]"
            row[:] = [mark if cell == NOT_ESTIMABLE else cell for cell in row]
    return notes


def pair_table(rows: Iterable[tuple[str, Any]]) -> Table:
    """Format names and values, those without a value left out."""
    kept = [[name, str(value)] for name, value in rows if value not in (None, "", NOTHING)]
    return Table(["", ""], [False, False], kept, kind="pairs")


def text_column(name: str, head: str) -> Column:
    """Make a column of text."""
    return Column(head, lambda row: str(row[name]), False)


def number_column(name: str, head: str, digits: int = 3, *, signed: bool = False) -> Column:
    """Make a column of numbers."""
    return Column(head, lambda row: format_number(row[name], digits, signed=signed))


def interval_column(*, signed: bool = False) -> Column:
    """Make a column of 95 % intervals, from `low` and `high`."""
    return Column(
        "95 % interval", lambda row: format_interval(row["low"], row["high"], signed=signed)
    )


def p_column(name: str, head: str) -> Column:
    """Make a column of p-values."""
    return Column(head, lambda row: p_number(row[name]) or NOT_ESTIMABLE)


SET = text_column("feature_set", "feature set")
CLASSIFIER = text_column("classifier", "classifier")
METRIC = Column("metric", lambda row: metric_name(row["metric"]), False)
#: Columns of a paired difference.
DIFFERENCE = (
    number_column("estimate", "difference", signed=True),
    interval_column(signed=True),
    p_column("p_value", "p"),
    # Where p cannot be estimated, neither can p (Holm); the cell of p refers to the reason.
    Column("p (Holm)", lambda row: format_p(row["p_holm"])),
)


def column_if_varying(
    frame: pd.DataFrame, name: str, column: Column, caption: str
) -> tuple[list[Column], str]:
    """Return the column if its values differ; else no column, and a caption with the one value."""
    if frame[name].nunique() != 1:
        return [column], caption
    return [], f"{caption}, {column.show(frame.iloc[0])}"
