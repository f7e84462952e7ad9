"""Patches: right place, right scale, nothing invented and nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nonredundant.extraction.regions import find_regions, whole_image
from nonredundant.patches import crop_patch


def lesion_of(mask):
    """Return the one lesion of a mask."""
    (lesion,), _ = find_regions(
        np.asarray(mask).astype(np.uint8), lesions="label", label=1, min_voxels=1, min_dims=1
    )
    return lesion


def ellipsoid(shape, semi_axes, spacing=(1, 1, 1)):
    """Return a centred ellipsoid (semi-axes in mm, z-y-x) and its grid's coordinates in mm."""
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    return sum((x / a) ** 2 for x, a in zip(grid, semi_axes, strict=True)) <= 1, grid


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (6, 7, 9)])
def test_a_whole_image_that_fits_is_the_patch_bitwise(shape):
    pixels = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing([0.7] * len(shape))
    patch = crop_patch(image, whole_image(shape), shape, margin=0)
    np.testing.assert_array_equal(patch.values[0], pixels)
    assert patch.inside.all()
    assert patch.spacing == pytest.approx(0.7)
    assert patch.values.dtype == np.float32
    assert patch.inside.dtype == bool


def test_a_linear_ramp_survives_any_grid_and_rotation():
    # Intensity is a linear function of position: interpolation must give it at every point.
    gradient = np.array([0.3, -1.2, 2.0])
    angle = 0.4
    direction = [np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1]
    image = sitk.Image([24, 22, 20], sitk.sitkFloat64)
    image.SetSpacing((0.8, 1.3, 2.0))
    image.SetOrigin((-30.0, 12.0, 100.0))
    image.SetDirection(direction)
    values = np.zeros((20, 22, 24))
    for z, y, x in np.ndindex(values.shape):
        values[z, y, x] = gradient @ image.TransformIndexToPhysicalPoint((x, y, z))
    ramp = sitk.GetImageFromArray(values)
    ramp.CopyInformation(image)
    mask = np.zeros(values.shape, dtype=bool)
    mask[8:13, 9:14, 9:15] = True
    patch = crop_patch(ramp, lesion_of(mask), (6, 6, 6), spacing=0.9)
    centre = np.array(image.TransformContinuousIndexToPhysicalPoint((11.5, 11.0, 10.0)))
    step = np.reshape(direction, (3, 3)) * 0.9
    for z, y, x in np.ndindex(6, 6, 6):
        point = centre + step @ (np.array([x, y, z]) - 2.5)
        assert patch.values[0, z, y, x] == pytest.approx(gradient @ point, abs=1e-4)


def test_fit_leaves_one_free_voxel_on_the_longest_side_and_fixed_spacing_keeps_volume():
    spacing = (3.0, 1.0, 1.5)
    mask, _ = ellipsoid((21, 50, 40), (18, 20, 12), spacing)
    image = sitk.GetImageFromArray(mask.astype(np.float32))
    image.SetSpacing(spacing[::-1])
    lesion = lesion_of(mask)
    fit = crop_patch(image, lesion, (24, 24, 24))
    occupied = np.argwhere(fit.inside[0])
    assert occupied.min(axis=0).min() in (1, 2)
    assert occupied.max(axis=0).max() in (21, 22)
    assert fit.complete
    true_volume = mask.sum() * np.prod(spacing)
    for patch in (fit, crop_patch(image, lesion, (48, 48, 48), spacing=1.0)):
        assert patch.inside.sum() * patch.spacing**3 == pytest.approx(true_volume, rel=0.06)
    assert not crop_patch(image, lesion, (24, 24, 24), spacing=1.0).complete


def test_coarser_grids_average_instead_of_picking():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(64, 64, 64)).astype(np.float32)
    patch = crop_patch(sitk.GetImageFromArray(noise), whole_image(noise.shape), (16,) * 3, margin=0)
    # The mean of 4³ independent voxels has an eighth of their spread; a picked voxel all of it.
    assert patch.values.std() < 0.3
    flat = np.full((64, 64, 64), 7.0, dtype=np.float32)
    patch = crop_patch(sitk.GetImageFromArray(flat), whole_image(flat.shape), (16,) * 3, margin=0)
    np.testing.assert_allclose(patch.values, 7.0, rtol=1e-5)


