"""Files of models from people who are not trusted: nothing in them runs, and each is named."""

from __future__ import annotations

import importlib
import io
import json
import os
import urllib.request
import warnings
import zipfile

import numpy as np
import pytest
import sklearn
import skops.io
import sksurv.io
from cases_for_tests import cohort, quick
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from typer.testing import CliRunner

from nonredundant import NonRedundantCVAE
from nonredundant.classifiers.nearest_neighbours import NearestNeighbours
from nonredundant.cli import app
from nonredundant.cli.model_files import load_model
from nonredundant.cli.trusted import TRUSTED_CLASSES, refused
from nonredundant.evaluation import FeatureSetClassifier

NEAREST = NearestNeighbours(5, weights="distance", algorithm="brute")
REFUSED = "is refused, and nothing of it was run: it holds"


def fitted(clinical=None, classifier="LR"):
    extractor = quick(clinical=clinical, patch_shape=None)
    model = FeatureSetClassifier("HCR", classifier=classifier, extractor=extractor, random_state=0)
    cases = cohort(8).assign(age=np.arange(8.0), sex=["F", "M"] * 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(cases, np.arange(8) % 2)


@pytest.fixture(scope="module")
def good():
    """The bytes of a model's file."""
    return skops.io.dumps(fitted())


def saved(path, content):
    path.write_bytes(content)
    return path


def edited(content, path, change):
    """Write the file with another schema: as `change` returns it."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["schema.json"] = json.dumps(change(json.loads(parts["schema.json"]))).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


def test_each_name_on_the_list_is_a_class_that_its_module_defines():
    for name in TRUSTED_CLASSES:
        module, _, short = name.rpartition(".")
        found = getattr(importlib.import_module(module), short)
        assert isinstance(found, type), name
        assert f"{found.__module__}.{found.__qualname__}" == name


def test_the_list_has_no_class_that_opens_a_file_by_its_name():
    assert not any("feature_extraction" in name or "datasets" in name for name in TRUSTED_CLASSES)


# Malicious parts -----------------------------------------------------------------------------


def test_a_function_of_another_package_that_overwrites_a_file_is_refused(tmp_path, monkeypatch):
    """It would have written the ages of `predict` to a file of the author's choice."""
    victim = saved(tmp_path / "victim", b"mine")
    model = fitted(ColumnTransformer([("age", StandardScaler(), ["age"])]))
    writing = FunctionTransformer(
        sksurv.io.writearff, kw_args={"filename": str(victim), "overwrite": True}
    )
    model.steps_[0].transformer_.transformers_ = [("age", writing, ["age"])]
    path = saved(tmp_path / "model.skops", skops.io.dumps(model))
    with pytest.raises(ValueError, match=rf"{REFUSED} function sksurv\.io\.arffwrite\.writearff"):
        load_model(path)
    (tmp_path / "new.csv").write_text("id,image,age\na,a.nii,50\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["predict", "model.skops", "new.csv", "-o", "p.csv"])
    assert result.exit_code == 2
    assert "one from elsewhere may be meant to harm: delete it" in result.output
    assert victim.read_bytes() == b"mine"
    assert not (tmp_path / "p.csv").exists()


def test_a_preprocessor_that_fetches_an_address_is_refused(tmp_path):
    model = fitted(ColumnTransformer([("age", StandardScaler(), ["age"])]))
    words = CountVectorizer(preprocessor=urllib.request.urlopen)
    model.steps_[0].transformer_.transformers_ = [("sex", words, "sex")]
    path = saved(tmp_path / "model.skops", skops.io.dumps(model))
    with pytest.raises(ValueError, match=REFUSED) as raised:
        load_model(path)
    for name in ("function urllib.request.urlopen", "class sklearn.feature_extraction.text.Count"):
        assert name in str(raised.value)


def node(loader, module, name, **more):
    return {"__loader__": loader, "__module__": module, "__class__": name, **more}


PLAIN = node("JsonNode", "builtins", "str", content="1", is_json=True)
NOTHING = node("ListNode", "builtins", "list", content=[])
EMPTY = node("DictNode", "builtins", "dict", content={}, key_types=NOTHING)
PARTS = dict.fromkeys(("func", "args", "kwds", "namespace"), PLAIN)
METHOD = {"func": "load", "obj": PLAIN}
DEFAULTS = {"main": EMPTY, "default_factory": PLAIN}
NODES = {
    "function nonredundant.utils.files.write_text": node(
        "FunctionNode", "nonredundant.utils.files", "write_text"
    ),
    "class nonredundant.utils.files.write_text": node(
        "ObjectNode", "nonredundant.utils.files", "write_text", content=EMPTY
    ),
    "function numpy.load": node("FunctionNode", "numpy", "load"),
    "class os.system": node("TypeNode", "os", "system"),
    "class builtins.map": node("TypeNode", "builtins", "map"),
    "function operator.methodcaller": node(
        "OperatorFuncNode", "operator", "methodcaller", attrs=PLAIN
    ),
    "function functools.partial": node(
        "PartialNode", "functools", "partial", content=PARTS
    ),
    "function nonredundant.lesions.table.LesionTable": node(
        "MethodNode", "nonredundant.lesions.table", "LesionTable", content=METHOD
    ),
    "class nonredundant.lesions.store.LesionStore": node(
        "ConstructorFromReduceNode", "nonredundant.lesions.store", "LesionStore", content=PLAIN
    ),
    "class collections.defaultdict": node(
        "DefaultDictNode", "collections", "defaultdict", content=DEFAULTS
    ),
    "class os.makedirs": node("LossNode", "os", "makedirs", content=EMPTY),
    "class subprocess.Popen": node("ListNode", "subprocess", "Popen", content=[PLAIN]),
    "class numpy.random._generator.Generator": node(
        "RandomGeneratorNode", "numpy.random._generator", "Generator", content={}
    ),
    "class numpy.memmap": node("NdArrayNode", "numpy", "memmap", type="numpy", file="x.npy"),
    "class pickle.loads": node("NewNode", "pickle", "loads"),
}  # fmt: skip


@pytest.mark.parametrize("place", ["an attribute", "beside the attributes", "a list", "an old one"])
@pytest.mark.parametrize("name", NODES)
def test_a_node_that_names_what_is_not_on_the_list_is_refused(good, tmp_path, name, place):
    def change(schema):
        attributes = schema["content"]["content"]
        if place == "an attribute":
            attributes["feature_set"] = NODES[name]
        if place == "beside the attributes":
            schema["unknown"] = {"deep": [NODES[name]]}
        if place == "a list":
            attributes["columns_"]["content"].append(NODES[name])
        if place == "an old one":
            schema |= {"protocol": 0, "more": NODES[name]}
        return schema

    path = edited(good, tmp_path / "bad.skops", change)
    with pytest.raises(ValueError, match=rf"bad\.skops {REFUSED} {name}, which no"):
        load_model(path)


def test_what_is_refused_is_not_imported(good, tmp_path, monkeypatch):
    (tmp_path / "harmful.py").write_text("open('ran', 'w').close()\nclass Model: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)

    def change(schema):
        return schema | {"__module__": "harmful", "__class__": "Model"}

    with pytest.raises(ValueError, match=f"{REFUSED} class harmful.Model, which"):
        load_model(edited(good, tmp_path / "bad.skops", change))
    assert not os.path.exists("ran")


def test_an_entry_that_is_no_node_is_named(good, tmp_path):
    path = edited(good, tmp_path / "bad.skops", lambda schema: schema | {"__class__": ["x"]})
    with pytest.raises(ValueError, match=r"cannot be read as a model: an entry of its"):
        load_model(path)


def test_many_names_are_counted():
    schema = [node("FunctionNode", "os", f"f{i}") for i in range(9)]
    assert len(refused(schema)) == 6
    assert refused(schema)[-1] == "4 more"


# What is accepted ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "clinical",
    [
        make_column_transformer((OneHotEncoder(), ["sex"]), remainder="passthrough"),
        make_column_transformer((SimpleImputer(), make_column_selector(dtype_include=float))),
        make_column_transformer((make_pipeline(SimpleImputer(), StandardScaler()), ["age"])),
    ],
)
def test_clinical_transformers_of_scikit_learn_load_and_predict_the_same(tmp_path, clinical):
    if clinical.remainder == "passthrough":
        clinical = clone(clinical).set_params(remainder="drop")
        clinical.transformers.append(("age", "passthrough", ["age"]))
    model = fitted(clinical)
    path = saved(tmp_path / "model.skops", skops.io.dumps(model))
    cases = cohort(8).assign(age=np.arange(8.0), sex=["F", "M"] * 4)
    np.testing.assert_array_equal(load_model(path).predict_proba(cases), model.predict_proba(cases))


@pytest.mark.parametrize(
    "classifier",
    [
        "SVM",
        "RF",
        VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())], voting="soft"),
    ],
    ids=str,
)
def test_classifiers_load(tmp_path, classifier):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), np.repeat([0, 1], 20)
    model = FeatureSetClassifier("HCR", classifier=classifier, random_state=0).fit(X, y)
    path = saved(tmp_path / "model.skops", skops.io.dumps(model))
    np.testing.assert_array_equal(load_model(path).predict_proba(X), model.predict_proba(X))


