"""Compare the extractor's values with the reference values of the IBSI digital phantom."""

from __future__ import annotations

import os
import platform
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import radiomics
import SimpleITK as sitk

from nonredundant.extraction import RadiomicsExtractor

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "ibsi.md"
HEAD = """# Agreement with the IBSI reference values

Written by `benchmarks/ibsi.py` (pyradiomics {radiomics}, SimpleITK {sitk}, NumPy {numpy}, Python
{python}), which reads the digital phantom of the Image Biomarker Standardisation Initiative and
its consensus values (Zwanenburg et al. 2020, doi 10.1148/radiol.2020191145; CC BY 4.0) from
`$NONREDUNDANT_DATA/ibsi`.

The phantom is {shape} (z-y-x) voxels of 2 mm, {n} of them in the mask, with the grey levels
{levels}. `bin_width=1` leaves these as they are, so the tables test the features' definitions and
say nothing about discretisation, where pyradiomics differs from IBSI: its bins are counted from
zero, not from the lesion's minimum (pyradiomics' manual, `imageoperations.getBinEdges`).
Interpolation, filters and resegmentation are not tested either.

"Within" means that the value differs from the reference by no more than the reference's own
tolerance plus half a unit of its third digit, to which references are rounded.
"""

#: pyradiomics feature → IBSI tag, by class.
SHAPE = {
    "Elongation": "pca_elongation",
    "Flatness": "pca_flatness",
    "LeastAxisLength": "pca_least_axis",
    "MajorAxisLength": "pca_maj_axis",
    "Maximum3DDiameter": "diam",
    "MeshVolume": "volume",
    "MinorAxisLength": "pca_min_axis",
    "Sphericity": "sphericity",
    "SurfaceArea": "area_mesh",
    "SurfaceVolumeRatio": "av",
    "VoxelVolume": "vol_approx",
}
FIRST_ORDER = {
    "10Percentile": "stat_p10",
    "90Percentile": "stat_p90",
    "Energy": "stat_energy",
    "Entropy": "ih_entropy",
    "InterquartileRange": "stat_iqr",
    "Kurtosis": "stat_kurt",
    "Maximum": "stat_max",
    "Mean": "stat_mean",
    "MeanAbsoluteDeviation": "stat_mad",
    "Median": "stat_median",
    "Minimum": "stat_min",
    "Range": "stat_range",
    "RobustMeanAbsoluteDeviation": "stat_rmad",
    "RootMeanSquared": "stat_rms",
    "Skewness": "stat_skew",
    "Uniformity": "ih_uniformity",
    "Variance": "stat_var",
}
GLCM = {
    "Autocorrelation": "auto_corr",
    "ClusterProminence": "clust_prom",
    "ClusterShade": "clust_shade",
    "ClusterTendency": "clust_tend",
    "Contrast": "contrast",
    "Correlation": "corr",
    "DifferenceAverage": "diff_avg",
    "DifferenceEntropy": "diff_entr",
    "DifferenceVariance": "diff_var",
    "Id": "inv_diff",
    "Idm": "inv_diff_mom",
    "Idmn": "inv_diff_mom_norm",
    "Idn": "inv_diff_norm",
    "Imc1": "info_corr1",
    "Imc2": "info_corr2",
    "InverseVariance": "inv_var",
    "JointAverage": "joint_avg",
    "JointEnergy": "energy",
    "JointEntropy": "joint_entr",
    "MaximumProbability": "joint_max",
    "SumAverage": "sum_avg",
    "SumEntropy": "sum_entr",
    "SumSquares": "joint_var",
}
GLRLM = {
    "GrayLevelNonUniformity": "glnu",
    "GrayLevelNonUniformityNormalized": "glnu_norm",
    "GrayLevelVariance": "gl_var",
    "HighGrayLevelRunEmphasis": "hgre",
    "LongRunEmphasis": "lre",
    "LongRunHighGrayLevelEmphasis": "lrhge",
    "LongRunLowGrayLevelEmphasis": "lrlge",
    "LowGrayLevelRunEmphasis": "lgre",
    "RunEntropy": "rl_entr",
    "RunLengthNonUniformity": "rlnu",
    "RunLengthNonUniformityNormalized": "rlnu_norm",
    "RunPercentage": "r_perc",
    "RunVariance": "rl_var",
    "ShortRunEmphasis": "sre",
    "ShortRunHighGrayLevelEmphasis": "srhge",
    "ShortRunLowGrayLevelEmphasis": "srlge",
}
GLSZM = {
    "GrayLevelNonUniformity": "glnu",
    "GrayLevelNonUniformityNormalized": "glnu_norm",
    "GrayLevelVariance": "gl_var",
    "HighGrayLevelZoneEmphasis": "hgze",
    "LargeAreaEmphasis": "lze",
    "LargeAreaHighGrayLevelEmphasis": "lzhge",
    "LargeAreaLowGrayLevelEmphasis": "lzlge",
    "LowGrayLevelZoneEmphasis": "lgze",
    "SizeZoneNonUniformity": "zsnu",
    "SizeZoneNonUniformityNormalized": "zsnu_norm",
    "SmallAreaEmphasis": "sze",
    "SmallAreaHighGrayLevelEmphasis": "szhge",
    "SmallAreaLowGrayLevelEmphasis": "szlge",
    "ZoneEntropy": "zs_entr",
    "ZonePercentage": "z_perc",
    "ZoneVariance": "zs_var",
}
GLDM = {
    "DependenceEntropy": "dc_entr",
    "DependenceNonUniformity": "dcnu",
    "DependenceNonUniformityNormalized": "dcnu_norm",
    "DependenceVariance": "dc_var",
    "GrayLevelNonUniformity": "glnu",
    "GrayLevelVariance": "gl_var",
    "HighGrayLevelEmphasis": "hgce",
    "LargeDependenceEmphasis": "hde",
    "LargeDependenceHighGrayLevelEmphasis": "hdhge",
    "LargeDependenceLowGrayLevelEmphasis": "hdlge",
    "LowGrayLevelEmphasis": "lgce",
    "SmallDependenceEmphasis": "lde",
    "SmallDependenceHighGrayLevelEmphasis": "ldhge",
    "SmallDependenceLowGrayLevelEmphasis": "ldlge",
}
NGTDM = {
    name: name.lower() for name in ("Busyness", "Coarseness", "Complexity", "Contrast", "Strength")
}
#: Class → feature names, prefix of the IBSI tags, suffix if it averages over directions.
TEXTURE = {
    "glcm": (GLCM, "cm", "_avg"),
    "glrlm": (GLRLM, "rlm", "_avg"),
    "glszm": (GLSZM, "szm", ""),
    "gldm": (GLDM, "ngl", ""),
    "ngtdm": (NGTDM, "ngt", ""),
}
NO_REFERENCE = {
    "firstorder_TotalEnergy": "energy times the volume of a voxel",
    "glcm_MCC": "the reference has no maximal correlation coefficient",
    "shape_Maximum2DDiameterColumn": "the reference has the 3-D diameter alone",
    "shape_Maximum2DDiameterRow": "the same",
    "shape_Maximum2DDiameterSlice": "the same",
}


