"""The columns of one feature set, selected on the training samples of one fold."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from nonredundant.folds.feature_sets import FeatureSet
from nonredundant.folds.fold_data import FoldData
from nonredundant.folds.networks import PatchEncoder
from nonredundant.folds.patient_level import PatientLevel, lesion_set
from nonredundant.folds.selection import SelectHCR, Selection
from nonredundant.folds.simple_sets import measure_simple
from nonredundant.lesions.table import LesionTable


@dataclass(frozen=True)
class Blocks:
    """A feature set as columns: the known ones and the learned block, one row per sample.

    For late fusion, `part` is the number of the model that each column goes to; else it is empty.
    """

    base: pd.DataFrame
    added: pd.DataFrame
    part: tuple[int, ...] = ()

    @property
    def matrix(self) -> np.ndarray:
        """Both blocks side by side."""
        return np.hstack([self.base.to_numpy(dtype=float), self.added.to_numpy(dtype=float)])

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the matrix."""
        return [*map(str, self.base.columns), *map(str, self.added.columns)]

    @property
    def is_fused(self) -> bool:
        """Whether there are learned columns beside known columns."""
        return bool(self.base.shape[1] and self.added.shape[1])

    @property
    def n_known(self) -> int:
        """Number of columns of the first block; learned columns alone count as known."""
        return self.base.shape[1] or self.added.shape[1]

    def __len__(self) -> int:
        return len(self.base)

    def __getitem__(self, rows: np.ndarray) -> Blocks:
        """Select samples by their positions."""
        return replace(self, base=self.base.iloc[rows], added=self.added.iloc[rows])

    def block(self, number: int) -> Blocks:
        """Return the columns that go to one model of a late fusion."""
        own = np.array(self.part) == number
        n_base = self.base.shape[1]
        return Blocks(self.base.loc[:, own[:n_base]], self.added.loc[:, own[n_base:]])


class Representation:
    """The columns of one feature set, of samples or, for a graph, of lesions.

    Parameters
    ----------
    feature_set : FeatureSet
        The set.
    level : PatientLevel
        How several lesions of a sample are pooled.
    graph : bool
        Whether to keep lesions apart for a graph.

    Attributes
    ----------
    selector_ : SelectHCR
        The hand-crafted columns that were selected on the training samples.
    encoder_ : PatchEncoder or None
        The transformer of patches, if the set has learned features.
    """

    def __init__(self, feature_set: FeatureSet, level: PatientLevel, *, graph: bool) -> None:
        self.feature_set = feature_set
        self.level = level
        self.graph = graph

    def fit(
        self, data: FoldData, encoder: PatchEncoder | None, known: LesionTable | None = None
    ) -> Representation:
        """Select the hand-crafted columns on the training samples of a fold.

        `known` are the known columns of all samples where they have been computed before.
        """
        self.encoder_ = encoder
        self.selector_ = SelectHCR(self.feature_set.selection or Selection(classes=()))
        known = self._known(data.table) if known is None else known
        self.selector_.fit(data.train_of(known), data.y_train.target)
        return self

    def transform(
        self,
        table: LesionTable,
        learned: np.ndarray | None = None,
        known: LesionTable | None = None,
    ) -> Blocks | LesionTable:
        """Return the columns of every sample, or the lesions of a graph.

        `learned` are the learned features of the lesions, and `known` the known columns, where
        they have been computed before.
        """
        if learned is None and self.encoder_ is not None:
            learned = self.encoder_.transform(table)
        names = [] if self.encoder_ is None else self.encoder_.names
        known = self._known(table) if known is None else known
        clinical = known.columns_of("clinical") if self.feature_set.clinical else []
        columns = known.features[[*self.selector_.columns_, *clinical]]
        if self.graph:
            return lesion_set(known.replace(features=columns), learned, names)
        if self.feature_set.simple:
            measured = measure_simple(table, self.feature_set.simple)
            columns = pd.concat([measured, columns], axis=1)
        added = pd.DataFrame(index=table.index)
        if learned is not None:
            added = self.level.pool(table, pd.DataFrame(learned, columns=names))
        return Blocks(columns, added, self._parts(columns, clinical, added))

    def _parts(self, base: pd.DataFrame, clinical: list[str], added: pd.DataFrame) -> tuple:
        """Return the number of the model of each column, for late fusion."""
        number = {kind: n for n, kinds in enumerate(self.feature_set.parts) for kind in kinds}
        if not number:
            return ()
        of_base = ["clinical" if name in set(clinical) else "hcr" for name in base.columns]
        return tuple(number[kind] for kind in [*of_base, *["learned"] * added.shape[1]])

    def _known(self, table: LesionTable) -> LesionTable:
        """Return the known columns of one row per sample, or for a graph of the lesions."""
        return known_columns(table, self.level, graph=self.graph)


def known_columns(table: LesionTable, level: PatientLevel, *, graph: bool) -> LesionTable:
    """Return one row per sample with its known columns, or for a graph the lesions, no voxels."""
    return table.replace(patches=None, masks=None) if graph else level.pooled(table)
