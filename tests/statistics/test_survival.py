"""Censored outcomes: hazard, residuals and concordance against scikit-survival and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scores_for_tests import censored
from sksurv.linear_model.coxph import BreslowEstimator
from sksurv.metrics import concordance_index_censored
from sksurv.nonparametric import nelson_aalen_estimator
from sksurv.util import Surv

from nonredundant.nn.losses import cox_loss
from nonredundant.statistics import compare_concordance, concordance_index, delong_test
from nonredundant.statistics.survival import (
    baseline_hazard,
    check_classes,
    check_survival,
    describe_uncensored,
    null_residuals,
)


@pytest.mark.parametrize("whole", [False, True])
def test_the_baseline_hazard_is_that_of_scikit_survival(whole):
    x, event, time = censored(80, whole=whole)
    breslow = BreslowEstimator().fit(x, event, time).cum_baseline_hazard_
    times, cumulative = baseline_hazard(event, time, x)
    np.testing.assert_array_equal(times, breslow.x)
    np.testing.assert_allclose(cumulative, breslow.y)
    times, cumulative = baseline_hazard(event, time, np.zeros(80))
    np.testing.assert_allclose(cumulative, nelson_aalen_estimator(event, time)[1])


def test_null_residuals_sum_to_zero_and_are_the_gradient_of_the_loss():
    _, event, time = censored(60)
    residuals = null_residuals(event, time)
    assert residuals.sum() == pytest.approx(0, abs=1e-12)
    risk = torch.zeros(60, dtype=torch.float64, requires_grad=True)
    cox_loss(risk, torch.from_numpy(event), torch.from_numpy(time)).backward()
    np.testing.assert_allclose(-risk.grad * event.sum(), residuals, atol=1e-12)


@pytest.mark.parametrize("whole", [False, True])
def test_concordance_is_that_of_scikit_survival(whole, monkeypatch):
    x, event, time = censored(120, whole=whole)
    risk = np.round(x, 1)
    expected = concordance_index_censored(event, time, risk)[0]
    assert concordance_index(event, time, risk) == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr("nonredundant.statistics.survival.MOST_PAIRS", 500)
    assert concordance_index(event, time, risk) == pytest.approx(expected, abs=1e-12)


def test_concordance_by_hand():
    # Known are 1 before 2, 3, 4 and 3 before 4; who of 2 and 3 came first is not.
    event, time = [True, False, True, False], [1.0, 2.0, 3.0, 4.0]
    assert concordance_index(event, time, [9, 1, 2, 3]) == 3 / 4
    assert concordance_index(event, time, [2, 1, 2, 3]) == (1 + 0.5 + 0 + 0) / 4


def test_one_event_time_is_the_auc_and_delongs_test():
    rng = np.random.default_rng(0)
    m = 40
    y = np.repeat([1, 0], m)
    a, b = np.round(rng.normal(size=(2, 2 * m)) + y, 1)
    by_auc = delong_test(y, a, b)
    found = compare_concordance(y == 1, np.where(y == 1, 1.0, 2.0), a, b)
    assert found.estimate == pytest.approx(by_auc.estimate, abs=1e-12)
    # With m patients in each class the jackknife's variance is DeLong's by this factor.
    factor = np.sqrt((2 * m - 1) / (2 * (m - 1)))
    assert found.high - found.low == pytest.approx(factor * (by_auc.high - by_auc.low))


def test_the_comparison_keeps_its_level_and_finds_a_difference():
    rng = np.random.default_rng(0)
    p_null, p_far, covered = [], [], 0
    for _ in range(400):
        x, noise = rng.normal(size=100), rng.normal(size=(2, 100))
        time, limit = rng.exponential(1 / np.exp(x)), rng.exponential(1.5, size=100)
        event, observed = time <= limit, np.minimum(time, limit)
        a, b = x + noise
        p_null.append(compare_concordance(event, observed, a, b).p_value)
        p_far.append(compare_concordance(event, observed, x, noise[0]).p_value)
        same = compare_concordance(event, observed, noise[0], noise[1])
        covered += same.low <= 0 <= same.high
    # Two standard errors of a share of 400 around 5 %: 2.8 to 7.2 %.
    assert 0.028 <= np.mean(np.array(p_null) < 0.05) <= 0.072
    assert 0.028 <= 1 - covered / 400 <= 0.072
    assert np.mean(np.array(p_far) < 0.05) > 0.95


def test_the_comparison_is_antisymmetric_and_knows_equals():
    x, event, time = censored(60)
    a, b = x, -np.abs(x)
    one, other = compare_concordance(event, time, a, b), compare_concordance(event, time, b, a)
    assert one.estimate == pytest.approx(-other.estimate)
    assert one.low == pytest.approx(-other.high)
    assert one.p_value == pytest.approx(other.p_value)
    same = compare_concordance(event, time, a, np.exp(a))
    assert same.estimate == 0
    assert np.isnan(same.p_value)
    assert same.reason


def test_a_perfect_risk_does_not_order_as_a_constant_one():
    time = np.arange(1.0, 21.0)
    found = compare_concordance(np.ones(20, dtype=bool), time, -time, np.zeros(20))
    assert found.estimate == 0.5
    assert found.reason == "the difference is the same for every case"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 0], [1.0, 2.0], [1, 2]), r"booleans, got int64.*astype\(bool\)"),
        (([True, False], [1.0], [1, 2]), r"2 patients but time has shape \(1,\)"),
        (([True, False], [1.0, 2.0], [1, np.nan]), "1 of 2 values of a risk are not finite"),
        (([False, False], [1.0, 2.0], [1, 2]), "no pair of patients.*2 patients with 0 events"),
        (([False, True], [1.0, 2.0], [1, 2]), "no pair of patients.*2 patients with 1 events"),
    ],
)
def test_what_cannot_be_compared_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        concordance_index(*arguments)


def test_one_event_has_no_variance():
    with pytest.raises(ValueError, match="all 2 pairs.*share one patient"):
        compare_concordance([True, False, False], [1.0, 2.0, 3.0], [3, 2, 1], [1, 2, 3])


def test_what_check_survival_returns_fits_scikit_survival():
    _, observed, duration = censored(60)
    y = Surv.from_arrays(observed, duration)
    event, time = check_survival(y, 60)
    assert event.dtype == bool
    assert time.dtype == np.float64
    np.testing.assert_array_equal(Surv.from_arrays(event, time), y)
    whole = pd.DataFrame({"months": [3, 4], "relapse": pd.array([True, False], dtype="boolean")})
    assert check_survival(whole)[1].tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        ([0, 1], r"Convert events coded 0 and 1 by astype\(bool\)"),
        ([0.0, 1.0], r"Convert events coded 0 and 1 by astype\(bool\)"),
        ([1, 2], "coded 1 and 2, of which 2 is commonly the event: convert them by `== 2`"),
        (["alive", "dead"], r"True where the event was observed.* 2, such as \['alive', 'dead'\]"),
        ([0, 1, 2], r"has 3, such as \[0, 1, 2\]"),
    ],
)
def test_the_remedy_is_that_of_the_coding(codes, told):
    y = pd.DataFrame({"months": np.arange(1.0, 13.0), "status": np.resize(codes, 12)})
    with pytest.raises(ValueError, match=told):
        check_survival(y)
    with pytest.raises(ValueError, match=told):
        concordance_index(y["status"].to_numpy(), y["months"], y["months"])


def test_nobody_censored_is_told():
    assert describe_uncensored(np.array([True, False])) == ""
    told = "all 3 patients had the event and nobody is censored; if events were coded 1 and 2"
    assert describe_uncensored(np.ones(3, dtype=bool)).startswith(told)


def test_times_are_no_classes():
    y = Surv.from_arrays([True, False] * 10, np.arange(1.0, 21.0))
    for times in (y, pd.DataFrame(y)):
        with pytest.raises(ValueError, match=r"\['event', 'time'\], as events and .*of times"):
            check_classes(times, "use a model of times")
