"""Public import path of `NonRedundantCVAE`, which is defined in `nonredundant.models`."""

from __future__ import annotations

from nonredundant.models import NonRedundantCVAE

__all__ = ["NonRedundantCVAE"]
