"""Section: the criteria of RQS 2.0, those that a comparison can answer filled in.

RQS 2.0 is the Radiomics Quality Score of Lambin et al. 2025 (Nature Reviews Clinical Oncology 22,
831, doi 10.1038/s41571-025-01067-1), whose 42 criteria are ordered by nine levels of readiness.
They stand here in our own words, as its calculator (https://www.radiomics.world/rqs2) asks for
them. No score is computed, as most criteria can only be judged by the authors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from nonredundant.report.formatting import Table, count
from nonredundant.report.references import cite
from nonredundant.report.section import Block, Section
from nonredundant.report.sections.checklist import NO, YES, Item, answered_items
from nonredundant.report.sections.quality import (
    AUTHORS,
    Reply,
    Rule,
    answer_from,
    describe_external,
    describe_internal,
    leave_to_authors,
)

#: Names of the levels of readiness, from 1.
_LEVELS = (
    "exploration",
    "data",
    "prototype",
    "internal validation",
    "capability",
    "trust",
    "prospective validity",
    "sustainability",
    "deployment",
)
#: A set with hand-crafted features: `HCR`, `H8`, `pet:HCR`, beside others.
_HAND_CRAFTED = re.compile(r"(?:^|[+&: ])H(?:CR|\d+)(?=$|[+& ])")


class Criterion(NamedTuple):
    """A criterion: its level, our words, the most points it gives, and how it is answered."""

    level: int
    text: str
    points: int
    rule: Rule


def _step(name: str) -> Rule:
    """Answer by a step inside the folds; the authors may have done the same before."""

    def reply(settings: Any, items: Mapping[str, Item]) -> Reply:
        found = [step for step in settings.steps if step.startswith(name)]
        return Reply(YES, ", ".join(found)) if found else Reply(AUTHORS, "no step inside the folds")

    return reply


def _fused(settings: Any, items: Mapping[str, Item]) -> Reply:
    """Answer whether hand-crafted and deep features were combined in a set."""
    fused = [name for name in settings.learned_blocks if _HAND_CRAFTED.search(name)]
    return Reply(YES if fused else NO, ", ".join(fused) or "no set holds both")


def _clinical(settings: Any, items: Mapping[str, Item]) -> Reply:
    """Answer whether other than radiomic variables were in the models."""
    n_clinical = settings.cohort.n_clinical
    found = count(n_clinical, "clinical column") if n_clinical else "no clinical columns"
    return Reply(YES if n_clinical else NO, found)


def _standard(settings: Any, items: Mapping[str, Item]) -> Reply:
    """Name the sets without radiomics; the authors know which is the clinical standard."""
    sets = ", ".join(settings.simple_sets)
    return Reply(AUTHORS, f"compared: {sets}" if sets else "no set without radiomics was compared")


def _registered(settings: Any, items: Mapping[str, Item]) -> Reply:
    """Name the plan of this analysis; a trial is registered elsewhere."""
    plan, made = settings.registration["plan"], settings.registration["made"][:10]
    return Reply(AUTHORS, f"plan of this analysis: {plan}, {made}")


_NOT_IN_FILES = leave_to_authors()
#: Numbered from 1 in this order.
CRITERIA = [
    Criterion(1, "A clinical need that several centres or a consensus state", 2, _NOT_IN_FILES),
    Criterion(1, "Scanners and their technical data", 1, _NOT_IN_FILES),
    Criterion(1, "How widely the imaging protocol is established", 2, _NOT_IN_FILES),
    Criterion(1, "Criteria of inclusion and exclusion", 1, _NOT_IN_FILES),
    Criterion(1, "Diversity of the cohort and likely biases", 1, _NOT_IN_FILES),
    Criterion(
        2, "Robustness of features: repeated scans or masks, phantoms", 1, _step("StableFeatures")
    ),
    Criterion(2, "Pre-processing of images", 1, answer_from("Pre-processing and resampling")),
    Criterion(2, "Harmonisation of images or features", 1, _step("Harmonise")),
    Criterion(
        2,
        "Features by an international standard",
        1,
        answer_from("Software that extracted the features"),
    ),
    Criterion(2, "Automatic segmentation", 1, _NOT_IN_FILES),
    Criterion(
        3,
        "Reduction of the number of features",
        1,
        answer_from("Hand-crafted features selected inside the fold"),
    ),
    Criterion(3, "Selection of features by their robustness", 1, _step("StableFeatures")),
    Criterion(3, "Hand-crafted and deep features combined", 1, _fused),
    Criterion(3, "Other variables than radiomics in the models", 2, _clinical),
    Criterion(4, "Validation on data of the same institute", 1, describe_internal),
    Criterion(4, "Cut-offs", 1, answer_from("Threshold chosen inside the fold")),
    Criterion(
        4,
        "Discrimination, its significance, and resampling",
        2,
        answer_from("Metrics", "Scores with 95 % intervals"),
    ),
    Criterion(4, "Calibration", 1, answer_from("Calibration and clinical utility")),
    Criterion(4, "Failures and limits of the model", 1, _NOT_IN_FILES),
    Criterion(
        4,
        "Images, masks and code are open",
        3,
        leave_to_authors("settings, seed and versions are in this file"),
    ),
    Criterion(5, "Validation at other institutes", 3, describe_external),
    Criterion(5, "Comparison with the clinical standard", 2, _standard),
    Criterion(5, "Comparison with published models", 1, _NOT_IN_FILES),
    Criterion(5, "What the model could be used for", 2, _NOT_IN_FILES),
    Criterion(
        6,
        "Explanation of predictions",
        1,
        answer_from("Weights or importances of the features"),
    ),
    Criterion(6, "Evaluation of these explanations", 1, _NOT_IN_FILES),
    Criterion(6, "Biological correlates", 1, _NOT_IN_FILES),
    Criterion(6, "Fairness, and correction of biases", 2, _NOT_IN_FILES),
    Criterion(7, "Usability for clinicians", 1, _NOT_IN_FILES),
    Criterion(7, "Size of the sample calculated before", 1, _NOT_IN_FILES),
    Criterion(7, "Registration of the trial", 1, _registered),
    Criterion(7, "Prospective validation", 3, _NOT_IN_FILES),
    Criterion(7, "Assessment in clinical practice", 1, _NOT_IN_FILES),
    Criterion(8, "Traceable history of the software", 1, _NOT_IN_FILES),
    Criterion(8, "Safeguards against use out of scope", 1, _NOT_IN_FILES),
    Criterion(8, "Cost-effectiveness", 2, _NOT_IN_FILES),
    Criterion(8, "Watch over performance that drifts", 1, _NOT_IN_FILES),
    Criterion(8, "How the model is to be updated", 1, _NOT_IN_FILES),
    Criterion(9, "Level of automation", 1, _NOT_IN_FILES),
    Criterion(9, "Quality management system", 1, _NOT_IN_FILES),
    Criterion(9, "Regulatory requirements", 1, _NOT_IN_FILES),
    Criterion(9, "Product on the market", 1, _NOT_IN_FILES),
]


def _content(comparison: Any) -> list[Block]:
    """Tabulate the criteria with their answers."""
    items = {item.topic: item for item in answered_items(comparison)}
    rows = []
    for number, one in enumerate(CRITERIA, start=1):
        status, found = one.rule(comparison.settings, items)
        level = f"{one.level} {_LEVELS[one.level - 1]}"
        rows.append([one.text, status, found, level, str(one.points), str(number)])
    intro = Markup(
        "<p>Criteria of RQS 2.0{}, the Radiomics Quality Score, in our own words, by the level of "
        "readiness at which they are asked. “Most points” is what a criterion gives at best. Those "
        "marked “{}” cannot be answered from the data; no score is computed.</p>"
    ).format(cite("lambin"), AUTHORS)
    heads = ["criterion", "done", "what was found", "level", "most points", "RQS 2.0"]
    numbers = [False] * 4 + [True, False]
    return [intro, Table(heads, numbers, rows, "Criteria of RQS 2.0", kind="checklist")]


SECTION = Section("readiness", "Radiomics Quality Score", _content)
