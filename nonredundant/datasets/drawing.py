"""Draw one phantom: the factors of its lesions, their positions, and the image.

No side of the hidden axis is preferred: orientation, texture, noise and position are drawn from
distributions that are invariant under a flip. A phantom and its mirror image are therefore
equally likely, and a feature that is invariant under a flip has the same distribution for
``hidden`` and ``-hidden``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

HOT_SPOT_RADIUS = 0.55  # of the lesion's own radius in the hot spot's direction
HOT_SPOT_WIDTH = 0.35  # standard deviation, of the lesion's equivalent radius
HOT_SPOT_GAIN = 6.0  # SUV above the lesion's uptake, independent of it
TEXTURE_LENGTH = 3.0  # mm, standard deviation of the texture's smoothing kernel
MEDIAN_UPTAKE = 5.0  # SUV
# Standard deviation of the uptake's logarithm. It is larger for several lesions, which are small
# and blurred: the worst one must remain recognisable although size influences measured uptake.
UPTAKE_SPREAD, UPTAKE_SPREAD_SEVERAL = 0.30, 0.45
MEDIAN_HETEROGENEITY, HETEROGENEITY_SPREAD = 0.15, 0.40
MAX_SEVERITY = 4.0  # limits the tail, so that all uptakes are plausible SUV
FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
FILL = 0.15  # fraction of the field that lesions may fill before their placement gets slow
MAX_TRIES = 200


@dataclass(frozen=True)
class PhantomLesion:
    """True factors of one lesion of a phantom; lengths in voxels."""

    visible: float
    uptake: float
    heterogeneity: float
    radius: float
    elongation: float
    semi_axes: np.ndarray
    rotation: np.ndarray
    direction: np.ndarray

    @property
    def hidden(self) -> float:
        """Component of the hot spot's direction along x, in [-1, 1]."""
        return float(self.direction[-1])

    @property
    def reach(self) -> float:
        """Longest semi-axis, in voxels."""
        return float(self.semi_axes.max())


@dataclass(frozen=True)
class Scene:
    """Parameters that all phantoms of one call share; lengths in mm unless stated otherwise."""

    n_dim: int
    spacing: float
    radius: tuple[float, float]
    max_elongation: float
    background: float
    image_noise: float
    blur: float
    several: bool
    max_lesions: int
    field: float | None = None

    @property
    def max_reach(self) -> float:
        """Longest semi-axis that can be drawn, in voxels."""
        return self.radius[1] / self.spacing * self.max_elongation ** (1 - 1 / self.n_dim)

    @property
    def margin(self) -> int:
        """Smallest distance of the centre of one of several lesions from the border, in voxels."""
        return math.ceil(self.max_reach) + 2

    @property
    def blur_sigma(self) -> float:
        """Standard deviation of the scanner's blur, in voxels."""
        return self.blur / FWHM_PER_SIGMA / self.spacing

    @property
    def smallest_side(self) -> int:
        """Smallest side of a volume in which no lesion touches the border, in voxels."""
        return 2 * self.margin + 2 if self.several else 2 * math.ceil(self.max_reach + 2)

    @cached_property
    def side(self) -> int:
        """Side of the volume, in voxels."""
        if self.field is not None:
            return round(self.field / self.spacing)
        if not self.several:
            return self.smallest_side
        typical = np.mean(self.radius) / self.spacing * math.sqrt(self.max_elongation) + 1
        ball = math.pi ** (self.n_dim / 2) / math.gamma(self.n_dim / 2 + 1) * typical**self.n_dim
        return 2 * self.margin + math.ceil((self.max_lesions * ball / FILL) ** (1 / self.n_dim))

    @property
    def span(self) -> float:
        """Side of the region in which the centres of several lesions lie, in voxels."""
        return self.side - 1.0 - 2 * self.margin


@lru_cache(maxsize=64)
def _voxel_offsets(n: int, n_dim: int) -> np.ndarray:
    """Compute the offsets of a tile's voxels from its centre, shape (n_dim, n ** n_dim)."""
    line = np.arange(n, dtype=np.float32) - (n - 1) / 2
    return np.stack(np.meshgrid(*[line] * n_dim, indexing="ij")).reshape(n_dim, -1)


