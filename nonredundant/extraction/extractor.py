"""`RadiomicsExtractor`: from a table of images and masks to a `LesionTable`.

The path of `RadiomicsExtractor.transform`, one module per step:

1. `settings.resolve_parameters` merges preset, parameter file and single parameters; with them
   `RadiomicsExtractor._plan` makes the `one_case.Plan`.
2. `case_table.read_rows` resolves the cells of each row to `Sources`.
3. `measurement.measure_cases` looks each case up in the cache and measures the others in
   parallel, each with `one_case.measure_case`, or image by image with `several.measure_images`:

   a. `nonredundant.io` reads image and mask and brings the mask onto the grid of the image;
   b. `regions.find_regions` finds the lesions in the mask;
   c. `radiomics.compute_features` measures each lesion as pyradiomics does;
   d. `patches.crop_patch` crops its patch.

4. `case_warnings.warn_of_cases` summarises irregularities in warnings.
5. `assembly.assemble` puts the results of all cases into a `LesionTable`.

`RadiomicsExtractor.to_store` measures batches of cases, whose workers write them to a store
(`streaming`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from nonredundant._version import __version__
from nonredundant.extraction.assembly import assemble, common_dimension
from nonredundant.extraction.case_embeddings import case_embeddings, names_of_embeddings
from nonredundant.extraction.case_table import (
    case_name,
    check_case_table,
    clinical_names,
    fit_transform_clinical,
    is_transformer,
    listed_columns,
    read_image_rows,
    read_rows,
    sample_columns,
    transform_clinical,
)
from nonredundant.extraction.case_warnings import warn_of_cases
from nonredundant.extraction.encoded import add_encoded, split_sources
from nonredundant.extraction.image_options import check_delta, check_images, resolved_options
from nonredundant.extraction.measurement import measure_cases
from nonredundant.extraction.memory import check_patch, memory_limit
from nonredundant.extraction.one_case import CaseFailure, Plan, shape_classes
from nonredundant.extraction.perturbations import check_perturbations, draw_perturbations
from nonredundant.extraction.perturbed_cases import (
    check_perturbable,
    perturb_cases,
    perturbed_table,
    warn_of_lost,
)
from nonredundant.extraction.settings import preset_name, resolve_parameters
from nonredundant.extraction.several import ImagesPlan
from nonredundant.extraction.streaming import Cases, Writing, write_cases
from nonredundant.io.images import n_dimensions
from nonredundant.lesions.blocks import embedding_columns
from nonredundant.lesions.parts import Layout
from nonredundant.lesions.sample_labels import calendar_type
from nonredundant.lesions.store import LesionStore
from nonredundant.lesions.table import LesionTable
from nonredundant.utils.cache import absolute_cache
from nonredundant.utils.output import NamedOutputMixin
from nonredundant.utils.validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
)

#: Smallest side of a patch in voxels.
_SMALLEST_PATCH = 4


class RadiomicsExtractor(NamedOutputMixin, TransformerMixin, BaseEstimator):
    """Measure lesions: compute pyradiomics' features and crop a fixed-size patch of each.

    The input is a case table and the output a `LesionTable`, whatever `set_output` requests.
    Nothing is learned from images; a `clinical` transformer is fitted in `fit`.

    Parameters
    ----------
    modality : str or None, default=None
        Preset of spacing, normalisation and discretisation, for instance "CT", "PET" or "MR":
        a key of `nonredundant.radiomics.PRESETS` in any case; the presets have the numbers and
        `SOURCES` their papers. None: pyradiomics' defaults.
    settings : dict, path or None, default=None
        Settings in pyradiomics' own layout (`setting`, `imageType`, `featureClass`), or its
        parameter file (YAML or JSON). They override the preset.
    images : dict of str to dict or None, default=None
        Several images per case: the name of each, and its parameters where they differ from those
        of the extractor, such as `{"pet": {"modality": "PET"}, "ct": {"modality": "CT"}}`; any of
        `nonredundant.extraction.image_options.OPTIONS`. The case table has the columns
        `image_pet`, `image_ct` and either `mask` (drawn on the first image), or `mask_ct` alone
        (drawn on that image), which measures all images, or a mask per image. Features carry the
        name of their image (`pet_original_firstorder_Mean`), patches have a channel per image.
        None: one image, in the column `image`.
    on_missing : {"raise", "nan"}, default="raise"
        Whether a case fails that lacks one of several images, or its features are NaN and its
        channel of the patches, too; `samples` then names it in `missing_images`. The first image
        must be there.
    delta : (str, str) or None, default=None
        Two of the `images`, such as `("after", "before")`, whose features are compared, lesion by
        lesion: columns `delta_original_firstorder_Mean` (differences) and `ratio_…` (NaN where
        the second is 0). Both images must have the same settings; several lesions are matched by
        their labels. `samples` gets `scan_interval_days`, where DICOM states both dates. Scans
        that are not in one space need masks of their own and `patch_shape=None`.
    delta_as : {"difference", "ratio", "both"}, default="both"
        How `delta` compares them.
    bin_width : float or None, default=None
        Width of a grey level in units of intensity; overrides `settings`.
    bin_count : int or None, default=None
        Number of grey levels per lesion; overrides the bin width of preset and `settings`.
    spacing : float, sequence of 3 floats, "native" or None, default=None
        Voxel size in mm (x-y-z) to which images are resampled for the features. None: that of
        preset and `settings`; "native": no resampling.
    image_types : sequence of str or dict, default=("Original",)
        pyradiomics' image types, or a dict with the settings of each.
    feature_classes : sequence of str, dict or None, default=None
        pyradiomics' feature classes, or a dict with the features of each; None: all. In 2-D
        images `shape` means `shape2D`.
    patch_shape : tuple of int or None, default=(32, 32, 32)
        Number of voxels of a patch, z-y-x; 2-D images use the last two. None: no patches.
    patch_spacing : float or "fit", default="fit"
        Voxel size of the patch in mm; "fit": the lesion's bounding cube fills the patch except
        for one voxel on each side (a whole image fills it entirely).
    lesions : {"label", "components", "labels"}, default="label"
        Definition of a lesion: all voxels equal to `label`; each of their connected components
        (voxels that share a corner are connected); or all voxels of one label, for each label.
        Lesions are ordered by volume, largest first, then by position.
    label : int, default=1
        Value of the mask inside lesions.
    label_channel : int or None, default=None
        The channel with the labels, counted from 0, of masks with several values per voxel
        (one-hot, colours), which are refused without it unless all channels are equal.
    roi : str or None, default=None
        Name of the region in a structure set (RTSTRUCT), DICOM segmentation or .seg.nrrd, or a
        pattern such as "GTV*". None: its only region. With `lesions="labels"` several may match,
        and each is a lesion. Masks without names are refused.
    fill_slices : bool, default=False
        Interpolate contours (RTSTRUCT) on slices between others that were skipped. By default
        such slices are told, and refused if most are skipped.
    whole_image : bool, default=False
        Measure whole images; the case table then has no column `mask`. An empty mask cell is
        never a whole image: its case fails.
    min_voxels : int, default=8
        Components or labels of fewer voxels are tiny.
    min_volume : float or None, default=None
        Components or labels of less volume in mm³ (in 2-D: area in mm²) are also tiny.
    small_lesions : {"drop", "shape"}, default="drop"
        Drop tiny lesions, or measure their shape alone: other features are NaN, the patch is
        empty and the reason is in `.lesion_status`. Both with a warning. Lesions too thin for a
        shape are always dropped. A case fails if no lesion is left.
    clinical : list of str, transformer or None, default=None
        Numeric columns to pass through, or a transformer (for instance a `ColumnTransformer`)
        to fit on the other columns of the case table.
    embeddings : dict of str to path, DataFrame, list of str or encoder, or None, default=None
        Given deep features by the names of their models: a file (`.csv`, `.parquet`, `.npz`, see
        `nonredundant.lesions.read_embedding`), a frame, or columns of the case table. Each becomes
        a block of the table, joined by the labels of the cases. Or a
        `nonredundant.encoders.FrozenEncoder`, which is run over patches that are cropped at its
        own voxel size and field of view.
    plain_formulas : bool, default=False
        Compute with pyradiomics' own classes. By default the same formulas are computed in a
        faster order (`nonredundant.extraction.texture`); values agree to about 1e-12.
    root : path or None, default=None
        Folder that relative paths start from and may not leave by ``..``; absolute paths are taken
        as they are. None: the working directory, which they may leave.
    on_error : {"raise", "nan"}, default="raise"
        Stop at a case that cannot be measured, or set its features to NaN and store the reason in
        `.status`.
    max_memory : float or None, default=None
        GiB that a case may need: by its headers before it is read, by its grey levels before
        it is measured. More is an error of that case. None: half of the machine's memory.
    memory : path, joblib.Memory or None, default=None
        Cache of single cases, identified by voxels, geometry, settings and versions.
    n_jobs : int or None, default=None
        Number of cases measured in parallel (joblib); the values do not depend on it.
    verbose : int, default=0
        0: a progress bar on a terminal or in a notebook if the work takes more than two
        seconds; 1: always a progress bar; 2: also pyradiomics' log.

    Attributes
    ----------
    n_dim_ : int
        Number of dimensions of the images at `fit`.
    clinical_ : transformer, list of str or None
        The fitted transformer, or `clinical` itself.
    feature_names_in_ : array of str
        Columns of the case table at `fit`.
    n_features_in_ : int
        Number of these columns.

    See Also
    --------
    nonredundant.radiomics.resolve_parameters : The settings that are passed to pyradiomics.
    nonredundant.extraction.dissemination_features : The spread of a patient's lesions.

    Notes
    -----
    Values are pyradiomics' own (van Griethuysen et al. 2017, doi 10.1158/0008-5472.CAN-17-0339).
    With `settings` and without `modality`, images are also resampled in the type of their file, as
    pyradiomics does; otherwise as real numbers, and those of `modality="CT"` are then rounded to
    integers (IBSI). Patches are in LPS orientation however a file is stored.
    A mask whose grid agrees with that of the image to a thousandth of a voxel is used unchanged;
    one on another grid of the same space is resampled with a warning; one that lies outside the
    image is an error.

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
        "modality": [str, None],
        "settings": [dict, str, Path, None],
        "images": [dict, None],
        "on_missing": [StrOptions({"raise", "nan"})],
        "delta": [tuple, list, None],
        "delta_as": [StrOptions({"difference", "ratio", "both"})],
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
        "label_channel": [Interval(Integral, 0, None, closed="left"), None],
        "roi": [str, None],
        "fill_slices": ["boolean"],
        "whole_image": ["boolean"],
        "embeddings": [dict, None],
        "plain_formulas": ["boolean"],
        "min_voxels": [Interval(Integral, 1, None, closed="left")],
        "min_volume": [Interval(Real, 0, None, closed="neither"), None],
        "small_lesions": [StrOptions({"drop", "shape"})],
        "clinical": [tuple, list, HasMethods(["fit", "transform"]), None],
        "root": [str, Path, None],
        "on_error": [StrOptions({"raise", "nan"})],
        "max_memory": [Interval(Real, 0, None, closed="neither"), None],
        "memory": [str, Path, HasMethods(["cache"]), None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        modality: str | None = None,
        *,
        settings: Mapping[str, Any] | str | Path | None = None,
        images: Mapping[str, Mapping[str, Any]] | None = None,
        on_missing: str = "raise",
        delta: Sequence[str] | None = None,
        delta_as: str = "both",
        bin_width: float | None = None,
        bin_count: int | None = None,
        spacing: float | Sequence[float] | str | None = None,
        image_types: Sequence[str] | Mapping[str, Any] = ("Original",),
        feature_classes: Sequence[str] | Mapping[str, Any] | None = None,
        patch_shape: Sequence[int] | None = (32, 32, 32),
        patch_spacing: float | str = "fit",
        lesions: str = "label",
        label: int = 1,
        label_channel: int | None = None,
        roi: str | None = None,
        fill_slices: bool = False,
        whole_image: bool = False,
        min_voxels: int = 8,
        min_volume: float | None = None,
        small_lesions: str = "drop",
        clinical: Any = None,
        embeddings: Mapping[str, Any] | None = None,
        plain_formulas: bool = False,
        root: str | Path | None = None,
        on_error: str = "raise",
        max_memory: float | None = None,
        memory: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.modality = modality
        self.settings = settings
        self.images = images
        self.on_missing = on_missing
        self.delta = delta
        self.delta_as = delta_as
        self.bin_width = bin_width
        self.bin_count = bin_count
        self.spacing = spacing
        self.image_types = image_types
        self.feature_classes = feature_classes
        self.patch_shape = patch_shape
        self.patch_spacing = patch_spacing
        self.lesions = lesions
        self.label = label
        self.label_channel = label_channel
        self.roi = roi
        self.fill_slices = fill_slices
        self.whole_image = whole_image
        self.min_voxels = min_voxels
        self.min_volume = min_volume
        self.small_lesions = small_lesions
        self.clinical = clinical
        self.embeddings = embeddings
        self.plain_formulas = plain_formulas
        self.root = root
        self.on_error = on_error
        self.max_memory = max_memory
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
            Passed to the clinical transformer.

        Returns
        -------
        self
            The fitted extractor.

        Raises
        ------
        InvalidParameterError
            If a parameter is out of range or pyradiomics rejects the settings.
        TypeError, ValueError
            If X is not a case table.
        """
        self._fit(X, y)
        return self

    def fit_transform(self, X: pd.DataFrame, y: Any = None) -> LesionTable:
        """Fit, and measure the lesions of each case.

        A clinical transformer that sees labels encodes these rows by its own `fit_transform`, as
        in scikit-learn's pipelines: no row by its own label.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_columns)
            Case table.
        y : array of shape (n_samples,), optional
            Passed to the clinical transformer.

        Returns
        -------
        LesionTable
            As `transform` returns it.

        Raises
        ------
        InvalidParameterError, CaseError, TypeError, ValueError
            As `fit` and `transform` do.
        """
        if not is_transformer(self.clinical):
            return self.fit(X, y).transform(X)
        clinical = self._fit(X, y)
        return self._measured(X, clinical)

    def transform(self, X: pd.DataFrame) -> LesionTable:
        """Measure the lesions of each case.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_columns)
            Case table.

        Returns
        -------
        LesionTable
            One row per lesion, samples in the order of X; `samples` holds the columns of X.

        Raises
        ------
        CaseError
            With `on_error="raise"`, if a case cannot be measured. It is a `ValueError`, and also
            an `OSError` if a file is the cause.
        TypeError, ValueError
            If X is not a case table, or mixes 2-D and 3-D images.
        """
        X = self._checked(X)
        return self._measured(X, transform_clinical(self._clinical(), X))

    def _fit(self, X: pd.DataFrame, y: Any) -> pd.DataFrame | None:
        """Fit, and return the clinical variables of the rows."""
        self._plan()
        X = self._checked(X)
        self.clinical_, clinical = fit_transform_clinical(self.clinical, X, y)
        sources = self._sources(X)
        self._plan(sources)
        self.n_dim_ = _first_dimension(sources)
        if self.images is not None:
            self.shared_mask_ = sources[0].shared
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        return clinical

    def _checked(self, X: Any) -> pd.DataFrame:
        """Check the case table."""
        return check_case_table(
            X,
            listed_columns(self.clinical),
            whole_image=self.whole_image,
            images=check_images(self.images),
        )

    def _sources(self, X: pd.DataFrame) -> list[Any]:
        """Read the cells of the checked case table."""
        if self.images is None:
            return read_rows(X, self.root)
        return read_image_rows(X, list(self.images), self.root)

    def _measured(self, X: pd.DataFrame, clinical: pd.DataFrame | None) -> LesionTable:
        """Measure the lesions of the checked cases and join their clinical variables."""
        # Read first: what is missing is told before images are measured for hours.
        files, encoders = split_sources(self.embeddings)
        if encoders and self.images is not None:
            raise InvalidParameterError(
                f"the encoders {sorted(encoders)} see one image, and there are several: extract "
                "the embedding of each image by an extractor of its own, and join it by "
                "table.replace(embeddings={name: frame})"
            )
        given = case_embeddings(files, X, self.root)
        sources = self._sources(X)
        plan = self._plan(sources)
        names = [case_name(label, one) for label, one in zip(X.index, sources, strict=True)]
        results: list[Any] = [None] * len(X)
        stream = measure_cases(
            sources,
            plan,
            memory=absolute_cache(self.memory),
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        # The stream is closed here: kept by the traceback of an error, it would keep pyradiomics'
        # log silent.
        with contextlib.closing(stream):
            for i, result in stream:
                if isinstance(result, CaseFailure) and self.on_error == "raise":
                    raise result.to_error(names[i])
                results[i] = result
        n_dim = common_dimension(names, results)
        if n_dim is None:
            n_dim = getattr(self, "n_dim_", 3)
        hcr = plan.hcr(n_dim)
        warn_of_cases(names, results, plan.settings, hcr)
        table = assemble(results, sample_columns(X), hcr, n_dim, plan, self._provenance(plan))
        if clinical is not None:
            table = table.join(clinical, block="clinical")
        table = table.replace(embeddings=given) if given else table
        if encoders:
            self.n_dim_ = n_dim
            table, self.encoders_ = add_encoded(table, encoders, self, X)
        return table

    def perturb(
        self, X: pd.DataFrame, perturbations: Any = 8, *, random_state: int = 0
    ) -> list[LesionTable]:
        """Measure the lesions of each case under small changes of image and mask.

        Each case is read once; the cache holds each perturbation of it by itself. Features and
        patches are those of `transform` but for the change. Embeddings are left out: what an
        encoder sees is perturbed where the extractor crops at the encoder's own voxel size.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_columns)
            Case table.
        perturbations : int or list of Perturbation, default=8
            The changes, the same ones for all cases; of a number, so many are drawn within the
            `nonredundant.stability.AMOUNTS` of the modality.
        random_state : int, default=0
            Seed of what is drawn.

        Returns
        -------
        list of LesionTable
            One table per perturbation, with the lesions of each case in the same order. A lesion
            that cannot be measured under a perturbation has NaN in that table, with a warning.

        Raises
        ------
        InvalidParameterError
            If images are taken whole or are several, or a perturbation is out of range.
        CaseError
            With `on_error="raise"`, if a case cannot be read.

        See Also
        --------
        nonredundant.stability.repeat_stability : The agreement of such tables.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> mask = np.zeros((12, 12, 12), dtype=bool)
        >>> mask[3:9, 3:9, 3:9] = True
        >>> image = np.random.default_rng(0).gamma(9, 0.5, mask.shape)
        >>> cases = pd.DataFrame({"image": [image], "mask": [mask]}, index=["anna"])
        >>> extractor = RadiomicsExtractor("PET", patch_shape=None)
        >>> changed = extractor.perturb(cases, 3)
        >>> [int(table.features["original_shape_VoxelVolume"].iloc[0]) for table in changed]
        [...]
        """
        self._validate_params()
        check_perturbable(self)
        if isinstance(perturbations, Integral):
            perturbations = draw_perturbations(
                int(perturbations), preset_name(self.modality), random_state=random_state
            )
        chosen = check_perturbations(perturbations)
        X = self._checked(X)
        clinical = transform_clinical(self._clinical(), X)
        sources, plan = self._sources(X), self._plan()
        names = [case_name(label, one) for label, one in zip(X.index, sources, strict=True)]
        results: list[list[Any]] = [[None] * len(X) for _ in chosen]
        stream = perturb_cases(
            sources,
            plan,
            chosen,
            memory=absolute_cache(self.memory),
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        with contextlib.closing(stream):
            for i, found in stream:
                if isinstance(found[0], CaseFailure) and self.on_error == "raise":
                    raise found[0].to_error(names[i])
                for own, one in zip(results, found, strict=True):
                    own[i] = one
        n_dim = common_dimension(names, results[0])
        if n_dim is None:
            n_dim = getattr(self, "n_dim_", 3)
        about = self._provenance(plan)
        tables = [
            perturbed_table(own, sample_columns(X), plan, change, about, n_dim)
            for own, change in zip(results, chosen, strict=True)
        ]
        warn_of_lost(tables)
        if clinical is None:
            return tables
        return [table.join(clinical, block="clinical") for table in tables]

    def to_store(
        self,
        cases: pd.DataFrame,
        path: str | Path,
        *,
        shard: tuple[int, int] = (0, 1),
        batch_size: int | None = None,
    ) -> LesionTable:
        """Measure the lesions of each case and write them to a store on the disk, in batches.

        The lesions of a cohort then need not fit into memory. A store that exists is continued:
        cases that it has are not measured again, others are added, and those that have failed are
        tried again. An interrupted or killed run leaves complete batches only, and the same call
        goes on from there. Several processes or machines may write to one store at the same time,
        each with its own `shard` of the same table.

        Parameters
        ----------
        cases : DataFrame of shape (n_samples, n_columns)
            Case table. The labels of its rows identify the cases in the store.
        path : str or path-like
            Folder of the store, which is created; with several machines, on a file system that
            all of them see.
        shard : (int, int), default=(0, 1)
            The number of this writer, from 0, and the number of writers: (2, 8) measures the third
            of eight equal parts of the table.
        batch_size : int or None, default=None
            Cases that are measured and written by one task of `n_jobs`, Dask or Ray. None: up to
            128, fewer if there are too few tasks for all workers.

        Returns
        -------
        LesionTable
            The table of all complete cases of the store, as `LesionTable.open` returns it.

        Raises
        ------
        CaseError
            With `on_error="raise"`, if a case cannot be measured; those before it are kept.
        ValueError
            If the folder holds something else, a store of other settings, or a case of the same
            label with other voxels, geometry or clinical variables.
        ImportError
            If the extra `store` is not installed.

        See Also
        --------
        LesionTable.open : Opens the store.

        Examples
        --------
        >>> import numpy as np, pandas as pd, tempfile
        >>> rng = np.random.default_rng(0)
        >>> mask = np.zeros((12, 12, 12))
        >>> mask[3:9, 3:9, 3:9] = 1
        >>> cases = pd.DataFrame(
        ...     {"image": [rng.normal(size=mask.shape) for _ in range(3)], "mask": [mask] * 3},
        ...     index=["anna", "bert", "carl"],
        ... )
        >>> extractor = RadiomicsExtractor(bin_count=8, feature_classes=["firstorder"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = extractor.to_store(cases[:2], f"{folder}/lesions")
        ...     table = extractor.to_store(cases, f"{folder}/lesions")
        ...     table, table.index.tolist()
        (LesionTable(3 samples, 3 lesions, 18 HCR, 0 clinical, patches 1x32x32x32),
         ['anna', 'bert', 'carl'])
        """
        self._plan()
        _check_shard(shard, batch_size)
        if self.embeddings:
            raise InvalidParameterError(
                "a store holds what is measured of images: write it without embeddings=, and add "
                "them to the table, LesionTable.open(path).replace(embeddings={name: frame})"
            )
        cases = self._checked(cases)
        clinical = transform_clinical(self._clinical(), cases)
        sources = self._sources(cases)
        plan = self._plan(sources)
        n_dim = getattr(self, "n_dim_", None) or _first_dimension(sources)
        hcr = plan.hcr(n_dim)
        added = [] if clinical is None else list(clinical.columns)
        layout = Layout(
            columns=[*hcr, *added],
            blocks={**dict.fromkeys(hcr, "hcr"), **dict.fromkeys(added, "clinical")},
            n_dim=n_dim,
            grid=_grid_of(plan, n_dim),
            calendar=calendar_type(cases.index),
            index_name=cases.index.name,
            provenance=self._provenance(plan),
        )
        summary = write_cases(
            Cases.of_table(sample_columns(cases), sources, clinical),
            LesionStore.create(path, layout),
            Writing(plan, hcr, self.on_error == "raise", absolute_cache(self.memory)),
            shard=shard,
            batch_size=batch_size,
            n_jobs=self.n_jobs,
        )
        summary.warn(plan.settings)
        return LesionTable.open(path)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """List the names of the columns of `.features`.

        Parameters
        ----------
        input_features : array of str, optional
            Ignored: the names follow from the settings.

        Returns
        -------
        array of str
            HCR as pyradiomics names them, then clinical variables, then embeddings.
        """
        n_dim = getattr(self, "n_dim_", 3)
        plan = self._plan()
        if isinstance(plan, ImagesPlan):
            plan = plan.with_masks(shared=getattr(self, "shared_mask_", True))
        files, encoders = split_sources(self.embeddings)
        given = names_of_embeddings(files, self.root)
        if encoders:
            check_is_fitted(self, "encoders_")
            for name, encoder in self.encoders_.items():
                given += embedding_columns(name, range(encoder.n_features_))
        clinical = clinical_names(self._clinical())
        return np.asarray([*plan.hcr(n_dim), *clinical, *given], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        tags.no_validation = True
        tags.requires_fit = is_transformer(self.clinical)
        return tags

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state; parameters that did not exist when it was saved get defaults."""
        later: dict[str, Any] = {"label_channel": None, "fill_slices": False, "images": None}
        later |= {"on_missing": "raise", "delta": None, "delta_as": "both", "embeddings": None}
        super().__setstate__({**later, **state})

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "clinical_") or not is_transformer(self.clinical)

    def _clinical(self) -> Any:
        """Return the fitted transformer; a list of clinical columns needs no fit."""
        return getattr(self, "clinical_", self.clinical)

    def _plan(self, sources: Sequence[Any] = ()) -> Any:
        """Check the parameters and collect what is measured of each case.

        With the `sources` of several images, the plan also knows whether these have one mask.
        """
        self._validate_params()
        pair = check_delta(self.delta, self.images)
        if self.images is None:
            return self._plan_of({})
        options = resolved_options(self.images, type(self))
        plans = {name: self._plan_of(own) for name, own in options.items()}
        how = {"difference": ("delta",), "ratio": ("ratio",), "both": ("delta", "ratio")}
        plan = ImagesPlan(
            plans, on_missing=self.on_missing, delta=pair, delta_as=how[self.delta_as]
        )
        return plan.with_masks(shared=sources[0].shared) if sources else plan

    def _plan_of(self, own: Mapping[str, Any]) -> Plan:
        """Collect what is measured of one image, with the parameters that are its own."""
        one = {**self.get_params(deep=False), **own}
        given = ("modality", "settings", "bin_width", "bin_count", "spacing")
        try:
            parameters = resolve_parameters(
                **{name: one[name] for name in (*given, "image_types", "feature_classes")}
            )
        except ValueError as error:
            raise InvalidParameterError(str(error)) from error
        if self.small_lesions == "shape" and self.images is None and not shape_classes(parameters):
            raise InvalidParameterError(
                "small_lesions='shape' needs the feature class 'shape', but feature_classes are "
                f"{list(parameters['featureClass'])}; add 'shape' to them or set "
                "small_lesions='drop'"
            )
        patch_shape = _check_patch_shape(self.patch_shape)
        if patch_shape is not None:
            check_patch(patch_shape, memory_limit(self.max_memory))
        label = one["label"]
        if label == 1:
            label = parameters["setting"].get("label", 1)
        channel = one["label_channel"]
        if channel is None:
            channel = parameters["setting"].get("label_channel")
        return Plan(
            parameters=parameters,
            lesions=self.lesions,
            label=int(label),
            label_channel=None if channel is None else int(channel),
            fill_slices=bool(one["fill_slices"]),
            min_voxels=int(self.min_voxels),
            min_volume=None if self.min_volume is None else float(self.min_volume),
            small_lesions=self.small_lesions,
            patch_shape=patch_shape,
            patch_spacing=self.patch_spacing,
            roi=one["roi"],
            modality=preset_name(one["modality"]),
            plain_formulas=bool(self.plain_formulas),
            as_stored=one["settings"] is not None and one["modality"] is None,
            max_memory=None if self.max_memory is None else float(self.max_memory),
            verbose=int(self.verbose),
        )

    def _provenance(self, plan: Plan | ImagesPlan) -> dict[str, Any]:
        """Return settings and versions in JSON types."""
        import radiomics
        import SimpleITK as sitk

        versions = {
            "nonredundant": __version__,
            "pyradiomics": radiomics.__version__,
            "SimpleITK": sitk.Version.VersionString(),
            "numpy": np.__version__,
        }
        return {**plan.content(), "versions": versions}


def _grid_of(plan: Plan | ImagesPlan, n_dim: int) -> list[int] | None:
    """Return the shape of a patch, channels first; None without patches."""
    if plan.patch_shape is None:
        return None
    return [plan.n_channels, *plan.patch_shape[-n_dim:]]


def _check_patch_shape(shape: Sequence[int] | None) -> tuple[int, ...] | None:
    """Check the shape of the patch and convert it to plain integers."""
    if shape is None:
        return None
    good = all(isinstance(n, Integral) and n >= _SMALLEST_PATCH for n in shape)
    if not good or len(shape) not in (2, 3):
        raise InvalidParameterError(
            "The 'patch_shape' parameter of RadiomicsExtractor must be None or 2 or 3 integers of "
            f"at least {_SMALLEST_PATCH}. Got {shape!r} instead."
        )
    return tuple(int(n) for n in shape)


def _check_shard(shard: Any, batch_size: Any) -> None:
    """Raise if the arguments of `to_store` are out of range."""
    whole = isinstance(shard, tuple | list) and len(shard) == 2
    if not (
        whole and all(isinstance(n, int | np.integer) for n in shard) and 0 <= shard[0] < shard[1]
    ):
        raise InvalidParameterError(
            "shard must be the number of this writer, from 0, and the number of writers, such as "
            f"(0, 4) for the first of four, got {shard!r}"
        )
    if batch_size is not None and not (
        isinstance(batch_size, int | np.integer) and batch_size >= 1
    ):
        raise InvalidParameterError(
            f"batch_size must be a number of cases, at least 1, or None, got {batch_size!r}"
        )


def _first_dimension(sources: Sequence[Any]) -> int:
    """Return the number of dimensions of the first image that can be read."""
    for one in sources:
        # `transform` reports a case that cannot be read as `on_error` requires.
        with contextlib.suppress(Exception):
            return n_dimensions(one.image)
    return 3
