"""What is fitted to an outcome: feature sets, classifiers, network and metrics, by their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.base import clone

from nonredundant.classifiers.builtin import check_kinds, check_sampler, resolve_classifiers
from nonredundant.classifiers.scoring import resolve_scoring
from nonredundant.evaluation.experiments import Experiment, get_experiment
from nonredundant.folds.feature_sets import FeatureSet, default_sets, resolve_feature_sets
from nonredundant.folds.fitting import FitOptions
from nonredundant.folds.networks import check_independence, resolve_network
from nonredundant.folds.outcome import Outcome, by_position
from nonredundant.folds.patient_level import PatientLevel, resolve_patients
from nonredundant.models.embedding import NonRedundantEmbedding
from nonredundant.utils.validation import InvalidParameterError


@dataclass(frozen=True)
class Design:
    """What is fitted, checked before images are read.

    Attributes
    ----------
    sets : list of FeatureSet
        The feature sets that were asked for.
    estimators : dict of str to classifier or None
        The classifiers by name, the graph first; None for a built-in one.
    options : FitOptions
        Scorers and corrections of class imbalance.
    level : PatientLevel
        How several lesions of a sample make one prediction.
    experiment : Experiment or None
        The published protocol.
    """

    sets: list[FeatureSet]
    estimators: dict[str, Any]
    options: FitOptions
    level: PatientLevel
    experiment: Experiment | None = None

    def parts(self) -> dict[str, Any]:
        """Return classifiers, scorers and sampler, by what they are in messages."""
        return {
            **{f"the classifier {name!r}": part for name, part in self.estimators.items()},
            **{f"the scorer {name!r}": part for name, part in self.options.scorers.items()},
            "the sampler": self.options.sampler,
        }

    def network(self, cvae: Any, sets: Sequence[FeatureSet], outcome: Outcome) -> Any:
        """Return the untrained network that the sets need, with a protocol's hyper-parameters.

        Network and classifiers are checked to know the kind of the outcome.

        Raises
        ------
        ValueError
            If a set needs a term that the network does not have, or the network has a label term
            and the outcome is a time to an event.
        """
        cvae = resolve_network(cvae, sets, outcome)
        check_kinds(self.estimators, kind=outcome.kind)
        if cvae is None:
            return None
        if self.experiment is not None:
            return clone(cvae).set_params(**self.experiment.network())
        check_independence(cvae, sets)
        return cvae


def reducer(embedding: Any, sets: Sequence[FeatureSet]) -> Any:
    """Return what reduces given embeddings, the default one if None; None if no set has one.

    Raises
    ------
    InvalidParameterError
        If it does not take the name of an embedding.
    """
    if not any(one.variant is not None and one.variant.embedding for one in sets):
        return None
    if embedding is not None and not isinstance(embedding, NonRedundantEmbedding):
        raise InvalidParameterError(
            "The 'embedding' parameter must be None or a NonRedundantEmbedding, such as "
            f"NonRedundantEmbedding(n_components=32). Got {embedding!r} instead."
        )
    return NonRedundantEmbedding() if embedding is None else embedding


def read_design(
    outcome: Outcome,
    *,
    feature_sets: Sequence[str | FeatureSet] | str | None,
    classifiers: Any,
    patients: Any,
    scoring: Any = "roc_auc",
    class_weight: Any = None,
    sampler: Any = None,
    experiment: str | None = None,
    embeddings: Sequence[str] = (),
) -> Design:
    """Resolve the names of what is fitted to an outcome.

    Parameters
    ----------
    outcome : Outcome
        The outcome.
    feature_sets, classifiers, patients, scoring, class_weight, sampler, experiment
        As in `compare_feature_sets`.
    embeddings : sequence of str
        Names of the embeddings that the cases have.

    Returns
    -------
    Design
        What is fitted.

    Raises
    ------
    ValueError
        If a name is unknown, or does not go with the outcome.
    """
    protocol = None if experiment is None else get_experiment(experiment)
    level = resolve_patients(patients).for_outcome(outcome)
    check_sampler(sampler, kind=outcome.kind, graph=level.graph is not None)
    named = default_sets(embeddings) if feature_sets is None else feature_sets
    sets = resolve_feature_sets(
        protocol.sets if protocol else named, baselines=False, embeddings=embeddings
    )
    if protocol is None:
        estimators = resolve_classifiers(classifiers, kind=outcome.kind)
    elif outcome.kind != "classes":
        raise ValueError(f"the published experiments are about classes, not {outcome.kind}")
    else:
        estimators = protocol.classifiers()
    late = [one.name for one in sets if one.parts]
    if late and outcome.kind == "numbers":
        raise ValueError(
            f"{late[0]!r} weighs log-odds or risks of its blocks, and y holds numbers: join the "
            "blocks by '+'"
        )
    if class_weight is not None and outcome.kind != "classes":
        raise ValueError(
            f"class_weight={class_weight!r} weighs classes, and y holds {outcome.kind}"
        )
    options = FitOptions(
        resolve_scoring(scoring, len(outcome.classes)),
        by_position(class_weight, outcome.classes),
        sampler,
    )
    return Design(sets, level.classifiers(estimators), options, level, protocol)
