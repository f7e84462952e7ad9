"""Labels of the atlas."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nonredundant import displays

LONG = (
    "original_gldm_LargeDependenceHighGrayLevelEmphasis",
    "wavelet-LLH_glrlm_ShortRunLowGrayLevelEmphasis",
)


def test_long_names_of_neighbours_do_not_overlap():
    table = pd.DataFrame(
        {
            "latent": [f"dlr{i:02d}" for i in range(8)],
            "image_share": 1 / 8,
            "dead": False,
            "feature": LONG * 4,
            "correlation": -0.001,
            "low": -0.5,
            "high": 0.5,
            "p_holm": 1.0,
        }
    )
    display = displays.LatentAtlasDisplay(np.ones((8, 4, 4)), table).plot()
    display.figure_.draw_without_rendering()
    boxes = [ax.xaxis.label.get_window_extent() for ax in display.axes_.ravel()]
    for row in (boxes[:4], boxes[4:]):
        for left, right in zip(row, row[1:], strict=False):
            assert left.x1 < right.x0
    label = display.axes_[0, 0].get_xlabel()
    assert "".join(label.splitlines()[:-1]) == LONG[0].removeprefix("original_")
    assert label.splitlines()[-1].startswith("+0.00 ")
