"""One decomposition serves all penalties, and out-of-bag samples stand for inner splits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from nonredundant.classifiers import tuning
from nonredundant.classifiers.builtin import make_pipeline
from nonredundant.classifiers.ridge_logistic import RidgeLogistic
from nonredundant.classifiers.tuning import TrainingRows, tune

STRENGTHS = (1e-3, 1.0, 100.0)


def draw(n, p, **options):
    """Return rows of which few columns matter."""
    return make_classification(n, p, n_informative=3, n_redundant=0, random_state=0, **options)


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3.0, 1: 0.5}])
@pytest.mark.parametrize("shape", [(40, 120), (200, 5)])
def test_a_path_equals_one_fit_per_penalty(shape, class_weight):
    X, y = draw(*shape, weights=[0.7])
    model = RidgeLogistic(
        solver="newton-cholesky", tol=1e-10, max_iter=500, class_weight=class_weight
    )
    found = model.predict_path(X[::2], y[::2], STRENGTHS, X[1::2])
    for strength, one in zip(STRENGTHS, found, strict=True):
        model.set_params(C=strength).fit(X[::2], y[::2])
        np.testing.assert_allclose(one, model.predict_proba(X[1::2]), atol=2e-5)


def test_a_path_converges_where_classes_are_separated_by_far():
    X = np.r_[np.full(10, -300.0), np.full(10, 300.0)][:, None]
    y = np.repeat([0, 1], 10)
    found = RidgeLogistic(max_iter=200).predict_path(X, y, (1e-6, 1.0, 1e6), X)
    assert (found.argmax(axis=2) == y).all()
    assert np.isfinite(found).all()


def fitted(monkeypatch, name, path, X, y):
    """Tune with the path, or with one fit per penalty, and return what was tuned."""
    if not path:
        monkeypatch.setattr(tuning, "RidgeLogistic", ())
    splits = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))
    rows = TrainingRows(X, y, 20, splits)
    metric = lambda y, response: roc_auc_score(y, response[:, -1])  # noqa: E731
    pipeline = make_pipeline(name, None, 20, seed=0)
    return tune(name, pipeline, rows, learned=True, own=False, metric=metric)


def test_tuning_chooses_the_same_setting_along_a_path(monkeypatch):
    X, y = draw(60, 40)
    one, other = (fitted(monkeypatch, "LR", path, X, y) for path in (True, False))
    assert one.chosen == other.chosen
    np.testing.assert_allclose(one.responses, other.responses, atol=1e-3)


def forest(X, y, **options):
    """Tune a forest of few rows and return what was tuned."""
    splits = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))
    sampler = options.pop("sampler", None)
    pipeline = make_pipeline("RF", None, 20, seed=0, sampler=sampler)
    rows = TrainingRows(X, y, 20, splits, **options)
    return tune("RF", pipeline, rows, learned=True, own=False, metric=lambda y, r: 0.0)


def test_trees_answer_for_the_samples_that_they_did_not_draw():
    X, y = draw(60, 40, class_sep=2.0)
    found = forest(X, y)
    assert found.rows.tolist() == list(range(60))
    assert 0.6 < roc_auc_score(y, found.responses[:, 1]) < 0.99
    assert roc_auc_score(y, found.model.predict_proba(X)[:, 1]) > 0.99
    model = found.model.named_steps["classifier"]
    assert not model.oob_score
    assert not hasattr(model, "oob_decision_function_")
    numbers = np.random.default_rng(0).permutation(60)
    noise = forest(X, y[numbers])
    assert roc_auc_score(y[numbers], noise.responses[:, 1]) < 0.75


@pytest.mark.parametrize(
    "options", [{"grouped": True}, {"sampler": "over"}, {"nested": True}], ids=str
)
def test_forests_are_fitted_again_where_samples_left_out_are_not_new(options):
    X, y = draw(60, 40)
    if "nested" in options:
        options = {"nested": [(X, 20)] * 5}
    assert forest(X, y, **options).rows.tolist() != list(range(60))


def test_copies_of_a_row_in_one_group_do_not_answer_for_each_other():
    rng = np.random.default_rng(0)
    X, y = np.repeat(rng.normal(size=(30, 40)), 4, axis=0), np.repeat(np.arange(30) % 2, 4)
    splits = [
        (np.flatnonzero(np.arange(120) // 24 != k), np.arange(24 * k, 24 * k + 24))
        for k in range(5)
    ]
    rows = TrainingRows(X, y, 20, splits, grouped=True)
    pipeline = make_pipeline("RF", None, 20, seed=0)
    found = tune("RF", pipeline, rows, learned=True, own=False, metric=lambda y, r: 0.0)
    assert roc_auc_score(y[found.rows], found.responses[:, 1]) < 0.8
