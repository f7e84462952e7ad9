"""Everything that is learned in one fold of a comparison, or on a whole cohort."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from nonredundant.classifiers.builtin import GRAPH
from nonredundant.folds.feature_sets import FeatureSet, Variant
from nonredundant.folds.fitting import FitOptions, Fitted, fit_model
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.patient_level import PatientLevel, has_lesion_columns
from nonredundant.folds.representations import (
    Blocks,
    Learned,
    Representation,
    learn,
    residualise,
    sees_labels,
)
from nonredundant.folds.splits import Fold, cross_fitting_splits, inner_splits
from nonredundant.lesions.table import LesionTable


@dataclass
class FoldModel:
    """The networks, columns and classifiers that are learned from the training samples of a fold.

    A network is fitted once per variant and shared by all feature sets that use it; the columns
    of a feature set are selected once and shared by all its classifiers. The arguments of
    long fits, by `learn` and `fit_model`, are returned, so that a comparison can run the fits of
    all folds in parallel and keep their results on disk; `learn` and `fit` run them immediately.

    Attributes
    ----------
    table : LesionTable
        Lesions of the cohort and, after it, of a held-out test set; clinical columns as the
        training samples encode them.
    outcome : Outcome
        Classes, or times to an event, of the cohort.
    fold : Fold
        The training and the held-out samples.
    level : PatientLevel
        How several lesions of a sample make one prediction.
    options : FitOptions
        Options of the classifiers.
    cvae : transformer or None
        The untrained network.
    groups : array of shape (n_samples,) or None
        Groups of samples that inner splits keep together.
    learned : dict of Variant to Learned
        The networks that have been fitted.
    """

    table: LesionTable
    outcome: Outcome
    fold: Fold
    level: PatientLevel
    options: FitOptions
    cvae: Any = None
    groups: np.ndarray | None = None
    learned: dict[Variant, Learned] = field(default_factory=dict)

    @cached_property
    def target(self) -> np.ndarray:
        """The values that hand-crafted columns are selected by, one per training sample."""
        return self.outcome.target_of(self.fold.train)

    @cached_property
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The inner splits of the training samples."""
        return inner_splits(self.outcome.strata[self.fold.train], self._own_groups, self.fold.seed)

    @cached_property
    def cross_fitting(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The splits by which networks with a label term encode training samples."""
        strata = self.outcome.strata[self.fold.train]
        return cross_fitting_splits(strata, self._own_groups, self.fold.seed)

    @property
    def _own_groups(self) -> np.ndarray | None:
        """The groups of the training samples."""
        return None if self.groups is None else self.groups[self.fold.train]

    def learn(self, sets: Sequence[FeatureSet]) -> None:
        """Fit the networks that the feature sets need."""
        self.add_learned(sets, [learn(*task) for task in self.network_tasks(sets)])

    def network_tasks(self, sets: Sequence[FeatureSet], key: str = "") -> list[tuple]:
        """Return the arguments of `learn` for each network that the feature sets need."""
        sources = dict.fromkeys(v.source for v in variants_of(sets))
        y = self.outcome.for_network
        place = self.table, y, self.target, self.fold
        return [
            (*place, v, self.cvae, key, self.cross_fitting if sees_labels(v, self.cvae) else ())
            for v in sources
        ]

    def add_learned(self, sets: Sequence[FeatureSet], learned: Iterable[Learned]) -> None:
        """Store fitted networks, and residualise their latents where a feature set requires it."""
        self.learned |= {one.variant: one for one in learned}
        for variant in variants_of(sets):
            if variant.kind == "residual":
                source = self.learned[variant.source]
                self.learned[variant] = residualise(
                    source, variant, self.table, self.target, self.fold
                )

    def represent(self, one: FeatureSet, *, graph: bool) -> Representation:
        """Select the columns of a feature set, of samples or of the lesions of a graph."""
        own = None if one.variant is None else self.learned[one.variant]
        representation = Representation(one, self.level, graph=graph)
        encoder = None if own is None else own.encoder
        return representation.fit(self.table, self.target, self.fold, encoder)

    def features(self, representation: Representation) -> Blocks | LesionTable:
        """Return the columns of all samples; learned features are not computed again."""
        variant = representation.feature_set.variant
        values = None if variant is None else self.learned[variant].for_classifiers
        return representation.transform(self.table, values)

    def nested(self, representation: Representation) -> list[Blocks] | None:
        """Return the training samples' columns as selected on the training part of each split.

        None where no columns are selected with the outcome. Hand-crafted columns that a network
        without labels is given are selected once, on all training samples.
        """
        one = representation.feature_set
        if one.selection is None or not one.selection.k or representation.graph:
            return None
        learned = None if one.variant is None else self.learned[one.variant].for_classifiers
        found = []
        for train, _ in self.splits:
            part = replace(self.fold, train=self.fold.train[train])
            own = Representation(one, self.level, graph=False)
            own.fit(self.table, self.outcome.target_of(part.train), part, representation.encoder_)
            found.append(cast(Blocks, own.transform(self.table, learned)).take(self.fold.train))
        return found

    def lesions(self, one: FeatureSet) -> LesionTable:
        """Return the lesions of a graph, with the columns of a feature set."""
        return cast(LesionTable, self.features(self.represent(one, graph=True)))

    def fit(self, one: FeatureSet, name: str, estimator: Any) -> tuple[Representation, Fitted]:
        """Tune and fit one classifier, or the graph, on one feature set."""
        representation = self.represent(one, graph=self.is_graph(name))
        (task,) = self._tasks(representation, {name: estimator})
        return representation, fit_model(*task)

    def classifier_tasks(
        self, sets: Sequence[FeatureSet], estimators: dict[str, Any]
    ) -> list[tuple]:
        """Return the arguments of `fit_model` for each feature set and classifier."""
        tasks = []
        for one in sets:
            for graph in (True, False):
                names = [name for name in estimators if self.is_graph(name) == graph]
                if names and (has_lesion_columns(one) or not graph):
                    representation = self.represent(one, graph=graph)
                    tasks += self._tasks(representation, {name: estimators[name] for name in names})
        return tasks

    def is_graph(self, name: str) -> bool:
        """Return whether the classifier of this name is the graph of lesions."""
        return name == GRAPH and self.level.graph is not None

    def _tasks(self, representation: Representation, estimators: dict[str, Any]) -> list[tuple]:
        """Return the arguments of `fit_model` for each classifier on one feature set."""
        name, features = representation.feature_set.name, self.features(representation)
        shared = self.outcome, self.fold, self.splits, self.options, self.nested(representation)
        return [(name, key, one, features, *shared) for key, one in estimators.items()]


def variants_of(sets: Sequence[FeatureSet]) -> list[Variant]:
    """Return the variants of learned features that the feature sets use, each once."""
    return list(dict.fromkeys(one.variant for one in sets if one.variant is not None))
