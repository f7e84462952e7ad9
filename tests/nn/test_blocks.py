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
    layout_of,
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


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32, torch.float64])
def test_every_type_is_cut_alike_with_and_without_a_gradient(dtype):
    x = torch.randint(0, 2, (2, 1, 16, 32, 32)).to(dtype)
    to_blocks = ToBlocks((4, 8, 8), 4)
    cut = to_blocks(x)
    assert cut.dtype == dtype
    assert cut.is_contiguous(memory_format=torch.channels_last_3d)
    tracked = x.double().requires_grad_()
    assert torch.equal(to_blocks(tracked), cut.double())
    weights = torch.randn(cut.shape, dtype=torch.float64)
    (to_blocks(tracked) * weights).sum().backward()
    assert torch.equal(to_blocks(tracked.grad), weights)


@pytest.mark.parametrize("n", [1, 3])
def test_patches_with_an_added_channel_axis_are_cut_as_their_copies(n):
    # The stride of an axis of one voxel is arbitrary: `np.stack(images)[:, None]` has 0 there.
    images = torch.randn(n, 16, 16).numpy()
    x = torch.from_numpy(images[:, None])
    odd = x.as_strided(x.shape, (256, 1, 16, 1))
    to_blocks = ToBlocks((4, 4), 4)
    expected = to_blocks(torch.from_numpy(images[:, None].copy()).requires_grad_())
    assert torch.equal(to_blocks(x), expected)
    assert torch.equal(to_blocks(odd), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_networks_exchange_blocks_as_they_would_whole_patches(shape):
    encoder, decoder = build_networks(shape, 2, 5, 5, {"width": 4})
    layout = layout_of(shape, 2, {"width": 4})
    x, mask = torch.randn(3, 2, *shape), torch.rand(3, 1, *shape) < 0.5
    blocks, inside = layout.cut(x, mask)
    torch.testing.assert_close(layout.encode(encoder, blocks), encoder(x))
    z = torch.randn(3, 5)
    torch.testing.assert_close(layout.assemble(layout.decode(decoder, z)), decoder(z))
    assert torch.equal(layout.assemble(inside), mask.expand(-1, 2, *shape).float())
    whole = layout.cut(x, None)[1]
    assert whole is None or whole.sum() == x.numel()


def test_the_networks_of_a_user_get_whole_patches():
    x, mask = torch.randn(3, 1, 16, 16), torch.rand(3, 1, 16, 16) < 0.5
    layout = layout_of((16, 16), 1, lambda **sizes: None)
    same, inside = layout.cut(x, mask)
    assert torch.equal(same, x)
    assert torch.equal(inside, mask.float())


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
