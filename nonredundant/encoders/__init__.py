"""Pretrained networks as encoders of lesions: what they see, how they are run, known recipes."""

from __future__ import annotations

from nonredundant.encoders.frozen import FrozenEncoder
from nonredundant.encoders.modules import load_weights
from nonredundant.encoders.recipes import RECIPES, Recipe

__all__ = ["RECIPES", "FrozenEncoder", "Recipe", "load_weights"]
