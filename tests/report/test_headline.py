"""The first screen of the report."""

from __future__ import annotations

import numpy as np
import pandas as pd
from cohorts_for_tests import GRAPH, compare_patients, make_patients, make_table
from pages_for_tests import changed, compare, read

from nonredundant.folds.simple_sets import SIMPLE, SimpleSet


def test_first_screen_gives_the_answer_and_the_primary_sets(found, page):
    assert page.texts["answer"] == found.answer()
    heads = ["feature set", "AUC", "95 % interval", "gain over HCR", "p"]
    start = page.rows.index(heads)
    assert [row[0] for row in page.rows[start + 1 : start + 4]] == ["HCR", "HCR+DLR", "HCR+DLR-MI"]
    tests = found.tests.set_index(["feature_set", "reference", "classifier"])
    gain = tests.loc[("HCR+DLR-MI", "HCR", "LR")]
    assert page.rows[start + 3][3:] == [f"{gain['estimate']:+.3f}", f"{gain['p_value']:.3f}"]


def test_the_first_screen_draws_the_estimate_and_counts_the_cases(found, page, tmp_path):
    source = found.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<svg class="estimate"' in source
    assert ("gains above" in page.text) == (found.tests.iloc[-1]["low"] < 0)
    assert "Cases: 64 given → 64 read → 63 usable → 63 analysed (1 lost: " in page.text


def test_without_an_interval_nothing_is_drawn(found, tmp_path, no_pictures):
    tests = found.tests.assign(low=np.nan, high=np.nan, p_value=np.nan, reason="too few")
    page = read(changed(found, tests=tests), tmp_path)
    assert "gains above" not in page.text
    assert "not estimable" in page.text
    assert "nan" not in page.text.split()


def test_a_new_baseline_is_among_the_simple_ones(tmp_path, no_pictures, monkeypatch):
    table, y = make_table(60)
    truth = pd.DataFrame({"truth": y.astype(float)}, index=table.index)
    new = SimpleSet("truth", ("truth",), lambda lesions: truth.loc[lesions.index])
    monkeypatch.setitem(SIMPLE, new.name, new)
    table = table.replace(patches=None, masks=None)
    found = compare(table, y, feature_sets=["HCR", "volume", "truth"])
    assert found.settings.simple_sets == ["volume", "truth"]
    page = read(found, tmp_path)
    assert "The best of the simple baselines is “truth”" in page.text
    assert page.answer_to("Comparison with models without") == ["yes", "volume, truth"]


def test_clinical_columns_alone_are_a_simple_baseline(tmp_path, no_pictures):
    table, y = make_table(60)
    age = pd.DataFrame({"age": y + 0.1 * table.features.iloc[:, 2].to_numpy()}, index=table.index)
    table = table.replace(patches=None, masks=None).join(age, block="clinical")
    for sets, name in (["Clinical", "HCR", "Clinical+HCR"], "Clinical"), (["HCR"], "Clinical"):
        found = compare(table, y, feature_sets=sets, baselines=sets == ["HCR"])
        assert name in found.settings.simple_sets
        page = read(found, tmp_path)
        assert f"The best of the simple baselines is “{name}”" in page.text
        done, which = page.answer_to("Comparison with models without")
        assert (done, which.split(", ")[-1]) == ("yes", name)


def test_a_graph_is_shown_beside_baselines_of_another_classifier(tmp_path, no_pictures):
    table, y, _ = make_patients(40)
    found = compare_patients(
        table, y, patients=GRAPH, feature_sets=["HCR", "HCR+DLR"], baselines=True
    )
    assert found.primary["classifier"] == "graph"
    page = read(found, tmp_path)
    start = next(i for i, row in enumerate(page.rows) if row[:2] == ["feature set", "AUC"])
    shown = [row[0] for row in page.rows[start + 1 : start + 6]]
    assert {"volume (LR)", "max intensity (LR)"} <= set(shown)
    assert "The best of the simple baselines is “" in page.text
