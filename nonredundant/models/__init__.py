"""Estimators of the VAE family, of given embeddings, and baselines that learn from patches."""

from __future__ import annotations

from nonredundant.models.contrastive import ContrastiveVAE, SepVAE
from nonredundant.models.contrastive_cvae import ContrastiveCVAE
from nonredundant.models.cvae import NonRedundantCVAE
from nonredundant.models.embedding import NonRedundantEmbedding
from nonredundant.models.vae import VAE

__all__ = [
    "ContrastiveCVAE",
    "ContrastiveVAE",
    "NonRedundantCVAE",
    "NonRedundantEmbedding",
    "SepVAE",
    "VAE",
]
