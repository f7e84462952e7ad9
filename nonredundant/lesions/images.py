"""Several images per lesion: names of features and of channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nonredundant.lesions.table import LesionTable

#: Feature classes of pyradiomics; that of shape in two dimensions is `shape2D`.
CLASSES = ("firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm", "shape")


class FeatureName(NamedTuple):
    """The parts of a column's name: `max__pet_original_glcm_Contrast` is of the image `pet`.

    `image` is empty for features of a single image, and for those of the lesion itself.
    """

    image: str
    image_type: str
    feature_class: str
    feature: str


def parse_feature(name: str) -> FeatureName | None:
    """Parse the name of a feature of pyradiomics, None for other columns.

    Parameters
    ----------
    name : str
        A column, also one of pooled lesions.

    Returns
    -------
    FeatureName or None
        Its parts.

    Examples
    --------
    >>> parse_feature("max__pet_wavelet-LLH_glcm_Contrast")
    FeatureName(image='pet', image_type='wavelet-LLH', feature_class='glcm', feature='Contrast')
    >>> parse_feature("original_shape2D_Perimeter").feature_class
    'shape'
    >>> parse_feature("age") is None
    True
    """
    parts = str(name).rpartition("__")[2].split("_")
    if len(parts) < 3 or parts[-2].removesuffix("2D") not in CLASSES:
        return None
    *image, image_type, feature_class, feature = parts
    return FeatureName("_".join(image), image_type, feature_class.removesuffix("2D"), feature)


def image_of(name: str) -> str:
    """Return the image that a column describes; empty for others and for a common shape.

    Parameters
    ----------
    name : str
        A column.

    Returns
    -------
    str
        The name of the image.

    Examples
    --------
    >>> image_of("ct_original_glcm_Contrast"), image_of("original_shape_Flatness")
    ('ct', '')
    """
    parts = parse_feature(name)
    return "" if parts is None else parts.image


def image_names(table: LesionTable) -> list[str]:
    """Return the names of the images of each case, which are the channels of its patches.

    Parameters
    ----------
    table : LesionTable
        The lesions.

    Returns
    -------
    list of str
        The names, in order; empty if the table does not name several images.

    Examples
    --------
    >>> import numpy as np
    >>> image_names(LesionTable.from_arrays(patches=np.zeros((2, 2, 8, 8))))
    []
    """
    return list(table.provenance.get("channels", []))


def find_column(table: LesionTable, name: str) -> str | None:
    """Return a column, of several images that of the first one; None if there is none.

    Parameters
    ----------
    table : LesionTable
        The lesions.
    name : str
        Name of the feature of a single image.

    Returns
    -------
    str or None
        The column.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"pet_original_firstorder_Mean": [1.0]})
    >>> table = LesionTable(frame, provenance={"channels": ["pet", "ct"]})
    >>> find_column(table, "original_firstorder_Mean")
    'pet_original_firstorder_Mean'
    """
    names = [name, *(f"{image}_{name}" for image in image_names(table)[:1])]
    return next((one for one in names if one in table.blocks), None)


def settings_by_image(provenance: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the settings of each image of a table, by its name, which a single image lacks.

    Parameters
    ----------
    provenance : mapping
        That of the table.

    Returns
    -------
    dict of str to mapping
        The settings.

    Examples
    --------
    >>> settings_by_image({"modality": "PET"})
    {'': {'modality': 'PET'}}
    """
    names = provenance.get("channels", [])
    return {name: provenance["images"][name] for name in names} or {"": provenance}


def has_channel(patches: np.ndarray) -> np.ndarray:
    """Return which images each lesion has: the channel of a missing image is NaN.

    Parameters
    ----------
    patches : array of shape (n_lesions, C, ...)
        The patches.

    Returns
    -------
    bool array of shape (n_lesions, C)
        False where the image is missing.

    Examples
    --------
    >>> import numpy as np
    >>> patches = np.zeros((1, 2, 8, 8))
    >>> patches[:, 1] = np.nan
    >>> has_channel(patches)
    array([[ True, False]])
    """
    first = patches.reshape(*patches.shape[:2], -1)[:, :, 0]
    return ~np.isnan(first)
