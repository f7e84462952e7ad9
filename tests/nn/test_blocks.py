"""Blocks are a rearrangement; encoders and decoders meet on any grid of 8 voxels or more."""

from __future__ import annotations

import pytest
import torch

from nonredundant.nn.blocks import (
    ConvDecoder,
    ConvEncoder,
    FromBlocks,
    IntensityScaler,
    ToBlocks,
    block_size,
    build_networks,
    pyramid,
)

SHAPES = [(8, 8), (9, 17), (28, 28), (64, 40), (8, 8, 8), (11, 16, 30), (32, 32, 32)]


@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_are_put_together_as_they_were_cut(shape):
    x = torch.randn(2, 3, *shape)
    grid, block = pyramid(shape, None)[0], block_size(shape)
    cut = ToBlocks(grid, block)(x)
    assert cut.shape == (2, 3 * block ** len(shape), *grid)
    assert torch.equal(FromBlocks(shape, grid, block)(cut), x)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", [None, "instance"])
def test_decoder_returns_the_encoders_grid(shape, norm):
    encoder = ConvEncoder(2, shape, 5, width=4, norm=norm)
    decoder = ConvDecoder(2, shape, 5, width=4, norm=norm)
    x = torch.randn(3, 2, *shape)
    assert encoder(x).shape == (3, 5)
    assert decoder(encoder(x)).shape == x.shape


def test_depth_sets_the_number_of_halvings():
    assert len(pyramid((32, 32), 3)) == 4
    assert pyramid((32, 32), 0) == [(8, 8)]


def test_scaler_clips_standardises_and_masks():
    scaler = IntensityScaler(1)
    scaler.low[:], scaler.high[:], scaler.mean[:], scaler.scale[:] = 0.0, 10.0, 5.0, 2.0
    x = torch.tensor([-3.0, 5.0, 12.0, 7.0]).view(1, 1, 2, 2)
    mask = torch.tensor([True, True, True, False]).view(1, 1, 2, 2)
    scaled = scaler(x, mask)
    assert scaled.ravel().tolist() == [-2.5, 0.0, 2.5, 0.0]
    assert scaler.inverse(scaled).ravel().tolist() == [0.0, 5.0, 10.0, 5.0]


def test_factory_and_unknown_options():
    def factory(shape, n_channels, n_out, n_in):
        return torch.nn.Linear(n_channels, n_out), torch.nn.Linear(n_in, n_channels)

    encoder, decoder = build_networks((), 7, 4, 2, factory)
    assert (encoder.out_features, decoder.out_features) == (4, 7)
    with pytest.raises(ValueError, match="'width', 'depth' and 'norm'"):
        build_networks((8, 8), 1, 4, 2, {"filters": 3})
