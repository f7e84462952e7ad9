"""`VAE`, `SepVAE` and `ContrastiveVAE`, by their public path."""

from __future__ import annotations

from nonredundant.models import VAE, ContrastiveVAE, SepVAE

__all__ = ["ContrastiveVAE", "SepVAE", "VAE"]
