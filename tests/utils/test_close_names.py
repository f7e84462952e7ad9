"""Suggestions for names that do not exist."""

from __future__ import annotations

import pytest

from nonredundant.utils.close_names import close_names, suggest_names


@pytest.mark.parametrize(
    ("name", "names", "close"),
    [
        ("age", ["age_years", "image", "stage"], ["age_years"]),
        ("age", ["Age", "AgeYears"], ["Age", "AgeYears"]),
        ("relaps", ["relapse", "sex"], ["relapse"]),
        ("overall survival", ["Overall.Survival", "OverallSurvival_days"], None),
        ("sex", ["age", "volume", "six_minute_walk"], []),
        ("Größe", ["größe", "Größe (cm)"], None),
        ("", ["age", ""], []),
        ("__", ["age", "%"], []),
    ],
)
def test_names_are_close_by_spelling_or_by_their_words(name, names, close):
    assert close_names(name, names) == (names if close is None else close)


def test_only_text_is_suggested():
    assert suggest_names(["age", 3], [3, "Age", None]) == "; did you mean 'Age' for 'age'?"
    assert suggest_names(["x"], ["age"]) == ""
