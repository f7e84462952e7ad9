"""Volumes of lesions: which feature or mask they are taken from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant.lesions import LesionTable
from nonredundant.lesions.measures import lesion_volumes, size_and_uptake


def make_table(columns, **parts):
    frame = pd.DataFrame({name: [1.0, 2.0, 4.0] for name in columns})
    return LesionTable(frame, sample=[0, 0, 1], **parts)


def test_volume_is_pyradiomics_feature_else_that_of_the_mask():
    masks = np.zeros((3, 1, 4, 4), dtype=bool)
    masks[:, :, :2, :3] = True
    both = make_table(["original_shape_VoxelVolume"], masks=masks)
    assert lesion_volumes(both).tolist() == [1, 2, 4]
    assert lesion_volumes(make_table(["a"], masks=masks)).tolist() == [6, 6, 6]
    scaled = make_table(["a"], masks=masks, spacing=(2.0, 3.0))
    assert lesion_volumes(scaled).tolist() == [36, 36, 36]
    assert lesion_volumes(scaled, "a").tolist() == [1, 2, 4]


def test_unknown_volumes_are_an_error_and_nan_in_the_summary():
    table = make_table(["volume"])
    with pytest.raises(ValueError, match="name one with volume_column"):
        lesion_volumes(table)
    with pytest.raises(ValueError, match="volume_column='size' is not among"):
        lesion_volumes(table, "size")
    assert size_and_uptake(table).isna().all(axis=None)


def test_volume_is_summed_and_uptake_is_the_largest_of_a_sample():
    table = make_table(["original_shape_VoxelVolume", "original_firstorder_Maximum"])
    assert size_and_uptake(table)["volume"].tolist() == [3, 4]
    assert size_and_uptake(table)["maximum"].tolist() == [2, 4]
    masks = np.zeros((3, 1, 2, 2), dtype=bool)
    masks[:2, :, 0, 0] = True
    patches = np.arange(12.0).reshape(3, 1, 2, 2)
    found = size_and_uptake(make_table(["a"], masks=masks, patches=patches))
    np.testing.assert_array_equal(found["maximum"], [4, np.nan])


def test_volume_and_maximum_come_from_the_patches_where_no_feature_tells():
    patches = np.zeros((2, 1, 8, 8), dtype=np.float32)
    masks = np.zeros_like(patches, dtype=bool)
    masks[0, 0, :2, :3] = True
    masks[1, 0, 0, 0] = True
    patches[0, 0, 1, 1], patches[0, 0, 7, 7], patches[1, 0, 0, 0] = 4, 9, -2
    table = LesionTable.from_arrays(patches=patches, masks=masks, spacing=[2.0, 0.5])
    expected = pd.DataFrame({"volume": [6.0, 1.0], "maximum": [4.0, -2.0]})
    pd.testing.assert_frame_equal(size_and_uptake(table), expected, check_dtype=False)


def test_volumes_of_lesions_add_up_and_maxima_do_not():
    features = pd.DataFrame(
        {"original_shape_VoxelVolume": [1.0, 2.0, 5.0], "original_firstorder_Maximum": [7, 3, 4.0]}
    )
    table = LesionTable(features, sample=[0, 0, 1])
    assert size_and_uptake(table).to_numpy().tolist() == [[3.0, 7.0], [5.0, 4.0]]
