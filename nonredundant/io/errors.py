"""Errors about the image or mask of one case."""

from __future__ import annotations


class CaseError(ValueError):
    """An error in the image or mask of one case."""


class ImageFileError(CaseError, OSError):
    """A file that is missing or cannot be read as an image."""
