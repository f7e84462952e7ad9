"""Calibration curves with bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays import style as look
from nonredundant.displays.roc import predictions_of, unit_square


class CalibrationBandDisplay:
    """Observed frequency against predicted probability, with 95 % bands.

    Parameters
    ----------
    feature_sets : sequence of str
        Names of the curves.
    predicted, observed, low, high : sequence of arrays
        One array per set: mean prediction, observed frequency and its interval in each bin.
    brier : sequence of float
        Brier score of each set.
    title : str
        Source of the predictions.

    Attributes
    ----------
    ax_ : Axes
        The axes.
    figure_ : Figure
        The figure.

    Notes
    -----
    Bins hold equal numbers of predictions. Intervals are Wilson's; each sample counts once, also
    in repeated cross-validation.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant.displays import CalibrationBandDisplay
    >>> p = np.repeat([0.25, 0.75], 4)
    >>> y = np.array([0, 0, 0, 1, 0, 1, 1, 1])
    >>> CalibrationBandDisplay.from_predictions(y, {"HCR": p}, n_bins=2).observed[0]
    array([0.25, 0.75])
    """

    def __init__(
        self,
        *,
        feature_sets: Any,
        predicted: Any,
        observed: Any,
        low: Any,
        high: Any,
        brier: Any,
        title: str = "",
    ) -> None:
        self.feature_sets, self.title = list(feature_sets), title
        self.predicted, self.observed = list(predicted), list(observed)
        self.low, self.high, self.brier = list(low), list(high), list(brier)

    @classmethod
    def from_predictions(
        cls, y_true: Any, scores: Mapping[str, Any], *, n_bins: int | None = None, ax: Any = None
    ) -> CalibrationBandDisplay:
        """Draw the curves of predicted probabilities.

        Parameters
        ----------
        y_true : array of shape (n_samples,)
            Labels, 1 or True for the positive class.
        scores : mapping of str to array of shape (n_samples,)
            Name → probability of the positive class.
        n_bins : int, optional
            Number of bins; by default one per 20 samples, at least 3 and at most 10.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        CalibrationBandDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If scores are not probabilities.
        """
        positive = np.asarray(y_true).astype(bool)
        head = {"sample": np.arange(len(positive)), "positive": positive}
        parts = {name: pd.DataFrame({**head, "score": score}) for name, score in scores.items()}
        return cls(**_reliability(parts, n_bins)).plot(ax)

    @classmethod
    def from_comparison(
        cls,
        comparison: Any,
        *,
        feature_sets: Sequence[str] | None = None,
        classifier: str | None = None,
        n_bins: int | None = None,
        ax: Any = None,
    ) -> CalibrationBandDisplay:
        """Draw the curves of a comparison's predictions.

        Parameters
        ----------
        comparison : FeatureSetComparison
            Result of `compare_feature_sets`, with two classes.
        feature_sets : sequence of str, optional
            The sets to draw; by default the two of the primary comparison.
        classifier : str, optional
            A classifier with probabilities; the primary one by default.
        n_bins : int, optional
            Number of bins; by default one per 20 samples, at least 3 and at most 10.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        CalibrationBandDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there are not two classes, the set has no predictions, or the scores are not
            probabilities.
        """
        parts, title = predictions_of(comparison, feature_sets, classifier)
        return cls(**_reliability(parts, n_bins), title=title).plot(ax)

    def plot(self, ax: Any = None) -> CalibrationBandDisplay:
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
        for i, style in enumerate(look.styles(len(self.feature_sets))):
            x = self.predicted[i]
            ax.fill_between(
                x, self.low[i], self.high[i], color=style.colour, alpha=0.15, linewidth=0
            )
            ax.plot(
                x,
                self.observed[i],
                color=style.colour,
                linestyle=style.line,
                marker=style.marker,
                markersize=5,
                label=f"{self.feature_sets[i]}, Brier {self.brier[i]:.3f}",
            )
        unit_square(ax, self.title)
        ax.set_xlabel("predicted probability")
        ax.set_ylabel("observed frequency")
        ax.legend(loc="upper left", frameon=False, fontsize=look.SMALL)
        return self


def _reliability(parts: Mapping[str, pd.DataFrame], n_bins: int | None) -> dict[str, Any]:
    """Compute the arrays of a `CalibrationBandDisplay`."""
    found: dict[str, Any] = {name: [] for name in ("predicted", "observed", "low", "high", "brier")}
    for name, part in parts.items():
        score = part["score"]
        if not score.between(0, 1).all():
            raise ValueError(
                f"calibration needs probabilities; {name!r} has scores from {score.min():.3g} to "
                f"{score.max():.3g}"
            )
        n = part["sample"].nunique()
        wanted = n_bins or int(np.clip(n // 20, 3, 10))
        edges = np.unique(np.quantile(score, np.linspace(0, 1, wanted + 1)))
        bins = part.groupby(np.digitize(score, edges[1:-1]))
        predicted, observed = bins["score"].mean(), bins["positive"].mean()
        low, high = _wilson(observed.to_numpy(), bins["sample"].nunique().to_numpy())
        values = (predicted, observed, low, high, np.mean((score - part["positive"]) ** 2))
        for key, value in zip(found, values, strict=True):
            found[key].append(np.asarray(value))
    return {"feature_sets": list(parts), **found}


def _wilson(share: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute Wilson's 95 % interval of a proportion of n."""
    z2 = 1.959963984540054**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return centre - half, centre + half
