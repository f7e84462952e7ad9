"""The case table: errors that list its columns, and clinical columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from bad_cases_for_tests import box, extractor, image_of, one_case
from cases_for_tests import cohort, on_disk, quick
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from nonredundant.io import CaseError


@pytest.mark.parametrize(
    ("X", "kind", "message"),
    [
        (np.zeros((3, 4)), TypeError, r"a pandas DataFrame.*got ndarray of shape \(3, 4\)"),
        ([1, 2], TypeError, "got list"),
        (
            pd.DataFrame({"scan": [1]}),
            ValueError,
            r"lacks the columns \['image'\].*\['scan'\].*; rename 'scan'",
        ),
        (pd.DataFrame({"mean": [1]}), ValueError, r"becomes lesions by LesionTable\(X\)"),
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
    years = cases.rename(columns={"age": "age_years"})
    with pytest.raises(ValueError, match=r"did you mean 'age_years' for 'age'\?"):
        extractor(clinical=["age"]).fit(years)
    with pytest.raises(ValueError, match=r"clinical columns .* mean 'age_years' for 'age'\?"):
        extractor(clinical=make_column_transformer((SimpleImputer(), ["age"]))).fit(years)
    with pytest.raises(ValueError, match=r"not: sex: 1 of 1 cells .*; .*ColumnTransformer"):
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


@pytest.mark.parametrize("cell", [None, np.nan, pd.NA, "", " ", "NA", "None"], ids=repr)
def test_an_empty_mask_cell_fails_its_case_alone(cell):
    cases = cohort(2)
    cases["mask"] = pd.Series([cases["mask"].iloc[0], cell], index=cases.index, dtype=object)
    with pytest.raises(CaseError, match=r"case 'p1' .*the mask cell is empty"):
        quick(root="/nowhere").fit_transform(cases)
    with pytest.warns(UserWarning, match="1 of 2 cases failed.*mask cell is empty"):
        table = quick(on_error="nan").fit_transform(cases)
    assert table.status.tolist()[0] == "ok"
    assert table.features.iloc[1].isna().all()


@pytest.mark.parametrize("name", ["Mask", "segmentation", "seg", "roi", "MASK "])
def test_a_column_that_looks_like_masks_is_named(name):
    cases = cohort(2).rename(columns={"mask": name})
    with pytest.raises(ValueError, match=rf"no column 'mask'.*rename '{name}'.*whole_image=True"):
        quick().fit(cases)


def test_images_are_whole_only_if_asked():
    cases = cohort(2)
    alone = cases.drop(columns="mask")
    with pytest.raises(ValueError, match="add it; or set .*whole_image=True"):
        quick().fit_transform(alone)
    with pytest.raises(ValueError, match="has a column 'mask'; drop the column"):
        quick(whole_image=True).fit_transform(cases)
    table = quick(whole_image=True).fit_transform(alone)
    sizes = [np.asarray(one).size for one in alone["image"]]
    assert table.features["original_shape_VoxelVolume"].tolist() == sizes


def test_a_word_in_a_clinical_column_of_numbers_is_named_at_transform():
    cases = cohort(4)
    numbers = (SimpleImputer(), ["age"])
    tool = quick(clinical=make_column_transformer(numbers, (OneHotEncoder(), ["sex"])))
    tool.fit(cases)
    word = cases.astype({"age": object})
    word.loc["p2", "age"] = "unknown"
    message = r"age: 1 of 4 cells is no number: 'unknown' \(p2\)"
    with pytest.raises(ValueError, match=message):
        tool.transform(word)
    with pytest.raises(ValueError, match=message):
        tool.fit(word)
    with pytest.raises(ValueError, match=r"1 of 1 cells .*'unknown' \(p2\)"):
        tool.transform(word.loc[["p2"]])
    with pytest.raises(ValueError, match=r"lacks the clinical columns \['sex'\]: found"):
        tool.transform(cases.drop(columns="sex"))


def test_an_empty_image_cell_and_features_are_named():
    with pytest.raises(
        CaseError, match=r"case 'bert' \(image cell empty, mask array .* cell is empty"
    ):
        extractor().fit_transform(one_case(None, box()))
    with pytest.raises(TypeError, match=r"LesionTable.from_arrays\(features=X\)"):
        extractor().fit(np.zeros((3, 4)))


def test_clinical_words_are_named_with_their_cells():
    cases = one_case(image_of(), box()).assign(sex="f")
    with pytest.raises(
        ValueError, match=r"sex: 1 of 1 cells is no number: 'f' \(bert\); encode .*Column"
    ):
        extractor(clinical=["sex"]).fit(cases)


def test_paths_start_from_the_working_directory_of_the_call(tmp_path, monkeypatch):
    """Worker processes are kept from call to call, and stay in the folder of the first one."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        cases = on_disk(cohort(3), tmp_path / name)
        for root in (None, "."):
            table = quick(root=root, n_jobs=2, memory="cache").fit_transform(cases)
            assert (table.status == "ok").all()
        assert (tmp_path / name / "cache" / "joblib").is_dir()
