"""What is tested against what, and what is reported first."""

from __future__ import annotations

import pandas as pd
import pytest
from cohorts_for_tests import compare, make_table

from nonredundant.folds.feature_sets import choose_feature_sets, name_clinical, resolve_feature_sets
from nonredundant.folds.references import choose_primary, references


def with_age(table):
    """Add a clinical column that says nothing of the label."""
    ages = pd.DataFrame({"age": range(len(table))}, index=table.index)
    return table.join(ages.astype(float))


@pytest.mark.parametrize(
    "asked", [("Clinical+HCR", "Clinical+HCR+DLR-MI"), ("HCR", "HCR+DLR-MI"), ("HCR", "Clinical")]
)
def test_each_reference_has_the_known_columns_of_its_set(asked):
    sets, _ = choose_feature_sets(asked, with_age(make_table(20)[0]), baselines=True)
    by_name = {s.name: s for s in sets}
    for feature_set in sets:
        for name in references(sets, feature_set):
            other = by_name[name]
            if feature_set.is_fused:
                assert other.selection == feature_set.selection
                assert other.clinical == feature_set.clinical


def test_baselines_beside_clinical_sets_contain_the_clinical_columns():
    table = with_age(make_table(20)[0])
    asked = ("Clinical+HCR", "Clinical+HCR+DLR-MI")
    names = [s.name for s in choose_feature_sets(asked, table, baselines=True)[0]]
    assert "Clinical+HCR+PCA" in names
    assert "HCR+PCA" not in names


@pytest.mark.parametrize(
    ("asked", "reference"),
    [("HCR+DLR", "HCR"), ("H4+D2-MI", "H4"), ("Clinical+DLR", "Clinical"), ("HCR+PCA", "HCR")],
)
def test_the_known_columns_of_a_fused_set_are_a_baseline(asked, reference):
    table = make_table(20)[0]
    table = with_age(table) if asked.startswith("Clinical") else table
    sets, _ = choose_feature_sets([asked], table, baselines=True)
    assert references(sets, sets[0])[0] == reference


@pytest.mark.parametrize(
    ("asked", "primary"),
    [
        (["HCR", "HCR+DLR", "HCR+DLR-MI"], ("HCR+DLR-MI", "HCR")),
        (["HCR+DLR-MI", "HCR+DLR", "HCR"], ("HCR+DLR-MI", "HCR")),
        (["HCR", "HCR+PCA"], ("HCR+PCA", "HCR")),
        (["Clinical", "Clinical+HCR"], ("Clinical+HCR", "Clinical")),
        (["volume", "HCR"], ("volume", None)),
        (["DLR-MI", "HCR"], ("DLR-MI", None)),
    ],
)
def test_the_primary_comparison_is_chosen_by_the_names_alone(asked, primary):
    sets = name_clinical(
        resolve_feature_sets(asked, baselines=False), [], clinical="Clinical" in asked
    )
    assert choose_primary(sets) == primary


def test_what_radiomics_add_to_clinical_columns_is_answered():
    table, y = make_table(90, hidden=0.0)
    found = compare(with_age(table), y, feature_sets=["Clinical", "Clinical+HCR"])
    assert found.findings()["helps"].verdict == "gain"
    assert "Clinical+HCR predicts better than Clinical" in found.answer()
    table, y = make_table(90, visible=0.0)
    said = compare(with_age(table), y, feature_sets=["Clinical", "Clinical+HCR"]).answer()
    assert "No gain" in said
    assert "learned" not in said


def test_clinical_columns_beside_a_simple_one_are_not_the_clinical_set():
    sets = resolve_feature_sets(["Clinical+volume", "Clinical", "Clinical+HCR"], baselines=False)
    assert references(sets, sets[2]) == ["Clinical"]


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("HCR+D32-residual", "HCR+D32"),
        ("HCR+D32-MI", "HCR+D32"),
        ("HCR+DLR-residual", None),
        ("HCR+PCA32", "HCR+D32"),
        ("HCR+PCA", "HCR+D16"),
    ],
)
def test_latents_are_compared_with_as_many_of_the_plain_network(name, network):
    sets = resolve_feature_sets(["HCR", "HCR+D16", "HCR+D32", name], baselines=False)
    assert references(sets, sets[-1]) == ["HCR", *([network] if network else [])]
