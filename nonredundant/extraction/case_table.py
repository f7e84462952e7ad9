"""Read the case table: check it, resolve its image and mask cells, encode clinical columns."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from nonredundant.io.images import describe
from nonredundant.lesions.features import describe_odd_cells, non_numeric_columns
from nonredundant.utils.close_names import suggest_names


@dataclass(frozen=True)
class Sources:
    """Image, mask and spacing of one row of the case table, with resolved paths.

    `whole` is True if the table has no masks, so that images are measured whole. `notes` are what
    is to be told of a mask that has been read before.
    """

    image: Any
    mask: Any = None
    spacing: Any = None
    whole: bool = False
    notes: Any = None

    @property
    def files(self) -> list[Any]:
        """The cells that are read: image and mask, without empty ones."""
        return [one for one in (self.image, self.mask) if one is not None]


@dataclass(frozen=True)
class ImageSources:
    """Several images of one row of the case table, by their names, in the order of the names.

    `shared` is True if all of them have one mask, which is drawn on the image `drawn_on`. An image
    that is missing has an empty cell.
    """

    parts: dict[str, Sources]
    shared: bool
    drawn_on: str

    @property
    def first(self) -> Sources:
        """The first image with its mask."""
        return next(iter(self.parts.values()))

    @property
    def image(self) -> Any:
        """The first image."""
        return self.first.image

    @property
    def spacing(self) -> Any:
        """The voxel size that is given for the first image."""
        return self.first.spacing

    @property
    def whole(self) -> bool:
        """Whether images are measured whole."""
        return self.first.whole

    @property
    def files(self) -> list[Any]:
        """The cells that are read, each once."""
        every = [cell for part in self.parts.values() for cell in part.files]
        return list({id(cell): cell for cell in every}.values())


def check_case_table(
    X: Any,
    clinical: Iterable[str] = (),
    *,
    whole_image: bool = False,
    images: Sequence[str] = (),
) -> pd.DataFrame:
    """Check the case table; errors list the columns found and wanted.

    `images` are the names of several images per case, each in a column `image_NAME`.
    """
    needed = [f"image_{name}" for name in images] or ["image"]
    wanted = "one row per sample, a column 'image' and a column 'mask'"
    if images:
        wanted = f"one row per sample, the columns {needed} and a column 'mask', or one per image"
    if not isinstance(X, pd.DataFrame):
        shape = f" of shape {X.shape}" if hasattr(X, "shape") else ""
        hint = ""
        if shape and X.ndim == 2:
            hint = "; features become lesions by LesionTable.from_arrays(features=X)"
        raise TypeError(
            f"X must be a case table: a pandas DataFrame with {wanted}; got "
            f"{type(X).__name__}{shape}{hint}"
        )
    found = f"found columns {list(X.columns)}"
    missing = [name for name in (*needed, *clinical) if name not in X.columns]
    if missing:
        instead = "" if images else _instead_of_images(X)
        raise ValueError(
            f"the case table lacks the columns {missing}: {found}; it needs {wanted}"
            f"{instead}{suggest_names(set(missing) - {'image'}, X.columns)}"
        )
    _check_unique(X)
    if images:
        _check_image_columns(X, images, whole_image)
    else:
        _check_mask_column(X, whole_image)
    return X


def _check_unique(X: pd.DataFrame) -> None:
    """Raise if the table has no rows, or columns or samples of one name."""
    found = f"found columns {list(X.columns)}"
    if not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()].unique().tolist()
        raise ValueError(f"the case table has several columns of the same name: {twice}")
    if not len(X):
        raise ValueError(f"the case table has no rows ({found}): the selection of it is empty")
    if not X.index.is_unique:
        labels = X.index[X.index.duplicated()].unique().tolist()
        raise ValueError(
            f"the case table's index names {len(labels)} samples more than once: {labels[:5]}; "
            "if these are patients with several images, use X.reset_index() and pass the column "
            "of their ids as groups=, so that no patient is on both sides of a split"
        )


def _check_image_columns(X: pd.DataFrame, images: Sequence[str], whole_image: bool) -> None:
    """Raise unless it is clear which masks belong to several images."""
    own = [f"mask_{name}" for name in images]
    masks = [name for name in ("mask", *own) if name in X.columns]
    if "image" in X.columns:
        raise ValueError(
            f"the case table has a column 'image' beside those of images={list(images)}; rename "
            "it to image_NAME and add the name to `images`, or drop it"
        )
    if whole_image:
        if masks:
            raise ValueError(
                f"whole_image=True measures images without masks, but the case table has {masks}; "
                "drop these columns, or set whole_image=False to measure the lesions"
            )
        return
    if len(masks) == 1 or masks == own:
        return
    remedy = (
        "give 'mask' alone for lesions drawn on the first image, one of "
        f"{own} alone for lesions drawn on that image, or all of these for masks of their own"
    )
    if not masks:
        remedy += ", or set RadiomicsExtractor(whole_image=True) to measure whole images"
    raise ValueError(f"the case table has the masks {masks} of the images {list(images)}; {remedy}")


def _instead_of_images(X: pd.DataFrame) -> str:
    """Say what a table without the column 'image' may be meant to be; empty if it has one."""
    if "image" in X.columns:
        return ""
    alike = _alike(X, _IMAGE_NAMES)
    if alike:
        return f"; rename {alike[0]!r} to 'image', if it holds the images"
    return "; a table of features becomes lesions by LesionTable(X)"


def _alike(X: pd.DataFrame, names: frozenset[str]) -> list[str]:
    """List the columns of these names, whatever their case."""
    return [one for one in X.columns if isinstance(one, str) and one.strip().lower() in names]


def _check_mask_column(X: pd.DataFrame, whole_image: bool) -> None:
    """Raise unless the table has masks, or images are to be measured whole; never guess."""
    if "mask" in X.columns:
        if whole_image:
            raise ValueError(
                "whole_image=True measures images without masks, but the case table has a column "
                "'mask'; drop the column, or set whole_image=False to measure the lesions"
            )
        return
    if whole_image:
        return
    alike = _alike(X, _MASK_NAMES)
    rename = f"rename {alike[0]!r} to 'mask'; or " if alike else "add it; or "
    found = f"columns that may be meant: {alike}; " if alike else ""
    raise ValueError(
        f"the case table has no column 'mask' ({found}found columns {list(X.columns)}); {rename}"
        "set RadiomicsExtractor(whole_image=True) to measure whole images"
    )


def read_rows(X: pd.DataFrame, root: Any = None) -> list[Sources]:
    """Read the image, mask and spacing of each row; relative paths start from `root`.

    Relative paths that leave `root` are refused, so that a table from elsewhere reads no other
    files by them. Absolute paths are visible as such, and are taken as they are.
    """
    n = len(X)
    if root is not None:
        _check_inside(X, root)
    whole = "mask" not in X.columns
    images = X["image"].tolist()
    masks = X["mask"].tolist() if "mask" in X.columns else [None] * n
    spacings = X["spacing"].tolist() if "spacing" in X.columns else [None] * n
    # A worker process may be of an earlier call, from another working directory.
    base = Path.cwd() if root is None else Path(root).expanduser().absolute()
    return [
        Sources(_resolved(image, base), _resolved(mask, base), _present(spacing), whole)
        for image, mask, spacing in zip(images, masks, spacings, strict=True)
    ]


def read_image_rows(X: pd.DataFrame, images: Sequence[str], root: Any = None) -> list[ImageSources]:
    """Read several images of each row, their masks and spacings; see `read_rows`.

    A row has one mask if the table has one column of masks. That of `mask` is drawn on the first
    image, that of `mask_NAME` on the image of this name.
    """
    if root is not None:
        _check_inside(X, root)
    base = Path.cwd() if root is None else Path(root).expanduser().absolute()
    masks = [name for name in ("mask", *(f"mask_{one}" for one in images)) if name in X.columns]
    shared = len(masks) < 2
    drawn_on = masks[0].removeprefix("mask_") if masks and masks[0] != "mask" else images[0]

    columns = [
        zip(
            _cells(X, f"image_{name}"),
            _cells(X, *masks) if shared else _cells(X, f"mask_{name}"),
            _cells(X, f"spacing_{name}", "spacing"),
            strict=True,
        )
        for name in images
    ]
    rows = []
    for found in zip(*columns, strict=True):
        # One object, so that a mask that several images share is read, and compared, as one.
        drawn = _resolved(found[0][1], base)
        parts = {
            name: Sources(
                _resolved(image, base),
                drawn if shared else _resolved(mask, base),
                _present(spacing),
                not masks,
            )
            for name, (image, mask, spacing) in zip(images, found, strict=True)
        }
        rows.append(ImageSources(parts, shared, drawn_on))
    return rows


def _cells(X: pd.DataFrame, *names: str) -> list[Any]:
    """Return the cells of the first of some columns that the table has; empty ones without."""
    name = next((one for one in names if one in X.columns), None)
    return [None] * len(X) if name is None else X[name].tolist()


def case_name(label: Any, sources: Sources | ImageSources) -> str:
    """Describe a case by its row label and its files."""
    shown = repr(label) if isinstance(label, str) else str(label)
    if isinstance(sources, ImageSources):
        parts = [
            f"image_{name} {'empty' if one.image is None else describe(one.image)}"
            for name, one in sources.parts.items()
        ]
        drawn = {
            "mask" if sources.shared else f"mask_{name}": one.mask
            for name, one in sources.parts.items()
        }
        parts += [
            f"{name} {'empty' if one is None else describe(one)}"
            for name, one in drawn.items()
            if not sources.whole
        ]
        return f"case {shown} ({', '.join(parts)})"
    empty = "no mask" if sources.whole else "empty mask cell"
    mask = empty if sources.mask is None else f"mask {describe(sources.mask)}"
    image = "image cell empty" if sources.image is None else f"image {describe(sources.image)}"
    return f"case {shown} ({image}, {mask})"


def is_empty_cell(cell: str) -> bool:
    """Check whether a text stands for a missing value."""
    return cell.strip().lower() in _EMPTY_WORDS


def _present(cell: Any) -> Any:
    """Return None for an empty cell, also one with a word for a missing value."""
    if isinstance(cell, str):
        return None if is_empty_cell(cell) else cell
    return None if pd.api.types.is_scalar(cell) and pd.isna(cell) else cell


def _resolved(cell: Any, base: Path) -> Any:
    """Return a cell, or its path joined to the base if it is relative."""
    cell = _present(cell)
    if isinstance(cell, str | Path):
        return base / os.path.normpath(Path(cell).expanduser())
    return cell


def leaves_folder(path: str | Path) -> bool:
    """Check whether a path leads out of the folder that it starts from by its steps upwards.

    Links are not followed: who may place them in a folder decides where they lead.
    """
    return Path(os.path.normpath(Path(path).expanduser())).parts[:1] == ("..",)


def _check_inside(X: pd.DataFrame, root: Any) -> None:
    """Raise if relative paths leave the folder that they start from."""
    outside = [
        f"{label!r}: {name} {str(cell)!r}"
        for name in source_columns(X)
        for label, cell in X[name].items()
        if isinstance(cell, str | Path) and leaves_folder(cell)
    ]
    if outside:
        raise ValueError(
            f"{len(outside)} paths of the case table leave root={str(root)!r}: "
            f"{'; '.join(outside[:5])}; set root to the folder above all images, or give absolute "
            "paths, if this is meant"
        )


#: Names of columns that may hold images under another name than "image".
_IMAGE_NAMES = frozenset(
    "image images image_path img scan scans volume ct pet mr mri nifti file files filename path "
    "dicom series".split()
)
#: Names of columns that may hold masks under another name than "mask".
_MASK_NAMES = frozenset(
    "mask masks mask_path segmentation segmentations seg roi rois label_map labelmap rtstruct "
    "contour contours annotation lesion tumor tumour gtv".split()
)
#: Text that stands for a missing value in tables.
_EMPTY_WORDS = frozenset(["", "na", "n/a", "nan", "none", "null", "<na>"])
#: Columns of the case table that hold no clinical variable.
SOURCE_COLUMNS = ("image", "mask", "spacing")
#: The column of the samples that names the images which a case lacks.
MISSING = "missing_images"


def source_columns(X: pd.DataFrame) -> list[str]:
    """List the columns of a case table that hold images, masks and voxel sizes.

    Without a column `image`, those of several images, `image_NAME`, are meant.
    """
    found = [name for name in SOURCE_COLUMNS if name in X.columns]
    if "image" in X.columns:
        return found
    names = [
        one.removeprefix("image_")
        for one in X.columns
        if isinstance(one, str) and one.startswith("image_")
    ]
    several = [f"{kind}_{name}" for kind in SOURCE_COLUMNS for name in names]
    return found + [name for name in several if name in X.columns]


def is_transformer(clinical: Any) -> bool:
    """Check whether `clinical` is a transformer."""
    return hasattr(clinical, "fit")


def listed_columns(clinical: Any) -> list[str]:
    """Return the columns that `clinical` lists."""
    return [] if clinical is None or is_transformer(clinical) else list(clinical)


def clinical_sources(clinical: Any) -> list[Any]:
    """Return the columns of the case table that are clinical variables, as far as is known."""
    if not is_transformer(clinical):
        return listed_columns(clinical)
    parts = getattr(clinical, "transformers_", getattr(clinical, "transformers", ()))
    found: list[Any] = []
    for _, transformer, columns in parts:
        if isinstance(columns, str):
            columns = [columns]
        # Callables, masks and slices select by what the table holds.
        if transformer not in ("drop", "remainder") and _are_names(columns):
            found += list(columns)
    return found


def _are_names(columns: Any) -> bool:
    """Check whether columns are listed by name."""
    listed = isinstance(columns, list | tuple | np.ndarray | pd.Index)
    return listed and all(isinstance(name, str) for name in columns)


def fit_transform_clinical(
    clinical: Any, X: pd.DataFrame, y: Any
) -> tuple[Any, pd.DataFrame | None]:
    """Fit a clone of a transformer and encode the rows that it is fitted on; a list needs no fit.

    `fit_transform` of an encoder that sees labels, such as `TargetEncoder`, encodes no row by its
    own label, which `fit` and then `transform` of the same rows would do.
    """
    if not is_transformer(clinical):
        return clinical, transform_clinical(clinical, X)
    _check_clinical_columns(clinical, X)
    fitted, rows = clone(clinical), _table(X)
    with _naming_cells(clinical, X):
        if hasattr(fitted, "fit_transform"):
            values = fitted.fit_transform(rows, y)
        else:
            values = fitted.fit(rows, y).transform(rows)
    return fitted, _encoded(fitted, values, X)


def transform_clinical(clinical: Any, X: pd.DataFrame) -> pd.DataFrame | None:
    """Compute the clinical variables of each sample as numbers; None if there are none."""
    if clinical is None:
        return None
    _check_clinical_columns(clinical, X)
    if not is_transformer(clinical):
        check_cells(X, clinical)
        return _numbers(X[list(clinical)], "encode them with clinical=ColumnTransformer(...)")
    with _naming_cells(clinical, X):
        values = clinical.transform(_table(X))
    return _encoded(clinical, values, X)


def _encoded(clinical: Any, values: Any, X: pd.DataFrame) -> pd.DataFrame:
    """Return what a transformer gave for the rows as a frame of numbers."""
    if not isinstance(values, pd.DataFrame):
        dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
        values = pd.DataFrame(dense, columns=clinical.get_feature_names_out())
    return _numbers(values.set_axis(X.index, axis=0), "use a transformer that returns numbers")


def sample_columns(X: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the case table that describe its samples.

    Paths become text. Columns with images, arrays and other objects in memory are left out.
    """
    written = {
        name: X[name].map(lambda cell: str(cell) if isinstance(cell, Path) else cell)
        for name in X.columns
        if X[name].map(_is_description).all()
    }
    return pd.DataFrame(written, index=X.index)


