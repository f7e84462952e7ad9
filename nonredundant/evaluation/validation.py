"""A fitted model on a cohort of elsewhere: nothing is fitted again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.evaluation.availability import check_coverage
from nonredundant.evaluation.classifier import FeatureSetClassifier
from nonredundant.evaluation.cohort import NoCaseError
from nonredundant.evaluation.external_cohort import ExternalCohort
from nonredundant.evaluation.fingerprint import missing_throughout
from nonredundant.evaluation.groups import read_groups
from nonredundant.folds.steps import named_columns
from nonredundant.lesions.labels import (
    align,
    among_all,
    check_same_cases,
    class_positions,
)
from nonredundant.lesions.table import LesionTable
from nonredundant.results.validation import ModelValidation
from nonredundant.statistics.estimates import LEVEL
from nonredundant.statistics.probability_differences import THRESHOLDS
from nonredundant.statistics.survival import check_survival

_COVERAGE = [
    "cases",
    "n",
    "nominal",
    "estimate",
    "low",
    "high",
    "mean_size",
    "share_single",
    "share_empty",
]


def validate_model(
    model: FeatureSetClassifier,
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    lesions: LesionTable | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    coverage: float = 0.9,
    random_state: Any = 0,
) -> ModelValidation:
    """Apply a fitted model to a cohort that it was not fitted on, and score it there.

    Nothing is fitted, recalibrated or chosen on the new cohort. The intervals take the model as
    given: they tell how well this model does on cases like these.

    Parameters
    ----------
    model : FeatureSetClassifier
        A fitted model. With `reference=True` at its fit the gain of the learned features is
        estimated, with `cv` the coverage of its conformal sets.
    X : DataFrame or LesionTable
        The cases or lesions, of other patients than those of the fit; the model stores no ids, so
        this is not checked.
    y : array-like of shape (n_samples,)
        Labels as at the fit, or events and times.
    groups : array-like of shape (n_samples,), optional
        Cases of a group (a patient, a hospital) are not independent; by default cases with the
        same label of the index. The intervals of several classes, of times and of coverages take
        cases as independent.
    lesions : LesionTable, optional
        The cases as extracted by the model, if at hand.
    thresholds : sequence of float, default=(0.1, 0.2, 0.3, 0.5)
        Probabilities in (0, 1) at which the net benefit is estimated; two classes only.
    coverage : float, default=0.9
        Nominal coverage of the conformal sets.
    random_state : int, RandomState or None, default=0
        Seed of the bootstrap, for more than two classes.

    Returns
    -------
    ModelValidation
        Scores, calibration, net benefit, gain, coverage and predictions, and the answer in words.

    Raises
    ------
    ValueError
        If labels are unknown to the model, one class has fewer than two cases, features are
        missing, or no case could be read.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable
    >>> from nonredundant.evaluation import FeatureSetClassifier, validate_model
    >>> rng = np.random.default_rng(0)
    >>> y = np.tile([0, 1], 100)
    >>> table = LesionTable(pd.DataFrame({"uptake": y + rng.normal(size=200)}))
    >>> model = FeatureSetClassifier("HCR", cv=5, random_state=0).fit(table[:100], y[:100])
    >>> found = validate_model(model, table[100:], y[100:])
    >>> found.scores.set_index("measure")["estimate"].round(2).to_dict()["AUC"]
    0.8
    """
    check_coverage(coverage)
    if not isinstance(model, FeatureSetClassifier):
        raise TypeError(f"model must be a fitted FeatureSetClassifier, got {type(model).__name__}")
    table = model.extract(X) if lesions is None else lesions
    check_same_cases(X, table)
    fine = (table.status == "ok").to_numpy()
    if not fine.any():
        raise NoCaseError(table.status)
    every = _read_truth(model, align(y, X, "y"), len(table))
    clusters = read_groups(groups, X)
    kept = table if fine.all() else table[fine]
    cohort = ExternalCohort(
        model,
        {name: values[fine] for name, values in every.items()},
        None if clusters is None else clusters[fine],
        _responses(model, kept),
        [float(value) for value in thresholds],
        random_state,
    )
    cohort.check()
    p_values = model.conformal_p_values(kept) if hasattr(model, "conformal_p_values") else None
    sets = None if p_values is None else (p_values > 1 - coverage)
    cases = _predictions(cohort, every, table, fine, sets)
    cases["outside"] = model.outside(X, lesions=table)
    return ModelValidation(
        scores=cohort.scores(),
        gain=cohort.gain(),
        net_benefit=cohort.net_benefit(),
        coverage=_coverages(cohort, sets, coverage),
        predictions=cases,
        training=model.performance(),
        settings={
            "feature_set": model.feature_set_,
            "reference": None if model.reference_ is None else model.reference_.name,
            "classifier": model.classifier_name_,
            "classes": model.classes_.tolist(),
            "n": int(fine.sum()),
            "n_failed": int((~fine).sum()),
            "n_trained": model.fingerprint_["n_samples"],
            "n_outside": int(((cases["outside"] != "").to_numpy() & fine).sum()),
            "missing": missing_columns(model, kept),
            "coverage": coverage,
            "made": pd.Timestamp.now().isoformat(timespec="seconds"),
        },
    )


def missing_columns(model: FeatureSetClassifier, table: LesionTable) -> list[str]:
    """List what no case has of what the training cohort had, and a model imputes.

    Parameters
    ----------
    model : FeatureSetClassifier
        A fitted model.
    table : LesionTable
        What it extracted of new cases.

    Returns
    -------
    list of str
        Features, and columns of `samples` that clinical features are made of; none if no case
        could be read.
    """
    read = table[(table.status == "ok").to_numpy()]
    if not len(read):
        return []
    cells = named_columns([] if model.steps_ is None else model.steps_.steps)
    return missing_throughout(model.fingerprint_, read, cells)


def _read_truth(model: FeatureSetClassifier, y: Any, n: int) -> dict[str, np.ndarray]:
    """Return positions of the classes, or events and times."""
    if not len(model.classes_):
        event, time = check_survival(y, n)
        return {"event": event, "time": time}
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise ValueError(f"y has the shape {labels.shape}, and there are {n} cases: one label each")
    positions = class_positions(labels, model.classes_)
    if (positions < 0).any():
        odd = pd.unique(labels[positions < 0])[:5].tolist()
        raise ValueError(
            f"y has labels that the model does not know: {odd}; those of its training cohort are "
            f"{model.classes_.tolist()}"
        )
    return {"y": positions}


def _responses(model: FeatureSetClassifier, table: LesionTable) -> dict[str, np.ndarray]:
    """Return the responses of the model, and of its known features alone, by name."""
    every = [model.predictor_, *([] if model.reference_ is None else [model.reference_])]
    return {one.name: one.respond(table) for one in every}


def _predictions(
    cohort: ExternalCohort,
    truth: dict[str, np.ndarray],
    table: LesionTable,
    fine: np.ndarray,
    sets: pd.DataFrame | None,
) -> pd.DataFrame:
    """Return outcome, predictions and sets of all cases; empty cells where one was not read."""
    classes = cohort.model.classes_
    named = {"y": classes[truth["y"]]} if len(classes) else truth
    found = pd.DataFrame(named, index=table.index)
    for prefix, response in zip(("", "reference_"), cohort.responses.values(), strict=False):
        names = [f"{prefix}p_{label}" for label in classes]
        if len(names) != response.shape[1]:
            names = [f"{prefix}score"] if len(classes) else [f"{prefix}risk"]
            response = response[:, -1:]
        for name, values in zip(names, response.T, strict=True):
            found[name] = among_all(pd.Series(values), fine, table.index)
    if sets is not None:
        found["set"] = among_all(describe_sets(sets), fine, table.index)
    found["status"] = table.status
    return found


def describe_sets(sets: pd.DataFrame) -> pd.Series:
    """Write each set of classes as a text; "none" for an empty one.

    Examples
    --------
    >>> describe_sets(pd.DataFrame({"a": [True, False], "b": [True, False]})).tolist()
    ['a | b', 'none']
    """
    names = [str(name) for name in sets.columns]
    texts = [
        " | ".join(name for name, inside in zip(names, row, strict=True) if inside) or "none"
        for row in sets.to_numpy()
    ]
    return pd.Series(texts, sets.index, dtype=object)


def _coverages(cohort: ExternalCohort, sets: pd.DataFrame | None, nominal: float) -> pd.DataFrame:
    """Count how many sets hold the class of their case, of all cases and of each class."""
    from scipy.stats import binomtest

    rows: list[dict[str, Any]] = []
    if sets is not None:
        y, inside = cohort.truth["y"], sets.to_numpy()
        holds, sizes = inside[np.arange(len(y)), y], inside.sum(axis=1)
        parts = {str(label): y == k for k, label in enumerate(cohort.model.classes_)}
        for name, own in {"all": np.ones(len(y), dtype=bool), **parts}.items():
            k, n = int(holds[own].sum()), int(own.sum())
            low, high = binomtest(k, n).proportion_ci(LEVEL, method="exact")
            size, alone = sizes[own].mean(), (sizes[own] == 1).mean()
            row = (name, n, nominal, k / n, low, high, size, alone, (sizes[own] == 0).mean())
            rows.append(dict(zip(_COVERAGE, row, strict=True)))
    return pd.DataFrame(rows, columns=_COVERAGE)
