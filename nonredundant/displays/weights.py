"""Weights of hand-crafted and learned features in a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays import style as look


class FeatureWeightsDisplay:
    """Absolute weights of hand-crafted and of learned features, and the largest among both.

    The latents of two networks do not correspond, and features that are selected inside a fold
    differ. Weights are therefore sorted within each fold model, and the r-th largest weights of
    all models are averaged, not those of equal names.

    Parameters
    ----------
    hcr_weights, dlr_weights : array of shape (n_models, n_hcr), (n_models, n_dlr)
        Absolute weights of each fold model, in descending order; NaN where a model has fewer
        features.
    k : int, default=10
        Number of largest weights among which learned features are counted.
    feature_set, classifier : str
        Feature set and classifier of the weights.
    hcr_name : str, default="HCR"
        Name of the block of features that are not learned.

    Attributes
    ----------
    dlr_count : array of shape (n_models, n_hcr + n_dlr)
        Number of learned features among the 1, 2, … largest weights of each model.
    ax_ : Axes
        The axes in whose place the panels are drawn.
    axes_ : array of Axes
        The weights; the counts.
    figure_ : Figure
        The figure.

    Examples
    --------
    >>> from nonredundant.displays import FeatureWeightsDisplay
    >>> display = FeatureWeightsDisplay([[0.9, 0.5, 0.1]], [[0.7, 0.2]], k=3).plot()
    >>> display.dlr_count
    array([[0., 1., 1., 2., 2.]])
    """

    def __init__(
        self,
        hcr_weights: Any,
        dlr_weights: Any,
        *,
        k: int = 10,
        feature_set: str = "",
        classifier: str = "",
        hcr_name: str = "HCR",
    ) -> None:
        self.hcr_weights = np.atleast_2d(np.asarray(hcr_weights, dtype=float))
        self.dlr_weights = np.atleast_2d(np.asarray(dlr_weights, dtype=float))
        self.feature_set, self.classifier = feature_set, classifier
        self.hcr_name = hcr_name
        self.dlr_count = np.array(
            [_counts(*pair) for pair in zip(self.hcr_weights, self.dlr_weights, strict=True)]
        )
        self.k = min(k, self.dlr_count.shape[1])

    @classmethod
    def from_comparison(
        cls,
        comparison: Any,
        *,
        feature_set: str | None = None,
        classifier: str | None = None,
        k: int = 10,
        ax: Any = None,
    ) -> FeatureWeightsDisplay:
        """Draw the weights of a comparison's fold models.

        Parameters
        ----------
        comparison : FeatureSetComparison
            Result of `compare_feature_sets`.
        feature_set : str, optional
            A fused set; that of the primary comparison by default.
        classifier : str, optional
            A classifier that has weights; by default that of the primary comparison, otherwise
            the first that has weights.
        k : int, default=10
            Number of largest weights among which learned features are counted.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        FeatureWeightsDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the set and classifier have no weights, or the set is not fused.
        """
        primary = comparison.primary
        feature_set = feature_set or primary["feature_set"]
        table = look.pick(comparison.weights, feature_set=feature_set)
        if classifier is None:
            known = table["classifier"].unique().tolist()
            classifier = primary["classifier"] if primary["classifier"] in known else known[0]
        table = look.pick(table, classifier=classifier)
        if table["block"].nunique() < 2:
            raise ValueError(
                f"{feature_set!r} does not hold both hand-crafted and learned features"
            )
        blocks = [_descending(table[table["block"] == name]) for name in ("base", "learned")]
        clinical = comparison.settings.cohort.n_clinical
        display = cls(
            *blocks,
            k=k,
            feature_set=feature_set,
            classifier=classifier,
            hcr_name="HCR and clinical" if clinical else "HCR",
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> FeatureWeightsDisplay:
        """Draw weights and counts in place of an axes.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        self
            With `ax_`, `axes_` and `figure_`.
        """
        self.ax_, grid = look.panels(ax, 1, 2, (9, 3.4), width_ratios=(1.7, 1))
        self.axes_, self.figure_ = grid.ravel(), self.ax_.figure
        self._plot_weights(self.axes_[0])
        self._plot_counts(self.axes_[1])
        return self

    def _plot_weights(self, ax: Any) -> None:
        """Draw the weights of each block in descending order, with the range over models."""
        n_hcr, n_dlr = self.hcr_weights.shape[1], self.dlr_weights.shape[1]
        gap = max(1, round(0.03 * (n_hcr + n_dlr)))
        x_dlr = n_hcr + gap + np.arange(n_dlr)
        blocks = [
            (np.arange(n_hcr), self.hcr_weights, {"color": look.HCR_COLOUR}),
            (x_dlr, self.dlr_weights, {"color": look.DLR_COLOUR, "hatch": "////"}),
        ]
        for x, weights, kind in blocks:
            mean = np.nanmean(weights, axis=0)
            ax.bar(x, mean, width=0.85, edgecolor="white", linewidth=0.2, **kind)
            if len(weights) > 1:
                low, high = np.nanmin(weights, axis=0), np.nanmax(weights, axis=0)
                ax.vlines(x, low, high, color="0.25", linewidth=0.7)
        largest = np.sort(np.hstack([self.hcr_weights, self.dlr_weights]), axis=1)[:, ::-1]
        level = np.nanmean(largest[:, self.k - 1])
        ax.axhline(level, color="0.3", linestyle="--", linewidth=1)
        ax.annotate(
            f"{self.k} largest above",
            (n_hcr - 1, level),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=look.SMALL,
        )
        names = [f"{self.hcr_name}: {n_hcr}", f"DLR: {n_dlr}"]
        ax.set_xticks([(n_hcr - 1) / 2, x_dlr.mean()], names)
        ax.tick_params(axis="x", length=0)
        ax.set_xlabel("features, each block from largest to smallest")
        ax.set_ylabel("|weight|")
        who = ", ".join(part for part in (self.feature_set, self.classifier) if part)
        ax.set_title(who, fontsize=look.TITLE, loc="left")
        look.despine(ax)

    def _plot_counts(self, ax: Any) -> None:
        """Draw the number of learned features among the k largest weights, against chance."""
        n_dlr, n = self.dlr_weights.shape[1], self.dlr_count.shape[1]
        k, mean = np.arange(1, n + 1), self.dlr_count.mean(axis=0)
        low, high = self.dlr_count.min(axis=0), self.dlr_count.max(axis=0)
        ax.fill_between(k, low, high, color=look.DLR_COLOUR, alpha=0.3, linewidth=0)
        ax.plot(k, mean, color=look.COLOURS[0])
        chance = n_dlr / n
        ax.plot(k, k * chance, color="0.4", linestyle=":", linewidth=1.2)
        i = self.k - 1
        ax.plot(self.k, mean[i], "o", color=look.COLOURS[0])
        spread = f" ({low[i]:.0f} to {high[i]:.0f})" if len(self.dlr_count) > 1 else ""
        ax.set_title(
            f"{mean[i]:.3g}{spread} DLR among the {self.k} largest; "
            f"by chance {self.k * chance:.2g}",
            fontsize=look.SMALL,
            loc="right",
        )
        middle = 0.6 * n
        ax.annotate(
            "chance",
            (middle, middle * chance),
            xytext=(8, -8),
            textcoords="offset points",
            va="top",
            fontsize=look.SMALL,
        )
        ax.set_xlabel("k largest weights")
        ax.set_ylabel("DLR among them")
        look.despine(ax)


def _counts(hcr: np.ndarray, dlr: np.ndarray) -> np.ndarray:
    """Count learned weights among the 1, 2, … largest; ties go to the other block."""
    weights = np.nan_to_num(np.concatenate([hcr, dlr]), nan=-1.0)
    learned = np.arange(len(weights)) >= len(hcr)
    return np.cumsum(learned[np.argsort(-weights, kind="stable")]).astype(float)


def _descending(table: pd.DataFrame) -> np.ndarray:
    """Sort absolute weights of each fold model in descending order, padded with NaN."""
    rows = [
        np.sort(group["weight"].abs().to_numpy(dtype=float))[::-1]
        for _, group in table.groupby(["repeat", "fold"])
    ]
    padded = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    return padded
