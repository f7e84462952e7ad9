"""Settings that fit a modality's intensities and voxels, with the papers they come from."""

from __future__ import annotations

from typing import Any

#: pyradiomics' `setting` section by modality. Sources stand in `SOURCES`.
PRESETS: dict[str, dict[str, Any]] = {
    "CT": {
        "binWidth": 25.0,
        "resampledPixelSpacing": [1.0, 1.0, 1.0],
        "interpolator": "sitkBSpline",
        # No negative HU in first-order energy and root mean square.
        "voxelArrayShift": 1000,
    },
    "PET": {"binWidth": 0.25},
    "MR": {
        "normalize": True,
        "normalizeScale": 100.0,
        "removeOutliers": 3.0,
        "binWidth": 5.0,
        "resampledPixelSpacing": [1.0, 1.0, 1.0],
        "interpolator": "sitkBSpline",
        # Normalised values reach from -300 to 300.
        "voxelArrayShift": 300,
    },
}

#: Where each number comes from.
SOURCES: dict[str, str] = {
    "CT": (
        "HU are absolute, so a fixed bin width keeps grey levels comparable between patients "
        "(IBSI, Zwanenburg et al. 2020, doi 10.1148/radiol.2020191145); 25 HU, 1 mm isotropic "
        "by cubic B-splines and the shift by 1,000 HU are pyradiomics' own example for CT (van "
        "Griethuysen et al. 2017, doi 10.1158/0008-5472.CAN-17-0339)"
    ),
    "PET": (
        "SUV are absolute, so a fixed bin width (Leijenaar et al. 2015, doi 10.1038/srep11075); "
        "0.25 SUV as in Pfaehler et al. 2019 (doi 10.1002/mp.13322); voxels stay as "
        "reconstructed, since a tumour is only some voxels wide"
    ),
    "MR": (
        "Intensities are arbitrary: standardised over the image and cut at 3 standard "
        "deviations (Collewet et al. 2004, doi 10.1016/j.mri.2003.09.001); times 100, bin width 5, "
        "the shift by 300 and cubic B-splines are those of pyradiomics' own examples for MR (van "
        "Griethuysen et al. 2017), which propose 1 mm for volumes of thin slices and 2 or 3 mm "
        "for slices of 3 or 5 mm"
    ),
}
