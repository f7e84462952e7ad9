"""What tests and intervals return."""

from __future__ import annotations

from typing import NamedTuple

#: All intervals are of this level.
LEVEL = 0.95


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    estimate: float
    low: float
    high: float


class Difference(NamedTuple):
    """A paired difference, its 95 % interval and two-sided p-value."""

    estimate: float
    low: float
    high: float
    p_value: float
