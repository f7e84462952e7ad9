"""Paired differences of Brier score, log-loss and net benefit."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from nonredundant.statistics import net_benefit, probability_differences


def draw(n, seed=0, noise=1.0, repeats=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = (x + rng.logistic(size=n) > 0).astype(int)
    logits = x[:, None] + noise * rng.normal(size=(2, n, repeats))
    return y, *(1 / (1 + np.exp(-logits)))


def test_estimates_are_those_of_scikit_learn_and_of_net_benefit():
    y, a, b = draw(80)
    found = probability_differences(y, a, b, thresholds=[0.3, 0.6])["estimate"]
    a, b = a[:, 0], b[:, 0]
    assert found[0] == pytest.approx(brier_score_loss(y, b) - brier_score_loss(y, a))
    assert found[1] == pytest.approx(log_loss(y, b) - log_loss(y, a))
    benefit = net_benefit(y, a, [0.3, 0.6]) - net_benefit(y, b, [0.3, 0.6])
    np.testing.assert_allclose(found[2:], benefit["net_benefit"])


def test_repeats_of_a_sample_are_averaged_and_gaps_left_out():
    y, a, b = draw(60, repeats=2)
    folds = np.zeros((60, 2), dtype=int)
    folds[:10, 1] = -1
    a[:10, 1] = b[:10, 1] = np.nan
    found = probability_differences(y, a, b, folds=folds)
    own = np.square(b - y[:, None]) - np.square(a - y[:, None])
    assert found["estimate"][0] == pytest.approx(np.nanmean(own, axis=1).mean())
    assert (found["low"] < found["high"]).all()


@pytest.mark.parametrize("design", ["test set", "groups"])
def test_intervals_cover_no_difference(design):
    """Two predictions of equal worth differ by noise alone."""
    covered = []
    for seed in range(200):
        y, a, b = draw(40, seed=seed)
        groups = None
        if design == "groups":
            y, a, b = (np.repeat(x, 3, axis=0) for x in (y, a, b))
            groups = np.repeat(np.arange(40), 3)
        found = probability_differences(y, a, b, groups=groups)
        covered.append((found["low"] < 0) & (found["high"] > 0))
    # Three standard errors of a share of 200.
    assert abs(np.mean(covered, axis=0) - 0.95).max() < 0.047


def test_training_in_the_same_cohort_makes_intervals_wider():
    y, a, b = draw(60)
    alone, trained = (
        probability_differences(y, a, b, folds=folds) for folds in (None, np.arange(60) % 5)
    )
    assert (trained["high"] - trained["low"] > alone["high"] - alone["low"]).all()


def test_equal_predictions_have_no_interval():
    y, a, _ = draw(60)
    found = probability_differences(y, a, a)
    assert found["p_value"].isna().all()
    assert (found["reason"] == "both say the same for every case").all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thresholds": [0.0]}, "between 0 and 1"),
        ({"a": [2.0] * 6}, "must lie in"),
        ({"folds": [0, 1]}, "folds"),
        ({"y": [1] * 6}, "both classes"),
    ],
)
def test_wrong_input_is_refused(change, message):
    given = {"y": [0, 1, 0, 1, 0, 1], "a": [0.5] * 6, "b": [0.4] * 6, **change}
    with pytest.raises(ValueError, match=message):
        probability_differences(given.pop("y"), given.pop("a"), given.pop("b"), **given)
