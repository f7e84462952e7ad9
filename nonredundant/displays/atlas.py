"""Effect of each latent on the image, and its stability under other seeds."""

from __future__ import annotations

import math
import re
import textwrap
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays import style as look
from nonredundant.displays.images import flatten

#: Letters per line of a feature's name: as many as fit below a map.
_LONG = 24
#: Width of a map with its texts, in inches.
_COLUMN = 2.2


class LatentAtlasDisplay:
    """Map of the change by each latent, its share of the change, and its correlated feature.

    Parameters
    ----------
    maps : array of shape (n_latents, height, width)
        Mean absolute change of the image.
    table : DataFrame
        `LatentAtlas.table`.
    view : {"slice", "mip"} or None
        How volumes were turned into images; None for 2-D lesions.

    Attributes
    ----------
    ax_ : Axes
        The axes in whose place the panels are drawn.
    axes_ : array of Axes
        One per latent.
    figure_ : Figure
        The figure.

    See Also
    --------
    nonredundant.inspection.latent_atlas : Compute the atlas.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant.displays import LatentAtlasDisplay
    >>> table = pd.DataFrame({"latent": ["dlr00"], "image_share": [1.0], "dead": [False]})
    >>> LatentAtlasDisplay(np.eye(4)[None], table).plot().axes_.shape
    (1, 1)
    """

    def __init__(self, maps: Any, table: pd.DataFrame, view: Any = None) -> None:
        self.maps, self.table, self.view = np.asarray(maps, dtype=float), table, view

    @classmethod
    def from_atlas(
        cls, atlas: Any, *, view: Any = "mip", channel: int | None = None, ax: Any = None
    ) -> LatentAtlasDisplay:
        """Draw an atlas.

        Parameters
        ----------
        atlas : LatentAtlas
            The atlas.
        view : {"slice", "mip"}, default="mip"
            Volumes are shown by the maximum over depth or by the middle slice.
        channel : int, optional
            Channel of the patches; by default all, a map each.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        LatentAtlasDisplay
            The display, drawn.
        """
        n, n_channels = atlas.maps.shape[:2]
        chosen = list(range(n_channels)) if channel is None else [channel]
        maps = atlas.maps[:, chosen].reshape(n * len(chosen), *atlas.maps.shape[2:])
        images = flatten(maps, np.ones(maps.shape, dtype=bool), view)
        table = atlas.table
        if len(chosen) > 1:
            names = list(atlas.channels) or [f"channel {k}" for k in range(n_channels)]
            table = table.loc[table.index.repeat(n_channels)].reset_index(drop=True)
            table["channel"] = names * n
        return cls(images, table, view if maps.ndim == 4 else None).plot(ax)

    def plot(self, ax: Any = None) -> LatentAtlasDisplay:
        """Draw one map per latent, on a common scale, in place of an axes.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        self
            With `ax_`, `axes_` and `figure_`.
        """
        n = len(self.maps)
        narrow = ax is None and look.is_narrow(_COLUMN * min(n, 4))
        n_columns = min(n, 2 if narrow else 4)
        n_rows = math.ceil(n / n_columns)
        size = (1.0 + _COLUMN * n_columns, 0.8 + 1.15 * _COLUMN * n_rows)
        self.ax_, self.axes_ = look.panels(ax, n_rows, n_columns, size, hspace=0.3, wspace=0.1)
        self.figure_ = self.ax_.figure
        channels = self.table.get("channel", pd.Series([""] * n)).tolist()
        highest = {
            name: max(self.maps[np.array(channels) == name].max(), np.finfo(float).tiny)
            for name in dict.fromkeys(channels)
        }
        for axes in self.axes_.ravel()[n:]:
            axes.set_axis_off()
        for axes, image, row in zip(
            self.axes_.ravel(), self.maps, self.table.to_dict("records"), strict=False
        ):
            most = highest[row.get("channel", "")]
            if len(highest) > 1:
                # Each image has units of its own, which one scale of colours cannot have.
                image, most = image / most, 1.0
            shown = axes.imshow(image, cmap="magma", vmin=0, vmax=most, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.set_title(_headline(row), fontsize=look.SMALL)
            axes.set_xlabel(_correlate(row), fontsize=look.SMALL)
        kind = {"mip": "maximum over depth", "slice": "middle slice", None: ""}[self.view]
        label = f"mean |change| by one SD\n{kind}".strip()
        if len(highest) > 1:
            label = f"mean |change| by one SD, of the largest of each image\n{kind}".strip()
        place = "bottom" if narrow else "right"
        bar = {"location": place, "label": label, "shrink": 0.8, "aspect": 30}
        self.figure_.colorbar(shown, ax=list(self.axes_.ravel()), **bar)
        return self


def _headline(row: dict[Any, Any]) -> str:
    """Describe a latent: its name, its share of the change, and whether it is reproduced."""
    text = f"{row['latent']}: {100 * row['image_share']:.0f} % of the change"
    if row.get("channel"):
        text = f"{row['latent']}, {row['channel']}: {100 * row['image_share']:.0f} %"
    if row["dead"]:
        return f"{row['latent']}: collapsed"
    return text if row.get("comes_back", True) else f"{text}\nnot reproduced"


def _correlate(row: dict[Any, Any]) -> str:
    """Describe the feature most correlated with a latent, with the interval."""
    if not isinstance(row.get("feature"), str):
        return ""
    feature = _broken(row["feature"].removeprefix("original_"))
    # Adding 0 makes a rounded -0.0 a plain 0.
    r, low, high = (f"{np.round(row[k], 2) + 0:+.2f}" for k in ("correlation", "low", "high"))
    doubt = "" if row["p_holm"] < 0.05 else " n.s."
    return f"{feature}\n{r} ({low} to {high}){doubt}".replace("-", "−")


def _broken(name: str) -> str:
    """Break a long name into lines, after underscores and before capitals where possible."""
    lines = [""]
    for part in re.findall(r"[A-Z]*[^A-Z_]*_?", name):
        if len(lines[-1]) + len(part) > _LONG and lines[-1]:
            lines.append("")
        lines[-1] += part
    return "\n".join(textwrap.fill(line, _LONG) for line in lines if line)


class LatentStabilityDisplay:
    """Reproducibility of each latent under other seeds: by one latent, and by all of them.

    Parameters
    ----------
    table : DataFrame
        `LatentStability.table`.
    chance : float
        Mean absolute correlation of matched latents if rows are shuffled.

    Attributes
    ----------
    ax_ : Axes
        The axes.
    figure_ : Figure
        The figure.

    See Also
    --------
    nonredundant.inspection.latent_stability : Compute the values.

    Examples
    --------
    >>> import pandas as pd
    >>> from nonredundant.displays import LatentStabilityDisplay
    >>> table = pd.DataFrame(
    ...     {"latent": ["dlr00"], "matched": [0.9], "matched_low": [0.8], "recovered": [0.95]}
    ... )
    >>> LatentStabilityDisplay(table, chance=0.1).plot().ax_.get_xlabel()
    'shared with other seeds'
    """

    def __init__(self, table: pd.DataFrame, chance: float) -> None:
        self.table, self.chance = table, chance

    @classmethod
    def from_stability(cls, stability: Any, *, ax: Any = None) -> LatentStabilityDisplay:
        """Draw the result of `latent_stability`.

        Parameters
        ----------
        stability : LatentStability
            The result.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        LatentStabilityDisplay
            The display, drawn.
        """
        return cls(stability.table, stability.chance).plot(ax)

    def plot(self, ax: Any = None) -> LatentStabilityDisplay:
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
        n = len(self.table)
        self.ax_ = ax = look.single(ax, (6.4, 1.2 + 0.28 * n))
        self.figure_ = ax.figure
        rows = np.arange(n)
        ax.hlines(rows, self.table["matched_low"], self.table["matched"], color=look.HCR_COLOUR)
        ax.plot(
            self.table["matched"],
            rows,
            "o",
            color=look.HCR_COLOUR,
            label="|r| with its partner, mean and worst",
        )
        ax.plot(
            self.table["recovered"].clip(lower=0),
            rows,
            "s",
            markerfacecolor="none",
            color=look.DLR_COLOUR,
            label="R² from all latents of another fit",
        )
        ax.axvline(self.chance, color="0.5", linestyle=":", label="|r| by chance")
        ax.axvline(math.sqrt(0.5), color="0.5", linestyle="--", label="half of the variance (|r|)")
        look.name_rows(ax, self.table["latent"].tolist())
        ax.set_xlim(-0.02, 1.02)
        ax.set_xlabel("shared with other seeds")
        ax.set_ylabel("latent")
        look.despine(ax)
        handles, _ = ax.get_legend_handles_labels()
        look.legend_above(ax, handles, 2)
        return self
