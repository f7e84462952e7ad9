"""`LesionTable`, the container that travels between steps, and what is measured on it."""

from __future__ import annotations

from nonredundant.lesions.table import LesionTable

__all__ = ["LesionTable"]