@lru_cache(maxsize=64)
def _blurring(n: int, pad: int, sigma: float) -> np.ndarray:
    """Compute the matrix that blurs n voxels along one axis, to `pad` more on either side."""
    weights = _gaussian(np.arange(-pad, n + pad)[:, None] - np.arange(n)[None, :], sigma)
    return weights / _gaussian(np.arange(-pad, pad + 1), sigma).sum()


@lru_cache(maxsize=64)
def _smoothing(n: int, sigma: float) -> np.ndarray:
    """Compute the matrix that smooths white noise to texture of unit variance at every voxel."""
    weights = _gaussian(np.arange(n)[:, None] - np.arange(n)[None, :], sigma)
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)


def _gaussian(distance: np.ndarray, sigma: float) -> np.ndarray:
    """Compute Gaussian weights of distances in voxels; with sigma 0, 1 at 0 and 0 elsewhere."""
    if sigma == 0:
        return (distance == 0).astype(np.float32)
    return np.exp(-0.5 * (distance / sigma) ** 2).astype(np.float32)


def _along_each_axis(matrix: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """Apply one matrix along every axis of a volume."""
    for _ in range(volume.ndim):  # each pass rotates the axes by one, so all are covered
        volume = np.tensordot(volume, matrix, axes=(0, 1))
    return volume


def draw_lesion(rng: np.random.Generator, scene: Scene) -> PhantomLesion:
    """Draw the factors of one lesion.

    Parameters
    ----------
    rng : Generator
        Random number generator.
    scene : Scene
        Parameters that all phantoms share.

    Returns
    -------
    PhantomLesion
        The factors.
    """
    n_dim = scene.n_dim
    # With exponential tails, few of several lesions are aggressive and the worst one is distinct.
    visible = float(rng.exponential() - 1.0 if scene.several else rng.standard_normal())
    visible = min(max(visible, -MAX_SEVERITY), MAX_SEVERITY)
    spread = UPTAKE_SPREAD_SEVERAL if scene.several else UPTAKE_SPREAD
    low, high = np.log(np.asarray(scene.radius) / scene.spacing)
    radius = math.exp(rng.uniform(low, high))
    elongation = rng.uniform(1.0, scene.max_elongation)
    axes = np.array([elongation, rng.uniform(1.0, elongation), 1.0])[[0, 2] if n_dim == 2 else ...]
    direction = rng.standard_normal(n_dim)
    return PhantomLesion(
        visible=visible,
        uptake=MEDIAN_UPTAKE * math.exp(spread * visible),
        heterogeneity=MEDIAN_HETEROGENEITY * math.exp(HETEROGENEITY_SPREAD * rng.standard_normal()),
        radius=radius,
        elongation=elongation,
        semi_axes=radius * axes / np.prod(axes) ** (1 / n_dim),
        # Q of a Gaussian matrix is uniform over rotations up to signs, to which an ellipsoid is
        # invariant.
        rotation=np.linalg.qr(rng.standard_normal((n_dim, n_dim)))[0],
        direction=direction / np.linalg.norm(direction),
    )


def with_other_spot(rng: np.random.Generator, lesion: PhantomLesion, scene: Scene) -> PhantomLesion:
    """Draw how a lesion looks in another image: the same shape, another intensity and hot spot.

    Parameters
    ----------
    rng : Generator
        Random number generator.
    lesion : PhantomLesion
        The lesion in the first image.
    scene : Scene
        Parameters that all phantoms share.

    Returns
    -------
    PhantomLesion
        The lesion in the other image.
    """
    other = draw_lesion(rng, scene)
    return replace(
        lesion,
        visible=other.visible,
        uptake=other.uptake,
        heterogeneity=other.heterogeneity,
        direction=other.direction,
    )


def _draw_tile(
    lesion: PhantomLesion, offset: np.ndarray, rng: np.random.Generator, scene: Scene
) -> tuple[np.ndarray, np.ndarray]:
    """Render one lesion: its excess over the background, and on a smaller tile its mask."""
    n = 2 * math.ceil(lesion.reach) + 3
    shape = (n,) * scene.n_dim
    to_unit_ball = (lesion.rotation / lesion.semi_axes).T
    points = _voxel_offsets(n, scene.n_dim) - offset.astype(np.float32)[:, None]
    unit = to_unit_ball.astype(np.float32) @ points
    inside = np.einsum("ij,ij->j", unit, unit) <= 1.0
    radius_there = 1.0 / np.linalg.norm(to_unit_ball @ lesion.direction)
    spot = (HOT_SPOT_RADIUS * radius_there * lesion.direction).astype(np.float32)
    from_spot = points[:, inside] - spot[:, None]
    squared = np.einsum("ij,ij->j", from_spot, from_spot)
    hot = np.exp(squared * np.float32(-0.5 / (HOT_SPOT_WIDTH * lesion.radius) ** 2))
    noise = rng.standard_normal(shape, dtype=np.float32)
    texture = _along_each_axis(_smoothing(n, TEXTURE_LENGTH / scene.spacing), noise)
    uptake = lesion.uptake * (1.0 + lesion.heterogeneity * texture.ravel()[inside])
    excess = np.zeros(inside.size, dtype=np.float32)
    excess[inside] = uptake + HOT_SPOT_GAIN * hot - scene.background
    blur = _blurring(n, math.ceil(3 * scene.blur_sigma), scene.blur_sigma)
    return _along_each_axis(blur, excess.reshape(shape)), inside.reshape(shape)


def place(lesions: list[PhantomLesion], rng: np.random.Generator, scene: Scene) -> np.ndarray:
    """Draw centres such that lesions touch neither each other nor the border.

    Parameters
    ----------
    lesions : list of PhantomLesion
        The lesions of one sample.
    rng : Generator
        Random number generator.
    scene : Scene
        Parameters that all phantoms share.

    Returns
    -------
    ndarray of shape (n_lesions, n_dim)
        Centres in voxels.

    Raises
    ------
    ValueError
        If the lesions do not fit into the field.
    """
    if not scene.several:
        middle = (scene.side - 1) / 2
        return middle + rng.uniform(-1.0, 1.0, size=(1, scene.n_dim))
    low, high = scene.margin, scene.margin + scene.span
    gap = 2.0 * math.sqrt(scene.n_dim)  # in voxels, so that no voxels of two are neighbours
    reach = np.array([lesion.reach for lesion in lesions])
    for _ in range(MAX_TRIES):
        centres = np.empty((0, scene.n_dim))
        for i in range(len(lesions)):
            tries = rng.uniform(low, high, size=(MAX_TRIES, scene.n_dim))
            distance = np.linalg.norm(tries[:, None] - centres[None], axis=2)
            free = np.flatnonzero((distance >= reach[:i] + reach[i] + gap).all(axis=1))
            if free.size == 0:
                break
            centres = np.vstack([centres, tries[free[0]]])
        else:
            return centres
    raise ValueError(
        f"{len(lesions)} lesions of up to {reach.max() * scene.spacing:.1f} mm do not fit without "
        f"touching into a field of {scene.side * scene.spacing:g} mm: enlarge `field`, or lower "
        "`n_lesions` or `radius`."
    )


def render(
    lesions: list[PhantomLesion], centres: np.ndarray, rng: np.random.Generator, scene: Scene
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Render image and mask of a phantom.

    Parameters
    ----------
    lesions : list of PhantomLesion
        The lesions of one sample.
    centres : ndarray of shape (n_lesions, n_dim)
        Centres of the lesions in voxels.
    rng : Generator
        Random number generator.
    scene : Scene
        Parameters that all phantoms share.

    Returns
    -------
    image : ndarray
        Uptake in SUV, float32.
    mask : ndarray
        1 inside lesions, uint8.
    voxels : list of int
        Number of voxels of each lesion.
    """
    shape = (scene.side,) * scene.n_dim
    image = rng.standard_normal(shape, dtype=np.float32)
    image *= np.float32(scene.image_noise)
    image += np.float32(scene.background)
    mask = np.zeros(shape, dtype=np.uint8)
    voxels = []
    for lesion, centre in zip(lesions, centres, strict=True):
        nearest = np.round(centre).astype(int)
        excess, inside = _draw_tile(lesion, centre - nearest, rng, scene)
        for volume, tile in ((image, excess), (mask, inside)):
            window, part = _overlap(nearest - len(tile) // 2, len(tile), scene.side)
            volume[window] += tile[part]
        voxels.append(int(inside.sum()))
    return image, mask, voxels


def _overlap(corner: np.ndarray, n: int, side: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Compute the slices of the volume and of a tile of n voxels at `corner` that overlap."""
    low, high = np.maximum(corner, 0), np.minimum(corner + n, side)
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return window, tuple(slice(a, b) for a, b in zip(low - corner, high - corner, strict=True))
