"""Read images and masks from files, folders, SimpleITK images and arrays."""

from __future__ import annotations

from nonredundant.io.errors import CaseError, ImageFileError
from nonredundant.io.images import (
    content_key,
    describe,
    n_dimensions,
    read_image,
    read_mask,
    read_spacing,
)

__all__ = [
    "CaseError",
    "ImageFileError",
    "content_key",
    "describe",
    "n_dimensions",
    "read_image",
    "read_mask",
    "read_spacing",
]
