"""Noisy images with masks of boxes, for the tests of bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nonredundant.extraction import RadiomicsExtractor

SHAPE = (12, 14, 16)


def image_of(seed=0):
    """Return a noisy image."""
    return np.random.default_rng(seed).gamma(4, 0.5, SHAPE).astype(np.float32)


def box(*slices):
    """Return a mask with a box of ones."""
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[slices or (slice(3, 9),) * 3] = 1
    return mask


def changed(array, index, value):
    """Return a copy with some voxels set."""
    copy = array.copy()
    copy[index] = value
    return copy


def extractor(**parameters):
    """Return a quick extractor."""
    usual = {"bin_width": 0.1, "patch_shape": (8, 8, 8)}
    return RadiomicsExtractor(**{**usual, **parameters})


def one_case(image, mask):
    """Return a table of one case."""
    return pd.DataFrame({"image": [image], "mask": [mask]}, index=["bert"])
