"""Correlations of latents with hand-crafted features."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from nonredundant import displays


def test_correlations_are_spearmans(data):
    display = displays.CorrelationMapDisplay.from_estimator(
        data.cvae, data.lesions, features=["volume", "entropy"]
    )
    d = data.cvae.transform(data.lesions)[:, 4:]
    expected = [
        [spearmanr(data.lesions.features[name], column).statistic for column in d.T]
        for name in ("volume", "entropy")
    ]
    np.testing.assert_allclose(display.correlation, expected, atol=1e-12)
    assert display.features == ["volume", "entropy"]
    assert display.latents == [f"dlr{i:02d}" for i in range(4)]


def test_the_features_with_the_largest_correlations_are_drawn():
    rng = np.random.default_rng(0)
    d = pd.DataFrame({"dlr00": rng.normal(size=40)})
    h = pd.DataFrame(rng.normal(size=(40, 5)), columns=list("abcde"))
    h["d"] = -np.exp(d["dlr00"])
    h["constant"] = 1.0
    display = displays.CorrelationMapDisplay.from_features(h, d, n_features=1)
    assert display.features == ["d"]
    assert display.correlation.tolist() == [[-1.0]]
    assert [text.get_text() for text in display.ax_.texts] == ["−1.0"]
