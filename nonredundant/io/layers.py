"""Masks of several channels or named segments: which of them holds the labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nonredundant.io.errors import CaseError
from nonredundant.io.region_names import RegionChoice, distinct_names

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Fields of a segmentation in a NRRD file (3D Slicer, developer guide, "Segmentations").
_FIELD = re.compile(r"Segment(\d+)_(Name|ID|LabelValue|Layer)")
#: Number of channels that a message describes.
_SHOWN = 8
_REPRESENTATIONS = ("Segmentation_SourceRepresentation", "Segmentation_MasterRepresentation")


def select_labels(mask: sitk.Image, choice: RegionChoice, channel: int | None) -> sitk.Image:
    """Return the labels of a mask that may have several channels, or segments with names.

    Parameters
    ----------
    mask : SimpleITK.Image
        The mask as it is stored: with one or several values per voxel, or a fourth dimension.
    choice : RegionChoice
        The segments to read. Without `roi`, a mask of one channel is returned as it is.
    channel : int or None
        The channel with the labels, if `choice` names no segment.

    Returns
    -------
    SimpleITK.Image
        The mask with one value per voxel. Chosen segments have the labels 1, 2, …

    Raises
    ------
    CaseError
        If channels differ and none is chosen, the mask has no names to choose by, no segment or
        too many match, or segments overlap.

    Examples
    --------
    >>> import numpy as np, SimpleITK as sitk
    >>> one_hot = sitk.GetImageFromArray(np.eye(2)[np.eye(3, dtype=int)], isVector=True)
    >>> mask = select_labels(one_hot, RegionChoice(), 1)
    >>> sitk.GetArrayFromImage(mask).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    segments = _segments(mask)
    layers = _n_channels(mask)
    if segments and (choice.roi is not None or (choice.several and layers > 1 and channel is None)):
        return _labels_of_segments(mask, segments, choice)
    if choice.roi is not None:
        raise CaseError(
            f"roi={choice.roi!r} chooses a region by its name, but the mask has labels without "
            "names; leave roi=None and choose by `label`, or give a structure set (RTSTRUCT), a "
            "DICOM segmentation or a .seg.nrrd"
        )
    if layers == 1 and not channel:
        return mask
    if channel is None and _is_grey(mask):
        channel = 0
    if channel is None:
        raise CaseError(_describe_channels(mask, segments))
    if not 0 <= channel < layers:
        channels = "1 channel" if layers == 1 else f"{layers} channels"
        raise CaseError(
            f"the mask has {channels}, but label_channel is {channel}, which counts from 0; set "
            "label_channel (--label-channel) to the one with the labels"
        )
    return _channel(mask, channel)


class _Segment(NamedTuple):
    """A segment of a NRRD segmentation: its name, and the value that it has in its layer."""

    name: str
    value: int
    layer: int


def _fields(mask: sitk.Image) -> dict[int, dict[str, str]]:
    """Read the fields of the segments in the header of a mask, by the number of the segment."""
    fields: dict[int, dict[str, str]] = {}
    for key in mask.GetMetaDataKeys():
        match = _FIELD.fullmatch(key)
        if match:
            fields.setdefault(int(match[1]), {})[match[2]] = mask.GetMetaData(key).strip()
    return fields


def _segments(mask: sitk.Image) -> list[_Segment]:
    """Read the segments that the header of a mask lists, in the order of their numbers."""
    fields = _fields(mask)
    if not fields:
        return []
    for key in _REPRESENTATIONS:
        if mask.HasMetaDataKey(key) and mask.GetMetaData(key).startswith("Fractional"):
            raise CaseError(
                "the mask is a segmentation of fractions; labels are whole numbers, so export it "
                "as binary labelmap"
            )
    numbers = sorted(fields)
    names = [fields[k].get("Name") or fields[k].get("ID") or f"Segment{k}" for k in numbers]
    # Files of 3D Slicer before 4.11 have a layer for each segment, and do not number them.
    layers = _n_channels(mask)
    old = layers > 1 and not any("Layer" in one for one in fields.values())
    segments = []
    for place, (k, name) in enumerate(zip(numbers, distinct_names(names, numbers), strict=True)):
        try:
            value = int(fields[k].get("LabelValue", 1))
            layer = int(fields[k].get("Layer", place if old else 0))
        except ValueError as error:
            raise CaseError(f"the header of the mask is damaged: segment {k}: {error}") from error
        if not 0 <= layer < layers:
            raise CaseError(
                f"the header of the mask places {name!r} in layer {layer}, but the mask has "
                f"{layers}; save the segmentation again"
            )
        segments.append(_Segment(name, value, layer))
    return segments


