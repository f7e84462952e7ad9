"""The estimators of the VAE family and the baselines that learn from patches."""

from __future__ import annotations

from nonredundant.models.contrastive import ContrastiveVAE, SepVAE
from nonredundant.models.contrastive_cvae import ContrastiveCVAE
from nonredundant.models.cvae import NonRedundantCVAE
from nonredundant.models.vae import VAE

__all__ = ["ContrastiveCVAE", "ContrastiveVAE", "NonRedundantCVAE", "SepVAE", "VAE"]
