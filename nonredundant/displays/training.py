"""Loss curves, and scores against a setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays import style as look
from nonredundant.displays.names import metric_name

_TERM_NAMES = {"kl": "KL divergence"}
_LINES = {"training": "-", "validation": "--"}
_KEYS = {"feature_set", "repeat", "fold", "epoch"}


class LossCurveDisplay:
    """Loss curves per term: training solid, validation dashed.

    Parameters
    ----------
    curves : DataFrame
        `series, term, part, epoch, mean, low, high`: `part` is "training" or "validation"; mean
        and range are over the networks of a series (the folds).

    Attributes
    ----------
    ax_ : Axes
        The axes in whose place the panels are drawn.
    axes_ : array of Axes
        One per term.
    figure_ : Figure
        The figure.

    See Also
    --------
    nonredundant.cvae.NonRedundantCVAE : Estimator whose `history_` holds the terms.

    Examples
    --------
    >>> import pandas as pd
    >>> from nonredundant.displays import LossCurveDisplay
    >>> epochs = pd.RangeIndex(1, 4, name="epoch")
    >>> history = pd.DataFrame({"kl": [3.0, 2.0, 1.5], "valid_kl": [3.1, 2.3, 2.0]}, index=epochs)
    >>> display = LossCurveDisplay.from_history(history)
    >>> display.axes_[0].get_ylabel()
    'KL divergence loss'
    """

    def __init__(self, curves: pd.DataFrame) -> None:
        self.curves = curves

    @classmethod
    def from_history(
        cls, history: pd.DataFrame | Mapping[str, pd.DataFrame], *, ax: Any = None
    ) -> LossCurveDisplay:
        """Draw the losses of one or several fits.

        Parameters
        ----------
        history : DataFrame or mapping of str to DataFrame
            `history_` of an estimator: one row per epoch, one column per term and `valid_*`.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        LossCurveDisplay
            The display, drawn.
        """
        histories = history if isinstance(history, Mapping) else {"": history}
        parts = [
            one.rename_axis("epoch").reset_index().assign(feature_set=name)
            for name, one in histories.items()
        ]
        return cls(_curves(pd.concat(parts, ignore_index=True))).plot(ax)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> LossCurveDisplay:
        """Draw the training of a fitted estimator.

        Parameters
        ----------
        estimator : NonRedundantCVAE or another estimator with latents
            Has `history_`.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        LossCurveDisplay
            The display, drawn.
        """
        return cls.from_history(estimator.history_, ax=ax)

    @classmethod
    def from_comparison(
        cls, comparison: Any, *, feature_sets: Any = None, ax: Any = None
    ) -> LossCurveDisplay:
        """Draw the training of a comparison's networks: mean and range over the folds.

        Parameters
        ----------
        comparison : FeatureSetComparison
            Result of `compare_feature_sets`.
        feature_sets : sequence of str, optional
            The learned blocks to draw; all by default.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        LossCurveDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If no network of these sets has a history.
        """
        history = comparison.history
        if feature_sets is not None and len(history):
            history = history[history["feature_set"].isin(list(feature_sets))]
        if not len(history):
            raise ValueError("no losses to draw: no network of the comparison has a history")
        return cls(_curves(history)).plot(ax)

    def plot(self, ax: Any = None) -> LossCurveDisplay:
        """Draw one panel per term in place of an axes.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        self
            With `ax_`, `axes_` and `figure_`.
        """
        terms = list(dict.fromkeys(self.curves["term"]))
        names = list(dict.fromkeys(self.curves["series"]))
        n_columns = 2 if len(terms) in (2, 4) else min(3, len(terms))
        n_rows = -(-len(terms) // n_columns)
        size = (3.1 * n_columns + 0.6, 2.4 * n_rows + 0.3)
        self.ax_, grid = look.panels(ax, n_rows, n_columns, size)
        self.axes_, self.figure_ = grid.ravel()[: len(terms)], self.ax_.figure
        for spare in grid.ravel()[len(terms) :]:
            spare.remove()
        looks = dict(zip(names, look.styles(len(names)), strict=True))
        for axes, term in zip(self.axes_, terms, strict=True):
            self._plot_term(axes, self.curves[self.curves["term"] == term], looks)
            name = _TERM_NAMES.get(term, term.replace("_", " "))
            axes.set(xlabel="epoch", ylabel=f"{name} loss")
        marked = [
            look.key(name, color=style.colour, marker=style.marker, markersize=4)
            for name, style in looks.items()
            if len(looks) > 1
        ]
        parts = [look.key(part, color="0.3", linestyle=line) for part, line in _LINES.items()]
        look.legend_above(self.axes_[0], [*marked, *parts], 2)
        return self

    @staticmethod
    def _plot_term(ax: Any, curves: pd.DataFrame, looks: dict[str, look.Style]) -> None:
        """Draw one term of every series."""
        for (name, part), own in curves.groupby(["series", "part"], sort=False):
            style = looks[str(name)]
            ax.plot(
                own["epoch"],
                own["mean"],
                color=style.colour,
                linestyle=_LINES[str(part)],
                marker=style.marker if len(looks) > 1 else None,
                markevery=max(1, len(own) // 5),
                markersize=4,
            )
            if (own["high"] > own["low"]).any():
                ax.fill_between(
                    own["epoch"], own["low"], own["high"], color=style.colour, alpha=0.15, lw=0
                )
        look.despine(ax)


def _curves(history: pd.DataFrame) -> pd.DataFrame:
    """Compute mean and range of each term over the networks of a series.

    A term that is always 0 was not part of the loss of that series and is left out.
    """
    names = [str(name) for name in history if name not in _KEYS]
    parts = []
    for name in names:
        used = history[name].fillna(0).ne(0).groupby(history["feature_set"]).transform("any")
        every = history[used].groupby(["feature_set", "epoch"], sort=False)[name]
        part = every.agg(mean="mean", low="min", high="max").reset_index()
        term = name.removeprefix("valid_")
        part.insert(0, "term", term)
        part.insert(1, "part", "training" if term == name else "validation")
        parts.append(part)
    columns = ["series", "term", "part", "epoch", "mean", "low", "high"]
    curves = pd.concat(parts, ignore_index=True).rename(columns={"feature_set": "series"})[columns]
    # Histories differ in length; epochs that a series does not have are dropped.
    return curves[curves["mean"].notna()].reset_index(drop=True)


class SweepDisplay:
    """Scores against settings, for instance AUC against latent size and against kappa.

    Parameters
    ----------
    table : DataFrame
        `parameter, value, feature_set, score, low, high`: one row per point. A value of NaN stands
        for a set that does not depend on the parameter, drawn as a horizontal line.
    metric : str
        Name of the metric.

    Attributes
    ----------
    ax_ : Axes
        The axes in whose place the panels are drawn.
    axes_ : array of Axes
        One per parameter.
    figure_ : Figure
        The figure.

    Examples
    --------
    >>> import pandas as pd
    >>> from nonredundant.displays import SweepDisplay
    >>> frame = pd.DataFrame({
    ...     "parameter": "kappa", "feature_set": "HCR+DLR-MI",
    ...     "value": [0, 0.1, 1], "score": [0.86, 0.87, 0.85],
    ... })
    >>> display = SweepDisplay.from_frame(frame)
    >>> [text.get_text() for text in display.axes_[0].get_xticklabels()]
    ['0', '0.1', '1']
    """

    def __init__(self, table: pd.DataFrame, metric: str = "roc_auc") -> None:
        self.table, self.metric = table, metric

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, *, metric: str = "roc_auc", ax: Any = None
    ) -> SweepDisplay:
        """Draw a tidy frame.

        Parameters
        ----------
        frame : DataFrame
            `parameter, value, feature_set, score`, and `low, high` if intervals are known. Several
            scores at one point (folds, seeds) are drawn as mean and range.
        metric : str, default="roc_auc"
            Name of the metric.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        SweepDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a column is missing.
        """
        keys = ["parameter", "value", "feature_set"]
        missing = [name for name in [*keys, "score"] if name not in frame]
        if missing:
            raise ValueError(f"the frame lacks the columns {missing}; it has {list(frame)}")
        low, high = ("low", "high") if {"low", "high"} <= set(frame) else ("score", "score")
        grouped = frame.groupby(keys, sort=False, dropna=False)
        table = grouped.agg(score=("score", "mean"), low=(low, "min"), high=(high, "max"))
        return cls(table.reset_index(), metric).plot(ax)

    def plot(self, ax: Any = None) -> SweepDisplay:
        """Draw one panel per parameter in place of an axes.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        self
            With `ax_`, `axes_` and `figure_`.
        """
        parameters = list(dict.fromkeys(self.table["parameter"]))
        names = list(dict.fromkeys(self.table["feature_set"]))
        n = len(parameters)
        self.ax_, grid = look.panels(ax, 1, n, (4.3 * n, 3.2))
        self.axes_, self.figure_ = grid.ravel(), self.ax_.figure
        looks = dict(zip(names, look.styles(len(names)), strict=True))
        for axes, parameter in zip(self.axes_, parameters, strict=True):
            self._plot_parameter(axes, self.table[self.table["parameter"] == parameter], looks)
            axes.set_xlabel(_PARAMETER_NAMES.get(parameter, str(parameter)))
            axes.set_ylabel(metric_name(self.metric))
        return self

    @staticmethod
    def _plot_parameter(ax: Any, table: pd.DataFrame, looks: dict[str, look.Style]) -> None:
        """Draw the score of every set over evenly spaced values, which are mostly powers."""
        values = np.sort(table["value"].dropna().unique())
        ends, names = [], []
        own_shift = dict(zip(looks, look.offsets(len(looks), 0.15), strict=True))
        for name, own in table.groupby("feature_set", sort=False):
            style = looks[str(name)]
            level = own[own["value"].isna()]
            own = own[own["value"].notna()].sort_values("value")
            if len(level):
                own = level.iloc[[0] * len(values)]
            x = np.arange(len(values)) if len(level) else np.searchsorted(values, own["value"])
            x = x + own_shift[str(name)]
            score = own["score"].to_numpy()
            kind = {"color": style.colour, "linestyle": style.line}
            if len(level):
                ax.plot(x, score, **kind, linewidth=1)
            else:
                spread = [score - own["low"].to_numpy(), own["high"].to_numpy() - score]
                ax.errorbar(x, score, spread, **kind, marker=style.marker, capsize=2)
            ends.append((x[-1], score[-1]))
            names.append(str(name))
        ax.set_xticks(range(len(values)), [f"{value:g}" for value in values])
        ax.margins(x=0.08)
        look.despine(ax)
        look.label_ends(ax, ends, names)


_PARAMETER_NAMES = {
    "dlr_size": "number of latents",
    "kappa": "κ, weight of the independence term",
    "beta": "β, weight of the KL term",
    "gamma": "γ, weight of the label term",
}
