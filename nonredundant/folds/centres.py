"""Folds that each leave out one centre, and what of a centre keeps it from being left out."""

from __future__ import annotations

from typing import Any

import numpy as np

from nonredundant.folds.harmonise import Harmonise
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.steps import Step
from nonredundant.lesions.labels import category_name
from nonredundant.lesions.table import LesionTable

#: The value of `cv` that leaves out one centre after the other.
CENTRE = "centre"
#: With fewer samples of a class in a centre, an AUC there says nothing.
LEAST_OF_CLASS = 3


def leave_one_centre_out(
    centres: Any, outcome: Outcome
) -> tuple[list[tuple[np.ndarray, np.ndarray]], dict[str, str]]:
    """Split samples by centre.

    Parameters
    ----------
    centres : array of shape (n_samples,)
        The centre of each sample.
    outcome : Outcome
        The outcome of the samples.

    Returns
    -------
    splits : list of (train, test)
        Positions of all other samples and of those of one centre, in the order of the names.
    left_in : dict of str to str
        The centres that are always trained on, since an outcome has too few samples there, and why.

    Raises
    ------
    ValueError
        If fewer than two centres can be held out.
    """
    names = centre_names(centres)
    splits, left_in = [], {}
    for name in sorted(set(names)):
        rows = names == name
        reason = _few(outcome, rows)
        if reason:
            left_in[name] = reason
        else:
            splits.append((np.flatnonzero(~rows), np.flatnonzero(rows)))
    if len(splits) < 2:
        why = "; ".join(f"{name} has {reason}" for name, reason in left_in.items())
        raise ValueError(
            f"cv='centre' needs two centres with {LEAST_OF_CLASS} samples of every class, and "
            f"there are {len(splits)} of {len(set(names))}{': ' if why else ''}{why}; use folds "
            "of all centres, such as cv=5"
        )
    return splits, left_in


def centre_names(centres: Any) -> np.ndarray:
    """Return the name of the centre of each sample as text."""
    return np.array([category_name(one) for one in centres], dtype=object)


def _few(outcome: Outcome, rows: np.ndarray) -> str:
    """Return what is too few among some samples to score there; empty if nothing is."""
    if outcome.kind == "numbers":
        n, varies = int(rows.sum()), np.ptp(outcome.y[rows]) > 0
        return "" if varies and n >= LEAST_OF_CLASS else f"{n} samples of different outcome"
    found = []
    for k in np.unique(outcome.strata):
        n = int((outcome.strata[rows] == k).sum())
        if n < LEAST_OF_CLASS:
            found.append(f"{n or 'no'} sample{'s' if n != 1 else ''} of {str(outcome.states[k])!r}")
    return " and ".join(found)


def unnamed_centre(steps: list[Step], centres: Any, *, learns: bool) -> list[str]:
    """Tell that tests do not know the centre that a step removes from known features.

    Parameters
    ----------
    steps : list of (str, transformer)
        The steps of each fold.
    centres : array or None
        The centres, if the comparison was told.
    learns : bool
        Whether a feature set has learned features, which may still know the centre.

    Returns
    -------
    list of str
        The message, if there is something to tell.
    """
    names = [step.centre for _, step in steps if isinstance(step, Harmonise)]
    if centres is not None or not names or not learns:
        return []
    return [
        "Harmonise takes the centre out of the known features, not out of what networks learn: "
        f"name it, centre={names[0]!r}, so that tests of added information permute within centres"
    ]


def removed_outcomes(steps: list[Step], table: LesionTable, outcome: Outcome) -> list[str]:
    """Tell the centres of one class, whose outcome a harmonisation removes with the centre.

    Parameters
    ----------
    steps : list of (str, transformer)
        The steps of each fold.
    table : LesionTable
        The samples of the cohort.
    outcome : Outcome
        Their outcome.

    Returns
    -------
    list of str
        A message per step of `Harmonise`, if there is something to tell.
    """
    told: list[str] = []
    if outcome.kind == "numbers":
        return told
    for _, step in steps:
        if not isinstance(step, Harmonise) or step.centre not in table.samples:
            continue
        names = centre_names(table.samples[step.centre])
        one_class = [
            f"{name} ({(names == name).sum()})"
            for name in sorted(set(names))
            if len(np.unique(outcome.strata[names == name])) == 1
        ]
        if one_class:
            told.append(
                "in centres whose samples are all of one class, Harmonise removes the outcome "
                f"with the centre: {', '.join(one_class)}"
            )
    return told
