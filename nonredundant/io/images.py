"""Read images and masks from files, folders, SimpleITK images and arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nonredundant.io.errors import CaseError
from nonredundant.io.formats import (
    dicom_dimensions,
    file_content,
    find_format,
    read_file,
    read_mask_file,
)
from nonredundant.io.headers import read_header
from nonredundant.io.labels import as_labels
from nonredundant.io.layers import select_labels
from nonredundant.io.paths import existing_path as _existing
from nonredundant.io.planes import JITTER
from nonredundant.io.region_names import RegionChoice
from nonredundant.io.series import as_volume, is_plane
from nonredundant.io.stated_size import WITHOUT_GRID, read_stated_size
from nonredundant.io.voxel_size import SAME_SIZE, in_mm, settle_size, unknown_axes

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
        Voxel size in mm, in the order x-y-z, of an array (1 by default), PNG, TIFF or JPEG. Of
        other sources it supplies what the header lacks, and must be that of the header otherwise.

    Returns
    -------
    SimpleITK.Image
        The image with its stored values.

    Raises
    ------
    CaseError
        If the image has several values per voxel, not two or three dimensions, another voxel
        size than `spacing`, or none.
    ImageFileError
        If the file is missing or not an image.

    Examples
    --------
    >>> import numpy as np
    >>> read_image(np.zeros((4, 8, 8)), spacing=(1, 1, 3)).GetSpacing()
    (1.0, 1.0, 3.0)
    """
    image = _real(_read(source))
    values = image.GetNumberOfComponentsPerPixel()
    if values > 1:
        raise CaseError(
            f"the image has {values} values per voxel; give one grey-level image, for instance "
            "one channel of it"
        )
    image = _drop_fourth_dimension(image, "image")
    if not has_grid(source):
        if spacing is not None:
            image.SetSpacing(_spacing(spacing, image.GetSize()[::-1]).tolist())
        return image
    return settle_size(image, None if spacing is None else _spacing(spacing, image.GetSize()[::-1]))


def has_grid(source: Any) -> bool:
    """Check whether a source knows the size of its voxels and its place in space.

    Parameters
    ----------
    source : object
        A cell of the case table.

    Returns
    -------
    bool
        False for arrays and for PNG, JPEG, TIFF and BMP.

    Examples
    --------
    >>> has_grid("a.nii.gz"), has_grid("a.png")
    (True, False)
    """
    if isinstance(source, str | Path):
        return Path(source).suffix.lower() not in WITHOUT_GRID
    return not isinstance(source, np.ndarray)


def stands_alone(source: Any) -> bool:
    """Check whether a mask is read without an image: labels on a grid of their own.

    Parameters
    ----------
    source : object
        A cell of the case table.

    Returns
    -------
    bool
        False for arrays, files of pixels and DICOM, whose contours are drawn on an image.

    Examples
    --------
    >>> import numpy as np
    >>> stands_alone(np.zeros((4, 8, 8)))
    False
    """
    if isinstance(source, str | Path):
        return has_grid(source) and not find_format(_existing(source)).name.startswith("a DICOM")
    return not isinstance(source, np.ndarray)


def take_grid(image: sitk.Image, mask: sitk.Image, *, stated: bool) -> None:
    """Give an image without a grid that of its mask.

    Parameters
    ----------
    image : SimpleITK.Image
        An image made from an array or pixels, changed in place.
    mask : SimpleITK.Image
        Mask of the image, from a source that knows its grid.
    stated : bool
        Whether the voxel size of the image was given.

    Raises
    ------
    CaseError
        If the sizes differ, or the mask has other voxels than were given.

    Examples
    --------
    >>> import numpy as np, SimpleITK as sitk
    >>> image, mask = (sitk.GetImageFromArray(np.zeros((4, 8, 8))) for _ in range(2))
    >>> mask.SetSpacing((4, 4, 3))
    >>> take_grid(image, mask, stated=False)
    >>> image.GetSpacing()
    (4.0, 4.0, 3.0)
    """
    if mask.GetDimension() != image.GetDimension():
        # `align_mask` raises the error of different dimensions.
        return
    if mask.GetSize() != image.GetSize():
        raise CaseError(
            f"the image is an array or pixels of shape {image.GetSize()[::-1]} without a place in "
            f"space, and the mask has the shape {mask.GetSize()[::-1]}, so it is unknown where "
            "they overlap; give the image as a file with a header (NIfTI, NRRD, MHA, DICOM)"
        )
    unset = set(mask.GetSpacing()) == {1.0} and not any(mask.GetOrigin())
    if stated and unset:
        mask.CopyInformation(image)
        return
    if stated and not np.allclose(mask.GetSpacing(), image.GetSpacing(), rtol=SAME_SIZE, atol=0):
        raise CaseError(
            f"the spacing of the case is {in_mm(image.GetSpacing())}, but the mask states "
            f"{in_mm(mask.GetSpacing())}; leave the cell 'spacing' empty to take that of the mask"
        )
    image.CopyInformation(mask)


