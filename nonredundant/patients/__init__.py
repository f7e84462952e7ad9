"""Predictions per patient from several lesions and clinical variables."""

from __future__ import annotations

from nonredundant.patients.classifier import LesionGraphClassifier
from nonredundant.patients.pooling import LesionPooling
from nonredundant.patients.survival import LesionGraphSurvival

__all__ = ["LesionGraphClassifier", "LesionGraphSurvival", "LesionPooling"]
