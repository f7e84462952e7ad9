"""Images of two populations: a background, and targets with a salient pattern of two sub-types."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import zoom
from sklearn.datasets import load_digits
from sklearn.utils import check_random_state

from nonredundant.datasets._sampling import check_number, sample_generators, sample_names

_ORGAN_EDGE = 0.08  # width of the organ's soft border, in half sides of the image
_PATTERN_PLACE = 0.2  # half range of the pattern's centre, in half sides of the image


def make_contrastive(
    n_samples: int = 400,
    *,
    n_dim: int = 2,
    size: int = 32,
    target_fraction: float = 0.5,
    salient_effect: float = 0.6,
    image_noise: float = 0.1,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Make images with common factors, of which some have a salient pattern of two sub-types.

    Every image shows an organ: an ellipsoid with a soft border and an intensity gradient. The
    common factors are its size, elongation, brightness and gradient. Targets have an additional
    pattern near the centre: a blob (sub-type 0) or a ring (sub-type 1; a shell in 3-D). Both
    have the same energy, so that the sub-type determines the form of the pattern and not its
    strength. This is the setting of contrastive analysis [1]_: common latents should describe
    the organ, salient ones the pattern.

    Parameters
    ----------
    n_samples : int, default=400
        Number of images. Image i does not depend on it.
    n_dim : {2, 3}, default=2
        Dimensions of the image.
    size : int, default=32
        Side of the image in voxels, at least 8.
    target_fraction : float, default=0.5
        Probability that an image is a target.
    salient_effect : float, default=0.6
        Height of the pattern relative to the organ's mean brightness. With 0, a negative control,
        targets look like background.
    image_noise : float, default=0.1
        Standard deviation of white Gaussian noise, on the same scale.
    random_state : int, RandomState or None, default=None
        Seed. The same integer gives the same images.

    Returns
    -------
    case_table : DataFrame of shape (n_samples, 1)
        Index "case000", "case001", ...; column `image`, float32 arrays. There is no mask: whole
        images are used.
    y : ndarray of shape (n_samples,)
        0 background, 1 target.
    truth : DataFrame
        For each image: `subtype` (-1 background, else 0 or 1), the common factors `common_size`,
        `common_elongation`, `common_brightness`, `common_gradient`, and the salient ones
        `salient_strength` and `salient_z`, `salient_y`, `salient_x` (centre of the pattern in
        half sides of the image; NaN for background).

    Raises
    ------
    ValueError
        If a parameter is out of range.

    See Also
    --------
    make_digits_on_textures : The same task with real images of digits.

    References
    ----------
    .. [1] Abid, A., Zou, J. (2019). Contrastive variational autoencoder enhances salient
       features. arXiv:1902.04601.

    Examples
    --------
    >>> from nonredundant.datasets import make_contrastive
    >>> X, y, truth = make_contrastive(6, random_state=0)
    >>> X.loc["case000", "image"].shape
    (32, 32)
    >>> bool(((truth["subtype"] >= 0) == (y == 1)).all())
    True
    """
    check_number("n_samples", n_samples, low=1, whole=True)
    if n_dim not in (2, 3):
        raise ValueError(f"n_dim must be 2 or 3, got {n_dim!r}.")
    check_number("size", size, low=8, whole=True)
    check_number("target_fraction", target_fraction, high=1)
    check_number("salient_effect", salient_effect)
    check_number("image_noise", image_noise)
    line = np.linspace(-1.0, 1.0, size)
    grid = np.stack(np.meshgrid(*[line] * n_dim, indexing="ij"))
    images, rows = [], []
    for rng in sample_generators(n_samples, random_state):
        row = _draw_factors(rng, n_dim, target_fraction)
        image = _organ(grid, row)
        if row["subtype"] >= 0:
            image = image + salient_effect * _pattern(grid, row)
        image = image + image_noise * rng.standard_normal(image.shape)
        images.append(image.astype(np.float32))
        rows.append(row)
    return _as_tables(images, rows)


