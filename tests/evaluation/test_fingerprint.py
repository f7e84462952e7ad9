"""Cases outside of the training cohort."""

from __future__ import annotations

import pandas as pd

from nonredundant import LesionTable
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.evaluation.fingerprint import fingerprint, outside_of


def test_cases_outside_of_the_training_cohort_are_named(cohort):
    table, y = cohort
    model = FeatureSetClassifier("HCR").fit(table, y)
    assert (model.outside(table) == "").all()
    features = table.features.copy()
    features.iloc[5] = features.iloc[5] + 100
    said = model.outside(table.replace(features=features))
    assert said.index[said != ""].tolist() == ["case005"]
    assert "8 of 8 features out of range" in said["case005"]


def test_a_category_that_was_not_seen_in_training_is_named():
    features = pd.DataFrame({"a": [1.0, 2.0, 3.0], "sex_M": [0.0, 1.0, 0.0]})
    table = LesionTable(features, blocks={"sex_M": "clinical"}, index=list("xyz"))
    images = {"image": ["none.nii"] * 3, "hospital": list("klm")}
    cases = pd.DataFrame({**images, "sex": ["F", "M", "F"]}, table.index)
    marks = fingerprint(table, cases, None, ["sex_M"])
    new = pd.DataFrame({**images, "sex": ["male", "F", None]}, table.index)
    said = outside_of(marks, table, new, None)
    assert said.tolist() == ["sex: category 'male' was not seen in training", "", ""]
