"""DICOM series: the order of the slices and the gaps between them are checked before reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.io.contours import FRAME_OF_REFERENCE, read_dataset
from nonredundant.io.errors import ImageFileError
from nonredundant.io.headers import read_header

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Slice distances may differ by this fraction: positions are rounded when they are stored.
JITTER = 1e-3
#: Modality and units, which travel with the image.
MODALITY, UNITS = "0008|0060", "0054|1001"
#: Path of the file that was acquired first, whose header tells when the scan began.
ACQUIRED_FIRST = "nonredundant|acquired_first"
_DATE, _TIME = "0008|0022", "0008|0032"
#: How many slices a PET volume has, and how many images an acquisition has.
_COUNTS = {"0054|0081": "number of slices", "0020|1002": "number of images in the acquisition"}
_KEPT = (FRAME_OF_REFERENCE, MODALITY, UNITS)
_POSITION, _ORIENTATION, _FRAMES = "0020|0032", "0020|0037", "0028|0008"
_SERIES = "0020|000e"
#: Elements that tell images at one position apart, and what several of them are.
_SPLIT = {
    "0018|0081": "echo times",
    "0018|0086": "echo numbers",
    "0020|0012": "acquisitions",
    "0020|0100": "temporal positions",
    "0018|9087": "b-values",
    "0018|1060": "trigger times",
    "0008|0008": "image types",
}
_ADVICE = "give each volume a folder of its own"


@dataclass(frozen=True)
class _Slice:
    """One file of a series: its header, the position of its first pixel and its axes, in mm."""

    path: str
    header: sitk.ImageFileReader
    origin: np.ndarray
    axes: np.ndarray

    def text(self, tag: str) -> str:
        """Return an element of the header; empty if it is absent."""
        return _text(self.header, tag)


def read_series(files: Sequence[str]) -> sitk.Image:
    """Read the slices of one volume, in the order of their positions.

    Parameters
    ----------
    files : sequence of str
        The files, in any order.

    Returns
    -------
    SimpleITK.Image
        The volume, with frame of reference, modality and units as its metadata.

    Raises
    ------
    ImageFileError
        If slices are missing, unevenly spaced, sheared, of different size or orientation, or if
        several share a position; the message names the place.

    Examples
    --------
    >>> read_series(["1.dcm", "2.dcm"]).GetSize()  # doctest: +SKIP
    (512, 512, 2)
    """
    import SimpleITK as sitk

    if len(files) == 1:
        return read_single(files[0])
    slices = [_read_slice(one) for one in files]
    _check_alike(slices)
    normal = np.cross(*slices[0].axes)
    slices.sort(key=lambda one: float(one.origin @ normal))
    distance = _check_positions(slices, normal)
    _check_count(slices)
    names = [one.path for one in slices]
    # Slices may differ in type, because each may have its own slope.
    kinds = {one.header.GetPixelID() for one in slices}
    image = sitk.ReadImage(names, kinds.pop() if len(kinds) == 1 else sitk.sitkFloat64)
    image.SetSpacing([*slices[0].header.GetSpacing()[:2], distance])
    image.SetOrigin(slices[0].origin.tolist())
    image.SetDirection(np.column_stack([*slices[0].axes, normal]).ravel().tolist())
    first = min(slices, key=lambda one: (one.text(_DATE), one.text(_TIME)))
    image.SetMetaData(ACQUIRED_FIRST, first.path)
    return _with_metadata(image, slices[0].header)


def read_single(path: str) -> sitk.Image:
    """Read a DICOM file that is a volume or a single image by itself.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    SimpleITK.Image
        The image, with frame of reference, modality and units as its metadata.

    Raises
    ------
    ImageFileError
        If its frames have no positions in space or it is a slice of a series.

    Examples
    --------
    >>> read_single("enhanced.dcm").GetSize()  # doctest: +SKIP
    (512, 512, 60)
    """
    import SimpleITK as sitk

    header = read_header(Path(path))
    frames = int(_text(header, _FRAMES) or 1)
    image = sitk.ReadImage(path)
    if frames > 1:
        _place_frames(image, path)
    elif image.GetDimension() == 3:
        _check_alone(path, header)
    image.SetMetaData(ACQUIRED_FIRST, path)
    return _with_metadata(image, header)


def _text(header: sitk.ImageFileReader, tag: str) -> str:
    """Return an element of a header; empty if it is absent."""
    return header.GetMetaData(tag).strip("\0 ") if header.HasMetaDataKey(tag) else ""


def _with_metadata(image: sitk.Image, header: sitk.ImageFileReader) -> sitk.Image:
    """Copy the elements that are needed later to the image."""
    for tag in _KEPT:
        if _text(header, tag):
            image.SetMetaData(tag, _text(header, tag))
    return image


def _read_slice(path: str) -> _Slice:
    """Read position and orientation of one file."""
    header = read_header(Path(path))
    try:
        origin = np.array(_text(header, _POSITION).split("\\"), dtype=float)
        axes = np.array(_text(header, _ORIENTATION).split("\\"), dtype=float).reshape(2, 3)
        if origin.shape != (3,) or not (np.isfinite(origin).all() and np.isfinite(axes).all()):
            raise ValueError("not three finite coordinates")
    except ValueError as error:
        raise ImageFileError(
            f"{path} has no position or orientation of its slice ({error}), so the order of the "
            "slices is unknown; export the series again"
        ) from error
    return _Slice(path, header, origin, axes)


def _check_alike(slices: list[_Slice]) -> None:
    """Raise if slices have different sizes, pixel spacings or orientations, or are volumes."""
    first = slices[0]
    for one in slices:
        if int(one.text(_FRAMES) or 1) > 1:
            raise ImageFileError(
                f"{one.path} holds several frames and lies beside {len(slices) - 1} other files; "
                f"{_ADVICE}"
            )
        a, b = first.header, one.header
        same = a.GetSize() == b.GetSize() and np.allclose(
            a.GetSpacing()[:2], b.GetSpacing()[:2], rtol=JITTER
        )
        if not same or not np.allclose(first.axes, one.axes, atol=1e-3):
            raise ImageFileError(
                f"{Path(one.path).name} has another size, pixel spacing or orientation "
                f"({b.GetSize()[:2]}, {b.GetSpacing()[:2]} mm) than {Path(first.path).name} "
                f"({a.GetSize()[:2]}, {a.GetSpacing()[:2]} mm) in the same series (a localizer?); "
                f"{_ADVICE}"
            )


def _check_positions(slices: list[_Slice], normal: np.ndarray) -> float:
    """Check that slices lie evenly above each other; return their distance."""
    origins = np.array([one.origin for one in slices])
    along = origins @ normal
    steps = np.diff(along)
    typical = float(np.median(steps))
    if (steps < JITTER).any():
        _refuse_shared(slices, along, steps)
    _check_steps(along, steps, typical)
    sideways = origins - origins[0] - np.outer(along - along[0], normal)
    shift = float(np.linalg.norm(sideways, axis=1).max())
    if shift > JITTER * len(slices) * typical:
        tilt = np.degrees(np.arctan2(np.linalg.norm(sideways[-1]), along[-1] - along[0]))
        raise ImageFileError(
            f"the slices are shifted sideways by up to {shift:.2f} mm, as with a gantry tilt "
            f"({tilt:.1f} degrees): such voxels are sheared; resample the scan to a rectangular "
            "grid (for instance dcm2niix does) and give that file"
        )
    return float((along[-1] - along[0]) / (len(slices) - 1))


def _check_count(slices: list[_Slice]) -> None:
    """Raise if the header states more slices than there are: some are missing at an end."""
    for tag, what in _COUNTS.items():
        stated = slices[0].text(tag)
        if stated.isdigit() and int(stated) > len(slices):
            raise ImageFileError(
                f"the header states {stated} as the {what}, but there are {len(slices)} files; "
                "copy or export the whole series again"
            )


def _refuse_shared(slices: list[_Slice], along: np.ndarray, steps: np.ndarray) -> None:
    """Raise an error that says how images at one position differ."""
    kinds = {
        kind: sorted({one.text(tag) for one in slices})
        for tag, kind in _SPLIT.items()
        if len({one.text(tag) for one in slices}) > 1
    }
    why = "; ".join(
        f"{len(values)} {kind} ({', '.join(v or 'none' for v in values[:5])})"
        for kind, values in kinds.items()
    )
    shared = int((steps < JITTER).sum())
    raise ImageFileError(
        f"the series of {len(slices)} files has several images at one position ({shared} times, "
        f"first at {along[:-1][steps < JITTER][0]:.2f} mm): "
        f"{why or 'copies, or several volumes under one UID'}; {_ADVICE}"
    )


def _check_steps(along: np.ndarray, steps: np.ndarray, typical: float) -> None:
    """Raise if the distances of neighbouring slices differ, naming the first wide gap."""
    smallest = float(steps.min())
    wrong = np.abs(steps - typical) > JITTER * typical
    if not wrong.any():
        return
    at = int(steps.argmax())
    low, high, ratio = along[at], along[at + 1], steps[at] / smallest
    if abs(ratio - round(ratio)) < 0.02 and round(ratio) > 1:
        n = round(ratio) - 1
        raise ImageFileError(
            f"{n} {'slice is' if n == 1 else 'slices are'} missing between {low:.2f} and "
            f"{high:.2f} mm ({int(wrong.sum())} of {steps.size} distances differ from "
            f"{typical:.3g} mm); copy or export the whole series again"
        )
    raise ImageFileError(
        f"the slices are unevenly spaced: {smallest:.4g} to {steps.max():.4g} mm, the widest "
        f"between {low:.2f} and {high:.2f} mm; export a series of even spacing, or resample it"
    )


def _place_frames(image: sitk.Image, path: str) -> None:
    """Set the geometry of a multi-frame image from the positions of its frames."""
    dataset = read_dataset(Path(path), "multi-frame DICOM images")
    try:
        shared = dataset.SharedFunctionalGroupsSequence[0]
        frames = list(dataset.PerFrameFunctionalGroupsSequence)
        measures = [_group(one, shared, "PixelMeasuresSequence") for one in frames]
        axes = [
            _group(one, shared, "PlaneOrientationSequence").ImageOrientationPatient
            for one in frames
        ]
        origins = [
            _group(one, shared, "PlanePositionSequence").ImagePositionPatient for one in frames
        ]
        rows, columns = map(float, measures[0].PixelSpacing)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ImageFileError(
            f"{path} has {dataset.get('NumberOfFrames')} frames without positions in space "
            "(a film or projections?); convert it to NIfTI or NRRD and give that file"
        ) from error
    direction = np.array(axes, dtype=float).reshape(-1, 2, 3)
    place = np.array(origins, dtype=float)
    if not np.allclose(direction, direction[0], atol=1e-3):
        raise ImageFileError(f"the frames of {path} have different orientations; {_ADVICE}")
    normal = np.cross(*direction[0])
    along = place @ normal
    steps = np.diff(along)
    descending = bool((steps < 0).all())
    if not descending and not (steps > 0).all():
        raise ImageFileError(
            f"the frames of {path} are not in the order of their positions, or several share one "
            f"(several echoes or times?); {_ADVICE}"
        )
    size = np.abs(steps)
    _check_steps(along, size, float(np.median(size)))
    image.SetSpacing([columns, rows, float(size.mean())])
    image.SetOrigin(place[0].tolist())
    normal = -normal if descending else normal
    image.SetDirection(np.column_stack([*direction[0], normal]).ravel().tolist())


def _group(frame: Any, shared: Any, name: str) -> Any:
    """Return a functional group of a frame, or the one that all frames share."""
    own = getattr(frame, name, None) or getattr(shared, name)
    return own[0]


def _check_alone(path: str, header: sitk.ImageFileReader) -> None:
    """Raise if a file is one slice of a series whose other slices lie beside it."""
    import SimpleITK as sitk

    uid, folder = _text(header, _SERIES), str(Path(path).parent)
    if not uid:
        return
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder, uid)
    if len(files) > 1:
        raise ImageFileError(
            f"{path} is one of {len(files)} slices of its series; give the folder {folder}"
        )
