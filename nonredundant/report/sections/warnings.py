"""Section: warnings of the comparison, and figures that could not be drawn."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from nonredundant.report.section import Block, Section


def _content(comparison: Any) -> list[Block] | None:
    """List the warnings."""
    if not comparison.warnings:
        return None
    items = Markup("\n").join(Markup("<li>{}</li>").format(one) for one in comparison.warnings)
    return [Markup('<ul class="plain">\n{}\n</ul>').format(items)]


SECTION = Section("warnings", "Warnings", _content)
