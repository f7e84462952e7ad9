"""Everything that is learned in one fold of a comparison, or on a whole cohort."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from nonredundant.classifiers.builtin import GRAPH
from nonredundant.folds.feature_sets import FeatureSet, Variant, variants_of
from nonredundant.folds.fitting import FitOptions, FitTask, Fitted
from nonredundant.folds.fold_data import FoldData
from nonredundant.folds.networks import Learned, LearnTask, residualise
from nonredundant.folds.patient_level import PatientLevel, has_lesion_columns
from nonredundant.folds.representations import Blocks, Representation, known_columns
from nonredundant.lesions.table import LesionTable


@dataclass
class FoldModel:
    """The networks, columns and classifiers that are learned from the training samples of a fold.

    A network is fitted once per variant and shared by all feature sets that use it; the columns
    of a feature set are selected once and shared by all its classifiers. Long fits are returned as
    tasks, so that a comparison can run those of all folds in parallel and keep their results on
    disk; `learn` and `fit` run them immediately.

    Attributes
    ----------
    data : FoldData
        The samples of the fold after its steps.
    level : PatientLevel
        How several lesions of a sample make one prediction.
    options : FitOptions
        Options of the classifiers.
    cvae : transformer or None
        The untrained network.
    embedding : transformer or None
        What reduces given embeddings.
    learned : dict of Variant to Learned
        The networks that have been fitted.
    """

    data: FoldData
    level: PatientLevel
    options: FitOptions
    cvae: Any = None
    embedding: Any = None
    learned: dict[Variant, Learned] = field(default_factory=dict)
    _known_columns: dict[bool, LesionTable] = field(default_factory=dict)

    def learn(self, sets: Sequence[FeatureSet]) -> None:
        """Fit the networks that the feature sets need."""
        self.add_learned(sets, [task.run() for task in self.network_tasks(sets)])

    def network_tasks(self, sets: Sequence[FeatureSet]) -> list[LearnTask]:
        """Return the fits of the networks that the feature sets need."""
        sources = dict.fromkeys(variant.source for variant in variants_of(sets))
        return [
            LearnTask(self.data, variant, self.embedding if variant.embedding else self.cvae)
            for variant in sources
        ]

    def add_learned(self, sets: Sequence[FeatureSet], learned: Iterable[Learned]) -> None:
        """Store fitted networks, and residualise their latents where a feature set requires it."""
        self.learned |= {record.variant: record for record in learned}
        for variant in variants_of(sets):
            if variant.kind == "residual":
                source = self.learned[variant.source]
                model = self.embedding if variant.embedding else self.cvae
                self.learned[variant] = residualise(source, variant, self.data, model)

    def represent(self, feature_set: FeatureSet, *, graph: bool) -> Representation:
        """Select the columns of a feature set, of samples or of the lesions of a graph."""
        encoder = None
        if feature_set.variant is not None:
            encoder = self.learned[feature_set.variant].encoder
        representation = Representation(feature_set, self.level, graph=graph)
        return representation.fit(self.data, encoder, self._known(graph))

    def features(self, representation: Representation) -> Blocks | LesionTable:
        """Return the columns of all samples; learned features are not computed again."""
        return representation.transform(
            self.data.table, self._latents(representation), self._known(representation.graph)
        )

    def nested(self, representation: Representation) -> list[Blocks] | None:
        """Return the training samples' columns as the training part of each inner split makes them.

        None where no columns are selected or encoded with the outcome. Hand-crafted columns that a
        network without labels is given are selected once, on all training samples.
        """
        feature_set = representation.feature_set
        selects = feature_set.selection is not None and feature_set.selection.k > 0
        if representation.graph or not (selects or self.data.cohort.depends_on_labels):
            return None
        latents = self._latents(representation)
        columns = []
        for part in self._inner:
            inner = Representation(feature_set, self.level, graph=False)
            inner.fit(part, representation.encoder_)
            columns.append(cast(Blocks, inner.transform(part.table, latents))[self.data.fold.train])
        return columns

    def lesions(self, feature_set: FeatureSet) -> LesionTable:
        """Return the held-out lesions of a graph, with the columns of a feature set."""
        features = self.features(self.represent(feature_set, graph=True))
        return cast(LesionTable, self.data.parts(features).test)

    def fit(
        self, feature_set: FeatureSet, classifier: str, estimator: Any
    ) -> tuple[Representation, Fitted]:
        """Tune and fit one classifier, or the graph, on one feature set."""
        representation = self.represent(feature_set, graph=self.is_graph(classifier))
        (task,) = self._tasks(representation, {classifier: estimator})
        return representation, task.run()

    def classifier_tasks(
        self, sets: Sequence[FeatureSet], estimators: Mapping[str, Any]
    ) -> list[FitTask]:
        """Return the fit of each classifier on each feature set."""
        tasks = []
        for feature_set in sets:
            for graph in (True, False):
                chosen = {k: v for k, v in estimators.items() if self.is_graph(k) == graph}
                if chosen and (has_lesion_columns(feature_set) or not graph):
                    tasks += self._tasks(self.represent(feature_set, graph=graph), chosen)
        return tasks

    def is_graph(self, classifier: str) -> bool:
        """Return whether the classifier of this name is the graph of lesions."""
        return classifier == GRAPH and self.level.graph is not None

    @cached_property
    def _inner(self) -> list[FoldData]:
        """The fold with the training part of each inner split."""
        return [self.data.within(train) for train, _ in self.data.splits]

    def _known(self, graph: bool) -> LesionTable:
        """Return the known columns of all samples, or of their lesions, computed once."""
        if graph not in self._known_columns:
            self._known_columns[graph] = known_columns(self.data.table, self.level, graph=graph)
        return self._known_columns[graph]

    def _latents(self, representation: Representation) -> Any:
        """Return the learned features of a feature set, None without any."""
        variant = representation.feature_set.variant
        return None if variant is None else self.learned[variant].for_classifiers

    def _tasks(
        self, representation: Representation, estimators: Mapping[str, Any]
    ) -> list[FitTask]:
        """Return the fit of each classifier on one feature set."""
        data = self.data
        shared = (
            data.parts(self.features(representation)),
            data.y_train,
            data.y_test,
            data.table.index[data.fold.test],
            data.fold,
            data.splits,
            self.options,
            self.nested(representation),
            data.train_groups is not None,
        )
        name = representation.feature_set.name
        return [FitTask(name, key, estimator, *shared) for key, estimator in estimators.items()]
