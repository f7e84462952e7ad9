"""Settings of an extraction: presets of the modalities, parameter files, single parameters."""

from __future__ import annotations

import functools
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nonredundant.utils.close_names import suggest_names
from nonredundant.utils.context import silent_loggers
from nonredundant.utils.optional import import_radiomics


@dataclass(frozen=True)
class Preset:
    """pyradiomics' `setting` section for one modality, and the sources of its numbers."""

    setting: dict[str, Any]
    source: str


#: The presets by modality. A new entry is all that a new preset needs.
MODALITIES: dict[str, Preset] = {
    "CT": Preset(
        setting={
            "binWidth": 25.0,
            "resampledPixelSpacing": [1.0, 1.0, 1.0],
            "interpolator": "sitkBSpline",
            # Avoids negative HU in first-order energy and root mean square.
            "voxelArrayShift": 1000,
        },
        source=(
            "HU are absolute, so a fixed bin width keeps grey levels comparable between patients "
            "(IBSI, Zwanenburg et al. 2020, doi 10.1148/radiol.2020191145); 25 HU, 1 mm isotropic "
            "by cubic B-splines and the shift by 1,000 HU are pyradiomics' own example for CT (van "
            "Griethuysen et al. 2017, doi 10.1158/0008-5472.CAN-17-0339)"
        ),
    ),
    "PET": Preset(
        setting={"binWidth": 0.25},
        source=(
            "SUV are absolute, so a fixed bin width (Leijenaar et al. 2015, doi 10.1038/srep11075);"
            " 0.25 SUV as in Pfaehler et al. 2019 (doi 10.1002/mp.13322); voxels stay as "
            "reconstructed, since a tumour is only some voxels wide"
        ),
    ),
    "MR": Preset(
        setting={
            "normalize": True,
            "normalizeScale": 100.0,
            "removeOutliers": 3.0,
            "binWidth": 5.0,
            "resampledPixelSpacing": [1.0, 1.0, 1.0],
            "interpolator": "sitkBSpline",
            # Normalised values range from -300 to 300.
            "voxelArrayShift": 300,
        },
        source=(
            "Intensities are arbitrary: standardised over the image and cut at 3 standard "
            "deviations (Collewet et al. 2004, doi 10.1016/j.mri.2003.09.001); times 100, bin "
            "width 5, the shift by 300 and cubic B-splines are those of pyradiomics' own examples "
            "for MR (van Griethuysen et al. 2017), which propose 1 mm for volumes of thin slices "
            "and 2 or 3 mm for slices of 3 or 5 mm"
        ),
    ),
}
#: pyradiomics' `setting` section of each preset.
PRESETS: dict[str, dict[str, Any]] = {name: preset.setting for name, preset in MODALITIES.items()}
#: The sources of the numbers of each preset.
SOURCES: dict[str, str] = {name: preset.source for name, preset in MODALITIES.items()}
#: The feature classes that pyradiomics computes by default; in 2-D `shape2D` replaces `shape`.
CLASSES = ("firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm", "shape")
#: The image types that pyradiomics offers.
IMAGE_TYPES = (
    "Original",
    "LoG",
    "Wavelet",
    "Square",
    "SquareRoot",
    "Logarithm",
    "Exponential",
    "Gradient",
    "LBP2D",
    "LBP3D",
)
#: Filter widths (mm) of "LoG" if the user gives none; pyradiomics would then compute nothing.
DEFAULT_SIGMA = [1.0, 3.0]
#: Settings that are words; the values of all others are numbers, or true and false.
_WORDS = ("interpolator", "resegmentMode", "wavelet", "weightingNorm", "lbp2DMethod")
#: Settings that are applied here, before pyradiomics is called on an aligned binary mask.
_OURS = ("label", "label_channel", "correctMask", "geometryTolerance", "additionalInfo")


def preset_name(modality: str | None) -> str | None:
    """Return the name of the preset of a modality, which may be written in any case.

    Parameters
    ----------
    modality : str or None
        Name of the modality; None for no preset.

    Returns
    -------
    str or None
        The key of `MODALITIES`.

    Raises
    ------
    ValueError
        If there is no such preset.
    """
    if modality is None:
        return None
    names = {name.upper(): name for name in MODALITIES}
    if modality.upper() not in names:
        raise ValueError(f"modality must be one of {sorted(MODALITIES)} or None, got {modality!r}")
    return names[modality.upper()]


