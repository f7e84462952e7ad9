"""The sections of the report, in their order on the page.

A new section is one file here, which defines `SECTION`, and one line of the list below.
"""

from __future__ import annotations

from nonredundant.report.section import Section
from nonredundant.report.sections import (
    audit,
    calibration,
    centres,
    checklist,
    cohort,
    comparison,
    failed,
    method,
    paper,
    patients,
    pictures,
    quality,
    readiness,
    selection,
    settings,
    stability,
    warnings,
    words,
)

SECTIONS: list[Section] = [
    cohort.SECTION,
    settings.SECTION,
    comparison.SECTION,
    selection.SECTION,
    audit.SECTION,
    stability.SECTION,
    centres.SECTION,
    patients.SECTION,
    pictures.SECTION,
    calibration.SECTION,
    warnings.SECTION,
    failed.SECTION,
    method.SECTION,
    paper.SECTION,
    checklist.SECTION,
    quality.SECTION,
    readiness.SECTION,
    words.SECTION,
]

__all__ = ["SECTIONS"]
