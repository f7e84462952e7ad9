"""Comparisons of patients with several lesions: pooled, as graphs, and with times to an event."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
import skops.io
from cohorts_for_tests import CheapNetwork
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.metrics import concordance_index_censored

from nonredundant import LesionTable, RadiomicsExtractor, compare_feature_sets
from nonredundant.datasets import fetch_sts, make_lesions
from nonredundant.evaluation import FeatureSetClassifier, FeatureSetComparison
from nonredundant.models.baselines import Residualiser
from nonredundant.patients import LesionGraphClassifier, LesionGraphSurvival, LesionPooling
from nonredundant.statistics import resampled_test

GRAPH = LesionGraphClassifier(max_epochs=2, device="cpu")
PLAIN = {"LR": LogisticRegression(C=0.1)}
TIMES = [("event", bool), ("time", float)]


def make_patients(n=60, seed=0):
    """Return patients with one to four lesions; the label lies in the hottest one."""
    rng = np.random.default_rng(seed)
    sample = np.repeat(np.arange(n), rng.integers(1, 5, n))
    uptake = rng.normal(size=len(sample))
    frame = pd.DataFrame(
        {
            "original_shape_VoxelVolume": np.exp(rng.normal(size=len(sample))),
            "original_firstorder_Mean": uptake,
            "original_firstorder_Maximum": uptake + 1,
        }
    )
    frame["age"] = rng.normal(60, 10, n)[sample]
    hottest = np.array([uptake[sample == i].max() for i in range(n)])
    patches = rng.normal(size=(len(sample), 1, 8, 8)) + uptake[:, None, None, None]
    table = LesionTable(
        frame,
        blocks={"age": "clinical"},
        patches=patches,
        sample=sample,
        positions=rng.normal(size=(len(sample), 3)) * 50,
        index=[f"patient{i:02d}" for i in range(n)],
    )
    return table, (hottest + 0.5 * rng.normal(size=n) > 0.7).astype(int), hottest


def make_times(hottest, seed=1):
    """Return times that are the shorter the hotter, a third of them censored."""
    rng = np.random.default_rng(seed)
    time = rng.exponential(np.exp(-2 * hottest))
    censoring = rng.exponential(np.median(time) * 3, len(time))
    y = np.empty(len(time), dtype=TIMES)
    y["event"], y["time"] = time <= censoring, np.minimum(time, censoring)
    return y


def compare(table, y, **settings):
    """Compare with cheap settings that a test may override."""
    defaults = {
        "cvae": CheapNetwork(),
        "classifiers": PLAIN,
        "feature_sets": ["HCR"],
        "baselines": False,
        "audit": False,
        "random_state": 0,
        "cv": 3,
    }
    return compare_feature_sets(table, y, **{**defaults, **settings})


@pytest.fixture(scope="module")
def cohort():
    return make_patients()


@pytest.fixture(scope="module")
def graphs(cohort):
    """A comparison with the graph, a learned block and a clinical column."""
    table, y, _ = cohort
    return compare(
        table, y, patients=GRAPH, feature_sets=["HCR", "HCR+DLR", "HCR+DLR-MI"], baselines=True
    )


@pytest.mark.parametrize(
    "how", ["max", "volume", ["mean", "largest"], LesionPooling("std", dissemination=True)]
)
def test_classifiers_see_lesions_through_the_pooling(cohort, how):
    table, y, _ = cohort
    found = compare(table.replace(blocks={}), y, patients=how)
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
    scores = [compare(single, y, patients=how).scores["score"] for how in ("mean", "max")]
    assert scores[0].tolist() == scores[1].tolist()


def test_the_graph_comes_first_beside_the_others(graphs):
    assert graphs.settings.classifiers == ["graph", "LR"]
    assert graphs.primary["classifier"] == "graph"
    assert "graph of lesions" in graphs.answer()
    with_lesions = graphs.scores.loc[graphs.scores["classifier"] == "graph", "feature_set"]
    assert not {"clinical", "volume", "dissemination"} & set(with_lesions)
    assert {"HCR", "HCR+DLR-MI", "HCR+PCA", "HCR+DLR-residual"} <= set(with_lesions)


def test_the_graph_sees_the_columns_of_its_set_lesion_by_lesion(graphs, cohort):
    hcr = [name for name in cohort[0].columns if name != "age"]
    model = graphs.models["HCR", "graph", 0, 0]
    assert model.feature_names_in_.tolist() == [*hcr, "age"]
    fused = graphs.models["HCR+DLR", "graph", 0, 0]
    assert fused.feature_names_in_.tolist() == [*hcr, "dlr00", "dlr01", "dlr02", "age"]


def test_graph_and_pooling_are_compared_fold_by_fold(graphs):
    wide = graphs.scores.pivot_table(
        index="fold", columns=["feature_set", "classifier"], values="score"
    )
    difference = (wide["HCR", "graph"] - wide["HCR", "LR"]).to_numpy()
    row = graphs.graph_tests.query("feature_set == 'HCR' and reference == 'LR'").iloc[0]
    expected = resampled_test(difference, 40, 20)
    np.testing.assert_allclose(row[["estimate", "p_value"]].astype(float), expected[0::3])


def test_whether_the_graph_is_better_is_said(graphs):
    tests = graphs.graph_tests.assign(estimate=0.1, low=0.05, high=0.15, p_value=0.001)
    sure = FeatureSetComparison(**{**graphs.__dict__, "graph_tests": tests})
    assert sure.graph_answer().startswith("The graph of lesions is better than pooling: AUC +0.100")
    lost = FeatureSetComparison(**{**graphs.__dict__, "graph_tests": tests.assign(estimate=-0.1)})
    assert "is worse than pooling" in lost.graph_answer()
    none = FeatureSetComparison(**{**graphs.__dict__, "graph_tests": tests.assign(p_value=0.2)})
    assert none.graph_answer().startswith("There is no evidence")


def test_attention_is_that_of_patients_held_out(graphs, cohort):
    lesions = graphs.attention.query("kind == 'lesion'")
    sums = lesions.groupby("sample")["weight"].sum()
    assert sorted(sums.index) == sorted(cohort[0].index)
    np.testing.assert_allclose(sums, 1, rtol=1e-5)
    folds = graphs.predictions.drop_duplicates("sample").set_index("sample")["fold"]
    assert (lesions["fold"].to_numpy() == folds.loc[lesions["sample"]].to_numpy()).all()


def test_the_report_shows_patients_as_graphs(graphs, tmp_path):
    page = graphs.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'id="patients"' in page
    assert 'id="figure-graphs"' in page
    assert "The graph of lesions against pooling" in page
    assert len(graphs.patient_graphs) == 4
    graphs.to_csv(tmp_path / "tables")
    assert (tmp_path / "tables" / "attention.csv").exists()


def test_without_a_graph_there_is_no_attention(cohort, tmp_path):
    found = compare(*cohort[:2])
    assert found.attention.empty
    assert found.graph_tests.empty
    assert found.graph_answer() == ""
    page = found.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "lesions per sample" in page
    assert "figure-graphs" not in page


def test_how_lesions_are_spread_is_a_baseline_where_samples_have_several(cohort):
    table, y, _ = cohort
    found = compare(table, y, baselines=True, cvae=CheapNetwork())
    columns = found.models["dissemination", "LR", 0, 0].named_steps["impute"].n_features_in_
    assert columns == 7
    first = np.searchsorted(table.sample, np.arange(len(table)))
    single = LesionTable(table.features.iloc[first].reset_index(drop=True))
    assert "dissemination" not in compare(single, y, baselines=True).settings.feature_sets


class SpyGraph(LesionGraphClassifier):
    """Remembers the patients of every fit."""

    fitted_on: list = []

    def fit(self, X, y):
        self.fitted_on.append(frozenset(X.index))
        return super().fit(X, y)


def test_patients_never_straddle_a_split(cohort):
    table, y, _ = cohort
    SpyGraph.fitted_on.clear()
    found = compare(table, y, patients=SpyGraph(max_epochs=1, device="cpu"))
    held = found.predictions.groupby("fold")["sample"].agg(frozenset)
    assert len(SpyGraph.fitted_on) == 3
    assert {frozenset(table.index) - one for one in SpyGraph.fitted_on} == set(held)


def test_residuals_are_those_of_lesions(cohort):
    table, y, _ = cohort
    found = compare(table, y, feature_sets=["HCR+DLR", "HCR+DLR-residual"])
    source, model = found.networks["DLR", 0, 0], found.networks["DLR-residual", 0, 0]
    held = table.index.isin(found.predictions.query("fold == 0")["sample"])[table.sample]
    by_hand = Residualiser().fit(table.hcr[~held], source.transform(table)[~held])
    np.testing.assert_allclose(model.ridge_.coef_, by_hand.ridge_.coef_, rtol=1e-9)


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
        found = compare(
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


# Times to an event ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def times(cohort):
    return make_times(cohort[2])


def test_risks_are_scored_by_their_concordance(cohort, times):
    table = cohort[0]
    found = compare(
        table,
        times,
        patients="max",
        classifiers={"mine": CoxPHSurvivalAnalysis(alpha=1.0)},
        feature_sets=["HCR", "HCR+DLR"],
    )
    assert found.settings.scoring == ["concordance_index"]
    assert found.settings.cohort.class_counts == {
        "censored": int((~times["event"]).sum()),
        "event": int(times["event"].sum()),
    }
    scores = found.scores.query("feature_set == 'HCR'").set_index("fold")["score"]
    for fold, one in found.predictions.query("feature_set == 'HCR'").groupby("fold"):
        expected = concordance_index_censored(one["y"] == "event", one["time"], one["score"])[0]
        assert scores[fold] == pytest.approx(expected)
    assert found.summary["mean"].iloc[0] > 0.7
    assert "concordance index" in found.answer()


def test_folds_have_their_share_of_events(cohort, times):
    found = compare(cohort[0], times, classifiers="Cox")
    share = found.predictions.groupby("fold")["y"].agg(lambda y: (y == "event").mean())
    np.testing.assert_allclose(share, times["event"].mean(), atol=0.04)


def test_models_of_times_are_tuned_and_stand_by_default(cohort, times):
    found = compare(cohort[0], times, classifiers=None, feature_sets=["HCR"])
    assert found.settings.classifiers == ["Cox", "RSF"]
    frame = pd.DataFrame({"event": times["event"], "months": times["time"]})
    same = compare(cohort[0], frame, classifiers=["Cox"])
    one = found.scores.query("classifier == 'Cox'")["score"]
    assert one.tolist() == same.scores["score"].tolist()


def test_the_graph_of_times_stands_beside_regression(cohort, times, tmp_path):
    found = compare(
        cohort[0],
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


def test_a_held_out_test_set_of_times(cohort, times):
    table = cohort[0]
    other, _, hottest = make_patients(seed=5)
    other = LesionTable(
        other.features.reset_index(drop=True),
        blocks=other.blocks,
        patches=other.patches,
        sample=other.sample,
        positions=other.positions,
        index=[f"other{i}" for i in range(len(other))],
    )
    held = make_times(hottest, seed=6)
    found = compare(
        table,
        times,
        test=(other, held),
        patients="max",
        classifiers={"mine": CoxPHSurvivalAnalysis(alpha=1.0)},
        feature_sets=["HCR", "HCR+DLR"],
    )
    one = found.predictions.query("feature_set == 'HCR'").set_index("sample").loc[other.index]
    expected = concordance_index_censored(held["event"], held["time"], one["score"])[0]
    row = found.summary.query("feature_set == 'HCR'").iloc[0]
    assert row["mean"] == pytest.approx(expected)
    assert row["low"] < expected < row["high"]
    assert found.tests["method"].unique().tolist() == ["paired concordance"]


# One model, and wrong use --------------------------------------------------------------------


@pytest.mark.parametrize("patients", ["max", "graph"])
def test_one_model_of_patients_predicts_and_is_saved(cohort, patients, tmp_path):
    table, y, _ = cohort
    way = GRAPH if patients == "graph" else patients
    model = FeatureSetClassifier("HCR", patients=way, random_state=0).fit(table, y)
    p = model.predict_proba(table)
    assert p.shape == (len(table), 2)
    file = tmp_path / "model.skops"
    skops.io.dump(model, file)
    trusted = skops.io.get_untrusted_types(file=file)
    assert all(t.startswith("nonredundant.") or t == "numpy.dtype" for t in trusted), trusted
    again = skops.io.load(file, trusted=trusted)
    assert np.array_equal(again.predict_proba(table), p)


@pytest.mark.parametrize(
    ("feature_set", "settings"),
    [
        ("HCR", {"patients": LesionGraphSurvival(max_epochs=2, device="cpu")}),
        ("HCR+DLR-residual", {"patients": "max"}),
        ("dissemination", {"classifier": "RSF"}),
        ("H2", {"classifier": CoxPHSurvivalAnalysis(alpha=1.0)}),
    ],
)
def test_one_model_of_times_predicts_risks(cohort, times, feature_set, settings):
    table = cohort[0]
    model = FeatureSetClassifier(feature_set, cvae=CheapNetwork(), random_state=0, **settings)
    risk = model.fit(table, times).predict(table)
    assert risk.shape == (len(table),)
    expected = concordance_index_censored(times["event"], times["time"], risk)[0]
    assert model.score(table, times) == pytest.approx(expected)
    assert not hasattr(model, "predict_proba")


@pytest.mark.parametrize("classifier", [None, "RSF"])
def test_a_model_of_times_is_saved(cohort, times, classifier, tmp_path):
    table = cohort[0]
    frame = pd.DataFrame({"event": times["event"], "months": times["time"]})
    model = FeatureSetClassifier("HCR", classifier=classifier, patients="max", random_state=0)
    model.fit(table, frame)
    file = tmp_path / "model.skops"
    skops.io.dump(model, file)
    trusted = skops.io.get_untrusted_types(file=file)
    own = [t for t in trusted if not t.startswith(("nonredundant.", "sksurv."))]
    assert set(own) <= {"numpy.dtype", "sklearn.tree._tree.Tree"}
    again = skops.io.load(file, trusted=trusted)
    assert np.array_equal(again.predict(table), model.predict(table))


def test_one_model_is_what_a_comparison_fits_in_a_fold(cohort, times):
    """A cohort of a fold's training patients gets the classifier that the fold has."""
    table, y, _ = cohort
    for outcome, name in ((y, "LR"), (times, "Cox")):
        found = compare(table, outcome, classifiers=name, feature_sets=["H2", "HCR"])
        train = ~table.index.isin(found.predictions.query("fold == 0")["sample"])
        for one in ("H2", "HCR"):
            model = FeatureSetClassifier(one, random_state=0).fit(table[train], outcome[train])
            fold = found.models[one, name, 0, 0].named_steps
            own = model.model_.named_steps
            np.testing.assert_array_equal(own["blocks"].mean_, fold["blocks"].mean_)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"patients": "median"}, ValueError, "choose 'graph', or one or several of mean, max"),
        ({"patients": 3}, TypeError, "patients must be 'graph', a way to pool lesions"),
        ({"patients": []}, ValueError, "choose 'graph'"),
        ({"patients": LesionGraphSurvival()}, TypeError, "needs a LesionGraphClassifier"),
        ({"patients": GRAPH, "feature_sets": ["Clinical"]}, ValueError, "none of the sets has any"),
        ({"patients": GRAPH, "sampler": "smote"}, ValueError, "not graphs of lesions"),
        ({"patients": GRAPH, "classifiers": {"graph": PLAIN["LR"]}}, ValueError, "rename yours"),
    ],
)
def test_wrong_use_is_explained(cohort, settings, error, message):
    with pytest.raises(error, match=message):
        compare(*cohort[:2], **settings)


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
def test_wrong_use_with_times_is_explained(cohort, times, settings, error, message):
    with pytest.raises(error, match=message):
        compare(cohort[0], times, **settings)


