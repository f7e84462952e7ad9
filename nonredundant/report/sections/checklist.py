"""Section: checklist of the items of CLEAR, TRIPOD+AI and METRICS that a comparison can answer.

Every answer is derived from the settings, the tables and the fitted pipelines. Items of CLEAR
(Kocak et al. 2023, doi 10.1186/s13244-023-01415-8) and of TRIPOD+AI (Collins et al. 2024, doi
10.1136/bmj-2023-078378) that only the authors can answer are not listed; METRICS is the
METhodological RadiomICs Score (Kocak et al. 2024, doi 10.1186/s13244-023-01572-w).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from nonredundant.lesions.images import settings_by_image
from nonredundant.report.descriptions import (
    class_shares,
    held_out_counts,
    validation_text,
)
from nonredundant.report.formatting import Table, count, format_compact
from nonredundant.report.references import cite
from nonredundant.report.section import Block, Section

YES, NO, NOT_APPLICABLE = "yes", "no", "not applicable"
#: Items of METRICS by the topic that they correspond to.
METRICS = {
    "Data split": "18",
    "Related samples kept on one side of each split": "18",
    "Test data outside of cross-validation": "26, 27",
    "Pre-processing and resampling": "11",
    "Software that extracted the features": "12",
    "Discretisation of grey levels": "13",
    "Image types": "13",
    "Feature classes": "13",
    "Other parameters": "13",
    "Number of hand-crafted features": "16",
    "Hand-crafted features selected inside the fold": "15",
    "Metrics": "20",
    "Calibration and clinical utility": "22",
    "Scores with 95 % intervals": "21",
    "Comparison with models without radiomics": "24, 25",
    "Settings, seed and versions in this file": "29",
}


class Item(NamedTuple):
    """An answered item: its numbers in both checklists, its topic, and the answer.

    `applies` is whether the item has a meaning for this comparison.
    """

    clear: str
    tripod: str
    topic: str
    found: str
    done: bool
    applies: bool = True

    @property
    def status(self) -> str:
        """Return "yes", "no" or "not applicable"."""
        return NOT_APPLICABLE if not self.applies else YES if self.done else NO


def answered_items(comparison: Any) -> list[Item]:
    """Answer all items, in their order on the page."""
    return [
        *_data_items(comparison),
        *_extraction_items(comparison),
        *_model_items(comparison),
        *_evaluation_items(comparison),
        *_sharing_items(comparison),
    ]


def _content(comparison: Any) -> list[Block]:
    """Tabulate the items with their answers."""
    rows = [
        [
            one.topic,
            one.status,
            one.found,
            one.clear,
            one.tripod,
            METRICS.get(one.topic, "–"),
        ]
        for one in answered_items(comparison)
    ]
    heads = ["item", "done", "what was found", "CLEAR", "TRIPOD+AI", "METRICS"]
    return [_intro(), Table(heads, [False] * 6, rows, kind="checklist")]


def _intro() -> Markup:
    """Introduce the checklists."""
    return Markup(
        "<p>Items of CLEAR{}, TRIPOD+AI{} and METRICS{} that can be answered from the settings, "
        "tables and fitted models of this comparison. The authors must answer all others, among "
        "them eligibility, ethics, sample size, segmentation, reference standard, fairness and "
        "limitations.</p>"
    ).format(cite("clear"), cite("tripod"), cite("metrics"))


def _data_items(comparison: Any) -> list[Item]:
    """Answer the items on samples and splits."""
    s = comparison.settings
    counts = s.cohort.class_counts
    held = f"; held out: {class_shares(held_out_counts(comparison))}" if s.n_test else ""
    balance = [
        f"{name} {getattr(s, key)}"
        for name, key in (("class weight", "class_weight"), ("sampler", "sampler"))
        if getattr(s, key) is not None
    ]
    n, lost = s.cohort.n_samples + s.n_test, len(s.failed)
    return [
        Item(
            "–",
            "21",
            "Samples and events of each analysis",
            class_shares(counts) + held,
            bool(counts),
        ),
        Item("15", "12a", "Data split", validation_text(s), s.n_folds > 1 or s.n_test > 0),
        Item(
            "15",
            "12a",
            "Related samples kept on one side of each split",
            "groups never cross a split"
            if s.grouped
            else "no groups were given: correct only if each sample is a different patient",
            s.grouped,
        ),
        Item(
            "38",
            "12a",
            "Test data outside of cross-validation",
            count(s.n_test, "held-out sample") if s.n_test else "none: internal validation only",
            s.n_test > 0,
        ),
        Item(
            "29",
            "11",
            "Cases left out",
            f"{lost:,} of {n + lost:,}"
            if s.extractor or lost
            else "not known: a lesion table was passed",
            bool(s.extractor or lost),
        ),
        Item(
            "30",
            "13",
            "Class imbalance",
            ", ".join(balance) or ("not corrected" if s.classes else f"the outcome are {s.kind}"),
            bool(balance),
            bool(s.classes),
        ),
    ]


def _settings_of(by_image: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return some settings of each image, with the name of the image if there are several."""
    return {
        f"{image} {name}".strip(): own["setting"][name]
        for image, own in by_image.items()
        for name in names
        if own.get("setting", {}).get(name) is not None
    }


