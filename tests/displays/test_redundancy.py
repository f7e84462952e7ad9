"""Estimates are drawn against their null distribution."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant import displays


def report(estimates, p_values):
    return pd.DataFrame(
        {
            "estimate": estimates,
            "null_mean": [-0.01, 0.5],
            "null_95": [0.02, 0.56],
            "p_value": p_values,
            "unit": ["R²", "AUC"],
        },
        index=pd.Index(["r2-ridge", "discriminator-auc"], name="method"),
    )


def test_redundancy_stands_against_its_null():
    reports = {
        "before": report([0.4, 0.9], [0.001, 0.001]),
        "after": report([0.01, 0.57], [0.2, 0.04]),
    }
    display = displays.RedundancyDisplay.from_reports(reports)
    r2, auc = display.axes_
    assert [text.get_text() for text in r2.get_yticklabels()] == ["ridge"]
    bars = np.array([[bar.get_x(), bar.get_x() + bar.get_width()] for bar in auc.patches])
    np.testing.assert_allclose(bars, [[0.5, 0.56]] * 2)
    drawn = {
        (float(line.get_xdata()[0]), line.get_markerfacecolor() == "white")
        for ax in (r2, auc)
        for line in ax.lines
        if len(line.get_xdata())
    }
    assert drawn == {(0.4, False), (0.9, False), (0.01, True), (0.57, False)}
    named = [text.get_text() for text in r2.get_legend().get_texts()]
    assert named[:2] == ["before", "after"]


def test_redundancy_without_permutations_is_drawn_without_a_null():
    unknown = report([0.4, 0.9], [np.nan, np.nan]).assign(null_mean=np.nan, null_95=np.nan)
    display = displays.RedundancyDisplay.from_reports({"DLR": unknown})
    display.figure_.draw_without_rendering()
    estimates = [list(line.get_xdata()) for line in display.axes_[0].lines]
    assert sum(estimates, []) == [0.4]


def test_redundancy_of_some_sets(data):
    display = displays.RedundancyDisplay.from_comparison(data.found, feature_sets=["DLR"])
    assert display.table["feature_set"].unique().tolist() == ["DLR"]
    with pytest.raises(ValueError, match="DLR-MI"):
        displays.RedundancyDisplay.from_comparison(data.found, feature_sets=["PCA"])
