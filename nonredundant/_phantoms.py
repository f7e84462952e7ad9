"""How one phantom is drawn: the factors of a lesion, its tile, and where lesions lie.

Nothing here prefers one side of the hidden axis: orientation, texture, noise and position are
drawn from laws that a flip leaves as they are. A phantom and its mirror image are therefore
equally likely, and a feature that a flip leaves unchanged has the same law for ``hidden`` and
``-hidden``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

HOT_SPOT_RADIUS = 0.55  # of the lesion's own radius in the hot spot's direction
HOT_SPOT_WIDTH = 0.35  # standard deviation, of the lesion's equivalent radius
HOT_SPOT_GAIN = 6.0  # SUV above the lesion's uptake, whatever that is
TEXTURE_LENGTH = 3.0  # mm, standard deviation of the texture's smoothing kernel
MEDIAN_UPTAKE, UPTAKE_SPREAD = 5.0, 0.30  # SUV; standard deviation of its logarithm
MEDIAN_HETEROGENEITY, HETEROGENEITY_SPREAD = 0.15, 0.40
MAX_SEVERITY = 4.0  # cuts the tail, so that no lesion leaves the range of plausible SUV
FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
FILL = 0.15  # share of the field that lesions may fill before their placement gets slow
MAX_TRIES = 200


@dataclass(frozen=True)
class Lesion:
    """The true factors of one lesion; lengths in voxels."""

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
    """What all phantoms of one call share; lengths in mm unless said."""

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
    def tile(self) -> int:
        """Side of the cube in which one lesion is drawn, in voxels."""
        if not self.several:
            return self.side
        return 2 * (math.ceil(self.max_reach + 2 * self.blur_sigma) + 2) + 1

    @property
    def blur_sigma(self) -> float:
        """Standard deviation of the scanner's blur, in voxels."""
        return self.blur / FWHM_PER_SIGMA / self.spacing

    @property
    def smallest_side(self) -> int:
        """Smallest side that holds any lesion without touching the border, in voxels."""
        return self.tile + 1 if self.several else 2 * math.ceil(self.max_reach + 2)

    @cached_property
    def side(self) -> int:
        """Side of the volume, in voxels."""
        if self.field is not None:
            return round(self.field / self.spacing)
        if not self.several:
            return self.smallest_side
        typical = np.mean(self.radius) / self.spacing * math.sqrt(self.max_elongation) + 1
        ball = math.pi ** (self.n_dim / 2) / math.gamma(self.n_dim / 2 + 1) * typical**self.n_dim
        return self.tile + math.ceil((self.max_lesions * ball / FILL) ** (1 / self.n_dim))

    @cached_property
    def grid(self) -> np.ndarray:
        """Voxel offsets from the tile's centre, shape (n_dim, tile ** n_dim), float32."""
        line = np.arange(self.tile, dtype=np.float32) - (self.tile - 1) / 2
        return np.stack(np.meshgrid(*[line] * self.n_dim, indexing="ij")).reshape(self.n_dim, -1)

    @cached_property
    def blurring(self) -> np.ndarray:
        """Matrix of the scanner's blur along one axis; its rows sum to one inside."""
        kernel = _gaussian_matrix(self.tile, self.blur_sigma)
        return kernel / kernel.sum(axis=1).max()

    @cached_property
    def smoothing(self) -> np.ndarray:
        """Matrix that turns white noise into texture of unit variance at every voxel."""
        kernel = _gaussian_matrix(self.tile, TEXTURE_LENGTH / self.spacing)
        return kernel / np.linalg.norm(kernel, axis=1, keepdims=True)


def _gaussian_matrix(n: int, sigma: float) -> np.ndarray:
    """Gaussian weights between n points on a line; the identity when sigma is 0."""
    if sigma == 0:
        return np.eye(n, dtype=np.float32)
    line = np.arange(n)
    squared = (line[:, None] - line[None, :]) ** 2
    return np.exp(-squared / (2 * sigma**2)).astype(np.float32)


