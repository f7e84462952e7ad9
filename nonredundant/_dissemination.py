"""How many lesions a patient has, how much they take up and how far apart they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from nonredundant.lesions import LesionTable

_VOLUMES = ("original_shape_MeshVolume", "original_shape_VoxelVolume")
_MEAN = "original_firstorder_Mean"
_MM3_PER_ML = 1000.0
#: The columns, in order.
DISSEMINATION = ("n_lesions", "tmtv", "tlg", "d_max", "d_max_bulk", "spread", "spread_bulk")


def has_dissemination(table: LesionTable) -> bool:
    """Whether a table knows what `dissemination_features` needs: positions and volumes."""
    return table.positions is not None and any(name in table.blocks for name in _VOLUMES)


def dissemination_features(table: LesionTable) -> pd.DataFrame:
    """Return patient-level features of how disease is spread.

    Volumes are in ml, distances in mm between centroids. SUV in the image make `tlg` SUV·ml.

    ============ ==================================================================== ======
    column       definition                                                           source
    ============ ==================================================================== ======
    n_lesions    number of lesions                                                    [1]_
    tmtv         total metabolic tumour volume: the sum of the lesions' volumes       [2]_
    tlg          total lesion glycolysis: the sum of volume × mean uptake             [3]_
    d_max        largest distance between two lesions                                 [1]_
    d_max_bulk   largest distance of a lesion from the largest lesion                 [1]_
    spread       largest, over lesions, sum of its distances to all other lesions     [1]_
    spread_bulk  sum of the distances of all lesions from the largest lesion          [1]_
    ============ ==================================================================== ======

    Parameters
    ----------
    table : LesionTable
        Lesions with `positions`, the shape class (voxel volume, or mesh volume) and, for `tlg`,
        the first-order mean.

    Returns
    -------
    DataFrame of shape (n_samples, 7)
        One row a sample. Distances are 0 for a single lesion; all is NaN for a failed sample,
        and `tlg` where the mean is not among the features.

    Raises
    ------
    ValueError
        If the table has no positions or no volume.

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
    if table.positions is None:
        raise ValueError("dissemination needs the lesions' positions, which the table lacks")
    found = [name for name in _VOLUMES if name in table.features.columns]
    if not found:
        raise ValueError(
            f"dissemination needs the volume of each lesion: none of {list(_VOLUMES)} is among "
            "the features; extract the feature class 'shape'"
        )
    volume = table.features[found[-1]].to_numpy(dtype=np.float64) / _MM3_PER_ML
    mean = np.full(len(volume), np.nan)
    if _MEAN in table.features.columns:
        mean = table.features[_MEAN].to_numpy(dtype=np.float64)
    starts = np.searchsorted(table.sample, np.arange(table.n_samples + 1))
    rows = [
        _of_one_patient(volume[a:b], mean[a:b], table.positions[a:b])
        for a, b in zip(starts[:-1], starts[1:], strict=True)
    ]
    return pd.DataFrame(rows, index=table.index)


def _of_one_patient(volume: np.ndarray, mean: np.ndarray, places: np.ndarray) -> dict[str, float]:
    """Return one row."""
    if np.isnan(volume).any():
        return dict.fromkeys(DISSEMINATION, np.nan)
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1)
    from_bulk = distance[np.argmax(volume)]
    return {
        "n_lesions": float(len(volume)),
        "tmtv": float(volume.sum()),
        "tlg": float((volume * mean).sum()),
        "d_max": float(distance.max()),
        "d_max_bulk": float(from_bulk.max()),
        "spread": float(distance.sum(axis=1).max()),
        "spread_bulk": float(from_bulk.sum()),
    }
