"""Volume and uptake of lesions, and the mean over the lesions of each sample."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nonredundant.lesions.images import find_column
from nonredundant.lesions.stored_array import map_rows
from nonredundant.lesions.table import LesionTable

#: pyradiomics' features with the volume of a lesion in mm³ (in 2-D the area in mm²), the
#: preferred one first.
VOLUME_COLUMNS = (
    "original_shape_VoxelVolume",
    "original_shape_MeshVolume",
    "original_shape2D_PixelSurface",
    "original_shape2D_MeshSurface",
)
_MAXIMUM = "original_firstorder_Maximum"
#: End of the name of a volume as it was measured, beside the column that a step has changed.
MEASURED = " (measured)"


def volume_column(table: LesionTable) -> str | None:
    """Return the name of pyradiomics' feature with the volumes, None if there is none.

    Of masks for several images, the volume of the first one is meant.
    """
    found = (find_column(table, name) for name in VOLUME_COLUMNS)
    return next((name for name in found if name is not None), None)


def lesion_volumes(table: LesionTable, column: str | None = None) -> np.ndarray:
    """Return the volume of each lesion in mm³, in 2-D its area in mm².

    Parameters
    ----------
    table : LesionTable
        The lesions.
    column : str or None, default=None
        The feature with the volumes, as it was measured if a harmonisation has changed it. None:
        that of pyradiomics, else the size of the mask (its number of voxels if the table has no
        spacing).

    Returns
    -------
    array of shape (n_lesions,)
        The volumes.

    Raises
    ------
    ValueError
        If the column is not in the table, or the volumes are unknown.
    """
    if column is not None and column not in table.blocks:
        raise ValueError(f"volume_column={column!r} is not among the table's features")
    column = column or volume_column(table)
    if column is not None:
        measured = f"{column}{MEASURED}"
        name = measured if measured in table.blocks else column
        return table.features[name].to_numpy(dtype=np.float64)
    if table.masks is not None:
        voxel = 1.0 if table.spacing is None else table.spacing.prod(axis=1)
        voxels = map_rows(lambda part: part.reshape(len(part), -1).sum(axis=1), table.masks)
        return voxels * voxel
    raise ValueError(
        "the volumes of the lesions are not known: the table has no masks and none of the "
        f"columns {', '.join(VOLUME_COLUMNS)}; name one with volume_column"
    )


def size_and_uptake(table: LesionTable) -> pd.DataFrame:
    """Compute the total volume and maximum intensity of each sample; NaN if unknown."""
    volume = np.full(table.n_lesions, np.nan)
    if volume_column(table) is not None or table.masks is not None:
        volume = lesion_volumes(table)
    maximum = np.full(table.n_lesions, np.nan)
    column = find_column(table, _MAXIMUM)
    if column is not None:
        maximum = table.features[column].to_numpy(dtype=np.float64)
    elif table.patches is not None:
        maximum = map_rows(_highest, table.patches, table.masks)
        maximum = np.where(np.isfinite(maximum), maximum, np.nan)
    grouped = pd.DataFrame({"volume": volume, "maximum": maximum}).groupby(table.sample)
    return pd.DataFrame(
        {"volume": grouped["volume"].sum(min_count=1), "maximum": grouped["maximum"].max()}
    ).set_axis(table.index, axis=0)


def _highest(patches: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
    """Return the highest intensity of each lesion in the first channel; -inf without a voxel."""
    first = patches[:, :1]
    inside = np.ones_like(first, dtype=bool) if masks is None else masks
    return np.where(inside, first, -np.inf).reshape(len(first), -1).max(axis=1)


def pool_samples(table: LesionTable, values: pd.DataFrame | np.ndarray) -> pd.DataFrame:
    """Average the rows of each sample's lesions."""
    frame = pd.DataFrame(values)
    if table.is_single:
        return frame.set_axis(table.index, axis=0)
    return frame.groupby(table.sample).mean().set_axis(table.index, axis=0)
