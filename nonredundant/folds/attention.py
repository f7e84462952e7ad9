"""Attention of the graphs of a comparison on held-out patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays.patient_graph import graph_picture
from nonredundant.extraction.case_table import Sources
from nonredundant.folds.fitting import Fitted
from nonredundant.folds.splits import Fold
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


def attention_of(
    fitted: Sequence[Fitted],
    folds: Sequence[Fold],
    lesions: dict[int, LesionTable],
    codes: np.ndarray,
    states: np.ndarray,
    sources: Sequence[Sources] | None,
) -> Attention:
    """Explain each held-out patient of the first repeat, and prepare figures of a few.

    Parameters
    ----------
    fitted : sequence of Fitted
        The graphs of one feature set.
    folds : sequence of Fold
        The folds.
    lesions : dict of int to LesionTable
        The set's lesions by fold number, of the first repeat.
    codes : int array of shape (n_samples,)
        Position of each sample's outcome.
    states : array of shape (n_states,)
        Names of the outcomes.
    sources : sequence of Sources or None
        The images, if they are known.

    Returns
    -------
    Attention
        The table and the arguments of the figures.
    """
    parts, shown = [], []
    for one in fitted:
        if one.repeat:
            continue
        fold = next(f for f in folds if (f.repeat, f.fold) == (0, one.fold))
        held = lesions[one.fold][fold.test]
        found = one.model.explain(held)
        parts.append(found.assign(fold=one.fold))
        score = one.response[:, -1]
        if len(states) > 2:
            # With several classes, the prediction is the probability of the patient's own class.
            score = one.response[np.arange(len(score)), codes[fold.test]]
        rows = zip(fold.test, score, strict=True)
        shown += [(one, int(row), float(value)) for row, value in rows]
    if not parts:
        return Attention()
    table = pd.concat(parts, ignore_index=True)
    chosen = _extremes(shown, codes)
    names = states[codes]
    pictures = [_picture(table, lesions, names, sources, *one) for one in chosen]
    columns = ["fold", *[name for name in table.columns if name != "fold"]]
    return Attention(table[columns], [picture for picture in pictures if picture])


def _extremes(
    shown: list[tuple[Fitted, int, float]], codes: np.ndarray
) -> list[tuple[Fitted, int, float]]:
    """Return the highest and the lowest prediction per outcome, the last outcome first."""
    found = []
    for code in np.unique(codes)[::-1]:
        own = sorted((one for one in shown if codes[one[1]] == code), key=lambda one: one[2])
        found += [own[-1], own[0]] if len(own) > 1 else own
    return found


def _picture(
    table: pd.DataFrame,
    lesions: dict[int, LesionTable],
    states: np.ndarray,
    sources: Sequence[Sources] | None,
    one: Fitted,
    row: int,
    score: float,
) -> dict[str, Any] | None:
    """Return the arguments of one figure, with the image if it can be read."""
    patient = lesions[one.fold][[row]]
    if patient.positions is None:
        return None
    label = patient.index[0]
    attention = table[(table["sample"] == label) & (table["fold"] == one.fold)]
    title = f"{label}: {states[row]}, predicted {score:.2f}"
    plain = {**graph_picture(attention, patient), "title": title}
    if sources is None:
        return plain
    image, spacing = sources[row].image, sources[row].spacing
    try:
        return {**plain, **graph_picture(attention, patient, image=image, spacing=spacing)}
    except CaseError:
        # The lesions came from a cache, and the image has been removed since.
        return plain
