"""`LesionGraphSurvival`: what it learns, functions of time, invariances, bad input.

The common checks of scikit-learn have no censored outcomes and do not apply; those that have a
meaning here are tested below.
"""

from __future__ import annotations

import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from scores_for_tests import censored
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sksurv.linear_model.coxph import BreslowEstimator
from sksurv.metrics import concordance_index_censored
from sksurv.util import Surv

from nonredundant import LesionTable
from nonredundant.nn import graph_training
from nonredundant.patients import LesionGraphSurvival
from nonredundant.utils.validation import InvalidParameterError


def make_cohort(n=60, *, seed=0, n_noise=2):
    """Return patients with one to six lesions; the hotter the hottest, the earlier the event."""
    rng = np.random.default_rng(seed)
    sample = np.repeat(np.arange(n), rng.integers(1, 7, size=n))
    uptake = rng.exponential(size=len(sample))
    age = rng.normal(60, 10, size=n)
    frame = pd.DataFrame({"uptake": uptake, "age": age[sample]})
    frame[[f"noise{i}" for i in range(n_noise)]] = rng.normal(size=(len(sample), n_noise))
    hottest = pd.Series(uptake).groupby(sample).max().to_numpy()
    rate = np.exp(2 * (hottest - hottest.mean()) / hottest.std())
    time, limit = rng.exponential(12 / rate), rng.exponential(24, size=n)
    table = LesionTable(
        frame,
        blocks={"age": "clinical"},
        sample=sample,
        positions=rng.uniform(0, 200, (len(sample), 3)),
        index=[f"p{i:03d}" for i in range(n)],
    )
    return table, Surv.from_arrays(time <= limit, np.minimum(time, limit))


def make_graph(**parameters):
    defaults = {"hidden_size": 8, "heads": 2, "max_epochs": 3, "random_state": 0, "device": "cpu"}
    return LesionGraphSurvival(**{**defaults, **parameters})


@pytest.fixture(scope="module")
def fitted():
    """Return patients and a trained graph."""
    table, y = make_cohort()
    return table, y, make_graph(max_epochs=15).fit(table, y)


def test_the_graph_learns_the_order_of_events():
    table, y = make_cohort(240)
    graph = make_graph(max_epochs=25, validation_fraction=0, batch_size=32, n_layers=0)
    graph.fit(table[:160], y[:160])
    assert graph.score(table[160:], y[160:]) > 0.75
    weights = graph.explain(table[160:]).query("kind == 'lesion'")
    top = weights.groupby("sample")["weight"].agg(np.argmax)
    hottest = table[160:].features["uptake"].groupby(level=0).agg(np.argmax)
    assert (top == hottest).mean() > 0.9


def test_functions_of_time_follow_scikit_survival(fitted):
    table, y, graph = fitted
    risk = graph.predict(table)
    breslow = BreslowEstimator().fit(risk, y["event"], y["time"])
    for mine, theirs in (
        (graph.predict_cumulative_hazard_function, breslow.get_cumulative_hazard_function),
        (graph.predict_survival_function, breslow.get_survival_function),
    ):
        values, functions, expected = mine(table, return_array=True), mine(table), theirs(risk)
        assert values.shape == (60, len(graph.unique_times_))
        np.testing.assert_array_equal(graph.unique_times_, np.unique(y["time"]))
        for i in (0, 59):
            np.testing.assert_allclose(values[i], expected[i](expected[i].x), rtol=1e-6)
            np.testing.assert_array_equal(functions[i](functions[i].x), values[i])
    # As many events are expected of the training patients as were seen.
    cumulative = graph.predict_cumulative_hazard_function(table, return_array=True)
    at = np.searchsorted(graph.unique_times_, y["time"])
    assert cumulative[np.arange(60), at].sum() == pytest.approx(y["event"].sum())


def test_risks_are_centred_and_scored_by_concordance(fitted):
    table, y, graph = fitted
    risk = graph.predict(table)
    assert risk.shape == (60,)
    assert risk.mean() == pytest.approx(0, abs=1e-6)
    expected = concordance_index_censored(y["event"], y["time"], risk)[0]
    assert graph.score(table, y) == pytest.approx(expected)
    assert graph.history_.columns.tolist() == ["total", "valid_total"]


def test_a_data_frame_gives_the_same_as_an_array_whatever_its_names(fitted):
    table, y, graph = fitted
    frame = pd.DataFrame({"months": y["time"], "relapse": y["event"]}, index=table.index)
    again = clone(graph).fit(table, frame)
    np.testing.assert_array_equal(again.predict(table), graph.predict(table))
    assert again.score(table, frame) == graph.score(table, y)


def test_same_seed_same_bits_in_any_unit_of_time(fitted):
    table, y, graph = fitted
    again = clone(graph).fit(table, y)
    np.testing.assert_array_equal(again.predict(table), graph.predict(table))
    in_days = y.copy()
    in_days["time"] *= 32  # exact in binary
    again = clone(graph).fit(table, in_days)
    np.testing.assert_array_equal(again.predict(table), graph.predict(table))
    np.testing.assert_array_equal(again.unique_times_, graph.unique_times_ * 32)
    other = clone(graph).set_params(random_state=1).fit(table, y)
    assert not np.array_equal(other.predict(table), graph.predict(table))


def test_neither_order_of_lesions_nor_place_matters(fitted):
    table, _, graph = fitted
    expected = graph.predict(table)
    assert np.ptp(expected) > 0.1
    order = np.lexsort((np.random.default_rng(0).random(table.n_lesions), table.sample))
    mixed = table.replace(features=table.features.iloc[order], positions=table.positions[order])
    moved = table.replace(positions=table.positions[:, ::-1] + [300.0, -120.0, 45.0])
    for other in (mixed, moved):
        np.testing.assert_allclose(graph.predict(other), expected, atol=1e-5)


