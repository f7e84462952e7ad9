"""Cases outside of the training cohort."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer

from nonredundant import LesionTable, RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.evaluation.fingerprint import fingerprint, outside_of
from nonredundant.extraction.categories import CategoryIndicators


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


@pytest.mark.filterwarnings("ignore:1 of 20 cases failed")
def test_cases_that_failed_are_no_part_of_the_training_cohort():
    cases, y, _ = make_lesions(20, random_state=0)
    cases["sex"] = ["F", "M"] * 10
    cases.loc[cases.index[3], "sex"] = "X"
    cases.loc[cases.index[3], "mask"] = None
    extractor = RadiomicsExtractor(
        bin_width=0.25,
        feature_classes=["firstorder"],
        patch_shape=None,
        on_error="nan",
        clinical=ColumnTransformer([("sex", CategoryIndicators(), ["sex"])]),
    )
    model = FeatureSetClassifier("HCR", extractor=extractor, random_state=0)
    with pytest.warns(UserWarning, match="1 samples could not be extracted"):
        model.fit(cases, y)
    assert model.fingerprint_["categories"] == {"sex": ["F", "M"]}
    assert (model.outside(cases.drop(cases.index[3])) == "").all()


def test_gaps_as_wide_as_those_of_the_training_cohort_are_no_news(cohort):
    table, y = cohort
    features = table.features.copy()
    features.iloc[5, :4] = np.nan
    model = FeatureSetClassifier("HCR").fit(table.replace(features=features), y)
    assert (model.outside(table.replace(features=features)) == "").all()
    features.iloc[6, :5] = np.nan
    said = model.outside(table.replace(features=features))
    assert said[said != ""].to_dict() == {"case006": "5 of 8 features missing"}