def _extraction_items(comparison: Any) -> list[Item]:
    """Answer the items on hand-crafted features; "no" where nothing is recorded."""
    s = comparison.settings
    by_image = {
        image: own.get("parameters", {}) for image, own in settings_by_image(s.provenance).items()
    }
    parameters = next(iter(by_image.values()))
    bins = _settings_of(by_image, "binWidth", "binCount")
    grid = _settings_of(
        by_image, "resampledPixelSpacing", "interpolator", "normalize", "removeOutliers"
    )
    version = s.provenance.get("versions", {}).get("pyradiomics")
    unknown = "not recorded: a lesion table was passed"
    nothing = "none: voxels and intensities unchanged" if parameters else unknown
    types, classes = (
        dict.fromkeys(name for own in by_image.values() for name in own.get(section, {}))
        for section in ("imageType", "featureClass")
    )
    defaults = "pyradiomics' defaults for all that is not listed in the settings"
    applies = s.cohort.n_hcr > 0
    items = [
        Item("21, 22", "–", "Pre-processing and resampling", _listed(grid) or nothing, bool(grid)),
        Item("23", "–", "Discretisation of grey levels", _listed(bins) or unknown, bool(bins)),
        Item("24", "–", "Image types", ", ".join(types) or unknown, bool(types)),
        Item(
            "25",
            "9b",
            "Software that extracted the features",
            f"pyradiomics {version}" if version else unknown,
            version is not None,
        ),
        Item("26", "9b", "Feature classes", ", ".join(classes) or unknown, bool(classes)),
        Item(
            "27",
            "9a",
            "Number of hand-crafted features",
            f"{s.cohort.n_hcr:,}",
            s.cohort.n_hcr > 0,
        ),
        Item("28", "–", "Other parameters", defaults if parameters else unknown, bool(parameters)),
    ]
    return [item._replace(applies=applies) for item in items]


def _model_items(comparison: Any) -> list[Item]:
    """Answer the items on models, from the fitted pipelines."""
    s, choices = comparison.settings, comparison.choices
    filled = _in_every_model(comparison, "impute", lambda step: f"by the {step.strategy}")
    scaled = _in_every_model(comparison, "blocks", lambda step: "centred, divided by the spread")
    sets = [name.removeprefix("Clinical+") for name in s.feature_sets]
    picked = [name for name in sets if name[:1] == "H" and name[1:2].isdigit()]
    picked += comparison.selection_stability["step"].tolist()
    chosen = choices[["C", "alpha", "block_weight"]].notna().any(axis=1) | (choices["others"] != "")
    tuned = choices.loc[chosen, "classifier"].unique()
    grid = ", ".join(format_compact(c) for c in np.unique(choices["C"].dropna()))
    return [
        Item("29", "11", "Missing values filled on training folds", filled or NO, bool(filled)),
        Item("32", "12b", "Features scaled on training folds", scaled or NO, bool(scaled)),
        Item(
            "33",
            "9a",
            "Hand-crafted features selected inside the fold",
            ", ".join(picked)
            if picked
            else "not selected: all are used, with a penalty or by trees",
            bool(picked),
        ),
        Item(
            "34",
            "12c",
            "Algorithms",
            ", ".join(f"{name}: {kind}" for name, kind in _class_names(comparison).items()),
            bool(comparison.models),
        ),
        Item(
            "35, 37",
            "12c",
            "Tuning by inner cross-validation",
            f"{', '.join(tuned)}" + (f"; C chosen: {grid}" if grid else "")
            if len(tuned)
            else "none: classifiers as passed",
            len(tuned) == len(s.classifiers),
        ),
        Item(
            "43",
            "–",
            "Weights or importances of the features",
            f"of {comparison.weights['feature'].nunique():,} features"
            if len(comparison.weights)
            else "not available for these classifiers",
            len(comparison.weights) > 0,
        ),
    ]


