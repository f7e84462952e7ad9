"""Volume and uptake of lesions, and the mean over the lesions of a sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from nonredundant.lesions.table import LesionTable

_VOLUME = ("shape_VoxelVolume", "shape_MeshVolume", "shape2D_PixelSurface", "shape2D_MeshSurface")
_MAXIMUM = ("firstorder_Maximum",)


def pool_samples(table: LesionTable, values: pd.DataFrame | np.ndarray) -> pd.DataFrame:
    """Return one row a sample: the mean over its lesions."""
    frame = pd.DataFrame(values)
    if table.is_single:
        return frame.set_axis(table.index, axis=0)
    return frame.groupby(table.sample).mean().set_axis(table.index, axis=0)


def size_and_uptake(table: LesionTable) -> pd.DataFrame:
    """Return total volume and maximum intensity of each sample, NaN where they are unknown."""
    features = table.features.reset_index(drop=True)
    volume = _first_column(features, _VOLUME)
    if volume is None and table.masks is not None:
        voxel = 1.0 if table.spacing is None else table.spacing.prod(axis=1)
        volume = pd.Series(table.masks.reshape(table.n_lesions, -1).sum(axis=1) * voxel)
    maximum = _first_column(features, _MAXIMUM)
    if maximum is None and table.patches is not None:
        first = table.patches[:, :1]
        inside = np.ones_like(first, dtype=bool) if table.masks is None else table.masks
        top = np.where(inside, first, -np.inf).reshape(table.n_lesions, -1).max(axis=1)
        maximum = pd.Series(np.where(np.isfinite(top), top, np.nan))
    nothing = pd.Series(np.nan, index=features.index)
    columns = {
        "volume": nothing if volume is None else volume,
        "maximum": nothing if maximum is None else maximum,
    }
    grouped = pd.DataFrame(columns).groupby(table.sample)
    total = grouped["volume"].sum(min_count=1)
    return pd.DataFrame({"volume": total, "maximum": grouped["maximum"].max()}).set_axis(
        table.index, axis=0
    )


def _first_column(features: pd.DataFrame, endings: Sequence[str]) -> pd.Series | None:
    """Return the first column of the original image with one of the endings."""
    for ending in endings:
        for name in features.columns:
            if str(name).startswith("original") and str(name).endswith(ending):
                return features[name]
    return None


#: Where the volume of a lesion stands, in order of preference.
VOLUME_COLUMNS = (
    "original_shape_VoxelVolume",
    "original_shape_MeshVolume",
    "original_shape2D_PixelSurface",
    "original_shape2D_MeshSurface",
    "volume",
)


def lesion_volumes(table: LesionTable, column: str | None = None) -> np.ndarray:
    """Return each lesion's volume: a named or known column, or its mask's voxels.

    Raises
    ------
    ValueError
        If there is no such column, and neither a known one nor masks.
    """
    if column is not None and column not in table.blocks:
        raise ValueError(f"volume_column={column!r} is not among the table's features")
    names = [column] if column else [name for name in VOLUME_COLUMNS if name in table.blocks]
    if names:
        return table.features[names[0]].to_numpy(dtype=np.float64)
    if table.masks is not None:
        voxel = 1.0 if table.spacing is None else table.spacing.prod(axis=1)
        return table.masks.reshape(table.n_lesions, -1).sum(axis=1) * voxel
    raise ValueError(
        "the volumes of the lesions are not known: the table has no masks and none of the "
        f"columns {', '.join(VOLUME_COLUMNS)}; name one with volume_column"
    )
