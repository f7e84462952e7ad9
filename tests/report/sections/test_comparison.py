"""Scores and paired differences."""

from __future__ import annotations


def test_every_number_of_the_tests_is_there(found, page):
    for _, test in found.tests.iterrows():
        row = [test["feature_set"], test["reference"], test["classifier"]]
        row += [f"{test['estimate']:+.3f}", f"{test['low']:+.3f} to {test['high']:+.3f}"]
        row += [f"{test[name]:.3f}" for name in ("p_value", "p_holm", "detectable")]
        rows = [
            [cell.replace("+0.000", "0.000").replace("-0.000", "0.000") for cell in r]
            for r in (row, *page.rows)
        ]
        assert rows[0] in rows[1:], row
