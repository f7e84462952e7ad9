"""Decision curves."""

from __future__ import annotations

import numpy as np
import pytest

from nonredundant.displays import NetBenefitDisplay
from nonredundant.statistics import net_benefit


def test_curves_are_the_net_benefit_beside_treating_all_and_none():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=80)
    y = rng.uniform(size=80) < p
    display = NetBenefitDisplay.from_predictions(y, {"HCR": p, "noise": rng.uniform(size=80)})
    expected = net_benefit(y, p, display.thresholds)
    np.testing.assert_allclose(display.net_benefit[0], expected["net_benefit"])
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == ["HCR", "noise", "treat all", "treat none"]
    with pytest.raises(ValueError, match="no predictions"):
        NetBenefitDisplay.from_predictions(y, {})
