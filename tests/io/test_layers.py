"""Masks of several channels, and segmentations in NRRD files: names, values and layers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cases_for_tests import quick

from nonredundant import RadiomicsExtractor
from nonredundant.io import CaseError, read_image, read_mask

SHAPE = (10, 12, 14)


def box(*corner, size):
    """Return a cube in a volume."""
    inside = np.zeros(SHAPE, dtype=np.uint8)
    inside[tuple(slice(one, one + size) for one in corner)] = 1
    return inside


LUNG, TUMOUR = box(1, 1, 1, size=6), box(4, 5, 7, size=4)
IMAGE = np.random.default_rng(0).gamma(4, 0.3, SHAPE)


def voxels(mask):
    return sitk.GetArrayFromImage(mask)


def segmentation(path, array, segments, **fields):
    """Write a .seg.nrrd; segments are dicts of fields, layers are the last axis of the array."""
    image = sitk.GetImageFromArray(array, isVector=array.ndim == 4)
    for number, one in enumerate(segments):
        for key, value in one.items():
            image.SetMetaData(f"Segment{number}_{key}", str(value))
    for key, value in fields.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path))
    return path


def layered(path, lung=LUNG, tumour=TUMOUR):
    """Write two segments that lie in two layers."""
    segments = [
        {"Name": "Lung", "LabelValue": 1, "Layer": 0},
        {"Name": "Tumour", "LabelValue": 1, "Layer": 1},
    ]
    return segmentation(path, np.stack([lung, tumour], axis=-1), segments)


def flat(path):
    """Write two segments that share a layer."""
    segments = [
        {"Name": "Lung", "LabelValue": 3, "Layer": 0},
        {"Name": "Tumour", "LabelValue": 7, "Layer": 0},
        {"Name": "Node", "LabelValue": 8, "Layer": 0},
    ]
    return segmentation(path, np.maximum(3 * LUNG, 7 * TUMOUR), segments)


@pytest.mark.parametrize("write", [layered, flat])
def test_roi_chooses_a_segment_by_name_whatever_its_layer_and_value(tmp_path, write):
    path, image = write(tmp_path / "m.seg.nrrd"), read_image(IMAGE)
    for mask in (path, sitk.ReadImage(str(path))):
        np.testing.assert_array_equal(voxels(read_mask(mask, image, roi="tum*")), TUMOUR)
    with pytest.raises(CaseError, match=r"no region roi='GTV': the file has 'Lung', 'Tumour'$"):
        read_mask(path, image, roi="GTV")


def test_each_segment_of_several_layers_is_a_lesion(tmp_path):
    path = layered(tmp_path / "a.seg.nrrd", tumour=box(1, 1, 8, size=2))
    cases = pd.DataFrame({"image": [IMAGE], "mask": [path]})
    table = quick(lesions="labels", patch_shape=None).fit_transform(cases)
    assert table.features["original_shape_VoxelVolume"].tolist() == [216, 8]
    path = layered(tmp_path / "b.seg.nrrd", tumour=box(4, 5, 5, size=4))
    with pytest.raises(CaseError, match="'Tumour' shares 12 voxels.*one at a time with `roi`"):
        read_mask(path, read_image(IMAGE), several=True)
    assert voxels(read_mask(path, read_image(IMAGE), roi="Tumour")).sum() == 64


def test_labels_of_one_layer_are_read_as_before_without_roi(tmp_path):
    path = flat(tmp_path / "m.seg.nrrd")
    found = voxels(read_mask(path, read_image(IMAGE)))
    np.testing.assert_array_equal(found, np.maximum(3 * LUNG, 7 * TUMOUR))
    found = voxels(read_mask(path, read_image(IMAGE), several=True))
    np.testing.assert_array_equal(found, np.maximum(3 * LUNG, 7 * TUMOUR))


def test_layers_without_roi_are_refused_and_the_segments_listed(tmp_path):
    with pytest.raises(CaseError, match="2 channels, in which 216, 64 voxels.*'Lung', 'Tumour'"):
        read_mask(layered(tmp_path / "m.seg.nrrd"), read_image(IMAGE))


def test_old_files_have_a_layer_for_each_segment(tmp_path):
    array = np.stack([LUNG, TUMOUR], axis=-1)
    path = segmentation(tmp_path / "m.seg.nrrd", array, [{"Name": "Lung"}, {"ID": "Tumour"}])
    np.testing.assert_array_equal(voxels(read_mask(path, read_image(IMAGE), roi="Tumour")), TUMOUR)


def test_an_empty_segment_is_named(tmp_path):
    with pytest.raises(CaseError, match="'Node' of the file has neither contours nor voxels"):
        read_mask(flat(tmp_path / "m.seg.nrrd"), read_image(IMAGE), roi="Node")


def test_segments_of_one_value_and_layer_are_refused(tmp_path):
    same = [{"Name": name, "LabelValue": 1, "Layer": 0} for name in ("Lung", "Tumour")]
    path = segmentation(tmp_path / "a.seg.nrrd", LUNG, [*same, {"Name": "Node", "LabelValue": 2}])
    with pytest.raises(CaseError, match="segments 'Lung', 'Tumour' the same value 1 in layer 0"):
        read_mask(path, read_image(IMAGE), roi="Tumour")


def test_a_channel_that_a_mask_of_one_lacks_is_refused():
    with pytest.raises(
        CaseError, match="has 1 channel, but label_channel is 1, which counts from 0"
    ):
        read_mask(LUNG, read_image(IMAGE), channel=1)
    assert voxels(read_mask(LUNG, read_image(IMAGE), channel=0)).sum() == LUNG.sum()


def test_damaged_and_fractional_segmentations_are_refused(tmp_path):
    image = read_image(IMAGE)
    for segment, said in (
        ({"Name": "a", "LabelValue": "x"}, "header of the mask is damaged: segment 0"),
        ({"Name": "a", "Layer": 3}, "places 'a' in layer 3, but the mask has 1"),
    ):
        path = segmentation(tmp_path / "m.seg.nrrd", LUNG, [segment])
        with pytest.raises(CaseError, match=said):
            read_mask(path, image, roi="a")
    fields = {"Segmentation_SourceRepresentation": "Fractional labelmap"}
    path = segmentation(tmp_path / "m.seg.nrrd", LUNG, [{"Name": "a"}], **fields)
    with pytest.raises(CaseError, match="segmentation of fractions"):
        read_mask(path, image)


@pytest.mark.parametrize("kind", ["array", "image", "m.nii.gz", "m.nrrd"])
def test_roi_is_refused_for_masks_without_names(tmp_path, kind):
    mask = TUMOUR
    if kind != "array":
        mask = sitk.GetImageFromArray(TUMOUR)
    if "." in kind:
        sitk.WriteImage(mask, str(tmp_path / kind))
        mask = tmp_path / kind
    with pytest.raises(CaseError, match="roi='GTV' chooses a region by its name, but the m"):
        read_mask(mask, read_image(IMAGE), roi="GTV")


@pytest.mark.parametrize("name", ["one_hot.nii.gz", "one_hot.nrrd", "four_dimensions.nii.gz"])
def test_channels_are_refused_unless_one_is_chosen(tmp_path, name):
    one_hot = np.stack([1 - TUMOUR, TUMOUR], axis=-1)
    if name.startswith("four"):
        mask = sitk.JoinSeries([sitk.GetImageFromArray(one_hot[..., k]) for k in range(2)])
    else:
        mask = sitk.GetImageFromArray(one_hot, isVector=True)
    sitk.WriteImage(mask, str(tmp_path / name))
    cases = pd.DataFrame({"image": [IMAGE], "mask": [tmp_path / name]})
    with pytest.raises(CaseError, match=r"2 channels, in which 1,616, 64 voxels.*label_channel"):
        quick().fit_transform(cases)
    for options in (
        {"label_channel": 1},
        {"settings": {"setting": {"label_channel": 1, "binWidth": 0.1}}},
    ):
        table = quick(**options).fit_transform(cases)
        assert table.features["original_shape_VoxelVolume"].tolist() == [64.0]
    with pytest.raises(CaseError, match="2 channels, but label_channel is 2"):
        quick(label_channel=2).fit_transform(cases)
    with pytest.raises(ValueError, match="label_channel"):
        quick(label_channel=-1).fit_transform(cases)


def test_colours_are_refused_and_greys_in_colour_are_not(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.gamma(4, 0.3, (12, 14))
    inside = np.zeros(image.shape, dtype=np.uint8)
    inside[3:9, 4:10] = 1
    opaque = np.full(inside.shape, 255, dtype=np.uint8)
    for name, channels in (
        ("rgb.png", [inside] * 3),
        ("rgba.png", [inside, inside, inside, opaque]),
    ):
        sitk.WriteImage(sitk.GetImageFromArray(np.stack(channels, -1), True), str(tmp_path / name))
        found = voxels(read_mask(tmp_path / name, read_image(image)))
        np.testing.assert_array_equal(found, inside)
    colours = np.stack([inside * 200, inside * 30, inside * 0], -1)
    sitk.WriteImage(sitk.GetImageFromArray(colours, True), str(tmp_path / "red.png"))
    with pytest.raises(CaseError, match="3 channels, in which 36, 36, 0 voxels"):
        read_mask(tmp_path / "red.png", read_image(image))


def test_an_extractor_that_was_saved_without_the_parameters_gets_their_defaults():
    state = RadiomicsExtractor(bin_width=1.0).__getstate__()
    del state["label_channel"], state["fill_slices"]
    restored = RadiomicsExtractor.__new__(RadiomicsExtractor)
    restored.__setstate__(state)
    assert restored.get_params() == RadiomicsExtractor(bin_width=1.0).get_params()
