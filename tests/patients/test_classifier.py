"""From lesions to patients: pooling by hand, the graph's invariances, attention and bad input."""

from __future__ import annotations

import sys
from collections import Counter

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from scipy.spatial.transform import Rotation
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import LesionTable
from nonredundant.lesions import edges as lesion_edges_module
from nonredundant.lesions.edges import lesion_edges
from nonredundant.nn import graph_regression, graph_training
from nonredundant.nn.batches import PatientDataset
from nonredundant.nn.graph import GraphBatch, LesionGraphNet
from nonredundant.nn.graph_regression import clearly_better
from nonredundant.patients import LesionGraphClassifier, LesionPooling
from nonredundant.patients.relevance import starting_relevance, unexplained
from nonredundant.utils.validation import InvalidParameterError


def make_cohort(counts, *, seed=0, effect="worst", n_noise=2):
    """Return patients with so many lesions each, whose label depends on the hottest ones."""
    rng = np.random.default_rng(seed)
    sample = np.repeat(np.arange(len(counts)), counts)
    uptake, positions = rng.exponential(size=len(sample)), rng.uniform(0, 200, (len(sample), 3))
    age = rng.normal(60, 10, size=len(counts))
    frame = pd.DataFrame({"uptake": uptake, "age": age[sample], "weight": 70.0 + sample % 7})
    frame[[f"noise{i}" for i in range(n_noise)]] = rng.normal(size=(len(sample), n_noise))
    told = []
    for i in range(len(counts)):
        hottest = np.flatnonzero(sample == i)[np.argsort(-uptake[sample == i])][:2]
        far = np.linalg.norm(positions[hottest[0]] - positions[hottest[-1]])
        told.append({"worst": uptake[hottest[0]], "relation": far}[effect])
    y = np.where(told > np.median(told), "relapse", "free")
    table = LesionTable(
        frame,
        blocks={"age": "clinical", "weight": "clinical"},
        sample=sample,
        positions=positions,
        index=[f"p{i:03d}" for i in range(len(counts))],
    )
    return table, y


def mixed(n=40, seed=0, **settings):
    counts = np.random.default_rng(seed).integers(1, 7, size=n)
    return make_cohort(counts, seed=seed, **settings)


def make_graph(**parameters):
    defaults = {"hidden_size": 8, "heads": 2, "max_epochs": 3, "random_state": 0, "device": "cpu"}
    return LesionGraphClassifier(**{**defaults, **parameters})


def shuffled(table, seed=0):
    """Return the table with the lesions of each patient in another order."""
    order = np.lexsort((np.random.default_rng(seed).random(table.n_lesions), table.sample))
    return table.replace(features=table.features.iloc[order], positions=table.positions[order])


@pytest.fixture(scope="module")
def fitted():
    """Return patients and a graph that no longer is where it started."""
    table, y = mixed()
    # Without patients held out the branches stay, whatever they are worth.
    graph = make_graph(max_epochs=10, n_neighbors=2, lr=1e-2, validation_fraction=0)
    return table, y, graph.fit(table, y)


# Pooling -----------------------------------------------------------------------------------


def three_lesions(**parts):
    frame = pd.DataFrame(
        {"volume": [1.0, 3.0, 5.0], "uptake": [8.0, 4.0, 6.0], "age": [50.0, 50.0, 70.0]}
    )
    arguments = {"sample": [0, 0, 1], "index": ["anna", "bert"], "blocks": {"age": "clinical"}}
    return LesionTable(parts.pop("frame", frame), **{**arguments, **parts})


@pytest.mark.parametrize(
    ("how", "anna", "bert"),
    [
        ("mean", [2.0, 6.0], [5.0, 6.0]),
        ("max", [3.0, 8.0], [5.0, 6.0]),
        ("min", [1.0, 4.0], [5.0, 6.0]),
        ("std", [1.0, 2.0], [0.0, 0.0]),
        ("sum", [4.0, 12.0], [5.0, 6.0]),
        ("largest", [3.0, 4.0], [5.0, 6.0]),
        ("volume", [(1 + 9) / 4, (8 + 12) / 4], [5.0, 6.0]),
    ],
)
def test_pooling_by_hand(how, anna, bert):
    table = three_lesions()
    pooled = LesionPooling(how).fit_transform(table)
    np.testing.assert_allclose(pooled, [[*anna, 50.0], [*bert, 70.0]])
    # One lesion each takes a shorter way through the code.
    np.testing.assert_allclose(LesionPooling(how).fit_transform(table[[1]]), [[*bert, 70.0]])


