"""Layers shared by the VAE family: encoders, decoders and the scaling of intensities."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nonredundant.nn.losses import Batch

_CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
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
        scaled = torch.clamp(x, low, high).sub_(self.mean.view(tail)).div_(self.scale.view(tail))
        return scaled if mask is None else scaled * mask

    def cut(self, batch: Batch, layout: PatchLayout) -> tuple[Tensor, Tensor | None]:
        """Return the masked patch in standardised intensities, and the mask, in a layout.

        A channel of NaN is that of a missing image: the encoder is given the mean intensity of the
        cohort, and its voxels do not count.
        """
        x, mask = batch.x, batch.mask
        if batch.is_cut:
            return x, None if mask is None else mask.to(x.dtype)
        scaled, present = self(x, None), None
        if x.ndim > 2 and self.low.numel() > 1:
            present = ~x.flatten(2)[:, :, 0].isnan()
            scaled = scaled.nan_to_num_(nan=0.0)
            if present.device.type == "cpu" and present.all():
                # Asking a GPU would wait for it.
                present = None
        x_star, inside = layout.cut(scaled, mask, present)
        return x_star if inside is None else x_star.mul_(inside), inside

    def inverse(self, x: Tensor) -> Tensor:
        """Convert standardised intensities to the units of the image."""
        tail = (-1,) + (1,) * (x.ndim - 2)
        return x * self.scale.view(tail) + self.mean.view(tail)


class ToBlocks(nn.Module):
    """Cut a patch into blocks: (n, C, *grid * block) to (n, C * block^n_dim, *grid).

    As a matrix product on blocks, the first and last layers take a tenth of the time of a strided
    convolution on one input channel, which is slow on CPUs. The blocks are in channels-last memory,
    which the convolutions after it keep; they and the cut take half the time then.
    """

    def __init__(self, grid: Sequence[int], block: int) -> None:
        super().__init__()
        self.grid, self.block = tuple(grid), block

    def forward(self, x: Tensor) -> Tensor:
        """Return the blocks as channels; sides are padded with zeros to a multiple of the block."""
        missing = [g * self.block - side for g, side in zip(self.grid, x.shape[2:], strict=True)]
        if any(missing):
            x = functional.pad(x, [pad for side in missing[::-1] for pad in (0, side)])
        if self.block == 1:
            return x
        wide = _wide_type(x, self.block)
        dtype, x = x.dtype, x.contiguous()
        if wide is not None:
            # An axis of one voxel may have any stride, which a view of another type refuses.
            x = x.reshape(-1).view(wide).reshape(*x.shape[:-1], -1)
        n_dim, grid = len(self.grid), self.grid
        parts = [size for g in grid[:-1] for size in (g, self.block)]
        x = x.reshape(*x.shape[:2], *parts, grid[-1], x.shape[-1] // grid[-1])
        grids, blocks = range(2, 2 + 2 * n_dim, 2), range(3, 3 + 2 * n_dim, 2)
        n, x = x.shape[0], x.permute(0, *grids, 1, *blocks).reshape(-1)
        if wide is not None:
            x = x.view(dtype)
        return x.reshape(n, *grid, -1).movedim(-1, 1)


def _wide_type(x: Tensor, block: int) -> torch.dtype | None:
    """Return a type that holds several voxels of a block's row; None if there is none.

    The voxels of such a row stay together. Copied as one wide number, they take a quarter of the
    time on a CPU. A view of another type has no gradient.
    """
    if x.requires_grad or x.device.type != "cpu":
        return None
    for wide in (torch.complex128, torch.int64, torch.int32, torch.int16):
        n_voxels = wide.itemsize // x.itemsize
        if n_voxels > 1 and block % n_voxels == 0:
            return wide
    return None


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

    def forward(self, x: Tensor, *, is_cut: bool = False) -> Tensor:
        """Return the vector of each patch; `is_cut` takes the blocks of patches instead."""
        to_blocks, *layers = self.features
        x = x if is_cut else to_blocks(x)
        for layer in layers:
            x = layer(x)
        return self.head(x.flatten(1))


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

    def forward(self, z: Tensor, *, whole: bool = True) -> Tensor:
        """Return the patch of each vector, or the blocks of the patch."""
        x = self.activation(self.head(z).unflatten(1, self.coarsest))
        # The memory format of the encoder's blocks, to which the output is compared. The last
        # convolution takes a fifth of the time then, and the loss no copy.
        x = x.contiguous(memory_format=_CHANNELS_LAST[x.ndim - 2])
        for level, grid in zip(self.levels, self.grids[-2::-1], strict=True):
            # A side that the encoder rounded up is one voxel too long here.
            x = self.activation(crop(level(x), grid))
        return self.last(x) if whole else self.last[0](x)


class PatchLayout:
    """Layout of patches in a step: as they are, for networks of the user and rows of a matrix."""

    def cut(
        self, x: Tensor, mask: Tensor | None, present: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return patches and mask in this layout; the mask holds numbers.

        `present`, of shape (n, C), says which channels count; None counts all.
        """
        if present is None:
            return x, None if mask is None else mask.to(x.dtype)
        there = present.to(x.dtype).view(*present.shape, *(1,) * (x.ndim - 2))
        return x, there if mask is None else mask * there

    def encode(self, encoder: nn.Module, x: Tensor) -> Tensor:
        """Encode patches in this layout."""
        return encoder(x)

    def decode(self, decoder: nn.Module, z: Tensor) -> Tensor:
        """Decode to patches in this layout."""
        return decoder(z)

    def assemble(self, x: Tensor) -> Tensor:
        """Return whole patches."""
        return x


class BlockLayout(PatchLayout):
    """Blocks, between the default networks: a step cuts a patch once and reassembles none.

    Parameters
    ----------
    n_channels : int
        Channels of the patch.
    shape : sequence of int
        Grid of the patch.
    """

    def __init__(self, n_channels: int, shape: Sequence[int]) -> None:
        (grid,), block = pyramid(shape, 0), block_size(shape)
        self.n_channels = n_channels
        self.to_blocks, self.from_blocks = ToBlocks(grid, block), FromBlocks(shape, grid, block)
        self.is_padded = any(side % block for side in shape)

    def cut(
        self, x: Tensor, mask: Tensor | None, present: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the blocks of patches and mask; voxels that were added do not count."""
        if mask is None and (self.is_padded or present is not None):
            mask = torch.ones_like(x[:, :1], dtype=torch.bool)
        if mask is None:
            return self.to_blocks(x), None
        inside = self.to_blocks(mask.view(torch.uint8)).to(x.dtype)
        if present is not None:
            there = present.to(x.dtype).view(*present.shape, *(1,) * (x.ndim - 2))
            inside = torch.cat([inside * one for one in there.split(1, dim=1)], dim=1)
        elif self.n_channels > 1:
            inside = torch.cat([inside] * self.n_channels, dim=1)
        return self.to_blocks(x), inside

    def encode(self, encoder: nn.Module, x: Tensor) -> Tensor:
        """Encode blocks."""
        return encoder(x, is_cut=True)

    def decode(self, decoder: nn.Module, z: Tensor) -> Tensor:
        """Decode to blocks."""
        return decoder(z, whole=False)

    def assemble(self, x: Tensor) -> Tensor:
        """Return whole patches."""
        return self.from_blocks(x)


def layout_of(
    shape: Sequence[int],
    n_channels: int,
    network: Mapping[str, Any] | Callable[..., Any] | None,
) -> PatchLayout:
    """Return the layout in which the networks of `build_networks` exchange patches."""
    own = callable(network) or not shape
    return PatchLayout() if own else BlockLayout(n_channels, shape)


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
