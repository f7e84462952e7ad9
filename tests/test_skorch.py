"""skorch's own callbacks, warm start and options through `net_params`."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch
from estimators_for_tests import make_cohort
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    LoadInitState,
    LRScheduler,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    TensorBoard,
)
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from nonredundant import NonRedundantCVAE
from nonredundant.contrastive import SepVAE
from nonredundant.patients import LesionGraphClassifier, LesionGraphSurvival, LesionPooling
from nonredundant.utils.validation import InvalidParameterError

#: The VAE family holds rows out by an option, graphs by a parameter.
MODELS = {
    "NonRedundantCVAE": (NonRedundantCVAE(2), {"validation_fraction": 0.25}),
    "SepVAE": (SepVAE(2, 2), {"validation_fraction": 0.25}),
    "LesionGraphClassifier": (LesionGraphClassifier(4, heads=2), {}),
}
#: Norms that `GradientNorms` noted; a fit works on a copy of the callback.
norms = []
each_model = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(scope="module")
def cohort():
    return make_cohort()


def make_model(name, *callbacks, max_epochs=6, **options):
    model, held_out = MODELS[name]
    options = {**held_out, **options, "callbacks": list(callbacks)}
    return clone(model).set_params(
        max_epochs=max_epochs, random_state=0, device="cpu", net_params=options
    )


@each_model
@pytest.mark.parametrize("monitor", ["valid_loss", "valid_total", "train_loss", "total"])
def test_early_stopping_monitors_the_loss_by_either_name(name, monitor, cohort):
    stop = EarlyStopping(monitor=monitor, patience=2, threshold=10.0)
    assert len(make_model(name, stop).fit(*cohort).history_) == 3


@each_model
def test_a_checkpoint_keeps_the_best_weights_of_held_out_rows(name, cohort, tmp_path):
    # At this rate the training diverges from its best epoch.
    checkpoint = Checkpoint(dirname=tmp_path, load_best=True)
    model = make_model(name, checkpoint, max_epochs=8).set_params(lr=0.05).fit(*cohort)
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    best = int(model.history_["valid_total"].to_numpy().argmin())
    flags = model.net_.history[:, "valid_loss_best"]
    assert flags[best]
    assert not any(flags[best + 1 :])
    if name != "LesionGraphClassifier":  # which fits its last layer to all patients at the end
        for key, value in model.net_.module_.state_dict().items():
            torch.testing.assert_close(saved[key], value)


@each_model
def test_training_goes_on_from_a_checkpoint(name, cohort, tmp_path):
    checkpoint = Checkpoint(dirname=tmp_path, monitor=None)
    make_model(name, checkpoint, max_epochs=3).fit(*cohort)
    again = make_model(name, checkpoint, LoadInitState(checkpoint), max_epochs=2).fit(*cohort)
    assert len(again.history_) == 5


@each_model
def test_a_schedule_of_the_user_takes_the_place_of_the_default(name, cohort):
    steps = LRScheduler(StepLR, step_size=2, gamma=0.1)
    rates = make_model(name, steps).set_params(lr=0.01).fit(*cohort).net_.history[:, "event_lr"]
    np.testing.assert_allclose(rates, [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4])
    plateau = LRScheduler(ReduceLROnPlateau, patience=0, factor=0.5, threshold=10.0)
    rates = make_model(name, plateau).set_params(lr=0.01).fit(*cohort).net_.history[:, "event_lr"]
    assert rates[-1] < rates[0] == pytest.approx(0.01)


def test_two_schedules_are_a_question(cohort):
    model = make_model("NonRedundantCVAE", LRScheduler(StepLR, step_size=2), lr_schedule="cosine")
    with pytest.raises(InvalidParameterError, match="both lr_schedule='cosine' and a callback"):
        model.fit(*cohort)


def test_scores_of_an_epoch_are_those_of_the_held_out_patients(cohort):
    table, y = cohort
    seen = []

    def count(net, dataset, labels):
        seen.append(len(labels))
        return float(len(net.predict(dataset)))

    scores = [
        EpochScoring("accuracy", name="accuracy", lower_is_better=False),
        EpochScoring("roc_auc", name="auc", lower_is_better=False, use_caching=False),
        EpochScoring(count, name="held"),
        EpochScoring(count, name="trained", on_train=True),
    ]
    model = make_model("LesionGraphClassifier", *scores[:1], *scores[2:]).fit(table, y)
    history = model.net_.history
    n_held = 6  # a fifth of each class of 16
    assert set(history[:, "held"]) == {n_held}
    assert set(history[:, "trained"]) == {32 - n_held}
    assert all(0 <= value <= 1 for value in history[:, "accuracy"])
    assert set(seen) == {n_held, 32 - n_held}


@pytest.mark.parametrize("name", ["NonRedundantCVAE", "SepVAE"])
def test_scores_of_an_epoch_see_latents_and_labels(name, cohort):
    def mean_square(net, dataset, labels):
        return float((net.predict(dataset) ** 2).mean())

    def n_labels(net, dataset, labels):
        assert len(net.predict(dataset)) == len(labels)
        return len(labels)

    callbacks = [
        EpochScoring(n_labels, name="cached"),
        EpochScoring(mean_square, name="computed", use_caching=False),
        BatchScoring(n_labels, name="batch"),
        PassthroughScoring("train_total", on_train=True),
    ]
    history = make_model(name, *callbacks).fit(*cohort).net_.history
    assert np.isfinite(history[:, ["cached", "computed", "batch"]]).all()
    np.testing.assert_allclose(history[:, "train_total"], history[:, "total"], rtol=1e-6)


@each_model
def test_progress_and_log_are_written(name, cohort, capsys):
    lines = []
    log = io.StringIO()
    callbacks = [ProgressBar(detect_notebook=False), EpochTimer(), PrintLog(sink=lines.append)]
    with redirect_stdout(log):
        make_model(name, *callbacks, max_epochs=2).fit(*cohort)
    assert "valid_total" in lines[0]
    assert "%|" in capsys.readouterr().err


def test_a_verbose_training_prints_each_number_once(cohort, capsys):
    make_model("NonRedundantCVAE", max_epochs=2).set_params(verbose=1).fit(*cohort)
    head = capsys.readouterr().out.splitlines()[0].split()
    assert "total" in head
    assert "valid_total" in head
    assert not {"train_loss", "valid_loss"} & set(head)


class GradientNorms(Callback):
    """Note the norm of all gradients at each step, after the callbacks before this one."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        gradients = [p.grad.flatten() for _, p in named_parameters if p.grad is not None]
        norms.append(float(torch.linalg.vector_norm(torch.cat(gradients))))


