"""Series and colour scales can be told apart in grey."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

from nonredundant.displays import style as look


def test_series_differ_in_colour_marker_line_and_grey():
    every = look.styles(7)
    for part in zip(*every, strict=True):
        assert len(set(part)) == 7
    rgb = np.array([mpl.colors.to_rgb(style.colour) for style in every])
    grey = rgb @ [0.2126, 0.7152, 0.0722]
    assert np.abs(np.diff(grey[:3])).min() > 0.2


@pytest.mark.parametrize("name", [look.SEQUENTIAL, "magma", "gray"])
def test_colour_scales_are_monotone_in_grey(name):
    rgb = mpl.colormaps[name](np.linspace(0, 1, 64))[:, :3]
    assert (np.diff(rgb @ [0.2126, 0.7152, 0.0722]) > -1e-3).all()
