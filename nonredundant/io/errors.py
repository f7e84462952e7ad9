"""Errors about the image or mask of one case."""

from __future__ import annotations


class CaseError(ValueError):
    """An error in the image or mask of one case."""


class ImageFileError(CaseError, OSError):
    """A file that is missing or cannot be read as an image."""


def missing_extra(module: str, purpose: str) -> ImportError:
    """Build the error for a library of the extra `dicom` that is not installed."""
    return ImportError(
        f'{purpose} need {module!r}, which is not installed: pip install "nonredundant[dicom]"'
    )
