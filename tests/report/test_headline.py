"""The first screen of the report."""

from __future__ import annotations

from pages_for_tests import changed, read


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
