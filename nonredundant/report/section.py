"""Parts of a section of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nonredundant.report.figures import Drawing
from nonredundant.report.formatting import Table

#: Part of a section: a table, or HTML as it stands.
Block = Table | Markup


def _no_figures(comparison: Any) -> list[Drawing]:
    """Draw nothing."""
    return []


@dataclass(frozen=True)
class Section:
    """A section of the report, left out where it has neither figures nor content.

    Attributes
    ----------
    id : str
        Anchor of the section.
    title : str
        Heading, also in the table of contents.
    content : callable
        Comparison → tables and text below the figures, or None.
    figures : callable
        Comparison → figures to draw.
    """

    id: str
    title: str
    content: Callable[[Any], list[Block] | None]
    figures: Callable[[Any], list[Drawing]] = _no_figures


def note(text: str, *parts: Any) -> Markup:
    """Make a paragraph in small print; `{}` in the text is replaced by the escaped parts."""
    # The text is written in this package; `format` escapes the parts, which may be data.
    template = Markup(text)  # nosec B704
    return Markup('<p class="quiet">{}</p>').format(template.format(*parts))
