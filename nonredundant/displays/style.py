"""Colours, markers, panels and legends that all figures share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import cycle, islice
from typing import Any, NamedTuple

import numpy as np

#: Okabe & Ito's colours for the colour-blind, without the yellow that is too pale on paper; in an
#: order in which neighbours also differ in grey.
COLOURS = ("#000000", "#E69F00", "#0072B2", "#56B4E9", "#D55E00", "#009E73", "#CC79A7")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 3)))
HCR_COLOUR, DLR_COLOUR = "#0072B2", "#E69F00"
#: Monotone in lightness, so that signs and sizes can be told apart in grey.
SEQUENTIAL = "cividis"
#: Sizes of letters relative to matplotlib's `font.size`, so that figures for print scale them.
SMALL, TITLE = "small", "medium"
#: Millimetres per inch; the size of letters on paper in points; what is drawn beside them.
_MM, _PAPER_SIZE = 25.4, 8.0
_ON_PAPER: dict[Any, Any] = {
    "font.size": _PAPER_SIZE,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 4.5,
}
#: Panels side by side go below each other where they would be drawn narrower than this share.
_NARROW = 0.6
#: Width in inches for which legends of several columns were made.
_LEGEND = 6.0
#: Width of new figures in inches; None: that for which a display was made.
_width: ContextVar[float | None] = ContextVar("width of figures", default=None)


class Style(NamedTuple):
    """Colour, marker and line of one series."""

    colour: str
    marker: str
    line: Any


def styles(n: int) -> list[Style]:
    """Return n styles that differ in colour, marker and line."""
    every = map(Style, cycle(COLOURS), cycle(MARKERS), cycle(LINES))
    return list(islice(every, n))


@contextmanager
def on_paper(millimetres: float) -> Iterator[None]:
    """Draw new figures as wide as a column of a journal, with letters that are legible there.

    Letters and lines are drawn at their size in print, not shrunk with the figure; panels that
    would be too narrow side by side go below each other.

    Parameters
    ----------
    millimetres : float
        Width of the figures.
    """
    import matplotlib as mpl

    token = _width.set(millimetres / _MM)
    try:
        with mpl.rc_context(_ON_PAPER):
            yield
    finally:
        _width.reset(token)


def single(ax: Any, figsize: tuple[float, float]) -> Any:
    """Return the given axes, or new ones in a new figure."""
    return new_grid(1, 1, figsize)[0, 0] if ax is None else ax


def new_grid(n_rows: int, n_columns: int, figsize: tuple[float, float]) -> np.ndarray:
    """Return axes in a new figure of this size; on paper as wide as that, and as high as needed."""
    import matplotlib.pyplot as plt

    width = _width.get()
    if width is not None:
        # Rows need height in proportion to their letters.
        figsize = (width, figsize[1] * _PAPER_SIZE / 10)
    return plt.subplots(n_rows, n_columns, figsize=figsize, layout="constrained", squeeze=False)[1]


def is_narrow(width: float) -> bool:
    """Return whether a figure of this width in inches has to be drawn much narrower on paper."""
    paper = _width.get()
    return paper is not None and paper < _NARROW * width


def panels(
    ax: Any, n_rows: int, n_columns: int, figsize: tuple[float, float] = (6.4, 4.8), **grid: Any
) -> tuple[Any, np.ndarray]:
    """Switch the given axes off and place a grid of axes there; return both.

    Further arguments (`width_ratios`, …) are passed to the grid. On narrow paper the panels of a
    single row go below each other.
    """
    if ax is None and n_rows == 1 and n_columns > 1 and is_narrow(figsize[0]):
        size = (figsize[0] / n_columns, figsize[1] * n_columns)
        host, below = panels(None, n_columns, 1, size)
        return host, below.T
    host = single(ax, figsize)
    host.set_axis_off()
    figure = host.figure
    if figure.get_layout_engine() is None:
        grid = {"wspace": 0.35, "hspace": 0.5, **grid}
    spec = host.get_subplotspec()
    if spec is not None:
        cells = spec.subgridspec(n_rows, n_columns, **grid)
    else:
        box = host.get_position()
        place = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
        cells = figure.add_gridspec(n_rows, n_columns, **place, **grid)
    axes = [figure.add_subplot(cells[i, j]) for i in range(n_rows) for j in range(n_columns)]
    return host, np.array(axes, dtype=object).reshape(n_rows, n_columns)


def legend_above(ax: Any, handles: Sequence[Any], n_columns: int, title: str = "") -> None:
    """Place a legend above an axes that has no title."""
    ax.legend(
        handles=list(handles),
        title=title or None,
        alignment="left",
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=1 if is_narrow(_LEGEND) else n_columns,
        frameon=False,
        fontsize=SMALL,
    )


def key(label: str, **kind: Any) -> Any:
    """Make a legend entry: a line or a marker."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **kind)


def despine(ax: Any) -> None:
    """Remove the top and the right spine."""
    ax.spines[["top", "right"]].set_visible(False)


def name_rows(ax: Any, names: Sequence[str]) -> None:
    """Label the rows 0, 1, … from top to bottom."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)


def offsets(n: int, width: float = 0.5) -> np.ndarray:
    """Return n equally spaced positions around 0."""
    return (np.arange(n) - (n - 1) / 2) * (width / n)


def text_width(text: str, size: str) -> float:
    """Return the width of a text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    width, _, _ = text_to_path.get_text_width_height_descent(
        text, FontProperties(size=size), ismath=False
    )
    return float(width) / 72


def few_ticks(ax: Any) -> None:
    """Place ticks on the horizontal axis at round numbers: two at least, as one gives no scale."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(nbins=3, min_n_ticks=2))


def label_ends(ax: Any, ends: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """Write each name beside the end of its line, shifted where names would overlap."""
    from matplotlib.font_manager import FontProperties

    step = 1.25 * FontProperties(size=SMALL).get_size_in_points() * ax.figure.dpi / 72
    pixels = ax.transData.transform(np.asarray(ends, dtype=float))
    order = np.argsort(pixels[:, 1], kind="stable")
    heights = pixels[order, 1]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + step)
    # Shifting upwards alone would drift: the mean height is kept.
    heights -= np.mean(heights - pixels[order, 1])
    for place, height in zip(order, heights, strict=True):
        shift = (height - pixels[place, 1]) * 72 / ax.figure.dpi
        ax.annotate(
            names[place],
            ends[place],
            xytext=(6, shift),
            textcoords="offset points",
            fontsize=SMALL,
            va="center",
            annotation_clip=False,
        )


def pick(table: Any, needed: bool = True, **chosen: Any) -> Any:
    """Select the rows of a table that hold the chosen values.

    Raises
    ------
    ValueError
        If there are none and `needed`; the message lists the values in the table.
    """
    match = np.ones(len(table), dtype=bool)
    for column, value in chosen.items():
        match &= (table[column] == value).to_numpy()
    if needed and not match.any():
        there = {name: table[name].unique().tolist() for name in chosen if name in table}
        raise ValueError(f"no rows with {chosen}; the table has {there}")
    return table[match]


def primary_sets(comparison: Any) -> list[str]:
    """Return the feature sets of the primary comparison, the reference first."""
    primary = comparison.primary
    return [primary[key] for key in ("reference", "feature_set") if primary.get(key)]
