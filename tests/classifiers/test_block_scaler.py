"""Scaling of the known columns and of the learned block."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Ridge

from nonredundant.classifiers.block_scaler import BlockScaler


def test_scaler_leaves_constant_columns_at_zero_even_where_rounding_gives_them_a_spread():
    X = np.column_stack([np.full(30, 0.1), np.arange(30.0)])
    new = np.array([[0.1 + 1e-9, 3.0]])
    assert abs(BlockScaler().fit(X).transform(new)[0, 0]) < 1e-6


def test_blocks_of_any_size_have_the_same_total_variance():
    X = np.random.default_rng(0).normal(3, [*np.arange(1.0, 108), *np.full(16, 9.0)], (60, 123))
    variance = BlockScaler(107, weight=0.5).fit_transform(X).var(axis=0)
    assert np.isclose(variance[:107].sum(), 1)
    assert np.isclose(variance[107:].sum(), 0.25)


def test_a_weight_divides_the_ridge_penalty_of_the_learned_block_by_its_square():
    """The penalised solution by hand: (X'X + diag(penalty))^-1 X'y on unscaled columns."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    y = rng.normal(size=40)
    y -= y.mean()
    scaled = BlockScaler(3, weight=0.5).fit(X)
    model = Ridge(alpha=2.0, fit_intercept=False).fit(scaled.transform(X), y)
    penalty = 2.0 * np.array([3, 3, 3, 2 / 0.25, 2 / 0.25])
    by_hand = np.linalg.solve(X.T @ X + np.diag(penalty), X.T @ y)
    np.testing.assert_allclose(model.coef_ * scaled.factors_, by_hand)