def test_times_that_cannot_be_learned_from(cohort, times):
    with pytest.raises(ValueError, match=r"y: y has 60 times but there are 59"):
        compare(cohort[0][:59], times)
    none = times.copy()
    none["event"] = False
    with pytest.raises(ValueError, match="none of the 60 patients had the event"):
        compare(cohort[0], none)


def test_folds_without_a_pair_of_times_are_refused(cohort):
    y = np.array([(True, 5.0), (False, 1.0), (True, 9.0), (False, 2.0)] * 3, dtype=TIMES)
    with pytest.raises(ValueError, match=r"fold \d of repeat 0: of its 2 held-out samples"):
        compare(cohort[0][:12], y, cv=6)


def test_a_graph_needs_features_of_lesions(cohort):
    with pytest.raises(ValueError, match="the set 'Clinical' has none"):
        FeatureSetClassifier("Clinical", patients=GRAPH).fit(*cohort[:2])


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
    found = compare(cases, y, extractor=extractor, patients=GRAPH)
    # Lesions are drawn on the maximum-intensity projection of their own image.
    assert all(parts["image"] is not None for parts in found.patient_graphs)
    assert found.settings.cohort.n_lesions > 18


def first_lesions(table):
    """Return the patients with their first lesion alone."""
    first = np.searchsorted(table.sample, np.arange(len(table)))
    return LesionTable(
        table.features.iloc[first].reset_index(drop=True),
        blocks=table.blocks,
        patches=table.patches[first],
        positions=table.positions[first],
        index=table.index,
    )


