"""Out-of-fold responses by repeat."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from nonredundant.folds.out_of_fold import collect
from nonredundant.folds.splits import Fold


def fit(fold, value):
    """Return a fitted classifier that responds `value` to each held-out sample."""
    response = np.full((len(fold.test), 1), float(value))
    return SimpleNamespace(fold=fold, feature_set="HCR", classifier="LR", response=response)


def folds_of(*tests):
    """Return folds from (repeat, fold, test)."""
    rows = np.arange(4)
    return [Fold(r, f, np.setdiff1d(rows, t), np.asarray(t), 0) for r, f, t in tests]


def test_repeats_are_columns():
    folds = folds_of((0, 0, [0, 1]), (0, 1, [2, 3]), (1, 0, [0, 2]), (1, 1, [1, 3]))
    held = collect(folds, 4, [fit(fold, i) for i, fold in enumerate(folds)])
    np.testing.assert_array_equal(held.folds, [[0, 0], [0, 1], [1, 0], [1, 1]])
    np.testing.assert_array_equal(held.score("HCR", "LR"), [[0, 2], [0, 3], [1, 2], [1, 3]])
    np.testing.assert_array_equal(held.mean("HCR", "LR").ravel(), [1, 1.5, 1.5, 2])


def test_overlapping_folds_have_columns_of_their_own():
    folds = folds_of((0, 0, [0, 1]), (0, 1, [1, 2]))
    held = collect(folds, 4, [fit(fold, i) for i, fold in enumerate(folds)])
    np.testing.assert_array_equal(held.folds, [[0, -1], [0, 1], [-1, 1], [-1, -1]])
    np.testing.assert_array_equal(held.mean("HCR", "LR").ravel(), [0, 0.5, 1, np.nan])