# Numbers that compiled code would follow ---------------------------------------------------


def model_of(classifier):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), np.repeat([0, 1], 20)
    return FeatureSetClassifier("HCR", classifier=classifier, random_state=0).fit(X, y)


def tree_of(model):
    return model.model_[-1].estimators_[0].tree_


def child(model):
    tree_of(model).children_left[0] = 10**6


def cycle(model):
    tree_of(model).children_right[0] = 0


def column(model):
    tree_of(model).feature[0] = 3


def columns(model):
    model.model_[-1].n_features_in_ = 2


def support(model):
    model.model_[-1]._n_support[0] += 100


def rows(model):
    model.model_[-1].support_[0] = 40


def stages(model):
    model.model_[-1].n_trees_per_iteration_ = 2


def prior(model):
    model.model_[-1].init_.class_prior_ = np.ones(3)


def neighbour(model):
    model.model_[-1]._y[0] = 9


def narrow(model):
    model.model_[-1]._fit_X = model.model_[-1]._fit_X[:, :2]


def coefficients(model):
    model.model_[-1]._dual_coef_ = model.model_[-1]._dual_coef_[:, 1:]


@pytest.mark.parametrize(
    ("classifier", "change", "message"),
    [
        (RandomForestClassifier(2, random_state=0), child, "a node leads out of its tree"),
        (RandomForestClassifier(2, random_state=0), cycle, "a node leads out of its tree"),
        (RandomForestClassifier(2, random_state=0), column, "a column beyond the 3 of its tree"),
        (RandomForestClassifier(2, random_state=0), columns, "other numbers of columns"),
        (GradientBoostingClassifier(n_estimators=2), stages, "trees and classes contradict"),
        (GradientBoostingClassifier(n_estimators=2), prior, "trees and classes contradict"),
        (NEAREST, neighbour, "neighbours contradict"),
        (NEAREST, narrow, "neighbours contradict"),
        (SVC(), support, "support vectors contradict"),
        (SVC(), rows, "support vectors contradict"),
        (SVC(), coefficients, "support vectors contradict"),
    ],
)
def test_indices_that_would_read_beyond_an_array_are_refused(tmp_path, classifier, change, message):
    model = model_of(classifier)
    path = saved(tmp_path / "model.skops", skops.io.dumps(model))
    load_model(path)
    change(model)
    # Its checksums are right: it is written by someone who means it.
    saved(path, skops.io.dumps(model))
    with pytest.raises(ValueError, match=rf"model\.skops cannot be read .*{message}"):
        load_model(path)


