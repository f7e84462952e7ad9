"""Where a patient's lesions and their attention go in a picture, as plain arrays."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from nonredundant.lesions import LesionTable

Projection = Literal["coronal", "sagittal", "axial"]
#: The axis that a projection looks along, z-y-x.
_ALONG = {"axial": 0, "coronal": 1, "sagittal": 2}


def graph_picture(
    attention: pd.DataFrame,
    table: LesionTable,
    *,
    image: Any = None,
    spacing: Any = None,
    projection: Projection = "coronal",
) -> dict[str, Any]:
    """Return what `PatientGraphDisplay` draws of one patient, but for the title.

    Parameters
    ----------
    attention : DataFrame
        What a graph's `explain` says of the patient.
    table : LesionTable
        The patient alone, with `positions`.
    image : path, array or SimpleITK.Image, optional
        The image that the lesions come from, for the maximum-intensity projection.
    spacing : sequence of float, optional
        Voxel size in mm, x-y-z, of an image that is an array.
    projection : {"coronal", "sagittal", "axial"}, default="coronal"
        Where to look from; a 2-D image is shown as it is.

    Returns
    -------
    dict
        `places, weights, pairs, pair_weights, axes_names, image, extent`.

    Raises
    ------
    ValueError
        If the table has no positions, or the projection is not known.
    """
    if projection not in _ALONG:
        raise ValueError(f"projection must be one of {list(_ALONG)}, got {projection!r}")
    if table.positions is None:
        raise ValueError("a patient's graph is drawn where the lesions lie: X has no positions")
    positions = table.positions
    flat = positions.shape[1] == 2
    kept = [0, 1] if flat else [axis for axis in range(3) if axis != _ALONG[projection]]
    background, extent = None, None
    if image is not None:
        positions, background, extent = _project(image, spacing, positions, kept)
    pairs, pair_weights = _pairs(attention[attention["kind"] == "edge"])
    names = ("y", "x") if flat else ("z", "y", "x")
    return {
        "places": positions[:, kept[::-1]],
        "weights": attention.loc[attention["kind"] == "lesion", "weight"].to_numpy(),
        "pairs": pairs,
        "pair_weights": pair_weights,
        "axes_names": (names[kept[1]], names[kept[0]]),
        "image": background,
        "extent": extent,
    }


def predicted(estimator: Any, table: LesionTable) -> str:
    """Return what a graph predicts of one patient: the likeliest class, or the risk."""
    if not hasattr(estimator, "predict_proba"):
        return f"risk {estimator.predict(table)[0]:+.2f}"
    proba = estimator.predict_proba(table)[0]
    best = int(np.argmax(proba))
    return f"{estimator.classes_[best]}, p = {proba[best]:.2f}"


def _project(
    source: Any, spacing: Any, positions: np.ndarray, kept: list[int]
) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float, float]]:
    """Return positions along the image's axes, the projection, and its extent in mm."""
    import SimpleITK as sitk

    from nonredundant.io import read_image

    image = read_image(source, spacing=spacing)
    voxels = sitk.GetArrayViewFromImage(image)
    if image.GetDimension() == 3:
        image = sitk.DICOMOrient(image, "LPS")
        gone = ({0, 1, 2} - set(kept)).pop()
        voxels = sitk.GetArrayViewFromImage(image).max(axis=gone)
    step, first = np.array(image.GetSpacing()[::-1]), np.array(image.GetOrigin()[::-1])
    index = [image.TransformPhysicalPointToContinuousIndex(p[::-1].tolist()) for p in positions]
    along = np.array(index)[:, ::-1] * step + first
    low = first - step / 2
    high = low + step * np.array(image.GetSize()[::-1])
    up, across = kept
    return along, np.array(voxels), (low[across], high[across], low[up], high[up])


def _pairs(edges: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return each pair of lesions once, with the attention of both ways round."""
    ends = np.sort(edges[["lesion", "other"]].to_numpy(dtype=int), axis=1)
    if not len(ends):
        return ends, np.empty(0)
    pairs, which = np.unique(ends, axis=0, return_inverse=True)
    return pairs, np.bincount(which.ravel(), edges["weight"].to_numpy(dtype=float))
