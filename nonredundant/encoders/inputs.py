"""From patches of lesions to the input that a pretrained network was trained on."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from nonredundant.extraction.patches import regrid_patch

#: Letters of the two ends of each axis of a patch, z-y-x: it points to the first ones.
_ENDS = ("SI", "PA", "LR")
#: What `window` may be besides a pair of intensities.
WINDOWS = ("standardise", "range")
LARGEST, ORTHOGONAL = "largest", "orthogonal"


@dataclass(frozen=True)
class Input:
    """What a network takes.

    Attributes
    ----------
    shape : tuple of int
        Voxels of the input, z-y-x, before its axes are turned; two for images of slices.
    spacing : float or "fit"
        Voxel size in mm.
    window : (float, float), "standardise", "range" or None
        How intensities are scaled.
    clip : bool
        Whether intensities outside of the window are cut off.
    masked : bool
        Whether voxels outside of the lesion are set to the lower end of the window.
    channels : tuple of (float, float)
        Mean and standard deviation of each channel.
    orientation : str or None
        Letters of the directions to which the axes of the input point.
    slices : str
        Which slices a network of images sees of a volume.
    """

    shape: tuple[int, ...]
    spacing: float | str
    window: tuple[float, float] | str | None
    clip: bool
    masked: bool
    channels: tuple[tuple[float, float], ...]
    orientation: str | None
    slices: str

    def of_lesion(self, values: np.ndarray, inside: np.ndarray, spacing: Any) -> np.ndarray:
        """Return the views of one lesion.

        Parameters
        ----------
        values : float array of shape (z, y, x) or (y, x)
            The patch.
        inside : bool array of the same shape
            Voxels of the lesion.
        spacing : float or None
            Voxel size of the patch in mm; None if unknown.

        Returns
        -------
        float32 array of shape (n_views, n_channels, *input)
            One view, or one per orthogonal slice.
        """
        values, inside = self._on_grid(values, inside, spacing)
        scaled = self._scaled(values, inside)
        views = self._slices(scaled, inside) if len(self.shape) < scaled.ndim else [scaled]
        if self.orientation is not None:
            views = [turned(view, self.orientation) for view in views]
        stacked = np.stack(views)[:, None]
        means, spreads = np.array(self.channels, dtype=np.float32).T.reshape(
            2, 1, -1, *[1] * (stacked.ndim - 2)
        )
        return np.ascontiguousarray((stacked - means) / spreads, dtype=np.float32)

    def step(self, shape: tuple[int, ...], spacing: Any) -> float:
        """Return the voxel size of the input in mm, or in patch voxels if that is unknown."""
        own = 1.0 if spacing is None else float(spacing)
        if self.spacing != "fit":
            return float(self.spacing)
        aims = self.shape if len(self.shape) == len(shape) else (max(self.shape),) * len(shape)
        return max(own * n / aim for n, aim in zip(shape, aims, strict=True))

    def _on_grid(
        self, values: np.ndarray, inside: np.ndarray, spacing: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Interpolate a patch to the voxel size and shape of the input."""
        own = 1.0 if spacing is None else float(spacing)
        step = self.step(values.shape, spacing)
        shape = self.shape
        if len(shape) < values.ndim:
            # All slices of the patch, of which some are chosen, or a cube for three directions.
            depth = shape[0] if self.slices == ORTHOGONAL else round(len(values) * own / step)
            shape = (max(1, depth), *shape)
        if shape == values.shape and np.isclose(step, own, rtol=1e-6):
            return values, inside
        return regrid_patch(values, inside, own, shape, step)

    def _scaled(self, values: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """Scale the intensities, with the lower end outside of the lesion if it is masked."""
        values = values.astype(np.float32)
        seen = values[inside] if self.masked and inside.any() else values
        if self.window is None:
            low, high = 0.0, 1.0
        elif self.window == "standardise":
            low = float(seen.mean())
            high = low + (float(seen.std()) or 1.0)
        elif self.window == "range":
            low, high = float(seen.min()), float(seen.max())
            high = high if high > low else low + 1.0
        else:
            low, high = (float(end) for end in self.window)
        scaled = (values - np.float32(low)) / np.float32(high - low)
        if self.clip and self.window not in (None, "standardise"):
            scaled = np.clip(scaled, 0.0, 1.0)
        return np.where(inside, scaled, np.float32(0.0)) if self.masked else scaled

    def _slices(self, values: np.ndarray, inside: np.ndarray) -> list[np.ndarray]:
        """Return the axial slice with most of the lesion, or three slices through the middle."""
        if self.slices == LARGEST:
            return [values[int(inside.sum(axis=(1, 2)).argmax())]]
        middle = [n // 2 for n in values.shape]
        return [values.take(middle[axis], axis=axis) for axis in range(3)]


def turned(values: np.ndarray, orientation: str) -> np.ndarray:
    """Turn the axes of a patch, which point to superior, posterior and left.

    Parameters
    ----------
    values : array of shape (z, y, x)
        A patch.
    orientation : str
        The direction to which each axis of the result points, such as "RAS".

    Returns
    -------
    array
        The same voxels.

    Examples
    --------
    >>> patch = np.arange(8).reshape(2, 2, 2)
    >>> turned(patch, "SPL") is patch or bool((turned(patch, "SPL") == patch).all())
    True
    >>> bool((turned(patch, "RAS") == patch[::1, ::-1, ::-1].transpose(2, 1, 0)).all())
    True
    """
    axes = [next(i for i, ends in enumerate(_ENDS) if letter in ends) for letter in orientation]
    flipped = [k for k, letter in enumerate(orientation) if letter == _ENDS[axes[k]][1]]
    return np.flip(values.transpose(axes), tuple(flipped))


def orientations() -> list[str]:
    """List the 48 ways in which three axes may point."""
    return [
        "".join(letters)
        for ends in itertools.permutations(_ENDS)
        for letters in itertools.product(*ends)
    ]