def _labels_of_segments(
    mask: sitk.Image, segments: Sequence[_Segment], choice: RegionChoice
) -> sitk.Image:
    """Return the chosen segments as the labels 1, 2, …; raise if they overlap."""
    import SimpleITK as sitk

    layers = {one.layer: _channel(mask, one.layer) for one in segments}
    values = {layer: sitk.GetArrayViewFromImage(image) for layer, image in layers.items()}
    inside = {one.name: values[one.layer] == one.value for one in segments}
    drawn = [name for name, voxels in inside.items() if voxels.any()]
    empty = [name for name in inside if name not in drawn]
    chosen = choice.select(drawn, empty)
    _check_distinct([one for one in segments if one.name in chosen], segments)
    labels = np.zeros(inside[chosen[0]].shape, dtype=np.uint16)
    for label, name in enumerate(chosen, start=1):
        common = int(np.count_nonzero(labels[inside[name]]))
        if common:
            raise CaseError(
                f"segments overlap: {name!r} shares {common:,} voxels with others of {chosen}; "
                "measure them one at a time with `roi`"
            )
        labels[inside[name]] = label
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(next(iter(layers.values())))
    return image


def _check_distinct(chosen: Sequence[_Segment], segments: Sequence[_Segment]) -> None:
    """Raise if a chosen segment has the value and layer of another one."""
    for one in chosen:
        same = [two.name for two in segments if two[1:] == one[1:]]
        if len(same) > 1:
            raise CaseError(
                f"the header of the mask gives the segments {', '.join(map(repr, same))} the same "
                f"value {one.value} in layer {one.layer}, so it is unknown whose voxels they are; "
                "save the segmentation again"
            )


def _n_channels(mask: sitk.Image) -> int:
    """Count the values per voxel; a fourth dimension counts as such."""
    if mask.GetDimension() == 4 and mask.GetNumberOfComponentsPerPixel() == 1:
        return int(mask.GetSize()[3])
    return int(mask.GetNumberOfComponentsPerPixel())


def _channel(mask: sitk.Image, channel: int) -> sitk.Image:
    """Return one channel of a mask."""
    import SimpleITK as sitk

    if mask.GetNumberOfComponentsPerPixel() > 1:
        return sitk.VectorIndexSelectionCast(mask, channel)
    return mask[:, :, :, channel] if mask.GetDimension() == 4 else mask


def _is_grey(mask: sitk.Image) -> bool:
    """Check whether the channels of a mask are one grey value in colours, perhaps with opacity."""
    import SimpleITK as sitk

    if mask.GetNumberOfComponentsPerPixel() not in (2, 3, 4):
        return False
    values = sitk.GetArrayViewFromImage(mask)
    if values.shape[-1] in (2, 4):
        opacity, values = values[..., -1], values[..., :-1]
        if not opacity.flat[0] or (opacity != opacity.flat[0]).any():
            return False
    return all((values[..., k] == values[..., 0]).all() for k in range(1, values.shape[-1]))


def _describe_channels(mask: sitk.Image, segments: Sequence[_Segment]) -> str:
    """Describe the channels of a mask of which none is chosen."""
    import SimpleITK as sitk

    layers = _n_channels(mask)
    counts = []
    for k in range(min(layers, _SHOWN)):
        # Held by a name: the view does not keep the image.
        channel = _channel(mask, k)
        counts.append(f"{int(np.count_nonzero(sitk.GetArrayViewFromImage(channel))):,}")
    names = ", ".join(repr(one.name) for one in segments)
    by_name = f"its segments are {names}: choose by `roi`, or " if segments else ""
    return (
        f"the mask has {layers} channels, in which {', '.join(counts)}"
        f"{', …' if layers > _SHOWN else ''} voxels are not 0; {by_name}set label_channel "
        "(--label-channel) to the one with the labels, counted from 0, or save the labels as one "
        "channel"
    )
