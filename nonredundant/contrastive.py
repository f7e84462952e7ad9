"""Public import path of `VAE` and the contrastive models."""

from __future__ import annotations

from nonredundant.models import VAE, ContrastiveCVAE, ContrastiveVAE, SepVAE

__all__ = ["ContrastiveCVAE", "ContrastiveVAE", "SepVAE", "VAE"]
