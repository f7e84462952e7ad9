"""The names of feature sets and their columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import (
    compare,
    make_table,
)

from nonredundant import LesionTable
from nonredundant.folds.feature_sets import (
    choose_feature_sets,
    name_clinical,
    parse_feature_set,
    resolve_feature_sets,
)
from nonredundant.folds.references import references
from nonredundant.folds.selection import Selection, pick_columns

#: The sets with hand-crafted columns that a comparison of `HCR` and `HCR+DLR` has by default.
FUSED = ("HCR", "HCR+DLR", "HCR+PCA", "HCR+DLR-residual")


@pytest.mark.parametrize(
    ("name", "selection", "kind", "term", "size"),
    [
        ("HCR", Selection(), None, None, None),
        ("H8", Selection((), 8), None, None, None),
        ("DLR", None, "vae", False, None),
        ("D16-MI", None, "vae", True, 16),
        ("HCR+DLR-MI", Selection(), "vae", True, None),
        ("H8+D16", Selection((), 8), "vae", False, 16),
        ("HCR+PCA", Selection(), "pca", False, None),
        ("HCR+DLR-residual", Selection(), "residual", False, None),
        ("PCA32", None, "pca", False, 32),
        ("Clinical", None, None, None, None),
        ("Clinical+H8", Selection((), 8), None, None, None),
        ("Clinical+DLR-MI", None, "vae", True, None),
    ],
)
def test_names_are_read(name, selection, kind, term, size):
    one = parse_feature_set(name)
    assert one.selection == selection
    if kind is None:
        assert one.variant is None
    else:
        assert (one.variant.kind, one.variant.term, one.variant.size) == (kind, term, size)


@pytest.mark.parametrize(
    "name", ["", "+", "HCR+", "+DLR", "DLR+HCR", "HCRDLR", "foo", "HCR-MI", "Clinical+"]
)
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match="unknown feature set"):
        parse_feature_set(name)


def test_sets_are_tested_against_hcr_and_against_the_fused_set_without_the_term():
    sets = resolve_feature_sets(["HCR", "DLR", "HCR+DLR", "HCR+DLR-MI"], baselines=True)
    against = {one.name: references(sets, one) for one in sets}
    assert against["HCR"] == []
    assert against["HCR+DLR-MI"] == ["HCR", "HCR+DLR"]
    assert against["HCR+DLR"] == ["HCR"]
    assert against["HCR+PCA"] == ["HCR", "HCR+DLR"]
    assert against["volume"] == ["HCR"]


def test_a_fused_set_of_few_columns_is_tested_against_the_same_few():
    sets = resolve_feature_sets(["H8", "H32", "H32+D32"], baselines=False)
    assert references(sets, sets[2]) == ["H32"]


def test_clinical_sets_are_tested_against_what_the_clinic_knows():
    names = ["HCR", "Clinical", "Clinical+HCR", "Clinical+DLR-MI", "Clinical+HCR+DLR-MI"]
    chosen = resolve_feature_sets(names, baselines=False)
    added = [parse_feature_set(name) for name in ("volume", "HCR+PCA", "Clinical")]
    sets = name_clinical(chosen, added, clinical=True)
    against = {one.name: references(sets, one) for one in sets}
    assert against["HCR"] == against["Clinical"] == []
    assert against["Clinical+HCR"] == against["Clinical+DLR-MI"] == ["Clinical"]
    assert against["Clinical+HCR+DLR-MI"] == ["Clinical+HCR"]
    assert against["HCR+PCA"] == ["HCR"]
    assert [one.name for one in sets if one.clinical] == names[1:]


def test_picked_columns_are_strong_and_no_copies_of_each_other():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 50)
    strong = y + 0.5 * rng.normal(size=100)
    frame = pd.DataFrame(
        {
            "noise": rng.normal(size=100),
            "constant": 1.0,
            "strong": strong,
            "copy": np.exp(strong),
            "weak": y + 1.5 * rng.normal(size=100),
        }
    )
    assert pick_columns(frame, y, 2) == ["strong", "weak"]
    assert set(pick_columns(frame, y, 4)) == {"noise", "strong", "copy", "weak"}


def test_sets_need_what_they_are_made_of(cohort):
    table, y = cohort
    with pytest.raises(ValueError, match="'DLR' needs patches"):
        compare(table.replace(patches=None, masks=None), y)
    bare = LesionTable.from_arrays(patches=table.patches)
    with pytest.raises(ValueError, match="'HCR' needs hand-crafted features"):
        compare(bare, y)


def test_clinical_columns_go_with_hand_crafted_ones_and_alone(cohort):
    table, y = cohort
    age = np.where(np.arange(len(y)) % 7 == 0, np.nan, y + 0.5)
    joined = table.join(pd.DataFrame({"age": age}))
    found = compare(joined, y, feature_sets=["HCR", "DLR", "HCR+DLR"], baselines=True)
    mean = found.summary.set_index("feature_set")["mean"]
    assert mean["Clinical"] > 0.9
    alone = compare(table, y, feature_sets=["HCR"]).summary["mean"].iloc[0]
    assert mean["Clinical+HCR"] > alone
    named = {name for name in mean.index if name.startswith("Clinical")}
    assert named == {"Clinical", *(f"Clinical+{s}" for s in FUSED)}
    assert found.primary["feature_set"] == "Clinical+HCR+DLR"
    assert found.primary["reference"] == "Clinical+HCR"
    assert "Clinical+HCR" in found.answer()


def test_without_clinical_columns_no_set_is_named_for_them():
    sets = name_clinical(
        resolve_feature_sets(["HCR", "HCR+DLR"], baselines=True), [], clinical=False
    )
    assert not any(one.clinical or one.name.startswith("Clinical") for one in sets)


def test_clinical_columns_stay_with_the_sets_that_name_them(cohort):
    table, y = cohort
    joined = table.join(pd.DataFrame({"age": y + np.linspace(0, 0.4, len(y))}))
    names = ["HCR", "Clinical", "Clinical+HCR", "Clinical+HCR+DLR-MI"]
    found = compare(joined, y, feature_sets=names)
    mean = found.summary.set_index("feature_set")["mean"]
    alone = compare(table, y, feature_sets=["HCR"]).summary["mean"].iloc[0]
    assert mean["HCR"] == pytest.approx(alone)
    assert (mean[names[1:]] > 0.95).all()
    assert found.primary["reference"] == "Clinical+HCR"
    with pytest.raises(ValueError, match="needs clinical columns"):
        compare(table, y, feature_sets=names)


def test_no_network_is_trained_for_baselines_of_sets_without_one():
    table, _ = make_table(20)
    for names, learned in ((["HCR"], False), (["HCR", "HCR+DLR"], True)):
        sets, _ = choose_feature_sets(names, table, baselines=True)
        assert any(one.name == "HCR+DLR-residual" for one in sets) == learned
        assert any(one.name == "volume" for one in sets)
