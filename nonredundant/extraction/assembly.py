"""Put the results of cases into a `LesionTable`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.extraction.case_table import MISSING
from nonredundant.extraction.one_case import CaseFailure, CaseMeasurement, CaseResult, Plan
from nonredundant.extraction.regions import OK
from nonredundant.extraction.several import ImagesPlan
from nonredundant.lesions.table import LesionTable

#: The column of the samples with the days between the two scans whose features are compared.
INTERVAL = "scan_interval_days"


def common_dimension(names: Sequence[str], results: Sequence[CaseResult]) -> int | None:
    """Return the number of dimensions of all images; raise if two images differ."""
    seen = {
        result.n_dim: name
        for name, result in zip(names, results, strict=True)
        if isinstance(result, CaseMeasurement)
    }
    if len(seen) > 1:
        raise ValueError(
            "the images of a table must be all 2-D or all 3-D, not both: "
            + ", ".join(f"{name} is {n_dim}-D" for n_dim, name in sorted(seen.items()))
        )
    return next(iter(seen), None)


def assemble(
    results: list[Any],
    samples: pd.DataFrame,
    names: Sequence[str],
    n_dim: int,
    plan: Plan | ImagesPlan,
    provenance: dict[str, Any],
) -> LesionTable:
    """Put the results of all cases, and the columns of their samples, into a table.

    A failed case has one row of NaN, a patch of zeros and an empty mask. The list of results is
    emptied on the way, so that patches are not held in memory twice. Where images may be missing,
    the samples get the column `missing_images`, and where two scans are compared
    `scan_interval_days`.
    """
    if isinstance(plan, ImagesPlan) and plan.on_missing == "nan":
        lacks = [", ".join(getattr(one, "missing", ())) for one in results]
        samples = samples.assign(**{MISSING: lacks})
    if isinstance(plan, ImagesPlan) and plan.delta is not None:
        days = [getattr(one, "interval", np.nan) for one in results]
        samples = samples.assign(**{INTERVAL: days})
    counts = [len(one.features) if isinstance(one, CaseMeasurement) else 1 for one in results]
    n_lesions = sum(counts)
    features = np.full((n_lesions, len(names)), np.nan)
    positions = np.full((n_lesions, n_dim), np.nan)
    parts: dict[str, Any] = {}
    if plan.patch_shape is not None:
        shape = plan.patch_shape[-n_dim:]
        parts["patches"] = np.zeros((n_lesions, plan.n_channels, *shape), dtype=np.float32)
        parts["masks"] = np.zeros((n_lesions, 1, *shape), dtype=np.bool_)
        parts["spacing"] = np.full((n_lesions, n_dim), np.nan)
    columns = {name: i for i, name in enumerate(names)}
    status: list[str] = []
    lesion_status: list[str] = []
    start = 0
    for i, count in enumerate(counts):
        result, results[i] = results[i], None
        rows = slice(start, start + count)
        start += count
        if isinstance(result, CaseFailure):
            status.append(result.status)
            lesion_status.append(result.status)
            continue
        status.append(OK)
        lesion_status += result.status
        features[rows, [columns[name] for name in result.names]] = result.features
        positions[rows] = result.positions
        for name, part in parts.items():
            part[rows] = getattr(result.crops, name)
    return LesionTable(
        pd.DataFrame(features, columns=list(names)),
        sample=np.repeat(np.arange(len(counts)), counts),
        positions=positions,
        status=status,
        lesion_status=lesion_status,
        samples=samples,
        provenance=provenance,
        **parts,
    )
