"""Agreement of repeated measurements, by family of features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays import style as look

#: Height of the cloud of points of a family.
_SPREAD = 0.6


class StabilityDisplay:
    """Intraclass correlation of each column with its interval, one row per family.

    Parameters
    ----------
    table : DataFrame
        One row per column: `family, icc, low, high, stable`.
    threshold : float
        What a stable column reaches.
    kind : str, default="ICC(1,1)"
        Which correlation it is.

    Attributes
    ----------
    ax_ : Axes
        The axes.
    figure_ : Figure
        The figure.

    See Also
    --------
    nonredundant.stability.repeat_stability : Compute the values.

    Examples
    --------
    >>> import pandas as pd
    >>> from nonredundant.displays import StabilityDisplay
    >>> table = pd.DataFrame(
    ...     {"family": ["shape", "glcm"], "icc": [0.95, 0.6], "low": [0.9, 0.4],
    ...      "high": [0.97, 0.75], "stable": [True, False]}
    ... )
    >>> StabilityDisplay(table, 0.75).plot().ax_.get_xlabel()
    'ICC(1,1) with 95 % interval'
    """

    def __init__(self, table: pd.DataFrame, threshold: float, kind: str = "ICC(1,1)") -> None:
        self.table, self.threshold, self.kind = table, threshold, kind

    @classmethod
    def from_stability(cls, stability: Any, *, ax: Any = None) -> StabilityDisplay:
        """Draw the result of `repeat_stability`.

        Parameters
        ----------
        stability : RepeatStability
            The result.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        StabilityDisplay
            The display, drawn.
        """
        return cls(stability.table, stability.threshold, stability.kind).plot(ax)

    @classmethod
    def from_comparison(cls, comparison: Any, *, ax: Any = None) -> StabilityDisplay:
        """Draw what a comparison with a step `StableFeatures` has found, as means of its folds.

        Parameters
        ----------
        comparison : FeatureSetComparison
            The comparison.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        StabilityDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the comparison has no such step.
        """
        table = comparison.stability
        if table.empty:
            raise ValueError("the comparison has no step StableFeatures, so nothing was repeated")
        drawn = table.assign(stable=table["kept"] == 1)
        return cls(drawn, float(table["threshold"].iloc[0]), str(table["kind"].iloc[0])).plot(ax)

    def plot(self, ax: Any = None) -> StabilityDisplay:
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
        known = self.table[self.table["icc"].notna()]
        families = list(dict.fromkeys(known["family"]))
        self.ax_ = ax = look.single(ax, (6.4, 1.4 + 0.55 * len(families)))
        self.figure_ = ax.figure
        names = []
        for row, family in enumerate(families):
            own = known[known["family"] == family].sort_values("icc")
            heights = row + np.linspace(_SPREAD / 2, -_SPREAD / 2, len(own) + 2)[1:-1]
            ax.hlines(heights, own["low"], own["high"], color="0.8", linewidth=0.8, zorder=1)
            for stable, style in ((True, look.HCR_COLOUR), (False, look.DLR_COLOUR)):
                chosen = (own["stable"] == stable).to_numpy()
                ax.plot(
                    own["icc"][chosen],
                    heights[chosen],
                    "o" if stable else "s",
                    color=style,
                    markerfacecolor=style if stable else "none",
                    markersize=3.5,
                )
            names.append(f"{family}\n{int(own['stable'].sum())} of {len(own)}")
        ax.axvline(self.threshold, color="0.4", linestyle="--", linewidth=1)
        look.name_rows(ax, names)
        ax.set_xlim(
            min(0.0, float(known["icc"].min(skipna=True)) - 0.05 if len(known) else 0.0), 1.02
        )
        ax.set_xlabel(f"{self.kind} with 95 % interval")
        ax.set_ylabel("kind of features")
        look.despine(ax)
        kinds = (
            ("stable", "o", look.HCR_COLOUR, look.HCR_COLOUR),
            ("not", "s", look.DLR_COLOUR, "none"),
        )
        handles = [
            look.key(label, marker=marker, color=colour, linestyle="", markerfacecolor=face)
            for label, marker, colour, face in kinds
        ]
        handles.append(look.key("threshold", color="0.4", linestyle="--"))
        look.legend_above(ax, handles, 3)
        return self
