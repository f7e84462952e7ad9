"""The case table: errors that list its columns, and clinical columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from bad_cases_for_tests import box, extractor, image_of, one_case
from cases_for_tests import cohort, quick
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler


@pytest.mark.parametrize(
    ("X", "kind", "message"),
    [
        (np.zeros((3, 4)), TypeError, r"a pandas DataFrame.*got ndarray of shape \(3, 4\)"),
        ([1, 2], TypeError, "got list"),
        (pd.DataFrame({"scan": [1]}), ValueError, r"lacks the columns \['image'\].*\['scan'\]"),
        (pd.DataFrame({"image": []}), ValueError, "no rows"),
        (
            pd.DataFrame({"image": [1, 2]}, index=["anna", "anna"]),
            ValueError,
            r"names 1 samples more than once: \['anna'\]",
        ),
        (pd.DataFrame([[1, 2]], columns=["image", "image"]), ValueError, "same name"),
    ],
)
def test_what_is_no_case_table_is_refused_with_the_columns(X, kind, message):
    with pytest.raises(kind, match=message):
        extractor().fit(X)
    with pytest.raises(kind, match=message):
        extractor().transform(X)


def test_clinical_columns_that_are_missing_or_words_are_named():
    cases = one_case(image_of(), box()).assign(sex="f", age=50)
    with pytest.raises(ValueError, match=r"lacks the columns \['weight'\]"):
        extractor(clinical=["weight"]).fit(cases)
    with pytest.raises(ValueError, match=r"not: \['sex \(.*\)'\].*ColumnTransformer"):
        extractor(clinical=["age", "sex"]).fit(cases)


def test_clinical_columns_come_last_and_on_every_lesion():
    table = quick(clinical=["age"]).fit_transform(cohort())
    assert table.columns_of("clinical") == ["age"]
    assert table.features.columns[-1] == "age"
    assert table.features["age"].tolist() == [50.0, 51.0, 52.0, 53.0]


def test_a_clinical_transformer_is_fitted_on_the_training_cases_alone():
    columns = make_column_transformer(
        (StandardScaler(), ["age"]), (OneHotEncoder(sparse_output=True), ["sex"])
    )
    cases = cohort(4)
    extractor = quick(clinical=columns).fit(cases[:2])
    table = extractor.transform(cases)
    names = ["standardscaler__age", "onehotencoder__sex_f", "onehotencoder__sex_m"]
    assert table.columns_of("clinical") == names
    np.testing.assert_allclose(table.features[names[0]], [-1, 1, 3, 5])
    assert list(extractor.get_feature_names_out()[-3:]) == names
    assert not hasattr(columns, "transformers_")
