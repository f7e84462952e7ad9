"""Reading of the cohort, and the scorers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import get_scorer

from nonredundant.evaluation.identity import check_held_out
from nonredundant.extraction.case_table import SOURCE_COLUMNS, check_case_table, clinical_sources
from nonredundant.extraction.extractor import RadiomicsExtractor
from nonredundant.extraction.measurement import UNREADABLE
from nonredundant.folds.outcome import CONCORDANCE, Outcome, concordance_scorer
from nonredundant.lesions.features import check_usable
from nonredundant.lesions.table import LesionTable


@dataclass(frozen=True)
class Cohorts:
    """Lesions of the cohort's `n` samples, followed by those of the held-out test set."""

    table: LesionTable
    n: int
    cases: pd.DataFrame | None = None
    clinical: Any = None
    extractor: str | None = None
    root: Any = None
    failed: dict[str, str] = field(default_factory=dict)
    flow: tuple[tuple[str, int, str], ...] = ()

    @property
    def has_clinical(self) -> bool:
        """Whether there are clinical columns, in the table or to be encoded in each fold."""
        return self.clinical is not None or bool(self.table.columns_of("clinical"))


def check_cases(X: Any, test: tuple[Any, Any] | None, extractor: Any) -> None:
    """Check the cohort and the held-out test set before anything is extracted.

    Raises
    ------
    TypeError
        If X is neither a LesionTable nor a case table, or the test set is of another type.
    ValueError
        If `test` is not a pair, a table is empty, features are text or infinite, or one of two
        case tables lacks columns.
    """
    if test is not None and not (isinstance(test, (tuple, list)) and len(test) == 2):
        raise ValueError("test must be a pair (X, y) of held-out cases and their labels")
    held = None if test is None else test[0]
    if isinstance(X, LesionTable):
        if held is not None and not isinstance(held, LesionTable):
            kind = type(held).__name__
            raise TypeError(f"X is a LesionTable, so test must hold one, got {kind}")
        check_usable(X)
        if held is not None:
            check_usable(held, "the test set")
        return
    if not isinstance(X, pd.DataFrame):
        raise TypeError(
            "X must be a case table (DataFrame with the columns 'image' and 'mask') or a "
            f"LesionTable, got {type(X).__name__}; features in a DataFrame become one by "
            "LesionTable(features), saved lesions by LesionTable.load(path)"
        )
    clinical = getattr(extractor, "clinical", None)
    if extractor is None or isinstance(extractor, RadiomicsExtractor):
        # Extractors of the user's own may read other columns.
        whole = getattr(extractor, "whole_image", False)
        check_case_table(X, clinical_sources(clinical), whole_image=whole)
    if held is not None:
        if not isinstance(held, pd.DataFrame):
            raise TypeError(f"X is a case table, so test must hold one, got {type(held).__name__}")
        _check_same_sources(X, held, clinical)


def read_cohorts(
    X: Any,
    test: tuple[Any, Any] | None,
    extractor: Any,
    *,
    shared_test: bool = False,
    **settings: Any,
) -> Cohorts:
    """Extract or join the lesions of the checked cohort and of the held-out test set.

    Raises
    ------
    ValueError
        If the tables do not match, or, without `shared_test`, the test set shares patients, files
        or voxels with the cohort.
    """
    held = None if test is None else test[0]
    if isinstance(X, LesionTable):
        cohorts = _read_tables(X, held)
    else:
        cohorts = _extract(X, held, extractor, settings)
    if held is not None and not shared_test:
        check_held_out(X, held, cohorts.table)
    return cohorts


def _read_tables(X: LesionTable, held: Any) -> Cohorts:
    """Join the lesions of the cohort and of the test set."""
    if held is None:
        return Cohorts(X, len(X))
    shown = held
    if held.index.isin(X.index).any():
        shown = held.replace(index=[f"test {label}" for label in held.index])
    return Cohorts(LesionTable.concat([X, shown]), len(X))