@each_model
def test_gradients_are_clipped(name, cohort):
    norms.clear()
    make_model(name, GradientNorms(), max_epochs=2).fit(*cohort)
    assert min(norms) > 1e-3
    norms.clear()
    make_model(name, GradientNormClipping(1e-3), GradientNorms(), max_epochs=2).fit(*cohort)
    np.testing.assert_allclose(norms, 1e-3, rtol=1e-3)


@each_model
def test_a_training_with_all_layers_frozen_has_no_gradient(name, cohort):
    with pytest.raises(RuntimeError, match="grad"):
        make_model(name, Freezer("*"), max_epochs=2).fit(*cohort)


@each_model
def test_tensorboard_gets_every_epoch(name, cohort):
    class Writer:
        """Has the two methods of a summary writer that the callback calls."""

        def __init__(self):
            self.tags = []

        def add_scalar(self, tag, scalar_value, global_step):
            """Store the tag."""
            self.tags.append((tag, global_step))

        def close(self):
            """Do nothing."""

    writer = Writer()
    make_model(name, TensorBoard(writer), max_epochs=3).fit(*cohort)
    assert [step for tag, step in writer.tags if tag == "Loss/valid_loss"] == [1, 2, 3]


def test_a_grid_search_fits_each_candidate_with_callbacks_of_its_own(cohort):
    table, y = cohort
    stop = EarlyStopping(patience=1, threshold=10.0)
    pipeline = make_pipeline(
        make_model("NonRedundantCVAE", stop), LesionPooling(), LogisticRegression()
    )
    grid = {"nonredundantcvae__dlr_size": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(table, y)
    assert len(search.best_estimator_[0].history_) == 2
    assert stop.dynamic_threshold_ is None


def test_warm_start_continues_where_epochs_are_all_of_the_training(cohort):
    table, y = cohort
    once = make_model("NonRedundantCVAE", max_epochs=2, lr_schedule="constant").fit(table, y)
    twice = make_model(
        "NonRedundantCVAE", max_epochs=1, lr_schedule="constant", warm_start=True
    ).fit(table, y)
    first = twice.history_["total"].iloc[0]
    twice.fit(table, y)
    assert len(twice.history_) == 2
    assert twice.history_["total"].iloc[0] == first
    assert len(once.history_) == 2
    graph = make_model("LesionGraphClassifier", warm_start=True).fit(table, y)
    with pytest.raises(InvalidParameterError, match="warm_start.*always starts from the begin"):
        graph.fit(table, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimiser": 3}, r"net_params names \['optimiser'\].*did you mean \['optimizer'\]"),
        ({"optimizer__weight_decy": 0}, r"AdamW has no 'weight_decy'; did.*weight_decay"),
        ({"optimiser__weight_decay": 0}, r"option of 'optimiser'.*did you mean \['optimizer'\]"),
        ({"iterator_train__shufle": True}, r"Loader has no 'shufle'; did.*shuffle"),
        ({"callbacks__lr_schedul__step": 1}, r"no 'lr_schedul'"),
        ({"module__width": 1}, "option of 'module'"),
        ({"criterion": None}, r"\['criterion'\], which follow from the parameters"),
    ],
)
@each_model
def test_a_wrong_key_is_named_with_the_nearest_right_one(name, options, message, cohort):
    with pytest.raises(InvalidParameterError, match=message):
        make_model(name, **options).fit(*cohort)


@pytest.mark.parametrize(
    "callbacks",
    [3, [3], EpochTimer(), [("timer", 3)]],
    ids=["number", "list", "callback", "pair"],
)
@each_model
def test_what_is_no_list_of_callbacks_is_refused(name, callbacks, cohort):
    model = make_model(name)
    model.net_params["callbacks"] = callbacks
    with pytest.raises(InvalidParameterError, match="must be a list of skorch callbacks"):
        model.fit(*cohort)


@each_model
def test_a_monitor_that_is_not_recorded_is_named_with_those_that_are(name, cohort, tmp_path):
    for callback in (EarlyStopping("valid_totl"), Checkpoint("valid_totl", dirname=tmp_path)):
        message = "'valid_totl' was not found.*Recorded are .*valid_total.*validation_fraction"
        with pytest.raises(InvalidParameterError, match=message):
            make_model(name, callback).fit(*cohort)


def test_a_survival_graph_takes_callbacks(cohort):
    table, _ = cohort
    y = np.empty(32, dtype=[("event", bool), ("time", float)])
    y["event"], y["time"] = np.arange(32) % 4 < 3, 1.0 + np.arange(32)
    stop = EarlyStopping(patience=1, threshold=10.0)
    model = LesionGraphSurvival(4, heads=2, max_epochs=6, net_params={"callbacks": [stop]})
    assert len(model.set_params(random_state=0, device="cpu").fit(table, y).history_) == 2
