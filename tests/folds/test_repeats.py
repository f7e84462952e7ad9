"""How often the folds of a small cohort are repeated."""

from __future__ import annotations

import pytest

from nonredundant.folds.repeats import default_repeats


@pytest.mark.parametrize(
    ("n", "repeats"), [(20, 10), (51, 5), (100, 3), (199, 2), (200, 1), (5000, 1)]
)
def test_smaller_cohorts_have_more_repeats(n, repeats):
    assert default_repeats(n) == repeats
