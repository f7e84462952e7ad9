"""What a fitted model can be asked, for `available_if` of scikit-learn."""

from __future__ import annotations

from numbers import Real
from typing import Any

from nonredundant.evaluation.performance import has_probabilities
from nonredundant.utils.validation import Interval, validate_parameter_constraints


def predicts_classes(model: Any) -> bool:
    """Raise an AttributeError if a fitted model predicts times to an event."""
    if hasattr(model, "model_") and not len(model.classes_):
        raise AttributeError("a model of times to an event has no probabilities: use predict")
    return True


def has_conformal_sets(model: Any) -> bool:
    """Raise an AttributeError if a fitted model has no probabilities of held-out samples."""
    if not hasattr(model, "model_"):
        return True
    if not len(model.classes_):
        raise AttributeError("conformal sets are sets of classes; a model of times predicts risks")
    if model.out_of_fold_ is None:
        raise AttributeError(
            "the model kept no predictions of held-out samples: fit it with cv=5, or by "
            "`nonredundant fit` without --folds 0"
        )
    if not has_probabilities(model.out_of_fold_["response"], len(model.classes_)):
        raise AttributeError("the classifier has no probabilities: conformal sets need them")
    return True


def is_linear(model: Any) -> bool:
    """Raise an AttributeError if a fitted model is not one linear function of its features."""
    if hasattr(model, "model_") and not model.predictor_.is_linear:
        raise AttributeError(
            f"{model.classifier_name_} is no linear model of two classes or of times, and has no "
            "contributions of single features"
        )
    return True


def check_coverage(coverage: Any) -> None:
    """Raise unless a coverage of conformal sets is a share between 0 and 1."""
    constraints: dict[str, Any] = {"coverage": [Interval(Real, 0, 1, closed="neither")]}
    validate_parameter_constraints(constraints, {"coverage": coverage}, caller_name="predict_set")
