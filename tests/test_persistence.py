"""Fitted estimators and pipelines through skops and joblib: the same bits, and no changed files."""

from __future__ import annotations

import json
import pickle
import zipfile
from io import BytesIO

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from estimators_for_tests import NET, make_cohort
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops.io.exceptions import UntrustedTypesFoundException
from skorch.callbacks import Checkpoint, EarlyStopping, LoadInitState, LRScheduler

from nonredundant import MIDiscriminator, NonRedundantCVAE, RadiomicsExtractor
from nonredundant.contrastive import VAE, ContrastiveCVAE, ContrastiveVAE, SepVAE
from nonredundant.datasets import make_lesions
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.lesions.scaler import FeatureScaler
from nonredundant.models.baselines import PatchPCA
from nonredundant.nn.state import FORMAT, arrays_of, seal, unseal
from nonredundant.patients import LesionGraphClassifier, LesionGraphSurvival, LesionPooling
from nonredundant.utils.validation import InvalidParameterError

CVAE = NonRedundantCVAE(2, **NET)
GRAPH = LesionGraphClassifier(4, heads=2, **NET)
LR = LogisticRegression()
METHODS = ("transform", "predict_proba", "predict", "score_samples", "reconstruct")
MODELS = {
    "cvae": CVAE,
    "cvae with all terms": NonRedundantCVAE(
        2, gamma=0.1, hcr_size=2, independence=MIDiscriminator(8), disentangle=0.01, **NET
    ),
    "vae": VAE(2, **NET),
    "sepvae": SepVAE(2, 2, **NET),
    "contrastive vae": ContrastiveVAE(2, 2, **NET),
    "contrastive cvae": ContrastiveCVAE(2, **NET),
    "pooling": LesionPooling(["mean", "max"]),
    "graph": GRAPH,
    "graph of times": LesionGraphSurvival(4, heads=2, **NET),
    "pca": PatchPCA(2, random_state=0),
    "scaler": FeatureScaler(2),
    "set": FeatureSetClassifier("HCR", classifier=LR, random_state=0),
    "set with network": FeatureSetClassifier("HCR+DLR-MI", cvae=CVAE, classifier=LR),
    "set with svm": FeatureSetClassifier("HCR+PCA", classifier="SVM", random_state=0),
    "set with graph": FeatureSetClassifier("HCR", patients=GRAPH, random_state=0),
    "set of times": FeatureSetClassifier("HCR", classifier="Cox", random_state=0),
    "pipeline": make_pipeline(CVAE, LesionPooling(), StandardScaler(), LR),
    "framed pipeline": make_pipeline(CVAE, LesionPooling(), LR).set_output(transform="pandas"),
}
#: Of the models above, those whose own state has a network or a classifier.
SEALED = [n for n in MODELS if n not in ("pooling", "pca", "scaler", "pipeline", "framed pipeline")]


def fit(name):
    table, y = make_cohort()
    if name.endswith("of times"):
        times = np.empty(32, dtype=[("event", bool), ("time", float)])
        times["event"], times["time"] = np.arange(32) % 4 > 0, 1.0 + np.arange(32)
        y = times
    X = table.features if name == "scaler" else table
    return clone(MODELS[name]).fit(X, y), X


def through(model, how, path):
    if how == "joblib":
        joblib.dump(model, path)
        return joblib.load(path)
    skops.io.dump(model, path)
    types = skops.io.get_untrusted_types(file=path)
    assert all(one.startswith(("nonredundant.", "numpy.")) for one in types), types
    return skops.io.load(path, trusted=types)


def outputs(model, X):
    found = {}
    for method in METHODS:
        if hasattr(model, method):
            values = getattr(model, method)(X)
            found[method] = np.asarray(getattr(values, "features", values))
    return found


@pytest.mark.parametrize("how", ["joblib", "skops"])
@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_the_same_bits(name, how, tmp_path):
    model, X = fit(name)
    expected = outputs(model, X)
    found = outputs(through(model, how, tmp_path / "model"), X)
    assert set(found) == set(expected) != set()
    for method, values in expected.items():
        np.testing.assert_array_equal(found[method], values, err_msg=method)


