"""Images and masks from files, folders, SimpleITK images and arrays, with errors that say why."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.io.errors import CaseError, ImageFileError
from nonredundant.io.formats import missing_bytes, what_to_convert

if TYPE_CHECKING:
    import SimpleITK as sitk


#: Formats whose header and voxels are one file: its bytes are its content.
_ONE_FILE = (".nii", ".nii.gz", ".nrrd", ".mha", ".dcm", ".png", ".tif", ".tiff", ".jpg", ".jpeg")


def read_image(source: Any, *, spacing: Any = None) -> sitk.Image:
    """Read a grey-level image in two or three dimensions.

    Parameters
    ----------
    source : path, SimpleITK.Image or ndarray of shape (D, H, W) or (H, W)
        A file (NIfTI, NRRD, MHA, …), a folder with one DICOM series, or the image itself.
    spacing : float or sequence of float, optional
        Voxel size in mm of an array, x-y-z order; 1 by default. Other sources know theirs.

    Returns
    -------
    SimpleITK.Image
        The image, voxels as stored.

    Raises
    ------
    CaseError
        If the image has several values a voxel, or not two or three dimensions.
    ImageFileError
        If the file is missing or is not an image.

    Examples
    --------
    >>> import numpy as np
    >>> read_image(np.zeros((4, 8, 8)), spacing=(1, 1, 3)).GetSpacing()
    (1.0, 1.0, 3.0)
    """
    image = _read(source, spacing)
    values = image.GetNumberOfComponentsPerPixel()
    if values > 1:
        raise CaseError(
            f"the image has {values} values a voxel; give one grey-level image, for instance "
            "one channel of it"
        )
    return _of_two_or_three_dimensions(image, "image")


def read_mask(source: Any, image: sitk.Image, *, channel: int = 0) -> sitk.Image:
    """Read a mask as labels on its own grid; an array takes the grid of the image.

    Parameters
    ----------
    source : path, SimpleITK.Image or ndarray
        As for `read_image`.
    image : SimpleITK.Image
        The image that an array's grid is taken from.
    channel : int, default=0
        Which channel of a mask with several values a voxel.

    Returns
    -------
    SimpleITK.Image
        The labels.

    Raises
    ------
    CaseError
        If an array has another shape than the image, or the channel does not exist.
    ImageFileError
        If the file is missing or is not an image.

    Examples
    --------
    >>> import numpy as np
    >>> image = read_image(np.zeros((4, 8, 8)), spacing=2)
    >>> read_mask(np.ones((4, 8, 8), dtype=bool), image).GetSpacing()
    (2.0, 2.0, 2.0)
    """
    import SimpleITK as sitk

    mask = _read(source, None)
    values = mask.GetNumberOfComponentsPerPixel()
    if values > 1:
        if not 0 <= channel < values:
            raise CaseError(f"the mask has {values} channels, but label_channel is {channel}")
        mask = sitk.VectorIndexSelectionCast(mask, channel)
    mask = _of_two_or_three_dimensions(mask, "mask")
    if isinstance(source, np.ndarray):
        if mask.GetSize() != image.GetSize():
            raise CaseError(
                f"the mask is an array of shape {source.shape}, but the image has shape "
                f"{image.GetSize()[::-1]}; an array has no geometry to resample by, so give it "
                "the image's shape"
            )
        mask.CopyInformation(image)
    return mask


def describe(source: Any) -> str:
    """Name a source in a message: its path, or what kind of object it is.

    Parameters
    ----------
    source : object
        A cell of the case table.

    Returns
    -------
    str
        The description.

    Examples
    --------
    >>> import numpy as np
    >>> describe(np.zeros((4, 8, 8)))
    'array of shape (4, 8, 8)'
    """
    if isinstance(source, str | Path):
        return str(source)
    if isinstance(source, np.ndarray):
        return f"array of shape {source.shape}"
    if hasattr(source, "GetSize"):
        return f"SimpleITK.Image of size {source.GetSize()}"
    return f"{type(source).__name__} {source!r:.60}"


def n_dimensions(source: Any) -> int:
    """Return the number of dimensions of an image, read from its header alone.

    Parameters
    ----------
    source : path, SimpleITK.Image or ndarray
        A cell of the case table.

    Returns
    -------
    int
        The number; a fourth dimension does not count.

    Raises
    ------
    CaseError
        If the source is no image.

    Examples
    --------
    >>> import numpy as np
    >>> n_dimensions(np.zeros((8, 8)))
    2
    """
    import SimpleITK as sitk

    if isinstance(source, np.ndarray):
        return source.ndim
    if isinstance(source, sitk.Image):
        return min(source.GetDimension(), 3)
    if not isinstance(source, str | Path):
        raise _unknown_kind(source)
    path = _existing(source)
    if path.is_dir():
        return 3
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise ImageFileError(f"{path} cannot be read as an image") from error
    return min(reader.GetDimension(), 3)


def content_key(source: Any, spacing: Any = None) -> str:
    """Return a digest that changes with any voxel or with the geometry.

    A file is known by its bytes, so that nothing need be decoded; its name and date play no part.

    Parameters
    ----------
    source : path, SimpleITK.Image, ndarray or None
        A cell of the case table.
    spacing : float or sequence of float, optional
        Voxel size of an array.

    Returns
    -------
    str
        Hexadecimal digest.

    Raises
    ------
    ImageFileError
        If the file is missing.

    Examples
    --------
    >>> import numpy as np
    >>> content_key(np.zeros((2, 2))) == content_key(np.zeros((2, 2)))
    True
    >>> content_key(np.zeros((2, 2))) == content_key(np.zeros((2, 2)), spacing=2)
    False
    """
    digest = hashlib.sha256()
    for part in _content(source, spacing):
        digest.update(part)
    return digest.hexdigest()


def _content(source: Any, spacing: Any) -> Iterator[Any]:
    """Yield the bytes that make up a source."""
    import SimpleITK as sitk

    if source is None:
        return
    if isinstance(source, str | Path):
        path = _existing(source)
        if path.is_dir():
            for file in sorted(entry for entry in path.iterdir() if entry.is_file()):
                yield file.name.encode()
                yield file.read_bytes()
            return
        if path.name.lower().endswith(_ONE_FILE):
            yield path.read_bytes()
            return
        source = _read(path, None)
    if isinstance(source, np.ndarray):
        yield repr((source.shape, source.dtype.str, np.ravel(_spacing(spacing, source)))).encode()
        yield np.ascontiguousarray(source).data.cast("B") if source.size else b""
        return
    if not isinstance(source, sitk.Image):
        raise _unknown_kind(source)
    geometry = (source.GetSize(), source.GetSpacing(), source.GetOrigin(), source.GetDirection())
    yield repr((geometry, source.GetPixelIDTypeAsString())).encode()
    yield np.ascontiguousarray(sitk.GetArrayViewFromImage(source)).data.cast("B")


def _read(source: Any, spacing: Any) -> sitk.Image:
    """Return any source as a SimpleITK image."""
    import SimpleITK as sitk

    if isinstance(source, sitk.Image):
        return source
    if isinstance(source, np.ndarray):
        return _from_array(source, spacing)
    if not isinstance(source, str | Path):
        raise _unknown_kind(source)
    path = _existing(source)
    remedy = what_to_convert(path)
    if remedy:
        raise ImageFileError(f"{path} {remedy}")
    try:
        if path.is_dir():
            return sitk.ReadImage(_series_files(path))
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ImageFileError(
            f"{path} ({_size(path)}) cannot be read as an image ({reason}); is it complete, and "
            "in a format that SimpleITK knows (NIfTI, NRRD, MHA, DICOM)?"
        ) from error
    missing = missing_bytes(path)
    if missing:
        raise ImageFileError(
            f"{path} ({_size(path)}) is truncated: {missing:,} bytes of its voxels are missing; "
            "copy or export it again"
        )
    return image


def _unknown_kind(source: Any) -> CaseError:
    """Return the error for a cell that is no image."""
    if source is None:
        return CaseError("there is no image: the cell is empty")
    return CaseError(
        f"{describe(source)} is not an image; give a path, a SimpleITK.Image or an ndarray"
    )


def _existing(source: str | Path) -> Path:
    """Return the path, or say that there is none."""
    path = Path(source).expanduser()
    if not path.exists():
        where = "" if path.is_absolute() else f" below {Path.cwd()}"
        raise ImageFileError(
            f"there is no file or folder {path}{where}; correct the path, or set `root` to the "
            "folder that relative paths start from"
        )
    return path


def _size(path: Path) -> str:
    """Say how much there is in a file or folder."""
    if path.is_dir():
        return f"a folder of {sum(1 for _ in path.iterdir())} files"
    return f"{path.stat().st_size:,} bytes"


def _series_files(folder: Path) -> Sequence[str]:
    """Return the files of the one DICOM series in a folder, in order."""
    import SimpleITK as sitk

    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise ImageFileError(f"{folder} ({_size(folder)}) holds no DICOM series")
    files = [sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), one) for one in series]
    if len(series) > 1:
        counts = ", ".join(
            f"{one} ({len(names)})" for one, names in zip(series, files, strict=True)
        )
        raise ImageFileError(
            f"{folder} holds {len(series)} DICOM series (files each): {counts}; give each series "
            "a folder of its own"
        )
    return files[0]


def _from_array(array: np.ndarray, spacing: Any) -> sitk.Image:
    """Return an array as an image at the origin."""
    import SimpleITK as sitk

    if array.ndim not in (2, 3) or 0 in array.shape:
        raise CaseError(
            f"an array must have shape (D, H, W) or (H, W) with voxels in it, got {array.shape}"
        )
    if array.dtype.kind not in "biuf":
        raise CaseError(f"an array must hold real numbers, got dtype {array.dtype}")
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    elif array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    # SimpleITK knows native byte order only.
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(_spacing(spacing, array).tolist())
    return image


def _spacing(spacing: Any, array: np.ndarray) -> np.ndarray:
    """Return the voxel size of an array, x-y-z, or say what is wrong with it."""
    if spacing is None:
        spacing = 1.0
    try:
        values = np.asarray(spacing, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CaseError(f"spacing must be numbers in mm, got {spacing!r}") from error
    if values.ndim == 0:
        values = np.full(array.ndim, values)
    if values.shape != (array.ndim,) or not (np.isfinite(values) & (values > 0)).all():
        raise CaseError(
            f"spacing must be {array.ndim} positive numbers in mm (x-y-z) for an array of shape "
            f"{array.shape}, got {spacing!r}"
        )
    return values


def _of_two_or_three_dimensions(image: sitk.Image, role: str) -> sitk.Image:
    """Return the image, a fourth dimension of one dropped, or say that it has too many."""
    size = image.GetSize()
    if len(size) == 4 and size[3] == 1:
        return image[:, :, :, 0]
    if len(size) not in (2, 3):
        raise CaseError(
            f"the {role} has {len(size)} dimensions of size {size} (x-y-z-t); give one volume of it"
        )
    return image
