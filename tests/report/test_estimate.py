"""The drawing of the estimate on the first screen."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from nonredundant.report.estimate import draw_estimate


def drawn(estimate, low, high):
    """Return the positions of lines by their class, of the point, and of each text."""
    row = {"estimate": estimate, "low": low, "high": high}
    svg = str(draw_estimate(pd.Series(row), "AUC"))
    lines = {
        kind: (float(x1), float(x2))
        for kind, x1, x2 in re.findall(r'<line class="(\w+)" x1="([\d.]+)"[^>]*x2="([\d.]+)"', svg)
    }
    point = float(re.search(r'cx="([\d.]+)"', svg)[1])
    texts = re.findall(r'<text x="([\d.]+)" y="(\d+)"[^>]*>([^<]*)<', svg)
    return lines, point, [(float(x), int(y), text) for x, y, text in texts]


@pytest.mark.parametrize(
    "values",
    [
        (0.02, -0.01, 0.05),
        (-0.3, -0.6, -0.01),
        (0.5, 0.49, 0.51),
        (-0.2, -0.21, -0.19),
    ],
)
def test_everything_is_in_the_drawing_at_its_place_on_one_axis(values):
    lines, point, texts = drawn(*values)
    estimate, low, high = values
    known = {low: lines["interval"][0], high: lines["interval"][1], 0.0: lines["zero"][0]}
    known[estimate] = point
    order = sorted(known)
    steps = np.diff([known[value] for value in order]) / np.diff(order)
    # Positions are rounded to a tenth of a pixel.
    np.testing.assert_allclose(steps, steps.mean(), atol=0.11 / np.diff(order).min())
    assert lines["axis"][0] <= min(known.values()) <= max(known.values()) <= lines["axis"][1]
    assert len({y for _, y, _ in texts}) == len(texts)
    for x, _, text in texts:
        # Six pixels per letter of a font of twelve.
        assert 0 <= x - 3 * len(text)
        assert x + 3 * len(text) <= 360


def test_excluded_gains_are_drawn_where_no_difference_was_found():
    lines, _, texts = drawn(0.02, -0.01, 0.05)
    assert lines["excluded"][0] == lines["interval"][1]
    assert texts[-1][2] == "gains above +0.050 are excluded"
    for values in ((0.04, 0.01, 0.07), (-0.3, -0.6, -0.01)):
        lines, _, texts = drawn(*values)
        assert "excluded" not in lines
        assert not any("excluded" in text for _, _, text in texts)


def test_what_is_not_estimable_is_not_drawn():
    assert not draw_estimate(None, "AUC")
    row = pd.Series({"estimate": 0.0, "low": np.nan, "high": np.nan})
    assert not draw_estimate(row, "AUC")
