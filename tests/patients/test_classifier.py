"""`LesionGraphClassifier`: what it learns, invariances, attention, persistence, bad input."""

from __future__ import annotations

import sys
from collections import Counter

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from patients_for_tests import make_cohort, make_graph, mixed, shuffled
from scipy.spatial.transform import Rotation
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import LesionTable
from nonredundant.nn import graph_regression, graph_training
from nonredundant.patients import LesionGraphClassifier, LesionPooling
from nonredundant.utils.validation import InvalidParameterError


@pytest.fixture(scope="module")
def fitted():
    """Return patients and a trained graph."""
    table, y = mixed()
    # Without held-out patients the branches are always kept.
    graph = make_graph(max_epochs=10, n_neighbors=2, lr=1e-2, validation_fraction=0)
    return table, y, graph.fit(table, y)


def test_classes_and_probabilities(fitted):
    table, y, graph = fitted
    assert graph.classes_.tolist() == ["free", "relapse"]
    proba = graph.predict_proba(table)
    assert proba.shape == (40, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(graph.predict(table), graph.classes_[proba.argmax(axis=1)])
    odds = np.log(proba[:, 1] / proba[:, 0])
    np.testing.assert_allclose(graph.decision_function(table), odds, rtol=1e-6)
    assert graph.history_.columns.tolist() == ["total"]


def test_three_classes():
    table, _ = mixed()
    y = np.arange(40) % 3
    graph = make_graph().fit(table, y)
    assert graph.decision_function(table).shape == (40, 3)
    np.testing.assert_allclose(graph.predict_proba(table).sum(axis=1), 1)


@pytest.mark.parametrize("effect", ["worst", "relation"])
def test_the_graph_learns_from_the_hottest_lesion_and_from_the_two_hottest(effect):
    counts = np.random.default_rng(1).integers(2, 9, size=200)
    table, y = make_cohort(counts, effect=effect)
    graph = make_graph(max_epochs=8).fit(table[:130], y[:130])
    test = table[130:]
    assert roc_auc_score(y[130:], graph.decision_function(test)) > 0.85
    weights = graph.explain(test).query("kind == 'lesion'").groupby("sample")["weight"]
    uptake = test.features["uptake"].groupby(level=0)
    same = weights.agg(np.argmax) == uptake.agg(np.argmax)
    assert same.mean() > 0.9
    # Pooling does not see how far apart they are.
    if effect == "relation":
        pooling = make_pipeline(
            LesionPooling(["mean", "max", "std"]), StandardScaler(), LogisticRegression()
        )
        pooling.fit(table[:130], y[:130])
        assert roc_auc_score(y[130:], pooling.decision_function(test)) < 0.7


def test_same_seed_same_bits(fitted):
    table, y, graph = fitted
    again = clone(graph).fit(table, y)
    np.testing.assert_array_equal(again.predict_proba(table), graph.predict_proba(table))
    pd.testing.assert_frame_equal(again.history_, graph.history_)
    other = clone(graph).set_params(random_state=1).fit(table, y)
    assert not np.array_equal(other.predict_proba(table), graph.predict_proba(table))


def test_fit_leaves_the_global_random_state_alone():
    table, y = mixed()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    make_graph().fit(table, y)
    assert torch.equal(torch.rand(2), expected)


def test_clone_and_parameters():
    graph = make_graph(edges="radius", radius=50.0, readout="max", class_weight="balanced")
    assert clone(graph).get_params() == graph.get_params()
    table, y = mixed()
    before = graph.get_params()
    assert graph.fit(table, y) is graph
    assert graph.get_params() == before


@pytest.mark.parametrize("readout", ["attention", "mean", "max"])
@pytest.mark.parametrize("edges", ["complete", "knn", "radius"])
def test_neither_order_nor_rigid_motion_matters(readout, edges):
    table, y = mixed()
    graph = make_graph(readout=readout, edges=edges, n_neighbors=2, radius=80.0, max_epochs=10)
    expected = graph.fit(table, y).predict_proba(table)
    assert np.ptp(expected[:, 0]) > 0.1
    turn = Rotation.from_euler("zyx", [40, 25, -70], degrees=True)
    moved = turn.apply(table.positions) + [300.0, -120.0, 45.0]
    for other in (shuffled(table), table.replace(positions=moved)):
        np.testing.assert_allclose(graph.predict_proba(other), expected, atol=1e-5)


def test_positions_matter_by_their_distances(fitted):
    table, _, graph = fitted
    wider = table.replace(positions=table.positions * 1.5)
    assert np.abs(graph.predict_proba(wider) - graph.predict_proba(table)).max() > 1e-3


@pytest.mark.parametrize("readout", ["attention", "mean", "max"])
def test_one_lesion_and_fifty_lesions_in_one_batch(readout):
    table, y = make_cohort([1, 50] * 8 + [2, 30])
    graph = make_graph(readout=readout, batch_size=18, max_epochs=5, validation_fraction=0)
    graph.fit(table, y)
    together = graph.predict_proba(table)
    alone = np.vstack([graph.predict_proba(table[[i]]) for i in range(len(table))])
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("clinical", ["cross-attention", "concat", "none"])
def test_clinical_variables_enter_the_prediction_unless_excluded(clinical):
    table, _ = mixed(60)
    age = table.features["age"].groupby(level=0).first()
    y = (age > age.median()).to_numpy()
    # On the training set: only whether the variable enters the prediction is tested.
    graph = make_graph(clinical=clinical, max_epochs=30, validation_fraction=0).fit(table, y)
    older = table.replace(features=table.features.assign(age=table.features["age"] + 15))
    changed = np.abs(graph.predict_proba(older) - graph.predict_proba(table)).max()
    if clinical == "none":
        assert changed == 0
        assert "clinical" not in set(graph.explain(table)["kind"])
    else:
        assert changed > 0.2
        assert roc_auc_score(y, graph.decision_function(table)) > 0.95


def test_missing_clinical_values_get_the_training_median():
    table, y = mixed()
    features = table.features.copy()
    unknown = np.isin(table.sample, [3, 17])
    features.loc[unknown, "age"] = np.nan
    holes = table.replace(features=features)
    with pytest.warns(UserWarning, match="2 missing values of 2 patients in 1 columns.*age"):
        graph = make_graph().fit(holes, y)
    known = features["age"].groupby(level=0).first().median()
    filled = holes.replace(features=features.fillna({"age": known}))
    np.testing.assert_array_equal(graph.predict_proba(holes), graph.predict_proba(filled))


def test_classes_with_more_weight_get_more_probability():
    table, y = mixed(60)
    means = [
        make_graph(class_weight=weight).fit(table, y).predict_proba(table)[:, 1]
        for weight in ({"free": 1, "relapse": 8}, None, {"free": 8, "relapse": 1})
    ]
    assert means[0].mean() > means[1].mean() + 0.1 > means[2].mean() + 0.2


def test_training_goes_back_to_the_best_epoch(monkeypatch):
    monkeypatch.setattr(graph_regression, "_CLEAR", -np.inf)  # the branches stay
    table, y = mixed(60, n_noise=20)
    graph = make_graph(max_epochs=60, patience=4, lr=0.05).fit(table, y)
    assert graph.history_.columns.tolist() == ["total", "valid_total"]
    assert len(graph.history_) < 60
    assert graph.history_["valid_total"].idxmin() == len(graph.history_) - 4
    best = make_graph(max_epochs=len(graph.history_) - 4, patience=None, lr=0.05).fit(table, y)
    np.testing.assert_array_equal(best.predict_proba(table), graph.predict_proba(table))


def test_net_params_override_the_defaults():
    table, y = mixed()
    graph = make_graph(net_params={"optimizer": torch.optim.SGD, "max_epochs": 2}).fit(table, y)
    assert isinstance(graph.net_.optimizer_, torch.optim.SGD)
    assert graph.history_.index.tolist() == [1, 2]


def test_rows_of_a_matrix_are_patients_with_one_lesion():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    y = X[:, 0] > 0
    graph = make_graph(max_epochs=20).fit(X, y)
    assert (graph.predict(X) == y).mean() > 0.9


# Attention ---------------------------------------------------------------------------------


def test_attention_sums_to_one(fitted):
    table, _, graph = fitted
    found = graph.explain(table)
    assert set(found["kind"]) == {"lesion", "edge", "message", "clinical"}
    counts = np.bincount(table.sample)
    several = table.index[counts > 1]
    for kind, patients in (("lesion", table.index), ("edge", several), ("clinical", table.index)):
        sums = found[found["kind"] == kind].groupby("sample")["weight"].sum()
        assert sorted(sums.index) == sorted(patients), kind
        np.testing.assert_allclose(sums, 1, atol=1e-5, err_msg=kind)
    messages = found.query("kind == 'message'").groupby(["sample", "lesion"])["weight"].sum()
    assert len(messages) == table.n_lesions
    np.testing.assert_allclose(messages, 1, atol=1e-5)
    assert found.loc[found["kind"] == "clinical", "variable"].unique().tolist() == ["age", "weight"]


def test_edges_of_the_explanation_have_their_length(fitted):
    table, _, graph = fitted
    row = graph.explain(table).query("kind == 'edge'").iloc[-1]
    places = table[[table.index.get_loc(row["sample"])]].positions
    expected = np.linalg.norm(places[row["lesion"]] - places[row["other"]])
    assert row["distance"] == pytest.approx(expected, rel=1e-6)


def test_no_patient_is_on_both_sides_of_the_inner_split(monkeypatch):
    seen = {"train": Counter(), "valid": Counter()}

    def spy(name, where):
        original = getattr(graph_training.GraphNet, name)

        def step(self, batch, **settings):
            seen[where].update(batch.nodes[:, 0].tolist())
            assert (torch.bincount(batch.patient) > 0).all()
            return original(self, batch, **settings)

        monkeypatch.setattr(graph_training.GraphNet, name, step)

    spy("train_step", "train")
    spy("validation_step", "valid")
    table, y = mixed()
    # The first feature of a lesion is the number of its patient.
    whose = pd.DataFrame({"whose": table.sample.astype(float)})
    lesions = LesionTable(whose, sample=table.sample, positions=table.positions)
    make_graph(max_epochs=1).fit(lesions, y)
    assert not set(seen["train"]) & set(seen["valid"])
    assert len(seen["train"]) == 32
    assert len(seen["valid"]) == 8
    counts = sorted([*seen["train"].values(), *seen["valid"].values()])
    assert counts == sorted(np.bincount(table.sample).tolist())


# Persistence -------------------------------------------------------------------------------


def test_a_saved_graph_predicts_the_same_bits(fitted, tmp_path):
    table, _, graph = fitted
    expected = graph.predict_proba(table)
    joblib.dump(graph, tmp_path / "graph.joblib")
    skops.io.dump(graph, tmp_path / "graph.skops")
    untrusted = skops.io.get_untrusted_types(file=tmp_path / "graph.skops")
    assert all(name.startswith("nonredundant.") for name in untrusted)
    for loaded in (
        joblib.load(tmp_path / "graph.joblib"),
        skops.io.load(tmp_path / "graph.skops", trusted=untrusted),
    ):
        np.testing.assert_array_equal(loaded.predict_proba(table), expected)
        pd.testing.assert_frame_equal(loaded.explain(table), graph.explain(table))
        pd.testing.assert_frame_equal(loaded.history_, graph.history_)


# Bad input ---------------------------------------------------------------------------------


def test_without_torch_geometric_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_geometric.nn", None)
    table, y = mixed()
    with pytest.raises(ImportError, match=r"LesionGraphClassifier needs.*nonredundant\[graph\]"):
        make_graph().fit(table, y)
    # Without rounds of graph attention there is no need of it.
    assert make_graph(n_layers=0).fit(table, y).predict_proba(table).shape == (40, 2)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"dropout": 1.0}, InvalidParameterError, "'dropout' parameter"),
        ({"edges": "all"}, InvalidParameterError, "'edges' parameter"),
        ({"clinical": "gate"}, InvalidParameterError, "'clinical' parameter"),
        ({"radius": 0.0}, InvalidParameterError, "'radius' parameter"),
        ({"hidden_size": 9}, ValueError, "hidden_size=9 must be a multiple of heads=2"),
        ({"lr": 1e30, "max_epochs": 20}, FloatingPointError, r"diverged.*epoch.*lower lr"),
    ],
)
def test_bad_parameters_are_named_and_leave_the_graph_unfitted(parameters, error, message):
    table, y = mixed()
    graph = make_graph(**parameters)
    with pytest.raises(error, match=message):
        graph.fit(table, y)
    with pytest.raises(NotFittedError):
        graph.predict(table)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (lambda y: y[:-1], "39 labels but there are 40 patients"),
        (lambda y: np.full(40, "free"), r"one class \(\['free'\]\) in 40 patients"),
        (lambda y: np.where(np.arange(40) < 3, np.nan, y == "free"), "3 missing labels"),
        (lambda y: None, "requires y to be passed"),
        (lambda y: np.arange(40) % 3 - 1, r"-1 in 14 of 40 samples, beside the labels \[0, 1\]"),
        (lambda y: np.linspace(0.1, 1, 40), "Unknown label type: continuous"),
    ],
)
def test_bad_labels_are_named(labels, message):
    table, y = mixed()
    with pytest.raises(ValueError, match=message):
        make_graph().fit(table, labels(y))


