"""Scaling of the known columns and of the learned block."""

from __future__ import annotations

import numpy as np

from nonredundant.evaluation.blocks import BlockScaler


def test_scaler_leaves_constant_columns_at_zero_even_where_rounding_gives_them_a_spread():
    X = np.column_stack([np.full(30, 0.1), np.arange(30.0)])
    new = np.array([[0.1 + 1e-9, 3.0]])
    assert abs(BlockScaler().fit(X).transform(new)[0, 0]) < 1e-6
