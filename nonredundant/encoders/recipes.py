"""What public models were trained to see, as data: field of view, voxel size, window, axes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """How the input of a public model was made.

    Parameters
    ----------
    settings : dict
        Arguments of `FrozenEncoder`.
    source : str
        Where they are published.
    note : str
        What the settings leave open.

    Examples
    --------
    >>> RECIPES["FMCIB"].settings["patch_shape"]
    (50, 50, 50)
    """

    settings: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    note: str = ""


#: Recipes by the name of the model. Weights are not contained: load the model by its authors' code
#: and licence, or with `load_weights`.
RECIPES: dict[str, Recipe] = {
    "FMCIB": Recipe(
        {
            "patch_shape": (50, 50, 50),
            "patch_spacing": 1.0,
            "window": (-1024.0, 2048.0),
            "clip": False,
            "orientation": "SPL",
        },
        "Pai et al. 2024, doi 10.1038/s42256-024-00807-9; code: foundation-cancer-image-biomarker",
        "CT. The authors centre the crop on the centroid of the lesion, here it is its bounding "
        "box; they pad outside of the scan with zeros, here the nearest voxel is repeated.",
    ),
    "CT-FM": Recipe(
        {
            "patch_shape": (48, 48, 48),
            "patch_spacing": 1.0,
            "window": (-1024.0, 2048.0),
            "orientation": "SPL",
        },
        "Pai et al. 2025, arXiv 2501.09001; crop and voxel size of TumorImagingBench",
        "CT. Trained on larger crops of whole scans; the encoder's last level, pooled, is the "
        "embedding.",
    ),
    "Merlin": Recipe(
        {
            "patch_shape": (48, 48, 48),
            "patch_spacing": 1.0,
            "window": (-1000.0, 1000.0),
            "orientation": "RAS",
        },
        "Blankemeier et al. 2024, arXiv 2406.06512; crop and voxel size of TumorImagingBench",
        "Abdominal CT. Trained on scans of 1.5 x 1.5 x 3 mm, not on crops of lesions.",
    ),
    "MedicalNet": Recipe(
        {
            "patch_shape": (48, 48, 48),
            "patch_spacing": "fit",
            "window": "standardise",
            "orientation": "SPL",
        },
        "Chen, Ma & Zheng 2019, arXiv 1904.00625",
        "CT and MR. The authors resize volumes to a fixed grid and standardise the intensities; "
        "the size of the crop is a choice of this recipe.",
    ),
    "RAD-DINO": Recipe(
        {
            "patch_shape": (518, 518),
            "patch_spacing": "fit",
            "window": "range",
            "channels": ((0.5307, 0.2583),) * 3,
            "orientation": None,
        },
        "Perez-Garcia et al. 2024, arXiv 2401.10815",
        "Chest radiographs as a whole: extract with whole_image=True. Values are scaled to their "
        "range, then standardised as the published processor does.",
    ),
}
