"""Whether a network adds anything to hand-crafted radiomics, and whether the gain is real."""

from __future__ import annotations

from nonredundant.evaluation.classifier import FeatureSetClassifier
from nonredundant.evaluation.compare import compare_feature_sets
from nonredundant.evaluation.comparison import FeatureSetComparison

__all__ = ["FeatureSetClassifier", "FeatureSetComparison", "compare_feature_sets"]
