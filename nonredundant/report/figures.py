"""The figures of the report, as images inside the HTML file."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image

#: Dots per inch of the files; browsers show an inch as 96 pixels.
_DPI, _CSS_DPI = 160, 96
#: Wider figures take the whole width of the page.
_WIDE = 6.0


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn: its name, title, caption and the function that draws it."""

    name: str
    title: str
    caption: str
    draw: Callable[[Any], Any]


@dataclass(frozen=True)
class Figure:
    """A figure as a data URI, with its size on the page in pixels."""

    name: str
    title: str
    caption: str
    source: str
    width: int
    height: int
    is_wide: bool


def draw_with(display: Any) -> Callable[[Any], Any]:
    """Make a function that draws a comparison with a display class."""
    return lambda comparison: display.from_comparison(comparison).figure_


def draw_figures(
    drawings: dict[str, list[Drawing]], comparison: Any
) -> tuple[dict[str, list[Figure]], list[str]]:
    """Draw the figures of each section; return them, and a message per figure that failed."""
    import matplotlib.pyplot as plt
    import matplotlib.style

    found: dict[str, list[Figure]] = {}
    failed = []
    open_before = plt.get_fignums()
    # The report looks the same whatever style the user draws in, and opens no window. Names from
    # data may hold dollar signs, which are no formulas.
    style: list[Any] = ["default", {"text.parse_math": False}]
    with matplotlib.style.context(style), plt.ioff():
        for section, own in drawings.items():
            found[section] = []
            for drawing in own:
                try:
                    found[section].append(_encode(drawing, drawing.draw(comparison)))
                except ValueError as error:
                    # A figure that cannot be drawn must not prevent the report.
                    failed.append(f"Not drawn: {drawing.title}: {error}")
                for number in set(plt.get_fignums()).difference(open_before):
                    plt.close(number)
    return found, failed


def _encode(drawing: Drawing, figure: Any) -> Figure:
    """Encode a drawn figure as a data URI."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white", bbox_inches="tight")
    width, height = (round(n * _CSS_DPI / _DPI) for n in Image.open(buffer).size)
    return Figure(
        drawing.name,
        drawing.title,
        drawing.caption,
        "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii"),
        width,
        height,
        width > _WIDE * _CSS_DPI,
    )