def test_a_list_stands_side_by_side_with_names_and_the_clinic_once():
    table = three_lesions()
    pooling = LesionPooling(["max", "sum"]).set_output(transform="pandas")
    frame = pooling.fit_transform(table)
    names = ["max__volume", "max__uptake", "sum__volume", "sum__uptake", "age"]
    assert frame.columns.tolist() == pooling.get_feature_names_out().tolist() == names
    assert frame.loc["anna"].tolist() == [3.0, 8.0, 4.0, 12.0, 50.0]
    pooled = pooling.pool(table)
    assert pooled.columns_of("clinical") == ["age"]
    assert pooled.index.tolist() == ["anna", "bert"]
    np.testing.assert_array_equal(np.asarray(pooled), frame)


def test_missing_values_do_not_count_and_all_missing_stays_missing():
    frame = three_lesions().features.reset_index(drop=True)
    frame["uptake"], frame["entropy"] = [np.nan, 4.0, 6.0], [np.nan, np.nan, 2.0]
    for how in ("mean", "max", "min", "sum", "largest", "volume"):
        pooled = (
            LesionPooling(how)
            .set_output(transform="pandas")
            .fit_transform(three_lesions(frame=frame))
        )
        assert pooled.loc["anna", f"{how}__uptake"] == 4.0, how
        assert np.isnan(pooled.loc["anna", f"{how}__entropy"]), how


def test_largest_lesions_that_tie_are_averaged():
    frame = three_lesions().features.reset_index(drop=True).assign(volume=2.0)
    pooled = LesionPooling("largest").fit_transform(three_lesions(frame=frame))
    np.testing.assert_allclose(pooled[:, 1], [6.0, 6.0])


def test_volumes_come_from_masks_and_spacing_or_from_a_named_column():
    masks = np.zeros((3, 1, 4, 4), dtype=bool)
    masks[0, 0, :2, :2], masks[1, 0, :2, :1], masks[2] = True, True, True
    frame = pd.DataFrame({"uptake": [8.0, 4.0, 6.0], "size": [1.0, 3.0, 5.0]})
    table = LesionTable(frame, sample=[0, 0, 1], masks=masks)
    assert LesionPooling("largest").fit_transform(table)[0, 0] == 8.0
    # Voxels of 8 mm² in the second lesion: 16 mm² against 4.
    spacing = np.array([[1.0, 1.0], [2.0, 4.0], [1.0, 1.0]])
    spaced = table.replace(spacing=spacing)
    assert LesionPooling("largest").fit_transform(spaced)[0, 0] == 4.0
    assert LesionPooling("volume").fit_transform(spaced)[0, 0] == (4 * 8 + 16 * 4) / 20
    by_name = LesionPooling("volume", volume_column="size").fit_transform(table)
    assert by_name[0, 0] == (1 * 8 + 3 * 4) / 4


@pytest.mark.parametrize("how", ["mean", "max", "min", "std", "sum", "largest", "volume"])
def test_pooling_does_not_depend_on_the_order_of_lesions(how):
    table, _ = mixed()
    pooling = LesionPooling(how, volume_column="uptake").fit(table)
    np.testing.assert_allclose(
        pooling.transform(shuffled(table)), pooling.transform(table), rtol=1e-12, atol=1e-12
    )


def test_pooling_works_in_a_pipeline():
    table, y = mixed(60)
    holes = table.features.copy()
    holes.iloc[::9, 0] = np.nan
    pipeline = make_pipeline(
        LesionPooling(["mean", "max"]), SimpleImputer(), StandardScaler(), LogisticRegression()
    )
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    auc = cross_val_score(
        pipeline, table.replace(features=holes), y, cv=folds, scoring="roc_auc", error_score="raise"
    )
    assert auc.mean() > 0.8


