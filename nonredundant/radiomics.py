"""Public path of pyradiomics' settings and features, defined in `nonredundant.extraction`."""

from __future__ import annotations

from nonredundant.extraction.radiomics import compute_features, feature_names, quiet
from nonredundant.extraction.settings import PRESETS, SOURCES, for_dimension, resolve_parameters

__all__ = [
    "PRESETS",
    "SOURCES",
    "compute_features",
    "feature_names",
    "for_dimension",
    "quiet",
    "resolve_parameters",
]
