"""Comparison of feature sets: the gain of deep features and its uncertainty.

`compare` maps the path from the call to the answer, module by module.
"""

from __future__ import annotations

from nonredundant.classifiers.builtin import NAMES, SURVIVAL_NAMES
from nonredundant.evaluation.classifier import FeatureSetClassifier
from nonredundant.evaluation.compare import compare_feature_sets
from nonredundant.evaluation.planning import StudyPlan, plan_study
from nonredundant.evaluation.validation import validate_model
from nonredundant.folds.feature_sets import DEFAULT_SETS
from nonredundant.results.comparison import FeatureSetComparison
from nonredundant.results.validation import ModelValidation

__all__ = [
    "DEFAULT_SETS",
    "NAMES",
    "SURVIVAL_NAMES",
    "FeatureSetClassifier",
    "FeatureSetComparison",
    "ModelValidation",
    "StudyPlan",
    "compare_feature_sets",
    "plan_study",
    "validate_model",
]
