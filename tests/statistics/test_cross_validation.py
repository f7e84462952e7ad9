"""The AUC of cross-validation: intervals, paired differences, what is not estimable."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from nonredundant.statistics import cross_validated_auc, cross_validated_auc_difference
from nonredundant.statistics.cross_validation import StandardError, trained_difference
from nonredundant.statistics.estimates import Estimate


def draw(n=120, shift=1.0, seed=0, repeats=1):
    """Return labels, scores and folds; the score of repeats differs by noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    scores = shift * y[:, None] + rng.normal(size=(n, 1)) + 0.2 * rng.normal(size=(n, repeats))
    folds = np.empty((n, repeats), dtype=int)
    for r in range(repeats):
        for k, (_, test) in enumerate(StratifiedKFold(5, shuffle=True, random_state=r).split(y, y)):
            folds[test, r] = k
    return y, scores, folds


def test_the_estimate_is_the_mean_over_folds():
    y, scores, folds = draw(repeats=2)
    expected = np.mean(
        [
            roc_auc_score(y[folds[:, r] == k], scores[folds[:, r] == k, r])
            for r in range(2)
            for k in range(5)
        ]
    )
    found = cross_validated_auc(y, scores, folds)
    assert found.estimate == pytest.approx(expected)
    assert 0 < found.low < found.estimate < found.high < 1


def test_folds_on_different_scales_change_nothing():
    y, scores, folds = draw()
    other = scores + 100 * folds
    assert cross_validated_auc(y, scores, folds) == cross_validated_auc(y, other, folds)


def test_repeats_do_not_pretend_to_be_patients():
    y, scores, folds = draw()
    once = cross_validated_auc(y, scores, folds)
    often = cross_validated_auc(y, np.repeat(scores, 10, axis=1), np.repeat(folds, 10, axis=1))
    assert often == pytest.approx(once)


def test_lesions_of_one_patient_do_not_pretend_to_be_patients():
    y, scores, folds = draw()
    twice = [np.repeat(part, 2, axis=0) for part in (y, scores, folds)]
    clustered = cross_validated_auc(*twice, groups=np.repeat(np.arange(len(y)), 2))
    once = cross_validated_auc(y, scores, folds)
    assert clustered.high - clustered.low == pytest.approx(once.high - once.low, rel=0.02)
    naive = cross_validated_auc(*twice)
    assert naive.high - naive.low < 0.85 * (once.high - once.low)


