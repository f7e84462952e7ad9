"""Forest plot of the scores and paired differences of feature sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays import style as look
from nonredundant.displays.names import metric_name, p_number

#: Width beside the panels for the axis label, ticks and gaps, in inches.
_BESIDE = 0.8


class FeatureSetComparisonDisplay:
    """Forest plot: score of each feature set and paired difference to a reference.

    Parameters
    ----------
    feature_sets : sequence of str
        Names, from top to bottom.
    score, low, high : array of shape (n_sets,)
        Score and 95 % interval; NaN where there is no interval.
    difference, difference_low, difference_high : array of shape (n_sets,)
        Paired difference to the reference and its 95 % interval; NaN where none was tested.
    p_value, p_holm : array of shape (n_sets,)
        Paired p, and p corrected over all sets and classifiers by Holm's method.
    reference : sequence of str or None
        The reference of each difference.
    metric, classifier : str
        Metric and classifier of the scores.
    highlighted : str or None
        The set whose row is shaded: the primary one, chosen before any result was seen.
    rows : str, default="feature set"
        What the rows are.

    Attributes
    ----------
    ax_ : Axes
        The axes in whose place the panels are drawn.
    axes_ : array of Axes
        Scores, then differences if there are any.
    p_texts_ : list of Text
        The p-value of each row, right of the differences; empty without differences.
    figure_ : Figure
        The figure.

    See Also
    --------
    nonredundant.evaluation.compare_feature_sets : Run the comparison.

    Examples
    --------
    >>> from nonredundant.displays import FeatureSetComparisonDisplay
    >>> display = FeatureSetComparisonDisplay(
    ...     feature_sets=["HCR", "HCR+DLR-MI"], score=[0.75, 0.86], low=[0.70, 0.82],
    ...     high=[0.80, 0.90], difference=[float("nan"), 0.11],
    ...     difference_low=[float("nan"), 0.06], difference_high=[float("nan"), 0.16],
    ...     p_value=[float("nan"), 0.001], p_holm=[float("nan"), 0.002],
    ...     reference=[None, "HCR"],
    ... ).plot()
    >>> [text.get_text() for text in display.axes_[0].get_yticklabels()]
    ['HCR', 'HCR+DLR-MI']
    """

    def __init__(
        self,
        *,
        feature_sets: Any,
        score: Any,
        low: Any,
        high: Any,
        difference: Any,
        difference_low: Any,
        difference_high: Any,
        p_value: Any,
        p_holm: Any,
        reference: Any,
        metric: str = "roc_auc",
        classifier: str = "",
        highlighted: str | None = None,
        rows: str = "feature set",
    ) -> None:
        self.feature_sets = list(feature_sets)
        self.score, self.low, self.high = map(_floats, (score, low, high))
        self.difference = _floats(difference)
        self.difference_low = _floats(difference_low)
        self.difference_high = _floats(difference_high)
        self.p_value, self.p_holm = _floats(p_value), _floats(p_holm)
        self.metric, self.classifier = metric, classifier
        self.reference, self.highlighted = list(reference), highlighted
        self.rows = rows

    @classmethod
    def from_comparison(
        cls,
        comparison: Any,
        *,
        metric: str | None = None,
        classifier: str | None = None,
        reference: str | None = None,
        ax: Any = None,
    ) -> FeatureSetComparisonDisplay:
        """Draw the scores of a comparison.

        Parameters
        ----------
        comparison : FeatureSetComparison
            Result of `compare_feature_sets`.
        metric : str, optional
            A scoring name; the primary one by default.
        classifier : str, optional
            A classifier; the primary one by default.
        reference : str, optional
            Reference of the differences; by default the hand-crafted set that each set was
            tested against.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        FeatureSetComparisonDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the comparison holds no scores of that metric and classifier.
        """
        primary = comparison.primary
        metric = metric or primary["metric"]
        classifier = classifier or primary["classifier"]
        summary = look.pick(comparison.summary, metric=metric, classifier=classifier)
        tests = look.pick(comparison.tests, False, metric=metric, classifier=classifier)
        if reference is not None:
            tests = look.pick(tests, reference=reference)
        # The hand-crafted reference comes first where a set was tested against several.
        first = tests.drop_duplicates("feature_set").set_index("feature_set")
        tests = first.reindex(summary["feature_set"])
        display = cls(
            feature_sets=summary["feature_set"],
            score=summary["mean"],
            low=summary["low"],
            high=summary["high"],
            difference=tests["estimate"],
            difference_low=tests["low"],
            difference_high=tests["high"],
            p_value=tests["p_value"],
            p_holm=tests["p_holm"],
            metric=metric,
            classifier=classifier,
            reference=[name if isinstance(name, str) else None for name in tests["reference"]],
            highlighted=primary["feature_set"],
        )
        return display.plot(ax)

    @classmethod
    def from_centres(cls, comparison: Any, *, ax: Any = None) -> FeatureSetComparisonDisplay:
        """Draw the primary set in each centre that was left out, and its mean over them.

        Parameters
        ----------
        comparison : FeatureSetComparison
            Result of `compare_feature_sets` with `cv="centre"`.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        FeatureSetComparisonDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If no centre was left out.
        """
        primary = comparison.primary
        if comparison.by_centre.empty:
            raise ValueError("no centre was left out: compare with cv='centre'")
        chosen = {name: primary[name] for name in ("feature_set", "classifier", "metric")}
        own = look.pick(comparison.by_centre, **chosen)
        own = own[own["score"].notna()].astype({"difference": float})
        mean = look.pick(comparison.cv_summary, **chosen).iloc[0]
        tests = look.pick(comparison.cv_tests, False, **chosen)
        tests = tests[tests["reference"] == own["reference"].iloc[0]]
        test = dict.fromkeys(("estimate", "low", "high", "p_value"), np.nan)
        test |= {} if tests.empty else dict(tests.iloc[0])
        reference = own["reference"].iloc[0] or None
        names = [f"{row.centre} ({row.events} of {row.n})" for row in own.itertuples()]
        return cls(
            feature_sets=[*names, "mean"],
            score=[*own["score"], mean["mean"]],
            low=[*own["low"], mean["low"]],
            high=[*own["high"], mean["high"]],
            difference=[*own["difference"], test["estimate"]],
            difference_low=[*own["difference_low"], test["low"]],
            difference_high=[*own["difference_high"], test["high"]],
            p_value=[*own["p_value"], test["p_value"]],
            p_holm=[np.nan] * (len(own) + 1),
            reference=[reference] * (len(own) + 1),
            metric=primary["metric"],
            classifier=f"{primary['feature_set']}, {primary['classifier']}",
            highlighted="mean",
            rows="centre left out (events of samples)",
        ).plot(ax)

    def plot(self, ax: Any = None) -> FeatureSetComparisonDisplay:
        """Draw scores and differences in place of an axes.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        self
            With `ax_`, `axes_`, `p_texts_` and `figure_`.
        """
        tested = bool(np.isfinite(self.difference).any())
        n = len(self.feature_sets)
        self.axes_, third = self._panels(ax, tested, 1.2 + 0.36 * n)
        self.figure_ = self.ax_.figure
        label = metric_name(self.metric)
        first = self.axes_[0]
        self._rows(first, self.score, self.low, self.high)
        look.name_rows(first, self.feature_sets)
        first.set_ylabel(self.rows)
        first.set_xlabel(f"{label}, 95 % interval")
        if self.classifier:
            first.set_title(self.classifier, fontsize=look.TITLE, loc="left")
        self.p_texts_: list[Any] = []
        if tested:
            self._plot_differences(self.axes_[1], label)
            self._write_p(third)
        return self

    def _panels(self, ax: Any, tested: bool, height: float) -> tuple[np.ndarray, Any]:
        """Return the panels of scores and differences, and a narrow one for the p-values."""
        if not tested:
            self.ax_, grid = look.panels(ax, 1, 1, (5.0, height))
            return grid.ravel(), None
        if ax is None and look.is_narrow(9.0):
            # Differences below the scores: the p-values stand beside them.
            host = look.single(None, (4.6, 2 * height))
            self.ax_, grid = look.panels(host, 2, 2, **self._ratios(host, (1,)))
            grid[0, 1].set_axis_off()
            return grid[:, 0], grid[1, 1]
        host = look.single(ax, (9.0, height))
        self.ax_, grid = look.panels(host, 1, 3, **self._ratios(host, (1, 1.2)))
        return grid[0, :2], grid[0, 2]

    def _ratios(self, host: Any, shares: tuple[float, ...]) -> dict[str, Any]:
        """Return the widths of panels, so that the last one holds the p-values."""
        width = host.get_window_extent().width / host.figure.dpi
        lines = "\n".join([*self._labels(), self._p_title]).split("\n")
        last = max(look.text_width(line, look.SMALL) for line in lines)
        names = max(look.text_width(name, look.TITLE) for name in self.feature_sets)
        each = max(width - _BESIDE - names - last, 0.3 * width) / sum(shares)
        return {"width_ratios": (*(each * share for share in shares), last)}

    @property
    def _p_title(self) -> str:
        """Title above the p-values."""
        several = len(set(self.reference) - {None}) > 1
        title = "p (Holm)" if np.isfinite(self.p_holm).any() else "p"
        return title + (", against" if several else "")

    def _plot_differences(self, ax: Any, label: str) -> None:
        """Draw the paired differences."""
        self._rows(ax, self.difference, self.difference_low, self.difference_high)
        ax.axvline(0, color="0.3", linewidth=1, linestyle=":")
        below = ax.get_subplotspec().rowspan.start > 0
        look.name_rows(ax, self.feature_sets if below else [""] * len(self.feature_sets))
        references = set(self.reference) - {None}
        to = references.pop() if len(references) == 1 else "its reference"
        ax.set_xlabel(f"difference in {label} to {to}")
        ax.set_ylabel(self.rows if below else "")

    def _write_p(self, ax: Any) -> None:
        """Write the p-value of each row in a panel of its own, which no interval reaches into."""
        ax.set_axis_off()
        ax.set_ylim(self.axes_[1].get_ylim())
        place = {"va": "center", "fontsize": look.SMALL}
        self.p_texts_ = [ax.text(0, row, text, **place) for row, text in enumerate(self._labels())]
        ax.set_title(self._p_title, fontsize=look.SMALL, loc="left")

    def _labels(self) -> list[str]:
        """Format the p-value of each row."""
        references = set(self.reference) - {None}
        return [self._label(row, references) for row in range(len(self.feature_sets))]

    def _label(self, row: int, references: set[str]) -> str:
        """Format the p-value of a row, in brackets the corrected one, and what it is tested to."""
        if self.reference[row] is None:
            return "reference" if self.feature_sets[row] in references else ""
        text, corrected = p_number(self.p_value[row]), p_number(self.p_holm[row])
        text = f"{text} ({corrected})" if corrected else text or "not estimable"
        return text if len(references) == 1 else f"{text}\n{self.reference[row]}"

    def _rows(self, ax: Any, value: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """Draw a point and its interval per row."""
        for row, name in enumerate(self.feature_sets):
            chosen = name == self.highlighted
            if chosen:
                ax.axhspan(row - 0.45, row + 0.45, color="0.9", zorder=0)
            if np.isfinite(value[row]):
                ends = np.array([[value[row] - low[row]], [high[row] - value[row]]])
                ax.errorbar(
                    value[row],
                    row,
                    xerr=ends if np.isfinite(ends).all() else None,
                    color=look.COLOURS[2] if chosen else look.COLOURS[0],
                    marker="D" if chosen else "o",
                    capsize=3,
                )
        look.despine(ax)
        look.few_ticks(ax)


def _floats(values: Any) -> np.ndarray:
    """Convert values to a float array."""
    return np.asarray(pd.Series(values), dtype=float)