@pytest.mark.parametrize(
    ("feature_set", "patients"),
    [("HCR", "max"), ("HCR", ["mean", "sum"]), ("HCR+DLR", "volume"), ("dissemination", "mean")],
)
def test_a_model_knows_patients_of_any_number_of_lesions(cohort, feature_set, patients):
    table, y, _ = cohort
    single = first_lesions(table)
    for one, other in ((table, single), (single, table)):
        model = FeatureSetClassifier(
            feature_set, classifier=PLAIN["LR"], patients=patients, cvae=CheapNetwork()
        )
        assert model.fit(one, y).predict_proba(other).shape == (60, 2)


def test_attention_is_told_fold_by_fold_where_test_folds_overlap(cohort, tmp_path):
    table, y, _ = cohort
    splitter = StratifiedShuffleSplit(3, test_size=0.5, random_state=0)
    found = compare(table, y, patients=GRAPH, cv=splitter)
    sums = found.attention.query("kind == 'lesion'").groupby(["fold", "sample"])["weight"].sum()
    np.testing.assert_allclose(sums, 1, rtol=1e-5)
    for parts in found.patient_graphs:
        assert parts["weights"].sum() == pytest.approx(1, rel=1e-5)
        assert len(parts["weights"]) == len(parts["places"])


def test_every_class_is_pictured_with_its_own_probability(cohort):
    table, y, hottest = cohort
    three = np.where(hottest > 1.5, 10, np.where(y == 1, 9, 2))
    found = compare(table, three, patients=GRAPH)
    shown = [parts["title"].split(": ")[1] for parts in found.patient_graphs]
    assert [one.split(",")[0] for one in shown] == ["10", "10", "9", "9", "2", "2"]
    place = found.patient_graphs[-1]["title"]
    label, told = place.split(":")[0], float(place.split()[-1])
    row = found.predictions.query("classifier == 'graph'").set_index("sample").loc[label]
    assert told == pytest.approx(row["score_2"], abs=0.005)