# Numbers that were changed -------------------------------------------------------------------


def nodes_by_id(schema):
    """Return the nodes of numbers and texts, by the id of the object that they stand for."""
    waiting, found = [schema], {}
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if value.get("__loader__") == "JsonNode" and value["content"] != "null":
                found.setdefault(value["__id__"], []).append(value)
            # scikit-learn counts nodes anew, and tells itself which version saved a part.
            without = ("node_count", "_sklearn_version")
            waiting.extend(one for name, one in value.items() if name not in without)
        elif isinstance(value, list):
            waiting.extend(value)
    return found


def other(content):
    value = json.loads(content)
    if isinstance(value, bool):
        return json.dumps(not value)
    return json.dumps(value + 1 if isinstance(value, int | float) else value + "x")


@pytest.fixture(scope="module")
def with_network():
    """The bytes of a model with a network and a forest."""
    cases = cohort(12)
    cvae = NonRedundantCVAE(2, max_epochs=1, device="cpu")
    model = FeatureSetClassifier(
        "HCR+DLR-MI",
        classifier=RandomForestClassifier(2, random_state=0),
        extractor=quick(patch_shape=(8, 8, 8)),
        cvae=cvae,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(cases, np.arange(12) % 2)
    return skops.io.dumps(model)


@pytest.mark.filterwarnings("ignore")
def test_each_changed_array_of_a_file_is_noticed(with_network, tmp_path):
    with zipfile.ZipFile(io.BytesIO(with_network)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    path, tried = tmp_path / "changed.skops", 0
    for name in parts:
        # The types of columns are stored as arrays without a number.
        if not name.endswith(".npy") or not np.load(io.BytesIO(parts[name])).size:
            continue
        changed = bytearray(parts[name])
        changed[-np.load(io.BytesIO(parts[name])).nbytes] ^= 1
        with zipfile.ZipFile(path, "w") as archive:
            for one, text in parts.items():
                archive.writestr(one, bytes(changed) if one == name else text)
        with pytest.raises(ValueError, match=r"changed\.skops cannot be read as a model"):
            load_model(path)
        tried += 1
    assert tried > 50


@pytest.mark.filterwarnings("ignore")
def test_each_changed_number_of_a_schema_is_noticed(with_network, tmp_path):
    with zipfile.ZipFile(io.BytesIO(with_network)) as archive:
        schema = json.loads(archive.read("schema.json"))
    # An object that stands at several places of a file is read at the first of them.
    # The version of scikit-learn is a note, and one object wherever it stands.
    note = json.dumps(sklearn.__version__)
    keys = [key for key, nodes in nodes_by_id(schema).items() if nodes[0]["content"] != note]
    assert len(keys) > 100
    unnoticed = []
    for i in np.random.default_rng(0).choice(len(keys), 100, replace=False):

        def change(schema, key=keys[i]):
            for same in nodes_by_id(schema)[key]:
                same["content"] = other(same["content"])
            return schema

        try:
            load_model(edited(with_network, tmp_path / "changed.skops", change))
        except ValueError:
            continue
        unnoticed += [one["content"] for one in nodes_by_id(schema)[keys[i]]]
    assert unnoticed == []