def test_batches_are_even_and_the_held_out_are_judged_together(monkeypatch):
    sizes = {"train_step": [], "validation_step": []}
    for name, seen in sizes.items():
        original = getattr(graph_training.GraphNet, name)

        def step(self, batch, original=original, seen=seen, **settings):
            seen.append(batch.label.numpy())
            return original(self, batch, **settings)

        monkeypatch.setattr(graph_training.GraphNet, name, step)
    table, y = make_cohort(60)
    make_graph(max_epochs=1, batch_size=46).fit(table, y)
    trained, held = sizes["train_step"], sizes["validation_step"]
    assert [len(label) for label in trained] == [24, 24]
    assert len(held) == 1
    # The same share of those with and without an event.
    assert held[0][:, 0].sum() == round(0.2 * y["event"].sum())
    assert not set(held[0][:, 1]) & set(np.concatenate(trained)[:, 1])


def test_a_matrix_in_cross_validation():
    x, event, time = censored(90, effect=2.0)
    X = np.column_stack([x, np.random.default_rng(0).normal(size=90)])
    graph = make_graph(max_epochs=20, validation_fraction=0, n_layers=0)
    scores = cross_val_score(graph, X, Surv.from_arrays(event, time), cv=3, error_score="raise")
    assert scores.mean() > 0.75


def test_a_saved_graph_predicts_the_same_bits(fitted, tmp_path):
    table, y, graph = fitted
    joblib.dump(graph, tmp_path / "graph.joblib")
    skops.io.dump(graph, tmp_path / "graph.skops")
    untrusted = skops.io.get_untrusted_types(file=tmp_path / "graph.skops")
    assert all(name.startswith("nonredundant.") for name in untrusted)
    for loaded in (
        joblib.load(tmp_path / "graph.joblib"),
        skops.io.load(tmp_path / "graph.skops", trusted=untrusted),
    ):
        np.testing.assert_array_equal(loaded.predict(table), graph.predict(table))
        np.testing.assert_array_equal(
            loaded.predict_survival_function(table, return_array=True),
            graph.predict_survival_function(table, return_array=True),
        )
        pd.testing.assert_frame_equal(loaded.explain(table), graph.explain(table))
        pd.testing.assert_frame_equal(loaded.history_, graph.history_)


def test_without_scikit_survival_only_functions_of_time_are_missing(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "sksurv"]:
        monkeypatch.setitem(sys.modules, name, None)
    table, y = make_cohort()
    graph = make_graph().fit(table, y)
    expected = concordance_index_censored(y["event"], y["time"], graph.predict(table))[0]
    assert graph.score(table, y) == pytest.approx(expected)
    assert graph.predict_survival_function(table, return_array=True).shape[0] == 60
    with pytest.raises(ImportError, match=r"return_array=False.*nonredundant\[survival\]"):
        graph.predict_survival_function(table)


# Bad input ---------------------------------------------------------------------------------


def with_time(value):
    def change(y):
        y["time"][[3, 5]] = value
        return y

    return change


def as_frame(y, **columns):
    return pd.DataFrame({"event": y["event"], "time": y["time"]} | columns)


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (lambda y: None, "structured array.*Surv.from_arrays.*got NoneType"),
        (lambda y: y["time"], r"structured array.*got an array of float64 of shape \(60,\)"),
        (lambda y: list(y["time"]), "structured array.*got list"),
        (lambda y: y[:-1], "y has 59 times but there are 60 patients"),
        (with_time(-1.0), "2 of 60 are not: the first is -1 in row 3"),
        (with_time(0.0), "2 of 60 are not: the first is 0 in row 3"),
        (with_time(np.nan), "2 of 60 are not: the first is nan in row 3"),
        (with_time(np.inf), "2 of 60 are not: the first is inf in row 3"),
        (lambda y: as_frame(y, event=False), "none of the 60 patients had the event"),
        (lambda y: as_frame(y, event=y["event"] * 1), r"'event' \(int64\).*0 and 1.*astype"),
        (lambda y: as_frame(y, age=1.0), r"two such columns; got.*'age' \(float64\)"),
        (lambda y: as_frame(y, time="late"), "got 'event'.*'time'"),
        (lambda y: as_frame(y, time=y["event"]), r"'time' \(bool\)"),
        (lambda y: as_frame(y, event=pd.array([None] + [True] * 59, dtype="boolean")),
         "1 of 60 events are missing"),
    ],
)  # fmt: skip
def test_bad_outcomes_are_named(outcome, message):
    table, y = make_cohort()
    graph = make_graph()
    with pytest.raises(ValueError, match=message):
        graph.fit(table, outcome(y))
    with pytest.raises(NotFittedError):
        graph.predict(table)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"batch_size": 1}, InvalidParameterError, "'batch_size' parameter"),
        ({"readout": "sum"}, InvalidParameterError, "'readout' parameter"),
        ({"hidden_size": 9}, ValueError, "hidden_size=9 must be a multiple of heads=2"),
        ({"validation_fraction": 0.001}, ValueError, "events, validation_fraction=0.001 holds out"),
        ({"lr": 1e30, "max_epochs": 20}, FloatingPointError, r"diverged.*epoch.*lower lr"),
    ],
)
def test_bad_parameters_are_named_and_leave_the_graph_unfitted(parameters, error, message):
    table, y = make_cohort()
    graph = make_graph(**parameters)
    with pytest.raises(error, match=message):
        graph.fit(table, y)
    for method in (graph.predict, graph.predict_survival_function, graph.explain):
        with pytest.raises(NotFittedError):
            method(table)
