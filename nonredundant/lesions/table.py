"""`LesionTable`: lesions with their features, patches and masks, indexed by sample."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.lesions._checks import (
    check_grids,
    check_length,
    check_numeric,
    check_part,
    check_sample,
    check_samples,
    check_status,
    in_rows,
    named_features,
    read_features,
    rows_of,
    sample_positions,
    split_key,
    status_of_lesions,
    take,
)
from nonredundant.lesions._conversion import concatenated_parts, leading_columns
from nonredundant.lesions._masks import check_masks
from nonredundant.lesions._storage import load_arrays, save_arrays
from nonredundant.lesions.blocks import BLOCKS, LEFT_OUT, check_blocks, embedding_names, in_order
from nonredundant.lesions.embeddings import join_embeddings
from nonredundant.lesions.labels import align
from nonredundant.lesions.store import open_store
from nonredundant.lesions.thumbnails import thumbnails

#: Lesions and columns that a notebook shows.
_MOST_SHOWN = 8
#: The constructor arguments that are stored unchanged in attributes of the same name.
_PARTS = (
    "features",
    "blocks",
    "patches",
    "masks",
    "sample",
    "positions",
    "spacing",
    "status",
    "index",
    "samples",
    "provenance",
)


class LesionTable:
    """Lesions of a cohort: features, patches and masks, array-like over samples.

    A sample (patient) has one or several lesions. Each row of `features`, `patches`, `masks` and
    `positions` and each value of `lesion_status` belongs to a lesion; `len`, indexing, `status`
    and cross-validation refer to samples. `table[:, features]` is the table with these features
    alone, by position or name, as a `ColumnTransformer` asks for.

    Parameters
    ----------
    features : DataFrame of shape (n_lesions, n_features)
        Features of each lesion. Columns `diagnostics_…` of pyradiomics are left out, with a
        warning.
    blocks : mapping of str to {"hcr", "clinical", "left out"}, optional
        The block of each column, HCR by default. HCR come first, then clinical columns. What is
        left out is known, too, and latents are tested against it, but no classifier is given it.
    embeddings : mapping of str to DataFrame, optional
        Given deep features by the names of their models, such as `{"FMCIB": frame}`. Each becomes
        a block of its name, whose columns are named `FMCIB__…`. Rows are joined by their labels,
        none of which may be missing or left over: those of the samples, for all lesions of each;
        or those of the lesions, which are the labels of the rows of `features`, if unique, or
        sample and number of the lesion in it, from 0 (two levels). A row of NaN has no embedding.
    patches : float32 array of shape (n_lesions, C, ...), optional
        Unmasked crops in the intensity units of the image.
    masks : bool array of shape (n_lesions, 1, ...), optional
        The voxels of each lesion in its patch; of numbers, 0 and one other value per lesion.
    sample : int array of shape (n_lesions,), optional
        Position of the sample of each lesion, in ascending order. By default each lesion is a
        separate sample.
    positions : array of shape (n_lesions, n_dim), optional
        Centroids in mm, z-y-x.
    spacing : array of shape (n_lesions, n_dim) or (n_dim,), optional
        Voxel size of each patch in mm, z-y-x.
    status : sequence of str of length n_samples, optional
        "ok", or the reason why the sample has no values.
    lesion_status : sequence of str of length n_lesions, optional
        "ok", or what was not measured of the lesion and why. Lesions that are "ok" take the
        status of their sample.
    index : sequence of length n_samples, optional
        Labels of the samples. By default those of `samples`, else, where each lesion is a
        separate sample, those of `features`, else 0, 1, ….
    samples : DataFrame of shape (n_samples, n_columns), optional
        What is known of each sample besides the features: centre, group, raw clinical columns,
        ids. Rows are brought into the order of `index` by their labels. Steps of a comparison
        read their columns here; no classifier sees them.
    provenance : dict, optional
        Settings and versions with which the table was made (plain JSON types).

    Attributes
    ----------
    features, blocks, patches, masks, sample, positions, spacing, status, index, samples, provenance
        See the parameters; also `lesion_status`. `features` and `blocks` include the embeddings.

    Raises
    ------
    TypeError
        If features are no DataFrame.
    ValueError
        If the parts differ in the number of lesions or samples, or a sample has no lesion.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> frame = pd.DataFrame({"original_shape_VoxelVolume": [10.0, 20.0, 30.0]})
    >>> table = LesionTable(frame, sample=[0, 0, 1], index=["anna", "bert"])
    >>> table
    LesionTable(2 samples, 3 lesions, 1 HCR, 0 clinical, no patches)
    >>> table[[1]].features
          original_shape_VoxelVolume
    bert                        30.0
    >>> np.asarray(table[[1]])
    array([[30.]])
    >>> given = pd.DataFrame([[0.1, 0.2], [0.3, 0.4]], index=["bert", "anna"])
    >>> table.replace(embeddings={"FMCIB": given}).embeddings["FMCIB"]
          FMCIB__0  FMCIB__1
    anna       0.3       0.4
    anna       0.3       0.4
    bert       0.1       0.2
    """

    def __init__(
        self,
        features: pd.DataFrame,
        *,
        blocks: Mapping[str, str] | None = None,
        embeddings: Mapping[str, pd.DataFrame] | None = None,
        patches: np.ndarray | None = None,
        masks: np.ndarray | None = None,
        sample: Any = None,
        positions: np.ndarray | None = None,
        spacing: np.ndarray | None = None,
        status: Any = None,
        lesion_status: Any = None,
        index: Any = None,
        samples: pd.DataFrame | None = None,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        features = read_features(features)
        n_lesions = len(features)
        self.sample = check_sample(sample, n_lesions)
        n_samples = int(self.sample[-1]) + 1 if n_lesions else 0
        if index is None and isinstance(samples, pd.DataFrame):
            index = samples.index
        elif index is None:
            index = features.index if sample is None else pd.RangeIndex(n_samples)
        self.index = pd.Index(index)
        check_length("index", self.index, n_samples, "samples")
        self.samples = check_samples(samples, self.index)
        self.patches = check_part("patches", patches, n_lesions, np.float32)
        self.masks = check_masks(masks, n_lesions)
        check_grids(self.patches, self.masks)
        self.positions = check_part("positions", positions, n_lesions, np.float64)
        if spacing is not None and np.ndim(spacing) == 1:
            spacing = np.broadcast_to(spacing, (n_lesions, len(spacing)))
        self.spacing = check_part("spacing", spacing, n_lesions, np.float64)
        values = np.full(n_samples, "ok", dtype=object) if status is None else np.asarray(status)
        check_length("status", values, n_samples, "samples")
        self.status = pd.Series(values, index=self.index, name="status", dtype=object)
        self._own_status = check_status(lesion_status, self.status, self.sample)
        self.provenance: dict[str, Any] = dict(provenance or {})
        if embeddings is not None:
            features, blocks = join_embeddings(
                features, blocks, embeddings, self.index, self.sample
            )
        self.blocks = check_blocks(blocks, features.columns)
        ordered = in_order(self.blocks)
        labels = self.index.take(self.sample)
        if ordered != list(features.columns):
            features = features[ordered]
            self.blocks = {name: self.blocks[name] for name in ordered}
        # A shallow copy: only the row labels are new, the values are shared with the caller.
        # pandas 2 copies the values, too, and lays them out by columns.
        self.features = in_rows(features.set_axis(labels, axis=0))

    @classmethod
    def from_arrays(
        cls,
        *,
        features: Any = None,
        patches: np.ndarray | None = None,
        masks: np.ndarray | None = None,
        sample: Any = None,
        positions: np.ndarray | None = None,
        spacing: np.ndarray | None = None,
    ) -> LesionTable:
        """Build a table from any subset of arrays.

        Parameters
        ----------
        features : DataFrame or array of shape (n_lesions, n_features), optional
            HCR; the columns of an array are named `feature0`, …; no columns by default.
        patches : array of shape (n_lesions, C, ...), optional
            Unmasked crops.
        masks : array of shape (n_lesions, 1, ...), optional
            Lesion masks: booleans, or 0 and one other value per lesion.
        sample : int array of shape (n_lesions,), optional
            Position of the sample of each lesion; by default each lesion is a separate sample.
        positions : array of shape (n_lesions, n_dim), optional
            Centroids in mm, z-y-x.
        spacing : array of shape (n_dim,) or (n_lesions, n_dim), optional
            Voxel size of the patches in mm, z-y-x.

        Returns
        -------
        LesionTable
            The table.

        Raises
        ------
        ValueError
            If no part is given, the parts have different lengths, or masks hold fractions,
            negative values, NaN or several labels.

        Examples
        --------
        >>> import numpy as np
        >>> LesionTable.from_arrays(patches=np.zeros((4, 1, 8, 8)))
        LesionTable(4 samples, 4 lesions, 0 HCR, 0 clinical, patches 1x8x8)
        """
        parts = (features, patches, masks, positions, sample)
        n_lesions = next((len(part) for part in parts if part is not None), None)
        if n_lesions is None:
            raise ValueError("from_arrays needs at least one of features, patches, masks")
        return cls(
            named_features(features, n_lesions),
            patches=patches,
            masks=masks,
            sample=sample,
            positions=positions,
            spacing=spacing,
        )

    @property
    def n_lesions(self) -> int:
        """Number of lesions, which are the rows of `features`."""
        return len(self.features)

    @property
    def n_samples(self) -> int:
        """Number of samples, which is the length of the table."""
        return len(self.index)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of samples and features, as scikit-learn expects."""
        return self.n_samples, self.features.shape[1]

    @property
    def ndim(self) -> int:
        """Number of dimensions of the feature matrix, always two."""
        return 2

    @property
    def is_single(self) -> bool:
        """Whether every sample has exactly one lesion."""
        return self.n_lesions == self.n_samples

    @property
    def columns(self) -> pd.Index:
        """Names of the features."""
        return self.features.columns

    @property
    def lesion_status(self) -> pd.Series:
        """Status of each lesion: "ok", or what was not measured and why."""
        values = status_of_lesions(self._own_status, self.status, self.sample)
        return pd.Series(values, index=self.features.index, name="lesion_status", dtype=object)

    @property
    def hcr(self) -> pd.DataFrame:
        """Hand-crafted radiomics, one row per lesion."""
        return self.features[self.columns_of("hcr")]

    @property
    def clinical(self) -> pd.DataFrame:
        """Clinical variables, one row per lesion."""
        return self.features[self.columns_of("clinical")]

    @property
    def known(self) -> pd.DataFrame:
        """Hand-crafted radiomics and clinical variables, also those left out, a row per lesion."""
        if not self.embedding_names:
            return self.features
        return self.features[[name for name, kind in self.blocks.items() if kind in BLOCKS]]

    def with_left_out(self) -> LesionTable:
        """Return the table with its columns of the block "left out" among the hand-crafted ones.

        Returns
        -------
        LesionTable
            The table; the same one if nothing was left out.

        Examples
        --------
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"volume": [1.0, 2.0], "energy": [3.0, 4.0]})
        >>> table = LesionTable(frame, blocks={"energy": "left out"})
        >>> list(table.hcr), list(table.with_left_out().hcr)
        (['volume'], ['volume', 'energy'])
        """
        left_out = self.columns_of(LEFT_OUT)
        if not left_out:
            return self
        return self.replace(blocks={**self.blocks, **dict.fromkeys(left_out, "hcr")})

    @property
    def embedding_names(self) -> list[str]:
        """Names of the given embeddings."""
        return embedding_names(self.blocks)

    @property
    def embeddings(self) -> dict[str, pd.DataFrame]:
        """Given embeddings by name, one row per lesion."""
        return {name: self.features[self.columns_of(name)] for name in self.embedding_names}

    def columns_of(self, block: str) -> list[str]:
        """List the columns of a block.

        Parameters
        ----------
        block : str
            "hcr", "clinical", "left out" or the name of an embedding.

        Returns
        -------
        list of str
            The names, in order.
        """
        return [name for name, kind in self.blocks.items() if kind == block]

    def __len__(self) -> int:
        return self.n_samples

    def __iter__(self) -> Iterator[LesionTable]:
        return (self[[position]] for position in range(self.n_samples))

    def _repr_html_(self) -> str:
        """Return the description, the first lesions and their patches for a notebook."""
        frame = self.to_frame()
        table = frame.head(_MOST_SHOWN).to_html(max_cols=_MOST_SHOWN, float_format="{:.4g}".format)
        more = len(frame) - _MOST_SHOWN
        rest = f"<p>… and {more:,} more lesions</p>" if more > 0 else ""
        shown = slice(0, _MOST_SHOWN)
        masks = None if self.masks is None else self.masks[shown]
        names = self.index[self.sample[shown]]
        drawn = "" if self.patches is None else thumbnails(self.patches[shown], masks, names)
        return f"<p>{html.escape(repr(self))}</p>\n{drawn}{table}{rest}"

    def __repr__(self) -> str:
        patches = "no patches"
        if self.patches is not None:
            patches = "patches " + "x".join(map(str, self.patches.shape[1:]))
        failed = int((self.status != "ok").sum())
        tail = f", {failed} failed" if failed else ""
        others = [kind for kind in dict.fromkeys(self.blocks.values()) if kind not in BLOCKS[:2]]
        given = "".join(f"{len(self.columns_of(name))} {name}, " for name in others)
        return (
            f"LesionTable({self.n_samples} samples, {self.n_lesions} lesions, "
            f"{len(self.columns_of('hcr'))} HCR, {len(self.columns_of('clinical'))} clinical, "
            f"{given}{patches}{tail})"
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if not self.is_single:
            raise ValueError(
                f"{self.n_lesions} lesions of {self.n_samples} samples do not form a matrix with "
                "one row per sample: aggregate them first, for instance with "
                "nonredundant.patients.LesionPooling. A tool that makes a matrix of X itself, such "
                "as BaggingClassifier, takes the steps after LesionPooling, and what it returns"
            )
        if copy is False:
            raise ValueError("the feature matrix of a LesionTable is always a copy")
        try:
            return self.features.to_numpy(dtype=np.float64 if dtype is None else dtype)
        except (TypeError, ValueError):
            check_numeric(self.features)
            raise

    def __getitem__(self, key: Any) -> LesionTable:
        if isinstance(key, tuple):
            key, columns = split_key(key, self.features.columns)
            if columns is not None:
                return self.replace(features=self.features.iloc[:, columns])[key]
        rows: Any
        samples: Any
        if self.is_single and isinstance(key, slice):
            samples = rows = key
            sample = np.arange(len(range(*key.indices(self.n_samples))))
        else:
            samples = sample_positions(key, self.n_samples)
            rows, sample = rows_of(self.sample, samples, self.n_samples)
        return LesionTable(
            self.features.iloc[rows],
            blocks=self.blocks,
            patches=take(self.patches, rows),
            masks=take(self.masks, rows),
            sample=sample,
            positions=take(self.positions, rows),
            spacing=take(self.spacing, rows),
            status=self.status.iloc[samples],
            lesion_status=take(self._own_status, rows),
            index=self.index[samples],
            samples=self.samples.iloc[samples],
            provenance=self.provenance,
        )

    def replace(self, **parts: Any) -> LesionTable:
        """Replace some parts; the new table shares the others.

        Parameters
        ----------
        **parts
            Any arguments of the constructor.

        Returns
        -------
        LesionTable
            The new table.

        Examples
        --------
        >>> import numpy as np
        >>> table = LesionTable.from_arrays(patches=np.zeros((2, 1, 8, 8)))
        >>> table.replace(patches=None)
        LesionTable(2 samples, 2 lesions, 0 HCR, 0 clinical, no patches)
        """
        current = self.parts()
        if "features" in parts and "blocks" not in parts:
            columns = parts["features"].columns
            current["blocks"] = {k: v for k, v in self.blocks.items() if k in columns}
        if "index" in parts and "samples" not in parts:
            current["samples"] = self.samples.set_axis(pd.Index(parts["index"]), axis=0)
        return LesionTable(**{**current, **parts})

    def parts(self) -> dict[str, Any]:
        """Return the arguments of the constructor that make an equal table.

        Returns
        -------
        dict
            The arguments; arrays are shared with the table.
        """
        return {name: getattr(self, name) for name in _PARTS} | {"lesion_status": self._own_status}

    def join(self, frame: pd.DataFrame, block: str = "clinical") -> LesionTable:
        """Add columns with one value per sample, repeated for each of its lesions.

        Parameters
        ----------
        frame : DataFrame of shape (n_samples, n_columns)
            One row per sample; brought into the order of the table by its index.
        block : {"clinical", "hcr"}, default="clinical"
            The block that the columns belong to.

        Returns
        -------
        LesionTable
            The new table.

        Raises
        ------
        ValueError
            If the number of rows differs from that of samples, they are labelled otherwise, or a
            column exists already.

        Examples
        --------
        >>> import pandas as pd
        >>> table = LesionTable(pd.DataFrame({"volume": [1.0, 2.0, 3.0]}), sample=[0, 0, 1])
        >>> table.join(pd.DataFrame({"age": [60.0, 70.0]})).features["age"].tolist()
        [60.0, 60.0, 70.0]
        """
        check_length("frame", frame, self.n_samples, "samples")
        frame = align(frame, self.index, "frame")
        taken = [str(name) for name in frame.columns if name in self.blocks]
        if taken:
            raise ValueError(f"the table already has columns of these names: {taken}")
        return self.add_columns(frame.iloc[self.sample], block)

    def add_columns(self, frame: pd.DataFrame, block: str) -> LesionTable:
        """Add columns with one value per lesion, whose rows are those of the table in its order.

        Parameters
        ----------
        frame : DataFrame of shape (n_lesions, n_columns)
            One row per lesion; its index is not looked at.
        block : str
            "hcr", "clinical" or the name of an embedding.

        Returns
        -------
        LesionTable
            The new table.

        Examples
        --------
        >>> import pandas as pd
        >>> table = LesionTable(pd.DataFrame({"volume": [1.0, 2.0]}))
        >>> table.add_columns(pd.DataFrame({"age": [60.0, 70.0]}), "clinical")
        LesionTable(2 samples, 2 lesions, 1 HCR, 1 clinical, no patches)
        """
        added = frame.set_axis(self.features.index, axis=0)
        blocks = {**self.blocks, **dict.fromkeys(frame.columns, block)}
        return self.replace(features=pd.concat([self.features, added], axis=1), blocks=blocks)

    @classmethod
    def concat(cls, tables: Sequence[LesionTable]) -> LesionTable:
        """Concatenate the samples of tables with the same columns, in any order, and patches.

        Parameters
        ----------
        tables : sequence of LesionTable
            The tables; a part is kept only if every table has it.

        Returns
        -------
        LesionTable
            The concatenated table, with the provenance of the first.

        Raises
        ------
        ValueError
            If there is no table, or the columns or their blocks differ.

        Examples
        --------
        >>> import pandas as pd
        >>> one = LesionTable(pd.DataFrame({"volume": [1.0]}), index=["anna"])
        >>> two = LesionTable(pd.DataFrame({"volume": [2.0]}), index=["bert"])
        >>> LesionTable.concat([one, two]).index.tolist()
        ['anna', 'bert']
        """
        return cls(**concatenated_parts(tables))

    def to_frame(self) -> pd.DataFrame:
        """Convert to a data frame with one row per lesion: number, status, position, features.

        Returns
        -------
        DataFrame of shape (n_lesions, n_features + 3 or more)
            Index: the label of the sample. Columns `lesion` (0, 1, … within the sample), `status`,
            `lesion_status` if it differs from that of the sample for any lesion, `position_z`, …
            in mm if known, then the features.
        """
        head = pd.DataFrame(leading_columns(self), index=self.features.index)
        return pd.concat([head, self.features], axis=1)

    def save(self, path: Any) -> None:
        """Write the table to an uncompressed `.npz` file, without pickle.

        Parameters
        ----------
        path : str or path-like
            The file; `.npz` is appended if missing.

        Raises
        ------
        TypeError
            If features are not numbers, the samples are labelled by other things than text,
            numbers and dates, or the provenance contains other than JSON types.
        """
        save_arrays(self.parts() | {"lesion_status": self.lesion_status}, path)

    @classmethod
    def load(cls, path: Any, *, mmap: bool = False) -> LesionTable:
        """Load a table that was written by `save`.

        Parameters
        ----------
        path : str or path-like
            The file.
        mmap : bool, default=False
            Memory-map patches and masks instead of reading them.

        Returns
        -------
        LesionTable
            The table, bitwise equal to the saved one.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is not a saved table.

        Examples
        --------
        >>> import numpy as np, tempfile, pathlib
        >>> table = LesionTable.from_arrays(patches=np.ones((2, 1, 8, 8)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table.save(pathlib.Path(folder) / "lesions.npz")
        ...     LesionTable.load(pathlib.Path(folder) / "lesions.npz")
        LesionTable(2 samples, 2 lesions, 0 HCR, 0 clinical, patches 1x8x8)
        """
        return cls(**load_arrays(path, mmap=mmap))

    @classmethod
    def open(cls, path: Any) -> LesionTable:
        """Open a store that was written by `RadiomicsExtractor.to_store`.

        Features are read; patches and masks stay on the disk and are read, and decompressed,
        where they are used: selections, copies and pickles of the table hold their paths.

        Parameters
        ----------
        path : str or path-like
            The folder of the store.

        Returns
        -------
        LesionTable
            The complete samples, in the order of the case tables that were asked for. It does not
            change when samples are added to the store later.

        Raises
        ------
        FileNotFoundError
            If there is no such folder.
        ValueError
            If the folder is no store, or the store is damaged.
        ImportError
            If the extra `store` is not installed.

        Notes
        -----
        `patches` and `masks` are `nonredundant.lesions.stored_array.StoredArray`: indexing them
        gives arrays. A process keeps the last 384 MiB that it has decoded.

        Examples
        --------
        >>> import numpy as np, pandas as pd, tempfile
        >>> from nonredundant import RadiomicsExtractor
        >>> image = np.random.default_rng(0).normal(size=(12, 12, 12))
        >>> mask = np.zeros(image.shape)
        >>> mask[3:9, 3:9, 3:9] = 1
        >>> cases = pd.DataFrame({"image": [image], "mask": [mask]}, index=["anna"])
        >>> extractor = RadiomicsExtractor(bin_count=8, feature_classes=["firstorder"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = extractor.to_store(cases, f"{folder}/lesions")
        ...     table = LesionTable.open(f"{folder}/lesions")
        ...     table, table.patches[0].shape
        (LesionTable(1 samples, 1 lesions, 18 HCR, 0 clinical, patches 1x32x32x32), (1, 32, 32, 32))
        """
        return cls(**open_store(path))
