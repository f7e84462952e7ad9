"""Input of the audit: invariances, tables, constant columns and bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pairs_for_tests import independent, related

from nonredundant import LesionTable, redundancy_report, redundancy_score
from nonredundant.metrics import METHODS


@pytest.mark.parametrize("method", METHODS)
def test_scale_shift_and_skew_of_columns_do_not_matter(method):
    h, d = related()
    d_mapped = np.column_stack([np.exp(d[:, 0]), 1e6 * d[:, 1] - 5, d[:, 2] ** 3])
    settings = {"method": method, "cv": 2, "random_state": 0}
    expected = redundancy_score(h, d, **settings)
    assert redundancy_score(1e-3 * h + 1, d_mapped, **settings) == pytest.approx(expected)


@pytest.mark.parametrize("method", METHODS)
def test_order_of_the_columns_of_h_does_not_matter(method):
    h, d = related()
    settings = {"method": method, "cv": 2, "random_state": 0}
    expected = redundancy_score(h, d, **settings)
    assert redundancy_score(h[:, ::-1], d, **settings) == pytest.approx(expected, abs=1e-3)


def test_frames_and_lesion_tables_count_as_their_matrices():
    h, d = related()
    expected = redundancy_score(h, d, "dcor")
    index = [f"patient {i}" for i in range(len(h))]
    frames = [pd.DataFrame(x, index=index) for x in (h, d)]
    assert redundancy_score(*frames, "dcor") == expected
    table = LesionTable(pd.DataFrame(h, columns=list("abcd")))
    assert redundancy_score(table, d, "dcor") == expected


def test_lesion_table_of_several_lesions_a_sample_asks_to_aggregate():
    table = LesionTable(pd.DataFrame({"a": np.arange(30.0)}), sample=np.repeat(np.arange(15), 2))
    with pytest.raises(ValueError, match="aggregate them first"):
        redundancy_score(table, np.arange(15.0), "dcor")


def test_constant_columns_are_left_out_and_named():
    h, d = related()
    frame = pd.DataFrame(h, columns=list("abcd")).assign(flat=1.0)
    with pytest.warns(UserWarning, match="h has 1 constant columns.*flat") as caught:
        found = redundancy_score(frame, d, "dcor")
    assert caught[0].filename == __file__
    assert found == redundancy_score(h, d, "dcor")


def spoilt(value):
    h = independent()[0]
    h[3, 1] = h[5, 1] = value
    return pd.DataFrame(h, columns=["volume", "peak", "mean", "skew"])


BAD = {
    "lengths": (independent(20)[0], independent(19)[1], "h has 20 rows but d has 19"),
    "NaN": (spoilt(np.nan), independent()[1], "h has 2 NaN or infinite values in 2 rows.*peak"),
    "infinite": (independent()[1], spoilt(np.inf), "d has 2 NaN or infinite values.*peak"),
    "constant": (independent()[0], np.ones((60, 2)), "d has no column that varies over its 60"),
    "too few rows": (*independent(9), "cv=5 needs at least 10 rows, got 9"),
    "words": (np.array([["a"]] * 20), independent(20)[1], "h must be numeric.*'a'"),
    "dimensions": (np.ones((20, 2, 2)), independent(20)[1], r"h must have.*\(20, 2, 2\)"),
    "index": (
        pd.DataFrame(independent(20)[0]),
        pd.DataFrame(independent(20)[1]).iloc[::-1],
        r"different indices.*d\.loc\[h\.index\]",
    ),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("audit", [redundancy_report, redundancy_score])
def test_bad_input_is_refused_by_name(audit, case):
    h, d, message = BAD[case]
    options = {"methods": ["dcor"]} if audit is redundancy_report else {"method": "dcor"}
    with pytest.raises(ValueError, match=message):
        audit(h, d, **options)


def test_differences_of_the_last_digits_are_no_column():
    """A latent that varies by rounding alone is constant; its ranks would be noise or worse."""
    h, d = related()
    noisy = np.column_stack([d, 0.1 + 1e-17 * np.sign(h[:, 0]), 3 + 4e-16 * (h[:, 0] > 0)])
    with pytest.warns(UserWarning, match="d has 2 constant columns"):
        found = redundancy_score(h, noisy, "dcor")
    assert found == redundancy_score(h, d, "dcor")
