"""The tables of a comparison."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from sklearn.metrics import roc_auc_score

from nonredundant.results.tables import warning_list


def test_tables_have_the_documented_columns(found):
    pair = ["feature_set", "classifier"]
    assert list(found.scores) == [*pair, "repeat", "fold", "metric", "score"]
    assert list(found.summary) == [*pair, "metric", "mean", "sd", "low", "high", "reason"]
    assert list(found.tests)[:4] == ["feature_set", "reference", "classifier", "metric"]
    numbers = ["estimate", "low", "high", "p_value", "p_holm"]
    assert list(found.tests)[4:] == [*numbers, "method", "reason"]
    head = ["sample", "repeat", "fold", "feature_set", "classifier", "y", "score"]
    assert list(found.predictions) == head
    assert list(found.redundancy)[:2] == ["feature_set", "method"]
    place = ["feature_set", "reference", "classifier"]
    assert list(found.added_information)[:4] == [*place, "method"]


def test_scores_are_those_of_the_predictions(found):
    for (name, repeat, fold), group in found.predictions.groupby(["feature_set", "repeat", "fold"]):
        s = found.scores
        row = s[(s["feature_set"] == name) & (s["repeat"] == repeat) & (s["fold"] == fold)]
        expected = row[row["metric"] == "roc_auc"]["score"].iloc[0]
        assert roc_auc_score(group["y"], group["score"]) == pytest.approx(expected)


def test_each_sample_is_predicted_once_a_repeat(found, cohort):
    counts = found.predictions.groupby(["feature_set", "sample"]).size()
    assert (counts == 2).all()
    assert set(found.predictions["sample"]) == set(cohort[0].index)


def test_weights_tell_the_blocks_apart(found):
    weights = found.weights[found.weights["feature_set"] == "HCR+DLR-MI"]
    assert set(weights[weights["block"] == "learned"]["feature"]) == {"dlr00", "dlr01", "dlr02"}
    strongest = weights.groupby("feature")["weight"].mean().abs().nlargest(2).index
    assert "dlr00" in strongest


def test_latents_are_those_of_the_held_out_rows(found, cohort):
    latents = found.latents["DLR-MI"]
    assert set(latents.index) == set(cohort[0].index)
    assert list(latents) == ["fold", "dlr00", "dlr01", "dlr02"]


def test_one_warning_of_each_kind_with_the_number_of_fits():
    texts = [
        "3 of 3 latents are collapsed (below 0.01): dlr00, dlr01, dlr02; lower beta",
        "2 of 3 latents are collapsed (below 0.01): dlr00, dlr02; lower beta",
        "overflow encountered in square",
    ]
    fits = [SimpleNamespace(warnings=[one]) for one in (*texts, texts[2])]
    found = warning_list(SimpleNamespace(messages=[], learned=fits[:2], fitted=fits[2:]))
    assert found == [
        f"{texts[0]} (2 fits, with other numbers in some)",
        f"{texts[2]} (2 fits)",
    ]