def test_a_matrix_is_one_lesion_a_patient():
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(LesionPooling("mean").fit_transform(matrix), matrix)


def test_a_saved_pooling_pools_the_same_bits(tmp_path):
    table, _ = mixed()
    pooling = LesionPooling(["max", "std"]).set_output(transform="pandas").fit(table)
    expected = pooling.transform(table)
    joblib.dump(pooling, tmp_path / "pooling.joblib")
    skops.io.dump(pooling, tmp_path / "pooling.skops")
    untrusted = skops.io.get_untrusted_types(file=tmp_path / "pooling.skops")
    assert all(name.startswith("nonredundant.") for name in untrusted)
    for loaded in (
        joblib.load(tmp_path / "pooling.joblib"),
        skops.io.load(tmp_path / "pooling.skops", trusted=untrusted),
    ):
        pd.testing.assert_frame_equal(loaded.transform(table), expected)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"how": "median"}, "The 'how' parameter"),
        ({"how": ["mean", "median"]}, "how must be one of mean, max.*median"),
        ({"how": []}, "how must be one of mean, max"),
        ({"how": "volume", "volume_column": "size"}, "volume_column='size' is not among"),
    ],
)
def test_bad_poolings_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        LesionPooling(**parameters).fit_transform(three_lesions())


def test_pooling_names_what_is_wrong_with_a_table():
    frame = pd.DataFrame({"uptake": [8.0, 4.0], "age": [50.0, 51.0]})
    with pytest.raises(ValueError, match="volumes of the lesions are not known"):
        LesionPooling("largest").fit_transform(LesionTable(frame, sample=[0, 0]))
    differing = LesionTable(frame, sample=[0, 0], blocks={"age": "clinical"}, index=["anna"])
    with pytest.raises(ValueError, match="case 'anna' have 'age' = 50 and 51"):
        LesionPooling().fit(differing)
    with pytest.raises(ValueError, match="numbers.*'stage'"):
        LesionPooling().fit(LesionTable(frame.assign(stage=["I", "II"])))
    other = LesionTable(frame.rename(columns={"uptake": "entropy"}))
    with pytest.raises(ValueError, match=r"Missing: \['uptake'\].*Unseen at fit: \['entropy'\]"):
        LesionPooling().fit(LesionTable(frame)).transform(other)
    with pytest.raises(NotFittedError):
        LesionPooling().transform(three_lesions())


# Edges -------------------------------------------------------------------------------------


def links(table, *arguments):
    """Return the edges between different lesions with their lengths in mm."""
    edges = lesion_edges(table, *arguments)
    found = zip(edges.source.tolist(), edges.target.tolist(), edges.distance, strict=True)
    return {(a, b): float(length) for a, b, length in found if a != b}


def test_edges_by_hand():
    # Four lesions on a line, then a patient with one, then one with two.
    along = np.array([0.0, 1.0, 3.0, 10.0, 4.0, 7.0, 9.0])
    table = LesionTable(
        pd.DataFrame({"uptake": along}),
        sample=[0, 0, 0, 0, 1, 2, 2],
        positions=np.column_stack([along, along * 0, along * 0]),
    )
    assert links(table, "knn", 1, 1.0) == {
        (1, 0): 1, (0, 1): 1, (1, 2): 2, (2, 3): 7, (6, 5): 2, (5, 6): 2
    }  # fmt: skip
    assert links(table, "radius", 1, 2.0) == {
        (1, 0): 1, (0, 1): 1, (1, 2): 2, (2, 1): 2, (6, 5): 2, (5, 6): 2
    }  # fmt: skip
    assert len(links(table, "complete", 1, 1.0)) == 4 * 3 + 2
    edges = lesion_edges(table, "complete", 1, 1.0)
    assert (edges.source == edges.target).sum() == 7
    assert edges.start.tolist() == [0, 16, 17, 21]


