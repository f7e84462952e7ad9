"""Registry of the independence terms.

To add a term, write its class in this package and add one line to `TERMS`. The accepted values of
`independence=`, the error messages, the tests and the benchmarks follow from it.
"""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator, clone

from nonredundant.independence.closed_form import HSIC, CrossCovariance, DistanceCorrelation
from nonredundant.independence.density_ratio import MIDiscriminator
from nonredundant.utils.validation import HasMethods, StrOptions

#: Terms by the name that `independence=` accepts; the class docstring describes each one.
TERMS: dict[str, type[BaseEstimator]] = {
    "dcor": DistanceCorrelation,
    "hsic": HSIC,
    "cross-covariance": CrossCovariance,
    "density-ratio": MIDiscriminator,
}

#: Constraint of a parameter that takes a term.
TERM_CONSTRAINT = [None, StrOptions(set(TERMS)), HasMethods(["penalty", "update", "reset"])]
#: Values of a term's `fit_mode`: nothing to train, trained in each step, or every few epochs.
FIT_MODES = ("closed-form", "step", "scheduled")


def resolve_independence(spec: Any) -> Any:
    """Return an unfitted term for a name or a term, and None for None.

    Parameters
    ----------
    spec : str, term or None
        A name in `TERMS`: "dcor", "hsic", "cross-covariance" or "density-ratio". A term is cloned.

    Returns
    -------
    term or None
        Term that the training loop updates and evaluates.

    Raises
    ------
    ValueError
        If there is no term of that name, or a term does not say how it is trained (`fit_mode`).

    Examples
    --------
    >>> resolve_independence("dcor")
    DistanceCorrelation()
    """
    if spec is None:
        return None
    if not isinstance(spec, str):
        if getattr(spec, "fit_mode", None) not in FIT_MODES:
            raise ValueError(
                f"the independence term {spec!r} needs an attribute `fit_mode` that is one of "
                f"{FIT_MODES}"
            )
        return clone(spec)
    if spec not in TERMS:
        raise ValueError(
            f"independence={spec!r} is not a known term: choose one of {sorted(TERMS)}, a term "
            "object, or None"
        )
    return TERMS[spec]()