def resolve_parameters(
    *,
    modality: str | None = None,
    settings: Mapping[str, Any] | str | Path | None = None,
    bin_width: float | None = None,
    bin_count: int | None = None,
    spacing: float | Sequence[float] | str | None = None,
    image_types: Sequence[str] | Mapping[str, Any] = ("Original",),
    feature_classes: Sequence[str] | Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Merge preset, settings and single parameters into pyradiomics' parameter layout.

    From low to high priority: preset, `settings`, single parameters (`bin_width`, `bin_count`,
    `spacing`, `feature_classes`). `imageType` of `settings` overrides `image_types`.

    Parameters
    ----------
    modality : str or None
        Preset to start from, a key of `PRESETS` in any case.
    settings : mapping or path, optional
        Sections `setting`, `imageType`, `featureClass`, or a YAML or JSON file with these.
    bin_width, bin_count : number, optional
        Discretisation; either one disables a weaker other one.
    spacing : float, sequence of 2 or 3 floats or "native", optional
        Voxel size in mm (x-y-z) to resample to; a z of 0, or none, keeps that of the image.
        "native" disables a preset's resampling.
    image_types : sequence of str or mapping, default=("Original",)
        Image types, or image types with their own settings.
    feature_classes : sequence of str or mapping, optional
        Feature classes, or feature classes with lists of features; all by default.

    Returns
    -------
    dict
        Sections `setting`, `imageType`, `featureClass` of plain JSON types. An empty
        `featureClass` means all classes.

    Raises
    ------
    ValueError
        If there is no such preset, pyradiomics rejects a setting, or the parameter file is missing
        or not valid.

    Examples
    --------
    >>> resolve_parameters(modality="PET", bin_width=0.5)["setting"]
    {'binWidth': 0.5}
    """
    given = _load(settings)
    setting = _merged_setting(preset_name(modality), given, bin_width, bin_count)
    if isinstance(spacing, str) and spacing == "native":
        setting.pop("resampledPixelSpacing", None)
    elif spacing is not None:
        setting["resampledPixelSpacing"] = _three_numbers(spacing)
    types = given.get("imageType") or image_types
    classes = given.get("featureClass") if feature_classes is None else feature_classes
    if classes is None and settings is None:
        classes = CLASSES
    parameters = {
        "setting": setting,
        "imageType": _image_types(types, setting),
        "featureClass": _sections(classes or {}, None),
    }
    parameters = json.loads(json.dumps(parameters, default=_plain))
    for where, section in (("setting", parameters["setting"]), *parameters["imageType"].items()):
        _check_numbers(where, section)
    _check_features(parameters["featureClass"])
    _check_with_pyradiomics(json.dumps(parameters))
    return parameters


def _merged_setting(
    preset: str | None, given: Mapping[str, Any], bin_width: float | None, bin_count: int | None
) -> dict[str, Any]:
    """Merge the `setting` of a preset and of the user, of whose discretisations the last wins."""
    users = given.get("setting") or {}
    setting = {**(PRESETS[preset] if preset else {}), **users}
    setting.update(given.get("voxelSetting") or {})
    if "binCount" in users:
        setting.pop("binWidth", None)
    if bin_width is not None:
        setting.pop("binCount", None)
        setting["binWidth"] = bin_width
    if bin_count is not None:
        setting.pop("binWidth", None)
        setting["binCount"] = bin_count
    return setting


def _check_numbers(where: str, section: Mapping[str, Any]) -> None:
    """Raise if a setting is a number in quotation marks, or none; pyradiomics takes both."""
    for name, value in section.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and name not in _WORDS:
                raise ValueError(
                    f"settings: {name!r} of {where!r} is the text {one!r}; write numbers, true and "
                    "false without quotation marks, and numbers with a decimal point"
                )
            if isinstance(one, float) and not math.isfinite(one):
                raise ValueError(f"settings: {name!r} of {where!r} is {one}, not a number")
    if "binWidth" in section and section["binWidth"] is None:
        raise ValueError(f"settings: 'binWidth' of {where!r} has no value; give one, or 'binCount'")


def _check_features(classes: Mapping[str, Any]) -> None:
    """Raise if listed features do not exist, or are such as pyradiomics has removed."""
    import_radiomics()
    from radiomics import getFeatureClasses

    known = getFeatureClasses()
    for name, features in classes.items():
        if name not in known or not isinstance(features, list):
            continue
        offered = known[name].getFeatureNames()
        unknown = [one for one in features if one not in offered]
        if unknown:
            raise ValueError(
                f"feature class {name!r} has no features {unknown}{suggest_names(unknown, offered)}"
            )
        reasons = {one: reason for one in features if (reason := _removal(known[name], one))}
        if reasons:
            raise ValueError(
                f"pyradiomics has removed the features {list(reasons)} of the class {name!r}: "
                f"{'; '.join(reasons.values())}; leave them out of the settings"
            )


def _removal(feature_class: Any, feature: str) -> str:
    """Return why pyradiomics has removed a feature; empty if it computes it."""
    if not feature_class.getFeatureNames()[feature]:
        return ""
    try:
        # A removed feature raises before it looks at the lesion, which is not given.
        getattr(feature_class, f"get{feature}FeatureValue")(None)
    except DeprecationWarning as reason:
        return str(reason).split(", see ")[0]
    except AttributeError:
        # Deprecated, but still computed.
        return ""
    return ""


def for_dimension(parameters: Mapping[str, Any], n_dim: int) -> dict[str, Any]:
    """Adapt the parameters to images of two or three dimensions.

    Parameters
    ----------
    parameters : mapping
        Parameters from `resolve_parameters`.
    n_dim : {2, 3}
        Dimensions of the image. In 2-D the class `shape` becomes `shape2D` and spacings lose
        their z.

    Returns
    -------
    dict
        The adapted parameters.

    Examples
    --------
    >>> list(for_dimension(resolve_parameters(feature_classes=["shape"]), 2)["featureClass"])
    ['shape2D']
    """
    setting = {key: value for key, value in parameters["setting"].items() if key not in _OURS}
    classes = dict(parameters["featureClass"])
    if n_dim == 2:
        if "shape" in classes and "shape2D" not in classes:
            # The two classes have different features, so a list of 3-D names does not apply.
            classes = {("shape2D" if k == "shape" else k): v for k, v in classes.items()}
            classes["shape2D"] = None
        if setting.get("resampledPixelSpacing"):
            setting["resampledPixelSpacing"] = setting["resampledPixelSpacing"][:2]
        # There is no third dimension to leave out.
        setting.pop("force2D", None)
    return {**parameters, "setting": setting, "featureClass": classes}


def _load(settings: Any) -> dict[str, Any]:
    """Read the sections of a parameter file or dictionary."""
    if settings is None:
        return {}
    if isinstance(settings, Mapping):
        content: Any = dict(settings)
    else:
        path = Path(settings).expanduser()
        if not path.is_file():
            raise ValueError(f"settings: there is no parameter file {path}")
        from ruamel.yaml import YAML, YAMLError

        try:
            content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        except (YAMLError, UnicodeDecodeError) as error:
            raise ValueError(
                f"settings: {path} is neither YAML nor JSON: {error}; give a parameter file of "
                "pyradiomics, in UTF-8"
            ) from error
    sections = {"setting", "voxelSetting", "imageType", "featureClass"}
    if not isinstance(content, dict) or not set(content) <= sections:
        found = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            "settings must have pyradiomics' layout, with the sections 'setting', 'imageType' "
            f"and 'featureClass', got {found}"
        )
    return content


def _three_numbers(spacing: Any) -> list[float]:
    """Return the voxel size along x, y and z; 0 keeps that of the image."""
    values = np.atleast_1d(np.asarray(spacing, dtype=np.float64)).tolist()
    if len(values) == 1:
        values *= 3
    elif len(values) == 2:
        values.append(0.0)
    if len(values) != 3 or not all(np.isfinite(value) and value >= 0 for value in values):
        raise ValueError(f"spacing must be 1 to 3 numbers of mm, not negative, got {spacing!r}")
    return values


def _sections(names: Any, empty: Any) -> dict[str, Any]:
    """Convert names, or names with contents, to a dictionary."""
    if isinstance(names, Mapping):
        return {str(name): (empty if value is None else value) for name, value in names.items()}
    if isinstance(names, str):
        raise ValueError(f"expected a list of names, got the string {names!r}: write [{names!r}]")
    return {str(name): empty for name in names}


def _image_types(types: Any, setting: Mapping[str, Any]) -> dict[str, Any]:
    """Return the image types with their settings; LoG gets a default width."""
    sections = _sections(types, {})
    unknown = sorted(set(sections) - set(IMAGE_TYPES))
    if unknown or not sections:
        raise ValueError(
            f"image_types must be some of {list(IMAGE_TYPES)}, got {unknown or 'none'}"
        )
    if "LoG" in sections and "sigma" not in sections["LoG"] and "sigma" not in setting:
        sections["LoG"] = {**sections["LoG"], "sigma": DEFAULT_SIGMA}
    return sections


def _plain(value: Any) -> Any:
    """Convert NumPy values, tuples and sets to JSON types."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, tuple | set):
        return list(value)
    raise TypeError(f"settings must be numbers, strings, lists and dicts, got {value!r}")


@functools.lru_cache(maxsize=64)
def _check_with_pyradiomics(parameters: str) -> None:
    """Check that pyradiomics' own schema accepts the parameters."""
    module = import_radiomics("radiomics.featureextractor")
    content = {key: value for key, value in json.loads(parameters).items() if value}
    if not content:
        return
    # The schema is checked by pykwalify, which logs what it rejects and whose exceptions are
    # RuntimeErrors. It imports pyradiomics' checks in a way that Python deprecates.
    with silent_loggers("radiomics", "pykwalify.core"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            # Given to the constructor, `geometryTolerance` would change ITK's global tolerance.
            module.RadiomicsFeatureExtractor().loadJSONParams(json.dumps(content))
        except (RuntimeError, TypeError, ValueError) as error:
            reason = getattr(error, "msg", None) or str(error)
            raise ValueError(f"pyradiomics does not accept the settings: {reason}") from error
