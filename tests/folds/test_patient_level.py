"""Comparisons of patients with several lesions: pooled, and as graphs."""

from __future__ import annotations

import os

import numpy as np
import pytest
from cohorts_for_tests import (
    GRAPH,
    PLAIN,
    compare_patients,
    make_patients,
)

from nonredundant import LesionTable, RadiomicsExtractor
from nonredundant.datasets import fetch_sts, make_lesions
from nonredundant.patients import LesionGraphSurvival, LesionPooling


@pytest.mark.parametrize(
    "how", ["max", "volume", ["mean", "largest"], LesionPooling("std", dissemination=True)]
)
def test_classifiers_see_lesions_through_the_pooling(patient_cohort, how):
    table, y, _ = patient_cohort
    found = compare_patients(table.replace(blocks={}), y, patients=how)
    pooling = how if isinstance(how, LesionPooling) else LesionPooling(how)
    pooled = pooling.fit_transform(table.replace(blocks={}))
    names = pooling.get_feature_names_out()
    assert found.weights["feature"].unique().tolist() == names.tolist()
    seen = found.predictions.set_index("sample")["score"].reindex(table.index)
    for fold in range(3):
        rows = table.index.get_indexer(
            found.predictions.loc[found.predictions["fold"] == fold, "sample"]
        )
        own = found.models["HCR", "LR", 0, fold].predict_proba(pooled[rows])[:, 1]
        np.testing.assert_allclose(seen.to_numpy()[rows], own, rtol=1e-12)


def test_one_lesion_a_patient_needs_no_pooling():
    table, y, _ = make_patients()
    first = np.searchsorted(table.sample, np.arange(len(table)))
    single = LesionTable(table.features.iloc[first].reset_index(drop=True))
    scores = [compare_patients(single, y, patients=how).scores["score"] for how in ("mean", "max")]
    assert scores[0].tolist() == scores[1].tolist()


def test_the_graph_comes_first_beside_the_others(graphs):
    assert graphs.settings.classifiers == ["graph", "LR"]
    assert graphs.primary["classifier"] == "graph"
    assert "graph of lesions" in graphs.answer()
    with_lesions = graphs.scores.loc[graphs.scores["classifier"] == "graph", "feature_set"]
    assert not {"Clinical", "volume", "dissemination"} & set(with_lesions)
    fused = {f"Clinical+HCR+{name}" for name in ("DLR-MI", "PCA", "DLR-residual")}
    assert {"Clinical+HCR", *fused} <= set(with_lesions)


def test_the_graph_sees_the_columns_of_its_set_lesion_by_lesion(graphs, patient_cohort):
    hcr = [name for name in patient_cohort[0].columns if name != "age"]
    model = graphs.models["Clinical+HCR", "graph", 0, 0]
    assert model.feature_names_in_.tolist() == [*hcr, "age"]
    fused = graphs.models["Clinical+HCR+DLR", "graph", 0, 0]
    assert fused.feature_names_in_.tolist() == [*hcr, "dlr00", "dlr01", "dlr02", "age"]


def test_sarcomas_run_through_the_same_code():
    if "NONREDUNDANT_DATA" not in os.environ:
        pytest.skip("needs the sarcomas: set NONREDUNDANT_DATA")
    sts = fetch_sts()
    cases = sts.data.assign(female=(sts.data["sex"] == "F").astype(float))
    extractor = RadiomicsExtractor(
        modality="PET",
        feature_classes={"firstorder": ["Mean", "Maximum"], "shape": ["VoxelVolume"]},
        patch_shape=None,
        lesions="components",
        clinical=["age_years", "female", "weight_kg", "height_m"],
    )
    with pytest.warns(UserWarning, match="touch the border"):
        found = compare_patients(
            cases,
            sts.target,
            extractor=extractor,
            feature_sets=["Clinical", "HCR", "Clinical+HCR"],
            patients=GRAPH,
        )
    assert found.settings.cohort.n_clinical == 4
    models = found.models
    assert models["Clinical", "LR", 0, 0].named_steps["impute"].n_features_in_ == 4
    assert models["HCR", "LR", 0, 0].named_steps["impute"].n_features_in_ == 3
    assert models["Clinical+HCR", "graph", 0, 0].n_features_in_ == 7
    assert ("Clinical", "graph", 0, 0) not in models


