"""The built-in classifiers, and the pipeline that every classifier is the last step of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.pipeline import Pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.ensemble import (
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVC

from nonredundant.classifiers.block_scaler import BlockScaler
from nonredundant.classifiers.cox import RidgeCox
from nonredundant.classifiers.nearest_neighbours import NearestNeighbours
from nonredundant.classifiers.ridge_logistic import RidgeLogistic
from nonredundant.utils.optional import import_optional

#: Name of the graph of lesions among the classifiers.
GRAPH = "graph"
#: Scales of the learned block relative to the known one that inner cross-validation chooses from.
WEIGHTS = (0.1, 0.2, 0.7)
#: Prefix of the classifier's parameters in the pipeline of `make_pipeline`.
OWN = "classifier__"
#: The scale of the learned block among the settings of that pipeline.
WEIGHT = "blocks__weight"
#: Trees of a forest of numbers or of times, and of a forest that is fitted on an inner split.
TREES, INNER_TREES = 200, 60
#: What an outcome is.
Kind = Literal["classes", "numbers", "times"]


@dataclass(frozen=True)
class BuiltIn:
    """A classifier that is chosen by name and tuned by inner cross-validation.

    Attributes
    ----------
    name : str
        Name in `classifiers`, in tables and on the command line.
    long_name : str
        Name in sentences.
    make : callable
        Makes the untrained classifier.
    kind : {"classes", "numbers", "times"}
        What it predicts: classes, numbers, or the risk of a time to an event.
    grid : tuple of dict
        Settings of its own parameters that inner cross-validation chooses from, the strongest
        penalty first.
    scaled : bool
        Whether the scale of a column matters to it. Where it does not, as for trees, the learned
        block has no weight, and to save time inner splits are not repeated.
    forest : bool
        Whether its trees are independent of each other, so that fewer do in inner splits.
    calibrated : bool
        Whether it needs `CalibratedMargin` to give probabilities.
    members : tuple of str
        The classifiers whose probabilities it averages; it then has no `make`.
    by_default : bool
        Whether it is fitted where no classifiers are named.
    """

    name: str
    long_name: str
    make: Callable[[], Any] | None
    kind: Kind = "classes"
    grid: tuple[dict[str, Any], ...] = ({},)
    scaled: bool = True
    forest: bool = False
    calibrated: bool = False
    members: tuple[str, ...] = ()
    by_default: bool = True


def _logistic_regression() -> Any:
    """Make a logistic regression."""
    # With at most some hundred samples or columns, few Newton steps are faster than many
    # first-order steps.
    return RidgeLogistic(C=10.0, solver="newton-cholesky", max_iter=200)


def _support_vector_machine() -> Any:
    """Make a support vector machine."""
    return SVC(C=1.0)


def _random_forest() -> Any:
    """Make a random forest.

    On eleven public tables its AUC with 100 trees differed by 0.001 from that with 200 (standard
    error 0.002; `benchmarks/inner_cv.py`).
    """
    return RandomForestClassifier(100, min_samples_leaf=3)


def _elastic_net() -> Any:
    """Make a logistic regression with lasso and ridge penalties of equal shares."""
    return LogisticRegression(C=10.0, l1_ratio=0.5, solver="saga", tol=1e-3, max_iter=2000)


def _gradient_boosting() -> Any:
    """Make a gradient boosting of small trees, each on half of the rows and few columns.

    On three tables of 144 to 245 patients its mean AUC was 0.74; that of
    `HistGradientBoostingClassifier`, whose bins pay off with many more rows, was 0.73 in four times
    the time.
    """
    return GradientBoostingClassifier(
        n_estimators=100,
        learning_rate=0.05,
        subsample=0.5,
        max_features="sqrt",
        min_samples_leaf=3,
    )


def _nearest_neighbours() -> Any:
    """Make a vote of nearest neighbours, the nearer the heavier."""
    # A search tree saves nothing with so few samples, and is nothing that a file should hold.
    return NearestNeighbours(n_neighbors=9, weights="distance", algorithm="brute")


def _regression_forest() -> Any:
    """Make a random forest of numbers."""
    return RandomForestRegressor(TREES, min_samples_leaf=3, max_features=1 / 3)


def _survival_forest() -> Any:
    """Make a random survival forest."""
    module = import_optional("sksurv.ensemble", extra="survival", purpose="the classifier 'RSF'")
    # Only risks are predicted; without `low_memory` every leaf keeps a survival function.
    return module.RandomSurvivalForest(TREES, min_samples_leaf=6, low_memory=True)


#: Every classifier that has a name. A new one is added here and nowhere else.
_BUILT_INS = (
    BuiltIn(
        "LR",
        "logistic regression",
        _logistic_regression,
        grid=tuple({"C": c} for c in (1.0, 3.0, 10.0, 30.0, 100.0)),
    ),
    BuiltIn(
        "SVM",
        "support vector machine",
        _support_vector_machine,
        grid=tuple({"C": c} for c in (0.1, 1.0, 10.0)),
        calibrated=True,
    ),
    BuiltIn("RF", "random forest", _random_forest, scaled=False, forest=True),
    BuiltIn(
        "EN",
        "elastic net",
        _elastic_net,
        grid=tuple({"C": c} for c in (1.0, 3.0, 10.0, 30.0)),
        by_default=False,
    ),
    BuiltIn("GB", "gradient boosting", _gradient_boosting, scaled=False, by_default=False),
    BuiltIn(
        "KNN",
        "nearest neighbours",
        _nearest_neighbours,
        grid=tuple({"n_neighbors": k} for k in (25, 15, 9, 5)),
        by_default=False,
    ),
    BuiltIn(
        "ensemble",
        "ensemble of LR, SVM and RF",
        None,
        members=("LR", "SVM", "RF"),
        by_default=False,
    ),
    BuiltIn(
        "Ridge",
        "ridge regression",
        Ridge,
        kind="numbers",
        grid=tuple({"alpha": alpha} for alpha in (30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03)),
    ),
    BuiltIn(
        "RFR",
        "random forest",
        _regression_forest,
        kind="numbers",
        scaled=False,
        forest=True,
    ),
    BuiltIn(
        "Cox",
        "ridge Cox regression",
        RidgeCox,
        kind="times",
        grid=tuple({"alpha": alpha} for alpha in (0.03, 0.01, 0.003, 0.001, 0.0003)),
    ),
    BuiltIn(
        "RSF",
        "random survival forest",
        _survival_forest,
        kind="times",
        scaled=False,
        forest=True,
    ),
)
_BY_NAME = {one.name: one for one in _BUILT_INS}
#: Names of the classifiers of classes, of the models of times to an event, and of those of numbers.
NAMES = tuple(one.name for one in _BUILT_INS if one.kind == "classes")
SURVIVAL_NAMES = tuple(one.name for one in _BUILT_INS if one.kind == "times")
NUMBER_NAMES = tuple(one.name for one in _BUILT_INS if one.kind == "numbers")
_NAMES: dict[str, tuple[str, ...]] = {
    "classes": NAMES,
    "numbers": NUMBER_NAMES,
    "times": SURVIVAL_NAMES,
}


def long_name(name: str) -> str:
    """Return the name of a classifier in sentences; an unknown name is returned as it is.

    Parameters
    ----------
    name : str
        Name of a classifier, built-in or not, or "graph".

    Returns
    -------
    str
        The name to print.

    Examples
    --------
    >>> long_name("LR"), long_name("graph"), long_name("mine")
    ('logistic regression', 'graph of lesions', 'mine')
    """
    if name == GRAPH:
        return "graph of lesions"
    return _BY_NAME[name].long_name if name in _BY_NAME else name


def is_forest(name: str) -> bool:
    """Return whether the built-in classifier of this name consists of independent trees."""
    return name in _BY_NAME and _BY_NAME[name].forest


def needs_calibration(name: str) -> bool:
    """Return whether the built-in classifier of this name gives margins only."""
    return name in _BY_NAME and _BY_NAME[name].calibrated


def members_of(name: str) -> tuple[str, ...]:
    """Return the classifiers that the built-in one of this name averages; none if it is one."""
    return _BY_NAME[name].members if name in _BY_NAME else ()


def resolve_classifiers(classifiers: Any, *, kind: Kind = "classes") -> dict[str, Any]:
    """Return a dict of name to classifier, which is None for a built-in one.

    `classifiers` is None for the default ones of this kind of outcome.

    Raises
    ------
    ValueError
        If a name is unknown or occurs twice.
    TypeError
        If an entry is neither a name nor a classifier.
    """
    names = _NAMES[kind]
    if classifiers is None:
        return {name: None for name in names if _BY_NAME[name].by_default}
    found: dict[str, Any] = {}
    for entry in _entries(classifiers, names):
        name, estimator = _named_classifier(entry)
        if estimator is None and name not in names:
            raise ValueError(f"unknown classifier {name!r}: choose from {names} or pass one")
        if estimator is not None and not (hasattr(estimator, "fit") and not callable(estimator)):
            raise TypeError(f"classifier {name!r} must be an estimator, got {estimator!r}")
        if name in found:
            raise ValueError(f"two classifiers are named {name!r}: pass a dict of unique names")
        found[name] = estimator
    if not found:
        raise ValueError(f"classifiers is empty: choose from {names} or pass an estimator")
    return found


def check_kinds(classifiers: Mapping[str, Any], *, kind: Kind) -> None:
    """Raise if a classifier of the user's own does not predict this kind of outcome.

    Raises
    ------
    ValueError
        If it predicts classes or numbers, where the outcome is something else.
    """
    for name, estimator in classifiers.items():
        if not hasattr(estimator, "__sklearn_tags__"):
            continue
        if kind == "times" and is_classifier(estimator):
            raise ValueError(
                f"{name!r} predicts classes, and y holds times to an event: choose from "
                f"{SURVIVAL_NAMES}, or pass a model of times, such as those of scikit-survival"
            )
        if kind == "numbers" and is_classifier(estimator):
            raise ValueError(
                f"{name!r} predicts classes, and the scoring asks for numbers: pass a regressor, "
                f"or choose from {NUMBER_NAMES}"
            )
        if kind == "classes" and is_regressor(estimator):
            raise ValueError(
                f"{name!r} predicts numbers, and y holds classes: pass a classifier, or choose "
                f"from {NAMES}; to predict numbers name a metric of them, scoring='r2'"
            )


def _entries(classifiers: Any, names: tuple[str, ...]) -> Iterable[Any]:
    """Return the entries of one classifier, several, or a dict of them."""
    if isinstance(classifiers, str) or hasattr(classifiers, "fit"):
        return [classifiers]
    if isinstance(classifiers, Mapping):
        return classifiers.items()
    if not isinstance(classifiers, Iterable):
        raise TypeError(
            f"classifiers must be names among {names}, estimators, or a dict of both, got "
            f"{classifiers!r}"
        )
    return classifiers


def _named_classifier(entry: Any) -> tuple[str, Any]:
    """Return the name of an entry, and its classifier or None."""
    if isinstance(entry, tuple):
        return entry[0], entry[1]
    return (entry, None) if isinstance(entry, str) else (type(entry).__name__, entry)


def check_sampler(sampler: Any, *, kind: Kind, graph: bool) -> None:
    """Raise a ValueError if a sampler is unknown or cannot resample the training samples."""
    make_sampler(sampler, 0)
    if sampler is not None and (kind != "classes" or graph):
        others = {
            "classes": "graphs of lesions",
            "numbers": "numbers",
            "times": "times to an event",
        }
        what = others[kind]
        raise ValueError(f"sampler={sampler!r} resamples rows of classes, not {what}")


def make_sampler(sampler: Any, seed: int, smallest: int = 6) -> Any:
    """Make a seeded imbalanced-learn sampler from its name, or clone one.

    `smallest` is the number of training samples of the rarest class, which limits the number of
    neighbours of SMOTE.

    Raises
    ------
    ValueError
        If the sampler is unknown, or needs more samples of the rarest class.
    """
    if sampler is None:
        return None
    if isinstance(sampler, str):
        known = {"smote": SMOTE, "over": RandomOverSampler, "under": RandomUnderSampler}
        if sampler.lower() not in known:
            raise ValueError(f"unknown sampler {sampler!r}: choose from {tuple(known)}")
        sampler = known[sampler.lower()]()
        if isinstance(sampler, SMOTE):
            sampler.set_params(k_neighbors=max(1, min(5, smallest - 1)))
    if not hasattr(sampler, "fit_resample") or isinstance(sampler, type):
        raise ValueError(
            f"sampler must be 'smote', 'over', 'under' or a sampler of imbalanced-learn, got "
            f"{sampler!r}"
        )
    _check_neighbours(sampler, smallest)
    sampler = clone(sampler)
    if "random_state" in sampler.get_params():
        sampler.set_params(random_state=seed)
    return sampler


def _check_neighbours(sampler: Any, smallest: int) -> None:
    """Raise if a sampler interpolates between more neighbours than the rarest class has."""
    own = sampler.get_params(deep=False)
    for name in ("k_neighbors", "n_neighbors"):
        k = own.get(name)
        if (
            isinstance(sampler, BaseOverSampler)
            and isinstance(k, int | np.integer)
            and k >= smallest
        ):
            raise ValueError(
                f"{type(sampler).__name__}({name}={k}) interpolates between {k + 1} samples of a "
                f"class, and a part that is trained on has {smallest} of the rarest: use "
                "sampler='over' or class_weight='balanced', fewer folds, or, with 3 samples or "
                "more, 'smote', which takes fewer neighbours"
            )


def make_pipeline(
    name: str,
    estimator: Any,
    n_base: int,
    *,
    class_weight: Any = None,
    sampler: Any = None,
    seed: int = 0,
    smallest: int = 6,
) -> Any:
    """Make the untrained pipeline of imputer, block scaler, sampler and classifier.

    Built-in classifiers get blocks of equal scale; the user's own, columns of variance 1.
    """
    own = estimator is not None
    final = clone(estimator) if own else _made(name)
    settings = {"random_state": seed, "class_weight": class_weight}
    known = final.get_params()
    # Parameters that the user has set are kept.
    unset = {k: v for k, v in settings.items() if k in known and known[k] is None}
    final.set_params(**unset)
    steps = [
        ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
        ("blocks", BlockScaler(n_base, None if own else WEIGHTS[1])),
        ("sampler", make_sampler(sampler, seed, smallest)),
        ("classifier", final),
    ]
    return Pipeline([step for step in steps if step[1] is not None])


def _made(name: str) -> Any:
    """Make the untrained built-in classifier of this name, which is none that averages others."""
    make = _BY_NAME[name].make
    if make is None:
        raise ValueError(f"{name!r} has no classifier of its own: it averages {members_of(name)}")
    return make()


def grid_of(name: str, *, learned: bool) -> list[dict[str, Any]]:
    """Return the settings that inner cross-validation chooses from, the strongest penalty first.

    `learned`: whether there is a learned block beside known columns, whose weight is then chosen,
    too; every weight is above 0.
    """
    one = _BY_NAME[name]
    points = [{OWN + key: value for key, value in point.items()} for point in one.grid]
    if not one.scaled or not learned:
        return points
    return [{WEIGHT: weight, **point} for weight in WEIGHTS for point in points]
