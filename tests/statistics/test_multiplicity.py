"""Holm's correction."""

from __future__ import annotations

import numpy as np
import pytest

from nonredundant.statistics import holm


def test_holm_on_a_worked_example():
    """0.01 * 4, 0.015 * 3, then 0.03 * 2 = 0.06 and 0.05 * 1, raised to 0.06."""
    found = holm([0.03, 0.01, 0.05, 0.015])
    np.testing.assert_allclose(found, [0.06, 0.04, 0.06, 0.045])
    assert holm([0.6, 0.9]).max() == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: holm([0.5, 1.2]), r"\[0, 1\]"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