def tags(dimension: str) -> dict[str, str]:
    """Return pyradiomics name → IBSI tag; `dimension` is the aggregation of textures by IBSI."""
    found = {}
    if dimension == "3D":
        found.update({f"shape_{name}": f"morph_{tag}" for name, tag in SHAPE.items()})
        found.update({f"firstorder_{name}": tag for name, tag in FIRST_ORDER.items()})
    for kind, (names, prefix, directions) in TEXTURE.items():
        for name, tag in names.items():
            found[f"{kind}_{name}"] = f"{prefix}_{tag}_{dimension}{directions}"
    return found


def explanation(name: str, value: float, n_voxels: int) -> tuple[str, float]:
    """Return the reason of a deviation, and the value by the IBSI definition."""
    if name == "firstorder_Kurtosis":
        return "IBSI's is the excess kurtosis, 3 less (pyradiomics' manual says so)", value - 3
    if name.endswith("AxisLength"):
        corrected = value * np.sqrt(n_voxels / (n_voxels - 1))
        return (
            "pyradiomics divides the covariance of the voxels' positions by N; division by N - 1 "
            "gives the reference",
            float(corrected),
        )
    return "not explained", value


def measured(folder: Path, **setting: object) -> pd.Series:
    """Measure the features of the phantom, by class and name."""
    case = {"image": folder / "digital_phantom_image.nii.gz"}
    case["mask"] = folder / "digital_phantom_mask.nii.gz"
    extractor = RadiomicsExtractor(
        settings={"setting": setting},
        feature_classes=["shape", "firstorder", *TEXTURE],
        bin_width=1,
        patch_shape=None,
    )
    with warnings.catch_warnings():
        # The phantom is known to have six grey levels and to touch the border.
        warnings.filterwarnings("ignore", "The discretisation|.*touch the border")
        table = extractor.fit_transform(pd.DataFrame([case]))
    return table.features.iloc[0].rename(lambda name: name.removeprefix("original_"))


