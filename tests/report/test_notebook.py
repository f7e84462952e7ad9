"""Tables and comparisons in a notebook."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from pages_for_tests import FEATURE, LOST, Page, changed

from nonredundant import LesionTable
from nonredundant.inspection import LatentStability
from nonredundant.statistics import AddedInformation, Difference


def test_a_comparison_shows_its_answer_and_its_scores(found):
    page = Page(found._repr_html_())
    assert found.answer() in page.text
    shown = {row[0] for row in page.rows[1:]}
    assert shown == set(found.summary["feature_set"])


def test_a_reason_in_the_answer_is_escaped(found):
    tests = found.tests.assign(low=float("nan"), high=float("nan"), p_value=float("nan"))
    odd = changed(found, tests=tests.assign(reason="<img src=x>"))
    page = Page(odd._repr_html_())
    assert not page.of("img")
    assert "<img src=x>" in page.text


def test_a_table_shows_its_first_lesions_with_names_as_they_are():
    frame = pd.DataFrame({FEATURE: range(12)}, index=[LOST, *(f"case{i}" for i in range(11))])
    page = Page(LesionTable.from_arrays(features=frame)._repr_html_())
    assert not page.of("script", "img")
    assert FEATURE in page.text
    assert LOST in page.text
    assert "and 4 more lesions" in page.text


def test_atlas_and_stability_show_no_more_digits_than_are_of_use(found):
    page = Page(found.atlas._repr_html_())
    assert len(page.rows) == 1 + len(found.atlas.table)
    table = pd.DataFrame({"latent": ["dlr00"], "matched": [2 / 3]})
    stable = Page(LatentStability(table, np.ones((1, 1)), 1 / 7, 2 / 3)._repr_html_())
    assert "Score 0.667, by chance 0.143." in stable.text
    for text in (page.text, stable.text):
        assert not re.search(r"\d\.\d{6}", text)


def test_results_of_tests_show_three_digits_and_why_something_is_not_estimable():
    page = Page(Difference(1 / 3, -1 / 7, 2 / 3, 1e-9)._repr_html_())
    assert page.rows == [
        ["estimate", "low", "high", "p_value"],
        ["0.333", "-0.143", "0.667", "< 0.001"],
    ]
    nan = float("nan")
    missing = AddedInformation(nan, nan, nan, nan, "permutation", 0, 8, "fewer than <10> rows")
    page = Page(missing._repr_html_())
    assert page.rows[1][:1] == ["not estimable"]
    assert page.rows[1][-3:] == ["0", "8", "fewer than <10> rows"]
