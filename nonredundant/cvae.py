"""`NonRedundantCVAE`, by its public path; it lives in `nonredundant.models`."""

from __future__ import annotations

from nonredundant.models import NonRedundantCVAE

__all__ = ["NonRedundantCVAE"]
