"""Section: the items of METRICS, those that a comparison can answer filled in.

METRICS is the METhodological RadiomICs Score (Kocak et al. 2024, Insights into Imaging 15, 8, doi
10.1186/s13244-023-01572-w). Its 30 items stand here in our own words. No score is computed, as
most items can only be judged by the authors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from nonredundant.report.descriptions import validation_text
from nonredundant.report.formatting import Table, count
from nonredundant.report.references import cite
from nonredundant.report.section import Block, Section
from nonredundant.report.sections.checklist import (
    NO,
    NOT_APPLICABLE,
    YES,
    Item,
    answered_items,
)

#: Status of an item that the software cannot answer.
AUTHORS = "authors"


class Reply(NamedTuple):
    """Status of an item and what was found."""

    status: str
    found: str = ""


#: Settings and the answered items of the checklist, by topic → reply.
Rule = Callable[[Any, Mapping[str, Item]], Reply]


def answer_from(*topics: str) -> Rule:
    """Answer by items of the checklist: "yes" if all of them are done."""

    def reply(settings: Any, items: Mapping[str, Item]) -> Reply:
        own = [items[topic] for topic in topics]
        found = "; ".join(dict.fromkeys(item.found for item in own))
        states = {item.status for item in own}
        return Reply(states.pop() if len(states) == 1 else NO, found)

    return reply


def leave_to_authors(found: str = "") -> Rule:
    """Leave the item to the authors."""
    return lambda settings, items: Reply(AUTHORS, found)


def _robust(settings: Any, items: Mapping[str, Item]) -> Reply:
    """Answer whether features were kept by the agreement of repeated measurements."""
    if any(step.startswith("StableFeatures(") for step in settings.steps):
        return Reply(YES, "kept by the intraclass correlation of repeats, in each fold")
    return _NOT_IN_FILES(settings, items)


def _dimensions(settings: Any, items: Mapping[str, Item]) -> Reply:
    """Count columns and samples, which the authors must judge."""
    cohort = settings.cohort
    found = count(cohort.n_hcr, "hand-crafted feature")
    if settings.cvae:
        found += f" and {count(settings.cvae.get('dlr_size', 0), 'learned feature')}"
    if settings.kind == "numbers":
        return Reply(AUTHORS, f"{found}; {count(cohort.n_samples, 'sample')}")
    fewest = min(cohort.class_counts.values(), default=0)
    group = "smallest class" if settings.classes else "smaller group of events and censored"
    return Reply(AUTHORS, f"{found}; {count(fewest, 'sample')} in the {group}")


def _non_radiomic(settings: Any, items: Mapping[str, Item]) -> Reply:
    """Answer whether clinical columns alone were compared."""
    clinical = [name for name in settings.simple_sets if name.startswith("Clinical")]
    if clinical:
        return Reply(YES, ", ".join(clinical))
    return Reply(NO, "no clinical columns alone were among the feature sets")


def _centres(settings: Any, items: Mapping[str, Item]) -> Reply:
    """Answer whether there are several centres, if their column was named."""
    if not settings.n_centres:
        return Reply(AUTHORS, "no column of centres was named")
    return Reply(YES if settings.n_centres > 1 else NO, count(settings.n_centres, "centre"))


def describe_internal(settings: Any, items: Mapping[str, Item]) -> Reply:
    """Describe the internal validation."""
    return Reply(YES, validation_text(settings))


def describe_external(settings: Any, items: Mapping[str, Item]) -> Reply:
    """Answer whether there is a test set; the authors know where it is from."""
    if not settings.n_test:
        return Reply(NO, "no separate test set")
    held = count(settings.n_test, "held-out sample")
    return Reply(AUTHORS, f"{held}; say whether they come from other institutions")


_NOT_IN_FILES = leave_to_authors()
#: Item of METRICS in our own words, and how it is answered; numbered from 1 in this order.
_ITEMS: list[tuple[str, Rule]] = [
    (
        "Reporting follows a checklist",
        leave_to_authors("a part of CLEAR and TRIPOD+AI is answered in this file"),
    ),
    ("Criteria of eligibility and how far the cohort represents patients", _NOT_IN_FILES),
    ("Quality and definition of the reference standard", _NOT_IN_FILES),
    ("More than one centre", _centres),
    ("Images as they are acquired in clinical practice", _NOT_IN_FILES),
    ("Protocol and parameters of acquisition", _NOT_IN_FILES),
    ("Time between imaging and reference standard", _NOT_IN_FILES),
    ("How lesions were segmented", _NOT_IN_FILES),
    ("Evaluation of an automatic segmentation, if there is one", _NOT_IN_FILES),
    ("Masks of the test set by a single reader or tool", _NOT_IN_FILES),
    ("Pre-processing of images", answer_from("Pre-processing and resampling")),
    ("Standardised software for features", answer_from("Software that extracted the features")),
    (
        "Parameters of the extraction",
        answer_from("Discretisation of grey levels", "Image types", "Feature classes"),
    ),
    ("Features that are not robust are removed", _robust),
    (
        "Features that repeat others are removed",
        answer_from("Hand-crafted features selected inside the fold"),
    ),
    ("Number of features against number of cases", _dimensions),
    (
        "Robustness of a network that predicts the outcome from images",
        lambda settings, items: Reply(
            NOT_APPLICABLE, "networks give features, classifiers predict the outcome"
        ),
    ),
    ("Partition of the data", answer_from("Data split")),
    ("Confounders", _NOT_IN_FILES),
    ("Metrics that suit the task", answer_from("Metrics")),
    ("Uncertainty of the results", answer_from("Scores with 95 % intervals")),
    ("Calibration", answer_from("Calibration and clinical utility")),
    ("One kind of image alone, or shown to be inferior", _NOT_IN_FILES),
    ("Comparison with a method without radiomics", _non_radiomic),
    ("Comparison with simple models", answer_from("Comparison with models without radiomics")),
    ("Internal test", describe_internal),
    ("External test", describe_external),
    ("Data are available", _NOT_IN_FILES),
    ("Code is available", leave_to_authors("settings, seed and versions are in this file")),
    ("Models are available", _NOT_IN_FILES),
]


def _content(comparison: Any) -> list[Block]:
    """Tabulate the items with their answers."""
    items = {item.topic: item for item in answered_items(comparison)}
    rows = []
    for number, (text, rule) in enumerate(_ITEMS, start=1):
        status, found = rule(comparison.settings, items)
        rows.append([text, status, found, str(number)])
    intro = Markup(
        "<p>Items of METRICS{}, the METhodological RadiomICs Score, in our own words. Those marked "
        "“{}” cannot be answered from the data and are left to the authors.</p>"
    ).format(cite("metrics"), AUTHORS)
    heads = ["item", "done", "what was found", "METRICS"]
    return [intro, Table(heads, [False] * 4, rows, "Items of METRICS", kind="checklist")]


SECTION = Section("quality", "Quality score", _content)