def test_the_graph_of_times_stands_beside_regression(patient_cohort, times, tmp_path):
    found = compare_patients(
        patient_cohort[0],
        times,
        classifiers="Cox",
        patients=LesionGraphSurvival(max_epochs=2, device="cpu"),
    )
    assert found.settings.classifiers == ["graph", "Cox"]
    page = found.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "concordance index" in page
    assert "Harrell" in page
    assert 'id="figure-roc"' not in page
    assert 'id="figure-graphs"' in page


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"patients": "median"}, ValueError, "choose 'graph', or one or several of mean, max"),
        ({"patients": 3}, TypeError, "patients must be 'graph', a way to pool lesions"),
        ({"patients": []}, ValueError, "choose 'graph'"),
        ({"patients": LesionGraphSurvival()}, TypeError, "needs a LesionGraphClassifier"),
        ({"patients": GRAPH, "feature_sets": ["Clinical"]}, ValueError, "there is no such set"),
        ({"patients": GRAPH, "sampler": "smote"}, ValueError, "not graphs of lesions"),
        ({"patients": GRAPH, "classifiers": {"graph": PLAIN["LR"]}}, ValueError, "rename yours"),
    ],
)
def test_wrong_use_is_explained(patient_cohort, settings, error, message):
    with pytest.raises(error, match=message):
        compare_patients(*patient_cohort[:2], **settings)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"scoring": "accuracy"}, ValueError, "scored by 'concordance_index' alone"),
        ({"experiment": "vetil2023"}, ValueError, "about classes, not times"),
        ({"sampler": "over"}, ValueError, "not times to an event"),
        ({"classifiers": ["LR"]}, ValueError, r"choose from \('Cox', 'RSF'\)"),
        ({"patients": GRAPH}, TypeError, "needs a LesionGraphSurvival"),
    ],
)
def test_wrong_use_with_times_is_explained(patient_cohort, times, settings, error, message):
    with pytest.raises(error, match=message):
        compare_patients(patient_cohort[0], times, **settings)


def test_phantoms_from_images_to_graphs():
    cases, y, _ = make_lesions(
        18, n_lesions=(2, 3), worst_effect=2.0, clinical_effect=1.0, spacing=3.3, random_state=0
    )
    extractor = RadiomicsExtractor(
        modality="PET",
        feature_classes={"firstorder": ["Mean", "Maximum"], "shape": ["VoxelVolume"]},
        patch_shape=None,
        lesions="components",
        clinical=["age"],
    )
    found = compare_patients(cases, y, extractor=extractor, patients=GRAPH)
    # Lesions are drawn on the maximum-intensity projection of their own image.
    assert all(parts["image"] is not None for parts in found.patient_graphs)
    assert found.settings.cohort.n_lesions > 18


def test_the_clinic_and_the_network_are_asked_of_the_graph(patient_cohort, tmp_path):
    sets = ["Clinical", "Clinical+HCR", "Clinical+DLR-MI", "Clinical+HCR+DLR-MI"]
    found = compare_patients(*patient_cohort[:2], patients=GRAPH, feature_sets=sets)
    assert found.primary["feature_set"] == "Clinical+HCR+DLR-MI"
    assert found.primary["reference"] == "Clinical+HCR"
    assert "Clinical+HCR+DLR-MI (graph of lesions" in found.answer()
    page = found.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Not drawn" not in page
    pooled = compare_patients(*patient_cohort[:2], feature_sets=sets)
    assert pooled.primary["feature_set"] == "Clinical+DLR-MI"
    assert pooled.primary["reference"] == "Clinical"


def test_the_graph_is_asked_about_sets_that_it_has(patient_cohort):
    found = compare_patients(
        *patient_cohort[:2], patients=GRAPH, feature_sets=["Clinical", "Clinical+DLR"]
    )
    assert "reference" not in found.primary
    assert "reached AUC" in found.answer()


@pytest.mark.parametrize("name", ["positions", "sizes"])
def test_what_graphs_and_dissemination_need_is_asked_for_first(patient_cohort, name):
    table, y, _ = patient_cohort
    bare = table.replace(positions=None)
    if name == "positions":
        with pytest.raises(ValueError, match="needs the distances between lesions"):
            compare_patients(bare, y, patients=GRAPH)
    else:
        with pytest.raises(ValueError, match="needs the positions and volumes of lesions"):
            compare_patients(bare, y, feature_sets=["HCR", "dissemination"])
