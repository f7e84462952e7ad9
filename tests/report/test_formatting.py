"""Numbers and tables as text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant.report.formatting import (
    DIFFERENCE,
    count,
    format_compact,
    format_number,
    frame_table,
)


@pytest.mark.parametrize(("n", "text"), [(0, "0 folds"), (1, "1 fold"), (1200, "1,200 folds")])
def test_a_number_of_things_has_the_plural_only_where_it_is_one(n, text):
    assert count(n, "fold") == text


def test_zero_has_no_sign():
    assert format_number(-0.0004) == format_number(-0.0004, signed=True) == "0.000"
    assert format_compact(-0.0) == "0"


def test_what_is_not_estimable_refers_to_its_reason():
    known = {"estimate": 0.1, "low": 0.0, "high": 0.2, "p_value": 0.04, "p_holm": 0.08}
    unknown = dict.fromkeys(known, np.nan) | {"estimate": 0.0}
    rows = [
        {**known, "reason": ""},
        {**unknown, "reason": "one fold"},
        {**unknown, "reason": "equal predictions"},
        {**unknown, "reason": "one fold"},
    ]
    table = frame_table(pd.DataFrame(rows), DIFFERENCE)
    assert table.rows[0][:3] == ["+0.100", "0.000 to +0.200", "0.040"]
    assert [row[1:4] for row in table.rows[1:]] == [
        [f"not estimable [{number}]"] * 2 + ["–"] for number in (1, 2, 1)
    ]
    assert table.notes == ["[1] one fold", "[2] equal predictions"]
