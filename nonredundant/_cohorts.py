"""From what the user hands over to one checked table: extraction, labels, failures, scorers."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from nonredundant._feature_sets import pool_samples, size_and_uptake
from nonredundant.lesions import LesionTable

_PACKAGES = (
    "nonredundant",
    "numpy",
    "pandas",
    "scikit-learn",
    "torch",
    "skorch",
    "pyradiomics-cuda",
    "SimpleITK",
)


@dataclass(frozen=True)
class Cohorts:
    """Lesions of the cohort and, after its `n` samples, of the held-out test set."""

    table: LesionTable
    n: int
    cases: pd.DataFrame | None = None
    clinical: Any = None
    extractor: str | None = None
    failed: dict[str, str] = field(default_factory=dict)


def read_cohorts(X: Any, test: tuple[Any, Any] | None, extractor: Any, **settings: Any) -> Cohorts:
    """Return the lesions of both cohorts, extracted once a case.

    Raises
    ------
    TypeError
        If X is neither a LesionTable nor a case table, or the test set is of another kind.
    ValueError
        If `test` is not a pair, or the tables do not match.
    """
    if test is not None and not (isinstance(test, (tuple, list)) and len(test) == 2):
        raise ValueError("test must be a pair (X, y) of held-out cases and their labels")
    held = None if test is None else test[0]
    if isinstance(X, LesionTable):
        if held is not None and not isinstance(held, LesionTable):
            raise TypeError(f"X is a LesionTable, so test must hold one, got {type(held).__name__}")
        return Cohorts(X if held is None else LesionTable.concat([X, held]), len(X))
    if not isinstance(X, pd.DataFrame):
        raise TypeError(
            f"X must be a case table (DataFrame with the column 'image') or a LesionTable, got "
            f"{type(X).__name__}"
        )
    if held is not None and not isinstance(held, pd.DataFrame):
        raise TypeError(f"X is a case table, so test must hold one, got {type(held).__name__}")
    if extractor is None:
        from nonredundant.extraction import RadiomicsExtractor

        extractor = RadiomicsExtractor()
    own = extractor.get_params(deep=False)
    # What the user set on the extractor wins over what the comparison was given.
    unset = {k: v for k, v in settings.items() if k in own and not own[k]}
    plain = clone(extractor).set_params(clinical=None, **unset)
    cases = X
    if held is not None:
        if held.index.isin(X.index).any():
            held = held.set_axis([f"test {label}" for label in held.index], axis=0)
        cases = pd.concat([X, held])
    table = plain.fit(cases).transform(cases)
    return Cohorts(table, len(X), cases, own.get("clinical"), repr(extractor))


def check_labels(
    y: Any, y_test: Any, cohorts: Cohorts
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return class positions of the cohort, the classes, and positions of the test set.

    Raises
    ------
    ValueError
        If lengths differ, labels are missing, there is one class, or a test label is unknown.
    """
    labels = _labels(y, "y", cohorts.n)
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y holds the one class {classes[0]!r}; a comparison needs two or more")
    if len(classes) > max(20, len(labels) // 4):
        raise ValueError(
            f"y holds {len(classes)} different values in {len(labels)} samples: labels must be "
            "classes; cut a continuous outcome into groups first"
        )
    if y_test is None:
        return codes, classes, None
    held = _labels(y_test, "the test set's y", cohorts.table.n_samples - cohorts.n)
    unknown = np.setdiff1d(held, classes)
    if len(unknown):
        raise ValueError(f"the test set has labels that y does not know: {unknown.tolist()}")
    if len(np.unique(held)) < 2:
        raise ValueError(f"the test set holds the one class {held[0]!r}; it cannot rank anything")
    return codes, classes, np.searchsorted(classes, held)


def _labels(y: Any, name: str, n: int) -> np.ndarray:
    """Return labels as an array, none missing and as many as samples."""
    series = pd.Series(np.asarray(y).ravel())
    if len(series) != n:
        raise ValueError(f"{name} has {len(series)} labels but there are {n} samples")
    missing = np.flatnonzero(series.isna())
    if len(missing):
        raise ValueError(
            f"{name} has no label for {len(missing)} samples, at positions "
            f"{missing[:5].tolist()}: drop them or label them"
        )
    values = series.to_numpy()
    return values.astype(str) if values.dtype == object else values


def drop_failed(
    cohorts: Cohorts, codes: np.ndarray, codes_test: np.ndarray | None
) -> tuple[Cohorts, np.ndarray, np.ndarray | None, np.ndarray, list[str]]:
    """Leave out the samples whose extraction failed, and say which.

    Returns the cohorts, both labels, which samples of the cohort were kept, and the messages.
    """
    table = cohorts.table
    fine = (table.status == "ok").to_numpy()
    kept = fine[: cohorts.n]
    if fine.all():
        return cohorts, codes, codes_test, kept, []
    if not kept.any():
        raise ValueError(
            f"none of the {cohorts.n} samples could be extracted; the first because "
            f"{table.status.iloc[0]}"
        )
    lost = table.index[~fine].tolist()
    failed = {str(label): str(table.status[label]) for label in lost}
    message = (
        f"{len(lost)} samples could not be extracted and are left out: {lost[:5]}"
        f"{', …' if len(lost) > 5 else ''}; the first because {next(iter(failed.values()))}"
    )
    rest = replace(
        cohorts,
        table=table[fine],
        n=int(kept.sum()),
        failed=failed,
        cases=None if cohorts.cases is None else cohorts.cases[fine],
    )
    held = None if codes_test is None else codes_test[fine[cohorts.n :]]
    return rest, codes[kept], held, kept, [message]


def resolve_scoring(scoring: Any, n_classes: int) -> dict[str, Any]:
    """Return name → scorer; AUC becomes one against the rest for more than two classes.

    Raises
    ------
    ValueError
        If a name is unknown or none is given.
    """
    from sklearn.metrics import get_scorer

    if isinstance(scoring, Mapping):
        return dict(scoring)
    names: Sequence[Any] = [scoring] if isinstance(scoring, str) or callable(scoring) else scoring
    found: dict[str, Any] = {}
    for name in names:
        if callable(name):
            found[getattr(name, "__name__", "score")] = name
            continue
        name = "roc_auc_ovr" if name == "roc_auc" and n_classes > 2 else name
        try:
            found[name] = get_scorer(name)
        except ValueError as error:
            raise ValueError(
                f"unknown scoring {name!r}: see sklearn.metrics.get_scorer_names()"
            ) from error
    if not found:
        raise ValueError("scoring is empty: name at least one metric, for instance 'roc_auc'")
    return found


def describe(cohorts: Cohorts, y: np.ndarray, classes: np.ndarray) -> dict[str, Any]:
    """Return what a reader must know of the cohort, as JSON types."""
    table = cohorts.table[: cohorts.n]
    cheap = size_and_uptake(table)
    counts = np.bincount(y, minlength=len(classes))
    quartiles = {
        name: [float(q) for q in np.nanpercentile(cheap[name], [25, 50, 75])]
        for name in cheap
        if cheap[name].notna().any()
    }
    clinical = pool_samples(table, table.clinical)
    return {
        "n_samples": cohorts.n,
        "n_lesions": table.n_lesions,
        "n_hcr": len(table.columns_of("hcr")),
        "n_clinical": clinical.shape[1],
        "patch_shape": None if table.patches is None else list(table.patches.shape[1:]),
        "class_counts": {str(k): int(n) for k, n in zip(classes, counts, strict=True)},
        "quartiles": quartiles,
    }


def versions() -> dict[str, str]:
    """Return the versions that a repetition needs."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
