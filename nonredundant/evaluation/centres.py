"""Checks of a comparison that leaves out centres, before any image is read."""

from __future__ import annotations

from typing import Any

from nonredundant.folds.harmonise import Harmonise
from nonredundant.folds.steps import Step


def check_leave_centre_out(centres: Any, steps: list[Step]) -> None:
    """Raise unless centres are known, and steps take a centre that they have not seen.

    Parameters
    ----------
    centres : array or None
        The centres of the cases.
    steps : list of (str, transformer)
        The steps of each fold.

    Raises
    ------
    ValueError
        If there are no centres, or a harmonisation would refuse the centre that is held out.

    Examples
    --------
    >>> check_leave_centre_out(["Lyon", "Paris"], [("even", Harmonise(unseen="reference"))])
    """
    if centres is None:
        raise ValueError(
            "cv='centre' leaves out one centre after the other: name the column that holds them, "
            "for instance centre='hospital'"
        )
    for name, step in steps:
        if isinstance(step, Harmonise) and step.unseen == "refuse":
            raise ValueError(
                f"cv='centre' holds out centres that the step {name!r} cannot have seen, and it "
                "refuses them: set Harmonise(unseen='reference'), which leaves their features as "
                "they are"
            )