@pytest.mark.parametrize("how", ["joblib", "skops"])
def test_an_extractor_and_a_pipeline_from_images(how, tmp_path):
    cases, y, _ = make_lesions(12, random_state=0)
    cases = cases.assign(age=np.arange(12.0))
    extractor = RadiomicsExtractor(
        "PET",
        feature_classes=("shape",),
        patch_shape=(8, 8, 8),
        clinical=make_column_transformer((StandardScaler(), ["age"])),
    )
    pipeline = make_pipeline(extractor, clone(CVAE), StandardScaler(), LR).fit(
        cases, np.arange(12) % 2
    )
    again = through(pipeline, how, tmp_path / "pipeline")
    pd.testing.assert_frame_equal(
        again[0].transform(cases).features, pipeline[0].transform(cases).features
    )
    np.testing.assert_array_equal(again.predict_proba(cases), pipeline.predict_proba(cases))


@pytest.mark.parametrize("how", ["joblib", "skops"])
def test_a_discriminator(how, tmp_path):
    H, D = np.random.default_rng(0).normal(size=(2, 40, 2))
    model = MIDiscriminator(8, max_epochs=2, random_state=0).fit(H, D)
    again = through(model, how, tmp_path / "model")
    assert again.score(H, D) == model.score(H, D)
    assert model.__getstate__()["_format"] == FORMAT


# Devices -------------------------------------------------------------------------------------


class OnDevice:
    """A tensor of an accelerator: NumPy can only read its copy in memory."""

    def __init__(self, values):
        self.values = values

    def numpy(self):
        """Refuse, as torch does."""
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def cpu(self):
        """Return the copy in memory."""
        return self.values


def test_weights_leave_their_device_before_they_are_saved():
    class Module:
        """Has the state of a network on an accelerator."""

        def state_dict(self):
            """Return one tensor."""
            return {"weight": OnDevice(torch.ones(2))}

    assert arrays_of(Module())["weight"].tolist() == [1.0, 1.0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["cvae", "graph", "graph of times", "set with network"])
def test_a_model_of_a_gpu_predicts_without_one_and_says_that_it_cannot_train(name, tmp_path):
    model, table = fit(name)
    expected = outputs(model, table)
    settings = {key: "cuda" for key in model.get_params() if key.split("__")[-1] == "device"}
    assert settings
    again = through(model.set_params(**settings), "joblib", tmp_path / "model")
    for method, values in expected.items():
        np.testing.assert_array_equal(outputs(again, table)[method], values)
    if name == "cvae":
        with pytest.raises(InvalidParameterError, match="'auto' takes a GPU if"):
            again.fit(table)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("name", ["cvae", "graph"])
def test_a_model_that_was_trained_on_a_gpu_predicts_on_the_cpu(name, tmp_path):
    table, y = make_cohort()
    model = clone(MODELS[name]).set_params(device="cuda").fit(table, y)
    again = through(model, "joblib", tmp_path / "model")
    assert again.net_.device == "cpu"
    for method, values in outputs(model, table).items():
        np.testing.assert_allclose(outputs(again, table)[method], values, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("how", ["joblib", "skops"])
def test_callbacks_are_saved_without_what_the_training_left_in_them(how, tmp_path):
    table, y = make_cohort()
    checkpoint = Checkpoint(dirname=str(tmp_path / "best"), monitor=None)
    callbacks = [
        LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1),
        ("stop", EarlyStopping("total", patience=3)),
        checkpoint,
        LoadInitState(checkpoint),
    ]
    model = clone(CVAE).set_params(net_params={"callbacks": callbacks}).fit(table, y)
    assert hasattr(callbacks[0], "lr_scheduler_")
    if how == "joblib":
        joblib.dump(model, tmp_path / "model")
        again = joblib.load(tmp_path / "model")
        # No tensor, which would be on the device of the training.
        assert b"_rebuild_tensor" not in (tmp_path / "model").read_bytes()
    else:
        skops.io.dump(model, tmp_path / "model")
        types = skops.io.get_untrusted_types(file=tmp_path / "model")
        again = skops.io.load(tmp_path / "model", trusted=types)
    saved = again.net_params["callbacks"]
    assert not hasattr(saved[0], "lr_scheduler_")
    assert saved[1][0] == "stop"
    assert saved[1][1].patience == 3
    if how == "joblib":
        assert saved[3].checkpoint is saved[2]
    np.testing.assert_array_equal(again.transform(table).features, model.transform(table).features)