def read_mask(
    source: Any,
    image: sitk.Image,
    *,
    channel: int | None = None,
    roi: str | None = None,
    several: bool = False,
    located: bool = True,
    fill_slices: bool = False,
    notes: dict[str, str] | None = None,
) -> sitk.Image:
    """Read a mask as labels on its own grid; an array gets the grid of the image.

    Parameters
    ----------
    source : path, SimpleITK.Image or ndarray
        The mask, see `read_image`.
    image : SimpleITK.Image
        The image whose grid an array gets.
    channel : int, optional
        The channel to use of a mask with several values per voxel, which is refused without it.
    roi : str, optional
        Name or pattern of the region of an RTSTRUCT, DICOM SEG or .seg.nrrd file.
    several : bool, default=False
        Whether `roi` may match several regions, which get the labels 1, 2, …
    located : bool, default=True
        Whether the image has a place in space, without which contours cannot be drawn on it.
    fill_slices : bool, default=False
        Whether contours are interpolated on slices that were skipped.
    notes : dict, optional
        Receives what is to be told of the mask, by its kind.

    Returns
    -------
    SimpleITK.Image
        The labels. A mask without a grid (an array, a PNG) gets that of the image.

    Raises
    ------
    CaseError
        If the mask is no label image (fractions, negative values, an image), an array has another
        shape than the image, the channel is not given or does not exist, or `roi` is given for a
        mask without names.
    ImageFileError
        If the file is missing or not an image.

    Examples
    --------
    >>> import numpy as np
    >>> image = read_image(np.zeros((4, 8, 8)), spacing=2)
    >>> read_mask(np.ones((4, 8, 8), dtype=bool), image).GetSpacing()
    (2.0, 2.0, 2.0)
    """
    choice = RegionChoice(roi, several, fill_slices, {} if notes is None else notes)
    if isinstance(source, str | Path):
        path, volume = _existing(source), as_volume(image)
        mask = read_mask_file(path, volume, choice, channel=channel, located=located)
    else:
        mask = select_labels(_read(source), choice, channel)
    mask = _real(mask)
    _settle_mask_size(mask, image)
    mask = _drop_fourth_dimension(mask, "mask")
    lossy = isinstance(source, str | Path) and Path(source).suffix.lower() in _LOSSY
    mask = as_labels(mask, lossy=lossy)
    if not has_grid(source):
        if (image.GetDimension(), mask.GetSize()[2:]) == (2, (1,)):
            mask = mask[:, :, 0]
        if mask.GetSize() != image.GetSize():
            kind = "an array" if isinstance(source, np.ndarray) else "a file of pixels"
            raise CaseError(
                f"the mask is {kind} of shape {mask.GetSize()[::-1]}, but the image has shape "
                f"{image.GetSize()[::-1]}; {kind} has no geometry to resample by, so give it "
                "the image's shape"
            )
        mask.CopyInformation(image)
    return mask


def _settle_mask_size(mask: sitk.Image, image: sitk.Image) -> None:
    """Give a mask whose header lacks the size of its voxels that of the image at the same place."""
    unknown, reason = unknown_axes(mask)
    # Masks of a 2-D DICOM image are matched pixel by pixel.
    if not unknown or (is_plane(image) and mask.GetSize()[:2] == image.GetSize()):
        return
    near = JITTER * min(image.GetSpacing())
    if mask.GetSize() == image.GetSize() and all(
        np.allclose(getattr(mask, get)(), getattr(image, get)(), rtol=0, atol=near)
        for get in ("GetOrigin", "GetDirection")
    ):
        mask.SetSpacing(
            [
                image.GetSpacing()[k] if k in unknown else size
                for k, size in enumerate(mask.GetSpacing())
            ]
        )
        return
    raise CaseError(
        f"the size of the voxels of the mask is unknown: {reason}; save it with the grid of the "
        "image, or give it as an array of the image's shape"
    )


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
    if find_format(path).name.startswith("a DICOM"):
        return dicom_dimensions(path)
    return min(read_header(path).GetDimension(), 3)


