"""What a pretrained network sees of a patch: axes, voxel size, window, channels, slices."""

from __future__ import annotations

import numpy as np
import pytest

from nonredundant.encoders.inputs import Input, orientations, turned

#: Along which axis of a patch, and in which direction, each letter lies.
LETTERS = {"S": (0, 1), "I": (0, -1), "P": (1, 1), "A": (1, -1), "L": (2, 1), "R": (2, -1)}


def spec(**changes):
    """Return an input that leaves patches as they are, but for the changes."""
    plain = {
        "shape": (8, 8, 8),
        "spacing": "fit",
        "window": None,
        "clip": True,
        "masked": False,
        "channels": ((0.0, 1.0),),
        "orientation": "SPL",
        "slices": "largest",
    }
    return Input(**{**plain, **changes})


def ball(n=8, radius=2.5):
    """Return the voxels of a ball in the middle of a cube."""
    axes = np.indices((n, n, n)) - (n - 1) / 2
    return np.square(axes).sum(axis=0) <= radius**2


@pytest.mark.parametrize("orientation", ["SPL", "RAS", "LPS", "IAR", "PSL"])
def test_each_axis_points_where_its_letter_says(orientation):
    positions = np.indices((3, 4, 5)).astype(float)
    for axis, letter in enumerate(orientation):
        own, direction = LETTERS[letter]
        along = np.diff(turned(positions[own], orientation), axis=axis)
        assert (along == direction).all()


def test_there_are_48_ways_to_point():
    assert len(set(orientations())) == 48


def test_a_patch_that_fits_is_the_input_itself():
    values = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
    assert (spec().of_lesion(values, ball(), 2.0)[0, 0] == values).all()
    assert (spec(spacing=2.0).of_lesion(values, ball(), 2.0)[0, 0] == values).all()


def test_the_window_becomes_zero_to_one():
    values = np.linspace(-2000, 3000, 512).reshape(8, 8, 8)
    clipped = spec(window=(-1024.0, 2048.0)).of_lesion(values, ball(), 1.0)[0, 0]
    free = spec(window=(-1024.0, 2048.0), clip=False).of_lesion(values, ball(), 1.0)[0, 0]
    expected = (values + 1024) / 3072
    np.testing.assert_allclose(free, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(clipped, expected.clip(0, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_patches_are_standardised_by_what_is_seen(masked):
    values, inside = np.random.default_rng(0).normal(5, 3, size=(8, 8, 8)), ball()
    found = spec(window="standardise", masked=masked).of_lesion(values, inside, 1.0)[0, 0]
    seen = found[inside] if masked else found
    assert float(seen.mean()) == pytest.approx(0, abs=1e-5)
    assert float(seen.std()) == pytest.approx(1, abs=1e-5)
    assert bool((found[~inside] == 0).all()) == masked


def test_the_range_becomes_zero_to_one_and_a_flat_patch_zero():
    values = np.random.default_rng(0).normal(size=(8, 8, 8))
    found = spec(window="range").of_lesion(values, ball(), 1.0)
    assert (float(found.min()), float(found.max())) == (0.0, 1.0)
    assert (spec(window="range").of_lesion(np.full((8, 8, 8), 7.0), ball(), 1.0) == 0).all()


def test_what_lies_outside_of_a_masked_lesion_is_not_seen():
    values, inside = np.random.default_rng(0).normal(size=(8, 8, 8)), ball()
    other = np.where(inside, values, 100.0)
    for window in ("standardise", "range", (-3.0, 3.0), None):
        one = spec(window=window, masked=True)
        assert (one.of_lesion(values, inside, 1.0) == one.of_lesion(other, inside, 1.0)).all()


def test_channels_have_their_own_mean_and_spread():
    values = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
    channels = ((0.0, 1.0), (0.5, 2.0), (0.1, 0.25))
    found = spec(channels=channels).of_lesion(values, ball(), 1.0)
    assert found.shape == (1, 3, 8, 8, 8)
    for k, (mean, spread) in enumerate(channels):
        np.testing.assert_allclose(found[0, k], (values - mean) / spread, rtol=1e-5, atol=1e-6)


def test_a_voxel_size_in_mm_is_that_of_the_input():
    """A ramp of 1 per mm has steps of the voxel size, around the same centre."""
    ramp = np.broadcast_to((np.arange(16) - 7.5)[:, None, None] * 2.0, (16, 16, 16))
    found = spec(spacing=1.0).of_lesion(ramp, ball(16), 2.0)[0, 0]
    np.testing.assert_allclose(found[:, 4, 4], np.arange(8) - 3.5, atol=1e-4)


def test_slices_of_a_volume():
    inside = np.zeros((8, 8, 8), dtype=bool)
    inside[2, 3:5, 3:5] = inside[5, 1:7, 1:7] = True
    values = np.arange(8.0)[:, None, None] * np.ones((8, 8, 8))
    largest = spec(shape=(8, 8), orientation=None).of_lesion(values, inside, 1.0)
    assert largest.shape == (1, 1, 8, 8)
    assert (largest == 5).all()
    three = spec(shape=(8, 8), orientation=None, slices="orthogonal")
    found = three.of_lesion(values, inside, 1.0)
    assert found.shape == (3, 1, 8, 8)
    assert (found[0] == 4).all()
    assert (found[1, 0] == np.arange(8)[:, None]).all()
