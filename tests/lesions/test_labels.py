"""Labels follow the index of the cases and are spelled in one way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import make_rows

from nonredundant.lesions.labels import (
    align,
    among_all,
    check_one_kind,
    check_spelling,
    class_positions,
)


def test_labels_in_another_order_are_aligned():
    table = make_rows()
    y = pd.Series([0, 1, 0, 1, 1, 1], index=table.index)
    assert align(y.iloc[::-1], table, "y").tolist() == y.tolist()
    times = pd.DataFrame({"event": y, "time": np.arange(6)})
    pd.testing.assert_frame_equal(align(times.sort_values("event"), table, "y"), times)


def test_labels_without_ids_are_taken_by_position():
    table = make_rows()
    for y in (np.arange(6), list(range(6)), pd.Series(range(6))):
        assert list(align(y, table, "y")) == list(range(6))
    y = pd.Series(range(6), index=table.index)
    assert align(y, table.replace(index=pd.RangeIndex(6)), "y").tolist() == y.tolist()


def test_labels_of_other_patients_are_refused():
    table = make_rows()
    with pytest.raises(ValueError, match=r"y has another index.*3 of 6.*\['P6', 'P7', 'P8'\]"):
        align(pd.Series(range(6), index=make_rows(start=3).index), table, "y")
    with pytest.raises(ValueError, match="another index"):
        align(pd.Series(range(6), index=range(3, 9)), table.replace(index=pd.RangeIndex(6)), "y")


def test_splits_of_a_table_without_ids_are_taken_by_position():
    table = make_rows()
    rows = [1, 3, 5]
    y = pd.Series(range(6))
    assert align(y.iloc[rows], table[rows], "y").tolist() == rows
    named = pd.Series(range(6), index=table.index)
    plain = table.replace(index=pd.RangeIndex(6))
    assert align(named.iloc[rows], plain[rows], "y").tolist() == rows


def test_numbers_that_are_the_text_of_the_ids_are_aligned():
    table = make_rows().replace(index=[str(k) for k in range(10, 16)])
    y = pd.Series(range(6), index=range(10, 16))
    assert align(y.iloc[::-1], table, "y").tolist() == y.tolist()


def test_labels_are_of_one_kind_and_spelled_alike():
    check_one_kind(["a", "b"], "y")
    with pytest.raises(ValueError, match=r"y mixes text and other labels, \['a', 1\]"):
        check_one_kind(["a", 1, 1], "y")
    check_spelling([0, 1])
    with pytest.raises(ValueError, match=r"\[\['no', 'No '\]\]; are they one class"):
        check_spelling(["no", "yes", "No "])


def test_repeated_labels_in_another_order_are_refused():
    table = make_rows().replace(index=["a", "a", "b", "b", "c", "d"])
    y = pd.Series(range(6), index=table.index)
    assert align(y, table, "y").tolist() == y.tolist()
    with pytest.raises(ValueError, match=r"some have several rows, \['a', 'b'\]"):
        align(y.iloc[::-1], table, "y")


def test_classes_that_differ_by_what_is_alike_elsewhere_are_told_apart():
    assert class_positions(["True", "1", True, 1], ["1", "True"]).tolist() == [1, 0, 1, 0]
    assert class_positions([1.0, 2.5, None, "x"], [1, 2, "x"]).tolist() == [0, -1, -1, 2]


def test_values_of_some_cases_keep_their_type():
    index = pd.Index(["a", "a", "b"])
    kept = [True, False, True]
    for values in ([1, 0], [True, False], ["x", "y"]):
        found = among_all(pd.Series(values), kept, index)
        assert [found.iloc[0], found.iloc[2]] == values
        assert type(found.iloc[0]) is type(values[0])
        assert found.isna().tolist() == [False, True, False]
