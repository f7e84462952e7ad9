"""The AUC of cross-validation: intervals, paired differences, what is not estimable."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from nonredundant.statistics import cross_validated_auc, cross_validated_auc_difference


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


@pytest.mark.parametrize("change", [lambda s: s, lambda s: 3 * s - 1, lambda s: s + 1e-13])
def test_equal_orders_are_not_tested(change):
    y, scores, folds = draw()
    found = cross_validated_auc_difference(y, scores, change(scores), folds)
    assert found.estimate == pytest.approx(0)
    assert np.isnan(found[1:5]).all()
    assert found.reason == "both order all held-out cases alike"


@pytest.mark.parametrize("direction", [1, -1])
def test_perfect_order_has_no_interval(direction):
    y, _, folds = draw()
    found = cross_validated_auc(y, direction * y[:, None].astype(float), folds)
    assert np.isnan([found.low, found.high]).all()
    assert "ordered alike" in found.reason


def test_few_cases_of_a_class_have_no_interval():
    y = np.array([1, 1, *[0] * 8])
    folds = np.array([0, 1] * 5)
    found = cross_validated_auc(y, np.arange(10.0), folds)
    assert "2 independent cases of one class" in found.reason


def test_the_detectable_difference_has_the_stated_power():
    y, scores, folds = draw(n=300)
    rng = np.random.default_rng(1)
    found = cross_validated_auc_difference(y, scores, scores + rng.normal(size=scores.shape), folds)
    error = (found.high - found.low) / 2 / 1.976
    assert found.detectable == pytest.approx((1.976 + 0.844) * error, rel=0.01)


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
