"""From lesions and clinical variables to one prediction a patient."""

from __future__ import annotations

from nonredundant._pooling import LesionPooling

__all__ = ["LesionPooling"]
