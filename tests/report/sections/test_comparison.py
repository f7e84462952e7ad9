"""Scores and paired differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pages_for_tests import changed, read


def test_every_number_of_the_tests_is_there(found, page):
    for _, test in found.tests.iterrows():
        row = [test["feature_set"], test["reference"], test["classifier"]]
        row += [f"{test['estimate']:+.3f}", f"{test['low']:+.3f} to {test['high']:+.3f}"]
        row += [f"{test[name]:.3f}" for name in ("p_value", "p_holm")]
        rows = [
            [cell.replace("+0.000", "0.000").replace("-0.000", "0.000") for cell in r]
            for r in (row, *page.rows)
        ]
        assert rows[0] in rows[1:], row


def test_sets_with_the_same_numbers_are_one_row(found, tmp_path, no_pictures):
    def alike(table):
        own = table[table["feature_set"] == "HCR+DLR"]
        own = own[own["reference"] == "HCR"] if "reference" in own else own
        # Rounding errors do not tell sets apart.
        copies = own.assign(feature_set="HCR+copy")
        numbers = copies.select_dtypes("number").columns
        return pd.concat([table, copies.assign(**{k: copies[k] + 1e-13 for k in numbers})])

    part = {name: alike(getattr(found, name)) for name in ("summary", "tests")}
    rows = read(changed(found, **part), tmp_path).rows
    joined = [row for row in rows if row and row[0] == "HCR+DLR = HCR+copy"]
    # Scores and differences by two classifiers.
    assert len(joined) == 4
    assert not [row for row in rows if row and row[0] == "HCR+copy"]


def test_what_is_not_estimable_says_why_below_its_table(found, tmp_path, no_pictures):
    lost = dict.fromkeys(("low", "high", "p_value", "p_holm"), np.nan)
    tests = found.tests.assign(**lost, reason="one fold <only>")
    page = read(changed(found, tests=tests), tmp_path)
    assert "[1] one fold <only>" in page.text
    assert any("not estimable [1]" in row for row in page.rows)
