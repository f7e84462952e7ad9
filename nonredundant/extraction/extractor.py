"""`RadiomicsExtractor`: from a table of images and masks to a `LesionTable`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from nonredundant.extraction.case_table import (
    Sources,
    case_name,
    check_case_table,
    clinical_names,
    fit_clinical,
    is_transformer,
    listed_columns,
    read_rows,
    transform_clinical,
)
from nonredundant.extraction.findings import tell_findings
from nonredundant.extraction.measurement import Plan, names_of, shape_classes
from nonredundant.extraction.radiomics import feature_names
from nonredundant.extraction.scheduling import measure_all
from nonredundant.extraction.settings import resolve_parameters
from nonredundant.io.geometry import CaseError
from nonredundant.io.images import ImageFileError, n_dimensions
from nonredundant.lesions.table import LesionTable
from nonredundant.utils.validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    NamedOutputMixin,
    StrOptions,
)

#: Smallest side of a patch: below it, nothing of a lesion's inside is left.
_SMALLEST_PATCH = 4


class RadiomicsExtractor(
    NamedOutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):  # type: ignore[call-arg]
    """Measure lesions: pyradiomics' features and a fixed-size patch of each.

    Input is a case table, output a `LesionTable` whatever `set_output` says. Nothing is learned
    from images; a `clinical` transformer is fitted in `fit`.

    Parameters
    ----------
    modality : {"CT", "PET", "MR"} or None, default=None
        Preset of spacing, normalisation and discretisation; `nonredundant.radiomics.PRESETS` has
        the numbers, `SOURCES` their papers. None: pyradiomics' defaults.
    settings : dict, path or None, default=None
        Settings in pyradiomics' own layout (`setting`, `imageType`, `featureClass`), or its
        parameter file (YAML or JSON). They win over the preset.
    bin_width : float or None, default=None
        Width of a grey level in units of intensity; wins over `settings`.
    bin_count : int or None, default=None
        Number of grey levels a lesion; wins over `bin_width` of preset and `settings`.
    spacing : float, sequence of 3 floats, "native" or None, default=None
        Voxel size in mm (x-y-z) that images are resampled to for the features; None as preset
        and `settings` say, "native" not at all.
    image_types : sequence of str or dict, default=("Original",)
        pyradiomics' image types, or a dict with the settings of each.
    feature_classes : sequence of str, dict or None, default=None
        pyradiomics' feature classes, or a dict with the features of each; None: all. In 2-D
        images `shape` stands for `shape2D`.
    patch_shape : tuple of int or None, default=(32, 32, 32)
        Voxels of a patch, z-y-x; 2-D images use the last two. None: no patches.
    patch_spacing : float or "fit", default="fit"
        Voxel size of the patch in mm; "fit": the lesion's bounding cube fills the patch but for
        one voxel on each side (a whole image fills it entirely).
    lesions : {"label", "components", "labels"}, default="label"
        What a lesion is: all voxels equal to `label`; each of their connected components (voxels
        that share a corner are connected); all voxels of one label, for each label. Lesions are
        ordered by volume, largest first, then by position.
    label : int, default=1
        The mask's value inside lesions.
    min_voxels : int, default=8
        Components or labels of fewer voxels are tiny.
    min_volume : float or None, default=None
        So are those of less volume, in mm³ (in 2-D: area in mm²).
    small_lesions : {"drop", "shape"}, default="drop"
        Drop tiny lesions, or measure their shape alone: other features NaN, the patch empty, the
        reason in `.lesion_status`. Either way with a warning. Those too thin for a shape are
        dropped. A case fails if no lesion is left, so with "drop" if all are tiny.
    clinical : list of str, transformer or None, default=None
        Numeric columns to pass through, or a transformer (for instance a `ColumnTransformer`)
        that is fitted on the other columns of the case table.
    root : path or None, default=None
        Folder that relative paths start from; None: the working directory.
    on_error : {"raise", "nan"}, default="raise"
        Stop at a case that cannot be measured, or give it NaN and the reason in `.status`.
    memory : path, joblib.Memory or None, default=None
        Cache of single cases, known by their voxels, geometry, settings and versions.
    n_jobs : int or None, default=None
        Cases measured at a time (joblib's processes); any number gives the same values.
    verbose : int, default=0
        0: a progress bar on a terminal if the work takes more than two seconds; 1: always a
        progress bar; 2: also what pyradiomics logs.

    Attributes
    ----------
    n_dim_ : int
        Dimensions of the images at `fit`.
    clinical_ : transformer, list of str or None
        The fitted transformer, or `clinical` itself.
    feature_names_in_ : array of str
        Columns of the case table at `fit`.
    n_features_in_ : int
        Their number.

    See Also
    --------
    nonredundant.radiomics.resolve_parameters : Which settings reach pyradiomics.
    nonredundant.extraction.dissemination_features : How a patient's lesions are spread.

    Notes
    -----
    Values are pyradiomics' own (van Griethuysen et al. 2017, doi 10.1158/0008-5472.CAN-17-0339).
    A mask whose grid lies within a thousandth of a voxel of the image's is taken as it is; one
    on another grid of the same space is resampled with a warning; one that lies elsewhere is an
    error.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> mask = np.zeros((12, 12, 12), dtype=bool)
    >>> mask[3:9, 3:9, 3:9] = True
    >>> cases = pd.DataFrame(
    ...     {"image": [rng.gamma(9, 0.5, mask.shape) for _ in range(2)], "mask": [mask] * 2},
    ...     index=["anna", "bert"],
    ... )
    >>> table = RadiomicsExtractor(modality="PET", patch_shape=(8, 8, 8)).fit_transform(cases)
    >>> table
    LesionTable(2 samples, 2 lesions, 107 HCR, 0 clinical, patches 1x8x8x8)
    >>> table.features["original_shape_VoxelVolume"].tolist()
    [216.0, 216.0]
    """

    _parameter_constraints: dict[str, Any] = {
        "modality": [StrOptions({"CT", "PET", "MR"}), None],
        "settings": [dict, str, Path, None],
        "bin_width": [Interval(Real, 0, None, closed="neither"), None],
        "bin_count": [Interval(Integral, 2, None, closed="left"), None],
        "spacing": [
            Interval(Real, 0, None, closed="neither"),
            tuple,
            list,
            np.ndarray,
            StrOptions({"native"}),
            None,
        ],
        "image_types": [tuple, list, dict],
        "feature_classes": [tuple, list, dict, None],
        "patch_shape": [tuple, list, None],
        "patch_spacing": [Interval(Real, 0, None, closed="neither"), StrOptions({"fit"})],
        "lesions": [StrOptions({"label", "components", "labels"})],
        "label": [Interval(Integral, 1, None, closed="left")],
        "min_voxels": [Interval(Integral, 1, None, closed="left")],
        "min_volume": [Interval(Real, 0, None, closed="neither"), None],
        "small_lesions": [StrOptions({"drop", "shape"})],
        "clinical": [tuple, list, HasMethods(["fit", "transform"]), None],
        "root": [str, Path, None],
        "on_error": [StrOptions({"raise", "nan"})],
        "memory": [str, Path, HasMethods(["cache"]), None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        modality: str | None = None,
        *,
        settings: Mapping[str, Any] | str | Path | None = None,
        bin_width: float | None = None,
        bin_count: int | None = None,
        spacing: float | Sequence[float] | str | None = None,
        image_types: Sequence[str] | Mapping[str, Any] = ("Original",),
        feature_classes: Sequence[str] | Mapping[str, Any] | None = None,
        patch_shape: Sequence[int] | None = (32, 32, 32),
        patch_spacing: float | str = "fit",
        lesions: str = "label",
        label: int = 1,
        min_voxels: int = 8,
        min_volume: float | None = None,
        small_lesions: str = "drop",
        clinical: Any = None,
        root: str | Path | None = None,
        on_error: str = "raise",
        memory: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.modality = modality
        self.settings = settings
        self.bin_width = bin_width
        self.bin_count = bin_count
        self.spacing = spacing
        self.image_types = image_types
        self.feature_classes = feature_classes
        self.patch_shape = patch_shape
        self.patch_spacing = patch_spacing
        self.lesions = lesions
        self.label = label
        self.min_voxels = min_voxels
        self.min_volume = min_volume
        self.small_lesions = small_lesions
        self.clinical = clinical
        self.root = root
        self.on_error = on_error
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: pd.DataFrame, y: Any = None) -> RadiomicsExtractor:
        """Check parameters and case table, and fit the clinical transformer if there is one.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_columns)
            Case table.
        y : array of shape (n_samples,), optional
            Handed to the clinical transformer.

        Returns
        -------
        self
            The fitted extractor.

        Raises
        ------
        InvalidParameterError
            If a parameter is out of range or pyradiomics does not accept the settings.
        TypeError, ValueError
            If X is not a case table.
        """
        self._plan()
        X = check_case_table(X, listed_columns(self.clinical))
        self.clinical_ = fit_clinical(self.clinical, X, y)
        transform_clinical(self.clinical_, X)
        self.n_dim_ = _first_dimension(read_rows(X, self.root))
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> LesionTable:
        """Measure the lesions of each case.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_columns)
            Case table.

        Returns
        -------
        LesionTable
            One row a lesion, samples in the order of X.

        Raises
        ------
        CaseError
            With `on_error="raise"`, if a case cannot be measured; it is a `ValueError`, and an
            `OSError` too if a file is at fault.
        TypeError, ValueError
            If X is not a case table, or mixes 2-D and 3-D images.
        """
        plan = self._plan()
        X = check_case_table(X, listed_columns(self.clinical))
        clinical = transform_clinical(self._clinical(), X)
        sources = read_rows(X, self.root)
        names = [case_name(label, one) for label, one in zip(X.index, sources, strict=True)]
        results: list[Any] = [None] * len(X)
        stream = measure_all(
            sources, plan, memory=self.memory, n_jobs=self.n_jobs, verbose=self.verbose
        )
        # Closed here: the traceback of an error would keep it, and pyradiomics' log, on hold.
        with contextlib.closing(stream):
            for i, result in stream:
                if result["error"] is not None and self.on_error == "raise":
                    kind = ImageFileError if result["file"] else CaseError
                    raise kind(f"{names[i]}: {result['error']}")
                results[i] = result
        n_dim = common_dimension(names, results)
        if n_dim is None:
            n_dim = getattr(self, "n_dim_", 3)
        hcr = feature_names(plan.parameters, n_dim)
        tell_findings(names, results, plan.parameters["setting"], hcr)
        table = assemble(results, X.index, hcr, n_dim, plan.patch_shape, self._provenance(plan))
        return table if clinical is None else table.join(clinical, block="clinical")

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of `.features`.

        Parameters
        ----------
        input_features : array of str, optional
            Ignored: names follow from the settings.

        Returns
        -------
        array of str
            HCR as pyradiomics names them, then clinical variables.
        """
        n_dim = getattr(self, "n_dim_", 3)
        hcr = feature_names(self._plan().parameters, n_dim)
        return np.asarray([*hcr, *clinical_names(self._clinical())], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        tags.no_validation = True
        tags.requires_fit = is_transformer(self.clinical)
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "clinical_") or not is_transformer(self.clinical)

    def _clinical(self) -> Any:
        """Return what `fit` learned of the clinical variables; a list needs no fit."""
        return getattr(self, "clinical_", self.clinical)

    def _plan(self) -> Plan:
        """Check the parameters and sum up what is measured of each case."""
        self._validate_params()
        try:
            parameters = resolve_parameters(
                modality=self.modality,
                settings=self.settings,
                bin_width=self.bin_width,
                bin_count=self.bin_count,
                spacing=self.spacing,
                image_types=self.image_types,
                feature_classes=self.feature_classes,
            )
        except ValueError as error:
            raise InvalidParameterError(str(error)) from error
        if self.small_lesions == "shape" and not shape_classes(parameters):
            raise InvalidParameterError(
                "small_lesions='shape' needs the feature class 'shape', but feature_classes are "
                f"{list(parameters['featureClass'])}; add 'shape' to them or set "
                "small_lesions='drop'"
            )
        label = self.label
        if label == 1:
            label = parameters["setting"].get("label", 1)
        return Plan(
            parameters=parameters,
            lesions=self.lesions,
            label=int(label),
            min_voxels=int(self.min_voxels),
            min_volume=None if self.min_volume is None else float(self.min_volume),
            small_lesions=self.small_lesions,
            patch_shape=_checked_shape(self.patch_shape),
            patch_spacing=self.patch_spacing,
            verbose=int(self.verbose),
        )

    def _provenance(self, plan: Plan) -> dict[str, Any]:
        """Return what made the table, in JSON types."""
        import radiomics
        import SimpleITK as sitk

        from nonredundant._version import __version__

        content = {name: value for name, value in asdict(plan).items() if name != "verbose"}
        content["patch_shape"] = None if plan.patch_shape is None else list(plan.patch_shape)
        versions = {
            "nonredundant": __version__,
            "pyradiomics": radiomics.__version__,
            "SimpleITK": sitk.Version.VersionString(),
            "numpy": np.__version__,
        }
        return {"modality": self.modality, **content, "versions": versions}


