"""Repeats of one table: split by a column, and averaged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant import LesionTable
from nonredundant.stability import average_repeats, repeat_stability, split_repeats


def rows():
    """Return two readers of three patients, in one frame."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(6, 2)), columns=["a", "b"])
    return frame.assign(reader=list("XYXYXY"), patient=["p0", "p0", "p1", "p1", "p2", "p2"])


def test_readers_of_a_frame_and_of_lesions_are_the_same():
    frame = rows()
    plain = split_repeats(frame, "reader", sample="patient")
    table = LesionTable(frame[["a", "b"]], samples=frame[["reader", "patient"]])
    tables = split_repeats(table, "reader", sample="patient")
    for one, other in zip(plain, tables, strict=True):
        pd.testing.assert_frame_equal(one, other.features, check_names=False)
        assert one.index.tolist() == ["p0", "p1", "p2"]
    by_index = split_repeats(frame.set_index("patient"), "reader")
    pd.testing.assert_frame_equal(by_index[1], plain[1])
    found = [repeat_stability(one).table for one in (plain, tables)]
    pd.testing.assert_frame_equal(*found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="reader"), "reader"),
        (lambda frame: frame.assign(reader=[None, *"YXYXY"]), "is empty"),
        (lambda frame: frame.assign(reader="X"), "one repeat only"),
        (lambda frame: frame.assign(patient="p0"), "several rows of the repeat"),
    ],
)
def test_what_is_no_table_of_repeats_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        split_repeats(change(rows()), "reader", sample="patient")


def test_averages_leave_gaps_out():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [np.nan, np.nan]}, index=["p0", "p1"])
    other = pd.DataFrame({"a": [3.0, np.nan], "b": [np.nan, np.nan]}, index=["p0", "p1"])
    found = average_repeats([LesionTable(frame), LesionTable(other)]).features
    assert found["a"].tolist() == [2.0, 2.0]
    assert found["b"].isna().all()
    with pytest.raises(ValueError, match="other samples, lesions or columns"):
        average_repeats([LesionTable(frame), LesionTable(other[::-1])])
