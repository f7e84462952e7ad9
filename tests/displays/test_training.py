"""Loss curves and sweeps."""

from __future__ import annotations

import numpy as np
import pytest

from nonredundant import displays


def test_losses_are_mean_and_range_over_folds(data):
    display = displays.LossCurveDisplay.from_comparison(data.found, feature_sets=["DLR-MI"])
    own = display.curves.query("term == 'reconstruction' and part == 'validation'")
    history = data.found.history.query("feature_set == 'DLR-MI'")
    folds = ["repeat", "fold"]
    every = history.pivot_table(index="epoch", columns=folds, values="valid_reconstruction")
    np.testing.assert_allclose(own["mean"], every.mean(axis=1))
    np.testing.assert_allclose(own[["low", "high"]], every.agg(["min", "max"], axis=1))
    training, validation = display.axes_[1].lines
    assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")
    np.testing.assert_allclose(validation.get_ydata(), own["mean"])


def test_a_term_that_is_not_in_the_loss_is_not_drawn(data):
    terms = displays.LossCurveDisplay.from_comparison(data.found).curves
    used = terms.groupby("term", sort=False)["series"].unique()
    assert list(used.index) == ["total", "reconstruction", "kl", "independence"]
    assert used["independence"].tolist() == ["DLR-MI"]


def test_no_losses_no_picture(data):
    with pytest.raises(ValueError, match="no losses"):
        displays.LossCurveDisplay.from_comparison(data.found, feature_sets=["PCA"])


def test_sweep_is_mean_and_range_with_levels(data):
    display = displays.SweepDisplay.from_frame(data.sweep)
    sizes, kappas = display.axes_
    assert [text.get_text() for text in sizes.get_xticklabels()] == ["8", "16"]
    assert [text.get_text() for text in kappas.get_xticklabels()] == ["0", "0.3"]
    point, _, (bars,) = sizes.containers[0].lines
    np.testing.assert_allclose(point.get_ydata(), [0.85, 0.88])
    np.testing.assert_allclose(bars.get_segments()[0][:, 1], [0.8, 0.9])
    level = next(line for line in sizes.lines if line.get_marker() == "None")
    np.testing.assert_allclose(level.get_ydata(), [0.7, 0.7])


def test_sweep_takes_given_intervals(data):
    frame = data.sweep.drop_duplicates(["parameter", "value"]).assign(low=0.6, high=0.95)
    display = displays.SweepDisplay.from_frame(frame)
    assert (display.table[["low", "high"]] == [0.6, 0.95]).to_numpy().all()
    with pytest.raises(ValueError, match="'score'"):
        displays.SweepDisplay.from_frame(frame.drop(columns="score"))
