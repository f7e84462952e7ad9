"""Phantom times to an event: median, censoring, seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sksurv.linear_model import CoxPHSurvivalAnalysis

from nonredundant.datasets import make_survival_times
from nonredundant.statistics import concordance_index


def test_phantoms_times_have_the_median_and_the_censoring_of_the_parameters():
    n = 20_000
    for log_hazard in (0.0, 1.5):
        truth = pd.DataFrame({"probability": np.full(n, expit(log_hazard))})
        y = make_survival_times(truth, censoring=0.0, random_state=0)
        assert y["event"].all()
        # The standard error of a median of exponential times is its mean / sqrt(n): 1 %.
        assert np.median(y["time"]) == pytest.approx(24 / np.exp(log_hazard), rel=0.03)
    truth = pd.DataFrame({"probability": expit(np.random.default_rng(0).normal(0, 3, n))})
    for share in (0.1, 0.4, 0.8):
        y = make_survival_times(truth, censoring=share, random_state=0)
        assert 1 - y["event"].mean() == pytest.approx(share, abs=0.015)
    risk = logit(truth["probability"].to_numpy()[:1000])
    assert concordance_index(y["event"][:1000], y["time"][:1000], risk) > 0.8
    # Under proportional hazards the true risk has the coefficient 1.
    cox = CoxPHSurvivalAnalysis().fit(logit(truth.to_numpy()[:4000]), y[:4000])
    assert cox.coef_[0] == pytest.approx(1, abs=0.1)


def test_phantoms_times_are_seeded_and_bad_parameters_are_named():
    truth = pd.DataFrame({"probability": [0.2, 0.5, 0.9]})
    one, other = (make_survival_times(truth, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    for given, message in (
        ({"censoring": 1.0}, "censoring must be a share.*got 1.0"),
        ({"truth": truth.rename(columns={"probability": "p"})}, r"columns \['p'\]"),
        ({"truth": truth.round()}, "between 0 and 1, ends excluded"),
    ):
        with pytest.raises(ValueError, match=message):
            make_survival_times(**{"truth": truth, **given})
