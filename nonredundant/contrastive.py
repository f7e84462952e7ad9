"""`VAE` and the contrastive models, by their public path."""

from __future__ import annotations

from nonredundant.models import VAE, ContrastiveCVAE, ContrastiveVAE, SepVAE

__all__ = ["ContrastiveCVAE", "ContrastiveVAE", "SepVAE", "VAE"]
