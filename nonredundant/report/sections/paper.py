"""Section: text for the methods part of a paper."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from nonredundant.report.methods_text import methods_text
from nonredundant.report.section import Block, Section, note


def _content(comparison: Any) -> list[Block]:
    """Print the text."""
    return [
        note(
            "To be pasted into a paper. What stands in square brackets without a number is yours."
        ),
        Markup('<div class="prose">{}</div>').format(methods_text(comparison)),
    ]


SECTION = Section("paper", "Text for a paper", _content)
