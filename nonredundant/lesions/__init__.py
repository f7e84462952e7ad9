"""`LesionTable`, the container that is passed between steps, and what is read into it."""

from __future__ import annotations

from nonredundant.lesions.embedding_files import read_embedding
from nonredundant.lesions.table import LesionTable

__all__ = ["LesionTable", "read_embedding"]
