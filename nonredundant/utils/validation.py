"""Validation of parameters and data by scikit-learn.

This is the only module that imports private parts of scikit-learn.
"""

from __future__ import annotations

from sklearn.utils._param_validation import (
    HasMethods,
    Hidden,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import validate_data

__all__ = [
    "HasMethods",
    "Hidden",
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "validate_data",
    "validate_parameter_constraints",
]
