"""Cross-validated R² of known relations."""

from __future__ import annotations

import numpy as np
import pytest

from nonredundant import redundancy_score


@pytest.mark.parametrize(
    ("method", "within"),
    [("r2-ridge", 0.03), ("r2-mlp", 0.06), ("r2-forest", 0.06), ("r2-boosting", 0.1)],
)
def test_r2_of_a_linear_relation_is_the_share_that_it_explains(method, within):
    rng = np.random.default_rng(0)
    d = rng.normal(size=(600, 2))
    h = d + rng.normal(size=(600, 2)) / np.sqrt(3)
    assert redundancy_score(h, d, method, random_state=0) == pytest.approx(0.75, abs=within)


def test_r2_counts_columns_that_nothing_explains():
    rng = np.random.default_rng(0)
    d = rng.normal(size=(500, 2))
    h = np.column_stack([d, rng.normal(size=(500, 6))])
    assert redundancy_score(h, d, "r2-ridge", random_state=0) == pytest.approx(0.25, abs=0.02)
