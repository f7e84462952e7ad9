"""A drawing of one paired difference: estimate, interval, zero, and what is excluded."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from nonredundant.report.formatting import format_interval, format_number

#: Width of the drawing, and of the margin beside its axis, in pixels on a phone.
_WIDTH, _MARGIN = 360, 12
#: Height of the axis and of the three lines of text.
_TEXT_ABOVE, _AXIS, _TEXT_BELOW, _TEXT_LAST = 16, 36, 66, 84
_HEIGHT = 92
#: Approximate width of a letter, by which texts are kept inside of the drawing.
_LETTER = 6.6


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
        An SVG with its caption; empty if there is no interval to draw.
    """
    if test is None or np.isnan(test["low"]) or np.isnan(test["high"]):
        return Markup("")
    ends = [0.0, test["low"], test["high"]]
    left, right = min(ends), max(ends)
    edge = 0.06 * (right - left)

    def place(value: float) -> float:
        """Return the horizontal position of a difference."""
        share = (value - left + edge) / (right - left + 2 * edge)
        return _MARGIN + share * (_WIDTH - 2 * _MARGIN)

    low, middle, high, zero = map(place, (test["low"], test["estimate"], test["high"], 0.0))
    interval = format_interval(test["low"], test["high"], signed=True)
    estimate = format_number(test["estimate"], signed=True)
    parts = [
        _line(_MARGIN, _AXIS, _WIDTH - _MARGIN, _AXIS, "axis"),
        _line(zero, _AXIS - 14, zero, _AXIS + 16, "zero"),
        _text(zero, _TEXT_BELOW, "no difference"),
        _line(low, _AXIS, high, _AXIS, "interval"),
        Markup('<circle class="point" cx="{:.1f}" cy="{}" r="6"/>').format(middle, _AXIS),
        _text(middle, _TEXT_ABOVE, f"{estimate} ({interval})"),
    ]
    text = f"difference in {metric} {estimate}, 95 % interval {interval}"
    if test["low"] <= 0 < test["high"]:
        excluded = f"gains above {format_number(test['high'], signed=True)} are excluded"
        parts += [
            _line(high, _AXIS - 14, high, _TEXT_LAST - 12, "excluded"),
            _text(high, _TEXT_LAST, excluded),
        ]
        text += f"; {excluded}"
    frame = Markup(
        '<svg class="estimate" role="img" viewBox="0 0 {} {}" aria-label="{}">{}</svg>\n'
        '<p class="quiet">Drawn: {}.</p>'
    )
    return frame.format(_WIDTH, _HEIGHT, text, Markup("").join(parts), text)


def _line(x1: float, y1: int, x2: float, y2: int, kind: str) -> Markup:
    """Return a line."""
    line = Markup('<line class="{}" x1="{:.1f}" y1="{}" x2="{:.1f}" y2="{}"/>')
    return line.format(kind, x1, y1, x2, y2)


def _text(x: float, y: int, text: str) -> Markup:
    """Return a text centred at x, or as near as the drawing's edges allow."""
    half = _LETTER * len(text) / 2
    x = float(np.clip(x, half, max(half, _WIDTH - half)))
    return Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(x, y, text)
