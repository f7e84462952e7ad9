"""A mask is a label image; anything else is refused with what to do."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nonredundant.io import CaseError
from nonredundant.io.images import read_image, read_mask
from nonredundant.io.labels import as_labels


def ball(shape=(24, 24, 24), radius=6.0):
    """Return the distance from the centre of a volume, and a ball in it."""
    distance = np.sqrt(((np.indices(shape) - 12) ** 2).sum(0))
    return distance, distance <= radius


def image_like(kind):
    """Return arrays that are no label images."""
    rng = np.random.default_rng(0)
    distance, inside = ball()
    return {
        "soft": np.clip(8 - distance, 0, 1),
        "hounsfield": rng.normal(0, 60, distance.shape).round().astype(np.int16),
        "positive": rng.integers(0, 150, distance.shape).astype(np.uint8),
        "few values": rng.integers(0, 10, distance.shape).astype(np.uint8),
        "uptake": rng.gamma(9, 0.5, distance.shape),
        "missing": np.where(inside, 1.0, np.nan),
        "many": np.repeat(np.arange(500, dtype=np.int32), 64).reshape(20, 40, 40),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("soft", r"holds fractions.*soft mask: threshold it.*1,791 voxels"),
        ("hounsfield", "negative values.*columns 'image' and 'mask' swapped"),
        ("positive", "149 distinct values.*swapped"),
        ("few values", "9 distinct values.*like an image"),
        ("uptake", "fractions.*swapped"),
        ("missing", "NaN or infinite"),
        ("many", "499 distinct values"),
    ],
)
def test_what_is_no_label_image_is_refused_with_the_remedy(kind, message):
    array = image_like(kind)
    with pytest.raises(CaseError, match=message):
        read_mask(array, read_image(np.zeros(array.shape)))


def test_jpeg_artefacts_are_refused_and_png_is_not(tmp_path):
    disc = ((np.indices((64, 64)) - 32) ** 2).sum(0) <= 79
    image = sitk.GetImageFromArray((disc * 255).astype(np.uint8))
    for quality in (50, 95):
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(tmp_path / "m.jpg"))
        writer.SetCompressionLevel(quality)
        writer.UseCompressionOn()
        writer.Execute(image)
        altered = sitk.ReadImage(str(tmp_path / "m.jpg"))
        with pytest.raises(CaseError, match="lossy format.*lossless"):
            read_mask(tmp_path / "m.jpg", image)
        # The same voxels in a lossless file are still not those that were drawn.
        sitk.WriteImage(altered, str(tmp_path / "converted.png"))
        with pytest.raises(CaseError, match="distinct values.*lossless"):
            read_mask(tmp_path / "converted.png", image)
    sitk.WriteImage(image, str(tmp_path / "m.png"))
    found = sitk.GetArrayFromImage(read_mask(tmp_path / "m.png", image))
    assert (found == 255).sum() == disc.sum()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, np.float64])
def test_label_images_of_any_type_are_read(dtype):
    _, inside = ball()
    mask = read_mask(inside.astype(dtype), read_image(np.zeros(inside.shape)))
    assert sitk.GetArrayFromImage(mask).sum() == inside.sum()


@pytest.mark.parametrize("error", [1e-7, 9e-4, -9e-4])
def test_values_close_to_an_integer_are_that_integer(error):
    _, inside = ball()
    mask = as_labels(sitk.GetImageFromArray(inside * (1 + error)))
    assert (sitk.GetArrayFromImage(mask) == 1).sum() == inside.sum()
    with pytest.raises(CaseError, match="fractions"):
        as_labels(sitk.GetImageFromArray(inside * 0.99))


def test_an_atlas_of_a_hundred_labels_is_read():
    labels = np.arange(1, 126).reshape(5, 5, 5).repeat(4, 0).repeat(4, 1).repeat(4, 2)
    mask = as_labels(sitk.GetImageFromArray(labels.astype(np.int16)))
    assert len(np.unique(sitk.GetArrayFromImage(mask))) == 125


def test_a_few_labels_of_single_voxels_are_read():
    points = np.zeros((20, 20, 20), dtype=np.uint8)
    points[range(2, 9), range(2, 9), range(2, 9)] = range(1, 8)
    assert sitk.GetArrayFromImage(as_labels(sitk.GetImageFromArray(points))).max() == 7


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.int64, np.float32, np.float64])
def test_labels_are_held_in_the_smallest_type(dtype):
    mask = sitk.GetImageFromArray(np.array([[[0, 1], [255, 2]]]).astype(dtype))
    mask.SetSpacing((1, 2, 3))
    found = as_labels(mask)
    assert found.GetPixelID() == sitk.sitkUInt8
    assert found.GetSpacing() == (1, 2, 3)
    assert sitk.GetArrayFromImage(found).tolist() == [[[0, 1], [255, 2]]]
    large = sitk.GetImageFromArray(np.array([[[0, 70000]]]).astype(np.float64))
    assert sitk.GetArrayFromImage(as_labels(large)).tolist() == [[[0, 70000]]]
