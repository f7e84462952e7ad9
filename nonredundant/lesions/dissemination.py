"""Dissemination of disease: number, volume, uptake and distances of a patient's lesions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nonredundant.lesions.measures import VOLUME_COLUMNS, lesion_volumes, volume_column
from nonredundant.lesions.table import LesionTable

#: The columns of the result.
COLUMNS = ("n_lesions", "tmtv", "tlg", "d_max", "d_max_bulk", "spread", "spread_bulk")
_MEAN = "original_firstorder_Mean"
#: Approximate limit of the number of pairs of lesions that are held in memory at once.
_PAIRS = 2**15


def has_dissemination(table: LesionTable) -> bool:
    """Check that a table has what `dissemination_features` needs: positions and volumes."""
    return table.positions is not None and volume_column(table) is not None


def dissemination_features(table: LesionTable) -> pd.DataFrame:
    """Compute patient-level features of the spread of disease.

    Volumes are in ml, distances between centroids in mm, and `tlg` in SUV·ml if the image is in
    SUV. In 2-D images, areas in cm² replace volumes.

    ============ ==================================================================== ======
    column       definition                                                           source
    ============ ==================================================================== ======
    n_lesions    number of lesions                                                    [1]_
    tmtv         total metabolic tumour volume: the sum of the lesions' volumes       [2]_
    tlg          total lesion glycolysis: the sum of volume × mean uptake             [3]_
    d_max        largest distance between two lesions                                 [1]_
    d_max_bulk   largest distance of a lesion from the largest lesion                 [1]_
    spread       largest sum of the distances of one lesion to all other lesions      [1]_
    spread_bulk  sum of the distances of all lesions from the largest lesion          [1]_
    ============ ==================================================================== ======

    Parameters
    ----------
    table : LesionTable
        Lesions with `positions`, features of the shape class (voxel volume, else mesh volume; in
        2-D pixel surface, else mesh surface) and, for `tlg`, the first-order mean.

    Returns
    -------
    DataFrame of shape (n_samples, 7)
        One row per sample. Distances are 0 for a single lesion. If several lesions are the
        largest, the values of each are averaged, so that the order of lesions does not matter.
        All values are NaN for a failed sample, and `tlg` if the mean of any lesion is unknown.

    Raises
    ------
    ValueError
        If the table has no positions or no volumes.

    References
    ----------
    .. [1] Cottereau et al. 2020, J. Nucl. Med. 61(1), 40-45, doi 10.2967/jnumed.119.229450.
    .. [2] Meignan et al. 2016, J. Clin. Oncol. 34(30), 3618-3626, doi 10.1200/JCO.2016.66.9440.
    .. [3] Larson et al. 1999, Clin. Positron Imaging 2(3), 159-171,
       doi 10.1016/S1095-0397(99)00016-3.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable
    >>> frame = pd.DataFrame({
    ...     "original_shape_VoxelVolume": [3000.0, 1000.0, 2000.0],
    ...     "original_firstorder_Mean": [5.0, 4.0, 6.0],
    ... })
    >>> places = np.array([[0.0, 0, 0], [0, 30, 40], [0, 0, 0]])
    >>> table = LesionTable(frame, sample=[0, 0, 1], positions=places, index=["anna", "bert"])
    >>> dissemination_features(table).loc["anna"].to_dict()
    {'n_lesions': 2.0, 'tmtv': 4.0, 'tlg': 19.0, 'd_max': 50.0, 'd_max_bulk': 50.0,
     'spread': 50.0, 'spread_bulk': 50.0}
    """
    # An earlier step may have imputed values that were never measured, so the status of lesions
    # and samples decides, not the values.
    volume = lesion_sizes(table)
    mean = np.full(len(volume), np.nan)
    if _MEAN in table.features.columns:
        measured = (table.lesion_status == "ok").to_numpy()
        mean = np.where(measured, table.features[_MEAN].to_numpy(dtype=np.float64), np.nan)
    places = np.asarray(table.positions)
    unknown = np.bincount(table.sample, np.isnan(volume), table.n_samples) > 0
    known = (table.status == "ok").to_numpy() & ~unknown
    starts = np.searchsorted(table.sample, np.arange(table.n_samples + 1))
    counts = np.diff(starts)
    values = np.full((table.n_samples, len(COLUMNS)), np.nan)
    for n in np.unique(counts[known]):
        chosen = np.flatnonzero(known & (counts == n))
        step = max(1, _PAIRS // n**2)
        for part in (chosen[i : i + step] for i in range(0, len(chosen), step)):
            rows = starts[part][:, None] + np.arange(n)
            values[part] = _rows_of_patients(volume[rows], mean[rows], places[rows])
    return pd.DataFrame(values, index=table.index, columns=list(COLUMNS))


def lesion_sizes(table: LesionTable) -> np.ndarray:
    """Return the volume of each lesion in ml, in 2-D its area in cm².

    Raises
    ------
    ValueError
        If the table has no positions, which dissemination also needs, or no volumes.
    """
    if table.positions is None:
        raise ValueError(
            "dissemination needs the lesions' positions, which the table lacks: extract it with "
            "RadiomicsExtractor, or give LesionTable their centroids in mm (positions=)"
        )
    column = volume_column(table)
    if column is None:
        raise ValueError(
            f"dissemination needs the volume of each lesion: none of {list(VOLUME_COLUMNS)} is "
            "among the features; extract the feature class 'shape'"
        )
    return lesion_volumes(table, column) / (100.0 if "_shape2D_" in column else 1000.0)


def _rows_of_patients(volume: np.ndarray, mean: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Compute the rows of patients with the same number of lesions."""
    distance = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)
    farthest, total = distance.max(axis=2), distance.sum(axis=2)
    bulk = volume == volume.max(axis=1, keepdims=True)
    return np.column_stack(
        [
            np.full(len(volume), volume.shape[1]),
            volume.sum(axis=1),
            (volume * mean).sum(axis=1),
            farthest.max(axis=1),
            farthest.mean(axis=1, where=bulk),
            total.max(axis=1),
            total.mean(axis=1, where=bulk),
        ]
    )
