"""The independence terms by name."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone

from nonredundant.independence.closed_form import HSIC, CrossCovariance, DistanceCorrelation
from nonredundant.independence.density_ratio import MIDiscriminator


def _terms() -> dict[str, type]:
    """Return the terms by the names that `independence=` takes."""
    return {
        "dcor": DistanceCorrelation,
        "hsic": HSIC,
        "cross-covariance": CrossCovariance,
        "density-ratio": MIDiscriminator,
    }


def resolve_independence(spec: Any) -> Any:
    """Return an unfitted term for a name or a term; None for None.

    Parameters
    ----------
    spec : str, term or None
        "density-ratio", "dcor", "hsic", "cross-covariance"; a term is cloned.

    Returns
    -------
    term or None
        What training calls.

    Raises
    ------
    ValueError
        If there is no term of that name.

    Examples
    --------
    >>> resolve_independence("dcor")
    DistanceCorrelation()
    """
    if spec is None:
        return None
    if not isinstance(spec, str):
        return clone(spec)
    terms = _terms()
    if spec not in terms:
        raise ValueError(f"independence={spec!r}: the terms are {sorted(terms)} or None")
    return terms[spec]()