def make_digits_on_textures(
    n_samples: int = 1000,
    *,
    digits: tuple[int, int] = (0, 1),
    size: int = 16,
    target_fraction: float = 0.5,
    blend: float = 0.5,
    image_noise: float = 0.05,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Put scikit-learn's handwritten digits on textured patches.

    Background images contain only texture: a grating of random direction, frequency, phase and
    contrast. In targets, a digit of one of two classes, the sub-types, is blended onto such a
    texture. It is the task of digits on natural images [1]_ with data that scikit-learn
    contains, so that no download is needed.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of images. Image i does not depend on it.
    digits : (int, int), default=(0, 1)
        The two classes of digits, which are the sub-types.
    size : int, default=16
        Side of the image in pixels, a multiple of 8.
    target_fraction : float, default=0.5
        Probability that an image is a target.
    blend : float, default=0.5
        Weight of the digit relative to the texture, from 0 (invisible) to 1 (digit only).
    image_noise : float, default=0.05
        Standard deviation of white Gaussian noise; textures and digits range from 0 to 1.
    random_state : int, RandomState or None, default=None
        Seed. The same integer gives the same images.

    Returns
    -------
    case_table : DataFrame of shape (n_samples, 1)
        Index "case000", "case001", ...; column `image`, float32 arrays of shape (size, size).
    y : ndarray of shape (n_samples,)
        0 background, 1 target.
    truth : DataFrame
        For each image: `subtype` (-1 background, else the position in `digits`), `digit_index`
        (row of ``sklearn.datasets.load_digits``, -1 for background), and the common factors
        `direction` (radians), `frequency` (cycles per image), `phase` and `contrast`.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    See Also
    --------
    make_contrastive : The same task with phantoms, in 2-D or 3-D.

    Notes
    -----
    Each class has about 180 handwritten digits. When all have been used, they are repeated on
    other textures; group a split by `digit_index` if that matters.

    References
    ----------
    .. [1] Abid, A., Zhang, M. J., Bagaria, V. K., Zou, J. (2018). Exploring patterns enriched in
       a dataset with contrastive principal component analysis. Nat. Commun. 9:2134.

    Examples
    --------
    >>> from nonredundant.datasets import make_digits_on_textures
    >>> X, y, truth = make_digits_on_textures(4, random_state=0)
    >>> X.loc["case000", "image"].shape
    (16, 16)
    """
    check_number("n_samples", n_samples, low=1, whole=True)
    check_number("size", size, low=8, whole=True)
    if size % 8:
        raise ValueError(f"size must be a multiple of 8, the side of the digits, got {size}.")
    check_number("target_fraction", target_fraction, high=1)
    check_number("blend", blend, high=1)
    check_number("image_noise", image_noise)
    source = check_random_state(random_state)
    drawings, order = _load_digits(digits, size, source)
    used = [0, 0]
    images, rows = [], []
    for rng in sample_generators(n_samples, source):
        image, row = _texture(rng, size)
        row |= {"subtype": -1, "digit_index": -1}
        if rng.random() < target_fraction:
            kind = int(rng.integers(2))
            chosen = int(order[kind][used[kind] % len(order[kind])])
            used[kind] += 1
            row |= {"subtype": kind, "digit_index": chosen}
            weight = blend * drawings[chosen]
            image = (1.0 - weight) * image + weight
        images.append((image + image_noise * rng.standard_normal(image.shape)).astype(np.float32))
        rows.append(row)
    return _as_tables(images, rows)


def _as_tables(
    images: list[np.ndarray], rows: list[dict[str, Any]]
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Collect images and truth in tables."""
    index = sample_names(len(images))
    truth = pd.DataFrame(rows, index=index)
    cases = pd.DataFrame({"image": pd.Series(images, index=index, dtype=object)})
    return cases, (truth["subtype"] >= 0).to_numpy().astype(np.int64), truth


def _draw_factors(rng: np.random.Generator, n_dim: int, target_fraction: float) -> dict[str, Any]:
    """Draw the factors of one image of `make_contrastive`."""
    row: dict[str, Any] = {
        "common_size": rng.uniform(0.5, 0.8),
        "common_elongation": rng.uniform(0.8, 1.25),
        "common_brightness": rng.uniform(0.6, 1.4),
        "common_gradient": rng.uniform(-0.5, 0.5),
        "subtype": int(rng.integers(2)) if rng.random() < target_fraction else -1,
    }
    strength, place = rng.uniform(0.75, 1.25), rng.uniform(-1, 1, n_dim) * _PATTERN_PLACE
    is_target = row["subtype"] >= 0
    row["salient_strength"] = strength if is_target else math.nan
    for axis, value in zip(("z", "y", "x")[-n_dim:], place, strict=True):
        row[f"salient_{axis}"] = value if is_target else math.nan
    return row


def _organ(grid: np.ndarray, row: dict[str, Any]) -> np.ndarray:
    """Draw the organ that all images share."""
    axes = np.full(len(grid), row["common_size"])
    axes[-1] *= row["common_elongation"]
    distance = np.sqrt(sum((line / axis) ** 2 for line, axis in zip(grid, axes, strict=True)))
    inside = 1.0 / (1.0 + np.exp((distance - 1.0) * row["common_size"] / _ORGAN_EDGE * 2.0))
    return row["common_brightness"] * inside * (1.0 + row["common_gradient"] * grid[-1])


def _pattern(grid: np.ndarray, row: dict[str, Any]) -> np.ndarray:
    """Draw the salient pattern: a blob or a ring, scaled to the blob's energy."""
    place = [row[f"salient_{axis}"] for axis in ("z", "y", "x")[-len(grid) :]]
    squared = sum((line - centre) ** 2 for line, centre in zip(grid, place, strict=True))
    distance = np.sqrt(squared)
    blob = np.exp(-0.5 * (distance / 0.18) ** 2)
    if row["subtype"] == 0:
        return row["salient_strength"] * blob
    ring = np.exp(-0.5 * ((distance - 0.32) / 0.08) ** 2)
    return row["salient_strength"] * ring * np.linalg.norm(blob) / np.linalg.norm(ring)


def _texture(rng: np.random.Generator, size: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Draw a grating with values in [0, 1] and its factors."""
    row: dict[str, Any] = {
        "direction": rng.uniform(0, math.pi),
        "frequency": rng.uniform(1.0, 3.0),
        "phase": rng.uniform(0, 2 * math.pi),
        "contrast": rng.uniform(0.2, 0.5),
    }
    line = np.linspace(0, 1, size)
    along = math.sin(row["direction"]) * line[:, None] + math.cos(row["direction"]) * line[None, :]
    wave = np.sin(2 * math.pi * row["frequency"] * along + row["phase"])
    return 0.5 + row["contrast"] * wave, row


def _load_digits(
    digits: tuple[int, int], size: int, source: np.random.RandomState
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Load the digits, enlarged and in [0, 1], and the rows of each class in random order."""
    if len(digits) != 2 or len({*digits} & {*range(10)}) != 2:
        raise ValueError(f"digits must be two different digits from 0 to 9, got {digits!r}.")
    images, labels = load_digits(return_X_y=True)
    drawings = zoom(images.reshape(-1, 8, 8) / 16.0, (1, size // 8, size // 8), order=1)
    return drawings, [source.permutation(np.flatnonzero(labels == digit)) for digit in digits]
