"""Options of centres: what harmonises them, and folds that leave them out."""

from __future__ import annotations

from typing import Any


def centre_steps(centre: str | None, *, harmonise: bool, leave_out: bool) -> list[Any]:
    """Return the steps of a fold that the options of centres ask for.

    Parameters
    ----------
    centre : str or None
        The column of centres, of --centre.
    harmonise, leave_out : bool
        The options --harmonise and --leave-centre-out.

    Returns
    -------
    list of transformer
        A harmonisation, or nothing. Samples of a centre that a fold has not seen, as where each is
        left out, are kept as they are, with a warning.

    Raises
    ------
    ValueError
        If no column of centres is named.
    """
    from nonredundant.folds.harmonise import Harmonise

    for option, chosen in (("--harmonise", harmonise), ("--leave-centre-out", leave_out)):
        if chosen and centre is None:
            raise ValueError(f"{option} needs the column of centres: --centre COL")
    return [Harmonise(centre, unseen="reference")] if harmonise and centre is not None else []


def folds_of(folds: int, *, leave_out: bool) -> int | str:
    """Return the folds: their number, or one per centre.

    Examples
    --------
    >>> folds_of(5, leave_out=False), folds_of(5, leave_out=True)
    (5, 'centre')
    """
    return "centre" if leave_out else folds
