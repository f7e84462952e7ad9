"""ROC curves with bands, and the parts that calibration curves share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from nonredundant.displays import style as look

#: Bootstrap samples behind a band.
N_RESAMPLES = 500
_GRID = np.linspace(0, 1, 101)


class RocBandDisplay:
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
        positive = np.asarray(y_true).astype(bool)
        head = {"sample": np.arange(len(positive)), "repeat": 0, "fold": 0, "positive": positive}
        parts = {name: pd.DataFrame({**head, "score": score}) for name, score in scores.items()}
        return cls(**_roc_bands(parts, random_state)).plot(ax)

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
        parts, title = predictions_of(comparison, feature_sets, classifier)
        return cls(**_roc_bands(parts, random_state), title=title).plot(ax)

    def plot(self, ax: Any = None) -> RocBandDisplay:
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
            ax.fill_between(
                self.fpr, self.low[i], self.high[i], color=style.colour, alpha=0.15, linewidth=0
            )
            ax.plot(
                self.fpr,
                self.tpr[i],
                color=style.colour,
                linestyle=style.line,
                label=f"{self.feature_sets[i]}, AUC {self.auc[i]:.3f}",
            )
        unit_square(ax, self.title)
        ax.set_xlabel("1 − specificity")
        ax.set_ylabel("sensitivity")
        ax.legend(loc="lower right", frameon=False, fontsize=look.SMALL)
        return self


def unit_square(ax: Any, title: str) -> None:
    """Set equal scales from 0 to 1."""
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    ax.set_title(title, fontsize=10, loc="left")
    look.despine(ax)


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
    parts = {}
    for name in feature_sets:
        own = look.pick(comparison.predictions, feature_set=name, classifier=classifier)
        parts[name] = own.assign(positive=own["y"].astype(str) == str(classes[1]))
    where = "test set" if comparison.settings.n_test else "cross-validation"
    return parts, f"{classifier}, {where}"


def _roc_bands(parts: Mapping[str, pd.DataFrame], random_state: Any) -> dict[str, Any]:
    """Compute the arrays of a `RocBandDisplay`."""
    curves, areas = [], []
    for part in parts.values():
        part = part.assign(code=pd.factorize(part["sample"])[0])
        positive = part.groupby("code")["positive"].first().to_numpy()
        # The same draws for every set, so that bands do not differ by the draws.
        drawn = _draws(positive, np.random.default_rng(random_state))
        folds = [fold for _, fold in part.groupby(["repeat", "fold"])]
        mean = _mean_roc(folds, drawn)
        curves.append((mean[0], *np.quantile(mean[1:], [0.025, 0.975], axis=0)))
        both = [fold for fold in folds if fold["positive"].nunique() == 2]
        areas.append(np.mean([roc_auc_score(fold["positive"], fold["score"]) for fold in both]))
    tpr, low, high = np.swapaxes(curves, 0, 1)
    names = list(parts)
    return {"feature_sets": names, "fpr": _GRID, "tpr": tpr, "low": low, "high": high, "auc": areas}


def _draws(positive: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw bootstrap counts per sample within each class; all ones in the first row."""
    drawn = np.ones((N_RESAMPLES + 1, len(positive)))
    for label in (False, True):
        place = np.flatnonzero(positive == label)
        if len(place):
            equal = np.full(len(place), 1 / len(place))
            drawn[1:, place] = rng.multinomial(len(place), equal, size=N_RESAMPLES)
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
            fpr, tpr = (np.append(0, one[i] / one[i, -1]) for one in (false, hits))
            total[i] += np.interp(_GRID, fpr, tpr)
            count[i] += 1
    if not count[0]:
        raise ValueError("a ROC curve needs both classes in a fold")
    mean = total / np.maximum(count, 1)
    mean[:, 0] = 0
    return mean[count[:, 0] > 0]