def _checked_shape(shape: Sequence[int] | None) -> tuple[int, ...] | None:
    """Return the patch's shape as plain integers."""
    if shape is None:
        return None
    good = all(isinstance(n, Integral) and n >= _SMALLEST_PATCH for n in shape)
    if not good or len(shape) not in (2, 3):
        raise InvalidParameterError(
            "The 'patch_shape' parameter of RadiomicsExtractor must be None or 2 or 3 integers of "
            f"at least {_SMALLEST_PATCH}. Got {shape!r} instead."
        )
    return tuple(int(n) for n in shape)


def _first_dimension(sources: list[Sources]) -> int:
    """Return the dimensions of the first image that can be read."""
    for one in sources:
        try:
            return n_dimensions(one.image)
        except CaseError:
            # `transform` says what is wrong with this case, and `on_error` what to do about it.
            continue
    return 3


def assemble(
    results: list[dict[str, Any]],
    index: pd.Index,
    names: Sequence[str],
    n_dim: int,
    patch_shape: Sequence[int] | None,
    provenance: dict[str, Any],
) -> LesionTable:
    """Return the table; a failed case has one row of NaN, a patch of zeros and an empty mask.

    The list of results is emptied on the way, so that patches are not held twice.
    """
    counts = [1 if result["error"] is not None else len(result["features"]) for result in results]
    n_lesions = sum(counts)
    features = np.full((n_lesions, len(names)), np.nan)
    positions = np.full((n_lesions, n_dim), np.nan)
    parts: dict[str, Any] = {}
    if patch_shape is not None:
        shape = (n_lesions, 1, *patch_shape[-n_dim:])
        parts["patches"] = np.zeros(shape, dtype=np.float32)
        parts["masks"] = np.zeros(shape, dtype=np.bool_)
        parts["spacing"] = np.full((n_lesions, n_dim), np.nan)
    columns = {name: i for i, name in enumerate(names)}
    status, lesion_status = [], []
    start = 0
    for i, count in enumerate(counts):
        result, results[i] = results[i], {}
        rows = slice(start, start + count)
        start += count
        status.append("ok" if result["error"] is None else result["error"])
        lesion_status += result.get("status", status[-1:])
        if result["error"] is not None:
            continue
        features[rows, [columns[name] for name in names_of(result)]] = result["features"]
        positions[rows] = result["positions"]
        for name, part in parts.items():
            part[rows] = result[name]
    return LesionTable(
        pd.DataFrame(features, columns=list(names)),
        sample=np.repeat(np.arange(len(counts)), counts),
        positions=positions,
        status=status,
        lesion_status=lesion_status,
        index=index,
        provenance=provenance,
        **parts,
    )


def common_dimension(names: Sequence[str], results: Sequence[dict[str, Any]]) -> int | None:
    """Return the dimensions of all images, or say which two differ."""
    seen = {
        result["n_dim"]: name
        for name, result in zip(names, results, strict=True)
        if result["error"] is None
    }
    if len(seen) > 1:
        raise ValueError(
            "a table holds 2-D images or 3-D images, not both: "
            + ", ".join(f"{name} is {n_dim}-D" for n_dim, name in sorted(seen.items()))
        )
    return next(iter(seen), None)
