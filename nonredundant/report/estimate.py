"""A drawing of one paired difference: estimate, interval, zero, smallest detectable difference."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from nonredundant.report.formatting import format_number

#: Size of the drawing, in units of its own.
_WIDTH, _HEIGHT, _MARGIN = 640, 92, 40


def draw_estimate(test: Any, metric: str) -> Markup:
    """Draw the difference of a test as an image in the page.

    Parameters
    ----------
    test : Series or None
        A row of `FeatureSetComparison.tests`.
    metric : str
        Name of the metric.

    Returns
    -------
    Markup
        An SVG; empty if there is no interval to draw.
    """
    if test is None or np.isnan(test["low"]) or np.isnan(test["high"]):
        return Markup("")
    smallest = test.get("detectable", np.nan)
    known = [0.0, test["low"], test["high"]]
    if not np.isnan(smallest):
        known += [smallest, -smallest]
    reach = max(abs(value) for value in known) * 1.05

    def place(value: float) -> str:
        """Return the horizontal position of a difference."""
        return f"{_WIDTH / 2 + value / reach * (_WIDTH / 2 - _MARGIN):.1f}"

    middle = 34
    parts = [
        _line(place(-reach), middle, place(reach), middle, "axis"),
        _line(place(0), middle - 18, place(0), middle + 18, "zero"),
        _text(place(0), middle + 34, "no difference"),
        _line(place(test["low"]), middle, place(test["high"]), middle, "interval"),
        Markup('<circle class="point" cx="{}" cy="{}" r="7"/>').format(
            place(test["estimate"]), middle
        ),
        _text(place(test["estimate"]), middle - 16, format_number(test["estimate"], signed=True)),
    ]
    if not np.isnan(smallest):
        parts += [
            _line(place(smallest), middle - 10, place(smallest), middle + 10, "detectable"),
            _text(
                place(smallest),
                middle + 52,
                f"smallest detectable gain {format_number(smallest, signed=True)}",
                "end",
            ),
        ]
    title = (
        f"Difference of {metric} and its 95 % interval, "
        f"{format_number(test['low'], signed=True)} to {format_number(test['high'], signed=True)}"
    )
    frame = Markup(
        '<svg class="estimate" role="img" viewBox="0 0 {} {}" aria-label="{}">{}</svg>'
        '<p class="quiet">{}.</p>'
    )
    return frame.format(_WIDTH, _HEIGHT, title, Markup("").join(parts), title)


def _line(x1: str, y1: int, x2: str, y2: int, kind: str) -> Markup:
    """Return a line."""
    line = Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>')
    return line.format(kind, x1, y1, x2, y2)


def _text(x: str, y: int, text: str, anchor: str = "middle") -> Markup:
    """Return a text."""
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, y, anchor, text)