def test_minus_one_is_one_of_two_classes():
    table, _ = mixed()
    graph = make_graph(max_epochs=1).fit(table, np.arange(40) % 2 * 2 - 1)
    assert graph.classes_.tolist() == [-1, 1]


def test_bad_tables_are_named(fitted):
    table, y, graph = fitted
    with pytest.raises(ValueError, match="distances between lesions.*no positions"):
        make_graph().fit(table.replace(positions=None), y)
    lost = table.positions.copy()
    several = int(np.argmax(np.bincount(table.sample) > 1))
    lost[table.sample == several] = np.nan
    with pytest.raises(ValueError, match=f"no finite position: cases \\['p{several:03d}'\\]"):
        graph.predict(table.replace(positions=lost))
    differing = table.features.assign(age=np.arange(table.n_lesions))
    with pytest.raises(ValueError, match="one value per patient, but lesions of case"):
        make_graph().fit(table.replace(features=differing), y)
    with pytest.raises(ValueError, match=r"Missing: \['noise1'\]"):
        graph.predict(table.replace(features=table.features.drop(columns="noise1")))
    words = table.features.assign(noise0="high")
    with pytest.raises(ValueError, match="numbers.*'noise0'"):
        make_graph().fit(table.replace(features=words), y)
    infinite = table.features.assign(noise0=np.inf)
    with pytest.raises(ValueError, match="finite.*noise0"):
        make_graph().fit(table.replace(features=infinite), y)


def test_features_missing_in_all_patients_are_left_out_with_a_warning():
    table, y = mixed()
    empty = table.replace(features=table.features.assign(noise0=np.nan))
    with (
        pytest.warns(UserWarning, match="1 of 3 features are constant or empty.*noise0"),
        pytest.warns(UserWarning, match="missing values of 141 lesions in 1 columns.*noise0"),
    ):
        graph = make_graph().fit(empty, y)
    assert np.isfinite(graph.predict_proba(empty)).all()


def test_times_to_an_event_are_no_labels():
    y = np.array([(True, 1.0), (False, 2.0)] * 4, dtype=[("event", bool), ("time", float)])
    X = np.random.default_rng(0).normal(size=(8, 2))
    with pytest.raises(ValueError, match="as events and their times have.*LesionGraphSurvival"):
        LesionGraphClassifier(4).fit(X, y)
