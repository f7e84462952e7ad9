"""The option that selects features inside the folds."""

from __future__ import annotations

from typing import Any


def selection_steps(option: str | None) -> list[Any]:
    """Return the step of the option --select METHOD or METHOD:K; none without it.

    Parameters
    ----------
    option : str or None
        Such as "mrmr:20" or "lasso".

    Returns
    -------
    list of SelectFeatures
        One step, or none.

    Raises
    ------
    ValueError
        If the method is unknown, or the number is none.

    Examples
    --------
    >>> selection_steps("mrmr:20")
    [SelectFeatures(k=20)]
    >>> selection_steps(None)
    []
    """
    from nonredundant.folds.select_features import METHODS, SelectFeatures

    if option is None:
        return []
    method, colon, number = option.partition(":")
    if method not in METHODS or (colon and not (number.isdecimal() and int(number))):
        raise ValueError(
            f"--select {option}: write METHOD or METHOD:K, such as mrmr:20; the methods are "
            f"{', '.join(METHODS)}"
        )
    return [SelectFeatures(method, k=int(number) if colon else None)]
