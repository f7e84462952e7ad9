"""`set_output` through whole pipelines: pandas and polars, one lesion and several per patient."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars
import pytest
import sklearn
from estimators_for_tests import CONVERTED, ESTIMATORS, NET, make_cohort
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from nonredundant import LesionTable, NonRedundantCVAE, RadiomicsExtractor
from nonredundant.contrastive import VAE, ContrastiveCVAE, ContrastiveVAE, SepVAE
from nonredundant.datasets import make_lesions
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.patients import LesionGraphClassifier, LesionPooling

CONTAINERS = {"pandas": pd.DataFrame, "polars": polars.DataFrame}
TRANSFORMERS = [
    NonRedundantCVAE(2, **NET),
    NonRedundantCVAE(2, hcr_size=2, **NET),
    VAE(2, **NET),
    SepVAE(2, 2, **NET),
    ContrastiveVAE(2, 2, **NET),
    ContrastiveCVAE(2, **NET),
]
each_container = pytest.mark.parametrize("container", CONTAINERS)
each_transformer = pytest.mark.parametrize(
    "transformer", TRANSFORMERS, ids=lambda t: type(t).__name__
)


def make_steps():
    return make_pipeline(
        NonRedundantCVAE(2, **NET), LesionPooling(), StandardScaler(), LogisticRegression()
    )


@each_container
@each_transformer
def test_one_lesion_per_patient_becomes_a_frame_of_the_same_values(transformer, container):
    table, y = make_cohort(several=False)
    plain = clone(transformer).fit(table, y)
    framed = clone(transformer).set_output(transform=container).fit(table, y).transform(table)
    assert isinstance(framed, CONTAINERS[container])
    assert list(framed.columns) == plain.get_feature_names_out().tolist()
    np.testing.assert_array_equal(framed.to_numpy(), plain.transform(table))
    if container == "pandas":
        assert framed.index.tolist() == table.index.tolist()


@each_container
@each_transformer
def test_several_lesions_per_patient_stay_a_table(transformer, container):
    table, y = make_cohort()
    found = clone(transformer).set_output(transform=container).fit_transform(table, y)
    assert isinstance(found, LesionTable)
    assert found.n_lesions == table.n_lesions > table.n_samples
    with config_context(transform_output=container):
        found = clone(transformer).fit_transform(table, y)
    assert isinstance(found, LesionTable)


@pytest.mark.parametrize("several", [False, True])
@each_container
def test_a_whole_pipeline_predicts_the_same_in_every_container(container, several):
    table, y = make_cohort(several=several)
    expected = make_steps().fit(table, y).predict_proba(table)
    framed = make_steps().set_output(transform=container).fit(table, y)
    features = framed[:-1].transform(table)
    assert isinstance(features, CONTAINERS[container])
    assert list(features.columns) == framed[:-1].get_feature_names_out().tolist()
    np.testing.assert_allclose(framed.predict_proba(table), expected)
    with config_context(transform_output=container):
        everywhere = make_steps().fit(table, y)
        assert isinstance(everywhere[:-1].transform(table), CONTAINERS[container])
        np.testing.assert_allclose(everywhere.predict_proba(table), expected)


@each_container
@pytest.mark.parametrize(
    "model",
    [
        LesionGraphClassifier(4, heads=2, **NET),
        FeatureSetClassifier(
            "HCR+PCA", patients="max", classifier=LogisticRegression(), random_state=0
        ),
        FeatureSetClassifier("HCR", classifier="SVM", random_state=0),
    ],
    ids=str,
)
def test_no_classifier_depends_on_the_global_container(model, container):
    table, y = make_cohort()
    expected = clone(model).fit(table, y).predict_proba(table)
    with config_context(transform_output=container):
        found = clone(model).fit(table, y).predict_proba(table)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@each_container
def test_columns_of_an_output_are_selected_by_name(container):
    table, y = make_cohort(several=False)
    scaled = make_column_transformer(
        (StandardScaler(), ["original_a", "original_b"]), ("passthrough", ["dlr00", "age"])
    )
    pipeline = make_pipeline(NonRedundantCVAE(2, **NET), scaled).set_output(transform=container)
    found = pipeline.fit_transform(table, y)
    assert isinstance(found, CONTAINERS[container])
    assert [name.split("__")[1] for name in found.columns] == [
        "original_a",
        "original_b",
        "dlr00",
        "age",
    ]
    assert abs(found.to_numpy()[:, 0].mean()) < 1e-9


@each_container
def test_a_union_of_poolings_names_its_columns(container):
    if container == "polars" and parse_version(sklearn.__version__) < parse_version("1.9"):
        pytest.skip("before 1.9, scikit-learn joins polars frames without the names of the parts")
    table, y = make_cohort()
    union = FeatureUnion([("mean", LesionPooling("mean")), ("max", LesionPooling("max"))])
    found = union.set_output(transform=container).fit_transform(table, y)
    assert isinstance(found, CONTAINERS[container])
    assert list(found.columns)[:2] == ["mean__mean__original_a", "mean__mean__original_b"]


@each_container
def test_an_extractor_returns_lesions_whatever_the_container(container):
    cases, y, _ = make_lesions(6, random_state=0)
    cases = cases.assign(age=np.arange(6.0), sex=list("FMFMFM"))
    clinical = make_column_transformer(
        (StandardScaler(), ["age"]), ("drop", make_column_selector(pattern="sex"))
    )
    extractor = RadiomicsExtractor(
        "PET", feature_classes=("shape",), patch_shape=None, clinical=clinical
    )
    expected = clone(extractor).fit_transform(cases, y)
    found = clone(extractor).set_output(transform=container).fit_transform(cases, y)
    pd.testing.assert_frame_equal(found.features, expected.features)
    with config_context(transform_output=container):
        found = clone(extractor).fit_transform(cases, y)
    pd.testing.assert_frame_equal(found.features, expected.features)


@pytest.mark.parametrize(
    "estimator", [e for e in [*ESTIMATORS, *CONVERTED] if hasattr(e, "set_output")], ids=str
)
def test_an_unknown_container_is_refused(estimator):
    with pytest.raises(ValueError, match="arrow"):
        clone(estimator).set_output(transform="arrow").fit_transform(
            np.arange(40.0).reshape(20, 2), np.arange(20) % 2
        )


@pytest.mark.parametrize("container", ["default", *CONTAINERS])
def test_deep_features_beside_a_step_of_scikit_learn(container):
    table, _ = make_cohort(24, several=False)
    deep = NonRedundantCVAE(2, output="dlr", **NET)
    hcr = make_pipeline(LesionPooling(), StandardScaler())
    both = FeatureUnion([("deep", deep), ("hcr", hcr), ("raw", LesionPooling())])
    found = both.set_output(transform=container).fit_transform(table)
    assert found.shape == (24, 8)
    assert np.isfinite(np.asarray(found)).all()
    np.testing.assert_array_equal(np.asarray(found)[:, -3:], np.asarray(table))
    if container == "pandas":
        assert list(found.index) == list(table.index)


@pytest.mark.parametrize("container", ["default", *CONTAINERS])
def test_images_beside_clinical_columns_of_a_case_table(container):
    cases, _, _ = make_lesions(6, random_state=0)
    cases = cases.assign(age=np.arange(6.0)).set_axis([f"patient{i}" for i in range(6)])
    extractor = RadiomicsExtractor("PET", feature_classes=("shape",), patch_shape=None)
    both = make_column_transformer(
        (make_pipeline(extractor, LesionPooling(), StandardScaler()), ["image", "mask"]),
        (StandardScaler(), ["age"]),
    )
    found = both.set_output(transform=container).fit_transform(cases)
    assert len(found) == 6
    assert np.isfinite(np.asarray(found)).all()
    if container == "pandas":
        assert list(found.index) == list(cases.index)


@pytest.mark.parametrize("container", ["default", *CONTAINERS])
def test_other_columns_of_a_table_are_passed_on_by_pooling(container):
    table, _ = make_cohort(24, several=False)
    scaled = make_pipeline(LesionPooling(), StandardScaler())
    both = make_column_transformer((scaled, [0, 1]), remainder=LesionPooling())
    found = both.set_output(transform=container).fit_transform(table)
    assert found.shape == (24, 3)
    np.testing.assert_array_equal(np.asarray(found)[:, -1], table.features["age"])
