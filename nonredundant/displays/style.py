"""Colours, markers, panels and legends that all figures share."""

from __future__ import annotations

from collections.abc import Sequence
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
SMALL = 8


class Style(NamedTuple):
    """Colour, marker and line of one series."""

    colour: str
    marker: str
    line: Any


def styles(n: int) -> list[Style]:
    """Return n styles that differ in colour, marker and line."""
    every = map(Style, cycle(COLOURS), cycle(MARKERS), cycle(LINES))
    return list(islice(every, n))


def single(ax: Any, figsize: tuple[float, float]) -> Any:
    """Return the given axes, or new ones in a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=figsize, layout="constrained")[1]


def panels(
    ax: Any, n_rows: int, n_columns: int, figsize: tuple[float, float], **grid: Any
) -> tuple[Any, np.ndarray]:
    """Switch the given axes off and place a grid of axes there; return both.

    Further arguments (`width_ratios`, …) are passed to the grid.
    """
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
        ncols=n_columns,
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


def label_ends(ax: Any, ends: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """Write each name beside the end of its line, shifted where names would overlap."""
    step = 1.25 * SMALL * ax.figure.dpi / 72
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
