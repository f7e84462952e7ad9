"""`crop_patch`, by its public path; it lives in `nonredundant.extraction`."""

from __future__ import annotations

from nonredundant.extraction.patches import crop_patch

__all__ = ["crop_patch"]
