"""Perturb and measure many cases: each is read once and perturbed many times."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.extraction.assembly import assemble
from nonredundant.extraction.case_table import Sources
from nonredundant.extraction.measurement import progress
from nonredundant.extraction.memory import check_sources, memory_limit
from nonredundant.extraction.one_case import (
    CaseFailure,
    CaseMeasurement,
    CaseResult,
    Crops,
    Plan,
    as_matrix,
    case_key,
    check_intensities,
    in_units,
    patch_shape_of,
    position_of,
    read_regions,
    undisturbed,
)
from nonredundant.extraction.perturbations import Perturbation, described
from nonredundant.extraction.perturbed_lesion import LesionToPerturb, perturbed
from nonredundant.extraction.radiomics import quiet
from nonredundant.extraction.resampling import normalisation
from nonredundant.io.errors import CaseError
from nonredundant.io.images import read_image
from nonredundant.lesions.table import LesionTable
from nonredundant.utils.cache import CacheError, KeptFunction
from nonredundant.utils.parallel import WorkerDiedError, run_tasks
from nonredundant.utils.user_warnings import warn_user
from nonredundant.utils.validation import InvalidParameterError

#: Part of every cache key; raised whenever the same input gives other values.
_FORMAT = 2
#: Begins the status of a lesion that one perturbation has left nothing to measure of.
_LOST = "not measured when perturbed"


def perturb_cases(
    sources: Sequence[Sources],
    plan: Plan,
    perturbations: Sequence[Perturbation],
    *,
    memory: Any,
    n_jobs: int | None,
    verbose: int,
) -> Generator[tuple[int, list[CaseResult]]]:
    """Yield each case's position and its results, one per perturbation."""
    tasks = [(one, plan, list(perturbations), memory) for one in sources]
    measured = run_tasks(run_case, tasks, n_jobs=n_jobs, what="perturbing cases")
    # Closed with this generator, so that no process goes on after an error.
    with quiet(verbose), contextlib.closing(measured):
        for i, results in progress(
            measured, total=len(tasks), what="Perturbing", unit="case", verbose=verbose
        ):
            if isinstance(results, WorkerDiedError):
                reason = f"the process that perturbed it was killed ({results})"
                results = [CaseFailure(reason, is_file_error=False)] * len(perturbations)
            yield i, results


def run_case(
    sources: Sources, plan: Plan, perturbations: Sequence[Perturbation], memory: Any
) -> list[CaseResult]:
    """Perturb a case, with the cache if there is one; any error is a failure of this case."""
    opened = _Opened(sources, plan)
    try:
        with undisturbed(plan.verbose):
            if memory is None:
                return [opened.perturbed(one) for one in perturbations]
            kept = KeptFunction(memory, _perturb_by_key, ignore=["opened", "perturbation"])
            key = case_key(sources, plan.key)
            return [kept(_key(key, one), opened, one) for one in perturbations]
    except CacheError:
        raise
    except Exception as error:
        return [CaseFailure.from_error(error)] * len(perturbations)


def check_perturbable(extractor: Any) -> None:
    """Raise if the settings of an extractor leave nothing that can be perturbed.

    Raises
    ------
    InvalidParameterError
        If images are taken whole, or there are several.
    """
    if extractor.whole_image:
        raise InvalidParameterError(
            "an image that is taken whole has no mask to perturb: whole_image=True has no repeats"
        )
    if extractor.images is not None:
        raise InvalidParameterError(
            f"one image is perturbed at a time, and there are several, {list(extractor.images)}: "
            "perturb each by an extractor of its own, with its columns named image and mask"
        )


def perturbed_table(
    results: list[CaseResult],
    samples: pd.DataFrame,
    plan: Plan,
    perturbation: Perturbation,
    provenance: Mapping[str, Any],
    n_dim: int,
) -> LesionTable:
    """Put the results of all cases under one perturbation into a table."""
    provenance = {**provenance, "perturbation": described(perturbation)}
    return assemble(results, samples, plan.hcr(n_dim), n_dim, plan, provenance)


def warn_of_lost(tables: Sequence[LesionTable]) -> None:
    """Warn of lesions that could not be measured under some perturbation."""
    lost = [
        status
        for table in tables
        for status in table.lesion_status
        if str(status).startswith(_LOST)
    ]
    if lost:
        total = sum(table.n_lesions for table in tables)
        warn_user(
            f"{len(lost)} of {total} perturbed lesions could not be measured, and are missing: the "
            f"first was {lost[0]}. Smaller perturbations, or min_voxels for lesions of a few "
            "voxels, avoid it"
        )


def _key(case: str, perturbation: Perturbation) -> str:
    """Return what identifies a perturbed case."""
    content = json.dumps([case, described(perturbation), _FORMAT], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _perturb_by_key(key: str, opened: _Opened, perturbation: Perturbation) -> CaseMeasurement:
    """Perturb the case with this cache key."""
    return opened.perturbed(perturbation)


class _Opened:
    """A case that is read when the first perturbation is measured that the cache lacks."""

    def __init__(self, sources: Sources, plan: Plan) -> None:
        self.sources, self.plan = sources, plan

    @cached_property
    def lesions(self) -> list[LesionToPerturb]:
        """The lesions in their image."""
        plan = self.plan
        check_sources(self.sources.image, self.sources.mask, memory_limit(plan.max_memory))
        image = in_units(read_image(self.sources.image, spacing=self.sources.spacing), plan)
        regions, _ = read_regions(image, self.sources, plan, {})
        check_intensities(image, regions, plan)
        if plan.patch_shape is not None:
            patch_shape_of(image, plan)
        by = normalisation(image, plan.parameters["setting"])
        return [LesionToPerturb(image, one, plan, by) for one in regions]

    @cached_property
    def positions(self) -> np.ndarray:
        """Where the unchanged lesions are, in mm."""
        return np.array([position_of(one.image, one.region) for one in self.lesions])

    def perturbed(self, perturbation: Perturbation) -> CaseMeasurement:
        """Measure the lesions under one perturbation; NaN where one cannot be measured."""
        rows: list[dict[str, float]] = []
        patches: list[Any] = []
        status: list[str] = []
        for lesion in self.lesions:
            reason = lesion.region.status
            try:
                found = perturbed(lesion, perturbation)
            except CaseError as error:
                rows.append({})
                patches.append(None)
                status.append(f"{_LOST}: {error}")
                continue
            rows.append(found.features)
            patches.append(found.patch)
            status.append(reason)
        names, features = as_matrix(rows)
        image = self.lesions[0].image
        return CaseMeasurement(
            n_dim=image.GetDimension(),
            joined_names="\n".join(names),
            features=features,
            positions=self.positions,
            status=status,
            levels={},
            notes={},
            crops=self._crops(patches),
        )

    def _crops(self, patches: Sequence[Any]) -> Crops | None:
        """Stack the patches of all lesions; those that are not measured stay empty."""
        if self.plan.patch_shape is None:
            return None
        own = patch_shape_of(self.lesions[0].image, self.plan)
        shape = (len(patches), 1, *own)
        values, inside = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.bool_)
        spacing = np.full((len(patches), len(own)), np.nan)
        for i, patch in enumerate(patches):
            if patch is not None:
                values[i], inside[i], spacing[i] = patch.values, patch.inside, patch.spacing
        return Crops(values, inside, spacing)
