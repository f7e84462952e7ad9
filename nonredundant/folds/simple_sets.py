"""The simple feature sets that a network is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from nonredundant.lesions.dissemination import COLUMNS as DISSEMINATION
from nonredundant.lesions.dissemination import dissemination_features, has_dissemination
from nonredundant.lesions.measures import size_and_uptake
from nonredundant.lesions.table import LesionTable


@dataclass(frozen=True)
class SimpleSet:
    """A feature set of a few columns that are computed without radiomics and without a network.

    Attributes
    ----------
    name : str
        Name of the feature set.
    columns : tuple of str
        Columns of `measure` that make the set.
    measure : callable
        Computes columns of a `LesionTable`, one row per sample.
    is_measurable : callable
        Whether a `LesionTable` has what `measure` needs.
    needs : str
        What `measure` needs, for the error message.
    must_vary : bool
        Whether the set is added only if each of its columns varies between samples.
    several_lesions : bool
        Whether the set is added only if samples have several lesions.
    """

    name: str
    columns: tuple[str, ...]
    measure: Callable[[LesionTable], pd.DataFrame]
    is_measurable: Callable[[LesionTable], bool] = lambda _: True
    needs: str = ""
    must_vary: bool = True
    several_lesions: bool = False


#: Every simple baseline. A new one is added here and nowhere else.
_SIMPLE = (
    SimpleSet("volume", ("volume",), size_and_uptake),
    SimpleSet("max intensity", ("maximum",), size_and_uptake),
    SimpleSet("volume + max intensity", ("volume", "maximum"), size_and_uptake),
    SimpleSet(
        "dissemination",
        DISSEMINATION,
        dissemination_features,
        is_measurable=has_dissemination,
        needs="the positions and volumes of lesions: extract them with the feature class 'shape'",
        must_vary=False,
        several_lesions=True,
    ),
)
SIMPLE = {one.name: one for one in _SIMPLE}
#: Feature sets that are added by default, in this order.
BASELINES = (*SIMPLE, "HCR+PCA", "HCR+DLR-residual")


def measure_simple(table: LesionTable, columns: Sequence[str]) -> pd.DataFrame:
    """Compute the columns of simple baselines, one row per sample."""
    by_column = _by_column()
    measures = dict.fromkeys(by_column[column].measure for column in columns)
    return pd.concat([measure(table) for measure in measures], axis=1)[list(columns)]


def constant_columns(table: LesionTable) -> list[str]:
    """Return the columns of baselines that are unknown or constant and should vary."""
    wanted = dict.fromkeys(c for one in SIMPLE.values() if one.must_vary for c in one.columns)
    by_column = _by_column()
    known = [column for column in wanted if by_column[column].is_measurable(table)]
    values = measure_simple(table, known)
    return [column for column in known if values[column].nunique() < 2]


def _by_column() -> dict[str, SimpleSet]:
    """Return a baseline that measures each column."""
    return {column: one for one in SIMPLE.values() for column in one.columns}
