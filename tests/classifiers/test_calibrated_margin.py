"""Probabilities from margins."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import rankdata
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import brier_score_loss
from sklearn.svm import SVC

from nonredundant.classifiers.calibrated_margin import CalibratedMargin


def rows(n=200, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    return rng.normal(size=(n, 3)) + y[:, None], y


def test_the_sigmoid_is_platts_where_margins_rise():
    X, y = rows()
    halves = np.arange(100), np.arange(100, 200)
    held = [
        SVC().fit(X[train], y[train]).decision_function(X[test])
        for train, test in (halves, halves[::-1])
    ]
    margins, labels = np.concatenate(held), np.concatenate([y[100:], y[:100]])
    own = CalibratedMargin(SVC(), margins, labels).fit(X, y)
    platt = CalibratedClassifierCV(SVC(), cv=[halves, halves[::-1]], ensemble=False).fit(X, y)
    new, _ = rows(seed=1)
    np.testing.assert_allclose(own.predict_proba(new), platt.predict_proba(new), atol=1e-3)


@pytest.mark.parametrize("sign", [1, -1, 0])
def test_probabilities_rank_as_margins_whatever_held_out_margins_say(sign):
    X, y = rows(60)
    margins = sign * (2.0 * y - 1) + np.random.default_rng(0).normal(size=60)
    model = CalibratedMargin(SVC(), margins, y).fit(X, y)
    new, _ = rows(300, seed=2)
    p, margin = model.predict_proba(new)[:, 1], SVC().fit(X, y).decision_function(new)
    np.testing.assert_array_equal(rankdata(p), rankdata(margin))
    if sign < 0:
        assert np.abs(p - 0.5).max() < 0.1


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_label_is_that_of_the_highest_log_odds(n_classes):
    X, y = rows(90, n_classes)
    margins = 2.0 + (y[:, None] if n_classes == 2 else np.eye(3)[y] * [1, 5, 9])
    model = CalibratedMargin(SVC(), margins, y).fit(X, y)
    log_odds, p = model.decision_function(X), model.predict_proba(X)
    if n_classes == 2:
        np.testing.assert_allclose(log_odds, logit(p[:, 1]))
        np.testing.assert_array_equal(model.predict(X), log_odds > 0)
    else:
        np.testing.assert_allclose(expit(log_odds) / expit(log_odds).sum(1)[:, None], p)
        np.testing.assert_array_equal(model.predict(X), log_odds.argmax(axis=1))


def test_probabilities_of_several_classes_rise_with_their_margins():
    X, y = rows(90, 3)
    inverted = -np.eye(3)[y]
    model = CalibratedMargin(SVC(), inverted, y).fit(X, y)
    assert (model.slope_ > 0).all()
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (model.predict(X) == SVC().fit(X, y).predict(X)).mean() > 0.9


def test_calibration_helps_a_wide_margin():
    X, y = rows(400)
    held = 30 * SVC().fit(X[:200], y[:200]).decision_function(X[200:])
    p = CalibratedMargin(SVC(), held, y[200:]).fit(X, y).probability(held)[:, 1]
    assert brier_score_loss(y[200:], p) < brier_score_loss(y[200:], 1 / (1 + np.exp(-held)))
