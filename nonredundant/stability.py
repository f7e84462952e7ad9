"""Public path of perturbations, repeated measurements and their agreement."""

from __future__ import annotations

from nonredundant.extraction.perturbations import (
    AMOUNTS,
    Amounts,
    Perturbation,
    draw_perturbations,
)
from nonredundant.folds.stable_features import StableFeatures
from nonredundant.inspection.repeatability import RepeatStability, repeat_stability
from nonredundant.lesions.repeats import average_repeats, split_repeats
from nonredundant.statistics.intraclass import intraclass_correlation

__all__ = [
    "AMOUNTS",
    "Amounts",
    "Perturbation",
    "RepeatStability",
    "StableFeatures",
    "average_repeats",
    "draw_perturbations",
    "intraclass_correlation",
    "repeat_stability",
    "split_repeats",
]
