"""The front door: read cases, outcome, groups and steps, and what of them can be used.

`read_cohort` checks everything that is known before an image is read, which may take hours;
`Given.read` then extracts the lesions and leaves out the cases that failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from nonredundant.evaluation.groups import check_distinct, check_groups, read_groups
from nonredundant.evaluation.leaks import check_held_out, check_target
from nonredundant.extraction.case_embeddings import listed_embedding_columns
from nonredundant.extraction.case_table import (
    Sources,
    check_case_table,
    check_cells,
    read_image_rows,
    read_rows,
    sample_columns,
    source_columns,
)
from nonredundant.extraction.extractor import RadiomicsExtractor
from nonredundant.extraction.image_options import check_images
from nonredundant.extraction.one_case import UNREADABLE
from nonredundant.folds.centres import removed_outcomes
from nonredundant.folds.cohort import Cohort
from nonredundant.folds.outcome import Outcome, read_outcome
from nonredundant.folds.steps import (
    Step,
    check_clinical_cells,
    check_steps,
    clinical_steps,
    named_columns,
)
from nonredundant.lesions.features import check_usable
from nonredundant.lesions.labels import align
from nonredundant.lesions.table import LesionTable
from nonredundant.models.sample_categories import named_categories


class NoCaseError(ValueError):
    """A cohort of which no case could be read; `status` says why, case by case."""

    def __init__(self, status: pd.Series) -> None:
        super().__init__(
            f"none of the {len(status)} samples could be extracted; the first because "
            f"{status.iloc[0]}"
        )
        self.status = status


@dataclass(frozen=True)
class Read:
    """A cohort that has been read.

    Attributes
    ----------
    cohort : Cohort
        The samples that could be measured.
    kept : bool array
        Which of the given cases of the cohort, without the test set, they are.
    sources : list of Sources or None
        Their images, of several the first; None if lesions were given.
    extractor : transformer or None
        The fitted extractor, without its clinical columns; None if lesions were given.
    messages : list of str
        What there is to tell about cases that were lost, and about centres of one class.
    """

    cohort: Cohort
    kept: np.ndarray
    sources: list[Sources] | None
    extractor: Any
    messages: list[str]


@dataclass(frozen=True)
class Given:
    """Cases before any image is read, checked.

    Attributes
    ----------
    X, held : DataFrame or LesionTable
        The cases of the cohort, and of the held-out test set if there is one.
    outcome : Outcome
        Their outcome.
    steps : list of (str, transformer)
        The untrained steps, the encoding of clinical columns first.
    extractor : transformer or None
        For case tables.
    groups, held_groups : array or None
        Groups of the cases.
    centres : array or None
        Centres of the cases of the cohort.
    """

    X: Any
    held: Any
    outcome: Outcome
    steps: list[Step]
    extractor: Any
    groups: np.ndarray | None
    held_groups: np.ndarray | None
    centres: np.ndarray | None

    @property
    def embeddings(self) -> list[str]:
        """Names of the given embeddings, of lesions or of an extractor, also in a pipeline."""
        if isinstance(self.X, LesionTable):
            return self.X.embedding_names
        return [str(name) for name in _embeddings(self.extractor)]

    def parts(self) -> dict[str, Any]:
        """Return the untrained steps, by what they are in messages."""
        return {f"the step {name!r}": step for name, step in self.steps}

    def read(self, *, shared_test: bool = False, **settings: Any) -> Read:
        """Extract or join the lesions, and leave out the cases that failed.

        Parameters
        ----------
        shared_test : bool
            Accept a test set that shares patients, files or voxels with the cohort.
        **settings
            Parameters for the extractor, where it has none of its own.

        Returns
        -------
        Read
            The cohort.

        Raises
        ------
        ValueError
            If the tables do not match, the test set shares patients, files or voxels with the
            cohort, no case could be extracted, or too few classes are left.
        """
        X, held = self.X, self.held
        extractor, sources = None, None
        if isinstance(X, LesionTable):
            table = X if held is None else LesionTable.concat([X, _labelled_apart(held, X)])
        else:
            cases = X if held is None else pd.concat([X, _labelled_apart(held, X)])
            extractor, table = _extract(cases, self.extractor, settings)
            sources = _first_images(cases, extractor)
        if held is not None and not shared_test:
            check_held_out(X, held, table)
        n, fine = len(X), (table.status == "ok").to_numpy()
        failed, messages = _failed(table, n)
        outcome = self.outcome.take(fine[:n], fine[n:])
        outcome.check("y")
        cohort = Cohort(
            table=table if fine.all() else table[fine],
            outcome=outcome,
            steps=self.steps,
            groups=None if self.groups is None else self.groups[fine[:n]],
            test_groups=None if self.held_groups is None else self.held_groups[fine[n:]],
            centres=None if self.centres is None else self.centres[fine[:n]],
            extractor=None if extractor is None else repr(_own(self.extractor)),
            failed=failed,
            flow=count_cases(table.status[:n]),
        )
        messages += removed_outcomes(self.steps, cohort.table[: cohort.n], cohort.outcome)
        if sources is not None:
            sources = [source for source, ok in zip(sources, fine, strict=True) if ok]
        return Read(cohort, fine[:n], sources, extractor, messages)


def read_cohort(
    X: Any,
    y: Any,
    *,
    caller: str,
    test: Any = None,
    groups: Any = None,
    extractor: Any = None,
    steps: Any = (),
    centre: str | None = None,
    models: Sequence[Any] = (),
    continuous: bool = False,
    ids_are_groups: bool = False,
) -> Given:
    """Check cases, outcome, groups and steps before an image is read.

    Parameters
    ----------
    X : DataFrame or LesionTable
        The cases of the cohort.
    y : array-like
        Their labels or times to an event.
    caller : str
        Whose parameters they are, for messages.
    test : tuple (X, y) or (X, y, groups), optional
        The held-out test set.
    groups : array-like or str, optional
        The groups of the cohort, or the column of the cases that holds them, also of the test set.
    extractor : transformer, optional
        For a case table.
    steps : list of transformers
        Steps of each fold, after the encoding of the extractor's clinical columns.
    centre : str, optional
        The column of the cases that holds their centre.
    models : sequence of estimator or None
        The untrained network and the reduction of embeddings, which may name columns of samples.
    continuous : bool
        Whether labels are numbers to be predicted, not classes.
    ids_are_groups : bool
        Whether cases with the same id make a group where no groups are given. Otherwise repeated
        ids are refused.

    Returns
    -------
    Given
        What was given, checked; its `read` extracts the lesions.

    Raises
    ------
    TypeError
        If X is neither a case table nor a LesionTable.
    ValueError
        If cases, outcome and groups do not fit together, or the outcome is among the clinical
        columns.
    """
    held, y_held, held_groups = _split_test(test)
    steps = _read_steps(X, held, extractor, steps, caller)
    y = align(y, X, "y")
    outcomes = {*getattr(y, "columns", ()), getattr(y, "name", None)}
    is_table = isinstance(X, LesionTable)
    listed = listed_embedding_columns({} if is_table else _embeddings(extractor))
    named = [*named_columns(steps), *chain.from_iterable(map(named_categories, models))]
    check_target(y, X, [*named, *(c for c in listed if c in outcomes)])
    groups, held_groups = _read_groups(X, held, groups, held_groups)
    if ids_are_groups:
        groups = read_groups(groups, X)
    else:
        check_distinct(X, groups)
        groups = None if groups is None else check_groups(groups, X)
    if held is not None:
        y_held = align(y_held, held, "the test set's y")
        held_groups = None if held_groups is None else check_groups(held_groups, held)
    centres = None
    if centre is not None:
        centres = check_groups(_named_column([X], centre, "centre")[0], X, "centre")
    n_held = 0 if held is None else len(held)
    outcome = read_outcome(y, y_held, len(X), n_held, continuous=continuous)
    return Given(X, held, outcome, steps, extractor, groups, held_groups, centres)


def _read_steps(X: Any, held: Any, extractor: Any, steps: Any, caller: str) -> list[Any]:
    """Return the steps of each fold, the encoding of clinical columns first, after checks."""
    is_table = isinstance(X, LesionTable)
    clinical = {} if is_table else _clinical_parameters(extractor)
    encoders = [step for columns in clinical.values() for step in clinical_steps(columns)]
    _check_cases(X, held, extractor, named_columns(encoders))
    every = check_steps([*encoders, *check_steps(steps, caller)], caller)
    if held is not None and is_table and every:
        _check_same_sources(X.samples, held.samples, list(X.samples.columns))
    for cases in (X,) if held is None else (X, held):
        check_clinical_cells(every, _sample_columns(cases))
    return every


def _first_images(cases: pd.DataFrame, extractor: Any) -> list[Sources] | None:
    """Return the image of each case, of several the first; None if it is not known which."""
    images, root = getattr(extractor, "images", None), getattr(extractor, "root", None)
    if images:
        return [row.first for row in read_image_rows(cases, list(images), root)]
    # Extractors of the user's own may read other columns.
    return read_rows(cases, root) if "image" in cases else None


def _split_test(test: Any) -> tuple[Any, Any, Any]:
    """Return cases, labels and groups of the test set."""
    if test is None:
        return None, None, None
    if not isinstance(test, tuple | list) or len(test) not in (2, 3):
        raise ValueError("test must be a pair (X, y) of held-out cases and their labels")
    return test[0], test[1], test[2] if len(test) == 3 else None


def _read_groups(X: Any, held: Any, groups: Any, held_groups: Any) -> tuple[Any, Any]:
    """Return the groups of cohort and test set, where a column is named those of that column."""
    if not isinstance(groups, str):
        return groups, held_groups
    every = [X] if held is None else [X, held]
    columns = _named_column(every, groups, "groups")
    return columns[0], None if held is None else columns[1]


def _named_column(every: list[Any], column: str, parameter: str) -> list[pd.Series]:
    """Return the column of the cohort, and of the test set, that a parameter names."""
    samples = [_sample_columns(cases) for cases in every]
    missing = [list(frame.columns) for frame in samples if column not in frame.columns]
    if missing:
        raise ValueError(
            f"{parameter}={column!r} is no column of the cases: they have {missing[0]}; name one "
            "that cohort and test set have, or give groups as an array with one per sample"
        )
    for frame in samples:
        check_cells(frame, [column], parameter)
    return [frame[column] for frame in samples]


def _sample_columns(cases: Any) -> pd.DataFrame:
    """Return the columns of the samples of a case table or of lesions."""
    return cases.samples if isinstance(cases, LesionTable) else cases


def _labelled_apart(held: Any, X: Any) -> Any:
    """Return the cases of the test set under labels that those of the cohort do not have."""
    if not held.index.isin(X.index).any():
        return held
    labels = [f"test {label}" for label in held.index]
    if isinstance(held, LesionTable):
        return held.replace(index=labels)
    return held.set_axis(labels, axis=0)


def _extract(
    cases: pd.DataFrame, extractor: Any, settings: Mapping[str, Any]
) -> tuple[Any, LesionTable]:
    """Return the fitted extractor, without its clinical columns, and the lesions."""
    plain = clone(_own(extractor))
    params = plain.get_params(deep=False)
    # Parameters of the extractor take precedence over those of the comparison.
    unset = {name: v for name, v in settings.items() if name in params and not params[name]}
    # A step of each fold encodes clinical columns.
    plain.set_params(**unset, **dict.fromkeys(_clinical_parameters(plain)))
    table = plain.fit(cases).transform(cases)
    if not table.samples.shape[1]:
        table = table.replace(samples=sample_columns(cases))
    return plain, table


def _clinical_parameters(extractor: Any) -> dict[str, Any]:
    """Return what an extractor, or one within a pipeline, is told of clinical columns, by name."""
    if extractor is None:
        return {}
    params = extractor.get_params(deep=True)
    return {name: v for name, v in params.items() if name.rpartition("__")[2] == "clinical"}


def _embeddings(extractor: Any) -> dict[Any, Any]:
    """Return the embeddings that an extractor, or one within a pipeline, is given."""
    params = {} if extractor is None else extractor.get_params(deep=True)
    found = [v for name, v in params.items() if name.rpartition("__")[2] == "embeddings"]
    return {name: source for given in found if given for name, source in given.items()}


def _own(extractor: Any) -> Any:
    """Return the extractor, the default one if there is none."""
    return RadiomicsExtractor() if extractor is None else extractor


def _failed(table: LesionTable, n: int) -> tuple[dict[str, str], list[str]]:
    """Return the reasons of the cases that failed, and the message about them."""
    lost = table.status[table.status != "ok"]
    if lost.empty:
        return {}, []
    if (table.status[:n] != "ok").all():
        raise NoCaseError(table.status[:n])
    failed = {str(label): str(reason) for label, reason in lost.items()}
    labels = lost.index.tolist()
    return failed, [
        f"{len(labels)} samples could not be extracted and are left out: {labels[:5]}"
        f"{', …' if len(labels) > 5 else ''}; the first because {next(iter(failed.values()))}"
    ]


def _check_cases(X: Any, held: Any, extractor: Any, clinical: list[Any]) -> None:
    """Check the cohort and the held-out test set before anything is extracted.

    Raises
    ------
    TypeError
        If X is neither a LesionTable nor a case table, or the test set is of another type.
    ValueError
        If a table is empty, features are text or infinite, or one of two case tables lacks
        columns.
    """
    if isinstance(X, LesionTable):
        if held is not None and not isinstance(held, LesionTable):
            raise TypeError(f"X is a LesionTable, so test must hold one, got {type(held).__name__}")
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
    if extractor is None or isinstance(extractor, RadiomicsExtractor):
        # Extractors of the user's own may read other columns.
        whole = getattr(extractor, "whole_image", False)
        images = check_images(getattr(extractor, "images", None))
        check_case_table(X, clinical, whole_image=whole, images=images)
    if held is not None:
        if not isinstance(held, pd.DataFrame):
            raise TypeError(f"X is a case table, so test must hold one, got {type(held).__name__}")
        _check_same_sources(X, held, clinical)


def _check_same_sources(X: pd.DataFrame, held: pd.DataFrame, clinical: list[Any]) -> None:
    """Raise if one of two case tables lacks a column of sources or clinical variables."""
    wanted = list(dict.fromkeys([*source_columns(X), *source_columns(held), *clinical]))
    for name, table, other in (("the test set", held, X), ("X", X, held)):
        missing = [c for c in wanted if c in other.columns and c not in table.columns]
        if missing:
            raise ValueError(
                f"{name} lacks the columns {missing}; it has {list(table.columns)}. Cohort and "
                "test set need the same images, masks and clinical columns"
            )


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
