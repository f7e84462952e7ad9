"""DeLong's interval and test: definition, a worked example, coverage and level."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, norm
from scores_for_tests import binormal_auc, draw_scores
from sklearn.metrics import roc_auc_score

from nonredundant.statistics import delong_interval, delong_test
from nonredundant.statistics.delong import covariance, placements


def delong_by_definition(y, scores):
    """DeLong et al. 1988, equations 3 to 6, over all pairs."""
    kernels = [
        (s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0]) for s in scores
    ]
    aucs = np.array([k.mean() for k in kernels])
    v10 = np.array([k.mean(axis=1) for k in kernels]) - aucs[:, None]
    v01 = np.array([k.mean(axis=0) for k in kernels]) - aucs[:, None]
    m, n = v10.shape[1], v01.shape[1]
    return aucs, v10 @ v10.T / (m - 1) / m + v01 @ v01.T / (n - 1) / n


@pytest.mark.parametrize("ties", [False, True])
def test_fast_delong_equals_its_definition(ties):
    y, scores = draw_scores(np.random.default_rng(0), ties=ties)
    aucs, *parts = placements(y == 1, scores)
    expected_aucs, expected = delong_by_definition(y, scores)
    np.testing.assert_allclose(aucs, expected_aucs, rtol=0, atol=1e-12)
    np.testing.assert_allclose(covariance(*parts), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(aucs, [roc_auc_score(y, s) for s in scores], rtol=0, atol=1e-12)


def test_delong_on_an_example_worked_by_hand():
    """Positives 3, 5 against negatives 1, 4: three of four pairs are ordered.

    Shares of the positives 1/2 and 1, of the negatives 1 and 1/2: each variance is 1/8, so that
    of the AUC is 1/8 / 2 + 1/8 / 2 = 1/8. The other score orders all pairs; its variance is 0.
    """
    y, a, b = [0, 0, 1, 1], [1, 4, 3, 5], [1, 2, 3, 4]
    found = delong_test(y, a, b)
    error = np.sqrt(1 / 8)
    assert found.estimate == pytest.approx(-0.25)
    assert found.p_value == pytest.approx(2 * norm.sf(0.25 / error))
    assert found.high - found.estimate == pytest.approx(1.959964 * error, rel=1e-6)


@pytest.mark.parametrize("other", [lambda s: 2 * s + 1, lambda s: s + 1e-13 * np.sin(s)])
def test_equal_orders_have_no_p_value(other):
    y, scores = draw_scores(np.random.default_rng(0), ties=True)
    found = delong_test(y, scores[0], other(scores[0]))
    assert found.estimate == 0
    assert np.isnan(found[1:4]).all()
    assert found.reason == "both order all cases alike"


def test_a_group_of_equal_cases_counts_once():
    rng = np.random.default_rng(3)
    y, scores = draw_scores(rng, ties=False)
    auc, low, high, _ = delong_interval(y, scores[0], groups=np.arange(len(y)))
    plain = delong_interval(y, scores[0])
    assert (low, high) == pytest.approx((plain.low, plain.high), abs=0.01)
    three = np.repeat(np.arange(len(y)), 3)
    found = delong_interval(y[three], scores[0][three], groups=three)
    assert found == (pytest.approx(auc), pytest.approx(low), pytest.approx(high), "")
    a, b = scores[:2]
    once = delong_test(y, a, b, groups=np.arange(len(y)))
    thrice = delong_test(y[three], a[three], b[three], groups=three)
    assert thrice.p_value == pytest.approx(once.p_value)
    assert thrice.p_value > delong_test(y[three], a[three], b[three]).p_value


@pytest.mark.parametrize("n_groups", [3, 5, 10])
def test_few_groups_keep_the_level(n_groups):
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(n_groups), 60 // n_groups)
    p, covered = [], []
    for _ in range(300):
        y = rng.integers(0, 2, 60)
        own = 0.5 * rng.normal(size=(2, n_groups))[:, groups] * np.where(y, 1, -1)
        a, b = y + own + rng.normal(size=(2, 60))
        found = delong_interval(y, a, groups=groups)
        covered.append(found.low <= norm.cdf(1 / np.sqrt(2.5)) <= found.high)
        p.append(delong_test(y, a, b, groups=groups).p_value)
    assert np.mean(covered) >= 0.93
    assert np.mean(np.array(p) < 0.05) <= 0.07


@pytest.mark.parametrize("rounding", [0.0, 1e-17, 1e-15])
def test_a_constant_score_has_no_interval(rounding):
    y, scores = draw_scores(np.random.default_rng(0))
    auc, low, high, reason = delong_interval(y, 0.3 + rounding * scores[0])
    assert auc == 0.5
    assert np.isnan([low, high]).all()
    assert "does not differ" in reason


def test_a_perfect_score_does_not_order_as_a_constant_one():
    found = delong_test([0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0] * 6)
    assert found.estimate == 0.5
    assert np.isnan(found[1:4]).all()
    assert found.reason == "the difference is the same for every case"


@pytest.mark.parametrize(
    ("groups", "n"), [([0] * 40, "1 group,"), (np.arange(40) // 20, "1 group,")]
)
def test_few_groups_have_no_error(groups, n):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 20)
    score, other = y + rng.normal(size=(2, 40))
    for found in (
        delong_interval(y, score, groups=groups),
        delong_test(y, score, other, groups=groups),
        delong_interval(y, y, groups=groups),
    ):
        assert np.isnan(found[1:3]).all()
        assert n in found.reason


@pytest.mark.parametrize("shift", [1.0, 2.6])
def test_delongs_interval_covers_the_truth(shift):
    rng, truth = np.random.default_rng(1), binormal_auc(shift)
    covered = 0
    for _ in range(1000):
        y, scores = draw_scores(rng, n=140, shift=shift)
        found = delong_interval(y, scores[0])
        covered += found.low <= truth <= found.high
    assert 0.93 <= covered / 1000 <= 0.97


def test_p_values_of_the_paired_test_are_uniform_under_the_null():
    rng = np.random.default_rng(4)
    p = []
    for _ in range(1000):
        y, scores = draw_scores(rng, n=200)
        p.append(delong_test(y, *scores).p_value)
    assert kstest(p, "uniform").pvalue > 0.01
    assert 0.03 <= np.mean(np.array(p) < 0.05) <= 0.07


def test_perfect_separation_has_an_interval():
    auc, low, high, _ = delong_interval([0] * 10 + [1] * 10, range(20))
    assert (auc, high) == (1.0, 1.0)
    assert low == pytest.approx(0.05 ** (1 / 10))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: delong_interval([1, 1, 1], [1, 2, 3]), "both classes"),
        (lambda: delong_interval(["a", "b"], [1, 2]), "coded 0 and 1"),
        (lambda: delong_interval([0, 1, 1], [1, 2, 3]), "two cases of each class"),
        (lambda: delong_test([0, 1, 0, 1], [1, 2, 3, 4], [1, 2]), "4 labels"),
        (lambda: delong_test([0, 1], [1, np.nan], [1, 2]), "1 of 2 scores"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
