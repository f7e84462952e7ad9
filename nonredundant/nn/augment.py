"""Augmentation of whole batches; the choice of kinds depends on what the label may depend on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

#: Names that `augment=` accepts. A flip removes differences between left and right.
KINDS = ("flip_x", "flip_y", "flip_z", "noise", "rotate", "shift")


class Augmentation:
    """Random changes to patches and their masks, drawn from torch's generator.

    Parameters
    ----------
    kinds : sequence of str
        Names out of `KINDS`: flips of the whole batch along axes; Gaussian noise with a tenth
        of the standard deviation of each channel of the batch; rotation by up to 15 degrees about
        a random axis; a shift by up to a sixteenth of each side.

    Notes
    -----
    A batch has one orientation. In a batch of mixed orientations, a dependence between h and a
    latent whose sign follows the orientation would average out, and the independence term would
    not see it. Orientations are dealt in rounds of random order: with k flips, any 2**k batches
    from the start of a round show each combination once.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        self.kinds = tuple(kinds)
        self._flipped = ["zyx".index(kind[-1]) - 3 for kind in kinds if kind.startswith("flip")]
        self._orientations: list[int] = []

    def __call__(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the augmented patches and masks."""
        n_dim = x.ndim - 2
        x, mask = flipped(x, mask, self.axes_to_flip())
        for kind in self.kinds:
            if kind == "noise":
                x = x + 0.1 * _spread(x) * torch.randn_like(x)
            elif kind == "rotate":
                x, mask = _rotate(x, mask, n_dim)
            elif kind == "shift":
                x, mask = _shift(x, mask, n_dim)
        return x, mask

    @property
    def flips_alone(self) -> bool:
        """Whether a batch is changed by its orientation alone."""
        return len(self._flipped) == len(self.kinds)

    def axes_to_flip(self) -> list[int]:
        """Return the axes to flip in the next batch."""
        if not self._orientations:
            self._orientations = torch.randperm(2 ** len(self._flipped)).tolist()
        orientation = self._orientations.pop()
        return [axis for i, axis in enumerate(self._flipped) if orientation >> i & 1]


def flipped(x: Tensor, mask: Tensor | None, axes: Sequence[int]) -> tuple[Tensor, Tensor | None]:
    """Return patches and masks, flipped along axes."""
    if not axes:
        return x, mask
    return x.flip(list(axes)), None if mask is None else mask.flip(list(axes))


def _spread(x: Tensor) -> Tensor:
    """Return the standard deviation of the batch, of each channel if there are several."""
    n_channels = x.shape[1]
    if n_channels == 1 or x.ndim == 2:
        return x.std()
    voxels = [channel[~channel.isnan()] for channel in x.unbind(1)]
    spread = torch.stack([one.std() if one.numel() > 1 else one.sum() for one in voxels])
    return spread.view(-1, *(1,) * (x.ndim - 2))


def _shift(x: Tensor, mask: Tensor | None, n_dim: int) -> tuple[Tensor, Tensor | None]:
    """Shift the whole batch cyclically by one offset."""
    reach = [max(1, side // 16) for side in x.shape[2:]]
    offset = [int(torch.randint(-r, r + 1, ())) for r in reach]
    axes = tuple(range(2, 2 + n_dim))
    return x.roll(offset, axes), None if mask is None else mask.roll(offset, axes)


def _rotate(x: Tensor, mask: Tensor | None, n_dim: int) -> tuple[Tensor, Tensor | None]:
    """Rotate each patch by its own small angle."""
    n = len(x)
    angle = (torch.rand(n) * 2 - 1) * math.radians(15)
    if n_dim == 2:
        cos, sin = angle.cos(), angle.sin()
        matrix = torch.stack([cos, -sin, sin, cos], dim=1).view(n, 2, 2)
    else:
        axis = functional.normalize(torch.randn(n, 3), dim=1) * angle[:, None]
        skew = torch.zeros(n, 3, 3)
        skew[:, 0, 1], skew[:, 0, 2], skew[:, 1, 2] = -axis[:, 2], axis[:, 1], -axis[:, 0]
        matrix = torch.linalg.matrix_exp(skew - skew.transpose(1, 2))
    theta = torch.cat([matrix, torch.zeros(n, n_dim, 1)], dim=2).to(x)
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    turned = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    if mask is None:
        return turned, None
    nearest = functional.grid_sample(mask.float(), grid, mode="nearest", align_corners=False)
    return turned, nearest > 0.5
