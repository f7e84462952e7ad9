"""Small changes of image and mask that stand for a second scan and a second reader.

The kinds are those of Zwanenburg et al. 2019 (Sci. Rep. 9, 614, doi 10.1038/s41598-018-36938-4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import Any

import numpy as np

from nonredundant.utils.validation import InvalidParameterError

#: Range of changes of volume: more would be another lesion.
SHRUNK, GROWN = -0.9, 0.5


@dataclass(frozen=True)
class Perturbation:
    """One change of all cases; by default none.

    Attributes
    ----------
    rotation : float
        Degrees by which the grid of voxels is turned in the plane of the slices, about the
        lesion.
    translation : tuple of float
        Shift of the grid along each axis, x-y-z, in voxels of the features (and of the patch).
        Along an axis on which a lesion is one slice thick the grid stays.
    noise : float
        Standard deviation of the white noise that is added, in units of the image's own.
    volume : float
        Relative growth of the mask (0.1: by a tenth), or shrinkage where negative.
    contour : bool
        Whether the contour is randomised by supervoxels.
    seed : int
        Seed of noise and contours, beside the content of each lesion.

    Examples
    --------
    >>> Perturbation(rotation=5, volume=-0.1)
    Perturbation(rotation=5, translation=(0.0, 0.0, 0.0), noise=0.0, volume=-0.1, ...)
    """

    rotation: float = 0.0
    translation: tuple[float, ...] = (0.0, 0.0, 0.0)
    noise: float = 0.0
    volume: float = 0.0
    contour: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Amounts:
    """How much is changed at most: parts of a `Perturbation`, drawn from plus to minus these.

    `source` says where the numbers are from.
    """

    rotation: float = 10.0
    translation: float = 0.5
    noise: float = 1.0
    volume: float = 0.15
    contour: bool = True
    source: str = ""


_KINDS = (
    "kinds and order of changes as Zwanenburg et al. 2019 (doi 10.1038/s41598-018-36938-4); the "
    "amounts are our own: half a voxel and 10° span what positioning changes, noise of the image's "
    "own level is what a second scan has"
)
#: The amounts of each modality; None is for images of any other.
AMOUNTS: dict[str | None, Amounts] = {
    "CT": Amounts(source=f"{_KINDS}, and ±15 % of volume are usual between readers of CT"),
    "PET": Amounts(
        volume=0.2,
        source=f"{_KINDS}, and ±20 % of volume since voxels are large and contours blurred",
    ),
    "MR": Amounts(source=f"{_KINDS}, and ±15 % of volume as for CT"),
    None: Amounts(source=f"{_KINDS}, and ±15 % of volume as for CT"),
}


def draw_perturbations(
    n: int = 8, amounts: Amounts | str | None = None, *, random_state: int = 0
) -> list[Perturbation]:
    """Draw perturbations that spread evenly over the range of each kind.

    Parameters
    ----------
    n : int, default=8
        Number of perturbations.
    amounts : Amounts, str or None, default=None
        The range of each kind, or the modality whose `AMOUNTS` these are.
    random_state : int, default=0
        Seed.

    Returns
    -------
    list of Perturbation
        A Latin hypercube of rotation, translations and volume (McKay, Beckman & Conover 1979, doi
        10.2307/1268522): of n perturbations one lies in each n-th of each range.

    Raises
    ------
    InvalidParameterError
        If a number is out of range, or there are no amounts for the modality.

    Examples
    --------
    >>> import numpy as np
    >>> drawn = draw_perturbations(8, "CT")
    >>> sorted(int(np.floor(one.volume / 0.3 * 8 + 4)) for one in drawn)
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    if not isinstance(n, Integral) or n < 1:
        raise InvalidParameterError(f"n must be a number of perturbations, 1 or more, got {n!r}")
    if not isinstance(amounts, Amounts):
        name = amounts.upper() if isinstance(amounts, str) else amounts
        if name not in AMOUNTS:
            raise InvalidParameterError(
                f"amounts must be Amounts or one of {list(AMOUNTS)}, got {amounts!r}"
            )
        amounts = AMOUNTS[name]
    rng = np.random.default_rng(random_state)
    strata = rng.permuted(np.tile(np.arange(n), (5, 1)), axis=1).T
    points = (strata + rng.random(strata.shape)) / n
    ranges = [amounts.rotation, *[amounts.translation] * 3, amounts.volume]
    return check_perturbations(
        [
            Perturbation(
                rotation=float(rotation),
                translation=tuple(map(float, shift)),
                noise=amounts.noise,
                volume=float(volume),
                contour=amounts.contour,
                seed=int(random_state) + number,
            )
            for number, (rotation, *shift, volume) in enumerate((2 * points - 1) * ranges)
        ]
    )


def check_perturbations(perturbations: Sequence[Any]) -> list[Perturbation]:
    """Return the perturbations, or raise where one is out of range.

    Parameters
    ----------
    perturbations : sequence of Perturbation
        The perturbations.

    Returns
    -------
    list of Perturbation
        The same.

    Raises
    ------
    InvalidParameterError
        If there are none, one is something else, or a number of it is out of range.
    """
    if not len(perturbations):
        raise InvalidParameterError("perturbations are empty: give one or more")
    for one in perturbations:
        if not isinstance(one, Perturbation):
            raise InvalidParameterError(f"perturbations must be Perturbation, got {one!r}")
        numbers = [one.rotation, *one.translation, one.noise, one.volume]
        if not np.isfinite(numbers).all() or one.noise < 0 or not SHRUNK <= one.volume <= GROWN:
            raise InvalidParameterError(
                "a perturbation has finite numbers, noise of 0 or more and a change of volume "
                f"between {SHRUNK} and {GROWN}, got {one!r}"
            )
        if len(one.translation) != 3:
            raise InvalidParameterError(f"translation has three numbers, x-y-z, got {one!r}")
    return list(perturbations)


def described(perturbation: Perturbation) -> dict[str, Any]:
    """Return a perturbation in JSON types."""
    return {**asdict(perturbation), "translation": list(perturbation.translation)}
