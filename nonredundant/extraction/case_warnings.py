"""Warnings about single cases, summarised per transform instead of raised per case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nonredundant.extraction.one_case import CaseFailure, CaseMeasurement, CaseResult
from nonredundant.extraction.regions import OK
from nonredundant.lesions.images import image_of
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
    "undrawn": (
        "masks have regions that are not drawn, and others were measured",
        "check that these are meant, or choose a region with `roi`",
    ),
    "skipped": (
        "masks have slices without contours between others, which are measured as empty",
        "if they were skipped, interpolate them with fill_slices=True (--fill-slices)",
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
    "uncovered": (
        "cases have lesions that the field of view of another image does not cover, whose features "
        "in it are those of the part inside",
        "check that the images cover the lesions, or leave these images out",
    ),
    "unmatched": (
        "cases have lesions that are measured on the first image and are too small for features on "
        "the grid of another one, whose features are NaN",
        "impute or pool them, lower min_voxels, or draw them on a finer grid",
    ),
    "absent": (
        "cases lack an image; its features are NaN, and its channel of the patches too",
        "the networks leave it out of the likelihood; `samples` names these images",
    ),
    "missing": (
        "cases lack features that the settings select; these are NaN",
        "if images are too small for a filter, lower its sigma or leave it out",
    ),
}


@dataclass
class Hits:
    """Cases that a warning is about: their number, and the first of them with what was found."""

    count: int = 0
    first: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: Hits) -> None:
        """Append other cases."""
        self.count += other.count
        self.first = (self.first + other.first)[: 1 + _SHOWN]


@dataclass
class CaseSummary:
    """What is warned of after many cases, small enough to be sent and added up.

    Attributes
    ----------
    n_cases, n_measured : int
        Number of cases, and of those that did not fail.
    notes : dict of str to Hits
        The irregular cases of each kind.
    failed : Hits
        The failed cases with their reasons.
    levels : dict of str to list of array
        For each image type, number of grey levels and range of intensity of each lesion.
    """

    n_cases: int = 0
    n_measured: int = 0
    notes: dict[str, Hits] = field(default_factory=dict)
    failed: Hits = field(default_factory=Hits)
    levels: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add_case(self, name: str, result: CaseResult, hcr: Sequence[str]) -> None:
        """Append one case."""
        self.n_cases += 1
        if isinstance(result, CaseFailure):
            self.failed.add(Hits(1, [(name, result.reason)]))
            return
        self.n_measured += 1
        for kind, note in {**result.notes, **_missing_note(result, hcr)}.items():
            self.notes.setdefault(kind, Hits()).add(Hits(1, [(name, note)]))
        for image_type, pairs in result.levels.items():
            self.levels.setdefault(image_type, []).append(np.array(pairs, float).reshape(-1, 2))

    def add(self, other: CaseSummary) -> None:
        """Append the cases of another summary."""
        self.n_cases += other.n_cases
        self.n_measured += other.n_measured
        self.failed.add(other.failed)
        for kind, hits in other.notes.items():
            self.notes.setdefault(kind, Hits()).add(hits)
        for image_type, arrays in other.levels.items():
            self.levels.setdefault(image_type, []).append(np.concatenate(arrays))

    def warn(self, settings: Mapping[str, Mapping[str, Any]]) -> None:
        """Warn once of each kind of irregularity, and of the cases that failed.

        `settings` are pyradiomics' settings of each image by its name, empty for a single one.
        """
        for kind, (what, remedy) in _KINDS.items():
            if kind in self.notes:
                hits = self.notes[kind]
                warn_user(
                    f"{hits.count} of {self.n_measured} {what}; {remedy}. {_examples(hits)}", kind
                )
        if self.n_measured:
            for image, setting in settings.items():
                own = f"{image} " if image else ""
                levels = {
                    name.removeprefix(own): pairs
                    for name, pairs in self.levels.items()
                    if name.startswith(own)
                }
                _warn_of_grey_levels(levels, setting, image)
        if self.failed.count:
            warn_user(
                f"{self.failed.count} of {self.n_cases} cases failed; their features are NaN and "
                f"the reason is in `.status`. {_examples(self.failed)}",
                "failed",
            )


def warn_of_cases(
    names: Sequence[str],
    results: Sequence[CaseResult],
    settings: Mapping[str, Mapping[str, Any]],
    hcr: Sequence[str],
) -> None:
    """Warn once of each kind of irregularity among the cases, and of the cases that failed."""
    summary = CaseSummary()
    for name, result in zip(names, results, strict=True):
        summary.add_case(name, result, hcr)
    summary.warn(settings)


def _missing_note(measurement: CaseMeasurement, hcr: Sequence[str]) -> dict[str, str]:
    """Note the features that pyradiomics did not compute for fully measured lesions."""
    full = np.array([status == OK for status in measurement.status])
    if not full.any():
        return {}
    present = measurement.names
    if measurement.missing:
        hcr = [name for name in hcr if image_of(name) not in measurement.missing]
    known = set(present)
    absent = [name for name in hcr if name not in known]
    undefined = np.isnan(measurement.features[full]).any(axis=0)
    absent += [name for name, is_nan in zip(present, undefined, strict=True) if is_nan]
    if not absent:
        return {}
    more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
    return {"missing": absent[0] + more}


def _examples(hits: Hits) -> str:
    """Name the first case in full and the next few by their labels."""
    shown = "{}: {}".format(*hits.first[0])
    others = [name.split(" (")[0] for name, _ in hits.first[1:]]
    more = hits.count - len(hits.first)
    if others:
        shown += f"; also {', '.join(others)}" + (f" and {more} more" if more else "")
    return shown


def _warn_of_grey_levels(
    levels: Mapping[str, Sequence[np.ndarray]], setting: Mapping[str, Any], image: str = ""
) -> None:
    """Warn if the discretisation leaves lesions with too few or too many grey levels."""
    messages = []
    where, of = (f" in the image {image!r}", f" of {image!r}") if image else ("", "")
    for image_type, pairs in levels.items():
        counts, ranges = np.concatenate(pairs).T
        constant = int((ranges == 0).sum())
        if constant and image_type == "original":
            warn_user(
                f"{constant} of {len(counts)} lesions are constant{where}: each of their voxels "
                "has one value, so their texture features are pyradiomics' conventions, not "
                "measurements; check that image and mask belong together",
                f"constant {image}".strip(),
            )
        varied = ranges > 0
        messages += _out_of_bounds(image_type, counts[varied], ranges[varied])
    if messages:
        warn_user(
            f"The discretisation{of} ({_discretisation(setting)}) leaves {'; '.join(messages)}. "
            "Texture features are then hardly informative",
            f"grey levels {image}".strip(),
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