def test_neighbours_that_tie_are_all_kept():
    positions = np.array([[0.0, 0, 0], [5, 0, 0], [-5, 0, 0], [0, 9, 0]])
    table = LesionTable(pd.DataFrame({"uptake": range(4)}), sample=[0] * 4, positions=positions)
    assert {source for source, target in links(table, "knn", 1, 1.0) if target == 0} == {1, 2}


@pytest.mark.parametrize("kind", ["complete", "knn", "radius"])
def test_edges_are_the_same_in_small_portions(kind, monkeypatch):
    table, _ = mixed()
    whole = lesion_edges(table, kind, 2, 80.0)
    monkeypatch.setattr(lesion_edges_module, "MOST_PAIRS", 20)
    parts = lesion_edges(table, kind, 2, 80.0)
    for name in ("source", "target", "distance", "start"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


# The graph as a classifier -----------------------------------------------------------------


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
def test_clinical_variables_reach_the_prediction_unless_told_not_to(clinical):
    table, _ = mixed(60)
    age = table.features["age"].groupby(level=0).first()
    y = (age > age.median()).to_numpy()
    # Training set only: what is asked is whether the label can be read off at all.
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


def test_the_nets_own_settings_come_last():
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


def test_the_start_is_the_feature_that_tells_of_the_training_patients():
    rng = np.random.default_rng(0)
    table, y = make_cohort(rng.integers(2, 7, size=150), effect="worst")
    nodes = StandardScaler().fit_transform(table.hcr)
    edges = lesion_edges(table, "complete", 1, 1.0)
    targets = (y == "relapse")[:, None].astype(float)
    rows = np.arange(100)
    start = starting_relevance(nodes, table.sample, edges, targets, rows, 3.0)
    assert start.tolist() == [1.0, 0.0, 0.0]
    flipped = starting_relevance(-nodes, table.sample, edges, targets, rows, 3.0)
    assert flipped.tolist() == [-1.0, 0.0, 0.0]
    # What is held out has no say.
    nodes[table.sample >= 100, 1] = targets[table.sample[table.sample >= 100], 0] * 9
    targets[100:] = 1 - targets[100:]
    again = starting_relevance(nodes, table.sample, edges, targets, rows, 3.0)
    assert again.tolist() == start.tolist()
    targets[:100] = rng.permutation(targets[:100])
    assert not starting_relevance(nodes, table.sample, edges, targets, rows, 3.0).any()


def test_what_the_clinic_explains_is_gone_before_lesions_are_judged():
    clinic = np.array([[0.0], [1.0], [2.0], [3.0], [9.0]])
    straight = 2 - 3 * clinic
    rows = np.arange(4)
    np.testing.assert_allclose(unexplained(straight, clinic, rows), 0, atol=1e-12)
    # The fifth patient has no say in the line, and is measured against it.
    bent = straight + np.array([[1.0], [-1], [-1], [1], [5]])
    np.testing.assert_allclose(unexplained(bent, clinic, rows), bent - straight, atol=1e-12)


# Regression and branches -------------------------------------------------------------------


def test_features_without_meaning_get_no_say_in_which_lesion_matters():
    table, y = mixed(200, n_noise=12)
    graph = make_graph(max_epochs=1).fit(table, y)
    weights = graph.net_.module_.readout.own.weight[0].numpy()
    assert graph.lesion_scaler_.columns_[0] == "uptake"
    assert np.abs(weights[1:]).max() < 0.05 * weights[0]


def test_branches_that_find_nothing_add_nothing():
    table, y = mixed(60)
    y = np.random.default_rng(0).permutation(y)
    whole = make_graph(max_epochs=5).fit(table, y)
    bare = make_graph(max_epochs=5, n_layers=0, clinical="concat").fit(table, y)
    np.testing.assert_allclose(whole.predict_proba(table), bare.predict_proba(table), atol=1e-6)


def test_graph_attention_adds_what_no_regression_sees():
    rng = np.random.default_rng(0)
    table, _ = make_cohort(rng.integers(3, 9, size=300), n_noise=0)
    # The label: are there lesions within 90 mm of the hottest?
    crowd = []
    for i in range(300):
        places = table.positions[table.sample == i]
        uptake = table.features["uptake"].to_numpy()[table.sample == i]
        far = np.linalg.norm(places - places[uptake.argmax()], axis=1)
        crowd.append((far < 90).sum() - 1)
    y = np.asarray(crowd) >= np.median(crowd)
    auc = {}
    for n_layers in (0, 1):
        graph = make_graph(n_layers=n_layers, clinical="none", max_epochs=40, lr=1e-2, patience=10)
        graph.fit(table[:200], y[:200])
        auc[n_layers] = roc_auc_score(y[200:], graph.decision_function(table[200:]))
    assert auc[1] > auc[0] + 0.05


@pytest.mark.parametrize(("ratio", "expected"), [(1.9, False), (2.1, True), (-2.1, False)])
def test_branches_must_gain_two_standard_errors(ratio, expected):
    # For a mean of losses the jackknife's error is the standard error of the mean.
    gains = np.random.default_rng(0).normal(size=30)
    gains += ratio * gains.std(ddof=1) / np.sqrt(30) - gains.mean()
    losses = torch.as_tensor(gains)
    assert clearly_better(-losses, 0 * losses, losses, lambda out, _: out.mean()) is expected


# The network -------------------------------------------------------------------------------


@pytest.mark.parametrize("readout", ["attention", "mean", "max"])
@pytest.mark.parametrize("clinical", ["cross-attention", "concat"])
def test_gradients_are_those_of_finite_differences(readout, clinical):
    torch.manual_seed(0)
    net = LesionGraphNet(
        3, 2, 2, hidden_size=4, n_layers=1, heads=2, clinical=clinical, readout=readout, dropout=0.0
    ).double()
    for parameter in net.parameters():  # branches start from zero, where much has no gradient
        torch.nn.init.normal_(parameter, std=0.5)
    table, _ = make_cohort([1, 3, 2])
    edges = lesion_edges(table, "complete", 1, 1.0)
    parts = [torch.as_tensor(part) for part in (table.sample, edges.source, edges.target)]
    nodes = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    clinic = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    far = torch.as_tensor(edges.distance / 100).double().requires_grad_()

    def logits(nodes, clinic, far, *_):
        return net(GraphBatch(clinic, nodes, *parts, far, torch.zeros(3))).logits

    inputs = (nodes, clinic, far, *net.parameters())
    assert torch.autograd.gradcheck(logits, inputs, atol=1e-6, fast_mode=True)


def test_patients_never_straddle_the_inner_split(monkeypatch):
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
    # A lesion's first feature says whose it is.
    whose = pd.DataFrame({"whose": table.sample.astype(float)})
    lesions = LesionTable(whose, sample=table.sample, positions=table.positions)
    make_graph(max_epochs=1).fit(lesions, y)
    assert not set(seen["train"]) & set(seen["valid"])
    assert len(seen["train"]) == 32
    assert len(seen["valid"]) == 8
    counts = sorted([*seen["train"].values(), *seen["valid"].values()])
    assert counts == sorted(np.bincount(table.sample).tolist())


def test_a_batch_holds_the_lesions_and_edges_of_its_patients():
    table, y = make_cohort([4] * 6)
    edges = lesion_edges(table, "complete", 1, 1.0)
    nodes, clinic = table.hcr.to_numpy(), np.zeros((6, 1))
    dataset = PatientDataset(nodes, clinic, table.sample, edges, np.arange(6), np.arange(6))
    batch = dataset.__getitems__([4, 1])
    assert batch.label.tolist() == [4, 1]
    rows = [*range(16, 20), *range(4, 8)]
    np.testing.assert_array_equal(batch.nodes, nodes[rows])
    assert batch.patient.tolist() == [0] * 4 + [1] * 4
    far = np.linalg.norm(
        table.positions[rows][batch.source] - table.positions[rows][batch.target], axis=1
    )
    np.testing.assert_allclose(batch.distance, far, rtol=1e-6)


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
        (lambda y: np.linspace(0.1, 1, 40), "Unknown label type: continuous"),
    ],
)
def test_bad_labels_are_named(labels, message):
    table, y = mixed()
    with pytest.raises(ValueError, match=message):
        make_graph().fit(table, labels(y))


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
