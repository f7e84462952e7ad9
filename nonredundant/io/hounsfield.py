"""Images that the settings of CT are meant for: in Hounsfield units, as far as DICOM tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nonredundant.io.errors import CaseError
from nonredundant.io.series import MODALITY, RESCALE_TYPE

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Modalities whose intensities are of other units.
_OTHERS = ("PT", "MR", "NM", "US")
#: Types of rescaled values (DICOM PS3.3, C.11.1.1.2): Hounsfield units, modified ones, unspecified.
_TYPES = ("", "HU", "HU_MOD", "US")


def check_hounsfield(image: sitk.Image) -> None:
    """Raise if the header of an image states that its values are no Hounsfield units.

    Parameters
    ----------
    image : SimpleITK.Image
        The image as `read_image` returns it, with what DICOM states in its metadata.

    Raises
    ------
    CaseError
        If it is a PET, MR, scintigram or ultrasound, or its values are for instance atomic
        numbers or electron densities of a spectral CT.

    Examples
    --------
    >>> import SimpleITK as sitk
    >>> check_hounsfield(sitk.Image(4, 4, sitk.sitkInt16))
    """
    modality, rescale = (
        image.GetMetaData(tag).strip("\0 ") if image.HasMetaDataKey(tag) else ""
        for tag in (MODALITY, RESCALE_TYPE)
    )
    if modality in _OTHERS:
        raise CaseError(f"the image is a {modality}, but modality='CT'; give the CT series")
    if modality == "CT" and rescale.upper() not in _TYPES:
        raise CaseError(
            f"the values of the image are of type {rescale} (0028,1054), but modality='CT' expects "
            "Hounsfield units (HU); give the series in HU, or `settings=` without a modality"
        )