def test_the_interval_covers_where_one_case_in_ten_is_positive():
    """Ten positives of a hundred teach a model less than fifty of a hundred do."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(80):
        X = rng.normal(size=(100, 6))
        logit = X[:, 0] + rng.normal(size=100) + rng.logistic(size=100)
        y = (logit > np.quantile(logit, 0.9)).astype(int)
        scores, folds = np.zeros((100, 2)), np.zeros((100, 2), dtype=int)
        for r in range(2):
            splits = StratifiedKFold(5, shuffle=True, random_state=r).split(X, y)
            for k, (train, test) in enumerate(splits):
                model = LogisticRegression(C=0.1).fit(X[train], y[train])
                scores[test, r], folds[test, r] = model.decision_function(X[test]), k
        found.append(cross_validated_auc(y, scores, folds))
    auc, low, high = (np.array([getattr(one, k) for one in found]) for k in Estimate._fields[:3])
    assert ((low <= auc.mean()) & (auc.mean() <= high)).mean() >= 0.92


@pytest.mark.parametrize(("n_groups", "n_folds"), [(5, 5), (10, 5), (40, 5)])
def test_groups_as_large_as_folds_keep_the_level(n_groups, n_folds):
    """A hospital that is a fold of its own has influences that sum to zero within the fold."""
    rng = np.random.default_rng(0)
    p, covered, widths = [], [], []
    for _ in range(150):
        groups = rng.permutation(200) % n_groups
        y = rng.integers(0, 2, 200)
        a, b = y + rng.normal(size=(2, 200))
        folds = groups % n_folds
        p.append(cross_validated_auc_difference(y, a, b, folds, groups=groups).p_value)
        found = cross_validated_auc(y, a, folds, groups=groups)
        covered.append(found.low < norm.cdf(np.sqrt(0.5)) < found.high)
        widths.append(found.high - found.low)
    assert np.mean(np.array(p) < 0.05) <= 0.08
    assert np.mean(covered) >= 0.93
    assert 0.1 < np.mean(widths) < 0.3


@pytest.mark.parametrize("change", [lambda s: s, lambda s: 3 * s - 1, lambda s: s + 1e-13])
def test_equal_orders_are_not_tested(change):
    y, scores, folds = draw()
    found = cross_validated_auc_difference(y, scores, change(scores), folds)
    assert found.estimate == pytest.approx(0)
    assert np.isnan(found[1:4]).all()
    assert found.reason == "both order all cases alike"


@pytest.mark.parametrize("direction", [1, -1])
def test_perfect_order_has_no_interval(direction):
    y, _, folds = draw()
    found = cross_validated_auc(y, direction * y[:, None].astype(float), folds)
    assert np.isnan([found.low, found.high]).all()
    assert "ordered alike" in found.reason


@pytest.mark.parametrize("rounding", [0.0, 1e-14])
def test_a_constant_score_has_no_interval(rounding):
    y, scores, folds = draw()
    found = cross_validated_auc(y, 0.3 + rounding * scores, folds)
    assert found.estimate == 0.5
    assert np.isnan([found.low, found.high]).all()
    assert "does not differ" in found.reason


def test_a_perfect_score_does_not_order_as_a_constant_one():
    y, scores, folds = draw()
    found = cross_validated_auc_difference(y, y[:, None], 0 * scores, folds)
    assert found.estimate == 0.5
    assert found.reason == "the difference is the same for every case"


def test_folds_of_one_class_count_for_nothing():
    y, scores, folds = draw(n=60)
    more = np.r_[y, np.zeros(30, dtype=int)]
    held = np.r_[folds, np.full((30, 1), 5)]
    found = cross_validated_auc(more, np.r_[scores, np.zeros((30, 1))], held)
    assert found == cross_validated_auc(y, scores, folds)


def test_few_cases_of_a_class_have_no_interval():
    y = np.array([1, 1, *[0] * 8])
    folds = np.array([0, 1] * 5)
    found = cross_validated_auc(y, np.arange(10.0), folds)
    assert "2 independent cases of one class" in found.reason


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda y, s, f: cross_validated_auc(y * 2, s, f), "coded 0 and 1"),
        (lambda y, s, f: cross_validated_auc(y, s[:-1], f), "scores shape"),
        (lambda y, s, f: cross_validated_auc(y, s * np.nan, f), "120 held-out scores"),
        (lambda y, s, f: cross_validated_auc(y, s, f, groups=[1]), "groups has 1"),
        (lambda y, s, f: cross_validated_auc(y, s, f * 0 - 1), "no fold holds out"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(*draw())


@pytest.mark.parametrize("df", [2, 5, 59])
@pytest.mark.parametrize("difference", [-0.2, 0.0, 0.02, 0.09, 0.3])
def test_the_interval_ends_where_a_test_would_reject(df, difference):
    """The error at the ends is that of the ends, and 0 is excluded where p is below 0.05."""
    error, cases = 0.03, 100.0
    found = trained_difference(difference, StandardError(error, df, cases))
    for end in (found.low, found.high):
        # 1.2 + 45 / 100 at no difference, 3 at a large one.
        none = error * np.sqrt(1.65)
        z2 = (end / none) ** 2
        ratio = 1 + (3 / 1.65 - 1) * z2 / (z2 + 1.5)
        reached = abs(difference - end) / (none * np.sqrt(ratio))
        assert reached == pytest.approx(t.ppf(0.975, df), rel=1e-6)
    assert found.low < difference < found.high
    assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_intervals_of_two_differences_are_mirrored():
    one, other = (
        trained_difference(value, StandardError(0.02, 30.0, 60.0)) for value in (0.05, -0.05)
    )
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.p_value == other.p_value


def test_the_interval_of_a_gain_covers_it():
    """With the error of models that are alike, 81 % of these intervals cover the mean gain."""
    n, mixing, found = 300, np.random.default_rng(1).normal(size=(5, 40)), []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        factors = rng.normal(size=(n, 5))
        h, d = factors @ mixing + rng.normal(size=(n, 40)), rng.normal(size=(n, 16))
        y = (factors[:, 0] + 1.7 * d[:, 0] + rng.logistic(size=n) > 0).astype(int)
        folds, scores = np.empty(n, dtype=int), np.empty((2, n))
        splits = StratifiedKFold(5, shuffle=True, random_state=seed).split(h, y)
        model = LogisticRegression(C=0.01, solver="newton-cholesky")
        for number, (train, test) in enumerate(splits):
            folds[test] = number
            for score, x in zip(scores, (np.hstack([h, d]), h), strict=True):
                score[test] = model.fit(x[train], y[train]).decision_function(x[test])
        found.append(cross_validated_auc_difference(y, *scores, folds))
    gain = np.mean([one.estimate for one in found])
    assert np.mean([one.low <= gain <= one.high for one in found]) >= 0.93
