"""Layers shared by the VAE family: encoders, decoders and the scaling of intensities."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_INSTANCE_NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
#: Target grid side of the blocks of the first layer, and grid side that is not halved further.
COARSE_SIDE = 8
SMALLEST_SIDE = 4


class IntensityScaler(nn.Module):
    """Clip, standardise and mask intensities, with the statistics of the training cohort.

    Scaling each batch costs little and saves a copy of the cohort. Vétil et al. 2023
    clip to the cohort's 0.5 and 99.5 percentiles before standardising.
    """

    low: Tensor
    high: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.register_buffer("low", torch.full((n_channels,), -math.inf))
        self.register_buffer("high", torch.full((n_channels,), math.inf))
        self.register_buffer("mean", torch.zeros(n_channels))
        self.register_buffer("scale", torch.ones(n_channels))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the masked patch in standardised intensities."""
        tail = (-1,) + (1,) * (x.ndim - 2)
        low, high = self.low.view(tail), self.high.view(tail)
        scaled = (torch.clamp(x, low, high) - self.mean.view(tail)) / self.scale.view(tail)
        return scaled if mask is None else scaled * mask

    def inverse(self, x: Tensor) -> Tensor:
        """Convert standardised intensities to the units of the image."""
        tail = (-1,) + (1,) * (x.ndim - 2)
        return x * self.scale.view(tail) + self.mean.view(tail)


class ToBlocks(nn.Module):
    """Cut a patch into blocks: (n, C, *grid * block) to (n, C * block^n_dim, *grid).

    As a matrix product on blocks, the first and last layers take a tenth of the time of a strided
    convolution on one input channel, which is slow on CPUs.
    """

    def __init__(self, grid: Sequence[int], block: int) -> None:
        super().__init__()
        self.grid, self.block = tuple(grid), block

    def forward(self, x: Tensor) -> Tensor:
        """Return the blocks as channels; sides are padded with zeros to a multiple of the block."""
        n_dim = len(self.grid)
        missing = [g * self.block - side for g, side in zip(self.grid, x.shape[2:], strict=True)]
        if any(missing):
            x = functional.pad(x, [pad for side in missing[::-1] for pad in (0, side)])
        parts = [size for g in self.grid for size in (g, self.block)]
        x = x.reshape(*x.shape[:2], *parts)
        grids, blocks = range(2, 2 + 2 * n_dim, 2), range(3, 3 + 2 * n_dim, 2)
        return x.permute(0, 1, *blocks, *grids).reshape(x.shape[0], -1, *self.grid)


class FromBlocks(nn.Module):
    """Reassemble blocks: the inverse of `ToBlocks`, cropped to the shape of the patch."""

    def __init__(self, shape: Sequence[int], grid: Sequence[int], block: int) -> None:
        super().__init__()
        self.shape, self.grid, self.block = tuple(shape), tuple(grid), block

    def forward(self, x: Tensor) -> Tensor:
        """Return the reassembled patch."""
        n_dim = len(self.grid)
        x = x.reshape(x.shape[0], -1, *(self.block,) * n_dim, *self.grid)
        order = [axis for i in range(n_dim) for axis in (2 + n_dim + i, 2 + i)]
        x = x.permute(0, 1, *order).reshape(*x.shape[:2], *(g * self.block for g in self.grid))
        return crop(x, self.shape)


