"""Figures and tables of the report as files that go into a paper."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from nonredundant.displays import style as look
from nonredundant.report.formatting import Table
from nonredundant.report.methods_text import methods_text
from nonredundant.report.sections import SECTIONS
from nonredundant.utils.files import make_folder, replaced_file, write_text

#: Widths of one and of two columns of most journals, in millimetres.
COLUMN_WIDTHS = (85.0, 180.0)
#: What LaTeX would read as a command.
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "–": "--",
        "²": r"\textsuperscript{2}",
        "×": r"$\times$",
        "→": r"$\to$",
    }
)


def save_figures(
    comparison: Any,
    folder: str | os.PathLike[str],
    widths: Sequence[float] = COLUMN_WIDTHS,
) -> list[Path]:
    """Save the figures of the report as SVG and PDF, each at the widths of a journal's columns.

    Parameters
    ----------
    comparison : FeatureSetComparison
        What `compare_feature_sets` returned.
    folder : str or path-like
        Created if necessary.
    widths : sequence of float
        Widths in millimetres.

    Returns
    -------
    list of Path
        The files, such as ``forest-85mm.svg``. Figures that the comparison has no data for are
        left out.

    Raises
    ------
    ValueError
        If a width is not between 40 and 500 mm.

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
    ...     [path.name for path in save_figures(found, folder, widths=[85])][:2]
    ['forest-85mm.svg', 'forest-85mm.pdf']
    """
    import matplotlib.pyplot as plt
    import matplotlib.style

    for width in widths:
        if not 40 <= width <= 500:
            raise ValueError(f"widths are in millimetres, between 40 and 500; got {width}")
    folder = make_folder(folder)
    # Letters stay letters in PDF and SVG, so that they can be searched and edited.
    style: list[Any] = [
        "default",
        {"text.parse_math": False, "pdf.fonttype": 42, "svg.fonttype": "none"},
    ]
    saved: list[Path] = []
    open_before = plt.get_fignums()
    for width in widths:
        with matplotlib.style.context(style), plt.ioff(), look.on_paper(width):
            for section in SECTIONS:
                for drawing in section.figures(comparison):
                    figure = drawing.draw(comparison)
                    saved += _save(figure, folder / f"{drawing.name}-{width:g}mm")
                    for number in set(plt.get_fignums()).difference(open_before):
                        plt.close(number)
    return saved


def _save(figure: Any, path: Path) -> Iterator[Path]:
    """Save a figure as SVG and PDF."""
    for kind in ("svg", "pdf"):
        content = BytesIO()
        # Without a date the same results give the same file.
        date = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
        figure.savefig(content, format=kind, metadata=date)
        file = path.with_name(f"{path.name}.{kind}")
        with replaced_file(file) as stream:
            stream.write(content.getvalue())
        yield file


def save_tables(comparison: Any, folder: str | os.PathLike[str]) -> list[Path]:
    """Save the tables of the report as CSV, as one HTML file for word processors, and as LaTeX.

    Parameters
    ----------
    comparison : FeatureSetComparison
        What `compare_feature_sets` returned.
    folder : str or path-like
        Created if necessary.

    Returns
    -------
    list of Path
        A CSV file per table, then ``tables.html``, which word processors open and save as DOCX,
        and ``tables.tex``, which needs LaTeX's packages `booktabs` and `longtable`, then
        ``methods.txt``, see `methods_text`. Cells hold the text of the report; unrounded numbers
        are in the files of `FeatureSetComparison.to_csv`.

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
    ...     [path.name for path in save_tables(found, folder)][-3:]
    ['tables.html', 'tables.tex', 'methods.txt']
    """
    import pandas as pd

    folder = make_folder(folder)
    tables = list(_tables(comparison))
    texts = {
        f"table-{number:02d}.csv": pd.DataFrame(table.rows, columns=list(table.heads)).to_csv(
            index=False, header=any(table.heads)
        )
        for number, (_, table) in enumerate(tables, start=1)
    }
    texts["tables.html"] = _HTML.format("\n".join(_html(*one) for one in tables))
    texts["tables.tex"] = "\n".join(_latex(*one) for one in tables)
    texts["methods.txt"] = methods_text(comparison)
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def _tables(comparison: Any) -> Iterator[tuple[str, Table]]:
    """Yield the tables of the report, with their captions."""
    for section in SECTIONS:
        for block in section.content(comparison) or []:
            if isinstance(block, Table) and block:
                yield block.caption or section.title, block


_HTML = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Tables</title>
<style>
body {{ font: 10pt Arial, sans-serif; }}
table {{ border-collapse: collapse; margin: 4pt 0 14pt; border: solid; border-width: 1.5pt 0; }}
thead th {{ border-bottom: 0.75pt solid; }}
th, td {{ padding: 2pt 6pt; text-align: left; vertical-align: top; }}
.n {{ text-align: right; }}
</style></head><body>
{}
</body></html>
"""


def _html(caption: str, table: Table) -> str:
    """Write a table as HTML without anything that a word processor does not know."""

    def row(cells: Sequence[str], kind: str) -> str:
        marks = [' class="n"' if number else "" for number in table.numbers]
        every = zip(cells, marks, strict=True)
        return f"<tr>{''.join(f'<{kind}{m}>{html.escape(c)}</{kind}>' for c, m in every)}</tr>"

    head = f"<thead>{row(table.heads, 'th')}</thead>" if any(table.heads) else ""
    body = "\n".join(row(cells, "td") for cells in table.rows)
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in table.notes)
    title = f"<p><b>{html.escape(caption)}</b></p>"
    return f"{title}\n<table>{head}<tbody>\n{body}\n</tbody></table>{notes}"


def _latex(caption: str, table: Table) -> str:
    """Write a table as a `longtable` of `booktabs`."""

    def row(cells: Sequence[str]) -> str:
        return " & ".join(cell.translate(_LATEX) for cell in cells) + r" \\"

    # Long texts need columns of a width, or they run off the page.
    longest = [max(len(cells[i]) for cells in table.rows) for i in range(len(table.numbers))]
    share = f"p{{{0.9 / len(longest):.2f}\\linewidth}}"
    kinds = [
        "r" if number else share if length > 30 else "l"
        for number, length in zip(table.numbers, longest, strict=True)
    ]
    head = [row(table.heads), r"\midrule"] if any(table.heads) else []
    notes = [rf"\par\small {note.translate(_LATEX)}" for note in table.notes]
    return "\n".join(
        [
            rf"\begin{{longtable}}{{{''.join(kinds)}}}",
            rf"\caption{{{caption.translate(_LATEX)}}}\\",
            r"\toprule",
            *head,
            r"\endfirsthead",
            *map(row, table.rows),
            r"\bottomrule",
            r"\end{longtable}",
            *notes,
            "",
        ]
    )
