"""Pictures of lesions in notebooks."""

from __future__ import annotations

import base64
import re
from io import BytesIO

import numpy as np
from PIL import Image

from nonredundant import LesionTable
from nonredundant.lesions.thumbnails import thumbnail


def pixels(text):
    """Return the pixels of the picture in an element."""
    data = re.search('base64,([^"]+)', text)[1]
    return np.asarray(Image.open(BytesIO(base64.b64decode(data)))).astype(int)


def test_the_slice_is_that_of_the_largest_area_and_its_edge_is_marked():
    patch, mask = np.zeros((1, 5, 48, 48)), np.zeros((1, 5, 48, 48), dtype=bool)
    mask[0, 1, 20:24, 20:24] = mask[0, 3, 10:30, 10:30] = True
    patch[0, 3] = 100 * mask[0, 3]
    drawn = pixels(thumbnail(patch, mask, "anna"))
    assert drawn.shape == (96, 96, 3)
    is_grey = np.ptp(drawn, axis=-1) == 0
    assert (drawn[is_grey].max(), drawn[is_grey].min()) == (255, 0)
    # The edge of a square of 40 pixels.
    assert (~is_grey).sum() == 4 * 40 - 4


def test_a_patch_of_one_value_or_of_none_is_no_error():
    assert np.ptp(pixels(thumbnail(np.full((1, 8, 8), 7.0), None, "a"))) == 0
    assert thumbnail(np.full((1, 8, 8), np.nan), None, "a") == ""


def test_a_table_shows_the_patches_of_its_first_lesions_with_names_escaped():
    patches = np.random.default_rng(0).normal(size=(12, 1, 8, 8))
    table = LesionTable.from_arrays(patches=patches)
    table = table.replace(index=["<b>", *range(1, 12)])
    text = table._repr_html_()
    assert text.count("<img") == 8
    assert 'alt="patch of &lt;b&gt;"' in text
    assert len(text) < 30_000
    assert "<img" not in table.replace(patches=None)._repr_html_()
