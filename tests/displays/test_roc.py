"""ROC curves and their bands."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from nonredundant import displays


def test_roc_areas_are_those_of_the_summary(data):
    sets = data.found.settings.feature_sets
    display = displays.RocBandDisplay.from_comparison(data.found, feature_sets=sets)
    np.testing.assert_allclose(display.auc, data.found.summary["mean"])
    assert display.ax_.get_title("left") == "LR, cross-validation"
    for tpr, low, high in zip(display.tpr, display.low, display.high, strict=True):
        assert (np.diff(tpr) >= 0).all()
        assert (low <= tpr + 1e-12).all()
        assert (tpr <= high + 1e-12).all()


def test_roc_of_a_test_set_is_that_of_the_ensemble(data):
    held = SimpleNamespace(
        primary=data.found.primary, settings=replace(data.found.settings, n_test=72)
    )
    held.predictions = data.found.predictions.assign(repeat=-1, fold=-1)
    display = displays.RocBandDisplay.from_comparison(held)
    for name, area in zip(("HCR", "HCR+DLR-MI"), display.auc, strict=True):
        own = held.predictions[held.predictions["feature_set"] == name]
        assert area == pytest.approx(roc_auc_score(own["y"] == "malignant", own["score"]))
    assert display.ax_.get_title("left") == "LR, test set"


def test_roc_of_four_samples_and_of_a_perfect_score():
    y = [0, 0, 1, 1]
    scores = {"known": [0.1, 0.4, 0.35, 0.8], "perfect": [0.1, 0.2, 0.3, 0.4], "tied": [1] * 4}
    display = displays.RocBandDisplay.from_predictions(y, scores)
    np.testing.assert_allclose(display.auc, [0.75, 1, 0.5])
    at = np.interp([0.25, 0.75], display.fpr, display.tpr[0])
    np.testing.assert_allclose(at, [0.5, 1])
    assert (display.tpr[1][1:] == 1).all()
    assert (display.low[1][1:] == 1).all()
    np.testing.assert_allclose(display.tpr[2], display.fpr)


def test_roc_band_holds_the_true_curve_pointwise():
    # Scores N(0, 1) and N(1, 1): sensitivity is Φ(1 + Φ⁻¹(1 − specificity)).
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    held = []
    ax = plt.figure().subplots()
    for _ in range(40):
        ax.clear()
        scores = {"": rng.normal(size=120) + y}
        display = displays.RocBandDisplay.from_predictions(y, scores, ax=ax)
        middle = np.searchsorted(display.fpr, [0.2, 0.4])
        truth = norm.cdf(1 + norm.ppf(display.fpr[middle]))
        held.append((display.low[0, middle] <= truth) & (truth <= display.high[0, middle]))
    assert 0.88 < np.mean(held) <= 1


def test_curves_need_two_classes_in_a_fold():
    with pytest.raises(ValueError, match="both classes"):
        displays.RocBandDisplay.from_predictions([1, 1, 1], {"HCR": [0.1, 0.2, 0.3]})


@pytest.mark.parametrize("name", ["RocBandDisplay", "CalibrationBandDisplay"])
def test_curves_are_for_two_classes(name, data):
    three = SimpleNamespace(
        settings=SimpleNamespace(classes=["a", "b", "c"]), primary=data.found.primary
    )
    with pytest.raises(ValueError, match="two classes"):
        getattr(displays, name).from_comparison(three)
