"""The forest plot shows the numbers of the comparison."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from nonredundant import displays
from nonredundant.displays import style as look


def whiskers(ax):
    """Return the ends of each row's interval, and the point in it, from what is drawn."""
    rows = []
    for container in ax.containers:
        point, _, bars = container.lines
        (segment,) = bars[0].get_segments()
        rows.append([*segment[:, 0], point.get_xdata()[0]])
    return np.array(rows)


def test_forest_plot_shows_summary_and_tests(data):
    display = data.found.plot()
    scores, differences = display.axes_
    summary = data.found.summary
    assert [
        text.get_text() for text in scores.get_yticklabels()
    ] == data.found.settings.feature_sets
    np.testing.assert_allclose(whiskers(scores), summary[["low", "high", "mean"]])
    tests = (
        data.found.tests.query("reference == 'HCR'")
        .set_index("feature_set")
        .loc[data.found.settings.feature_sets[1:]]
    )
    np.testing.assert_allclose(whiskers(differences), tests[["low", "high", "estimate"]])
    texts = [text.get_text() for text in display.p_texts_]
    assert texts[0] == "reference"
    for text, p in zip(texts[1:], tests["p_value"], strict=True):
        assert text.startswith("< 0.001" if p < 0.001 else f"{p:.3f}")
    assert scores.get_title("left") == "LR"
    assert display.highlighted == "HCR+DLR-MI"


def test_forest_plot_takes_another_reference(data):
    display = displays.FeatureSetComparisonDisplay.from_comparison(data.found, reference="HCR+DLR")
    assert np.isfinite(display.difference).tolist() == [False, False, False, True]
    assert "HCR+DLR" in display.axes_[1].get_xlabel()


def test_forest_plot_names_each_reference_where_they_differ(data):
    part = SimpleNamespace(**vars(data.found), primary=data.found.primary)
    part.tests = part.tests.query("feature_set != 'HCR+DLR-MI' or reference == 'HCR+DLR'")
    display = displays.FeatureSetComparisonDisplay.from_comparison(part)
    assert display.reference == [None, "HCR", "HCR", "HCR+DLR"]
    texts = [text.get_text() for text in display.p_texts_]
    assert [text.rpartition("\n")[2] for text in texts] == ["reference", *display.reference[1:]]
    assert "its reference" in display.axes_[1].get_xlabel()


def test_forest_plot_without_tests_or_intervals_has_one_panel():
    nothing = [np.nan, np.nan]
    display = displays.FeatureSetComparisonDisplay(
        feature_sets=["HCR", "DLR"],
        score=[0.7, 0.6],
        low=nothing,
        high=nothing,
        difference=nothing,
        difference_low=nothing,
        difference_high=nothing,
        p_value=nothing,
        p_holm=nothing,
        reference=[None, None],
    ).plot()
    assert len(display.axes_) == 1
    assert not any(container.has_xerr for container in display.axes_[0].containers)


@pytest.mark.parametrize("wrong", [{"metric": "accuracy"}, {"classifier": "SVM"}])
def test_forest_plot_of_what_is_not_there_names_what_is(wrong, data):
    with pytest.raises(ValueError, match=r"roc_auc.*LR"):
        displays.FeatureSetComparisonDisplay.from_comparison(data.found, **wrong)


def test_no_interval_reaches_into_the_p_values():
    names = ["Clinical", "Clinical+HCR", "Clinical+HCR+DLR-MI"]
    nothing = [np.nan] * 3
    display = displays.FeatureSetComparisonDisplay(
        feature_sets=names,
        score=[0.7, 0.8, 0.8],
        low=nothing,
        high=nothing,
        difference=[np.nan, 0.1, 0.0],
        difference_low=[np.nan, -0.3, np.nan],
        difference_high=[np.nan, 0.5, np.nan],
        p_value=[np.nan, 0.643, np.nan],
        p_holm=[np.nan, 1.0, np.nan],
        reference=[None, "Clinical", "Clinical+HCR"],
    ).plot()
    display.figure_.draw_without_rendering()
    end = display.axes_[1].transData.transform((0.5, 0))[0]
    texts = [text for text in display.p_texts_ if text.get_text()]
    assert len(texts) == 3
    assert all(text.get_window_extent().x0 > end for text in texts)
    assert texts[2].get_text() == "not estimable\nClinical+HCR"


@pytest.mark.parametrize("millimetres", [None, 85, 180])
@pytest.mark.parametrize("half_width", [0.0004, 0.03, 0.4])
@pytest.mark.parametrize("centre", [0.0, 0.17])
def test_the_axis_of_differences_has_a_scale_and_most_of_its_panel(millimetres, half_width, centre):
    names = ["HCR", "HCR+DLR-residual", "HCR+DLR-MI"]
    d = np.array([np.nan, centre, centre - half_width / 3])
    paper = nullcontext() if millimetres is None else look.on_paper(millimetres)
    with paper:
        display = displays.FeatureSetComparisonDisplay(
            feature_sets=names,
            score=[0.7, 0.8, 0.8],
            low=[0.6, 0.7, 0.7],
            high=[0.8, 0.9, 0.9],
            difference=d,
            difference_low=d - half_width,
            difference_high=d + half_width,
            p_value=[np.nan, 0.643, 0.2],
            p_holm=[np.nan, 1.0, 0.4],
            reference=[None, "HCR", "HCR"],
        ).plot()
    display.figure_.draw_without_rendering()
    ax = display.axes_[1]
    left, right = ax.get_xlim()
    assert sum(left <= tick <= right for tick in ax.get_xticks()) >= 2
    ends = [0.0, *(d - half_width)[1:], *(d + half_width)[1:]]
    assert max(ends) - min(ends) > 0.8 * (right - left)
