"""Feature sets by image, models of two images, and cases that lack one of them."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import LesionTable, NonRedundantCVAE, RadiomicsExtractor, compare_feature_sets
from nonredundant.datasets import make_lesions
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.extraction import one_case
from nonredundant.folds.feature_sets import check_feature_set, parse_feature_set
from nonredundant.folds.references import choose_primary, references
from nonredundant.folds.selection import SelectHCR, Selection
from nonredundant.lesions.measures import size_and_uptake, volume_column
from nonredundant.patients import LesionPooling

IMAGES = {"pet": {"bin_width": 0.5}, "ct": {"bin_width": 10.0}}
EXTRACTOR = RadiomicsExtractor(
    images=IMAGES,
    feature_classes={"shape": ["VoxelVolume"], "firstorder": ["Mean", "Maximum", "Range"]},
    patch_shape=(8, 8, 8),
    on_missing="nan",
)
COLUMNS = ["original_shape_VoxelVolume"] + [
    f"{image}_original_firstorder_{name}"
    for image in IMAGES
    for name in ("Maximum", "Mean", "Range")
]


@pytest.fixture(scope="module")
def cohort():
    """Return phantoms of two images with an age, of which two lack their CT."""
    cases, y, _ = make_lesions(24, images=2, radius=(6, 9), clinical_effect=0.0, random_state=3)
    cases["image_ct"] = [None if i in (3, 8) else one for i, one in enumerate(cases["image_ct"])]
    return cases, y


@pytest.fixture(scope="module")
def table(cohort):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return EXTRACTOR.fit_transform(cohort[0])


def test_the_set_of_an_image_has_its_columns_and_those_of_no_image(table):
    assert sorted(table.columns) == sorted(COLUMNS)
    kept = SelectHCR(parse_feature_set("pet:HCR").selection).fit(table).columns_
    assert sorted(kept) == sorted(COLUMNS[:4])
    shape = SelectHCR(Selection(("shape",), image="ct")).fit(table).columns_
    assert shape == COLUMNS[:1]
    classes = SelectHCR(Selection(("firstorder",))).fit(table).columns_
    assert sorted(classes) == sorted(COLUMNS[1:])
    best = SelectHCR(parse_feature_set("ct:H2").selection)
    assert not [name for name in best.fit(table, np.arange(24) % 2).columns_ if "pet" in name]
    with pytest.raises(ValueError, match=r"image 'mr'.*\['ct', 'pet'\]"):
        check_feature_set(parse_feature_set("mr:HCR"), table)
    pooled = LesionPooling("max").fit(table).pool(table)
    kept = SelectHCR(Selection(image="ct")).fit(pooled).columns_
    assert sorted(kept) == sorted(f"max__{name}" for name in (COLUMNS[0], *COLUMNS[4:]))


def test_all_images_are_compared_with_one():
    sets = [parse_feature_set(name) for name in ("pet:HCR", "ct:HCR", "HCR", "pet:HCR+DLR-MI")]
    assert references(sets, sets[2]) == ["pet:HCR"]
    assert references(sets, sets[3]) == ["pet:HCR"]
    assert choose_primary(sets[:3]) == ("HCR", "pet:HCR")


def test_size_and_uptake_are_those_of_the_first_image(table):
    measured = size_and_uptake(table)
    np.testing.assert_array_equal(measured["maximum"], table.features[COLUMNS[1]])
    own = pd.DataFrame({"pet_original_shape_VoxelVolume": [1.0]})
    named = LesionTable(own, provenance={"channels": ["pet", "ct"]})
    assert volume_column(named) == "pet_original_shape_VoxelVolume"


@pytest.mark.filterwarnings("ignore")
def test_a_comparison_says_how_often_an_image_is_missing(table, cohort, tmp_path):
    found = compare_feature_sets(
        table,
        cohort[1],
        feature_sets=["pet:HCR", "HCR", "HCR+DLR-MI"],
        cvae=NonRedundantCVAE(dlr_size=2, max_epochs=2),
        classifiers=["LR"],
        cv=2,
        n_repeats=1,
        baselines=False,
        audit=("dcor",),
        random_state=0,
    )
    assert found.scores["score"].notna().all()
    assert found.settings.cohort.missing_images == {"pet": 0, "ct": 2}
    page = found.to_html(tmp_path / "index.html").read_text(encoding="utf-8")
    assert "samples without ct" in page
    assert "2 of 24" in page
    assert "pet binWidth" in page


@pytest.mark.filterwarnings("ignore")
def test_a_model_predicts_cases_with_and_without_an_image(cohort):
    cases, y = cohort
    # All other columns are passed: those of images must not be among them.
    clinical = ColumnTransformer([("age", SimpleImputer(), ["age"])], remainder="passthrough")
    model = FeatureSetClassifier(
        "HCR+DLR-MI",
        extractor=EXTRACTOR.__class__(**EXTRACTOR.get_params()).set_params(clinical=clinical),
        cvae=NonRedundantCVAE(dlr_size=2, max_epochs=2),
        random_state=0,
    )
    model.fit(cases, y)
    assert np.isfinite(model.predict_proba(cases[:9])).all()
    assert {"pet_levels", "ct_levels", "pet_spacing", "ct_spacing"} <= set(model.fingerprint_)
    coarse = cases[:1].assign(spacing=[(9.0, 9.0, 9.0)])
    assert "mm voxels in ct" in model.outside(coarse).iloc[0]


@pytest.mark.filterwarnings("ignore")
def test_a_search_measures_each_image_once(cohort, tmp_path, monkeypatch):
    calls = []
    original = one_case.compute_features

    def counted(image, *args, **kwargs):
        calls.append(1)
        return original(image, *args, **kwargs)

    monkeypatch.setattr(one_case, "compute_features", counted)
    extractor = RadiomicsExtractor(**{**EXTRACTOR.get_params(), "memory": tmp_path})
    pipeline = make_pipeline(extractor, SimpleImputer(), StandardScaler(), LogisticRegression())
    other = {**IMAGES, "ct": {"bin_width": 20.0}}
    search = GridSearchCV(pipeline, {"radiomicsextractor__images": [IMAGES, other]}, cv=2)
    search.fit(*cohort)
    # 24 PET once, and the 22 CT with each of two settings.
    assert len(calls) == 24 + 2 * 22
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
