"""The audit: the dependence between h and d that newly trained estimators detect."""

from __future__ import annotations

from nonredundant.metrics.audit import (
    DEFAULT_METHODS,
    METHODS,
    audit_with_null,
    pool_redundancy,
    redundancy_report,
    redundancy_score,
)
from nonredundant.metrics.centres import CentreCoding, centre_coding
from nonredundant.metrics.nulls import N_REFITS
from nonredundant.metrics.share import explained_share

__all__ = [
    "CentreCoding",
    "DEFAULT_METHODS",
    "METHODS",
    "N_REFITS",
    "audit_with_null",
    "centre_coding",
    "explained_share",
    "pool_redundancy",
    "redundancy_report",
    "redundancy_score",
]