# Files that are not as they were saved ------------------------------------------------------


@pytest.mark.parametrize("name", SEALED)
def test_a_state_has_a_format_number_and_another_one_is_refused(name):
    model, _ = fit(name)
    state = model.__getstate__()
    assert state["_format"] == FORMAT
    with pytest.raises(ValueError, match=f"format {FORMAT + 1}, but this .* reads format {FORMAT}"):
        clone(model).__setstate__(state | {"_format": FORMAT + 1})


def changed(value):
    """Return a value with one number or letter changed, or None if there is none."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fi" and value.size:
        other = value.copy()
        other.flat[0] += 1
        return other
    if isinstance(value, dict):
        for key, one in value.items():
            if (other := changed(one)) is not None:
                return {**value, key: other}
    if isinstance(value, list) and value and isinstance(value[0], str):
        return [value[0] + "x", *value[1:]]
    return None


@pytest.mark.parametrize("name", SEALED)
def test_each_changed_value_of_a_state_is_noticed(name):
    model, _ = fit(name)
    state = model.__getstate__()
    tried = 0
    for key, value in state.items():
        if key in ("_format", "_checksum") or (other := changed(value)) is None:
            continue
        tried += 1
        with pytest.raises(ValueError, match="not as it was saved.*damaged or edited"):
            clone(model).__setstate__({**state, key: other})
    assert tried >= 2


@pytest.mark.parametrize("name", SEALED)
def test_what_was_added_to_a_state_or_taken_from_it_is_noticed(name):
    model, _ = fit(name)
    state = model.__getstate__()
    without = {key: value for key, value in state.items() if key != "random_state"}
    unsigned = {key: value for key, value in state.items() if key != "_checksum"}
    for other in (without, {**state, "extra": 1}, unsigned):
        with pytest.raises(ValueError, match="not as it was saved"):
            clone(model).__setstate__(other)


def arrays_within(value, path="", above=()):
    """Yield the arrays of floats in objects of scikit-learn and this package, with their paths."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size:
        yield path, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from arrays_within(one, f"{path}.{key}", above)
    elif isinstance(value, list | tuple):
        for i, one in enumerate(value):
            yield from arrays_within(one, f"{path}.{i}", above)
    elif type(value).__module__.startswith(("nonredundant", "sklearn")) and value not in above:
        state = getattr(value, "__dict__", None) or value.__getstate__()
        yield from arrays_within(state, f"{path}({type(value).__name__})", (*above, value))


@pytest.mark.parametrize("name", ["set", "set with svm", "set of times", "cvae"])
def test_each_changed_array_within_the_objects_of_a_state_is_noticed(name):
    model, _ = fit(name)
    state = pickle.loads(pickle.dumps(model)).__getstate__()
    within = {path: a for path, a in arrays_within(state) if "(" in path and a.flags.writeable}
    assert len(within) >= 3
    for path, array in within.items():
        before = array.flat[0]
        array.flat[0] = np.nextafter(before, np.inf)
        with pytest.raises(ValueError, match="not as it was saved"):
            clone(model).__setstate__(state)
        array.flat[0] = before
        assert path
    clone(model).__setstate__(state)