def along_each_axis(matrix: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """Apply one square matrix along every axis of a volume."""
    for _ in range(volume.ndim):  # each pass rotates the axes by one, so that all get their turn
        volume = np.tensordot(volume, matrix, axes=(0, 1))
    return volume


def draw_lesion(rng: np.random.Generator, scene: Scene) -> Lesion:
    """Draw the factors of one lesion."""
    n_dim = scene.n_dim
    # Among several lesions few are aggressive: with exponential tails the worst one stands out.
    visible = float(rng.exponential() - 1.0 if scene.several else rng.standard_normal())
    visible = min(max(visible, -MAX_SEVERITY), MAX_SEVERITY)
    low, high = np.log(np.asarray(scene.radius) / scene.spacing)
    radius = math.exp(rng.uniform(low, high))
    elongation = rng.uniform(1.0, scene.max_elongation)
    axes = np.array([elongation, rng.uniform(1.0, elongation), 1.0])[[0, 2] if n_dim == 2 else ...]
    direction = rng.standard_normal(n_dim)
    return Lesion(
        visible=visible,
        uptake=MEDIAN_UPTAKE * math.exp(UPTAKE_SPREAD * visible),
        heterogeneity=MEDIAN_HETEROGENEITY * math.exp(HETEROGENEITY_SPREAD * rng.standard_normal()),
        radius=radius,
        elongation=elongation,
        semi_axes=radius * axes / np.prod(axes) ** (1 / n_dim),
        # Q of a Gaussian matrix is uniform over rotations up to signs, which an ellipsoid ignores.
        rotation=np.linalg.qr(rng.standard_normal((n_dim, n_dim)))[0],
        direction=direction / np.linalg.norm(direction),
    )


def draw_tile(
    lesion: Lesion, offset: np.ndarray, rng: np.random.Generator, scene: Scene
) -> tuple[np.ndarray, np.ndarray]:
    """Render one lesion: its blurred excess over the background and its mask."""
    shape = (scene.tile,) * scene.n_dim
    to_unit_ball = (lesion.rotation / lesion.semi_axes).T
    points = scene.grid - offset.astype(np.float32)[:, None]
    unit = to_unit_ball.astype(np.float32) @ points
    inside = np.einsum("ij,ij->j", unit, unit) <= 1.0
    radius_there = 1.0 / np.linalg.norm(to_unit_ball @ lesion.direction)
    spot = (HOT_SPOT_RADIUS * radius_there * lesion.direction).astype(np.float32)
    from_spot = points[:, inside] - spot[:, None]
    squared = np.einsum("ij,ij->j", from_spot, from_spot)
    hot = np.exp(squared * np.float32(-0.5 / (HOT_SPOT_WIDTH * lesion.radius) ** 2))
    texture = along_each_axis(scene.smoothing, rng.standard_normal(shape, dtype=np.float32))
    uptake = lesion.uptake * (1.0 + lesion.heterogeneity * texture.ravel()[inside])
    excess = np.zeros(inside.size, dtype=np.float32)
    excess[inside] = uptake + HOT_SPOT_GAIN * hot - scene.background
    return along_each_axis(scene.blurring, excess.reshape(shape)), inside.reshape(shape)


def place(lesions: list[Lesion], rng: np.random.Generator, scene: Scene) -> np.ndarray:
    """Draw centres (voxels) at which lesions neither touch each other nor the border."""
    if not scene.several:
        middle = (scene.side - 1) / 2
        return middle + rng.uniform(-1.0, 1.0, size=(1, scene.n_dim))
    margin = (scene.tile - 1) / 2
    low, high = margin, scene.side - 1 - margin
    gap = 2.0 * math.sqrt(scene.n_dim)  # in voxels: no voxel of one is a neighbour of another's
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
    lesions: list[Lesion], centres: np.ndarray, rng: np.random.Generator, scene: Scene
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Render a whole phantom: image (float32), mask (uint8) and each lesion's voxel count."""
    shape = (scene.side,) * scene.n_dim
    image = rng.standard_normal(shape, dtype=np.float32)
    image *= np.float32(scene.image_noise)
    image += np.float32(scene.background)
    mask = np.zeros(shape, dtype=np.uint8)
    middle = (scene.tile - 1) / 2
    voxels = []
    for lesion, centre in zip(lesions, centres, strict=True):
        corner = np.zeros(scene.n_dim, dtype=int)
        if scene.several:
            corner = np.round(centre - middle).astype(int)
        excess, inside = draw_tile(lesion, centre - corner - middle, rng, scene)
        window = tuple(slice(start, start + scene.tile) for start in corner)
        image[window] += excess
        mask[window] |= inside
        voxels.append(int(inside.sum()))
    return image, mask, voxels
