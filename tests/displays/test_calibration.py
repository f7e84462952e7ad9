"""Calibration curves and their bands."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from nonredundant import displays


def test_repeats_do_not_narrow_a_calibration_band(data):
    once = displays.CalibrationBandDisplay.from_comparison(data.found, n_bins=3)
    twice = SimpleNamespace(**vars(data.found), primary=data.found.primary)
    table = data.found.predictions
    twice.predictions = pd.concat([table, table.assign(repeat=1)], ignore_index=True)
    again = displays.CalibrationBandDisplay.from_comparison(twice, n_bins=3)
    np.testing.assert_allclose(again.low[0], once.low[0])
    np.testing.assert_allclose(again.high[0], once.high[0])


def test_calibration_is_counted_in_bins_with_wilson_intervals(data):
    rng = np.random.default_rng(0)
    p = rng.uniform(size=200)
    y = rng.uniform(size=200) < p
    display = displays.CalibrationBandDisplay.from_predictions(y, {"HCR": p}, n_bins=4)
    order = np.argsort(p)
    for k, rows in enumerate(np.split(order, 4)):
        assert display.predicted[0][k] == pytest.approx(p[rows].mean())
        assert display.observed[0][k] == pytest.approx(y[rows].mean())
        interval = binomtest(int(y[rows].sum()), 50).proportion_ci(method="wilson")
        assert (display.low[0][k], display.high[0][k]) == pytest.approx(tuple(interval))
    assert display.brier[0] == pytest.approx(np.mean((p - y) ** 2))


def test_calibration_of_margins_is_refused():
    with pytest.raises(ValueError, match="probabilities"):
        displays.CalibrationBandDisplay.from_predictions([0, 1], {"SVM": [-2.0, 3.0]})
