"""Curves of predictions with bands in the unit square: what ROC and calibration curves share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nonredundant.displays import style as look


class Curve(NamedTuple):
    """One curve, its band, and its entry in the legend."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray
    label: str


class CurveDisplay:
    """Base class of displays of one curve per feature set in the unit square.

    A subclass stores its arrays and yields the curves.
    """

    feature_sets: list[str]
    title: str
    _x_label: str
    _y_label: str
    _legend: str
    _markers = False

    def _curves(self) -> Iterator[Curve]:
        """Yield the curve of each feature set."""
        raise NotImplementedError

    def plot(self, ax: Any = None) -> Any:
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
        self.ax_ = ax = look.single(ax, (4.4, 4.4))
        self.figure_ = ax.figure
        ax.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle=(0, (1, 2)))
        styles = look.styles(len(self.feature_sets))
        for curve, style in zip(self._curves(), styles, strict=True):
            x, y, low, high, label = curve
            ax.fill_between(x, low, high, color=style.colour, alpha=0.15, linewidth=0)
            marker = {"marker": style.marker, "markersize": 5} if self._markers else {}
            ax.plot(x, y, color=style.colour, linestyle=style.line, label=label, **marker)
        ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        ax.set_title(self.title, fontsize=look.TITLE, loc="left")
        look.despine(ax)
        ax.set_xlabel(self._x_label)
        ax.set_ylabel(self._y_label)
        ax.legend(loc=self._legend, frameon=False, fontsize=look.SMALL)
        return self


def scored_samples(y_true: Any, scores: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Return the predictions of each set as from one model on a test set."""
    positive = np.asarray(y_true).astype(bool)
    columns = {"sample": np.arange(len(positive)), "repeat": 0, "fold": 0, "positive": positive}
    return {name: pd.DataFrame({**columns, "score": score}) for name, score in scores.items()}


def predictions_of(
    comparison: Any, feature_sets: Sequence[str] | None, classifier: str | None
) -> tuple[dict[str, pd.DataFrame], str]:
    """Return the predictions of each set, with labels as booleans, and a title."""
    classes = comparison.settings.classes
    if len(classes) != 2:
        raise ValueError(f"the curve is defined for two classes, got {classes}")
    classifier = classifier or comparison.primary["classifier"]
    if feature_sets is None:
        feature_sets = look.primary_sets(comparison)
    predictions = {}
    for name in feature_sets:
        rows = look.pick(comparison.predictions, feature_set=name, classifier=classifier)
        predictions[name] = rows.assign(positive=rows["y"].astype(str) == str(classes[1]))
    where = "test set" if comparison.settings.n_test else "cross-validation"
    return predictions, f"{classifier}, {where}"
