"""Times to an event: the partial likelihood, phantoms and the graph of lesions.

scikit-learn's common checks draw labels and numbers as y and know no censored outcomes, so that
they do not apply; what of them has a meaning here is tested below.
"""

from __future__ import annotations

import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from scipy.special import expit, logit
from scores_for_tests import censored
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.linear_model.coxph import BreslowEstimator
from sksurv.metrics import concordance_index_censored
from sksurv.util import Surv

from nonredundant import LesionTable
from nonredundant.datasets import make_survival_times
from nonredundant.nn import graph_training
from nonredundant.nn.losses import cox_loss
from nonredundant.patients import LesionGraphSurvival
from nonredundant.statistics import concordance_index
from nonredundant.statistics.survival import check_survival
from nonredundant.utils.validation import InvalidParameterError


def loss(risk, event, time):
    """Return the loss of plain lists."""
    return cox_loss(
        torch.as_tensor(risk, dtype=torch.float64), torch.tensor(event), torch.tensor(time)
    ).item()


# The partial likelihood --------------------------------------------------------------------


def test_the_loss_of_three_patients_by_hand():
    a, b, c = np.exp([0.3, -1.0, 2.0])
    # The first event is a choice of all three, the second of the one who is left.
    expected = -np.log(a / (a + b + c)) / 2
    found = loss([0.3, -1.0, 2.0], [True, False, True], [1.0, 2.0, 3.0])
    assert found == pytest.approx(expected)
    # Censored at the time of an event counts as still under observation.
    found = loss([0.3, -1.0, 2.0], [False, True, True], [2.0, 2.0, 3.0])
    assert found == pytest.approx(-np.log(b / (a + b + c)) / 2)
    # Two events at once, half of both gone before the second: Efron.
    expected = -(np.log(a / (a + b + c)) + np.log(b / (a + b + c - (a + b) / 2))) / 2
    found = loss([0.3, -1.0, 2.0], [True, True, False], [1.0, 1.0, 4.0])
    assert found == pytest.approx(expected)


def test_efrons_ties_are_near_the_mean_over_orders():
    risk, event = [0.3, -0.4, 0.1, 0.0, 0.2, -0.1], [True] * 2 + [False] * 4
    one = loss(risk, event, [1.0, 1.1, 5.0, 5.0, 5.0, 5.0])
    other = loss(risk, event, [1.1, 1.0, 5.0, 5.0, 5.0, 5.0])
    tied = loss(risk, event, [1.0, 1.0, 5.0, 5.0, 5.0, 5.0])
    assert tied == pytest.approx((one + other) / 2, abs=2e-3)


@pytest.mark.parametrize("whole", [False, True])
def test_the_gradient_is_zero_where_scikit_survival_finds_the_optimum(whole):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3))
    _, event, time = censored(150, whole=whole)
    cox = CoxPHSurvivalAnalysis(ties="efron", tol=1e-12).fit(X, Surv.from_arrays(event, time))
    coefficients = torch.tensor(cox.coef_, requires_grad=True)
    risk = torch.from_numpy(X) @ coefficients
    cox_loss(risk, torch.from_numpy(event), torch.from_numpy(time)).backward()
    np.testing.assert_allclose(coefficients.grad, 0, atol=1e-6)


@pytest.mark.parametrize("whole", [False, True])
def test_the_loss_knows_neither_level_nor_order_nor_clock_and_survives_large_risks(whole):
    x, event, time = (torch.as_tensor(part) for part in censored(40, whole=whole))
    expected = cox_loss(x, event, time)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    for found in (
        cox_loss(x + 7, event, time),
        cox_loss(x[order], event[order], time[order]),
        cox_loss(x, event, time**3),
    ):
        torch.testing.assert_close(found, expected)
    far = (x.float() * 1000).requires_grad_()
    cox_loss(far, event, time).backward()
    assert torch.isfinite(far.grad).all()
    assert torch.autograd.gradcheck(lambda r: cox_loss(r, event, time), x.clone().requires_grad_())


def test_without_events_there_is_nothing_to_lose():
    risk = torch.ones(3, requires_grad=True)
    value = cox_loss(risk, torch.zeros(3, dtype=torch.bool), torch.arange(3.0))
    value.backward()
    assert value.item() == 0.0
    assert not risk.grad.any()


# Phantoms ----------------------------------------------------------------------------------


def test_phantoms_times_have_the_median_and_the_censoring_that_were_asked_for():
    n = 20_000
    for log_hazard in (0.0, 1.5):
        truth = pd.DataFrame({"probability": np.full(n, expit(log_hazard))})
        y = make_survival_times(truth, censoring=0.0, random_state=0)
        assert y["event"].all()
        # The standard error of a median of exponential times is its mean / sqrt(n): 1 %.
        assert np.median(y["time"]) == pytest.approx(24 / np.exp(log_hazard), rel=0.03)
    truth = pd.DataFrame({"probability": expit(np.random.default_rng(0).normal(0, 3, n))})
    for share in (0.1, 0.4, 0.8):
        y = make_survival_times(truth, censoring=share, random_state=0)
        assert 1 - y["event"].mean() == pytest.approx(share, abs=0.015)
    risk = logit(truth["probability"].to_numpy()[:1000])
    assert concordance_index(y["event"][:1000], y["time"][:1000], risk) > 0.8
    # Under proportional hazards the true risk has the coefficient 1.
    cox = CoxPHSurvivalAnalysis().fit(logit(truth.to_numpy()[:4000]), y[:4000])
    assert cox.coef_[0] == pytest.approx(1, abs=0.1)


def test_phantoms_times_are_seeded_and_bad_wishes_named():
    truth = pd.DataFrame({"probability": [0.2, 0.5, 0.9]})
    one, other = (make_survival_times(truth, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    for given, message in (
        ({"censoring": 1.0}, "censoring must be a share.*got 1.0"),
        ({"truth": truth.rename(columns={"probability": "p"})}, r"columns \['p'\]"),
        ({"truth": truth.round()}, "between 0 and 1, ends excluded"),
    ):
        with pytest.raises(ValueError, match=message):
            make_survival_times(**{"truth": truth, **given})


# The graph ---------------------------------------------------------------------------------


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
    """Return patients and a graph that no longer is where it started."""
    table, y = make_cohort()
    return table, y, make_graph(max_epochs=15).fit(table, y)


def test_the_graph_learns_who_has_the_event_first():
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


def test_a_data_frame_is_as_good_and_names_do_not_matter(fitted):
    table, y, graph = fitted
    frame = pd.DataFrame({"months": y["time"], "relapse": y["event"]}, index=table.index)
    again = clone(graph).fit(table, frame)
    np.testing.assert_array_equal(again.predict(table), graph.predict(table))
    assert again.score(table, frame) == graph.score(table, y)


def test_same_seed_same_bits_and_the_clock_does_not_matter(fitted):
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
    assert 0 <= graph.score(table, y) <= 1
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


def test_what_check_survival_returns_fits_scikit_survival():
    _, y = make_cohort()
    event, time = check_survival(y, 60)
    assert event.dtype == bool
    assert time.dtype == np.float64
    np.testing.assert_array_equal(Surv.from_arrays(event, time), y)
    whole = pd.DataFrame({"months": [3, 4], "relapse": pd.array([True, False], dtype="boolean")})
    assert check_survival(whole)[1].tolist() == [3.0, 4.0]
