"""Independence terms: penalties that keep d independent of h during training."""

from __future__ import annotations

from nonredundant.independence.closed_form import (
    HSIC,
    ClosedFormTerm,
    CrossCovariance,
    DistanceCorrelation,
)
from nonredundant.independence.density_ratio import MIDiscriminator, TotalCorrelation
from nonredundant.independence.terms import resolve_independence

__all__ = [
    "ClosedFormTerm",
    "CrossCovariance",
    "DistanceCorrelation",
    "HSIC",
    "MIDiscriminator",
    "TotalCorrelation",
    "resolve_independence",
]