def read_spacing(source: Any, *, spacing: Any = None) -> np.ndarray:
    """Read the voxel size of an image, from the header if it is a file.

    Parameters
    ----------
    source : path, SimpleITK.Image or ndarray
        A cell of the case table.
    spacing : float or sequence of float, optional
        Voxel size in mm, in the order x-y-z, of an array (1 by default), PNG, TIFF or JPEG, and
        of axes whose size the header lacks.

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
        return _spacing(spacing, source.shape)
    if spacing is not None and not has_grid(source):
        return _spacing(spacing, read_header(_existing(source)).GetSize()[:3])
    # The slice distance of a DICOM series follows from all of its files.
    if isinstance(source, str | Path):
        path = _existing(source)
        if not find_format(path).name.startswith("a DICOM"):
            return _header_spacing(path, spacing)
    return np.asarray(read_image(source, spacing=spacing).GetSpacing())


def _header_spacing(path: Path, spacing: Any) -> np.ndarray:
    """Read the voxel size from a header, with what is given for the axes that lack it."""
    stated, header = read_stated_size(path), read_header(path)
    values = stated.factor * np.asarray(header.GetSpacing()[:3])
    if not stated.unknown:
        return values
    if spacing is None:
        raise CaseError(f"the size of the voxels is unknown: {stated.reason}")
    given = _spacing(spacing, header.GetSize()[:3])
    return np.where(np.isin(np.arange(len(values)), stated.unknown), given, values)


def content_key(source: Any, spacing: Any = None) -> str:
    """Compute a digest that changes with any voxel and with the geometry.

    The digest of a file is that of its bytes, which need not be decoded. Its name and date do not
    matter.

    Parameters
    ----------
    source : path, SimpleITK.Image, ndarray or None
        A cell of the case table.
    spacing : float or sequence of float, optional
        Voxel size that is given beside the source.

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
    if spacing is not None and not isinstance(source, np.ndarray):
        yield repr(np.ravel(spacing).tolist()).encode()
    if isinstance(source, str | Path):
        path = _existing(source)
        if find_format(path).is_self_contained:
            yield from file_content(path)
            return
        source = read_file(path)
    if isinstance(source, np.ndarray):
        yield repr((source.shape, source.dtype.str, _spacing(spacing, source.shape))).encode()
        yield np.ascontiguousarray(source).data.cast("B") if source.size else b""
        return
    if not isinstance(source, sitk.Image):
        raise _unknown_kind(source)
    geometry = (source.GetSize(), source.GetSpacing(), source.GetOrigin(), source.GetDirection())
    yield repr((geometry, source.GetPixelIDTypeAsString())).encode()
    yield np.ascontiguousarray(sitk.GetArrayViewFromImage(source)).data.cast("B")


def _read(source: Any) -> sitk.Image:
    """Read or convert any source to a SimpleITK image."""
    import SimpleITK as sitk

    if isinstance(source, sitk.Image):
        return source
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if not isinstance(source, str | Path):
        raise _unknown_kind(source)
    return read_file(_existing(source))


def _real(image: sitk.Image) -> sitk.Image:
    """Return an image; raise if its voxels are complex numbers."""
    if "complex" in image.GetPixelIDTypeAsString():
        raise CaseError(
            f"voxels are {image.GetPixelIDTypeAsString()}s; give real numbers, for instance the "
            "magnitude"
        )
    return image


def _unknown_kind(source: Any) -> CaseError:
    """Build the error for a cell that is not an image."""
    if source is None:
        return CaseError("there is no image: the cell is empty")
    return CaseError(
        f"{describe(source)} is not an image; give a path, a SimpleITK.Image or an ndarray"
    )


def _from_array(array: np.ndarray) -> sitk.Image:
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
    return sitk.GetImageFromArray(array)


def _spacing(spacing: Any, shape: Sequence[int]) -> np.ndarray:
    """Check a voxel size and convert it to one number per axis, x-y-z."""
    if spacing is None:
        spacing = 1.0
    try:
        values = np.asarray(spacing, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CaseError(f"spacing must be numbers in mm, got {spacing!r}") from error
    if values.ndim == 0:
        values = np.full(len(shape), values)
    if values.shape != (len(shape),) or not (np.isfinite(values) & (values > 0)).all():
        raise CaseError(
            f"spacing must be {len(shape)} positive numbers in mm (x-y-z) for an image of shape "
            f"{tuple(shape)}, got {spacing!r}"
        )
    return values


def _drop_fourth_dimension(image: sitk.Image, role: str) -> sitk.Image:
    """Drop a fourth dimension of length 1; raise unless two or three dimensions are left."""
    size = image.GetSize()
    if len(size) == 4 and size[3] == 1:
        volume = image[:, :, :, 0]
        for key in image.GetMetaDataKeys():
            volume.SetMetaData(key, image.GetMetaData(key))
        return volume
    if len(size) not in (2, 3):
        raise CaseError(
            f"the {role} has {len(size)} dimensions of size {size} (x-y-z-t); give one volume of it"
        )
    return image