@pytest.mark.parametrize("name", ["set", "cvae"])
def test_another_version_that_loads_a_model_is_told(name, tmp_path, monkeypatch):
    model, X = fit(name)
    monkeypatch.setattr("nonredundant.nn.state.__version__", "0.0.1")
    skops.io.dump(model, tmp_path / "model")
    monkeypatch.undo()
    types = skops.io.get_untrusted_types(file=tmp_path / "model")
    told = r"saved by nonredundant 0\.0\.1 and is read by .*install the version that saved it"
    with pytest.warns(UserWarning, match=told) as caught:
        again = skops.io.load(tmp_path / "model", trusted=types)
    assert len(caught) == 1
    for method, values in outputs(model, X).items():
        np.testing.assert_array_equal(outputs(again, X)[method], values)


def test_what_another_scikit_learn_restores_differently_is_left_to_its_own_checks(monkeypatch):
    model, _ = fit("set")
    monkeypatch.setattr("sklearn.__version__", "0.1")
    state = model.__getstate__()
    monkeypatch.undo()
    state["model_"].steps[0][1].statistics_ += 1
    clone(model).__setstate__(state)
    with pytest.raises(ValueError, match="not as it was saved"):
        clone(model).__setstate__(state | {"columns_": ["x"]})


def test_a_value_that_is_lost_is_noticed():
    model, _ = fit("set")
    state = model.__getstate__()
    del state["fingerprint_"]
    with pytest.raises(ValueError, match=r"\['fingerprint_'\] differ"):
        clone(model).__setstate__(state)


def test_weights_of_another_network_are_refused():
    model, _ = fit("cvae")
    state = unseal(model.__getstate__())

    state = model.__getstate__()
    del state["_checksum"], state["_object_checksum"]
    name, value = next(iter(state["_net_weights"].items()))
    for weights in ({name: np.zeros(99)}, {"unknown": value}):
        with pytest.raises(ValueError, match="do not fit the network"):
            clone(model).__setstate__(seal({**state, "_net_weights": weights}))


@pytest.mark.parametrize("name", ["cvae", "graph"])
def test_an_edited_file_is_refused(name, tmp_path):
    model, _ = fit(name)
    path = tmp_path / "model.skops"
    skops.io.dump(model, path)
    with zipfile.ZipFile(path) as archive:
        parts = {one: archive.read(one) for one in archive.namelist()}
    weights = max(model.__getstate__()["_net_weights"].values(), key=np.size)
    arrays = {one: np.load(BytesIO(parts[one])) for one in parts if one.endswith(".npy")}
    chosen = next(one for one, array in arrays.items() if np.array_equal(array, weights))
    array = arrays[chosen]
    array.flat[-1] += 0.5
    buffer = BytesIO()
    np.save(buffer, array)
    with zipfile.ZipFile(path, "w") as archive:
        for one, content in parts.items():
            archive.writestr(one, buffer.getvalue() if one == chosen else content)
    types = skops.io.get_untrusted_types(file=path)
    with pytest.raises(ValueError, match="not as it was saved"):
        skops.io.load(path, trusted=types)


def test_a_damaged_or_cut_file_is_refused(tmp_path):
    model, _ = fit("cvae")
    path = tmp_path / "model.skops"
    skops.io.dump(model, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(zipfile.BadZipFile):
        skops.io.load(path, trusted=[])
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 255]) + whole[5001:])
    with pytest.raises((zipfile.BadZipFile, ValueError)):
        skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


def test_types_of_others_are_refused(tmp_path):
    model, _ = fit("pooling")
    model.note_ = pickle.PickleBuffer  # any type that this package does not save
    path = tmp_path / "model.skops"
    skops.io.dump(model, path)
    with zipfile.ZipFile(path) as archive:
        schema = json.loads(archive.read("schema.json"))
    assert schema["__class__"] == "LesionPooling"
    own = ["nonredundant.patients.pooling.LesionPooling"]
    with pytest.raises(UntrustedTypesFoundException, match="PickleBuffer"):
        skops.io.load(path, trusted=own)
