"""The settings of a comparison: what was run, on which cohort, with which versions."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.classifiers.builtin import Kind
from nonredundant.classifiers.scoring import CONCORDANCE
from nonredundant.extraction.case_table import MISSING
from nonredundant.folds.centres import centre_names
from nonredundant.folds.cohort import Cohort
from nonredundant.folds.references import choose_others
from nonredundant.folds.study import Study
from nonredundant.lesions.images import image_names
from nonredundant.lesions.measures import size_and_uptake
from nonredundant.lesions.table import LesionTable

_PACKAGES = (
    "nonredundant",
    "numpy",
    "pandas",
    "scikit-learn",
    "torch",
    "skorch",
    "pyradiomics-cuda",
    "SimpleITK",
)


@dataclass(frozen=True)
class CohortSettings:
    """The cohort that was cross-validated, without the held-out test set.

    Attributes
    ----------
    n_samples, n_lesions : int
        Number of samples (patients) and of their lesions.
    lesions_a_sample : list of float
        Quartiles and maximum of the number of lesions per sample.
    embeddings : dict of str to int
        Number of columns of each given embedding.
    n_hcr, n_clinical : int
        Number of hand-crafted and of clinical columns. Clinical columns are counted after the
        transformer that is fitted in each fold.
    patch_shape : list of int or None
        Channels, then the size of a patch in voxels; None without patches.
    class_counts : dict of str to int
        Samples per class, or per quarter of a continuous outcome; "censored" and "event" for times
        to an event.
    quartiles : dict of str to list of float
        Quartiles of the total lesion volume ("volume") and of the maximum intensity ("maximum")
        per sample, where they are known.
    missing_images : dict of str to int
        Image → number of samples that lack it, of several images.
    clinical : dict of str to list of float
        Clinical column → what is known of it, the number of samples with a value first: then, of
        a column of zeros and ones, the number of ones; of any other, its quartiles.
    """

    n_samples: int
    n_lesions: int
    lesions_a_sample: list[float]
    n_hcr: int
    n_clinical: int
    embeddings: dict[str, int]
    patch_shape: list[int] | None
    class_counts: dict[str, int]
    quartiles: dict[str, list[float]]
    clinical: dict[str, list[float]]
    missing_images: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ComparisonSettings:
    """The settings of a comparison; made by `describe_settings`, with JSON types only.

    Attributes
    ----------
    feature_sets, classifiers, scoring : list of str
        Names, the first classifier and metric being the primary ones.
    simple_sets : list of str
        The feature sets that need neither hand-crafted nor learned features, that is, simple
        baselines and clinical columns alone: what a deep model must beat to be of use.
    primary : dict of str to str
        `feature_set, classifier, metric` and, where the set was tested against another one,
        `reference`: the comparison that was chosen before any result was seen.
    other_models : dict of str to (str, str)
        Where there are given embeddings: each model beside that of the primary set, and its set
        and reference, chosen before any result was seen.
    learned_blocks : dict of str to str
        Feature set → its learned block, a name in `FeatureSetComparison.redundancy`.
    steps : list of str
        What was learned in each fold before networks and classifiers, in this order.
    flow : list of (str, int, str)
        Stage, number of cases left, and how many were lost and why.
    n_folds, n_repeats : int
        Number of folds over all repeats, and number of repeats.
    grouped : bool
        Whether groups were kept on one side of each split.
    n_test : int
        Number of samples in the held-out test set.
    classes : list of str
        The classes; empty for numbers and for times to an event.
    cohort : CohortSettings
        The cohort.
    failed : dict of str to str
        Case → reason why its extraction failed.
    patients : str or None
        How several lesions make one prediction; None if each sample has one lesion.
    graph : bool
        Whether a graph of lesions was fitted.
    experiment : str or None
        The published experiment that was repeated.
    cvae : dict or None
        Parameters of the network; None if none was trained.
    embedding : dict or None
        Parameters of what reduced the given embeddings; None without a set of them.
    extractor : str or None
        The extractor; None if lesions were passed in place of images.
    class_weight, sampler : str or None
        Corrections of class imbalance.
    registration : dict
        The plan of the analysis as it was recorded before outcomes were read: `plan`, its digest,
        `made`, when, and `n_runs`, how often these outcomes have been analysed with the same
        `memory`, this time included (None without one).
    seed : int
        The `random_state` that repeats the comparison.
    n_jobs : int or None
        Number of parallel fits.
    versions : dict of str to str
        Versions of Python and of the packages that affect the numbers.
    provenance : dict
        Settings and versions of the extraction.
    made : str
        When the comparison ended, in ISO 8601.
    total_seconds : float
        Duration of the comparison.
    seconds : dict of str to float
        Duration of its parts.
    n_centres : int
        Number of centres, where a column of them was named; else 0.
    centres_left_out : bool
        Whether each fold left out one centre.
    """

    feature_sets: list[str]
    classifiers: list[str]
    scoring: list[str]
    simple_sets: list[str]
    primary: dict[str, str]
    other_models: dict[str, tuple[str, str]]
    learned_blocks: dict[str, str]
    steps: list[str]
    flow: list[tuple[str, int, str]]
    n_folds: int
    n_repeats: int
    grouped: bool
    n_test: int
    classes: list[str]
    cohort: CohortSettings
    failed: dict[str, str]
    patients: str | None
    graph: bool
    experiment: str | None
    cvae: dict[str, Any] | None
    embedding: dict[str, Any] | None
    extractor: str | None
    class_weight: str | None
    sampler: str | None
    registration: dict[str, Any]
    seed: int
    n_jobs: int | None
    versions: dict[str, str]
    provenance: dict[str, Any]
    made: str
    total_seconds: float
    seconds: dict[str, float] = field(default_factory=dict)
    n_centres: int = 0
    centres_left_out: bool = False

    @property
    def kind(self) -> Kind:
        """What the outcome is."""
        if self.classes:
            return "classes"
        return "times" if CONCORDANCE in self.scoring else "numbers"

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as nested dicts, in the order of `settings.json`."""
        return asdict(self)


