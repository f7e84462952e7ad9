"""Check of the parameters of a comparison, before anything is read."""

from __future__ import annotations

# For the name of an error; nothing is read.
import pickle  # nosec B403
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Any

import joblib

from nonredundant.metrics import METHODS
from nonredundant.utils.validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
)

_CONSTRAINTS: dict[str, Any] = {
    "centre": [str, None],
    "n_repeats": [Interval(Integral, 1, None, closed="left"), None],
    "baselines": ["boolean"],
    "shared_test": ["boolean"],
    "anonymise": ["boolean"],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "audit": ["boolean", list, tuple, str],
    "controls": ["boolean"],
    "memory": [str, Path, HasMethods(["cache"]), None],
    "n_jobs": [Integral, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def check_parameters(given: Mapping[str, Any]) -> None:
    """Raise unless the parameters of a comparison are of the right types.

    Parameters
    ----------
    given : mapping of str to object
        The arguments of `compare_feature_sets`; those that have an own check are passed over.

    Raises
    ------
    InvalidParameterError
        Naming the parameter and what it may be.
    """
    checked = {name: given[name] for name in _CONSTRAINTS}
    for name in ("extractor", "cvae", "embedding"):
        check_estimator(given[name], name, "compare_feature_sets")
    validate_parameter_constraints(_CONSTRAINTS, checked, caller_name="compare_feature_sets")
    audit = given["audit"]
    unknown = [] if isinstance(audit, bool) else [name for name in audit if name not in METHODS]
    if isinstance(audit, str) or unknown:
        raise InvalidParameterError(
            f"The 'audit' parameter of compare_feature_sets must be True, False or a list of "
            f"methods among {list(METHODS)}. Got {audit!r} instead."
        )


def check_estimator(value: Any, name: str, caller: str) -> None:
    """Raise unless a parameter is None or a transformer.

    Parameters
    ----------
    value : object
        The value.
    name, caller : str
        The parameter and whose it is, for the message.

    Raises
    ------
    InvalidParameterError
        If it is a class, or no transformer.
    """
    what = f"The {name!r} parameter of {caller} must be None or a transformer."
    if isinstance(value, type):
        raise InvalidParameterError(
            f"{what} Got the class {value.__name__}: write {value.__name__}()"
        )
    if value is not None and not HasMethods(["fit", "transform", "get_params"]).is_satisfied_by(
        value
    ):
        raise InvalidParameterError(f"{what} Got {value!r} instead.")


def check_digests(memory: Any, parts: Mapping[str, Any]) -> None:
    """Raise unless a digest of each part can tell the results that `memory` keeps.

    Parameters
    ----------
    memory : object or None
        Where results are kept; nothing is checked without it.
    parts : mapping of str to object
        Steps, estimators and scorers by what they are, for the message.

    Raises
    ------
    InvalidParameterError
        If a part contains a function that no module names.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> check_digests("cache", {"the classifier 'LR'": LogisticRegression()})
    """
    for name, part in parts.items() if memory is not None else ():
        try:
            joblib.hash(part)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise InvalidParameterError(
                f"memory= finds results by a digest of what they were computed with, and {name} "
                f"has none: {error.args[0] if error.args else error}. Write a lambda, or a "
                "function within a function, as a function of a module, or set memory=None"
            ) from error
