"""Section: cases whose extraction failed."""

from __future__ import annotations

from typing import Any

from nonredundant.report.formatting import Table
from nonredundant.report.section import Block, Section


def _content(comparison: Any) -> list[Block]:
    """Tabulate the cases and the reasons."""
    rows = [[case, reason] for case, reason in comparison.settings.failed.items()]
    return [Table(["case", "reason"], [False, False], rows, kind="pairs", is_tall=True)]


SECTION = Section("failed", "Cases that failed", _content)
