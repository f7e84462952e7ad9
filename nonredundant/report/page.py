"""The report of a comparison: one HTML file that needs no network, for screen, phone and paper."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from nonredundant._version import __version__
from nonredundant.report.figures import Figure, draw_figures
from nonredundant.report.headline import headline
from nonredundant.report.section import Block
from nonredundant.report.sections import SECTIONS
from nonredundant.utils.files import write_text


class Shown(NamedTuple):
    """A section with something to show."""

    id: str
    title: str
    figures: list[Figure]
    blocks: list[Block]


def write_report(comparison: Any, path: str | os.PathLike[str]) -> Path:
    """Write the report of a comparison as one HTML file.

    Figures are inside the file, nothing is loaded from elsewhere, and sections that have nothing
    to show are left out.

    Parameters
    ----------
    comparison : FeatureSetComparison
        What `compare_feature_sets` returned.
    path : str or path-like
        The file.

    Returns
    -------
    Path
        The file.

    See Also
    --------
    nonredundant.evaluation.FeatureSetComparison.to_csv : Writes the tables.

    Examples
    --------
    >>> import numpy as np, pandas as pd, tempfile
    >>> from nonredundant import LesionTable, compare_feature_sets
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 30)
    >>> table = LesionTable(pd.DataFrame({"uptake": y + rng.normal(size=60)}))
    >>> found = compare_feature_sets(
    ...     table, y, feature_sets=["HCR"], classifiers="LR", baselines=False, random_state=0
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_report(found, f"{folder}/report.html").read_text(encoding="utf-8")
    >>> found.answer() in page
    True
    """
    settings = comparison.settings
    page = template("report.html").render(
        headline=headline(comparison),
        sections=_sections(comparison),
        version=__version__,
        compared_with=settings.versions.get("nonredundant", __version__),
        made=settings.made,
    )
    path = Path(path)
    write_text(path, page)
    return path


def template(name: str) -> Any:
    """Return a template of a page; what is filled in is escaped."""
    environment = Environment(
        loader=PackageLoader("nonredundant.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _sections(comparison: Any) -> list[Shown]:
    """Draw and fill the sections, and leave out those with nothing to show."""
    drawings = {section.id: section.figures(comparison) for section in SECTIONS}
    figures, failed = draw_figures(drawings, comparison)
    # A figure that could not be drawn is a warning like those of the comparison.
    comparison = replace(comparison, warnings=[*comparison.warnings, *failed])
    shown = []
    for section in SECTIONS:
        blocks = [block for block in section.content(comparison) or [] if block]
        own = figures.get(section.id, [])
        if blocks or own:
            shown.append(Shown(section.id, section.title, own, blocks))
    return shown
