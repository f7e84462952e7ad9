"""Decision curves: what treating by predicted probabilities is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nonredundant.displays import style as look
from nonredundant.statistics.calibration import net_benefit

#: Thresholds at which curves are drawn unless others are given.
_GRID = tuple(np.round(np.arange(0.05, 0.96, 0.05), 2).tolist())


class NetBenefitDisplay:
    """Net benefit over thresholds, beside treating all cases and treating none.

    Parameters
    ----------
    names : sequence of str
        Names of the curves.
    thresholds : array of shape (n_thresholds,)
        Probabilities above which a case would be treated.
    net_benefit : sequence of arrays of shape (n_thresholds,)
        One array per name.
    treat_all : array of shape (n_thresholds,)
        Net benefit of treating all cases.
    title : str
        Source of the predictions.

    Attributes
    ----------
    ax_ : Axes
        The axes.
    figure_ : Figure
        The figure.

    Examples
    --------
    >>> from nonredundant.displays import NetBenefitDisplay
    >>> y, p = [0, 1, 0, 1], [0.1, 0.8, 0.6, 0.9]
    >>> NetBenefitDisplay.from_predictions(y, {"HCR": p}, thresholds=[0.2, 0.5]).net_benefit[0]
    array([0.4375, 0.25  ])
    """

    def __init__(
        self, *, names: Any, thresholds: Any, net_benefit: Any, treat_all: Any, title: str = ""
    ) -> None:
        self.names, self.title = list(names), title
        self.thresholds, self.treat_all = np.asarray(thresholds), np.asarray(treat_all)
        self.net_benefit = [np.asarray(values) for values in net_benefit]

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        scores: Mapping[str, Any],
        *,
        thresholds: Any = _GRID,
        title: str = "",
        ax: Any = None,
    ) -> NetBenefitDisplay:
        """Draw the curves of predicted probabilities.

        Parameters
        ----------
        y_true : array of shape (n_samples,)
            Labels, 1 or True for the positive class.
        scores : mapping of str to array of shape (n_samples,)
            Name → probability of the positive class.
        thresholds : array-like, default=0.05, 0.10, …, 0.95
            Probabilities in (0, 1), ascending.
        title : str
            Source of the predictions.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        NetBenefitDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If scores are not probabilities, or there is none.
        """
        if not scores:
            raise ValueError("there are no predictions to draw")
        curves = {name: net_benefit(y_true, p, thresholds) for name, p in scores.items()}
        first = next(iter(curves.values()))
        return cls(
            names=curves,
            thresholds=first["threshold"],
            net_benefit=[curve["net_benefit"] for curve in curves.values()],
            treat_all=first["treat_all"],
            title=title,
        ).plot(ax)

    def plot(self, ax: Any = None) -> NetBenefitDisplay:
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
        styles = look.styles(len(self.names))
        for name, values, style in zip(self.names, self.net_benefit, styles, strict=True):
            ax.plot(
                self.thresholds,
                values,
                color=style.colour,
                linestyle=style.line,
                marker=style.marker,
                markersize=3,
                label=name,
            )
        ax.plot(self.thresholds, self.treat_all, color="0.5", linestyle=":", label="treat all")
        ax.axhline(0, color="0.5", linewidth=1, label="treat none")
        # Treating all falls without bound; what matters lies above 0.
        top = max(0.02, *(float(values.max()) for values in [*self.net_benefit, self.treat_all]))
        ax.set(xlabel="threshold", ylabel="net benefit", ylim=(-0.25 * top, 1.1 * top))
        ax.set_title(self.title, fontsize=look.TITLE, loc="left")
        ax.legend(loc="upper right", frameon=False, fontsize=look.SMALL)
        look.despine(ax)
        return self
