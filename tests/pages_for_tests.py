"""Reports of cheap comparisons, parsed."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
from sklearn.linear_model import LogisticRegression

from nonredundant import compare_feature_sets
from nonredundant.report import write_report

#: Names that end a tag, open one or stand for another letter if they are not escaped, and names
#: that matplotlib takes for formulas, some of them with errors.
CLASSES = np.array(["<b>benign & co $\\frac$", 'malignant "&lt;"'])
FEATURE = "original_glcm_<script>alert('1')</script>$x_{$"
LOST = "case </table><img src=x>$^$"
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """The elements of a page and the text of those with an id; raises where tags do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[tuple[str, str]] = []
        self.feed(page)
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self._open.append((tag, dict(attrs).get("id", "")))

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        opened, _ = self._open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data):
        tags = [tag for tag, _ in self._open]
        if "style" in tags:
            return
        self.text += data
        if "td" in tags or "th" in tags:
            self.rows[-1][-1] += data
        for _, name in self._open:
            if name:
                self.texts[name] = self.texts.get(name, "") + data

    def of(self, *tags: str) -> list[dict[str, str]]:
        """Return the attributes of all elements with these tags."""
        return [attrs for tag, attrs in self.elements if tag in tags]

    @property
    def ids(self) -> list[str]:
        """All ids, in their order."""
        return [attrs["id"] for _, attrs in self.elements if "id" in attrs]

    def answer_to(self, item: str) -> list[str]:
        """Return the row of the checklist whose item starts so: done, and what was found."""
        found = [row[1:3] for row in self.rows if len(row) == 6 and row[0].startswith(item)]
        assert len(found) == 1, (item, found)
        return found[0]


def read(comparison, folder) -> Page:
    """Write the report of a comparison and read it."""
    return Page(write_report(comparison, folder / "report.html").read_text(encoding="utf-8"))


def changed(comparison, **parts):
    """Return a comparison with some of its parts replaced."""
    return replace(comparison, **parts)


def compare(table, y, **settings):
    """Compare with classifiers that take no time, and no baselines."""
    defaults = {
        "feature_sets": ["HCR"],
        "classifiers": {"LR": LogisticRegression()},
        "baselines": False,
        "cv": 3,
        "n_repeats": 1,
        "random_state": 0,
    }
    return compare_feature_sets(table, y, **{**defaults, **settings})
