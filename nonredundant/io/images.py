"""Read images and masks from files, folders, SimpleITK images and arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.io.errors import CaseError, ImageFileError
from nonredundant.io.formats import file_content, find_format, read_file, read_mask_file
from nonredundant.io.labels import as_labels

if TYPE_CHECKING:
    import SimpleITK as sitk


#: Endings of files whose compression alters values.
_LOSSY = (".jpg", ".jpeg")


def read_image(source: Any, *, spacing: Any = None) -> sitk.Image:
    """Read a grey-level image in two or three dimensions.

    Parameters
    ----------
    source : path, SimpleITK.Image or ndarray of shape (D, H, W) or (H, W)
        A file (NIfTI, NRRD, MHA, …), a folder with one DICOM series, or the image itself.
    spacing : float or sequence of float, optional
        Voxel size of an array in mm, in the order x-y-z; 1 by default. Ignored for other sources.

    Returns
    -------
    SimpleITK.Image
        The image with its stored values.

    Raises
    ------
    CaseError
        If the image has several values per voxel, or not two or three dimensions.
    ImageFileError
        If the file is missing or not an image.

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
            f"the image has {values} values per voxel; give one grey-level image, for instance "
            "one channel of it"
        )
    return _drop_fourth_dimension(image, "image")


def read_mask(
    source: Any,
    image: sitk.Image,
    *,
    channel: int = 0,
    roi: str | None = None,
    several: bool = False,
) -> sitk.Image:
    """Read a mask as labels on its own grid; an array gets the grid of the image.

    Parameters
    ----------
    source : path, SimpleITK.Image or ndarray
        The mask, see `read_image`.
    image : SimpleITK.Image
        The image whose grid an array gets.
    channel : int, default=0
        The channel to use of a mask with several values per voxel.
    roi : str, optional
        Name or pattern of the region of an RTSTRUCT or DICOM SEG file.
    several : bool, default=False
        Whether `roi` may match several regions, which get the labels 1, 2, …

    Returns
    -------
    SimpleITK.Image
        The labels.

    Raises
    ------
    CaseError
        If the mask is no label image (fractions, negative values, an image), an array has another
        shape than the image, or the channel does not exist.
    ImageFileError
        If the file is missing or not an image.

    Examples
    --------
    >>> import numpy as np
    >>> image = read_image(np.zeros((4, 8, 8)), spacing=2)
    >>> read_mask(np.ones((4, 8, 8), dtype=bool), image).GetSpacing()
    (2.0, 2.0, 2.0)
    """
    import SimpleITK as sitk

    if isinstance(source, str | Path):
        mask = read_mask_file(_existing(source), image, roi, several)
    else:
        mask = _read(source, None)
    values = mask.GetNumberOfComponentsPerPixel()
    if values > 1:
        if not 0 <= channel < values:
            raise CaseError(f"the mask has {values} channels, but label_channel is {channel}")
        mask = sitk.VectorIndexSelectionCast(mask, channel)
    mask = _drop_fourth_dimension(mask, "mask")
    lossy = isinstance(source, str | Path) and Path(source).suffix.lower() in _LOSSY
    mask = as_labels(mask, lossy=lossy)
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
    """Describe a source for a message: its path, or the kind of object.

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
    """Read the number of dimensions of an image from its header.

    Parameters
    ----------
    source : path, SimpleITK.Image or ndarray
        A cell of the case table.

    Returns
    -------
    int
        The number of dimensions; a fourth one is not counted.

    Raises
    ------
    CaseError
        If the source is not an image.

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
    return min(_read_header(path).GetDimension(), 3)


def read_spacing(source: Any, *, spacing: Any = None) -> np.ndarray:
    """Read the voxel size of an image, from the header if it is a file.

    Parameters
    ----------
    source : path, SimpleITK.Image or ndarray
        A cell of the case table.
    spacing : float or sequence of float, optional
        Voxel size of an array in mm, in the order x-y-z; 1 by default. Ignored for other sources.

    Returns
    -------
    array of shape (2,) or (3,)
        Voxel size in mm, in the order x-y-z; that of a fourth dimension is left out.

    Raises
    ------
    CaseError
        If the source is not an image.
    ImageFileError
        If the file is missing or not an image.

    Examples
    --------
    >>> import numpy as np
    >>> read_spacing(np.zeros((4, 8, 8)), spacing=(1, 1, 3))
    array([1., 1., 3.])
    """
    if isinstance(source, np.ndarray):
        return _spacing(spacing, source)
    if isinstance(source, str | Path) and not _existing(source).is_dir():
        return np.asarray(_read_header(_existing(source)).GetSpacing()[:3])
    # The slice distance of a DICOM series follows from all of its files.
    return np.asarray(_read(source, spacing).GetSpacing()[:3])


def _read_header(path: Path) -> sitk.ImageFileReader:
    """Read the header of an image file."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise ImageFileError(f"{path} cannot be read as an image") from error
    return reader


def content_key(source: Any, spacing: Any = None) -> str:
    """Compute a digest that changes with any voxel and with the geometry.

    The digest of a file is that of its bytes, which need not be decoded. Its name and date do not
    matter.

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
    """Yield the bytes of a source's voxels and geometry."""
    import SimpleITK as sitk

    if source is None:
        return
    if isinstance(source, str | Path):
        path = _existing(source)
        if find_format(path).is_self_contained:
            yield from file_content(path)
            return
        source = read_file(path)
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
    """Read or convert any source to a SimpleITK image."""
    import SimpleITK as sitk

    if isinstance(source, sitk.Image):
        return source
    if isinstance(source, np.ndarray):
        return _from_array(source, spacing)
    if not isinstance(source, str | Path):
        raise _unknown_kind(source)
    return read_file(_existing(source))


def _unknown_kind(source: Any) -> CaseError:
    """Build the error for a cell that is not an image."""
    if source is None:
        return CaseError("there is no image: the cell is empty")
    return CaseError(
        f"{describe(source)} is not an image; give a path, a SimpleITK.Image or an ndarray"
    )


def _existing(source: str | Path) -> Path:
    """Return the path of a source, or raise if it does not exist."""
    path = Path(source).expanduser()
    if not path.exists():
        where = "" if path.is_absolute() else f" below {Path.cwd()}"
        raise ImageFileError(
            f"there is no file or folder {path}{where}; correct the path, or set `root` to the "
            "folder that relative paths start from"
        )
    return path


def _from_array(array: np.ndarray, spacing: Any) -> sitk.Image:
    """Convert an array to an image at the origin."""
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
    # SimpleITK supports the native byte order only.
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(_spacing(spacing, array).tolist())
    return image


def _spacing(spacing: Any, array: np.ndarray) -> np.ndarray:
    """Check the voxel size of an array and convert it to one number per axis, x-y-z."""
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


def _drop_fourth_dimension(image: sitk.Image, role: str) -> sitk.Image:
    """Drop a fourth dimension of length 1; raise unless two or three dimensions are left."""
    size = image.GetSize()
    if len(size) == 4 and size[3] == 1:
        return image[:, :, :, 0]
    if len(size) not in (2, 3):
        raise CaseError(
            f"the {role} has {len(size)} dimensions of size {size} (x-y-z-t); give one volume of it"
        )
    return image
