"""Figures, tables and text of a report as files for a paper."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import pandas as pd
import pytest
from pages_for_tests import CLASSES, FEATURE, Page, changed

from nonredundant.report import methods_text, save_figures, save_tables
from nonredundant.report.exports import _latex
from nonredundant.report.formatting import Table


@pytest.fixture(scope="module")
def saved(found, tmp_path_factory):
    """Return the folder of the tables."""
    folder = tmp_path_factory.mktemp("tables")
    save_tables(found, folder)
    return folder


def test_figures_have_the_width_of_a_column(found, tmp_path):
    files = save_figures(found, tmp_path, [85])
    names = {file.name.partition("-")[0] for file in files}
    assert {"forest", "redundancy", "roc", "latents", "atlas", "reliability"} <= names
    assert {file.suffix for file in files} == {".svg", ".pdf"}
    for file in files:
        content = file.read_bytes()
        if file.suffix == ".svg":
            width = float(re.search(rb'<svg[^>]*? width="([\d.]+)pt"', content)[1]) / 72
            assert b"<text" in content
        else:
            box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", content)
            width = float(box[1]) / 72
        assert 25.4 * width == pytest.approx(85, abs=0.1)


@pytest.mark.parametrize("width", [0, 8.5, float("nan"), 900])
def test_widths_in_other_units_are_refused(width, plain, tmp_path):
    with pytest.raises(ValueError, match="millimetres"):
        save_figures(plain, tmp_path, [width])


def test_tables_are_those_of_the_report(saved, page):
    rows = [row for row in page.rows if row]
    every = []
    for file in sorted(saved.glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as stream:
            every += list(csv.reader(stream))
    assert len(every) > 50
    assert all(row in rows for row in every)
    word = Page((saved / "tables.html").read_text(encoding="utf-8"))
    assert all(row in rows for row in word.rows)
    assert CLASSES[0] in word.text


def test_latex_reads_names_as_they_are():
    table = Table(["a_b", "n"], [False, True], [["50 % & {x} \\ $", "1"]], "p < 0.05")
    text = _latex("p < 0.05", table)
    assert r"50 \% \& \{x\} \textbackslash{} \$ & 1 \\" in text
    assert r"a\_b & n \\" in text
    assert r"\caption{p \textless{} 0.05}" in text
    assert FEATURE.translate({}) not in text


def test_the_text_states_what_was_run_and_nothing_else(found, plain):
    text = methods_text(found)
    settings = found.settings
    for part in (
        f"{settings.cvae['dlr_size']} deep features",
        f"epochs {settings.cvae['max_epochs']}, batch size",
        f"{settings.cohort.n_samples} patients",
        "1 case could not be measured and was left out",
        f"The seed was {settings.seed}",
        "HCR+DLR-MI against HCR",
        settings.versions["torch"],
    ):
        assert part in text
    short = methods_text(plain)
    for word in ("autoencoder", "-MI", "held-out patients by newly", "Paired differences"):
        assert word not in short


def test_a_model_of_the_users_own_is_described_by_its_parameters(found):
    settings = replace(found.settings, cvae={"n_components": 3})
    text = methods_text(changed(found, settings=settings))
    assert "a model with the parameters n_components = 3 [which model: authors]" in text
    assert "autoencoder" not in text


def test_references_are_numbered_in_their_order_and_all_cited(found):
    text, _, listed = methods_text(found).partition("References\n")
    cited = list(dict.fromkeys(re.findall(r"\[(\d+)\]", text)))
    assert cited == [line.partition(".")[0] for line in listed.strip().splitlines()]
    assert cited == [str(n) for n in range(1, len(cited) + 1)]


def test_a_test_set_is_tested_as_its_table_says(found):
    tests = found.tests.assign(method="DeLong, clustered")
    settings = replace(found.settings, n_test=12)
    text = methods_text(changed(found, tests=tests, settings=settings))
    assert "DeLong's test, clustered by patient" in text
    assert "12 held-out samples" in text


def test_several_images_steps_and_embeddings_are_described(found):
    one = {"modality": "CT", "parameters": {"setting": {"binWidth": 25}}}
    provenance = {"channels": ["pet", "ct"], "images": {"pet": {"modality": "PET"}, "ct": one}}
    settings = replace(
        found.settings,
        extractor="RadiomicsExtractor(embeddings={'A': FrozenEncoder()})",
        cohort=replace(found.settings.cohort, missing_images={"pet": 0, "ct": 1}),
        provenance={**provenance, "versions": {"pyradiomics": "3.1"}},
        steps=["EncodeClinical(transformer=['age'])", "Select(k=2,\n       score=None)", "Plain()"],
    )
    embeddings = pd.DataFrame(
        {"embedding": ["A"], "n_columns": [4096], "n_components": [16], "share_explained": [0.2]}
    )
    text = methods_text(changed(found, settings=settings, embeddings=embeddings))
    for part in (
        "of 2 images per patient were computed by pyradiomics 3.1",
        "(pet: preset for PET; ct: preset for CT, binWidth = 25)",
        "1 patient had no ct image",
        "computed by frozen networks",
        "A (4,096 columns, of which the first 16 principal components were used)",
        "named -MI hold what cross-fitted regressions",
        "learn EncodeClinical (transformer=['age']), then Select (k=2, score=None), then Plain.",
    ):
        assert part in text
