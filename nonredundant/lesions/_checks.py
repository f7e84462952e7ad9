"""Checks and index arithmetic of a `LesionTable`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pandas as pd

from nonredundant.lesions.labels import align
from nonredundant.lesions.numbers import as_numbers
from nonredundant.lesions.stored_array import StoredArray
from nonredundant.utils.close_names import suggest_names
from nonredundant.utils.user_warnings import warn_user

#: Columns of pyradiomics that describe the extraction, not the lesion.
_DIAGNOSTICS = "diagnostics_"


def read_features(features: Any) -> pd.DataFrame:
    """Return features as numbers where they are, without the diagnostics of pyradiomics.

    Raises
    ------
    TypeError
        If features are no data frame.
    """
    if not isinstance(features, pd.DataFrame):
        raise TypeError(
            "features must be a DataFrame with one row per lesion, got "
            f"{type(features).__name__}; an array is read by "
            "LesionTable.from_arrays(features=array), a saved table by LesionTable.load(path)"
        )
    drop = [name for name in features.columns if str(name).startswith(_DIAGNOSTICS)]
    if not drop:
        return as_numbers(features)
    warn_user(
        f"{len(drop)} columns of pyradiomics that describe the extraction, not the lesion, are "
        f"left out: {drop[0]}{', …' if len(drop) > 1 else ''}"
    )
    return as_numbers(features.drop(columns=drop))


def non_numeric_columns(frame: pd.DataFrame) -> list[str]:
    """List the columns that are neither real numbers nor booleans."""
    return [
        str(name)
        for name, dtype in frame.dtypes.items()
        if pd.api.types.is_complex_dtype(dtype)
        or not (pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype))
    ]


def in_rows(features: pd.DataFrame) -> pd.DataFrame:
    """Store numbers row by row, however the frame was made.

    Sums in another order differ by rounding, which an ill-conditioned regression enlarges.
    """
    if not (features.dtypes == np.float64).all():
        return features
    values = features.to_numpy()
    if values.flags.c_contiguous:
        return features
    values = np.ascontiguousarray(values)
    return pd.DataFrame(values, index=features.index, columns=features.columns, copy=False)


def check_numeric(features: pd.DataFrame) -> None:
    """Raise if a feature is not numeric."""
    names = non_numeric_columns(features)
    if names:
        raise ValueError(
            f"features must be numbers, but {len(names)} columns are not: {names[:10]}; drop "
            "those that describe the case, and encode categories, for instance with "
            "RadiomicsExtractor(clinical=ColumnTransformer(...))"
        )


def check_sample(sample: Any, n_lesions: int) -> np.ndarray:
    """Check that the sample positions of the lesions ascend from 0 without a gap."""
    if sample is None:
        return np.arange(n_lesions)
    array = np.asarray(sample)
    check_length("sample", array, n_lesions, "lesions")
    if n_lesions == 0:
        return array.astype(np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError("sample must be a vector of integer positions")
    steps = np.diff(array)
    if array[0] != 0 or (steps < 0).any() or (steps > 1).any():
        raise ValueError(
            "sample must start at 0, ascend and leave no sample without a lesion, got "
            f"{array[:10].tolist()}{'…' if n_lesions > 10 else ''}"
        )
    return array.astype(np.int64, copy=False)


def check_samples(samples: pd.DataFrame | None, index: pd.Index) -> pd.DataFrame:
    """Return the columns of the samples in the order of the index; none by default.

    Raises
    ------
    TypeError
        If they are no data frame.
    ValueError
        If their number differs, they are labelled otherwise, or two columns have one name.
    """
    if samples is None:
        return pd.DataFrame(index=index)
    if not isinstance(samples, pd.DataFrame):
        raise TypeError(
            "samples must be a DataFrame with one row per sample, got " + type(samples).__name__
        )
    check_length("samples", samples, len(index), "samples")
    samples = samples.set_axis([str(name) for name in samples.columns], axis=1)
    if samples.columns.has_duplicates:
        twice = samples.columns[samples.columns.duplicated()].tolist()
        raise ValueError(f"samples has several columns of the same name: {twice}")
    return align(samples, index, "samples").set_axis(index, axis=0)


def check_length(name: str, value: Any, expected: int, unit: str) -> None:
    """Raise unless the part has one entry per lesion or sample."""
    if len(value) != expected:
        raise ValueError(f"{name} has {len(value)} rows but the table has {expected} {unit}")


def check_part(name: str, value: Any, n_lesions: int, dtype: Any) -> np.ndarray | None:
    """Check the length of an array and convert it to the dtype, without a copy if possible.

    An array of a store is not read.
    """
    if value is None:
        return None
    array = value if isinstance(value, np.ndarray | StoredArray) else np.asarray(value)
    check_length(name, array, n_lesions, "lesions")
    return cast(np.ndarray, array.astype(dtype, copy=False))


def check_grids(patches: np.ndarray | None, masks: np.ndarray | None) -> None:
    """Raise unless patches and masks lie on the same 2-D or 3-D grid."""
    for name, part in (("patches", patches), ("masks", masks)):
        if part is not None and part.ndim not in (4, 5):
            raise ValueError(
                f"{name} must have the shape (n_lesions, C, H, W) or (n_lesions, C, D, H, W), "
                f"got {part.shape}{_add_channel(name, part)}"
            )
    if masks is not None and masks.shape[1] != 1:
        raise ValueError(f"masks must have one channel, got the shape {masks.shape}")
    if patches is not None and masks is not None and patches.shape[2:] != masks.shape[2:]:
        raise ValueError(
            f"patches and masks lie on different grids: {patches.shape[2:]} and {masks.shape[2:]}"
        )


def _add_channel(name: str, part: np.ndarray) -> str:
    """Say how to add the axis of channels, if it may be all that is missing."""
    return f"; a single channel is added by {name}[:, None]" if part.ndim == 3 else ""


def check_same_columns(first: pd.Index, other: pd.Index) -> None:
    """Raise unless two tables have the same columns, in any order."""
    missing, added = first.difference(other).tolist(), other.difference(first).tolist()
    if missing or added:
        raise ValueError(
            f"the tables have different columns: missing in the second {missing[:5]} "
            f"({len(missing)} in all), in the second alone {added[:5]} ({len(added)} in all); "
            "extract both with the same settings"
        )


def check_same_blocks(first: Mapping[str, str], other: Mapping[str, str]) -> None:
    """Raise unless two tables have the same columns in the same blocks."""
    moved = [name for name, block in first.items() if other[name] != block]
    if moved:
        raise ValueError(
            f"the tables have {len(moved)} columns in different blocks, such as {moved[0]!r} in "
            f"{first[moved[0]]!r} and {other[moved[0]]!r}; make both with the same blocks, and "
            "embeddings=... in both"
        )


def check_status(value: Any, status: pd.Series, sample: np.ndarray) -> np.ndarray | None:
    """Return the status of each lesion, "ok" where it equals that of its sample.

    None if all lesions have the status of their sample.
    """
    if value is None:
        return None
    check_length("lesion_status", value, len(sample), "lesions")
    own = np.asarray(value, dtype=object)
    own = np.where(own == status.to_numpy()[sample], "ok", own)
    return own if (own != "ok").any() else None


def status_of_lesions(own: np.ndarray | None, status: pd.Series, sample: np.ndarray) -> np.ndarray:
    """Return the status of each lesion: its own, else that of its sample."""
    inherited = status.to_numpy()[sample]
    return inherited if own is None else np.where(own == "ok", inherited, own)


def named_features(features: Any, n_lesions: int) -> pd.DataFrame:
    """Convert features to a data frame: an array's columns are numbered, None has no columns."""
    if features is None:
        return pd.DataFrame(index=pd.RangeIndex(n_lesions))
    if isinstance(features, pd.DataFrame):
        return features
    array = np.asarray(features)
    if array.ndim != 2:
        raise ValueError(
            f"features must have two dimensions, (n_lesions, n_features), got the shape "
            f"{array.shape}; voxels go to patches"
        )
    return pd.DataFrame(array, columns=[f"feature{i}" for i in range(array.shape[1])])


