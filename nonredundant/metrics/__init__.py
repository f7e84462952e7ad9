"""The audit: estimate what fresh estimators still find shared between h and d."""

from __future__ import annotations

from nonredundant.metrics.audit import (
    DEFAULT_METHODS,
    METHODS,
    N_REFITS,
    redundancy_report,
    redundancy_score,
)

__all__ = ["DEFAULT_METHODS", "METHODS", "N_REFITS", "redundancy_report", "redundancy_score"]
