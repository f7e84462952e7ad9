"""Images of lesions: reconstructions and latent traversals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from nonredundant.displays import style as look
from nonredundant.lesions.images import has_channel, image_names
from nonredundant.models.latents import latent_names

View = Literal["slice", "mip"]
_VIEW_NAMES = {"slice": "middle slice", "mip": "maximum over depth", None: ""}


class ReconstructionDisplay:
    """Lesions beside their reconstruction: original, masked, reconstructed, error.

    Parameters
    ----------
    original : array of shape (n_lesions, height, width)
        The patches.
    masked, reconstructed, error : array of shape (n_lesions, height, width)
        Input of the network, its reconstruction and the absolute error; NaN outside the lesion.
    l2 : array of shape (n_lesions,)
        Root mean squared error over all voxels of a lesion, not only those shown.
    names : sequence of str
        The lesions' names.
    view : {"slice", "mip"} or None
        How volumes were turned into images; None for 2-D lesions.
    channels : sequence of str, optional
        The image that each row shows, of several; each has a window and units of its own.

    Attributes
    ----------
    ax_ : Axes
        The axes in whose place the panels are drawn.
    axes_ : array of Axes of shape (n_lesions, 4)
        The images.
    figure_ : Figure
        The figure.

    See Also
    --------
    nonredundant.cvae.NonRedundantCVAE.reconstruct : Compute the reconstructions.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant import LesionTable, NonRedundantCVAE
    >>> from nonredundant.displays import ReconstructionDisplay
    >>> rng = np.random.default_rng(0)
    >>> table = LesionTable.from_arrays(patches=rng.normal(size=(12, 1, 8, 8)))
    >>> cvae = NonRedundantCVAE(dlr_size=2, max_epochs=1, random_state=0).fit(table)
    >>> ReconstructionDisplay.from_estimator(cvae, table, rows=[3, 5]).axes_.shape
    (2, 4)
    """

    def __init__(
        self,
        *,
        original: Any,
        masked: Any,
        reconstructed: Any,
        error: Any,
        l2: Any,
        names: Any,
        view: View | None = None,
        channels: Sequence[str] = (),
    ) -> None:
        self.channels = list(channels) or [""] * len(original)
        self.original, self.masked = np.asarray(original), np.asarray(masked)
        self.reconstructed, self.error = np.asarray(reconstructed), np.asarray(error)
        self.l2, self.names, self.view = np.asarray(l2), list(names), view

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        rows: Sequence[int] = (0, 1, 2),
        view: View = "slice",
        channel: int | None = None,
        ax: Any = None,
    ) -> ReconstructionDisplay:
        """Draw reconstructions of some lesions.

        Parameters
        ----------
        estimator : NonRedundantCVAE or another with `reconstruct`
            Fitted.
        X : LesionTable
            Lesions; preferably not those of the training set.
        rows : sequence of int, default=(0, 1, 2)
            Samples to draw, with all their lesions.
        view : {"slice", "mip"}, default="slice"
            Volumes are shown by the slice in the lesion's middle or by the maximum over depth.
        channel : int, optional
            Channel of the patches; by default all, a row each.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        ReconstructionDisplay
            The display, drawn.
        """
        table = X[[row for row in rows if row < len(X)]]
        every, inside, channels = _patches(table, channel)
        drawn = estimator.reconstruct(table)[:, list(channels)]
        # One row per lesion and channel; a missing image has no row.
        row, k = np.nonzero(has_channel(every))
        original, drawn, mask = every[row, k], drawn[row, k], inside[row]
        masked, drawn, error = (
            np.where(mask, one, np.nan) for one in (original, drawn, np.abs(drawn - original))
        )
        shown = [list(channels.values())[i] for i in k]
        labels = [str(table.features.index[i]) for i in row]
        display = cls(
            original=flatten(original, mask, view),
            masked=flatten(masked, mask, view),
            reconstructed=flatten(drawn, mask, view),
            error=flatten(error, mask, view),
            l2=np.sqrt(np.nanmean(error**2, axis=tuple(range(1, error.ndim)))),
            names=[f"{one}\n{name}".strip() for one, name in zip(labels, shown, strict=True)],
            view=view if mask.ndim == 4 else None,
            channels=shown,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> ReconstructionDisplay:
        """Draw one row per lesion in place of an axes.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        self
            With `ax_`, `axes_` and `figure_`.
        """
        n = len(self.original)
        self.ax_, self.axes_ = look.panels(ax, n, 4, (8.4, 0.4 + 1.9 * n), hspace=0.05, wspace=0.05)
        self.figure_ = self.ax_.figure
        most = {name: np.nanmax(self.error[rows]) for name, rows in _by_name(self.channels)}
        for i, row in enumerate(self.axes_):
            mask = np.isfinite(self.masked[i])
            grey = {"cmap": "gray", "vmin": self.original[i].min(), "vmax": self.original[i].max()}
            for axes, images in zip(
                row[:3], (self.original, self.masked, self.reconstructed), strict=True
            ):
                _show(axes, images[i], mask, **grey)
            high = most[self.channels[i]]
            shown = _show(row[3], self.error[i], mask, cmap="magma", vmin=0, vmax=high)
            row[0].set_ylabel(self.names[i], fontsize=look.SMALL)
            row[3].set_xlabel(f"l2 error {self.l2[i]:.3g}", fontsize=look.SMALL)
        titles = ("original", "masked", "reconstructed", "|error|")
        for axes, title in zip(self.axes_[0], titles, strict=True):
            axes.set_title(title, fontsize=look.TITLE)
        self.axes_[-1, 0].set_xlabel(_VIEW_NAMES[self.view], fontsize=look.SMALL)
        for name, rows in _by_name(self.channels):
            shown = self.axes_[rows[0], 3].images[0]
            label = f"|error| in {name}" if name else "|error|"
            self.figure_.colorbar(shown, ax=list(self.axes_.ravel()), label=label, shrink=0.9)
        return self


class TraversalDisplay:
    """Reconstructions while one latent varies, and their differences to the unchanged one.

    Parameters
    ----------
    images : array of shape (n_latents, n_steps, height, width)
        Reconstructions, NaN outside the lesion.
    offsets : array of shape (n_steps,)
        Values added to the latent.
    latents : sequence of str
        Names of the latents.
    title : str
        Name of the lesion.
    channels : sequence of str, optional
        The image that each row shows, of several; each has a window and units of its own.

    Attributes
    ----------
    middle : int
        Index of the smallest absolute offset.
    differences : array of shape (n_latents, n_steps, height, width)
        Images minus the one at the smallest offset.
    ax_ : Axes
        The axes in whose place the panels are drawn.
    axes_ : array of Axes of shape (2 * n_latents, n_steps)
        A row of images and a row of differences per latent.
    figure_ : Figure
        The figure.

    See Also
    --------
    nonredundant.cvae.NonRedundantCVAE.traverse : Compute the images.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant import LesionTable, NonRedundantCVAE
    >>> from nonredundant.displays import TraversalDisplay
    >>> rng = np.random.default_rng(0)
    >>> table = LesionTable.from_arrays(patches=rng.normal(size=(12, 1, 8, 8)))
    >>> cvae = NonRedundantCVAE(dlr_size=2, max_epochs=1, random_state=0).fit(table)
    >>> display = TraversalDisplay.from_estimator(cvae, table, latents=[0, 1], n_steps=3)
    >>> display.images.shape, display.offsets.tolist()
    ((2, 3, 8, 8), [-2.0, 0.0, 2.0])
    """

    def __init__(
        self,
        *,
        images: Any,
        offsets: Any,
        latents: Any,
        title: str = "",
        channels: Sequence[str] = (),
    ) -> None:
        self.channels = list(channels) or [""] * len(images)
        self.images, self.offsets = np.asarray(images), np.asarray(offsets, dtype=float)
        self.latents, self.title = list(latents), title
        self.middle = int(np.argmin(np.abs(self.offsets)))
        self.differences = self.images - self.images[:, [self.middle]]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        row: int = 0,
        latents: Sequence[int] | None = None,
        span: float = 2.0,
        n_steps: int = 5,
        view: View = "slice",
        channel: int | None = None,
        ax: Any = None,
    ) -> TraversalDisplay:
        """Draw traversals from one lesion.

        Parameters
        ----------
        estimator : NonRedundantCVAE or another with `traverse`
            Fitted.
        X : LesionTable
            Lesions.
        row : int, default=0
            The sample whose first lesion is drawn.
        latents : sequence of int, optional
            Latents to vary; by default the first three.
        span : float, default=2.0
            Largest value added to and subtracted from a latent.
        n_steps : int, default=5
            Number of values; an odd number includes the reconstruction itself.
        view : {"slice", "mip"}, default="slice"
            Volumes are shown by the slice in the lesion's middle or by the maximum over depth.
        channel : int, optional
            Channel of the patches; by default all, a row each.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        TraversalDisplay
            The display, drawn.
        """
        names = latent_names(estimator)
        chosen = range(min(3, len(names))) if latents is None else latents
        table = X[[row]]
        _, mask, channels = _patches(table, channel)
        mask = np.repeat(mask[:1], n_steps, axis=0)
        offsets = np.linspace(-span, span, n_steps)
        images, labels = [], []
        for index in chosen:
            every = estimator.traverse(table, names[index], offsets)[0]
            for k, name in channels.items():
                images.append(flatten(np.where(mask, every[:, k], np.nan), mask, view))
                labels.append(f"{names[index]}\n{name}".strip())
        display = cls(
            images=images,
            offsets=offsets,
            latents=labels,
            title=str(table.features.index[0]),
            channels=list(channels.values()) * len(chosen),
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> TraversalDisplay:
        """Draw two rows per latent in place of an axes.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        self
            With `ax_`, `axes_` and `figure_`.
        """
        n, n_steps = self.images.shape[:2]
        size = (1.0 + 1.3 * n_steps, 0.6 + 2.6 * n)
        self.ax_, self.axes_ = look.panels(ax, 2 * n, n_steps, size, hspace=0.05, wspace=0.05)
        self.figure_ = self.ax_.figure
        mask = np.isfinite(self.images[0, 0])
        windows = {name: self._window(rows) for name, rows in _by_name(self.channels)}
        for i, name in enumerate(self.latents):
            grey, signed = windows[self.channels[i]]
            for j in range(n_steps):
                _show(self.axes_[2 * i, j], self.images[i, j], mask, **grey)
                _show(self.axes_[2 * i + 1, j], self.differences[i, j], mask, **signed)
            self.axes_[2 * i, 0].set_ylabel(name, fontsize=look.SMALL)
            self.axes_[2 * i + 1, 0].set_ylabel("difference", fontsize=look.SMALL)
        for axes, offset in zip(self.axes_[0], self.offsets, strict=True):
            axes.set_title(_signed(offset), fontsize=look.TITLE)
        self.axes_[-1, 0].set_xlabel(self.title, fontsize=look.SMALL)
        label = f"difference to the image at {_signed(self.offsets[self.middle])}"
        for name, rows in _by_name(self.channels):
            shown = self.axes_[2 * rows[0] + 1, 0].images[0]
            text = f"{label}, {name}" if name else label
            self.figure_.colorbar(shown, ax=list(self.axes_.ravel()), label=text, shrink=0.7)
        return self

    def _window(self, rows: list[int]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the scales of the images, and of the differences, of one channel."""
        images, most = self.images[rows], np.nanmax(np.abs(self.differences[rows]))
        most = max(most, np.finfo(float).tiny)
        grey = {"cmap": "gray", "vmin": np.nanmin(images), "vmax": np.nanmax(images)}
        return grey, {"cmap": look.SEQUENTIAL, "vmin": -most, "vmax": most}


