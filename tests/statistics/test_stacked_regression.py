"""Stacked regression: closed forms, what is left out, and which functions it follows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import Ridge

from nonredundant.statistics.stacked_regression import (
    gaussian_kernel,
    left_out_smoothers,
    linear_kernel,
    normal_scores,
    stacked_predictions,
    stacking_weights,
)


@pytest.mark.parametrize("size", [1, 3])
def test_smoothers_predict_as_ridge_regressions_without_the_group(size):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 5)), rng.normal(size=(24, 2))
    groups = np.arange(24) // size
    smoother = left_out_smoothers(linear_kernel(x), [0.1], groups)[0]
    penalty = 0.1 * np.square(x - x.mean(axis=0)).sum()
    for group in np.unique(groups):
        out = groups == group
        model = Ridge(alpha=penalty).fit(x[~out], y[~out])
        np.testing.assert_allclose((smoother @ y)[out], model.predict(x[out]), atol=1e-10)


def test_the_prediction_of_a_row_does_not_depend_on_its_outcome():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 4))
    groups = np.repeat(np.arange(10), 3)
    for kernel in (linear_kernel(x), gaussian_kernel(x)):
        for smoother in left_out_smoothers(kernel, [0.01, 1.0], groups):
            np.testing.assert_allclose(smoother[groups[:, None] == groups], 0, atol=1e-12)
    # The forest takes part below: a patient whose rows show one value predicts itself otherwise.
    twins = np.repeat(rng.normal(size=(30, 4)), 2, axis=0)
    noise = np.repeat(rng.normal(size=30), 2)
    explained = []
    for groups in (None, np.arange(60) // 2):
        predicted = stacked_predictions(twins, noise, groups=groups, random_state=0)[:, 0]
        explained.append(1 - np.var(noise - predicted) / np.var(noise))
    assert explained[0] > 0.5
    assert explained[1] < 0.3


def test_weights_are_those_of_a_general_solver():
    rng = np.random.default_rng(0)
    for shift in (0.0, 2.0):
        x = rng.normal(size=(40, 4))
        y = x @ [0.2 + shift, 0.5, -0.4, 0.0] + rng.normal(size=40)
        expected = minimize(
            lambda w, x=x, y=y: np.square(y - x @ w).sum(),
            np.full(4, 0.1),
            bounds=[(0, None)] * 4,
            constraints={"type": "ineq", "fun": lambda w: 1 - w.sum()},
            tol=1e-10,
        ).x
        np.testing.assert_allclose(stacking_weights(x, y), expected, atol=1e-4)


@pytest.mark.parametrize(
    "shape",
    [
        lambda h: h.sum(axis=1),
        lambda h: np.square(h[:, 0]),
        lambda h: h[:, 0] * h[:, 1],
        lambda h: np.sign(h[:, 2] - 0.5),
    ],
    ids=["sum", "square", "product", "step"],
)
def test_functions_of_h_are_followed_and_noise_is_not(shape):
    rng = np.random.default_rng(0)
    h = rng.normal(size=(150, 6))
    signal = shape(h)
    y = np.column_stack([signal / signal.std(), rng.normal(size=150)])
    left = y - stacked_predictions(h, y, random_state=0)
    share = 1 - left.var(axis=0) / y.var(axis=0)
    assert share[0] > 0.5
    assert abs(share[1]) < 0.1


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    h, y, groups = rng.normal(size=(40, 5)), rng.normal(size=(40, 2)), np.arange(40) // 2
    order = rng.permutation(40)
    there = stacked_predictions(h, y, groups=groups, random_state=3)
    names = np.array([f"patient {9 * g % 20}" for g in groups])
    here = stacked_predictions(h[order], y[order], groups=names[order], random_state=3)
    np.testing.assert_allclose(here, there[order], atol=1e-9)


def test_gaps_have_the_score_of_the_median():
    x = np.array([[1.0], [2.0], [3.0], [np.nan]])
    scores = normal_scores(x)[:, 0]
    assert scores[3] == pytest.approx(scores[1], abs=1e-12)
    assert normal_scores(np.ones((4, 2))).shape == (4, 0)
    np.testing.assert_array_equal(stacked_predictions(np.ones((4, 2)), np.arange(4.0)), 1.5)
