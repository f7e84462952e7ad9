"""Names of metrics and audit methods, and p-values, as papers write them."""

from __future__ import annotations

import numpy as np

from nonredundant.metrics.audit import AUDIT_METHODS, CORRELATION

_METRICS = {
    "roc_auc": "AUC",
    "roc_auc_ovr": "AUC (one against the rest)",
    "concordance_index": "concordance index",
    "r2": "R²",
    "spearman": "rank correlation",
}


def metric_name(metric: str) -> str:
    """Name a scikit-learn metric."""
    return _METRICS.get(metric, metric.replace("_", " "))


def method_name(method: str) -> str:
    """Name a method of `redundancy_report`."""
    return AUDIT_METHODS[method].label if method in AUDIT_METHODS else method


def estimate_name(method: str) -> str:
    """Name an estimate of `redundancy_report`: "distance correlation", "R² by ridge"."""
    one = AUDIT_METHODS.get(method)
    if one is None or one.unit is CORRELATION:
        return method_name(method)
    return f"{one.unit.name} by {one.label}"


def p_number(p: float) -> str:
    """Format a p-value without the letter; an empty text for NaN."""
    if not np.isfinite(p):
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_text(p: float) -> str:
    """Format a p-value as "p = 0.012" or "p < 0.001"; an empty text for NaN."""
    number = p_number(p)
    if not number or number.startswith("<"):
        return number and f"p {number}"
    return f"p = {number}"