def test_the_clinic_and_the_network_are_asked_of_the_graph(cohort, tmp_path):
    sets = ["Clinical", "Clinical+HCR", "Clinical+DLR-MI", "Clinical+HCR+DLR-MI"]
    found = compare(*cohort[:2], patients=GRAPH, feature_sets=sets)
    assert found.primary["feature_set"] == "Clinical+HCR+DLR-MI"
    assert found.primary["reference"] == "Clinical+HCR"
    assert "Clinical+HCR+DLR-MI (graph of lesions" in found.answer()
    page = found.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Not drawn" not in page
    pooled = compare(*cohort[:2], feature_sets=sets)
    assert pooled.primary["feature_set"] == "Clinical+DLR-MI"
    assert pooled.primary["reference"] == "Clinical"


def test_the_graph_is_asked_about_sets_that_it_has(cohort):
    found = compare(*cohort[:2], patients=GRAPH, feature_sets=["Clinical", "Clinical+DLR"])
    assert "reference" not in found.primary
    assert "reached AUC" in found.answer()


def test_columns_are_picked_by_the_times_of_training_samples(cohort, times):
    table = cohort[0]
    one = compare(table, times, classifiers="Cox", feature_sets=["H2"])
    held = table.index.get_indexer(one.predictions.query("fold == 0")["sample"])
    other = times.copy()
    other["time"][held] = np.random.default_rng(0).permutation(times["time"][held]) * 100
    two = compare(table, other, classifiers="Cox", feature_sets=["H2"])
    first = [f.models["H2", "Cox", 0, 0].named_steps["blocks"].mean_ for f in (one, two)]
    np.testing.assert_array_equal(*first)


