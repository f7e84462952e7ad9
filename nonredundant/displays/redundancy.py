"""Redundancy of learned with hand-crafted features, against chance."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays import style as look
from nonredundant.displays.names import method_name
from nonredundant.metrics.audit import UNITS

_CHANCE: dict[str, Any] = {"facecolor": "0.8", "edgecolor": "0.5", "linewidth": 0.6}


class RedundancyDisplay:
    """Dependence between h and d found by newly trained estimators, against permuted rows.

    Parameters
    ----------
    table : DataFrame
        `feature_set, method, estimate, null_mean, null_95, p_value, unit`: one row per estimate.

    Attributes
    ----------
    ax_ : Axes
        The axes in whose place the panels are drawn.
    axes_ : array of Axes
        One per unit.
    figure_ : Figure
        The figure.

    See Also
    --------
    nonredundant.metrics.redundancy_report : Compute the estimates.

    Notes
    -----
    The grey bar extends from the mean to the 95 % point of the null distribution: an estimate
    inside or left of it is consistent with independence. Filled markers have p < 0.05.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant.displays import RedundancyDisplay
    >>> from nonredundant.metrics import redundancy_report
    >>> rng = np.random.default_rng(0)
    >>> h = rng.normal(size=(60, 3))
    >>> settings = {"methods": ["dcor", "r2-ridge"], "random_state": 0}
    >>> display = RedundancyDisplay.from_reports({
    ...     "before": redundancy_report(h, h[:, :2] + rng.normal(size=(60, 2)), **settings),
    ...     "after": redundancy_report(h, rng.normal(size=(60, 2)), **settings),
    ... })
    >>> len(display.axes_)
    2
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_reports(
        cls, reports: Mapping[str, pd.DataFrame], *, ax: Any = None
    ) -> RedundancyDisplay:
        """Draw several reports side by side.

        Parameters
        ----------
        reports : mapping of str to DataFrame
            Name → result of `redundancy_report`.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        RedundancyDisplay
            The display, drawn.
        """
        parts = [
            report.rename_axis("method").reset_index().assign(feature_set=name)
            for name, report in reports.items()
        ]
        return cls(pd.concat(parts, ignore_index=True)).plot(ax)

    @classmethod
    def from_comparison(
        cls, comparison: Any, *, feature_sets: Any = None, ax: Any = None
    ) -> RedundancyDisplay:
        """Draw the audit of a comparison.

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
        RedundancyDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the comparison has no audit, or none of these sets, or no fold allowed one.
        """
        table = comparison.redundancy
        if feature_sets is not None:
            table = table[table["feature_set"].isin(list(feature_sets))]
        if table.empty:
            there = comparison.redundancy["feature_set"].unique().tolist()
            raise ValueError(f"no audit to draw: the comparison audited {there}")
        if table["estimate"].isna().all():
            raise ValueError(f"no audit to draw: {table['detail'].iloc[0]}")
        return cls(table.reset_index(drop=True)).plot(ax)

    def plot(self, ax: Any = None) -> RedundancyDisplay:
        """Draw one panel per unit in place of an axes.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        self
            With `ax_`, `axes_` and `figure_`.
        """
        units = list(dict.fromkeys(self.table["unit"]))
        names = list(dict.fromkeys(self.table["feature_set"]))
        counts = [self.table.loc[self.table["unit"] == u, "method"].nunique() for u in units]
        row = 0.16 + 0.17 * len(names)
        height = 0.75 * len(units) + row * sum(counts) + 0.3
        self.ax_, grid = look.panels(ax, len(units), 1, (6.5, height), height_ratios=counts)
        self.axes_, self.figure_ = grid.ravel(), self.ax_.figure
        for axes, unit in zip(self.axes_, units, strict=True):
            self._plot_unit(axes, unit, names)
        self.figure_.align_ylabels(list(self.axes_))
        look.legend_above(self.axes_[0], self._keys(names), 3)
        return self

    @staticmethod
    def _keys(names: list[str]) -> list[Any]:
        """Make the legend: the series, then the meaning of grey bars and open markers."""
        from matplotlib.patches import Patch

        series = [
            look.key(name, color=style.colour, marker=style.marker, linestyle="none")
            for name, style in zip(names, look.styles(len(names)), strict=True)
        ]
        hollow = {"color": "0.3", "marker": "o", "markerfacecolor": "white", "linestyle": "none"}
        return [
            *series,
            Patch(**_CHANCE, label="chance: mean to 95 %"),
            look.key("hollow: p ≥ 0.05", **hollow),
        ]

    def _plot_unit(self, ax: Any, unit: str, names: list[str]) -> None:
        """Draw the methods of one unit, one row per method."""
        table = self.table[self.table["unit"] == unit]
        methods = list(dict.fromkeys(table["method"]))
        shift = look.offsets(len(names), 0.7)
        for i, (name, style) in enumerate(zip(names, look.styles(len(names)), strict=True)):
            own = table[table["feature_set"] == name]
            y = np.array([methods.index(method) for method in own["method"]]) + shift[i]
            ax.barh(
                y,
                own["null_95"] - own["null_mean"],
                left=own["null_mean"],
                height=0.6 / len(names),
                **_CHANCE,
            )
            found = (own["p_value"] < 0.05).to_numpy()
            common = {"color": style.colour, "marker": style.marker, "linestyle": "none"}
            ax.plot(own["estimate"][found], y[found], **common)
            ax.plot(own["estimate"][~found], y[~found], **common, markerfacecolor="white")
        # Otherwise the bars would fix the axes' limits and cut markers there in half.
        ax.use_sticky_edges = False
        look.name_rows(ax, [method_name(method) for method in methods])
        ax.set_ylabel("method")
        label = UNITS[unit].label if unit in UNITS else unit
        ax.set_xlabel(textwrap.fill(label, 26) if look.is_narrow(6.5) else label)
        look.despine(ax)
