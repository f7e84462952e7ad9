"""Attention of the graphs of a comparison on held-out patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays.patient_graph import graph_picture
from nonredundant.extraction.case_table import Sources
from nonredundant.folds.fitting import Fitted
from nonredundant.folds.outcome import Outcome
from nonredundant.io.errors import CaseError
from nonredundant.lesions.table import LesionTable


@dataclass(frozen=True)
class Attention:
    """Attention of the primary set's graphs on the patients that each fold held out.

    Attributes
    ----------
    table : DataFrame
        `fold`, then the columns of a graph's `explain`.
    pictures : list of dict
        Arguments of `PatientGraphDisplay` for a few patients: per outcome, those with the lowest
        and the highest prediction (of their own class, if there are more than two).
    """

    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    pictures: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class _Shown:
    """A held-out patient: the fit that predicted it, its row in that fold, its prediction."""

    fit: Fitted
    row: int
    position: int
    score: float


def attention_of(
    graphs: Sequence[Fitted],
    lesions: Mapping[int, LesionTable],
    outcome: Outcome,
    sources: Sequence[Sources] | None,
) -> Attention:
    """Explain each held-out patient of the first repeat, and prepare figures of a few.

    Parameters
    ----------
    graphs : sequence of Fitted
        The graphs of one feature set in the first repeat.
    lesions : mapping of int to LesionTable
        The held-out lesions by fold number, with the columns of the set.
    outcome : Outcome
        The outcome of the cohort.
    sources : sequence of Sources or None
        The images, if they are known.

    Returns
    -------
    Attention
        The table and the arguments of the figures.
    """
    tables = [
        fit.model.explain(lesions[fit.fold.fold]).assign(fold=fit.fold.fold) for fit in graphs
    ]
    table = pd.concat(tables, ignore_index=True)
    patients = [
        _Shown(fit, row, int(fit.fold.test[row]), float(score))
        for fit in graphs
        for row, score in enumerate(_own_scores(fit, outcome))
    ]
    names = outcome.states[outcome.strata]
    pictures = [
        _picture(
            table[table["fold"] == shown.fit.fold.fold],
            lesions[shown.fit.fold.fold][[shown.row]],
            f"{names[shown.position]}, predicted {shown.score:.2f}",
            None if sources is None else sources[shown.position],
        )
        for shown in _extremes(patients, outcome.strata)
    ]
    columns = ["fold", *[name for name in table.columns if name != "fold"]]
    return Attention(table[columns], [picture for picture in pictures if picture])


def _own_scores(fit: Fitted, outcome: Outcome) -> np.ndarray:
    """Return the predictions; with several classes, the probability of a patient's own class."""
    if len(outcome.states) <= 2:
        return fit.response[:, -1]
    return fit.response[np.arange(len(fit.response)), outcome.strata[fit.fold.test]]


def _extremes(patients: Sequence[_Shown], codes: np.ndarray) -> list[_Shown]:
    """Return the highest and the lowest prediction per outcome, the last outcome first."""
    chosen = []
    for code in np.unique(codes)[::-1]:
        alike = [patient for patient in patients if codes[patient.position] == code]
        alike.sort(key=lambda patient: patient.score)
        chosen += [alike[-1], alike[0]] if len(alike) > 1 else alike
    return chosen


def _picture(
    table: pd.DataFrame, patient: LesionTable, title: str, source: Sources | None
) -> dict[str, Any] | None:
    """Return the arguments of one figure, with the image if it can be read."""
    if patient.positions is None:
        return None
    label = patient.index[0]
    attention = table[table["sample"] == label]
    plain = {**graph_picture(attention, patient), "title": f"{label}: {title}"}
    if source is None:
        return plain
    try:
        picture = graph_picture(attention, patient, image=source.image, spacing=source.spacing)
    except CaseError:
        # The lesions came from a cache, and the image has been removed since.
        return plain
    return {**plain, **picture}
