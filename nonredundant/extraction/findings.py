"""What was noticed in single cases, told once a transform instead of once a case."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nonredundant.extraction.measurement import names_of
from nonredundant.extraction.regions import OK

#: Grey levels between which texture matrices say something.
FEW_LEVELS, MANY_LEVELS = 8, 512
#: The number of grey levels that the suggested bin width aims at.
_AIM = 32
_SHOWN = 3
#: What each kind of note means and what can be done.
_KINDS = {
    "resampled": (
        "masks lie on another grid than their image and were resampled to it by nearest neighbour",
        "check that image and mask belong together",
    ),
    "dropped": (
        "cases have lesions smaller than min_voxels or min_volume, or too thin for features on the "
        "grid that these are measured on, which were dropped",
        "lower these to keep more of them, or set small_lesions='shape'",
    ),
    "small": (
        "cases have lesions smaller than min_voxels or min_volume, of which only shape was "
        "measured; their other features are NaN and their patches empty",
        "impute or pool these, or set small_lesions='drop'",
    ),
    "border": (
        "cases have lesions that touch the border of their image, whose volume and shape are those "
        "of the part inside",
        "crop the images wider if more of them exists",
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
        "cases lack features that the settings ask for; these are NaN",
        "if images are too small for a filter, lower its sigma or leave it out",
    ),
}


def tell_findings(
    names: Sequence[str],
    results: Sequence[dict[str, Any]],
    setting: Mapping[str, Any],
    hcr: Sequence[str],
) -> None:
    """Warn once a kind of what was found in the named cases, and of those that failed."""
    pairs = list(zip(names, results, strict=True))
    good = [(name, result) for name, result in pairs if result["error"] is None]
    failed = [(name, result["error"]) for name, result in pairs if result["error"] is not None]
    for _, result in good:
        note_missing(result, hcr)
    if good:
        warn_of_findings(good, setting)
    if failed:
        warn_of_failures(failed, len(pairs))


def note_missing(result: dict[str, Any], names: Sequence[str]) -> None:
    """Note the features that pyradiomics did not give of lesions that are measured in full."""
    full = np.array([status == OK for status in result["status"]])
    if not full.any():
        return
    present = names_of(result)
    known = set(present)
    absent = [name for name in names if name not in known]
    undefined = np.isnan(result["features"][full]).any(axis=0)
    absent += [name for name, is_nan in zip(present, undefined, strict=True) if is_nan]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        result["notes"] = {**result["notes"], "missing": absent[0] + more}


def warn_of_findings(
    found: Sequence[tuple[str, Mapping[str, Any]]], setting: Mapping[str, Any]
) -> None:
    """Raise at most one warning a kind for the results of the named cases."""
    for kind, (what, remedy) in _KINDS.items():
        hits = [(name, result["notes"][kind]) for name, result in found if kind in result["notes"]]
        if hits:
            _warn(f"{len(hits)} of {len(found)} {what}; {remedy}. {_examples(hits)}")
    _warn_of_grey_levels([result["levels"] for _, result in found], setting)


def warn_of_failures(failures: Sequence[tuple[str, str]], n_cases: int) -> None:
    """Sum up the cases that have no values."""
    _warn(
        f"{len(failures)} of {n_cases} cases failed; their features are NaN and the reason is in "
        f"`.status`. {_examples(failures)}"
    )


def _warn(message: str) -> None:
    """Warn at the line outside this package and scikit-learn that asked for the extraction."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(
        ("nonredundant.", "sklearn.")
    ):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)


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
            _warn(
                f"{constant} of {len(counts)} lesions are constant: each of their voxels has one "
                "value, so their texture features are pyradiomics' conventions and no "
                "measurement; check that image and mask belong together"
            )
        varied = ranges > 0
        messages += _out_of_bounds(image_type, counts[varied], ranges[varied])
    if messages:
        _warn(
            f"The discretisation ({_discretisation(setting)}) leaves {'; '.join(messages)}. "
            "Texture features then say little"
        )


def _out_of_bounds(image_type: str, counts: np.ndarray, ranges: np.ndarray) -> list[str]:
    """Say how many lesions of one image type have too few or too many grey levels."""
    said = []
    sides = (
        (counts < FEW_LEVELS, f"fewer than {FEW_LEVELS}", "lower"),
        (counts > MANY_LEVELS, f"more than {MANY_LEVELS}", "raise"),
    )
    for hit, bound, change in sides:
        if hit.any():
            width = np.median(ranges) / _AIM
            said.append(
                f"{int(hit.sum())} of {counts.size} lesions with {bound} grey levels in image "
                f"type {image_type!r} (median {np.median(counts[hit]):.0f}): {change} `bin_width` "
                f"(about {width:.2g} gives {_AIM} levels to the median lesion) or set `bin_count`"
            )
    return said


def _discretisation(setting: Mapping[str, Any]) -> str:
    """Name the parameter that the grey levels come from."""
    if setting.get("binCount") is not None:
        return f"bin_count={setting['binCount']}"
    return f"bin_width={setting.get('binWidth', 25):g}"
