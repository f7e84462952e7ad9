"""Public path of `crop_patch`, which is defined in `nonredundant.extraction`."""

from __future__ import annotations

from nonredundant.extraction.patches import crop_patch

__all__ = ["crop_patch"]
