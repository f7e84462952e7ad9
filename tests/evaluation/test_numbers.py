"""A continuous outcome: read as numbers where the scoring asks for them, compared and reported."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold

from nonredundant import LesionTable, NonRedundantCVAE, compare_feature_sets
from nonredundant.classifiers.builtin import grid_of
from nonredundant.folds.outcome import read_outcome


def cohort(n=80, *, gain=1.0, seed=0):
    """Return known and given deep features, and a number that is a sum of the first of both."""
    rng = np.random.default_rng(seed)
    h, e = rng.normal(size=(n, 3)), rng.normal(size=(n, 5))
    y = h[:, 0] + gain * e[:, 0] + 0.5 * rng.normal(size=n)
    embedding = pd.DataFrame(e).add_prefix("e")
    return LesionTable(pd.DataFrame(h).add_prefix("h"), embeddings={"Net": embedding}), y


def compare(X, y, **settings):
    """Compare by ridge regression without what is not looked at."""
    options = {
        "feature_sets": ["HCR", "HCR+Net-MI"],
        "scoring": ["r2", "spearman"],
        "classifiers": "Ridge",
        "baselines": False,
        "controls": False,
        "audit": False,
        "n_repeats": 1,
        "random_state": 0,
    }
    return compare_feature_sets(X, y, **(options | settings))


@pytest.fixture(scope="module")
def found():
    """Return a comparison where the deep features hold half of what can be known."""
    return compare(*cohort())


def test_scores_are_those_of_the_predictions(found):
    own = found.predictions[found.predictions["feature_set"] == "HCR+Net-MI"]
    for (_, fold), rows in own.groupby(["repeat", "fold"]):
        scores = found.scores[
            (found.scores["feature_set"] == "HCR+Net-MI") & (found.scores["fold"] == fold)
        ].set_index("metric")["score"]
        assert scores["r2"] == pytest.approx(r2_score(rows["y"], rows["score"]))
        assert scores["spearman"] == pytest.approx(spearmanr(rows["y"], rows["score"]).statistic)


def test_a_gain_is_found_and_told(found):
    test = found.tests.set_index("metric").loc["r2"]
    # Half of the variance that is not noise.
    assert test["estimate"] == pytest.approx(1 / 2.25, abs=0.15)
    assert test["p_value"] < 0.001
    assert test["low"] > 0
    assert test["method"] == "influence curve"
    assert (found.added_information["p_value"] < 0.05).all()
    assert "predicts better than HCR: R² 0." in found.answer()


def test_noise_and_shuffled_outcomes_are_no_gain():
    X, y = cohort(gain=0.0)
    assert "No gain" in compare(X, y).answer()
    rng = np.random.default_rng(1)
    shuffled = compare(*cohort()[:1], rng.permutation(y))
    best = shuffled.summary.query("metric == 'r2'")["mean"].max()
    assert best < 0.1
    assert "No gain" in shuffled.answer()


def test_held_out_samples_are_resampled_all_together(found):
    X, y = cohort()
    held, truth = cohort(60, seed=1)
    tested = compare(X, y, test=(held, truth))
    row = tested.tests.set_index("metric").loc["r2"]
    assert row["method"] == "paired bootstrap"
    assert 0 < row["low"] < row["estimate"] < row["high"]
    low, high = tested.summary.query("metric == 'r2'")[["low", "high"]].iloc[1]
    assert 0.5 < low < high <= 1


def test_whole_numbers_are_numbers_if_the_scoring_says_so():
    X, y = cohort()
    ranks = np.round(2 * y)
    assert len(np.unique(ranks)) < 20
    few = compare(X, ranks, controls=True)
    assert few.settings.kind == "numbers"
    assert few.settings.classes == []
    assert (few.added_information["p_value"] < 0.05).all()
    assert set(few.controls["n_draws"]) == {10}


def test_report_and_text(found, tmp_path):
    found.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Predicted numbers" in page
    assert "ROC curves" not in page
    assert "Harrell" not in page
    assert "event" not in found.methods_text()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["1.5", "two", *["3"] * 6], "'two' at position 1, and the scoring asks for numbers"),
        ([2.0] * 8, "y is 2 in all 8 samples"),
        (pd.DataFrame({"event": [True] * 8, "time": range(8)}), "events and times"),
        ([1.0, np.inf, *range(6)], "infinite"),
        ([1.0, np.nan, *range(6)], "no label for 1 samples"),
    ],
)
def test_what_is_no_number(y, message):
    with pytest.raises(ValueError, match=message):
        read_outcome(y, None, 8, 0, continuous=True)


def test_minus_one_is_a_number():
    assert read_outcome([-1, 0, 1, 2], None, 4, 0, continuous=True).y[0] == -1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scoring": ["r2", "roc_auc"]}, "not by \\['roc_auc'\\]"),
        ({"classifiers": "LR"}, "unknown classifier 'LR'"),
        ({"classifiers": {"mine": LogisticRegression()}}, "'mine' predicts classes"),
        ({"class_weight": "balanced"}, "weighs classes, and y holds numbers"),
        ({"sampler": "smote"}, "not numbers"),
        ({"experiment": "vetil2023"}, "about classes, not numbers"),
        ({"scoring": "roc_auc"}, "80 different values"),
    ],
)
def test_what_does_not_go_with_numbers(settings, message):
    with pytest.raises(ValueError, match=message):
        compare(*cohort(), **settings)


def test_graphs_and_label_terms_are_of_classes():
    X, y = cohort()
    with pytest.raises(TypeError, match="not numbers: pool the lesions"):
        compare(X, y, patients="graph")
    table = X.replace(patches=np.zeros((80, 1, 8, 8), dtype=np.float32))
    with pytest.raises(ValueError, match="y holds numbers: set gamma=0"):
        compare(table, y, feature_sets=["HCR", "HCR+DLR-MI"], cvae=NonRedundantCVAE(gamma=1.0))


def test_a_fold_of_equal_numbers_ranks_nothing():
    X, _ = cohort(40)
    counts = np.where(np.arange(40) % 7 == 0, np.arange(40.0), 0.0)
    found = compare(X, counts, feature_sets=["HCR"], scoring="spearman", cv=5)
    assert found.summary["mean"].notna().all()


def test_forests_of_numbers_have_no_weight_of_a_block():
    assert grid_of("RFR", learned=True) == grid_of("RF", learned=True) == [{}]


def test_folds_of_numbers_need_not_have_every_quarter():
    X, y = cohort(48)
    found = compare(X, y, feature_sets=["HCR"], cv=KFold(8))
    assert found.scores["score"].notna().all()
