"""Weights of hand-crafted and learned features."""

from __future__ import annotations

import numpy as np
import pytest

from nonredundant import displays


def test_learned_features_among_the_largest_are_counted():
    display = displays.FeatureWeightsDisplay(
        [[0.9, 0.4, 0.1], [0.8, 0.2, np.nan]], [[0.5, 0.3], [0.9, 0.0]], k=2
    ).plot()
    assert display.dlr_count[0].tolist() == [0, 1, 1, 2, 2]
    assert display.dlr_count[1][:2].tolist() == [1, 1]
    heights = [bar.get_height() for bar in display.axes_[0].patches]
    np.testing.assert_allclose(heights, [0.85, 0.3, 0.1, 0.7, 0.15])
    assert display.axes_[1].get_title("right").startswith("1 (1 to 1) DLR among the 2 largest")
    assert display.axes_[1].get_title("right").endswith("by chance 0.8")


def test_a_block_that_was_left_out_is_among_no_largest():
    display = displays.FeatureWeightsDisplay([[0.2, 0.0]], [[0.0, 0.0]], k=3)
    assert display.dlr_count[0].tolist() == [0, 0, 1, 2]


def test_weights_are_ordered_within_each_fold_model(data):
    display = displays.FeatureWeightsDisplay.from_comparison(data.found)
    table = data.found.weights.query("feature_set == 'HCR+DLR-MI' and fold == 1")
    own = table.query("block == 'learned'")["weight"].abs()
    np.testing.assert_allclose(display.dlr_weights[1], sorted(own, reverse=True))
    assert display.hcr_weights.shape == (3, 8)
    labels = [text.get_text() for text in display.axes_[0].get_xticklabels()]
    assert labels == ["HCR: 8", "DLR: 3"]


def test_weights_of_a_set_without_two_blocks_are_refused(data):
    with pytest.raises(ValueError, match="both hand-crafted and learned"):
        displays.FeatureWeightsDisplay.from_comparison(data.found, feature_set="HCR")
    with pytest.raises(ValueError, match="HCR"):
        displays.FeatureWeightsDisplay.from_comparison(data.found, feature_set="H8")
