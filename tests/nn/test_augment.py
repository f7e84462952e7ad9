"""Augmentation of batches."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from nonredundant.nn.augment import Augmentation


@pytest.mark.parametrize(
    ("kinds", "shape"), [(("flip_x",), (4, 4)), (("flip_x", "flip_z"), (4,) * 3)]
)
def test_flipped_batches_have_one_orientation_and_all_occur_equally_often(kinds, shape):
    torch.manual_seed(0)
    augment = Augmentation(kinds)
    x = torch.arange(float(np.prod(shape))).reshape(1, 1, *shape).expand(5, 1, *shape)
    found = []
    for _ in range(3 * 2 ** len(kinds)):
        flipped, mask = augment(x, x > 3)
        assert (flipped == flipped[:1]).all()
        assert torch.equal(mask, flipped > 3)
        found.append(tuple(flipped[0].ravel().tolist()))
    axes = [-1, -3][: len(kinds)]
    expected = {
        tuple(x[0].flip([a for a, use in zip(axes, chosen, strict=True) if use]).ravel().tolist())
        for chosen in np.ndindex(*(2,) * len(kinds))
    }
    assert Counter(found) == dict.fromkeys(expected, 3)


def test_the_same_seed_draws_the_same_orientations():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        augment = Augmentation(["flip_x", "flip_y"])
        runs.append([augment(x, None)[0].tolist() for _ in range(6)])
    assert runs[0] == runs[1]
