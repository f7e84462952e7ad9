"""Warnings about single cases, summarised per transform instead of raised per case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nonredundant.extraction.measurement import CaseFailure, CaseMeasurement, CaseResult
from nonredundant.extraction.regions import OK
from nonredundant.utils.user_warnings import warn_user

#: Bounds of the number of grey levels between which texture features are informative.
FEW_LEVELS, MANY_LEVELS = 8, 512
#: The number of grey levels that the suggested bin width aims at.
_AIM = 32
#: Number of further cases that a warning names.
_SHOWN = 4
#: For each kind of note: what it means, and what to do.
_KINDS = {
    "resampled": (
        "masks lie on another grid than their image and were resampled to it by nearest neighbour",
        "check that image and mask belong together",
    ),
    "regridded": (
        "cases have lesions whose volume on the grid of the features differs by more than 10 % "
        "from that of their mask",
        "choose a finer `spacing`, or spacing='native' for the grid of the image",
    ),
    "labels": (
        "masks hold labels that are not measured",
        "set `label` to measure another one, or lesions='labels' to measure each",
    ),
    "dropped": (
        "cases have lesions smaller than min_voxels or min_volume, or too thin for features on the "
        "grid on which they are measured, which were dropped",
        "lower these thresholds to keep more lesions, or set small_lesions='shape'",
    ),
    "small": (
        "cases have lesions smaller than min_voxels or min_volume, of which only shape was "
        "measured; their other features are NaN and their patches empty",
        "impute or pool these lesions, or set small_lesions='drop'",
    ),
    "border": (
        "cases have lesions that touch the border of their image, whose volume and shape are those "
        "of the part inside",
        "crop the images more widely if the scans cover more",
    ),
    "flat": (
        "cases have lesions one voxel thick, for which 3-D shape is degenerate (Flatness and "
        "LeastAxisLength are 0 by definition, not by measurement)",
        "extract in 2-D (setting force2D, feature class shape2D) or drop these cases",
    ),
    "cut": (
        "cases have lesions larger than the patch, which are cut off in it",
        "raise patch_spacing or patch_shape, or set patch_spacing='fit'",
    ),
    "missing": (
        "cases lack features that the settings select; these are NaN",
        "if images are too small for a filter, lower its sigma or leave it out",
    ),
}


def warn_of_cases(
    names: Sequence[str],
    results: Sequence[CaseResult],
    setting: Mapping[str, Any],
    hcr: Sequence[str],
) -> None:
    """Warn once of each kind of irregularity among the cases, and of the cases that failed."""
    pairs = list(zip(names, results, strict=True))
    measured = [(name, one) for name, one in pairs if isinstance(one, CaseMeasurement)]
    failed = [(name, one.reason) for name, one in pairs if isinstance(one, CaseFailure)]
    if measured:
        _warn_of_notes(measured, hcr)
        _warn_of_grey_levels([one.levels for _, one in measured], setting)
    if failed:
        warn_user(
            f"{len(failed)} of {len(pairs)} cases failed; their features are NaN and the reason "
            f"is in `.status`. {_examples(failed)}",
            "failed",
        )


def _warn_of_notes(measured: Sequence[tuple[str, CaseMeasurement]], hcr: Sequence[str]) -> None:
    """Warn once of each kind of note, with examples."""
    notes = [(name, {**one.notes, **_missing_note(one, hcr)}) for name, one in measured]
    for kind, (what, remedy) in _KINDS.items():
        hits = [(name, own[kind]) for name, own in notes if kind in own]
        if hits:
            warn_user(f"{len(hits)} of {len(measured)} {what}; {remedy}. {_examples(hits)}", kind)


def _missing_note(measurement: CaseMeasurement, hcr: Sequence[str]) -> dict[str, str]:
    """Note the features that pyradiomics did not compute for fully measured lesions."""
    full = np.array([status == OK for status in measurement.status])
    if not full.any():
        return {}
    present = measurement.names
    known = set(present)
    absent = [name for name in hcr if name not in known]
    undefined = np.isnan(measurement.features[full]).any(axis=0)
    absent += [name for name, is_nan in zip(present, undefined, strict=True) if is_nan]
    if not absent:
        return {}
    more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
    return {"missing": absent[0] + more}


def _examples(hits: Sequence[tuple[str, str]]) -> str:
    """Name the first case in full and the next few by their labels."""
    shown = "{}: {}".format(*hits[0])
    others = [name.split(" (")[0] for name, _ in hits[1 : 1 + _SHOWN]]
    more = len(hits) - 1 - len(others)
    if others:
        shown += f"; also {', '.join(others)}" + (f" and {more} more" if more else "")
    return shown


def _warn_of_grey_levels(
    levels: Sequence[Mapping[str, Sequence[tuple[int, float]]]], setting: Mapping[str, Any]
) -> None:
    """Warn if the discretisation leaves lesions with too few or too many grey levels."""
    by_type: dict[str, list[tuple[int, float]]] = {}
    for case in levels:
        for image_type, pairs in case.items():
            by_type.setdefault(image_type, []).extend(pairs)
    messages = []
    for image_type, pairs in by_type.items():
        counts, ranges = (np.array(part) for part in zip(*pairs, strict=True))
        constant = int((ranges == 0).sum())
        if constant and image_type == "original":
            warn_user(
                f"{constant} of {len(counts)} lesions are constant: each of their voxels has one "
                "value, so their texture features are pyradiomics' conventions, not "
                "measurements; check that image and mask belong together",
                "constant",
            )
        varied = ranges > 0
        messages += _out_of_bounds(image_type, counts[varied], ranges[varied])
    if messages:
        warn_user(
            f"The discretisation ({_discretisation(setting)}) leaves {'; '.join(messages)}. "
            "Texture features are then hardly informative",
            "grey levels",
        )


def _out_of_bounds(image_type: str, counts: np.ndarray, ranges: np.ndarray) -> list[str]:
    """Describe how many lesions of one image type have too few or too many grey levels."""
    messages = []
    sides = (
        (counts < FEW_LEVELS, f"fewer than {FEW_LEVELS}", "lower"),
        (counts > MANY_LEVELS, f"more than {MANY_LEVELS}", "raise"),
    )
    for hit, bound, change in sides:
        if hit.any():
            width = np.median(ranges) / _AIM
            messages.append(
                f"{int(hit.sum())} of {counts.size} lesions with {bound} grey levels in image "
                f"type {image_type!r} (median {np.median(counts[hit]):.0f}): {change} `bin_width` "
                f"(about {width:.2g} gives {_AIM} levels to the median lesion) or set `bin_count`"
            )
    return messages


def _discretisation(setting: Mapping[str, Any]) -> str:
    """Describe the parameter that sets the grey levels."""
    if setting.get("binCount") is not None:
        return f"bin_count={setting['binCount']}"
    return f"bin_width={setting.get('binWidth', 25):g}"