def allowed(reference: float, tolerance: float) -> float:
    """Return the largest allowed deviation from a reference that is rounded to three digits."""
    digit = 10.0 ** (np.floor(np.log10(abs(reference))) - 2)
    # Not tighter than floating point.
    return tolerance + digit / 2 * (1 + 1e-9)


def table(values: pd.Series, references: pd.DataFrame, dimension: str, n_voxels: int) -> str:
    """Format a summary and a table of all features that have a reference."""
    lines, n_within = [], 0
    names = tags(dimension)
    for name, tag in names.items():
        value = float(values[name])
        reference, tolerance = references.loc[tag, ["reference value", "tolerance"]].astype(float)
        limit = allowed(reference, tolerance)
        within = abs(value - reference) <= limit
        n_within += within
        verdict = "yes"
        if not within:
            why, corrected = explanation(name, value, n_voxels)
            fits = "within" if abs(corrected - reference) <= limit else "outside"
            verdict = f"**no**: {why} ({corrected:.4g}: {fits})"
        lines.append(
            f"| {name} | {tag} | {value:.5g} | {reference:g} | {tolerance:g} | {verdict} |"
        )
    return (
        f"{n_within} of {len(names)} features lie within.\n\n"
        "| pyradiomics | IBSI tag | value | reference | tolerance | within |\n"
        "| --- | --- | --- | --- | --- | --- |\n" + "\n".join(lines)
    )


def main() -> None:
    """Measure the phantom in 3-D and slice by slice, and write the document."""
    folder = Path(os.environ["NONREDUNDANT_DATA"]) / "ibsi"
    references = pd.read_csv(folder / "digital_phantom_reference.csv", sep=";", index_col="tag")
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "digital_phantom_image.nii.gz")))
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "digital_phantom_mask.nii.gz"))) > 0
    n_voxels = int(mask.sum())
    head = HEAD.format(
        radiomics=radiomics.__version__.split("+")[0],
        sitk=sitk.Version.VersionString(),
        numpy=np.__version__,
        python=platform.python_version(),
        shape="×".join(map(str, image.shape)),
        n=n_voxels,
        levels=", ".join(f"{level:g}" for level in np.unique(image[mask])),
    )
    volume = measured(folder)
    lacking = [f"- `{name}`: {why}" for name, why in NO_REFERENCE.items()]
    assert set(volume.index) == {*tags("3D"), *NO_REFERENCE}
    slices = measured(folder, force2D=True)
    text = "\n".join(
        [
            head,
            "## In three dimensions\n\nTextures are averaged over directions.\n",
            table(volume, references, "3D", n_voxels),
            "\nWithout a reference:\n",
            *lacking,
            "\n## Slice by slice\n\nTextures with `force2D`, against IBSI's 2.5-D values "
            "(one matrix of all slices a direction, then averaged over directions).\n",
            table(slices, references, "2_5D", n_voxels),
        ]
    )
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