def _evaluation_items(comparison: Any) -> list[Item]:
    """Answer the items on metrics, intervals and tests."""
    s, tests, summary = comparison.settings, comparison.tests, comparison.summary
    probabilities = len(s.classes) == 2 and len(comparison.calibration()) > 0
    thresholds = comparison.choices["threshold"].dropna()
    known = summary["low"].notna()
    tested = tests[tests["p_value"].notna()]
    how = ", ".join(dict.fromkeys(tested["method"]))
    return [
        Item("39", "12e", "Metrics", ", ".join(s.scoring), len(s.scoring) > 0),
        Item(
            "39",
            "12e",
            "Calibration and clinical utility",
            "slope, intercept, Brier score, net benefit"
            if probabilities
            else "only computed for two classes with probabilities",
            probabilities,
        ),
        Item(
            "–",
            "15",
            "Threshold chosen inside the fold",
            f"median {thresholds.median():.3f}" if len(thresholds) else "none",
            len(thresholds) > 0,
            len(s.classes) == 2,
        ),
        Item(
            "40, 47",
            "23a",
            "Scores with 95 % intervals",
            f"{known.sum():,} of {len(summary):,}",
            bool(known.all()),
        ),
        Item(
            "41",
            "12e",
            "Paired tests, corrected for their number",
            f"{count(len(tested), 'test')} ({how}), Holm" if len(tested) else "none",
            bool(len(tested) and tested["p_holm"].notna().all()),
            len(tests) > 0,
        ),
        Item(
            "42, 48",
            "–",
            "Comparison with models without radiomics",
            ", ".join(s.simple_sets) or "none",
            bool(s.simple_sets),
        ),
    ]


def _sharing_items(comparison: Any) -> list[Item]:
    """Answer the items on reproducibility."""
    s = comparison.settings
    versions = s.versions
    return [
        Item(
            "55, 56",
            "18f",
            "Settings, seed and versions in this file",
            f"seed {s.seed}; nonredundant {versions.get('nonredundant', '?')} and "
            f"{len(versions) - 1} others",
            "nonredundant" in versions and s.seed is not None,
        ),
        Item(
            "–",
            "22",
            "Parameters of the network in this file",
            count(len(s.cvae), "parameter") if s.cvae else "no network was trained",
            bool(s.cvae),
            bool(s.cvae),
        ),
    ]


def _listed(values: dict[str, Any]) -> str:
    """List names with their values."""
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def _in_every_model(comparison: Any, step: str, describe: Callable[[Any], str]) -> str:
    """Describe a step of the fitted pipelines; an empty text if a pipeline lacks it."""
    # A graph of lesions imputes and scales inside the estimator.
    models = [one for one in comparison.models.values() if not hasattr(one, "lesion_scaler_")]
    found = [steps.get(step) for model in models for steps in _steps(model)]
    if any(one is None for one in found):
        return ""
    if len(models) < len(comparison.models):
        own = "by the median" if step == "impute" else "ranks on a normal scale"
        return ", ".join(dict.fromkeys([*(describe(one) for one in found), f"{own} (graph)"]))
    return ", ".join(dict.fromkeys(describe(one) for one in found))


def _class_names(comparison: Any) -> dict[str, str]:
    """Return the class name of each fitted classifier."""
    found: dict[str, str] = {}
    for (_, classifier, _, _), model in comparison.models.items():
        kinds = [type(steps.get("classifier", model)).__name__ for steps in _steps(model)]
        found[classifier] = " and ".join(dict.fromkeys(kinds))
    return found


def _steps(model: Any) -> list[dict[str, Any]]:
    """Return the steps of each fitted pipeline in a model, or none in one list if it has none."""
    several = getattr(model, "models_", getattr(model, "estimators_", None))
    if hasattr(model, "steps") or several is None:
        inner = getattr(model, "estimator", None)
        if not hasattr(model, "steps") and inner is not None:
            return _steps(inner)
        return [dict(getattr(model, "steps", []))]
    return [steps for one in several for steps in _steps(one)]


SECTION = Section("checklist", "Checklist", _content)
