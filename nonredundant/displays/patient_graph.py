"""Graph of the lesions of a patient, on a projection of the image."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from nonredundant.displays import style as look
from nonredundant.io.images import read_image
from nonredundant.lesions.table import LesionTable

Projection = Literal["coronal", "sagittal", "axial"]
#: Axis of the view direction, z-y-x.
_ALONG = {"axial": 0, "coronal": 1, "sagittal": 2}
#: Area of a lesion with all attention, and the smallest area, in square points.
_AREA, _LEAST_AREA = 500.0, 8.0
#: Width of the line with the highest attention, in points.
_WIDTH = 3.0
#: Number of lesions that are labelled by their number in `explain`.
_N_NAMED = 3


class PatientGraphDisplay:
    """Lesions of a patient at their positions: attention as size, pairs as lines.

    Parameters
    ----------
    places : array of shape (n_lesions, 2)
        Positions of the lesions in the figure, in mm: horizontal, vertical.
    weights : array of shape (n_lesions,)
        Attention to the lesions; it sums to one.
    pairs : int array of shape (n_pairs, 2)
        The lesions of each pair.
    pair_weights : array of shape (n_pairs,)
        Attention to the pairs.
    axes_names : (str, str), default=("x", "z")
        Names of the horizontal and the vertical axis.
    image : array of shape (height, width), optional
        The projection, its first row at the bottom; no background by default.
    extent : (float, float, float, float), optional
        Left, right, bottom and top of the image in mm.
    title : str, default=""
        The patient and the prediction.

    Attributes
    ----------
    ax_ : Axes
        The axes.
    figure_ : Figure
        The figure.

    See Also
    --------
    nonredundant.patients.LesionGraphClassifier.explain : The values that are drawn.

    Notes
    -----
    Attention shows what a prediction was computed from, not what caused the outcome.

    Examples
    --------
    >>> from nonredundant.displays import PatientGraphDisplay
    >>> display = PatientGraphDisplay(
    ...     places=[[0.0, 0.0], [40.0, 90.0]], weights=[0.8, 0.2], pairs=[[0, 1]],
    ...     pair_weights=[1.0],
    ... ).plot()
    >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
    ('x (mm)', 'z (mm)')
    """

    def __init__(
        self,
        *,
        places: Any,
        weights: Any,
        pairs: Any,
        pair_weights: Any,
        axes_names: tuple[str, str] = ("x", "z"),
        image: Any = None,
        extent: tuple[float, float, float, float] | None = None,
        title: str = "",
    ) -> None:
        self.places = np.asarray(places, dtype=float).reshape(-1, 2)
        self.weights = np.asarray(weights, dtype=float)
        self.pairs = np.asarray(pairs, dtype=int).reshape(-1, 2)
        self.pair_weights = np.asarray(pair_weights, dtype=float)
        self.axes_names, self.title = axes_names, title
        self.image = None if image is None else np.asarray(image)
        self.extent = extent

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        row: int = 0,
        image: Any = None,
        spacing: Any = None,
        projection: Projection = "coronal",
        ax: Any = None,
    ) -> PatientGraphDisplay:
        """Draw one patient with the attention of a fitted graph.

        Parameters
        ----------
        estimator : LesionGraphClassifier or LesionGraphSurvival
            Fitted.
        X : LesionTable
            Patients with `positions`.
        row : int, default=0
            The patient to draw.
        image : path, array or SimpleITK.Image, optional
            Image of the lesions, for the maximum-intensity projection.
        spacing : sequence of float, optional
            Voxel size in mm, x-y-z, if the image is an array.
        projection : {"coronal", "sagittal", "axial"}, default="coronal"
            View direction; a 2-D image is shown unchanged.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        PatientGraphDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the table has no positions, or the projection is unknown.
        """
        table = X[[row]]
        parts = graph_picture(
            estimator.explain(table), table, image=image, spacing=spacing, projection=projection
        )
        display = cls(title=f"{table.index[0]}: {_describe_prediction(estimator, table)}", **parts)
        return display.plot(ax)

    def plot(self, ax: Any = None) -> PatientGraphDisplay:
        """Draw on an axes.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        self
            With `ax_` and `figure_`.
        """
        from matplotlib.collections import LineCollection

        self.ax_ = look.single(ax, (5.2, 5.6))
        self.figure_ = self.ax_.figure
        if self.image is not None:
            self.ax_.imshow(self.image, cmap="gray_r", origin="lower", extent=self.extent)
        if len(self.pairs):
            widths = _WIDTH * self.pair_weights / self.pair_weights.max()
            lines = self.places[self.pairs]
            self.ax_.add_collection(
                LineCollection(list(lines), linewidths=widths, colors=look.COLOURS[2], alpha=0.7)
            )
        areas = np.maximum(_AREA * self.weights, _LEAST_AREA)
        dots = {"color": look.COLOURS[1], "edgecolor": look.COLOURS[0], "alpha": 0.8, "zorder": 3}
        self.ax_.scatter(*self.places.T, s=areas, **dots)
        for number in np.argsort(-self.weights, kind="stable")[:_N_NAMED]:
            text = {"fontsize": look.SMALL, "ha": "center", "va": "center", "zorder": 4}
            self.ax_.annotate(str(number), self.places[number], **text)
        self.ax_.set(
            aspect="equal",
            xlabel=f"{self.axes_names[0]} (mm)",
            ylabel=f"{self.axes_names[1]} (mm)",
        )
        if self.image is None:
            self.ax_.margins(0.15)
        if self.axes_names[1] == "y":  # images and axial slices have their first row at the top
            self.ax_.invert_yaxis()
        self._legend()
        return self

    def _legend(self) -> None:
        """Add a legend of the sizes, and the title above it."""
        shown = sorted({float(self.weights.max()), float(self.weights.min())}, reverse=True)
        handles = [
            look.key(
                f"attention {weight:.2f}" if weight >= 0.01 else "attention < 0.01",
                marker="o",
                linestyle="",
                color=look.COLOURS[1],
                markeredgecolor=look.COLOURS[0],
                markersize=np.sqrt(max(_AREA * weight, _LEAST_AREA)),
            )
            for weight in shown
        ]
        if len(self.pairs):
            handles.append(look.key("pair", color=look.COLOURS[2], linewidth=_WIDTH))
        look.legend_above(self.ax_, handles, len(handles))
        # Above the legend, whose height is that of its largest marker.
        pad = np.sqrt(_AREA) + 12
        self.ax_.set_title(self.title, loc="left", pad=pad, fontsize=look.SMALL)


def graph_picture(
    attention: pd.DataFrame,
    table: LesionTable,
    *,
    image: Any = None,
    spacing: Any = None,
    projection: Projection = "coronal",
) -> dict[str, Any]:
    """Compute the arguments of `PatientGraphDisplay` for one patient, without the title.

    Parameters
    ----------
    attention : DataFrame
        Result of a graph's `explain` for the patient.
    table : LesionTable
        The patient alone, with `positions`.
    image : path, array or SimpleITK.Image, optional
        Image of the lesions, for the maximum-intensity projection.
    spacing : sequence of float, optional
        Voxel size in mm, x-y-z, if the image is an array.
    projection : {"coronal", "sagittal", "axial"}, default="coronal"
        View direction; a 2-D image is shown unchanged.

    Returns
    -------
    dict
        `places, weights, pairs, pair_weights, axes_names, image, extent`.

    Raises
    ------
    ValueError
        If the table has no positions, or the projection is unknown.
    """
    if projection not in _ALONG:
        raise ValueError(f"projection must be one of {list(_ALONG)}, got {projection!r}")
    if table.positions is None:
        raise ValueError("a graph is drawn at the positions of the lesions: the table has none")
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


def _describe_prediction(estimator: Any, table: LesionTable) -> str:
    """Describe the prediction for one patient: the most probable class, or the risk."""
    if not hasattr(estimator, "predict_proba"):
        return f"risk {estimator.predict(table)[0]:+.2f}"
    proba = estimator.predict_proba(table)[0]
    best = int(np.argmax(proba))
    return f"{estimator.classes_[best]}, p = {proba[best]:.2f}"


def _project(
    source: Any, spacing: Any, positions: np.ndarray, kept: list[int]
) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float, float]]:
    """Compute the positions along the image's axes, the projection, and its extent in mm."""
    import SimpleITK as sitk

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
    """List each pair of lesions once, with the summed attention of both directions."""
    ends = np.sort(edges[["lesion", "other"]].to_numpy(dtype=int), axis=1)
    if not len(ends):
        return ends, np.empty(0)
    pairs, which = np.unique(ends, axis=0, return_inverse=True)
    return pairs, np.bincount(which.ravel(), edges["weight"].to_numpy(dtype=float))