def _is_description(cell: Any) -> bool:
    """Check whether a cell is text, a path, a number, a date or empty."""
    return isinstance(cell, Path) or pd.api.types.is_scalar(cell)


def check_cells(X: pd.DataFrame, columns: Iterable[Any], what: str = "clinical columns") -> None:
    """Raise if cells of columns are arrays, lists or other objects, not one value per case."""
    for name in columns:
        cells = X[name] if name in X.columns else pd.Series(dtype=object)
        odd = cells[~cells.map(_is_description).astype(bool)]
        if len(odd):
            raise ValueError(
                f"{what} must have one value per case, but {name!r} has a "
                f"{type(odd.iloc[0]).__name__} in {len(odd)} of {len(cells)} cells, the first "
                f"in case {odd.index[0]!r}: write each value to a column of its own, or drop the "
                "column"
            )


def columns_read(clinical: Any, X: pd.DataFrame) -> list[Any]:
    """Return the columns that clinical variables may be made from: all that no name excludes."""
    parts = getattr(clinical, "transformers", None)
    if is_transformer(clinical) and (
        parts is None
        or getattr(clinical, "remainder", "drop") != "drop"
        or not all(isinstance(names, str) or _are_names(names) for *_, names in parts)
    ):
        return list(_table(X).columns)
    return clinical_sources(clinical)


