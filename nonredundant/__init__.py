"""Deep-learning radiomics that add to hand-crafted radiomics instead of repeating them."""

from __future__ import annotations

import importlib
from typing import Any

from nonredundant._version import __version__

# Imported on first use: importing torch, skorch and SimpleITK takes seconds, too long for `--help`.
_PUBLIC = {
    "EncodeClinical": "nonredundant.folds",
    "FrozenEncoder": "nonredundant.encoders",
    "FeatureSetComparison": "nonredundant.evaluation",
    "Harmonise": "nonredundant.folds",
    "LesionTable": "nonredundant.lesions",
    "MIDiscriminator": "nonredundant.independence",
    "NonRedundantCVAE": "nonredundant.cvae",
    "NonRedundantEmbedding": "nonredundant.models",
    "RadiomicsExtractor": "nonredundant.extraction",
    "SelectFeatures": "nonredundant.folds",
    "StableFeatures": "nonredundant.folds",
    "compare_feature_sets": "nonredundant.evaluation",
    "plan_study": "nonredundant.evaluation",
    "redundancy_report": "nonredundant.metrics",
    "redundancy_score": "nonredundant.metrics",
}
_MODULES = (
    "contrastive",
    "cvae",
    "datasets",
    "displays",
    "encoders",
    "evaluation",
    "extraction",
    "folds",
    "independence",
    "inspection",
    "io",
    "lesions",
    "metrics",
    "patches",
    "patients",
    "radiomics",
    "report",
    "stability",
    "statistics",
)

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    """Import a public name or module when it is first used."""
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"nonredundant.{name}")
    raise AttributeError(f"module 'nonredundant' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names and modules."""
    return sorted([*__all__, *_MODULES])