def test_beyond_the_border_the_nearest_voxel_is_repeated_and_nothing_is_lesion():
    pixels = np.full((10, 10), -1000.0, dtype=np.float32)
    mask = np.zeros((10, 10), dtype=bool)
    mask[0:4, 0:4] = True
    patch = crop_patch(sitk.GetImageFromArray(pixels), lesion_of(mask), (12, 12), spacing=1.0)
    np.testing.assert_array_equal(patch.values, -1000.0)
    assert patch.inside.sum() == 16
    assert not patch.inside[0, :4].any()


@pytest.mark.parametrize("thin", [(slice(4, 5), slice(2, 30)), (slice(0, 32), slice(7, 8))])
def test_a_thin_lesion_never_vanishes(thin):
    mask = np.zeros((32, 32), dtype=bool)
    mask[thin] = True
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    assert crop_patch(image, lesion_of(mask), (8, 8)).inside.any()


def test_a_lesion_one_slice_thick_keeps_its_slice():
    mask = np.zeros((5, 20, 20), dtype=bool)
    mask[2, 5:15, 5:15] = True
    image = sitk.GetImageFromArray(np.arange(2000.0).reshape(5, 20, 20))
    image.SetSpacing((1, 1, 5))
    patch = crop_patch(image, lesion_of(mask), (12, 12, 12))
    assert patch.inside.any()
    assert patch.spacing == pytest.approx(1.0)


def test_patches_are_not_masked():
    mask, _ = ellipsoid((20, 20, 20), (4, 4, 4))
    image = sitk.GetImageFromArray(np.where(mask, 5.0, 2.0).astype(np.float32))
    patch = crop_patch(image, lesion_of(mask), (16, 16, 16), spacing=1.0)
    assert patch.values[0, 0, 0, 0] == 2.0
    assert patch.values[patch.inside].mean() == pytest.approx(5.0)


@pytest.mark.parametrize("orientation", ["RAS", "LAI", "SPL", "PIR", "ASL"])
@pytest.mark.parametrize(("shape", "spacing"), [((9, 8, 7), "fit"), ((6, 6, 6), 1.7)])
def test_a_scan_gives_the_same_patch_whatever_way_it_is_stored(orientation, shape, spacing):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20, 24, 28)).astype(np.float32)
    mask = np.zeros(values.shape, np.uint8)
    mask[3:9, 5:9, 14:24] = 1
    mask[3, 5, 14] = 0
    images = []
    for array in (values, mask):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((0.8, 1.1, 2.3))
        image.SetOrigin((-17.3, 5.1, 100.7))
        images.append(image)
    turned = [sitk.DICOMOrient(one, orientation) for one in images]
    first = crop_patch(images[0], lesion_of(mask), shape, spacing)
    second = crop_patch(turned[0], lesion_of(sitk.GetArrayFromImage(turned[1])), shape, spacing)
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.inside, second.inside)
    assert first.spacing == second.spacing


def test_axes_of_a_patch_point_to_superior_posterior_and_left():
    # A bright voxel on each side of the centre, in world coordinates, stored as PIR.
    image = sitk.GetImageFromArray(np.zeros((11, 11, 11), np.float32))
    image[5, 5, 8], image[5, 8, 5], image[8, 5, 5] = 1.0, 2.0, 3.0  # superior, posterior, left
    stored = sitk.DICOMOrient(image, "PIR")
    mask = np.zeros((11, 11, 11), bool)
    mask[1:10, 1:10, 1:10] = True
    patch = crop_patch(stored, lesion_of(mask), (11, 11, 11)).values[0]
    assert (patch[8, 5, 5], patch[5, 8, 5], patch[5, 5, 8]) == (1.0, 2.0, 3.0)