def describe_settings(
    study: Study,
    *,
    seed: int,
    registration: dict[str, Any],
    experiment: str | None,
    start: float,
    seconds: Mapping[str, float],
) -> ComparisonSettings:
    """Describe a comparison that has been run.

    `registration` is what was recorded of the plan, `experiment` describes a published protocol,
    `start` is the `time.perf_counter()` at which the comparison began, `seconds` the duration of
    its parts.
    """
    cohort, options = study.cohort, study.options
    clinical = study.data[0].table[: cohort.n].clinical
    return ComparisonSettings(
        feature_sets=[s.name for s in study.sets],
        classifiers=list(study.estimators),
        scoring=list(options.scorers),
        simple_sets=[s.name for s in study.sets if s.is_simple],
        primary=study.primary.to_dict(),
        other_models=choose_others(study.sets, study.primary.feature_set),
        learned_blocks={s.name: s.variant.name for s in study.sets if s.variant},
        steps=[str(step) for _, step in cohort.steps],
        flow=[*cohort.flow, _analysed(study)],
        n_folds=len(study.folds),
        n_repeats=len({fold.repeat for fold in study.folds}),
        grouped=study.groups is not None,
        n_test=len(study.test_table),
        classes=[str(label) for label in study.outcome.classes],
        cohort=_describe_cohort(cohort, clinical),
        failed=cohort.failed,
        patients=_describe_patients(study),
        graph=study.level.graph is not None,
        experiment=experiment,
        cvae=None if study.cvae is None else _plain(study.cvae.get_params(deep=False)),
        embedding=(
            None if study.embedding is None else _plain(study.embedding.get_params(deep=False))
        ),
        extractor=cohort.extractor,
        class_weight=None if options.class_weight is None else str(options.class_weight),
        sampler=None if options.sampler is None else str(options.sampler),
        registration=registration,
        seed=seed,
        n_jobs=study.runner.n_jobs,
        versions=software_versions(),
        provenance=cohort.table.provenance,
        made=pd.Timestamp.now().isoformat(timespec="seconds"),
        total_seconds=time.perf_counter() - start,
        seconds=dict(seconds),
        n_centres=0 if cohort.centres is None else len(set(centre_names(cohort.centres))),
        centres_left_out=study.left_in is not None,
    )


def _analysed(study: Study) -> tuple[str, int, str]:
    """Count the samples that a fold held out; random splits may leave some out."""
    held = np.unique(np.concatenate([fold.test for fold in study.folds]))
    left = study.cohort.n - len(held)
    return "analysed", len(held), f"{left} never held out by a fold" if left else ""


def _describe_cohort(cohort: Cohort, clinical: pd.DataFrame) -> CohortSettings:
    """Describe the samples that were cross-validated."""
    table, outcome = cohort.table[: cohort.n], cohort.outcome
    measured = size_and_uptake(table)
    counts = np.bincount(outcome.strata, minlength=len(outcome.states))
    quartiles = {
        str(name): [float(q) for q in np.nanpercentile(measured[name], [25, 50, 75])]
        for name in measured
        if measured[name].notna().any()
    }
    several = np.percentile(np.bincount(table.sample), [25, 50, 75, 100])
    return CohortSettings(
        n_samples=cohort.n,
        n_lesions=table.n_lesions,
        lesions_a_sample=[float(n) for n in several],
        n_hcr=len(table.columns_of("hcr")),
        n_clinical=clinical.shape[1],
        embeddings={name: len(table.columns_of(name)) for name in table.embedding_names},
        patch_shape=None if table.patches is None else list(table.patches.shape[1:]),
        class_counts={str(k): int(n) for k, n in zip(outcome.states, counts, strict=True)},
        quartiles=quartiles,
        # The lesions of a sample share its clinical values.
        clinical=_describe_clinical(clinical[~pd.Index(table.sample).duplicated()]),
        missing_images=_count_missing(table),
    )


def _count_missing(table: LesionTable) -> dict[str, int]:
    """Count the samples that lack each of several images."""
    if MISSING not in table.samples:
        return {}
    cells = table.samples[MISSING].fillna("").astype(str).str.split(", ")
    return {name: int(sum(name in cell for cell in cells)) for name in image_names(table)}


def _describe_clinical(clinical: pd.DataFrame) -> dict[str, list[float]]:
    """Count or summarise the values of each clinical column, one row per sample."""
    found = {}
    for name in clinical:
        values = clinical[name].dropna().to_numpy(dtype=float)
        ones = [float(values.sum())] if np.isin(values, (0, 1)).all() else None
        quartiles = (
            [float(q) for q in np.percentile(values, [25, 50, 75])] if ones is None else ones
        )
        found[str(name)] = [float(len(values)), *quartiles]
    return found


def _describe_patients(study: Study) -> str | None:
    """Describe how the lesions of a sample make one prediction; None with one lesion per sample."""
    if study.level.graph is not None:
        return f"{study.level.graph}; other classifiers see {study.level.pooling}"
    return None if study.cohort.table.is_single else repr(study.level.pooling)


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """Convert parameters to JSON types."""
    simple = (str, int, float, bool, type(None))
    return {k: v if isinstance(v, simple) else str(v) for k, v in params.items()}


def software_versions() -> dict[str, str]:
    """Return the versions that a repetition needs."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
