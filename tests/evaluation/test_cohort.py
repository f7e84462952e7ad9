"""Reading of cohorts and failed cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import (
    compare,
    make_table,
)
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import FunctionTransformer

from nonredundant import EncodeClinical, LesionTable, RadiomicsExtractor, compare_feature_sets
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.evaluation.cohort import read_cohort


def test_failed_samples_are_left_out_and_named(cohort):
    table, y = cohort
    status = table.status.to_numpy().copy()
    status[3] = "the mask is empty"
    broken = table.replace(status=status)
    with pytest.warns(UserWarning, match="1 samples could not be extracted.*case003"):
        found = compare(broken, y, feature_sets=["HCR"])
    assert found.settings.failed == {"case003": "the mask is empty"}
    assert "case003" not in set(found.predictions["sample"])
    assert any("case003" in message for message in found.warnings)


def test_what_is_no_cohort_is_refused(cohort):
    with pytest.raises(TypeError, match="case table .* or a LesionTable, got ndarray"):
        compare_feature_sets(np.zeros((5, 2)), [0, 1, 0, 1, 0])
    table, y = cohort
    with pytest.raises(TypeError, match="test must hold one"):
        compare(table, y, test=(pd.DataFrame(), []))


def test_cases_of_the_test_set_keep_apart_from_those_of_the_cohort(cohort):
    table, y = cohort
    status = ["ok"] * 20
    status[3] = "bad file"
    with pytest.raises(ValueError, match="the test set shares 20 ids with the training cohort"):
        compare(table, y, test=(table[:20], y[:20]))
    held = make_table(20, seed=1)[0].replace(status=status, index=[f"new{i}" for i in range(20)])
    with pytest.warns(UserWarning, match="could not be extracted"):
        found = compare(table, y, test=(held, y[:20]))
    assert found.settings.failed == {"new3": "bad file"}


def test_an_empty_selection_text_and_infinity_are_named(cohort):
    table, y = cohort
    nothing = table.status == "measured twice"
    with pytest.raises(ValueError, match="X is a table without samples: the selection"):
        compare(table[nothing], y[nothing])
    with pytest.raises(ValueError, match="the test set is a table without samples"):
        compare(table, y, test=(table[nothing], y[nothing]))
    frame = table.features.reset_index(drop=True)
    name = frame.columns[0]
    far = frame.copy()
    far.loc[4, name] = np.inf
    with pytest.raises(ValueError, match=rf"infinite: columns \['{name}'\] of the cases \[4\]"):
        compare(LesionTable(far), y)
    with pytest.raises(ValueError, match=r"1 columns are not: \['Image'\]; drop those"):
        compare(LesionTable(frame.assign(Image="scan.nii")), y)


def test_features_in_a_data_frame_are_told_how_to_become_lesions(cohort):
    table, y = cohort
    with pytest.raises(ValueError, match=r"features becomes lesions by LesionTable\(X\)"):
        compare_feature_sets(table.features, y)
    with pytest.raises(TypeError, match=r"got str; .*LesionTable.load\(path\)"):
        compare_feature_sets("lesions.npz", y)


def test_a_shared_test_set_is_accepted_on_request(cohort):
    table, y = cohort
    held = (table[:20], y[:20])
    found = compare(table, y, test=held, shared_test=True, feature_sets=["HCR"])
    assert len(found.predictions["sample"].unique()) == 20
    with pytest.raises(ValueError, match=r"shared_test=True \(--shared-test\) if this is meant"):
        compare(table, y, test=held, feature_sets=["HCR"])


def test_columns_of_the_test_set_are_matched_by_name(cohort):
    table, y = cohort
    held, truth = make_table(20, seed=1)
    held = held.replace(index=[f"new{i}" for i in range(20)])
    turned = held.replace(features=held.features[held.columns[::-1]])
    found = [
        compare(table, y, test=(one, truth), feature_sets=["HCR"]).predictions
        for one in (held, turned)
    ]
    pd.testing.assert_frame_equal(*found)
    fewer = held.replace(features=held.features[held.columns[1:]])
    with pytest.raises(ValueError, match=rf"missing in the second \['{held.columns[0]}'\]"):
        compare(table, y, test=(fewer, truth), feature_sets=["HCR"])


def test_case_tables_of_cohort_and_test_set_have_the_same_sources():
    cases = pd.DataFrame({"image": ["a.nii"], "mask": ["b.nii"], "age": [50]}, index=["anna"])
    tool = RadiomicsExtractor(clinical=["age"])
    held = cases.set_axis(["bert"])
    with pytest.raises(ValueError, match=r"the test set lacks the columns \['age'\]"):
        read_cohort(cases, [0], test=(held.drop(columns="age"), [0]), extractor=tool, caller="fit")
    spaced = (held.assign(spacing=[(1, 1, 1)]), [0])
    with pytest.raises(ValueError, match=r"X lacks the columns \['spacing'\]"):
        read_cohort(cases, [0], test=spaced, extractor=tool, caller="fit")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"feature_sets": ["HRC"]}, "unknown feature set 'HRC'"),
        ({"classifiers": "XGB"}, "unknown classifier 'XGB'"),
        ({"scoring": "auc"}, "unknown scoring 'auc'"),
        ({"sampler": "smite"}, "unknown sampler 'smite'"),
        ({"cv": 4}, "the rarest class, 0, has 3 samples"),
        ({"groups": ["a", None, "b", "c", "d", "e"]}, r"groups is missing for 1 samples: \['P1'\]"),
    ],
)
def test_what_is_wrong_is_told_before_images_are_read(parameters, message):
    class Unread(RadiomicsExtractor):
        def transform(self, X):
            raise AssertionError("images are read")

    ids = [f"P{k}" for k in range(6)]
    cases = pd.DataFrame({"image": ids, "mask": ids}, index=ids)
    with pytest.raises(ValueError, match=message):
        compare_feature_sets(cases, [0, 1] * 3, extractor=Unread(), **{"cv": 2, **parameters})


class OtherColumns(TransformerMixin, BaseEstimator):
    """An extractor of the user's own, of a table without images and without clinical columns."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return LesionTable(X[["size"]])

    def __sklearn_is_fitted__(self):
        return True


