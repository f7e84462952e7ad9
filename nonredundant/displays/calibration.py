"""Calibration curves with bands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays.curves import Curve, CurveDisplay, predictions_of, scored_samples


class CalibrationBandDisplay(CurveDisplay):
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

    _x_label, _y_label, _legend = "predicted probability", "observed frequency", "upper left"
    _markers = True

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
        return cls(**_reliability(scored_samples(y_true, scores), n_bins)).plot(ax)

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
        predictions, title = predictions_of(comparison, feature_sets, classifier)
        return cls(**_reliability(predictions, n_bins), title=title).plot(ax)

    def _curves(self) -> Iterator[Curve]:
        arrays = zip(
            self.feature_sets,
            self.predicted,
            self.observed,
            self.low,
            self.high,
            self.brier,
            strict=True,
        )
        for name, predicted, observed, low, high, brier in arrays:
            yield Curve(predicted, observed, low, high, f"{name}, Brier {brier:.3f}")


def _reliability(predictions: Mapping[str, pd.DataFrame], n_bins: int | None) -> dict[str, Any]:
    """Compute the arrays of a `CalibrationBandDisplay`."""
    names = ("predicted", "observed", "low", "high", "brier")
    arrays: dict[str, Any] = {name: [] for name in names}
    for feature_set, rows in predictions.items():
        score = rows["score"]
        if not score.between(0, 1).all():
            raise ValueError(
                f"calibration needs probabilities; {feature_set!r} has scores from "
                f"{score.min():.3g} to {score.max():.3g}"
            )
        n = rows["sample"].nunique()
        edges = np.linspace(0, 1, 1 + (n_bins or int(np.clip(n // 20, 3, 10))))
        edges = np.unique(np.quantile(score, edges))
        bins = rows.groupby(np.digitize(score, edges[1:-1]))
        predicted, observed = bins["score"].mean(), bins["positive"].mean()
        low, high = _wilson(observed.to_numpy(), bins["sample"].nunique().to_numpy())
        brier = np.mean((score - rows["positive"]) ** 2)
        for name, array in zip(names, (predicted, observed, low, high, brier), strict=True):
            arrays[name].append(np.asarray(array))
    return {"feature_sets": list(predictions), **arrays}


def _wilson(share: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute Wilson's 95 % interval of a proportion of n."""
    z2 = 1.959963984540054**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return centre - half, centre + half
