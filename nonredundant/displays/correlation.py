"""Correlation of latents with hand-crafted features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays import style as look
from nonredundant.models.latents import latent_frame


class CorrelationMapDisplay:
    """Spearman's correlation of each latent with named hand-crafted features.

    Parameters
    ----------
    correlation : array of shape (n_features, n_latents)
        Spearman's correlations.
    features, latents : sequence of str
        Names of rows and columns.

    Attributes
    ----------
    ax_ : Axes
        The axes.
    figure_ : Figure
        The figure.

    Notes
    -----
    Only monotone dependence is visible; `RedundancyDisplay` shows the results of stronger
    methods.

    Examples
    --------
    >>> import pandas as pd
    >>> from nonredundant.displays import CorrelationMapDisplay
    >>> h = pd.DataFrame({"volume": [1.0, 2.0, 3.0], "maximum": [5.0, 9.0, 7.0]})
    >>> d = pd.DataFrame({"dlr00": [9.0, 4.0, 1.0]})
    >>> CorrelationMapDisplay.from_features(h, d).correlation
    array([[-1. ],
           [-0.5]])
    """

    def __init__(self, correlation: Any, features: Any, latents: Any) -> None:
        self.correlation = np.asarray(correlation, dtype=float)
        self.features, self.latents = list(features), list(latents)

    @classmethod
    def from_features(
        cls, h: pd.DataFrame, d: pd.DataFrame, *, n_features: int = 20, ax: Any = None
    ) -> CorrelationMapDisplay:
        """Draw the correlations of two sets of columns.

        Parameters
        ----------
        h, d : DataFrame of shape (n_samples, n_features), (n_samples, n_latents)
            Hand-crafted and learned features of the same samples, in the same order.
        n_features : int, default=20
            Number of columns of h to draw: those with the largest absolute correlation.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        CorrelationMapDisplay
            The display, drawn.
        """
        h, d = (frame.reset_index(drop=True).rank() for frame in (h, d))
        varying = h.columns[h.nunique() > 1]
        found = np.array([d.corrwith(h[name]).to_numpy() for name in varying])
        strength = np.nanmax(np.abs(found), axis=1, initial=0)
        kept = np.sort(np.argsort(-strength, kind="stable")[:n_features])
        return cls(found[kept], varying[kept], d.columns).plot(ax)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, features: Any = None, n_features: int = 20, ax: Any = None
    ) -> CorrelationMapDisplay:
        """Draw the correlations of lesions' features with their latents.

        Parameters
        ----------
        estimator : NonRedundantCVAE or another estimator with latents
            Fitted.
        X : LesionTable
            Lesions; preferably not those of the training set.
        features : sequence of str, optional
            Hand-crafted features; all by default.
        n_features : int, default=20
            Number of them to draw: those with the largest absolute correlation.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        CorrelationMapDisplay
            The display, drawn.
        """
        h = X.hcr if features is None else X.features[list(features)]
        return cls.from_features(h, latent_frame(estimator, X), n_features=n_features, ax=ax)

    def plot(self, ax: Any = None) -> CorrelationMapDisplay:
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
        n_rows, n_columns = self.correlation.shape
        size = (3.6 + 0.36 * n_columns, 1.4 + 0.25 * n_rows)
        self.ax_ = ax = look.single(ax, size)
        self.figure_ = ax.figure
        image = ax.imshow(self.correlation, cmap=look.SEQUENTIAL, vmin=-1, vmax=1, aspect="auto")
        ax.set_xticks(range(n_columns), self.latents, rotation=90, fontsize=look.SMALL)
        ax.set_yticks(range(n_rows), self.features, fontsize=look.SMALL)
        ax.set_xlabel("latent")
        ax.set_ylabel("hand-crafted feature")
        for (i, j), value in np.ndenumerate(self.correlation):
            # Adding 0 makes a rounded -0.0 a plain 0.
            text = f"{np.round(value, 1) + 0:.1f}".replace("-", "−")
            colour = "black" if value > -0.25 else "white"
            ax.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)
        self.figure_.colorbar(image, ax=ax, label="Spearman's correlation")
        return self
