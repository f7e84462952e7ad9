"""Centres of phantoms: how their images differ, and which patients they have."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nonredundant.datasets._sampling import check_number, shared_generator
from nonredundant.datasets.drawing import PhantomLesion, Scene, render

#: Spread between centres at an effect of 1: of the logarithms of gain, noise and voxel size, and of
#: the offset in SUV.
_GAIN, _OFFSET, _NOISE, _VOXEL = 0.2, 0.3, 0.5, 0.2
#: Voxel sizes stay within these factors.
_VOXEL_RANGE = (0.7, 1.3)
#: The smallest lesion has a radius of so many voxels.
_LEAST_RADIUS = 1.5


@dataclass(frozen=True)
class Centre:
    """How the images of a centre differ: factors of intensity, noise and voxel size, an offset."""

    gain: float = 1.0
    offset: float = 0.0
    noise: float = 1.0
    voxel: float = 1.0

    def scene(self, scene: Scene) -> Scene:
        """Return the scene on the grid of the centre, whose field is as large or larger."""
        if self.voxel == 1.0:
            return replace(scene, image_noise=scene.image_noise * self.noise)
        most = scene.radius[0] / _LEAST_RADIUS
        spacing = min(scene.spacing * self.voxel, most)
        # Two voxels more, as larger ones reach further into the margin.
        voxels = np.ceil(scene.side * scene.spacing / spacing) + 2
        return replace(
            scene,
            spacing=spacing,
            image_noise=scene.image_noise * self.noise,
            field=float(voxels * spacing),
        )

    def image(self, image: np.ndarray) -> np.ndarray:
        """Return an image in the units of the centre."""
        return np.float32(self.gain) * image + np.float32(self.offset)


def draw_centres(
    n_centres: Any, effect: Any, confounding: Any, generators: list[np.random.Generator]
) -> list[Centre]:
    """Draw how centres differ; one centre, and an effect of 0, change nothing.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """
    check_number("n_centres", n_centres, low=1, whole=True)
    check_number("centre_effect", effect)
    check_number("centre_confounding", confounding, high=1.0)
    if n_centres == 1 and (effect or confounding):
        raise ValueError("centre_effect and centre_confounding need n_centres of at least 2.")
    rng = shared_generator(generators)
    found = []
    for z in rng.standard_normal((n_centres, 4)) * effect:
        voxel = float(np.clip(np.exp(_VOXEL * z[3]), *_VOXEL_RANGE))
        found.append(
            Centre(
                float(np.exp(_GAIN * z[0])),
                float(_OFFSET * z[1]),
                float(np.exp(_NOISE * z[2])),
                voxel,
            )
        )
    return found


def choose_centre(rng: np.random.Generator, label: int, n_centres: int, confounding: float) -> int:
    """Choose the centre of a sample, which depends on its label as far as the two are confounded.

    A share `confounding` of the samples goes to the first half of the centres if the label is 0,
    to the second if it is 1; a middle centre belongs to both. The others go anywhere.
    """
    u, v = rng.random(2)
    if u >= confounding:
        return int(v * n_centres)
    half = (n_centres + 1) // 2
    return int(v * half) + (n_centres - half if label else 0)


def on_grid(
    lesions: list[PhantomLesion], centres: np.ndarray, scene: Scene, other: Scene
) -> tuple[list[PhantomLesion], np.ndarray]:
    """Return lesions and their positions, drawn in voxels of a scene, in voxels of another one."""
    if scene.spacing == other.spacing:
        return lesions, centres
    ratio = scene.spacing / other.spacing
    scaled = [
        replace(one, radius=one.radius * ratio, semi_axes=one.semi_axes * ratio) for one in lesions
    ]
    middle, new = (scene.side - 1) / 2, (other.side - 1) / 2
    return scaled, (centres - middle) * ratio + new


class Drawing(NamedTuple):
    """Images and mask of a sample; the voxels and the positions (in voxels) of its lesions."""

    images: list[np.ndarray]
    mask: np.ndarray
    voxels: list[int]
    positions: np.ndarray
    spacing: float


def draw_images(
    kinds: list[tuple[list[PhantomLesion], np.random.Generator]],
    positions: np.ndarray,
    scene: Scene,
    centre: Centre,
) -> Drawing:
    """Render the images of a sample as a centre makes them.

    Parameters
    ----------
    kinds : list of (list of PhantomLesion, Generator)
        The lesions as each image shows them, and the generator of its noise and texture.
    positions : ndarray of shape (n_lesions, n_dim)
        Their positions, in voxels of the scene.
    scene : Scene
        Parameters that all phantoms share.
    centre : Centre
        How the centre's images differ.

    Returns
    -------
    Drawing
        On the grid of the centre.
    """
    own = centre.scene(scene)
    drawn = [render(*on_grid(lesions, positions, scene, own), rng, own) for lesions, rng in kinds]
    _, mask, voxels = drawn[0]
    places = on_grid(kinds[0][0], positions, scene, own)[1]
    return Drawing([centre.image(one) for one, _, _ in drawn], mask, voxels, places, own.spacing)


def centre_frame(centres: list[Centre], names: list[str]) -> pd.DataFrame:
    """Return how each centre differs, a row each."""
    return pd.DataFrame([asdict(one) for one in centres], index=names)
