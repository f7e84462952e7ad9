"""How often each feature was selected."""

from __future__ import annotations

from typing import Any

import numpy as np

from nonredundant.displays import style as look

#: Features that are drawn by default.
_MOST = 20


class SelectionFrequencyDisplay:
    """Share of the folds in which each feature was selected, the most frequent first.

    Parameters
    ----------
    features : sequence of str
        Names.
    share : array of shape (n_features,)
        Share of the folds that chose the feature, between 0 and 1.
    by_chance : float, optional
        Share that a random choice of as many features would give.
    stability, low, high : float, optional
        Stability of the selection and its 95 % interval.
    step : str, default=""
        Name of the step that selected.
    k : int, default=20
        Most features to draw.

    Attributes
    ----------
    ax_ : Axes
        The axes.
    bars_ : BarContainer
        One bar per feature.
    figure_ : Figure
        The figure.

    See Also
    --------
    nonredundant.statistics.selection_stability : Measure how much the folds agree.

    Examples
    --------
    >>> from nonredundant.displays import SelectionFrequencyDisplay
    >>> display = SelectionFrequencyDisplay(["uptake", "volume"], [1.0, 0.4], by_chance=0.2).plot()
    >>> [text.get_text() for text in display.ax_.get_yticklabels()]
    ['uptake', 'volume']
    """

    def __init__(
        self,
        features: Any,
        share: Any,
        *,
        by_chance: float = float("nan"),
        stability: float = float("nan"),
        low: float = float("nan"),
        high: float = float("nan"),
        step: str = "",
        k: int = _MOST,
    ) -> None:
        self.features = list(map(str, features))
        self.share = np.asarray(share, dtype=float)
        self.by_chance, self.step, self.k = by_chance, step, k
        self.stability, self.low, self.high = stability, low, high

    @classmethod
    def from_comparison(
        cls, comparison: Any, *, step: str | None = None, k: int = _MOST, ax: Any = None
    ) -> SelectionFrequencyDisplay:
        """Draw the features that a step of a comparison selected.

        Parameters
        ----------
        comparison : FeatureSetComparison
            Result of `compare_feature_sets` with a step that selects.
        step : str, optional
            Name of the step; the first that selects by default.
        k : int, default=20
            Most features to draw.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        SelectionFrequencyDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If no step of the comparison selects, or none has this name.
        """
        every = comparison.selection_stability
        if every.empty:
            raise ValueError(
                "no step of the comparison selects features: give it one, such as "
                "steps=[SelectFeatures('mrmr', k=10)]"
            )
        step = str(every["step"].iloc[0]) if step is None else step
        own = look.pick(every, step=step).iloc[0]
        selected = look.pick(comparison.selected, step=step)
        display = cls(
            selected["feature"],
            selected["share"],
            by_chance=float(selected["share"].sum() / own["n_features"]),
            stability=own["stability"],
            low=own["low"],
            high=own["high"],
            step=step,
            k=k,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> SelectionFrequencyDisplay:
        """Draw the bars.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        self
            With `ax_`, `bars_` and `figure_`.
        """
        names, share = self.features[: self.k], self.share[: self.k]
        self.ax_ = look.single(ax, (6.4, 1.1 + 0.24 * len(names)))
        self.figure_ = self.ax_.figure
        self.bars_ = self.ax_.barh(range(len(names)), share, color=look.HCR_COLOUR, height=0.7)
        look.name_rows(self.ax_, names)
        self.ax_.tick_params(axis="y", labelsize=look.SMALL)
        if not np.isnan(self.by_chance):
            self.ax_.axvline(self.by_chance, color="0.3", linestyle="--", linewidth=1)
        self.ax_.set_xlim(0, 1)
        self.ax_.set_xlabel("share of the folds that chose it")
        self.ax_.set_ylabel("feature")
        self.ax_.set_title(self._title(), fontsize=look.TITLE, loc="left")
        look.despine(self.ax_)
        return self

    def _title(self) -> str:
        """Return the name of the step and the stability, as far as they are known."""
        parts = [self.step] if self.step else []
        if not np.isnan(self.stability):
            parts.append(f"stability {self.stability:.2f} ({self.low:.2f} to {self.high:.2f})")
        return ": ".join(parts)
