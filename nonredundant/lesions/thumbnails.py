"""Small pictures of lesions, for notebooks."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import numpy as np

#: Pixels of the longer side on the page.
_SIZE = 96
#: Percentiles of the intensities that are black and white.
_WINDOW = (0.5, 99.5)
#: Colour of the outline of the lesion: orange, which differs from grey for everybody.
_OUTLINE = (230, 159, 0)


def thumbnails(patches: Any, masks: Any, names: Iterable[Any]) -> str:
    """Draw several lesions in a row.

    Parameters
    ----------
    patches : array of shape (n_lesions, C, D, H, W) or (n_lesions, C, H, W)
        Intensities; of another number of dimensions nothing is drawn.
    masks : bool array of shape (n_lesions, 1, ...) or None
        The lesions.
    names : iterable
        Their labels.

    Returns
    -------
    str
        A paragraph of pictures, or an empty text.

    Examples
    --------
    >>> import numpy as np
    >>> thumbnails(np.zeros((2, 1, 4, 4)), None, ["anna", "bert"]).count("<img")
    2
    """
    if patches.ndim not in (4, 5):
        return ""
    own = [None] * len(patches) if masks is None else masks
    drawn = [thumbnail(*one) for one in zip(patches, own, map(str, names), strict=True)]
    return f"<p>{' '.join(drawn)}</p>\n"


def thumbnail(patch: Any, mask: Any, name: str) -> str:
    """Draw the slice of a patch in which the lesion is largest, with its outline.

    Parameters
    ----------
    patch : array of shape (C, D, H, W) or (C, H, W)
        Intensities; the first channel is drawn.
    mask : bool array of shape (1, D, H, W) or (1, H, W), or None
        The lesion.
    name : str
        Label of the lesion, which the description of the picture names.

    Returns
    -------
    str
        An element `img` that holds its data; empty for a patch without finite values.

    Examples
    --------
    >>> import numpy as np
    >>> thumbnail(np.zeros((1, 4, 4)), None, "anna")[:23]
    '<img alt="patch of anna'
    """
    from PIL import Image

    image = np.asarray(patch[0], dtype=float)
    inside = np.zeros(image.shape, dtype=bool) if mask is None else np.asarray(mask[0]) > 0
    if image.ndim == 3:
        areas = inside.sum(axis=(1, 2))
        place = int(areas.argmax()) if areas.any() else len(image) // 2
        image, inside = image[place], inside[place]
    if not np.isfinite(image).any():
        return ""
    low, high = np.nanpercentile(image[np.isfinite(image)], _WINDOW)
    grey = np.clip((image - low) / max(high - low, np.finfo(float).tiny), 0, 1)
    pixels = np.repeat((255 * np.nan_to_num(grey)).astype(np.uint8)[..., None], 3, axis=-1)
    # Patches are small: without repeated pixels the outline would hide the lesion.
    factor = max(1, _SIZE // max(image.shape))
    pixels, inside = (one.repeat(factor, 0).repeat(factor, 1) for one in (pixels, inside))
    pixels[inside & ~_inner(inside)] = _OUTLINE
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    alt = html.escape(f"patch of {name}")
    return f'<img alt="{alt}" title="{alt}" src="data:image/png;base64,{data}">'


def _inner(inside: np.ndarray) -> np.ndarray:
    """Return the pixels whose four neighbours belong to the lesion, too."""
    wide = np.pad(inside, 1)
    return wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
