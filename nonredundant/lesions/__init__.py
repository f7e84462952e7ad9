"""`LesionTable`, the container that is passed between steps, and measures of its lesions."""

from __future__ import annotations

from nonredundant.lesions.table import LesionTable

__all__ = ["LesionTable"]
