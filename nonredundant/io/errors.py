"""Errors about the image or mask of one case."""

from __future__ import annotations


class CaseError(ValueError):
    """An error in the image or mask of one case.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant.io import CaseError, read_image, read_mask
    >>> image = read_image(np.zeros((4, 8, 8)))
    >>> try:
    ...     read_mask(np.full((4, 8, 8), 0.5), image)
    ... except CaseError as error:
    ...     print(str(error)[:40])
    the mask holds fractions (256 voxels, va
    """


class ImageFileError(CaseError, OSError):
    """A file that is missing or cannot be read as an image.

    Examples
    --------
    >>> from nonredundant.io import ImageFileError, read_image
    >>> try:
    ...     read_image("scan_of_nobody.nii.gz")
    ... except ImageFileError as error:
    ...     print(error)
    there is no file or folder scan_of_nobody.nii.gz below ...
    """


def missing_extra(module: str, purpose: str) -> ImportError:
    """Build the error for a library of the extra `dicom` that is not installed."""
    return ImportError(
        f'{purpose} need {module!r}, which is not installed: pip install "nonredundant[dicom]"'
    )
