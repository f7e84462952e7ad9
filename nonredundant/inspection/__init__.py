"""Interpretation of latents: effect on the image, correlated features, stability over seeds."""

from __future__ import annotations

from nonredundant.inspection.atlas import LatentAtlas, latent_atlas
from nonredundant.inspection.novelty import out_of_distribution
from nonredundant.inspection.stability import LatentStability, latent_stability

__all__ = [
    "LatentAtlas",
    "LatentStability",
    "latent_atlas",
    "latent_stability",
    "out_of_distribution",
]
