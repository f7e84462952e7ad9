"""`RadiomicsExtractor`: from a table of images and masks to a `LesionTable`."""

from __future__ import annotations

from nonredundant.extraction.extractor import RadiomicsExtractor
from nonredundant.lesions.dissemination import dissemination_features

__all__ = ["RadiomicsExtractor", "dissemination_features"]
