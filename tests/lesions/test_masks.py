"""Masks of patches are checked as masks in files are: labels, not probabilities or scores."""

from __future__ import annotations

import numpy as np
import pytest

from nonredundant import LesionTable

INSIDE = np.zeros((4, 1, 8, 8))
INSIDE[:, :, 2:6, 2:6] = 1


@pytest.mark.parametrize(
    "masks",
    [
        INSIDE.astype(bool),
        INSIDE.astype(np.int8),
        255 * INSIDE,
        INSIDE * np.array([1, 2, 3, 1])[:, None, None, None],
        np.clip(INSIDE, 1e-6, 1),
        INSIDE.tolist(),
        -0.0 * (1 - INSIDE) + INSIDE,
    ],
    ids=["bool", "int8", "255", "numbered", "rounded", "lists", "minus zero"],
)
def test_labels_are_the_voxels_that_are_not_0(masks):
    table = LesionTable.from_arrays(masks=masks)
    assert table.masks.dtype == bool
    np.testing.assert_array_equal(table.masks, INSIDE > 0)


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (np.clip(INSIDE, 0.02, 0.98), r"4 of 4 lesions \(0, 1, 2, 3\) are fractions.*>= 0.5.*0.02"),
        (np.where(INSIDE > 0, 1, np.nan), "NaN or infinite in some voxels; set those outside"),
        (np.where(INSIDE > 0, np.inf, 0), "NaN or infinite"),
        (8 * INSIDE - 4, r"negative .* masks > 0 of scores \(logits\).*from -4 to 4"),
        (2 * INSIDE - 1, "negative"),
        ((2 * INSIDE - 1).astype(np.int16), "negative"),
        (INSIDE + 2 * np.roll(INSIDE, 4, axis=2), "several labels; give masks == label"),
        (INSIDE.astype(str), "must be booleans or labels"),
        (np.where(np.arange(4)[:, None, None, None] == 2, 0.5, INSIDE), r"1 of 4 lesions \(2\)"),
    ],
    ids=["softmax", "nan", "inf", "logits", "-1", "-1 int", "several", "text", "one lesion"],
)
def test_other_numbers_are_refused_with_lesions_and_remedy(masks, said):
    for make in (LesionTable.from_arrays, LesionTable.from_arrays(patches=INSIDE).replace):
        with pytest.raises(ValueError, match=said):
            make(masks=masks)


def test_booleans_are_not_copied():
    masks = INSIDE.astype(bool)
    assert np.shares_memory(LesionTable.from_arrays(masks=masks).masks, masks)