def test_weights_of_regression_on_times_are_its_coefficients(cohort, times):
    found = compare(cohort[0], times, classifiers="Cox", feature_sets=["HCR"])
    own = found.weights.query("fold == 1")["weight"].to_numpy()
    model = found.models["HCR", "Cox", 0, 1].named_steps["classifier"]
    np.testing.assert_array_equal(own, model.coef_[:, 0])
    assert found.choices["alpha"].isin([1.0, 0.1, 0.01]).all()


def test_an_unusable_test_set_is_refused_before_the_run(cohort, times, monkeypatch):
    monkeypatch.setattr("nonredundant.evaluation.compare.run", None)
    table, y, _ = cohort
    y_test = np.array([0, 1, 1])
    lost = table[:3].replace(status=["gone", "ok", "ok"])
    with pytest.raises(ValueError, match=r"has the classes \[1\] alone among the 2 samples"):
        compare(table, y, test=(lost, y_test))
    alike = times[:3].copy()
    alike["event"], alike["time"] = [True, False, False], [5.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="no two can be told apart"):
        compare(table, times, test=(table[:3], alike), classifiers="Cox")


def test_networks_with_a_label_term_are_refused_for_times(cohort, times):
    from nonredundant import NonRedundantCVAE

    with pytest.raises(ValueError, match="gamma=1.0, a label term of classes"):
        compare(cohort[0], times, cvae=NonRedundantCVAE(gamma=1.0), feature_sets=["HCR+DLR-MI"])


def test_weights_of_classes_go_by_their_labels(cohort):
    table, y, _ = cohort
    labels = np.where(y == 1, "relapse", "well")
    found = compare(table, labels, class_weight={"relapse": 9.0, "well": 1.0})
    plain = compare(table, labels)
    heavy, even = (f.models["HCR", "LR", 0, 0].predict_proba for f in (found, plain))
    x = LesionPooling().fit_transform(table)
    assert heavy(x)[:, 0].mean() > even(x)[:, 0].mean() + 0.1
    with pytest.raises(ValueError, match="class_weight names"):
        compare(table, labels, class_weight={"cured": 2.0})


@pytest.mark.parametrize("name", ["positions", "sizes"])
def test_what_graphs_and_dissemination_need_is_asked_for_first(cohort, name):
    table, y, _ = cohort
    bare = table.replace(positions=None)
    if name == "positions":
        with pytest.raises(ValueError, match="needs the distances between lesions"):
            compare(bare, y, patients=GRAPH)
    else:
        with pytest.raises(ValueError, match="needs the positions and volumes of lesions"):
            compare(bare, y, feature_sets=["HCR", "dissemination"])
