"""Comparisons with and without networks, and their reports."""

from __future__ import annotations

import matplotlib as mpl
import pytest
from cohorts_for_tests import make_table
from pages_for_tests import CLASSES, FEATURE, LOST, Page, compare
from sklearn.linear_model import LogisticRegression

from nonredundant import LesionTable, NonRedundantCVAE
from nonredundant.report import write_report

mpl.use("Agg")


@pytest.fixture(scope="session")
def found():
    """A comparison with everything in it: networks, an audit, a lost case, odd names."""
    table, y = make_table(64)
    features = table.features.rename(columns={"original_glcm_F0": FEATURE})
    status = ["ok"] * 64
    index = list(table.index)
    status[5], index[5] = "no <mask> & no image", LOST
    table = LesionTable(
        features, patches=table.patches, masks=table.masks, status=status, index=index
    )
    with pytest.warns(UserWarning, match="could not be extracted"):
        return compare(
            table,
            CLASSES[y],
            cvae=NonRedundantCVAE(dlr_size=3, max_epochs=2, network={"width": 4}),
            feature_sets=["HCR", "HCR+DLR", "HCR+DLR-MI"],
            classifiers={"LR": None, "mine": LogisticRegression(C=0.1)},
            audit=["dcor", "r2-ridge"],
        )


@pytest.fixture(scope="session")
def file(found, tmp_path_factory):
    """Its report."""
    return write_report(found, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="session")
def page(file):
    """The report, read."""
    return Page(file.read_text(encoding="utf-8"))


@pytest.fixture
def no_pictures(monkeypatch):
    """Leave the pictures out where a test is about text, as they take a second."""
    monkeypatch.setattr("nonredundant.report.page.draw_figures", lambda *_: ({}, []))


@pytest.fixture(scope="session")
def plain():
    """A comparison of hand-crafted features alone, of three classes."""
    table, y = make_table(60, n_classes=3)
    return compare(table.replace(patches=None, masks=None), y)
