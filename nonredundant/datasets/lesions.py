"""Phantoms of lesions whose label depends on a factor that HCR cannot represent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from nonredundant.datasets._sampling import check_number, sample_generators, sample_names
from nonredundant.datasets.centres import (
    Centre,
    centre_frame,
    choose_centre,
    draw_centres,
    draw_images,
)
from nonredundant.datasets.drawing import (
    PhantomLesion,
    Scene,
    draw_lesion,
    place,
    with_other_spot,
)

_AXES = ("z", "y", "x")
# Mean and standard deviation of the distance between two uniform points in a square (2) and a
# cube (3) of unit side: Robbins's constant and its planar analogue; the mean square is n_dim / 6.
_POINT_DISTANCE = {2: (0.521405, math.sqrt(2 / 6 - 0.521405**2)), 3: (0.661707, 0.249366)}
_AGE_MEAN, _AGE_SPREAD = 60.0, 12.0  # years
# The second image: Hounsfield units of an uptake of 0, and per unit of it.
_AIR, _HU = np.float32(-60.0), np.float32(20.0)


@dataclass(frozen=True)
class _Outcome:
    """Logistic model of the label with inputs that are standardised over the population."""

    effects: dict[str, float]
    counts: np.ndarray
    scene: Scene

    def standardise(self, true: dict[str, float]) -> dict[str, float]:
        """Scale each true factor to mean 0 and variance 1 over the population."""
        n_dim, scene = self.scene.n_dim, self.scene
        mean, spread = 0.0, 1.0
        if scene.several:  # of the largest of n exponentials: H_n - 1 and the sum of 1 / k^2
            steps = [1.0 / np.arange(1, n + 1) for n in self.counts]
            means = np.array([step.sum() - 1.0 for step in steps])
            mean = means.mean()
            spread = math.sqrt(np.mean([(step**2).sum() for step in steps]) + means.var())
        span = scene.span * scene.spacing
        far, far_spread = _POINT_DISTANCE[n_dim]
        distance = true["relational"]
        return {
            "visible": true["visible"] / math.sqrt(np.mean(1.0 / self.counts)),
            "hidden": true["hidden"] * math.sqrt(n_dim),
            "worst": (true["worst"] - mean) / spread,
            "relational": 0.0 if np.isnan(distance) else (distance / span - far) / far_spread,
            "clinical": (true.get("age", _AGE_MEAN) - _AGE_MEAN) / _AGE_SPREAD,
            "second": true.get("second", 0.0) * math.sqrt(n_dim),
        }

    def probability(self, true: dict[str, float]) -> float:
        """Compute the probability of a positive label from the true factors."""
        z = self.standardise(true)
        return float(expit(sum(effect * z[name] for name, effect in self.effects.items())))

    @property
    def shares(self) -> dict[str, float]:
        """Share of each effect in the variance of the logit."""
        total = sum(effect**2 for effect in self.effects.values())
        return {name: effect**2 / total if total else 0.0 for name, effect in self.effects.items()}


def make_lesions(
    n_samples: int = 200,
    *,
    visible_effect: float = 2.7,
    hidden_effect: float = 2.7,
    worst_effect: float = 0.0,
    relational_effect: float = 0.0,
    clinical_effect: float | None = None,
    images: int = 1,
    second_effect: float | None = None,
    n_lesions: int | tuple[int, int] = 1,
    n_dim: int = 3,
    radius: tuple[float, float] | None = None,
    max_elongation: float = 1.5,
    background: float = 1.0,
    image_noise: float = 0.3,
    blur: float = 4.0,
    spacing: float | None = None,
    field: float | None = None,
    n_centres: int = 1,
    centre_effect: float = 0.0,
    centre_confounding: float = 0.0,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    r"""Make PET-like lesions whose label depends on a factor that hand-crafted radiomics miss.

    A lesion is an ellipsoid of random size, elongation and rotation with a mean uptake, a smooth
    texture and one hot spot. Hand-crafted radiomics measure uptake, size, shape and texture. The
    hot spot lies in a direction :math:`u` that is uniform on the sphere; its component
    :math:`u_x` along the last array axis is the hidden factor. The features of pyradiomics do
    not change when an image is flipped, and a phantom and its mirror image are equally likely.
    The features therefore have the same distribution for :math:`u_x` and :math:`-u_x`, and do
    not predict the sign. A network can, as its input is the voxels.

    The label of a sample is drawn with the probability

    .. math:: P(y = 1) = \sigma\Big(\sum_k \beta_k z_k\Big)

    with each :math:`z_k` a true factor standardised by its moments in the population and
    :math:`\beta_k` its effect. An effect of 0 is a negative control.

    Parameters
    ----------
    n_samples : int, default=200
        Number of samples (patients). Sample i does not depend on it.
    visible_effect : float, default=2.7
        Effect of the visible factor, which sets the logarithm of the uptake; with several lesions
        its mean over the sample's lesions.
    hidden_effect : float, default=2.7
        Effect of the hidden factor, of the sample's worst lesion if it has several.
    worst_effect : float, default=0.0
        Effect of the visible factor of the worst lesion, the one where it is largest.
    relational_effect : float, default=0.0
        Effect of the distance between the two lesions of highest uptake. It needs samples with
        at least two lesions; for a sample with one lesion the mean is used.
    clinical_effect : float or None, default=None
        Effect of the age. With a number (0 included) the case table has the columns `age`
        (years) and `weight` (kg, without effect).
    images : {1, 2}, default=1
        Number of images per sample. With 2 there is also a CT of the same lesions on the same
        grid, with a hot spot in another direction, and an attenuation that is independent of the
        uptake. The first image and the mask are those of `images=1`.
    second_effect : float or None, default=None
        Effect of the hidden factor of the CT, the x component of its hot spot's direction, which
        is visible there alone, and not to hand-crafted radiomics. None: 2.7 with two images.
    n_lesions : int or (int, int), default=1
        Number of lesions per sample, or the range (ends included) of a uniform distribution.
        Several lesions share one mask and never touch, so that they are its connected components.
    n_dim : {2, 3}, default=3
        Dimensions of the image.
    radius : (float, float) or None, default=None
        Range in mm of the radius of the ball (disc) of equal volume, drawn uniformly in the
        logarithm. None: (12, 20) for one lesion, (5, 10) for several.
    max_elongation : float, default=1.5
        Largest ratio of the longest semi-axis to the shortest.
    background : float, default=1.0
        Uptake outside lesions, in SUV. Lesions have a median of 5, the hot spot adds 6.
    image_noise : float, default=0.3
        Standard deviation of white Gaussian noise, in SUV.
    blur : float, default=4.0
        Full width at half maximum of the scanner's blur, in mm.
    spacing : float or None, default=None
        Voxel size in mm, the same along all axes. None: 2 in 3-D, 1 in 2-D.
    field : float or None, default=None
        Side of the image in mm. None: as large as the lesions need, 64 for one in 3-D.
    n_centres : int, default=1
        Number of centres. With several the case table has a column `centre`, "centre0", ….
    centre_effect : float, default=0.0
        By how much the images of centres differ: at 1, the standard deviation of the logarithm of
        their gain is 0.2, of their noise 0.5 and of their voxel size 0.2 (from 0.7 to 1.3 times),
        and of their offset 0.3 SUV. Lesions and labels are the same.
    centre_confounding : float, default=0.0
        Share of the samples that go to a centre of their label: the first half of the centres have
        those of label 0, the second those of label 1. The others go to any centre.
    random_state : int, RandomState or None, default=None
        Seed. The same integer gives the same phantoms.

    Returns
    -------
    case_table : DataFrame of shape (n_samples, 3 or 5)
        Index "case000", "case001", ...; columns `image` (float32 arrays in SUV, (D, H, W) or
        (H, W)), `mask` (uint8 arrays, 1 inside lesions), `spacing` (mm, x-y-z order), and the
        clinical columns. With two images, `image_pet` and `image_ct` (in HU) in place of `image`.
        With several centres also `centre`.
    y : ndarray of shape (n_samples,)
        Label, 0 or 1.
    truth : DataFrame
        One row per sample: `n_lesions`, `visible`, `hidden` (in [-1, 1]), `worst`, `relational`
        (mm, NaN for one lesion), `second` with two images, `age` if requested, `probability`;
        then, for its worst lesion, `direction_z`, `direction_y`, `direction_x`, `radius` (mm),
        `elongation`, `uptake` (SUV) and `heterogeneity` (relative standard deviation of the
        texture).
        ``truth.attrs["centres"]`` says how the images of each of several centres differ.
        ``truth.attrs["shares"]`` has the share of each effect in the variance of the logit, and
        with several lesions ``truth.attrs["lesions"]`` a DataFrame of all lesions with the
        columns `sample`, `lesion`, the factors above, `voxels`, `centre_z`, `centre_y`,
        `centre_x` (mm from the first voxel's centre) and `is_worst`.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the lesions do not fit into the field.

    See Also
    --------
    make_contrastive : Phantoms of two populations, one with an added pattern.

    Notes
    -----
    With one lesion per sample the visible factor is standard normal. With several it is
    exponential, shifted to mean 0: few lesions are aggressive, and the worst one differs clearly
    from the others. Uptake increases with the visible factor, so the worst lesion also has the
    highest uptake.

    With the defaults, 400 samples for training and the 107 features of pyradiomics (bins of 0.5
    SUV), a logistic regression reaches an AUC of about 0.755, with the true hidden factor added
    0.935, and the true probability 0.95.

    Examples
    --------
    >>> from nonredundant.datasets import make_lesions
    >>> X, y, truth = make_lesions(4, random_state=0)
    >>> X.columns.tolist(), X.loc["case000", "image"].shape
    (['image', 'mask', 'spacing'], (32, 32, 32))
    >>> bool(truth["hidden"].between(-1, 1).all())
    True
    """
    counts = _count_range(n_lesions)
    if images not in (1, 2):
        raise ValueError(f"images must be 1 or 2, got {images!r}.")
    if images == 1 and second_effect is not None:
        raise ValueError("second_effect is one of a second image: set images=2, or leave it out.")
    effects = {
        "visible": visible_effect,
        "hidden": hidden_effect,
        "worst": worst_effect,
        "relational": relational_effect,
        "clinical": 0.0 if clinical_effect is None else clinical_effect,
    }
    if images == 2:
        effects["second"] = 2.7 if second_effect is None else second_effect
    _check_effects(effects, counts)
    check_number("n_samples", n_samples, low=1, whole=True)
    scene = _make_scene(
        counts,
        n_dim=n_dim,
        radius=radius,
        max_elongation=max_elongation,
        background=background,
        image_noise=image_noise,
        blur=blur,
        spacing=spacing,
        field=field,
    )
    outcome = _Outcome(effects, counts, scene)
    cases, truths, lesions = [], [], []
    index = sample_names(n_samples)
    generators = sample_generators(n_samples, random_state)
    centres = draw_centres(n_centres, centre_effect, centre_confounding, generators)
    places = [f"centre{i}" for i in range(n_centres)] if n_centres > 1 else []
    for name, rng in zip(index, generators, strict=True):
        case, true, found = _make_case(
            rng,
            outcome,
            centres=centres,
            confounding=centre_confounding,
            with_clinical=clinical_effect is not None,
        )
        number = case.pop("centre")
        cases.append(case | ({"centre": places[number]} if places else {}))
        truths.append(true)
        lesions += [{"sample": name, **lesion} for lesion in found]
    truth = pd.DataFrame(truths, index=index)
    y = truth.pop("label").to_numpy(dtype=np.int64)
    truth.attrs["shares"] = outcome.shares
    if places:
        truth.attrs["centres"] = centre_frame(centres, places)
    if scene.several:
        truth.attrs["lesions"] = pd.DataFrame(lesions)
    return pd.DataFrame(cases, index=index), y, truth


def _make_case(
    rng: np.random.Generator,
    outcome: _Outcome,
    *,
    centres: list[Centre],
    confounding: float,
    with_clinical: bool,
) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """Draw one sample: its row of the case table, of the truth, and a row per lesion."""
    scene = outcome.scene
    # Generators of their own, so that the lesions depend on the number of neither images nor
    # centres.
    second_rng, centre_rng = rng.spawn(2)
    drawn = [draw_lesion(rng, scene) for _ in range(int(rng.choice(outcome.counts)))]
    positions = place(drawn, rng, scene)
    rank = np.argsort([-lesion.uptake for lesion in drawn])
    worst = drawn[int(np.argmax([lesion.visible for lesion in drawn]))]
    true: dict[str, Any] = {
        "n_lesions": len(drawn),
        "visible": float(np.mean([lesion.visible for lesion in drawn])),
        "hidden": worst.hidden,
        "worst": worst.visible,
        "relational": math.nan,
    }
    if len(drawn) > 1:
        step = positions[rank[0]] - positions[rank[1]]
        true["relational"] = float(np.linalg.norm(step)) * scene.spacing
    second: list[PhantomLesion] = []
    if "second" in outcome.effects:
        second = [with_other_spot(second_rng, lesion, scene) for lesion in drawn]
        true["second"] = second[[one is worst for one in drawn].index(True)].hidden
    clinical = {}
    if with_clinical:
        clinical = {
            "age": float(rng.normal(_AGE_MEAN, _AGE_SPREAD)),
            "weight": float(rng.normal(75.0, 13.0)),
        }
        true["age"] = clinical["age"]
    true["probability"] = outcome.probability(true)
    true["label"] = int(rng.random() < true["probability"])
    number = choose_centre(centre_rng, true["label"], len(centres), confounding)
    kinds = [(drawn, rng), *([(second, second_rng)] if second else [])]
    made = draw_images(kinds, positions, scene, centres[number])
    images = {"image": made.images[0]}
    if second:
        images = {"image_pet": made.images[0], "image_ct": _AIR + _HU * made.images[1]}
    case = {**images, "mask": made.mask, "spacing": (made.spacing,) * scene.n_dim, **clinical}
    case["centre"] = number
    lesions = [
        {"lesion": i, "visible": lesion.visible, "hidden": lesion.hidden, **_factors(lesion, scene)}
        | {"voxels": made.voxels[i], "is_worst": lesion is worst}
        | {
            f"centre_{axis}": float(made.positions[i, k] * made.spacing)
            for k, axis in enumerate(_AXES[-scene.n_dim :])
        }
        for i, lesion in enumerate(drawn)
    ]
    return case, true | _factors(worst, scene), lesions


def _factors(lesion: PhantomLesion, scene: Scene) -> dict[str, float]:
    """Return the factors of a lesion by name, lengths in mm."""
    axes = zip(_AXES[-scene.n_dim :], lesion.direction, strict=True)
    return {f"direction_{axis}": float(value) for axis, value in axes} | {
        "radius": lesion.radius * scene.spacing,
        "elongation": lesion.elongation,
        "uptake": lesion.uptake,
        "heterogeneity": lesion.heterogeneity,
    }


def _count_range(n_lesions: Any) -> np.ndarray:
    """Return all numbers of lesions that a sample may have."""
    low, high = n_lesions if isinstance(n_lesions, tuple | list) else (n_lesions, n_lesions)
    check_number("n_lesions", low, low=1, whole=True)
    check_number("n_lesions", high, low=1, whole=True)
    if low > high:
        raise ValueError(f"n_lesions must be a range (low, high) with low <= high: {n_lesions!r}.")
    return np.arange(low, high + 1)


def _check_effects(effects: dict[str, Any], counts: np.ndarray) -> None:
    """Raise if an effect is not a finite number, or cannot occur in any sample."""
    for name, effect in effects.items():
        if not isinstance(effect, Real) or not math.isfinite(effect):
            raise ValueError(f"{name}_effect must be a finite number, got {effect!r}.")
    if effects["relational"] and counts[-1] == 1:
        raise ValueError(
            "relational_effect needs samples with at least two lesions, but n_lesions is 1: "
            "set for example n_lesions=(2, 10)."
        )


def _make_scene(
    counts: np.ndarray, *, n_dim: int, radius: Any, spacing: Any, field: Any, **numbers: Any
) -> Scene:
    """Fill in the defaults and raise if the phantoms cannot be drawn."""
    if n_dim not in (2, 3):
        raise ValueError(f"n_dim must be 2 or 3, got {n_dim!r}.")
    several = counts[-1] > 1
    spacing = (2.0 if n_dim == 3 else 1.0) if spacing is None else spacing
    radius = ((5.0, 10.0) if several else (12.0, 20.0)) if radius is None else tuple(radius)
    for name, value in {"spacing": spacing, **numbers}.items():
        low = {"max_elongation": 1.0, "spacing": 1e-6}.get(name, 0.0)
        check_number(name, value, low=low)
    if len(radius) != 2 or not 1.5 * spacing <= radius[0] <= radius[1] < math.inf:
        raise ValueError(
            f"radius must be a range (low, high) in mm with low of at least 1.5 voxels "
            f"({1.5 * spacing:g} mm), got {radius!r}."
        )
    scene = Scene(
        n_dim=n_dim,
        spacing=float(spacing),
        radius=radius,
        several=bool(several),
        max_lesions=int(counts[-1]),
        field=field,
        **numbers,
    )
    if scene.side < scene.smallest_side:
        raise ValueError(
            f"field must be at least {scene.smallest_side * spacing:g} mm for lesions with a "
            f"radius of up to {radius[1]:g} mm and an elongation of up to "
            f"{scene.max_elongation:g}, got {field!r}."
        )
    return scene