def crop(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the first voxels along each side."""
    for axis, side in enumerate(shape, start=2):
        x = x.narrow(axis, 0, side)
    return x


def block_size(shape: Sequence[int]) -> int:
    """Return the block side of the first layer, which gives a grid of about 8 per side."""
    return 2 ** max(0, round(math.log2(min(shape) / COARSE_SIDE)))


def pyramid(shape: Sequence[int], depth: int | None) -> list[tuple[int, ...]]:
    """Return the grids of the levels after the blocks, from the finest to the coarsest.

    Parameters
    ----------
    shape : sequence of int
        Grid of the patch.
    depth : int or None
        Number of halvings; None halves until the smallest side is at most four.

    Returns
    -------
    list of tuple of int
        `depth + 1` grids; each side is half the one before, rounded up.
    """
    block = block_size(shape)
    grids = [tuple(math.ceil(side / block) for side in shape)]
    while len(grids) - 1 < depth if depth is not None else min(grids[-1]) > SMALLEST_SIDE:
        grids.append(tuple(math.ceil(side / 2) for side in grids[-1]))
    return grids


def normalisation(norm: str | None, n_dim: int, n_channels: int) -> nn.Module:
    """Return instance normalisation, or the identity."""
    if norm is None:
        return nn.Identity()
    return _INSTANCE_NORM[n_dim](n_channels, affine=True)


def level_channels(width: int, n_levels: int) -> list[int]:
    """Return the channels of each level: doubled per level up to four times the width."""
    return [width * min(2**level, 4) for level in range(n_levels)]


class ConvEncoder(nn.Module):
    """Encode a patch as a vector: blocks, then strided convolutions."""

    def __init__(
        self,
        n_channels: int,
        shape: Sequence[int],
        n_out: int,
        width: int = 16,
        depth: int | None = None,
        norm: str | None = None,
    ) -> None:
        super().__init__()
        n_dim, block, grids = len(shape), block_size(shape), pyramid(shape, depth)
        channels = level_channels(width, len(grids))
        layers: list[nn.Module] = [
            ToBlocks(grids[0], block),
            _CONVOLUTION[n_dim](n_channels * block**n_dim, width, 1),
            nn.LeakyReLU(0.1),
        ]
        for n_in, n_filters in pairwise(channels):
            layers.append(_CONVOLUTION[n_dim](n_in, n_filters, 3, stride=2, padding=1))
            layers.append(normalisation(norm, n_dim, n_filters))
            layers.append(nn.LeakyReLU(0.1))
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels[-1] * math.prod(grids[-1]), n_out)

    def forward(self, x: Tensor) -> Tensor:
        """Return the vector of each patch."""
        return self.head(self.features(x).flatten(1))


class ConvDecoder(nn.Module):
    """Decode a vector to a patch: the levels of the encoder in reverse."""

    def __init__(
        self,
        n_channels: int,
        shape: Sequence[int],
        n_in: int,
        width: int = 16,
        depth: int | None = None,
        norm: str | None = None,
    ) -> None:
        super().__init__()
        n_dim, block = len(shape), block_size(shape)
        self.grids = pyramid(shape, depth)
        channels = level_channels(width, len(self.grids))
        self.coarsest = (channels[-1], *self.grids[-1])
        self.head = nn.Linear(n_in, math.prod(self.coarsest))
        self.levels = nn.ModuleList(
            nn.Sequential(
                _TRANSPOSED[n_dim](n, m, 4, stride=2, padding=1), normalisation(norm, n_dim, m)
            )
            for n, m in pairwise(channels[::-1])
        )
        self.last = nn.Sequential(
            _CONVOLUTION[n_dim](width, n_channels * block**n_dim, 1),
            FromBlocks(shape, self.grids[0], block),
        )
        self.activation = nn.LeakyReLU(0.1)

    def forward(self, z: Tensor) -> Tensor:
        """Return the patch of each vector."""
        x = self.activation(self.head(z).unflatten(1, self.coarsest))
        for level, grid in zip(self.levels, self.grids[-2::-1], strict=True):
            # A side that the encoder rounded up is one voxel too long here.
            x = self.activation(crop(level(x), grid))
        return self.last(x)


def dense(n_in: int, n_out: int, width: int) -> nn.Sequential:
    """Build the perceptron that encodes or decodes rows of a plain matrix."""
    return nn.Sequential(nn.Linear(n_in, width), nn.LeakyReLU(0.1), nn.Linear(width, n_out))


def build_networks(
    shape: Sequence[int],
    n_channels: int,
    n_out: int,
    n_in: int,
    network: Mapping[str, Any] | Callable[..., Any] | None,
) -> tuple[nn.Module, nn.Module]:
    """Build an encoder to `n_out` values and a decoder from `n_in` values."""
    if callable(network):
        return network(shape=shape, n_channels=n_channels, n_out=n_out, n_in=n_in)
    options = dict(network or {})
    unknown = sorted(set(options) - {"width", "depth", "norm"})
    if unknown or options.get("norm") not in (None, "instance"):
        raise ValueError(
            "network takes 'width', 'depth' and 'norm' (None or 'instance'), "
            f"got {dict(network or {})}"
        )
    if not shape:
        width = options.get("width", 64)
        return dense(n_channels, n_out, width), dense(n_in, n_channels, width)
    encoder = ConvEncoder(n_channels, shape, n_out, **options)
    return encoder, ConvDecoder(n_channels, shape, n_in, **options)
