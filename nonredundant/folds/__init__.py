"""What happens in a fold: splits, steps, columns, networks and fits, each learned in the fold."""

from __future__ import annotations

from nonredundant.folds.harmonise import Harmonise
from nonredundant.folds.select_features import SelectFeatures
from nonredundant.folds.stable_features import StableFeatures
from nonredundant.folds.steps import EncodeClinical

__all__ = ["EncodeClinical", "Harmonise", "SelectFeatures", "StableFeatures"]
