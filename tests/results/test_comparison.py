"""The result of a comparison: answer, report and files."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
from cohorts_for_tests import (
    NoiseNetwork,
    compare,
    compare_patients,
    make_table,
)
from sklearn.model_selection import StratifiedShuffleSplit

from nonredundant.evaluation import FeatureSetComparison


def test_hidden_signal_is_a_gain_that_is_said(found):
    answer = found.answer()
    assert answer.startswith("Whether DLR-MI repeats the hand-crafted features was not audited.")
    assert "HCR+DLR-MI predicts better than HCR: AUC" in answer
    assert found.findings()["helps"].verdict == "gain"
    assert "the learned features say something of the outcome (permuted p = 0.001" in answer
    assert "95 % interval" in answer
    assert "p = " in answer or "p < 0.001" in answer


def test_no_gain_is_said_as_such():
    table, y = make_table(hidden=0.0, visible=4.0)
    sets = ["HCR", "HCR+DLR-MI"]
    found = compare(table, y, cvae=NoiseNetwork(), classifiers="LR", feature_sets=sets)
    assert found.findings()["helps"].verdict == "none seen"
    assert "No gain from the learned features was seen" in found.answer()
    assert "Gains of more than" in found.answer()


def test_random_labels_are_no_gain():
    table, _ = make_table(hidden=3.0, visible=4.0)
    verdicts = []
    for seed in range(5):
        y = np.random.default_rng(seed).permutation(np.arange(90) % 2)
        sets = ["HCR", "HCR+DLR-MI"]
        found = compare(table, y, classifiers="LR", feature_sets=sets)
        verdicts.append(found.findings()["helps"].verdict)
    assert not {"gain", "information"} & set(verdicts)


def test_cases_are_counted_from_the_table_to_the_analysis(found):
    flow = found.flow.set_index("stage")["n"]
    assert flow.to_dict() == {"given": 90, "read": 90, "usable": 90, "analysed": 90}


def test_one_fold_allows_no_test_and_says_so(cohort):
    found = compare(*cohort, cv=StratifiedShuffleSplit(1, test_size=0.4, random_state=0))
    assert "no interval" not in found.answer()
    found = compare(*cohort, cv=StratifiedShuffleSplit(1, test_size=5, random_state=0))
    assert "no interval (" in found.answer()
    assert "nan" not in found.answer()
    assert "nan" not in found.answer()


def test_calibration_and_decision_curve(found):
    calibration = found.calibration().set_index("feature_set")
    assert {"slope", "intercept", "brier", "sensitivity", "specificity"} <= set(calibration)
    assert calibration.loc["HCR+DLR-MI", "brier"] < calibration.loc["volume", "brier"]
    curve = found.decision_curve([0.2, 0.5])
    assert set(curve["feature_set"]) == set(found.settings.feature_sets)


def test_tables_settings_and_answer_are_written(found, tmp_path):
    folder = found.to_csv(tmp_path / "tables")
    scores = pd.read_csv(folder / "scores.csv")
    assert len(scores) == len(found.scores)
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    assert settings["cohort"]["class_counts"] == {"0": 45, "1": 45}
    assert settings["versions"]["scikit-learn"]
    assert (folder / "answer.txt").read_text(encoding="utf-8").startswith(found.answer())


def test_tables_of_an_earlier_comparison_are_removed_and_other_files_stay(found, tmp_path):
    folder = tmp_path / "tables"
    settings = replace(found.settings, n_test=10)
    atlas = SimpleNamespace(table=pd.DataFrame({"latent": ["dlr00"]}))
    replace(found, settings=settings, atlas=atlas).to_csv(folder)
    (folder / "mine.csv").write_text("a\n1\n", encoding="utf-8")
    earlier = {path.name for path in folder.iterdir()}
    assert {"atlas.csv", "cv_predictions.csv", "cv_tests.csv"} <= earlier
    later = {path.name for path in replace(found, atlas=None).to_csv(folder).iterdir()}
    assert earlier - later == {"atlas.csv", "cv_summary.csv", "cv_predictions.csv", "cv_tests.csv"}


def test_comparison_is_what_its_parts_say(found):
    assert replace(found, warnings=["w"]).warnings == ["w"]


def test_whether_the_graph_is_better_is_said(graphs):
    tests = graphs.graph_tests.assign(estimate=0.1, low=0.05, high=0.15, p_value=0.001)
    sure = FeatureSetComparison(**{**graphs.__dict__, "graph_tests": tests})
    assert sure.graph_answer().startswith("The graph of lesions is better than pooling: AUC +0.100")
    lost = FeatureSetComparison(**{**graphs.__dict__, "graph_tests": tests.assign(estimate=-0.1)})
    assert "is worse than pooling" in lost.graph_answer()
    none = FeatureSetComparison(**{**graphs.__dict__, "graph_tests": tests.assign(p_value=0.2)})
    assert none.graph_answer().startswith("There is no evidence")


def test_the_report_shows_patients_as_graphs(graphs, tmp_path):
    page = graphs.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'id="patients"' in page
    assert 'id="figure-graphs"' in page
    assert "The graph of lesions against pooling" in page
    assert len(graphs.patient_graphs) == 4
    graphs.to_csv(tmp_path / "tables")
    assert (tmp_path / "tables" / "attention.csv").exists()


def test_without_a_graph_there_is_no_attention(patient_cohort, tmp_path):
    found = compare_patients(*patient_cohort[:2])
    assert found.attention.empty
    assert found.graph_tests.empty
    assert found.graph_answer() == ""
    page = found.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "lesions per sample" in page
    assert "figure-graphs" not in page
