"""The items of METRICS follow from the run, and what only authors know is left to them."""

from __future__ import annotations

from pages_for_tests import read


def items_of(page):
    """Return the rows of METRICS by their number: topic, status, what was found."""
    rows = page.rows[page.rows.index(["item", "done", "what was found", "METRICS"]) + 1 :]
    return {int(row[3]): row[:3] for row in rows if len(row) == 4 and row[3].isdigit()}


def test_all_thirty_items_are_listed(page):
    items = items_of(page)
    assert list(items) == list(range(1, 31))
    assert {row[1] for row in items.values()} == {"yes", "no", "not applicable", "authors"}


def test_items_that_files_cannot_tell_are_left_to_the_authors(page):
    items = items_of(page)
    # Eligibility, reference standard, centres, acquisition, segmentation, confounders, data.
    assert {items[k][1] for k in (2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 19, 28)} == {"authors"}


def test_items_are_filled_from_the_run(page, plain, tmp_path, no_pictures):
    items = items_of(page)
    assert items[17][1] == "not applicable"
    assert items[22][1:] == ["yes", "slope, intercept, Brier score, net benefit"]
    assert items[24][1] == "no"
    assert items[26][1:] == ["yes", "cross-validation, 3 folds"]
    assert items[27][1:] == ["no", "no separate test set"]
    assert items[16][2] == (
        "8 hand-crafted features and 3 learned features; 31 samples in the smallest class"
    )
    assert items_of(read(plain, tmp_path))[22][1] == "no"