def _by_name(channels: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Return the rows of each channel."""
    names = list(dict.fromkeys(channels))
    return [(name, [i for i, one in enumerate(channels) if one == name]) for name in names]


def _patches(table: Any, channel: int | None) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Return channels of a table's patches, the masks, and the channels with their names.

    Without masks, all voxels are marked. A single channel has no name.

    Raises
    ------
    ValueError
        If the table has no patches.
    """
    if table.patches is None:
        raise ValueError("X has no patches to draw: extract the lesions with a patch_shape")
    patches = np.asarray(table.patches[np.arange(len(table.patches))])
    n = patches.shape[1]
    names = image_names(table) or ([""] if n == 1 else [f"channel {k}" for k in range(n)])
    chosen = {k: names[k] for k in (range(n) if channel is None else [channel])}
    masks = np.ones(patches[:, 0].shape, dtype=bool)
    if table.masks is not None:
        masks = np.asarray(table.masks[np.arange(len(patches))])[:, 0]
    return patches[:, list(chosen)], masks, chosen


def flatten(volumes: np.ndarray, masks: np.ndarray, view: View) -> np.ndarray:
    """Turn each volume into an image: the middle slice of the lesion, or the maximum over depth."""
    if volumes.ndim == 3:
        return volumes
    if view == "mip":
        known = np.isfinite(volumes)
        highest = np.max(volumes, axis=1, where=known, initial=-np.inf)
        return np.where(known.any(axis=1), highest, np.nan)
    images = []
    for volume, mask in zip(volumes, masks, strict=True):
        depths = np.flatnonzero(mask.any(axis=(1, 2)))
        images.append(volume[(depths[0] + depths[-1]) // 2 if len(depths) else len(volume) // 2])
    return np.array(images)


def _signed(value: float) -> str:
    """Format a number with its sign; 0 without."""
    return f"{value:+.3g}".replace("-", "−") if value else "0"


def _show(ax: Any, image: np.ndarray, mask: np.ndarray, **kind: Any) -> Any:
    """Draw an image with the lesion's outline."""
    shown = ax.imshow(image, interpolation="nearest", **kind)
    if mask.any() and not mask.all():
        ax.contour(mask, levels=[0.5], colors=look.COLOURS[1], linewidths=0.8)
    ax.set(xticks=[], yticks=[])
    return shown
