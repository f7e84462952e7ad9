"""The first screen of the report."""

from __future__ import annotations

import pandas as pd
from cohorts_for_tests import make_table
from pages_for_tests import changed, compare, read

from nonredundant.evaluation.baselines import CHEAP, CheapBaseline


def test_first_screen_gives_the_answer_and_the_primary_sets(found, page):
    assert page.texts["answer"] == found.answer()
    heads = ["feature set", "AUC", "95 % interval", "gain over HCR", "p"]
    start = page.rows.index(heads)
    assert [row[0] for row in page.rows[start + 1 : start + 4]] == ["HCR", "HCR+DLR", "HCR+DLR-MI"]
    tests = found.tests.set_index(["feature_set", "reference", "classifier"])
    gain = tests.loc[("HCR+DLR-MI", "HCR", "LR")]
    assert page.rows[start + 3][3:] == [f"{gain['estimate']:+.3f}", f"{gain['p_value']:.3f}"]


def test_redundancy_is_summed_up_on_the_first_screen(found, plain, tmp_path, no_pictures):
    def with_p(table):
        audit = found.redundancy[found.redundancy["feature_set"].isin(["DLR", "DLR-MI"])].copy()
        for (name, method), p in table.items():
            chosen = (audit["feature_set"] == name) & (audit["method"] == method)
            audit.loc[chosen, ["p_value", "estimate", "null_mean"]] = p, 0.5, 0.1
        methods = {method for _, method in table}
        return read(changed(found, redundancy=audit[audit["method"].isin(methods)]), tmp_path).text

    both = with_p(
        {("DLR", m): 0.001 for m in ("dcor", "r2-ridge")}
        | {("DLR-MI", "dcor"): 0.4, ("DLR-MI", "r2-ridge"): 0.01}
    )
    assert (
        "1 of 2 newly trained estimators detect the hand-crafted features in DLR-MI beyond chance "
        "(distance correlation 0.50, by chance 0.10). In DLR, trained without the independence "
        "term, 2 of 2 do"
    ) in both
    one = with_p({("DLR", "dcor"): 0.001, ("DLR-MI", "dcor"): 0.4})
    assert "a newly trained estimator does not detect the hand-crafted features in DLR-MI" in one
    assert "trained without the independence term, it does (" in one
    assert "was not audited" in read(plain, tmp_path).text


def test_a_new_baseline_is_among_the_simple_ones(tmp_path, no_pictures, monkeypatch):
    table, y = make_table(60)
    truth = pd.DataFrame({"truth": y.astype(float)}, index=table.index)
    new = CheapBaseline("truth", ("truth",), lambda lesions: truth.loc[lesions.index])
    monkeypatch.setitem(CHEAP, new.name, new)
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
    for sets, name in (["Clinical", "HCR", "Clinical+HCR"], "Clinical"), (["HCR"], "clinical"):
        found = compare(table, y, feature_sets=sets, baselines=name == "clinical")
        assert name in found.settings.simple_sets
        page = read(found, tmp_path)
        assert f"The best of the simple baselines is “{name}”" in page.text
        done, which = page.answer_to("Comparison with models without")
        assert (done, which.split(", ")[-1]) == ("yes", name)
