"""ROC curves with bands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from nonredundant.displays.curves import Curve, CurveDisplay, predictions_of, scored_samples

#: Bootstrap samples behind a band.
N_RESAMPLES = 500
_GRID = np.linspace(0, 1, 101)


class RocBandDisplay(CurveDisplay):
    """ROC curves with pointwise 95 % bands.

    Parameters
    ----------
    feature_sets : sequence of str
        Names of the curves.
    fpr : array of shape (n_points,)
        False positive rates common to all curves.
    tpr, low, high : array of shape (n_sets, n_points)
        True positive rates and their band.
    auc : array of shape (n_sets,)
        Area under the curve; the mean over fold models if there are several.
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
    The curve of cross-validation is the mean of the fold models' curves at equal false positive
    rate. The band is a bootstrap of samples within each class: it covers the variation by the
    sample of test patients, not by the training set.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant.displays import RocBandDisplay
    >>> y = np.array([0, 0, 1, 1])
    >>> display = RocBandDisplay.from_predictions(y, {"HCR": [0.1, 0.4, 0.35, 0.8]})
    >>> display.auc
    array([0.75])
    """

    _x_label, _y_label, _legend = "1 − specificity", "sensitivity", "lower right"

    def __init__(
        self,
        *,
        feature_sets: Any,
        fpr: Any,
        tpr: Any,
        low: Any,
        high: Any,
        auc: Any,
        title: str = "",
    ) -> None:
        self.feature_sets, self.title = list(feature_sets), title
        self.fpr, self.tpr, self.low, self.high, self.auc = map(
            np.asarray, (fpr, tpr, low, high, auc)
        )

    @classmethod
    def from_predictions(
        cls, y_true: Any, scores: Mapping[str, Any], *, random_state: Any = 0, ax: Any = None
    ) -> RocBandDisplay:
        """Draw the curves of predictions.

        Parameters
        ----------
        y_true : array of shape (n_samples,)
            Labels, 1 or True for the positive class.
        scores : mapping of str to array of shape (n_samples,)
            Name → scores, higher for the positive class.
        random_state : int, Generator or None, default=0
            Seed of the bootstrap.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        RocBandDisplay
            The display, drawn.
        """
        return cls(**_roc_bands(scored_samples(y_true, scores), random_state)).plot(ax)

    @classmethod
    def from_comparison(
        cls,
        comparison: Any,
        *,
        feature_sets: Sequence[str] | None = None,
        classifier: str | None = None,
        random_state: Any = 0,
        ax: Any = None,
    ) -> RocBandDisplay:
        """Draw the curves of a comparison's predictions.

        Parameters
        ----------
        comparison : FeatureSetComparison
            Result of `compare_feature_sets`, with two classes.
        feature_sets : sequence of str, optional
            The sets to draw; by default the two of the primary comparison.
        classifier : str, optional
            A classifier; the primary one by default.
        random_state : int, Generator or None, default=0
            Seed of the bootstrap.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        RocBandDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there are not two classes, or the set has no predictions.
        """
        predictions, title = predictions_of(comparison, feature_sets, classifier)
        return cls(**_roc_bands(predictions, random_state), title=title).plot(ax)

    def _curves(self) -> Iterator[Curve]:
        for i, name in enumerate(self.feature_sets):
            label = f"{name}, AUC {self.auc[i]:.3f}"
            yield Curve(self.fpr, self.tpr[i], self.low[i], self.high[i], label)


def _roc_bands(predictions: Mapping[str, pd.DataFrame], random_state: Any) -> dict[str, Any]:
    """Compute the arrays of a `RocBandDisplay`."""
    curves, areas = [], []
    for rows in predictions.values():
        rows = rows.assign(code=pd.factorize(rows["sample"])[0])
        positive = rows.groupby("code")["positive"].first().to_numpy()
        # The same draws for every set, so that bands do not differ by the draws.
        drawn = _draws(positive, np.random.default_rng(random_state))
        folds = [fold for _, fold in rows.groupby(["repeat", "fold"])]
        mean = _mean_roc(folds, drawn)
        curves.append((mean[0], *np.quantile(mean[1:], [0.025, 0.975], axis=0)))
        both = [fold for fold in folds if fold["positive"].nunique() == 2]
        areas.append(np.mean([roc_auc_score(fold["positive"], fold["score"]) for fold in both]))
    tpr, low, high = np.swapaxes(curves, 0, 1)
    names = list(predictions)
    return {"feature_sets": names, "fpr": _GRID, "tpr": tpr, "low": low, "high": high, "auc": areas}


def _draws(positive: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw bootstrap counts per sample within each class; all ones in the first row."""
    drawn = np.ones((N_RESAMPLES + 1, len(positive)))
    for label in (False, True):
        members = np.flatnonzero(positive == label)
        if len(members):
            equal = np.full(len(members), 1 / len(members))
            drawn[1:, members] = rng.multinomial(len(members), equal, size=N_RESAMPLES)
    return drawn


def _mean_roc(folds: list[pd.DataFrame], drawn: np.ndarray) -> np.ndarray:
    """Compute the mean curve of the folds per draw; folds without both classes are left out.

    Raises
    ------
    ValueError
        If no fold holds both classes.
    """
    total, count = np.zeros((len(drawn), len(_GRID))), np.zeros((len(drawn), 1))
    for fold in folds:
        weight = drawn[:, fold["code"].to_numpy()]
        positive, score = fold["positive"].to_numpy(), fold["score"].to_numpy()
        order = np.argsort(-score, kind="stable")
        # Samples with equal scores pass the threshold together.
        last = np.append(np.diff(score[order]) != 0, True)
        hits = np.cumsum(weight[:, order] * positive[order], axis=1)[:, last]
        false = np.cumsum(weight[:, order] * ~positive[order], axis=1)[:, last]
        for i in np.flatnonzero((hits[:, -1] > 0) & (false[:, -1] > 0)):
            fpr, tpr = (np.append(0, passed[i] / passed[i, -1]) for passed in (false, hits))
            total[i] += np.interp(_GRID, fpr, tpr)
            count[i] += 1
    if not count[0]:
        raise ValueError("a ROC curve needs both classes in a fold")
    mean = total / np.maximum(count, 1)
    mean[:, 0] = 0
    return mean[count[:, 0] > 0]
