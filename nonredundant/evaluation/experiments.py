"""Feature sets and hyper-parameters of published work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.linear_model import LogisticRegression

from nonredundant.folds.feature_sets import FeatureSet, Selection, Variant
from nonredundant.independence.density_ratio import MIDiscriminator

_VETIL_CLASSES = ("shape", "firstorder")
#: Parameters of the network that the published protocols share.
_AS_PUBLISHED = {
    "residualise": False,
    "conditioning": "plain",
    "net_params": {
        "reconstruction": "summed",
        "lr_schedule": "constant",
        "optimizer__weight_decay": 0.0,
    },
}
#: Where both depart from what was published.
_DEPARTURES = (
    "h enters as normal scores of ranks, not standardised; the discriminator sees posterior means "
    "standardised per batch, not draws, and is trained by AdamW with its default weight decay"
)


@dataclass(frozen=True)
class Experiment:
    """Feature sets, network parameters and classifiers of a published protocol."""

    sets: tuple[FeatureSet, ...]
    classifiers: Callable[[], dict[str, Any]]
    network: Callable[[], dict[str, Any]]
    primary: str
    about: str


def get_experiment(name: str) -> Experiment:
    """Return the experiment of a name.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name not in _EXPERIMENTS:
        raise ValueError(f"unknown experiment {name!r}: choose from {tuple(_EXPERIMENTS)}")
    return _EXPERIMENTS[name]()


def _deep(name: str, size: int, *, term: bool, h: Selection) -> Variant:
    """Make the learned features of a protocol."""
    return Variant("vae", term, size, h, name)


def _petvsclin() -> Experiment:
    """Make the experiment of the course project; all its networks have the independence term."""
    h8, h32 = Selection((), 8), Selection((), 32)
    d16 = _deep("D16", 16, term=True, h=h8)
    d32 = _deep("D32", 32, term=True, h=h32)
    sets = (
        FeatureSet("H8", h8, clinical=True),
        FeatureSet("H32", h32, clinical=True),
        FeatureSet("D16", variant=d16),
        FeatureSet("D32", variant=d32),
        FeatureSet("HD24", h8, d16, clinical=True),
        FeatureSet("HD64", h32, d32, clinical=True),
    )

    def network() -> dict[str, Any]:
        return _AS_PUBLISHED | {
            "independence": MIDiscriminator(lr=1e-4, schedule="step", quadratic=False),
            "kappa": 50.0,
            "beta": 1e-2,
            "gamma": 1.0,
            "lr": 8e-4,
            "augment": None,
            "max_epochs": 10,
        }

    about = (
        "Course project: kappa 50, beta 1e-2, gamma 1, learning rates 8e-4 and 1e-4, 10 epochs; "
        "H8 and H32 are selected inside the fold. Departures: its fader term and its L2 penalty "
        f"are left out; {_DEPARTURES}"
    )
    return Experiment(sets, lambda: dict.fromkeys(("LR", "SVM", "RF")), network, "HD64", about)


def _vetil2023() -> Experiment:
    """Make the experiment of Vétil et al. 2023 (arXiv 2308.11389)."""
    h32, h64 = Selection(_VETIL_CLASSES), Selection(_VETIL_CLASSES, 32)
    plain = _deep("D32", 32, term=False, h=h32)
    free = _deep("D32-MI", 32, term=True, h=h32)
    sets = (
        FeatureSet("H32", h32, clinical=True),
        FeatureSet("H64", h64, clinical=True),
        FeatureSet("D32", variant=plain),
        FeatureSet("D32-MI", variant=free),
        FeatureSet("HD64", h32, plain, clinical=True),
        FeatureSet("HD64-MI", h32, free, clinical=True),
    )

    def network() -> dict[str, Any]:
        return _AS_PUBLISHED | {
            "independence": MIDiscriminator(lr=1e-3, schedule="alternate", quadratic=False),
            "network": {"norm": "instance"},
            "kappa": 1.0,
            "beta": 1.0,
            "gamma": 0.0,
            "lr": 1e-3,
            "batch_size": 32,
            "augment": ("rotate", "shift"),
        }

    def classifiers() -> dict[str, Any]:
        return {"LR": LogisticRegression(C=1.0, max_iter=2000)}

    about = (
        "Vétil et al. 2023: density ratio every 5 epochs for 150 full-batch epochs, kappa 1, "
        "learning rate 1e-3, batches of 32, L2 logistic regression with C = 1; H32 is shape and "
        "first order, and H64 adds 32 texture features, here selected inside the fold. "
        "Departures: patches are shifted, not cropped, a whole batch by one shift; "
        f"{_DEPARTURES}"
    )
    return Experiment(sets, classifiers, network, "HD64-MI", about)


#: Every published experiment. A new one is added here and nowhere else.
_EXPERIMENTS = {"petvsclin": _petvsclin, "vetil2023": _vetil2023}
