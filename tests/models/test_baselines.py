"""Principal components of patches."""

from __future__ import annotations

import numpy as np
from cohorts_for_tests import (
    make_table,
)

from nonredundant import LesionTable
from nonredundant.models.baselines import PatchPCA, flat_patches


def test_patches_are_masked_and_averaged_down():
    patches = np.arange(2 * 32 * 32, dtype=np.float32).reshape(2, 1, 32, 32)
    masks = np.ones_like(patches, dtype=bool)
    masks[:, :, :, 16:] = False
    flat = flat_patches(LesionTable.from_arrays(patches=patches, masks=masks))
    assert flat.shape == (2, 16 * 16)
    blocks = flat.reshape(2, 16, 16)
    assert (blocks[:, :, 8:] == 0).all()
    assert blocks[0, 0, 0] == patches[0, 0, :2, :2].mean()


def test_components_explain_what_varies():
    table, _ = make_table()
    scores = PatchPCA(2, random_state=0).fit(table).transform(table)
    difference = table.patches[..., 4:].mean((1, 2, 3)) - table.patches[..., :4].mean((1, 2, 3))
    assert abs(np.corrcoef(scores[:, 0], difference)[0, 1]) > 0.95
