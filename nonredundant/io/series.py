"""DICOM images: the slices of a series, or one file, become a volume or a 2-D image."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nonredundant.io.contours import FRAME_OF_REFERENCE
from nonredundant.io.dicom import (
    DicomFile,
    is_dicom,
    name,
    read_dicom,
    text,
    without_pydicom_warnings,
)
from nonredundant.io.errors import CaseError, ImageFileError
from nonredundant.io.frames import (
    check_whole,
    has_groups,
    has_positions,
    read_planes,
    read_scales,
    rescale_type,
    without_positions,
)
from nonredundant.io.pet_header import differences
from nonredundant.io.pixel_size import pixel_size
from nonredundant.io.planes import ADVICE, Grid, Plane, arrange, check_alike, read_place
from nonredundant.io.scaling import (
    Scale,
    check_emptiness,
    check_pixels,
    check_scales,
    find_scale,
    is_read_by_itk,
    pet_units,
    read_intensities,
)
from nonredundant.io.voxel_size import check_plausible, mark_unknown

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Modality, units of PET and type of rescaled values, which travel with the image.
MODALITY, UNITS, RESCALE_TYPE = "0008|0060", "0054|1001", "0028|1054"
#: Path of the file that was acquired first, whose header tells when the scan began; what SUV need
#: and differs among the slices.
ACQUIRED_FIRST, DIFFERENT = "nonredundant|acquired_first", "nonredundant|different"
#: Position and axes of the plane of a 2-D image.
_PLANE = "nonredundant|plane"


@without_pydicom_warnings()
def read_series(files: Sequence[DicomFile]) -> sitk.Image:
    """Read the slices of one volume, in the order of their positions.

    Parameters
    ----------
    files : sequence of DicomFile
        The headers of the files, in any order.

    Returns
    -------
    SimpleITK.Image
        The volume, with frame of reference, modality and units as its metadata.

    Raises
    ------
    ImageFileError
        If slices are missing, cut off, unevenly spaced, sheared, of different size, orientation or
        units, or if several share a position; the message names the place.

    Examples
    --------
    >>> files = [read_dicom(Path(one)) for one in ("1.dcm", "2.dcm")]  # doctest: +SKIP
    >>> read_series(files).GetSize()  # doctest: +SKIP
    (512, 512, 2)
    """
    if len(files) == 1:
        return _read_alone(files[0])
    planes = [_read_plane(file, len(files)) for file in files]
    check_alike(planes)
    grid = arrange(planes)
    files = [files[k] for k in grid.order]
    for file in files:
        check_pixels(file)
    _check_same(files)
    _check_count(files)
    modality = files[0].text("Modality")
    scales = [find_scale(file.elements, modality=modality) for file in files]
    check_scales(scales, modality, [file.path.name for file in files])
    for file, scale in zip(files, scales, strict=True):
        check_emptiness(file, scale)
    image = _place(_read_values(files, scales), grid)
    first = min(files, key=_acquired)
    if modality == "PT":
        image.SetMetaData(DIFFERENT, differences([file.elements for file in files]))
    return _with_metadata(image, first, scales)


@without_pydicom_warnings()
def read_single(path: str) -> sitk.Image:
    """Read a DICOM file that is a volume or a single image by itself.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    SimpleITK.Image
        The image, in two dimensions unless it has several frames, with frame of reference,
        modality and units as its metadata.

    Raises
    ------
    ImageFileError
        If its frames have no positions in space, or it is a slice of a series or a part of a
        concatenation.

    Examples
    --------
    >>> read_single("enhanced.dcm").GetSize()  # doctest: +SKIP
    (512, 512, 60)
    """
    file = read_dicom(Path(path))
    if file.n_frames == 1:
        _check_alone(file)
    return _read_alone(file)


def as_volume(image: sitk.Image) -> sitk.Image:
    """Put a 2-D image into space, as a volume of one slice.

    Parameters
    ----------
    image : SimpleITK.Image
        A 2-D image.

    Returns
    -------
    SimpleITK.Image
        The volume, at the place that its DICOM file states; other images are returned unchanged.

    Examples
    --------
    >>> import SimpleITK as sitk
    >>> as_volume(sitk.Image(4, 4, sitk.sitkUInt8)).GetDimension()
    2
    """
    import SimpleITK as sitk

    stated = image.GetMetaData(_PLANE) if is_plane(image) else ""
    if not stated:
        return image
    frame = np.array(stated.split("\\"), dtype=float).reshape(3, 3)
    volume = sitk.JoinSeries([image])
    volume.SetSpacing([*image.GetSpacing(), 1.0])
    volume.SetOrigin(frame[0].tolist())
    volume.SetDirection(np.column_stack([*frame[1:], np.cross(*frame[1:])]).ravel().tolist())
    if image.HasMetaDataKey(FRAME_OF_REFERENCE):
        volume.SetMetaData(FRAME_OF_REFERENCE, image.GetMetaData(FRAME_OF_REFERENCE))
    return volume


def is_plane(image: sitk.Image) -> bool:
    """Check whether an image is a DICOM file in two dimensions.

    Parameters
    ----------
    image : SimpleITK.Image
        The image.

    Returns
    -------
    bool
        Whether it is; its place in space need not be known.

    Examples
    --------
    >>> import SimpleITK as sitk
    >>> is_plane(sitk.Image(4, 4, sitk.sitkUInt8))
    False
    """
    return image.GetDimension() == 2 and image.HasMetaDataKey(_PLANE)


@without_pydicom_warnings()
def acquisition_date(image: sitk.Image) -> str:
    """Return the date on which a DICOM image was acquired.

    Parameters
    ----------
    image : SimpleITK.Image
        The image, as it was read.

    Returns
    -------
    str
        The date as YYYYMMDD; empty if the image is not from DICOM or states none.

    Examples
    --------
    >>> import SimpleITK as sitk
    >>> acquisition_date(sitk.Image(4, 4, sitk.sitkUInt8))
    ''
    """
    if not image.HasMetaDataKey(ACQUIRED_FIRST):
        return ""
    file = read_dicom(Path(image.GetMetaData(ACQUIRED_FIRST)))
    stated = (file.text(name) for name in ("AcquisitionDate", "SeriesDate", "StudyDate"))
    return next((one for one in stated if len(one) == 8 and one.isdigit()), "")


def _read_plane(file: DicomFile, n_files: int) -> Plane:
    """Read the place of a slice."""
    if file.n_frames > 1:
        check_whole(file)
        raise ImageFileError(
            f"{file.path} holds several frames and lies beside {n_files - 1} other files; {ADVICE}"
        )
    elements = file.elements
    origin, axes = read_place(elements, elements, str(file.path))
    return Plane(file.path.name, origin, axes, _size(file), pixel_size(elements), file.text)


def _size(file: DicomFile) -> tuple[int, int]:
    """Return the number of columns and rows."""
    return file.whole("Columns", 0), file.whole("Rows", 0)


def _check_same(files: Sequence[DicomFile]) -> None:
    """Raise if slices are of different modalities, units or frames of reference."""
    for keyword in ("Modality", "Units", "RescaleType", "FrameOfReferenceUID"):
        values = Counter(file.text(keyword) for file in files)
        if keyword in ("RescaleType", "FrameOfReferenceUID"):
            values.pop("", None)
        if len(values) > 1:
            counts = ", ".join(f"{value or 'none'} ({n})" for value, n in values.most_common())
            raise ImageFileError(
                f"the slices of the series state different {name(keyword)}: {counts} slices; "
                "export the series again"
            )


def _check_count(files: Sequence[DicomFile]) -> None:
    """Raise if the header states more slices than there are: some are missing at an end.

    The images of an acquisition may be those of several volumes, for instance echoes, so at least
    twice as many as there are files is no sign of a loss.
    """
    n = len(files)
    slices, images = (
        files[0].whole(keyword, 0) for keyword in ("NumberOfSlices", "ImagesInAcquisition")
    )
    for stated, what, lost in (
        (slices, "number of slices", slices > n),
        (images, "number of images in the acquisition", n < images < 2 * n),
    ):
        if lost:
            raise ImageFileError(
                f"the header states {stated} as the {what}, but there are {n} files; copy or "
                "export the whole series again"
            )


def _read_values(files: Sequence[DicomFile], scales: Sequence[Scale | None]) -> sitk.Image:
    """Read the intensities of slices in their order."""
    import SimpleITK as sitk

    paths = [str(file.path) for file in files]
    if all(is_read_by_itk(file, scale) for file, scale in zip(files, scales, strict=True)):
        # The type of the first slice is not that of all: each may have its own slope.
        types = {
            (scale, *map(file.text, ("PixelRepresentation", "BitsAllocated", "BitsStored")))
            for file, scale in zip(files, scales, strict=True)
        }
        return sitk.ReadImage(paths) if len(types) == 1 else sitk.ReadImage(paths, sitk.sitkFloat64)
    planes = [read_intensities(file, [scale]) for file, scale in zip(files, scales, strict=True)]
    return sitk.GetImageFromArray(np.concatenate(planes))


def _read_alone(file: DicomFile) -> sitk.Image:
    """Read a file of one or several frames."""
    check_pixels(file)
    check_whole(file)
    if file.n_frames > 1:
        image, scales = _read_frames(file)
    else:
        image, scales = _read_plane_image(file)
    return _with_metadata(image, file, scales)


def _read_frames(file: DicomFile) -> tuple[sitk.Image, list[Scale | None]]:
    """Read a file of several frames, sorted by their positions."""
    import SimpleITK as sitk

    if not has_groups(file):
        raise without_positions(file)
    planes, scales = read_planes(file), read_scales(file)
    check_alike(planes)
    check_scales(scales, file.text("Modality"), [plane.name for plane in planes])
    grid = arrange(planes)
    values = read_intensities(file, scales)
    if len(values) != len(planes):
        raise ImageFileError(
            f"{file.path} states {len(planes)} frames, but holds {len(values)}; export it again"
        )
    if grid.order != list(range(len(planes))):
        values = values[grid.order]
    return _place(sitk.GetImageFromArray(values), grid), scales


def _read_plane_image(file: DicomFile) -> tuple[sitk.Image, list[Scale | None]]:
    """Read a file of one frame as a 2-D image."""
    import SimpleITK as sitk

    modality, location, spacing = file.text("Modality"), None, pixel_size(file.elements)
    if has_groups(file):
        scales = read_scales(file)
        if has_positions(file):
            plane = read_planes(file)[0]
            spacing, location = plane.spacing, (plane.origin, plane.axes)
    else:
        scales = [find_scale(file.elements, modality=modality)]
        if file.text("ImagePositionPatient") and file.text("ImageOrientationPatient"):
            location = read_place(file.elements, file.elements, str(file.path))
    check_scales(scales, modality, [file.path.name])
    check_emptiness(file, scales[0])
    if is_read_by_itk(file, scales[0]) and not has_groups(file):
        image = sitk.ReadImage(str(file.path))
        image = image[:, :, 0] if image.GetDimension() == 3 else image
    else:
        image = sitk.GetImageFromArray(read_intensities(file, scales)[0])
    image.SetOrigin([0.0, 0.0])
    image.SetDirection(np.eye(2).ravel().tolist())
    stated = [] if location is None else np.vstack(location).ravel().tolist()
    image.SetMetaData(_PLANE, "\\".join(map(repr, stated)))
    return _with_size(image, np.full(2, np.nan) if spacing is None else spacing), scales


def _place(image: sitk.Image, grid: Grid) -> sitk.Image:
    """Give a volume its grid."""
    image.SetOrigin(grid.origin.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    return _with_size(image, grid.spacing)


def _with_size(image: sitk.Image, spacing: np.ndarray) -> sitk.Image:
    """Set the voxel size; mark the axes where it is unknown."""
    unknown = np.flatnonzero(np.isnan(spacing)).tolist()
    image.SetSpacing(np.nan_to_num(spacing, nan=1.0).tolist())
    if not unknown:
        check_plausible(image.GetSpacing(), image.GetSize())
    return mark_unknown(image, unknown, f"the header has no {name('PixelSpacing')} above 0")


def _with_metadata(
    image: sitk.Image, file: DicomFile, scales: Sequence[Scale | None]
) -> sitk.Image:
    """Copy what is needed later from the header to the image."""
    units, scale = file.text("Units"), scales[0]
    if file.text("Modality") == "PT" and scale is not None and scale.units:
        units = pet_units(scale.units) or scale.units
    for tag, value in (
        (FRAME_OF_REFERENCE, file.text("FrameOfReferenceUID")),
        (MODALITY, file.text("Modality")),
        (UNITS, units),
        (RESCALE_TYPE, rescale_type(file) if has_groups(file) else file.text("RescaleType")),
        (ACQUIRED_FIRST, str(file.path)),
    ):
        if value:
            image.SetMetaData(tag, value)
    return image


def _acquired(file: DicomFile) -> tuple[str, str]:
    """Return what sorts slices by the time of their acquisition."""
    stated = file.text("AcquisitionDate"), file.text("AcquisitionTime")
    return stated if all(stated) else (file.text("AcquisitionDateTime"), "")


def _check_alone(file: DicomFile) -> None:
    """Raise if a file is one slice of a series whose other slices lie beside it."""
    series, folder = file.text("SeriesInstanceUID"), file.path.parent
    if not series or not file.text("ImagePositionPatient"):
        return
    n = _count_series(str(folder), folder.stat().st_mtime_ns)[series]
    if n > 1:
        raise ImageFileError(
            f"{file.path} is one of {n} slices of its series; give the folder {folder}"
        )


@functools.lru_cache(maxsize=4)
def _count_series(folder: str, modified: int) -> Counter[str]:
    """Count the slices of each series in a folder; `modified` changes when its files do."""
    counts: Counter[str] = Counter()
    for path in Path(folder).iterdir():
        if path.is_file() and is_dicom(path):
            try:
                elements = read_dicom(path).elements
            except (CaseError, OSError):
                # Whoever reads that file tells what is wrong with it.
                continue
            if text(elements, "ImagePositionPatient"):
                counts[text(elements, "SeriesInstanceUID")] += 1
    return counts
