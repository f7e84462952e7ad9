"""Rows of several inputs: aligned by their labels, or refused by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant.lesions import LesionTable
from nonredundant.statistics.rows import aligned, to_matrix

IDS = ["anna", "bert", "cleo"]


def frame(index=None):
    return pd.DataFrame({"volume": [1.0, 2.0, 3.0]}, index=index)


def series(values, index):
    return pd.Series(values, index=index)


@pytest.mark.parametrize(
    ("h", "y", "expected"),
    [
        (frame(IDS), series([3, 1, 2], ["cleo", "anna", "bert"]), [1, 2, 3]),
        (frame(), series([3, 1, 2], [2, 0, 1]), [1, 2, 3]),
        (LesionTable(frame(IDS)), series([3, 1, 2], ["cleo", "anna", "bert"]), [1, 2, 3]),
        # An index that counts, or numbers beside text, says nothing.
        (frame(IDS), series([1, 2, 3], None), [1, 2, 3]),
        (frame(IDS), series([1, 2, 3], [7, 8, 9]), [1, 2, 3]),
        (frame([2, 0, 1]), series([1, 2, 3], None), [1, 2, 3]),
        (np.ones((3, 1)), series([3, 1, 2], [2, 0, 1]), [3, 1, 2]),
    ],
)
def test_labels_decide_the_order(h, y, expected):
    assert aligned(h=h, y=y, groups=None)["y"].tolist() == expected


def test_rows_of_other_samples_are_refused_by_name():
    with pytest.raises(ValueError, match=r"y has another index than h: 1 of 3 labels.*'dora'"):
        aligned(h=frame(IDS), y=series([1, 2, 3], ["anna", "bert", "dora"]))
    with pytest.raises(ValueError, match="numbers of rows are: h 3, d 2"):
        aligned(h=frame(IDS), d=np.ones((2, 1)))
    with pytest.raises(ValueError, match="labels repeat"):
        aligned(h=frame(["a", "a", "b"]), y=series([1, 2, 3], ["a", "b", "a"]))


def test_text_and_gaps_are_refused_by_name():
    table = frame(IDS).assign(sex=["f", None, "m"])
    with pytest.raises(ValueError, match="its column 'sex' holds text, such as 'f'"):
        to_matrix(table, "h")
    with pytest.raises(ValueError, match="column 1 holds text, such as 'b'"):
        to_matrix(np.array([[1, 2], [3, "b"]], dtype=object), "d")
    with pytest.raises(ValueError, match="h has missing or infinite values in 1 of 3 rows.*row 1"):
        to_matrix(frame().replace(2.0, np.nan), "h")
    assert np.isnan(to_matrix(frame().replace(2.0, np.nan), "h", gaps=True)[1, 0])
    nullable = frame().astype("Int64").assign(fit=[True, False, True], grade=["1", "2", "3"])
    assert to_matrix(nullable, "h")[:, 0].tolist() == [1, 2, 3]
    assert to_matrix(nullable, "h")[:, 2].tolist() == [1, 2, 3]
