"""The criteria of RQS 2.0 follow from the run, and what only authors know is left to them."""

from __future__ import annotations

import pytest

from nonredundant.report.sections.readiness import _HAND_CRAFTED, CRITERIA

HEADS = ["criterion", "done", "what was found", "level", "most points", "RQS 2.0"]


def criteria_of(page):
    """Return the rows of RQS 2.0 by their number: topic, status, what was found."""
    rows = page.rows[page.rows.index(HEADS) + 1 :]
    return {int(row[5]): row[:3] for row in rows if len(row) == 6 and row[5].isdigit()}


def test_points_and_levels_are_those_of_the_score():
    # Lambin et al. 2025: 42 criteria of nine levels, 56 points for hand-crafted radiomics.
    assert len(CRITERIA) == 42
    assert sum(one.points for one in CRITERIA) == 56
    assert [one.level for one in CRITERIA] == sorted(one.level for one in CRITERIA)
    of_level = [sum(one.points for one in CRITERIA if one.level == k) for k in range(1, 10)]
    assert of_level == [7, 5, 5, 9, 8, 5, 7, 6, 4]


def test_criteria_are_filled_from_the_run(page):
    found = criteria_of(page)
    assert list(found) == list(range(1, 43))
    assert found[8][1:] == ["authors", "no step inside the folds"]
    assert found[13][1] == "yes"
    assert found[15][1:] == ["yes", "cross-validation, 3 folds"]
    assert found[18][1:] == ["yes", "slope, intercept, Brier score, net benefit"]
    assert found[21][1:] == ["no", "no separate test set"]
    # Protocol, eligibility, segmentation, fairness, trials, deployment.
    assert {found[k][1] for k in (3, 4, 10, 28, *range(29, 43))} == {"authors"}


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("HCR+DLR-MI", True),
        ("Clinical+H8+D4", True),
        ("pet:HCR+DLR", True),
        ("HCR & DLR", True),
        ("DLR-MI", False),
        ("Clinical+Hxy", False),
    ],
)
def test_sets_with_hand_crafted_features_are_recognised(name, holds):
    assert bool(_HAND_CRAFTED.search(name)) == holds