def test_an_extractor_of_the_users_own_may_read_other_columns():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    cases = pd.DataFrame({"size": y + rng.normal(size=40), "ward": ["a", "b"] * 20})
    found = compare(cases, y, extractor=OtherColumns(), feature_sets=["HCR"], cvae=None)
    assert len(found.predictions) == 40


@pytest.mark.parametrize(
    "clinical",
    [
        ["embedding"],
        ColumnTransformer([("e", "passthrough", ["embedding"])]),
        ColumnTransformer([("age", "passthrough", ["age"])], remainder="passthrough"),
        FunctionTransformer(),
    ],
    ids=str,
)
@pytest.mark.parametrize("cell", [np.ones(3), [1.0, 2.0], {"a": 1}], ids=str)
def test_clinical_cells_of_several_values_are_named_before_images_are_read(clinical, cell):
    ids = [f"P{k}" for k in range(6)]
    cases = pd.DataFrame({"image": ids, "mask": ids, "age": 50.0}, index=ids)
    cases["embedding"] = [1.0, *[cell] * 5]
    y = [0, 1] * 3
    kind = type(cell).__name__
    named = f"'embedding' has a {kind} in 5 of 6 cells, the first in case 'P1': write each value"
    tool = RadiomicsExtractor(clinical=clinical)
    lesions = LesionTable(pd.DataFrame({"volume": range(6)}, index=ids, dtype=float), samples=cases)
    model = FeatureSetClassifier("HCR", steps=[EncodeClinical(clinical)])
    for call in (
        lambda: compare_feature_sets(cases, y, extractor=tool, cv=2),
        lambda: compare_feature_sets(lesions, y, steps=[EncodeClinical(clinical)], cv=2),
        lambda: model.fit(lesions, y),
        lambda: compare_feature_sets(lesions, y, groups="embedding", cv=2),
    ):
        with pytest.raises(ValueError, match=named):
            call()


def test_a_table_keeps_other_columns_whatever_they_hold(cohort):
    table, y = cohort
    samples = pd.DataFrame({"age": np.arange(90.0)}, index=table.index)
    samples["contour"] = [np.ones(3)] * 90
    only_age = EncodeClinical(ColumnTransformer([("age", "passthrough", ["age"])]))
    found = compare(table.replace(samples=samples), y, feature_sets=["HCR"], steps=[only_age])
    assert found.summary["feature_set"].tolist() == ["Clinical+HCR"]


def test_a_model_tells_which_cases_failed_and_which_class_they_leave_too_small(cohort):
    table, y = cohort
    status = np.where(np.arange(90) == 3, "the mask is empty", "ok")
    with pytest.warns(UserWarning, match="1 samples could not be extracted.*case003"):
        FeatureSetClassifier("HCR", random_state=0).fit(table.replace(status=status), y)
    rare = np.where(np.arange(90) < 2, "rare", "usual")
    status = np.where(np.arange(90) == 1, "the mask is empty", "ok")
    with pytest.raises(ValueError, match="the rarest class, rare, has 1 sample"):
        FeatureSetClassifier("HCR", random_state=0).fit(table.replace(status=status), rare)