def _extract(
    X: pd.DataFrame, held: pd.DataFrame | None, extractor: Any, settings: Mapping[str, Any]
) -> Cohorts:
    """Extract the lesions of the cohort and of the test set."""
    if extractor is None:
        extractor = RadiomicsExtractor()
    own = extractor.get_params(deep=False)
    # Parameters of the extractor take precedence over those of the comparison.
    unset = {k: v for k, v in settings.items() if k in own and not own[k]}
    plain = clone(extractor).set_params(clinical=None, **unset)
    cases = X
    if held is not None:
        shown = held
        if held.index.isin(X.index).any():
            shown = held.set_axis([f"test {label}" for label in held.index], axis=0)
        cases = pd.concat([X, shown])
    table = plain.fit(cases).transform(cases)
    return Cohorts(table, len(X), cases, own.get("clinical"), repr(extractor), own.get("root"))


def _check_same_sources(X: pd.DataFrame, held: pd.DataFrame, clinical: Any) -> None:
    """Raise if one of two case tables lacks a column of sources or clinical variables."""
    wanted = [*SOURCE_COLUMNS, *clinical_sources(clinical)]
    for name, table, other in (("the test set", held, X), ("X", X, held)):
        missing = [c for c in wanted if c in other.columns and c not in table.columns]
        if missing:
            raise ValueError(
                f"{name} lacks the columns {missing}; it has {list(table.columns)}. Cohort and "
                "test set need the same images, masks and clinical columns"
            )


def drop_failed(
    cohorts: Cohorts, outcome: Outcome
) -> tuple[Cohorts, Outcome, np.ndarray, list[str]]:
    """Leave out the samples whose extraction failed.

    Returns the cohorts, the outcome, a mask of the cohort's samples that are kept, and messages.
    """
    table = cohorts.table
    fine = (table.status == "ok").to_numpy()
    kept = fine[: cohorts.n]
    cohorts = replace(cohorts, flow=count_cases(table.status[: cohorts.n]))
    if fine.all():
        return cohorts, outcome, kept, []
    if not kept.any():
        raise ValueError(
            f"none of the {cohorts.n} samples could be extracted; the first because "
            f"{table.status.iloc[0]}"
        )
    lost = table.index[~fine].tolist()
    reasons = zip(lost, table.status[~fine], strict=True)
    failed = {str(label): str(reason) for label, reason in reasons}
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
    return rest, outcome.take(kept, fine[cohorts.n :]), kept, [message]


def count_cases(status: pd.Series) -> tuple[tuple[str, int, str], ...]:
    """Count the cases of a cohort that were given, could be read, and could be measured.

    Each entry is a stage, the number of cases left, and how many were lost at it and why.
    """
    failed = status[status != "ok"]
    unreadable = failed.str.startswith(UNREADABLE)
    n_read = len(status) - int(unreadable.sum())
    return (
        ("given", len(status), ""),
        ("read", n_read, _losses(failed[unreadable].str.removeprefix(UNREADABLE))),
        ("usable", len(status) - len(failed), _losses(failed[~unreadable])),
    )


def _losses(reasons: pd.Series) -> str:
    """Describe lost cases: their number, their labels and the first reason."""
    if reasons.empty:
        return ""
    labels = ", ".join(map(str, reasons.index[:5]))
    more = ", …" if len(reasons) > 5 else ""
    return f"{len(reasons)} lost: {labels}{more}; the first because {reasons.iloc[0]}"


def resolve_scoring(scoring: Any, outcome: Outcome) -> dict[str, Any]:
    """Return the scorers by name; with more than two classes, AUC is one against the rest.

    Times to an event are scored by their concordance.

    Raises
    ------
    ValueError
        If a name is unknown, none is given, or a metric of classes is used on times to an event.
    """
    if outcome.is_survival:
        wanted = [scoring] if isinstance(scoring, str) else list(scoring)
        if wanted not in (["roc_auc"], [CONCORDANCE]):
            raise ValueError(
                f"times to an event are scored by {CONCORDANCE!r} alone, got scoring={scoring!r}"
            )
        return {CONCORDANCE: concordance_scorer}
    n_classes = len(outcome.classes)
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
