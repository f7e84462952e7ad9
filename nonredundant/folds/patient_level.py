"""From several lesions to one prediction per patient: pooling, or a graph."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from nonredundant.classifiers.builtin import GRAPH
from nonredundant.folds.feature_sets import FeatureSet
from nonredundant.folds.outcome import Outcome
from nonredundant.lesions.dissemination import dissemination_features
from nonredundant.lesions.edges import check_positions
from nonredundant.lesions.measures import pool_samples
from nonredundant.lesions.table import LesionTable
from nonredundant.patients.classifier import LesionGraphClassifier
from nonredundant.patients.pooling import POOLINGS, LesionPooling
from nonredundant.patients.survival import LesionGraphSurvival
from nonredundant.utils.optional import import_optional


@dataclass(frozen=True)
class PatientLevel:
    """The pooling of lesions for classifiers, and the graph of lesions if there is one."""

    pooling: LesionPooling = field(default_factory=LesionPooling)
    graph: Any = None
    is_default: bool = False

    def pool(self, table: LesionTable, values: pd.DataFrame) -> pd.DataFrame:
        """Pool lesions to one row per sample; column names include any pooling but the mean."""
        if self.pooling.how == "mean":
            return pool_samples(table, values)
        pooled = self.pooling.pool_values(values.to_numpy(dtype=float), table)
        names = self.pooling.pooled_names(values.columns)
        return pd.DataFrame(pooled, columns=names, index=table.index)

    def hcr(self, table: LesionTable) -> pd.DataFrame:
        """Pool the hand-crafted features, and add dissemination if the pooling includes it."""
        pooled = self.pool(table, table.hcr)
        if not self.pooling.dissemination:
            return pooled
        spread = dissemination_features(table).add_prefix("dissemination__")
        return pd.concat([pooled, spread], axis=1)

    def pooled(self, table: LesionTable) -> LesionTable:
        """Return the features with one row per sample, without voxels."""
        hcr, clinical = self.hcr(table), pool_samples(table, table.clinical)
        blocks: dict[Any, str] = {
            **dict.fromkeys(hcr, "hcr"),
            **dict.fromkeys(clinical, "clinical"),
        }
        return LesionTable(
            pd.concat([hcr, clinical], axis=1),
            blocks=blocks,
            status=table.status,
            samples=table.samples,
        )

    def known(self, table: LesionTable) -> pd.DataFrame:
        """Return all that is known of each sample without a network.

        These are the columns as classifiers take them, also those that steps left out, and the
        means over lesions where the pooling is another one: learned features are means too, and
        repeat the means of features that they repeat in each lesion.
        """
        table = table.with_left_out()
        pooled = self.pooled(table).features
        if "mean" in self.pooling.methods:
            return pooled
        return pd.concat([pooled, pool_samples(table, table.hcr)], axis=1)

    def check(self, table: LesionTable) -> None:
        """Raise if a graph needs positions of lesions that are unknown."""
        if self.graph is not None:
            check_positions(table)

    def for_outcome(self, outcome: Outcome) -> PatientLevel:
        """Return the level with a graph, if it has one, that predicts the outcome.

        Raises
        ------
        TypeError
            If the graph predicts another kind of outcome.
        """
        if self.graph is None:
            return self
        if outcome.kind == "numbers":
            raise TypeError(
                "a graph of lesions predicts classes or times, not numbers: pool the lesions, "
                "patients='mean'"
            )
        kind = LesionGraphSurvival if outcome.is_survival else LesionGraphClassifier
        if self.is_default:
            return replace(self, graph=kind())
        if not isinstance(self.graph, kind):
            raise TypeError(f"this outcome needs a {kind.__name__}, got {self.graph!r}")
        return self

    def classifiers(self, others: dict[str, Any]) -> dict[str, Any]:
        """Return the classifiers by name, the graph first.

        Raises
        ------
        ValueError
            If another classifier has the graph's name.
        """
        if self.graph is None:
            return others
        if GRAPH in others:
            raise ValueError(
                f"a classifier is named {GRAPH!r}, as the graph of lesions is: rename yours"
            )
        return {GRAPH: self.graph, **others}


def resolve_patients(patients: Any) -> PatientLevel:
    """Convert the parameter `patients` of a comparison.

    Raises
    ------
    ValueError
        If it names an unknown way to pool lesions.
    TypeError
        If it is neither a way to pool lesions nor a graph.
    ImportError
        If it is a graph and torch-geometric is not installed.
    """
    if isinstance(patients, LesionPooling):
        return PatientLevel(clone(patients))
    own = isinstance(patients, LesionGraphClassifier | LesionGraphSurvival)
    if own or (isinstance(patients, str) and patients == GRAPH):
        import_optional("torch_geometric.nn", extra="graph", purpose=f"patients={patients!r}")
        return PatientLevel(graph=clone(patients) if own else GRAPH, is_default=not own)
    if not isinstance(patients, str | list | tuple):
        raise TypeError(
            f"patients must be {GRAPH!r}, a way to pool lesions ({', '.join(POOLINGS)}), a list of "
            f"these, a LesionPooling or a graph of nonredundant.patients, got {patients!r}"
        )
    ways = [patients] if isinstance(patients, str) else list(patients)
    unknown = [way for way in ways if way not in POOLINGS]
    if unknown or not ways:
        raise ValueError(
            f"patients={patients!r}: choose {GRAPH!r}, or one or several of {', '.join(POOLINGS)}"
        )
    return PatientLevel(LesionPooling(patients))


def has_lesion_columns(feature_set: FeatureSet) -> bool:
    """Return whether a set has features per lesion that a graph can be made of, all at once."""
    return not feature_set.is_simple and not feature_set.parts


def lesion_set(known: LesionTable, learned: np.ndarray | None, names: list[str]) -> LesionTable:
    """Return lesions with their known and learned columns and their positions, for a graph.

    Parameters
    ----------
    known : LesionTable
        The lesions with the hand-crafted and clinical columns of a feature set.
    learned : array of shape (n_lesions, n_learned) or None
        The learned features.
    names : list of str
        Names of the learned features.

    Returns
    -------
    LesionTable
        Hand-crafted and learned columns as features of lesions, and the clinical columns.
    """
    parts = [known.hcr]
    if learned is not None:
        parts.append(pd.DataFrame(learned, columns=names, index=known.features.index))
    return LesionTable(
        pd.concat([*parts, known.clinical], axis=1),
        blocks=dict.fromkeys(known.columns_of("clinical"), "clinical"),
        sample=known.sample,
        positions=known.positions,
        samples=known.samples,
    )
