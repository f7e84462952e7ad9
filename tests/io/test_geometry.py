"""Grids of image and mask: tolerance, resampling, and masks that lie elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nonredundant.io import CaseError
from nonredundant.io.geometry import align_mask


def shifted(image, offset=(0, 0, 0), scale=1.0):
    """Return a copy elsewhere."""
    copy = sitk.Image(image)
    copy.SetOrigin([a + b for a, b in zip(image.GetOrigin(), offset, strict=True)])
    copy.SetSpacing([value * scale for value in image.GetSpacing()])
    return copy


def grid(size, spacing):
    """Return an empty mask whose first voxel has its corner at the origin."""
    mask = sitk.GetImageFromArray(np.zeros(size, dtype=np.uint8))
    mask.SetSpacing(spacing)
    mask.SetOrigin([one / 2 for one in spacing])
    return mask


def ball():
    """Return a mask with a box of labels."""
    labels = np.zeros((10, 12, 14), dtype=np.uint8)
    labels[3:7, 4:9, 5:10] = 1
    mask = sitk.GetImageFromArray(labels)
    mask.SetSpacing((1, 1, 2))
    return mask


def test_headers_rounded_to_single_precision_are_the_same_grid():
    image = ball()
    mask = shifted(image, (1e-5, 0, 0), 1 + 1e-6)
    aligned, note = align_mask(mask, image)
    assert note is None
    assert aligned.GetOrigin() == image.GetOrigin()
    assert mask.GetOrigin() != image.GetOrigin()


def test_a_mask_on_a_finer_grid_is_resampled_to_the_same_region():
    image = ball()
    fine = sitk.Resample(
        image, [28, 24, 20], sitk.Transform(), sitk.sitkNearestNeighbor, (-0.25, -0.25, -0.5),
        (0.5, 0.5, 1.0),
    )  # fmt: skip
    aligned, note = align_mask(fine, image)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(aligned), sitk.GetArrayFromImage(image))
    assert "28×24×20 voxels of 0.5×0.5×1 mm" in note
    assert "14×12×10 voxels of 1×1×2 mm" in note


def test_a_flipped_direction_is_placed_in_space_without_a_note():
    image = ball()
    flipped = sitk.Flip(image, [True, False, False])
    assert flipped.GetDirection() != image.GetDirection()
    aligned, note = align_mask(flipped, image)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(aligned), sitk.GetArrayFromImage(image))
    assert note is None


def test_a_mask_of_some_voxels_of_the_image_is_placed_without_a_note():
    image = ball()
    crop = image[4:12, 3:10, 2:8]
    for mask in (crop, sitk.PermuteAxes(crop, (2, 0, 1)), sitk.ConstantPad(image, (2, 0, 1))):
        aligned, note = align_mask(mask, image)
        assert note is None
        assert sitk.Hash(aligned) == sitk.Hash(image)
    # A part of a voxel beside the image's voxels is another grid.
    assert align_mask(shifted(crop, (0.3, 0, 0)), image)[1] is not None
    thick = sitk.Expand(image[:, :, :5], (1, 1, 2), sitk.sitkNearestNeighbor)
    assert align_mask(thick, image)[1] is not None


def test_the_tolerance_can_be_widened():
    image = ball()
    mask = shifted(image, (0.1, 0, 0))
    assert align_mask(mask, image)[1] is not None
    assert align_mask(mask, image, tolerance=0.2)[1] is None


def test_a_mask_outside_the_image_is_an_error_with_both_boxes():
    image = ball()
    with pytest.raises(CaseError, match=r"labels lie outside the image: image 14×12×10.*500…513"):
        align_mask(shifted(image, (500, 0, 0)), image)


def test_volume_lost_in_resampling_is_noted():
    image = ball()
    _, note = align_mask(shifted(image, (6, 0, 0)), image)
    assert "40% of its volume lost" in note


def test_different_dimensions_are_an_error():
    image = ball()
    with pytest.raises(CaseError, match="the image is 3-D.*but the mask is 2-D"):
        align_mask(image[:, :, 0], image)


def test_a_lesion_between_the_voxels_of_the_image_is_not_called_outside():
    image, mask = grid((10, 10, 10), (4.0, 4.0, 4.0)), grid((40, 40, 40), (1.0, 1.0, 1.0))
    mask[16, 16, 16] = 1
    with pytest.raises(CaseError, match="lie between the voxels of the image"):
        align_mask(mask, image)


def test_growth_by_resampling_is_told():
    image, mask = grid((10, 10, 10), (4.0, 4.0, 4.0)), grid((40, 40, 40), (1.0, 1.0, 1.0))
    mask[17:20, 17:20, 17:20] = 1
    aligned, note = align_mask(mask, image)
    assert sitk.GetArrayFromImage(aligned).sum() == 1
    assert "its volume grew by 137%" in note