def split_key(key: tuple[Any, ...], names: pd.Index) -> tuple[Any, Any]:
    """Return the sample key and the feature positions of `table[key, columns]`.

    The positions are None in `table[key]`, `table[key, ...]` and `table[key, :]`.
    """
    whole = slice(None)
    rest = [k for k in key[1:] if k is not Ellipsis and not (isinstance(k, slice) and k == whole)]
    if len(rest) > 1 or not key or (rest and np.isscalar(rest[0])):
        raise IndexError(
            "a LesionTable is indexed by sample alone, or by samples and several features: "
            "table[samples], table[samples, [features]]. Functions that need single features of "
            "all samples, such as partial_dependence, take a model of a matrix or data frame: the "
            "steps after LesionPooling, and what it returns"
        )
    return key[0], _feature_positions(rest[0], names) if rest else None


def _feature_positions(key: Any, names: pd.Index) -> Any:
    """Convert names, positions or a mask of features to a slice or an array."""
    if isinstance(key, slice):
        return key
    array = np.asarray(key)
    if array.dtype.kind not in "UO":
        return array if array.size else array.astype(np.int64)
    found = names.get_indexer(pd.Index(array))
    if (found < 0).any():
        unknown = array[found < 0].tolist()
        raise IndexError(
            f"the table has no features of the names {unknown[:5]}"
            f"{suggest_names(unknown[:5], names)}"
        )
    return found


def sample_positions(key: Any, n_samples: int) -> np.ndarray:
    """Convert a NumPy-style key to integer sample positions."""
    if isinstance(key, str):
        raise IndexError(
            f"a LesionTable is indexed by position, not by the label {key!r}: a sample by "
            f"table[table.index == {key!r}], a feature by table.features[{key!r}]"
        )
    positions = np.arange(n_samples)
    array = key if isinstance(key, slice) else np.asarray(key)
    if isinstance(array, np.ndarray) and array.size == 0 and array.dtype == np.float64:
        array = array.astype(np.int64)
    return np.atleast_1d(positions[array])


def take(part: np.ndarray | None, rows: Any) -> np.ndarray | None:
    """Return rows of a part, as a view if possible; those of a stored array are not read."""
    if isinstance(part, StoredArray):
        return cast(np.ndarray, part.select(rows))
    return None if part is None else part[rows]


def joined(values: list[Any]) -> np.ndarray:
    """Concatenate a part of several tables; those of stores are not read."""
    first, *others = values
    if isinstance(first, StoredArray) and all(first.is_like(other) for other in others):
        return cast(np.ndarray, first.joined(others))
    return np.concatenate(values)


def rows_of(
    sample: np.ndarray, samples: np.ndarray, n_samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lesion rows of the samples in their order, and the new sample of each row."""
    if len(sample) == n_samples:
        return samples, np.arange(len(samples))
    starts = np.searchsorted(sample, np.arange(n_samples + 1))
    counts = np.diff(starts)[samples]
    new = np.repeat(np.arange(len(samples)), counts)
    within = np.arange(len(new)) - np.repeat(np.cumsum(counts) - counts, counts)
    return starts[samples][new] + within, new