def _check_clinical_columns(clinical: Any, X: pd.DataFrame) -> None:
    """Raise if the table lacks clinical columns."""
    missing = [name for name in clinical_sources(clinical) if name not in X.columns]
    if missing:
        raise ValueError(
            f"the case table lacks the clinical columns {missing}: found columns {list(X.columns)}"
            f"{suggest_names(missing, X.columns)}"
        )


@contextlib.contextmanager
def _naming_cells(clinical: Any, X: pd.DataFrame) -> Iterator[None]:
    """Name the cells that are no number in the error of a transformer that needs numbers."""
    try:
        yield
    except ValueError as error:
        columns = _failing_columns(clinical, X) if hasattr(clinical, "transformers") else []
        odd = [found for name in columns if (found := describe_odd_cells(X[name], mostly=False))]
        if not odd:
            raise
        raise ValueError(
            f"clinical columns of numbers have other cells: {'; '.join(odd)}; correct them, or "
            "leave unknown cells empty"
        ) from error


def _failing_columns(clinical: Any, X: pd.DataFrame) -> list[Any]:
    """List the columns of the parts of a ColumnTransformer that cannot convert them."""
    fitted = hasattr(clinical, "transformers_")
    found: list[Any] = []
    for _, one, columns in clinical.transformers_ if fitted else clinical.transformers:
        if not hasattr(one, "fit") or not _are_names(columns):
            continue
        try:
            one.transform(X[list(columns)]) if fitted else clone(one).fit(X[list(columns)])
        except ValueError:
            found += list(columns)
    return found


def clinical_names(clinical: Any) -> list[str]:
    """Return the names of the clinical variables that `transform_clinical` returns."""
    if clinical is None:
        return []
    if is_transformer(clinical):
        return [str(name) for name in clinical.get_feature_names_out()]
    return list(clinical)


def _table(X: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the case table that are not images, masks or spacings.

    Which images a case lacks says how it was collected, and is no clinical variable.
    """
    return X.drop(columns=[*source_columns(X), *([MISSING] if MISSING in X.columns else [])])


def _numbers(frame: pd.DataFrame, remedy: str) -> pd.DataFrame:
    """Convert the columns to floats, or raise an error that names those that are not numbers."""
    odd = [found for name in frame.columns if (found := describe_odd_cells(frame[name]))]
    if odd:
        raise ValueError(f"clinical columns of numbers have other cells: {'; '.join(odd)}")
    words = [
        describe_odd_cells(frame[name], mostly=False) or f"{name} ({frame[name].dtype})"
        for name in non_numeric_columns(frame)
    ]
    if words:
        raise ValueError(
            f"clinical columns must be numbers, but these are not: {'; '.join(words)}; {remedy}"
        )
    return frame.astype(np.float64)
