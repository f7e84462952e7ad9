"""What networks cannot learn from is named, with the way to what they can."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant.contrastive import VAE, SepVAE
from nonredundant.cvae import NonRedundantCVAE
from nonredundant.lesions import LesionTable
from nonredundant.patients import LesionGraphClassifier, LesionPooling

QUICK = {"max_epochs": 1, "random_state": 0, "device": "cpu"}
MODELS = [
    NonRedundantCVAE(2, gamma=1.0, **QUICK),
    VAE(2, **QUICK),
    SepVAE(2, 2, **QUICK),
    LesionGraphClassifier(**QUICK),
    LesionPooling(),
]
Y = np.tile([0, 1], 6)
IDS = [f"P{k}" for k in range(12)]


def make_table(**parts):
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(12, 1, 8, 8)).astype(np.float32)
    features = pd.DataFrame({"mean": patches.mean(axis=(1, 2, 3)), "noise": rng.normal(size=12)})
    return LesionTable(features, **{"patches": patches, "index": IDS, **parts})


@pytest.mark.parametrize("model", MODELS, ids=lambda one: type(one).__name__)
def test_a_case_table_and_arrays_of_images_are_told_how_to_become_lesions(model):
    cases = pd.DataFrame({"image": ["a.nii"] * 12, "mask": ["b.nii"] * 12})
    with pytest.raises(TypeError, match=r"case table of images: extract them by Rad.*Pipeline"):
        model.fit(cases, Y)
    name = type(model).__name__
    for shape, patches in (
        ((12, 28, 28), r"X\[:, None\]"),
        ((12, 3, 28, 28), "X"),
        ((12, 16, 28, 28), r"X\[:, None\]"),
        ((12, 1, 16, 28, 28), "X"),
    ):
        message = rf"{name} takes .* from_arrays\(patches={patches}\)"
        with pytest.raises(ValueError, match=message.replace("* from", "*from")):
            model.fit(np.zeros(shape), Y)


@pytest.mark.parametrize("model", MODELS, ids=lambda one: type(one).__name__)
def test_an_empty_selection_is_named(model):
    with pytest.raises(ValueError, match="a table without samples"):
        model.fit(make_table()[:0], Y[:0])


def outputs(model, table):
    """Return probabilities or latents."""
    return model.predict_proba(table) if hasattr(model, "predict_proba") else model.transform(table)


@pytest.mark.parametrize("model", [*MODELS[:1], *MODELS[2:4]], ids=lambda one: type(one).__name__)
@pytest.mark.filterwarnings("ignore:.*collapsed")
def test_labels_follow_their_index(model):
    table, y = make_table(), pd.Series(Y, index=IDS)
    expected = model.fit(table, Y)
    scores = outputs(expected, table)
    turned = model.fit(table, y.sort_values())
    np.testing.assert_array_equal(outputs(turned, table), scores)
    with pytest.raises(ValueError, match=r"y has another index .*'Q0'"):
        model.fit(table, pd.Series(Y, index=[f"Q{k}" for k in range(12)]))


def test_labels_that_a_network_ignores_are_not_aligned():
    NonRedundantCVAE(2, **QUICK).fit(make_table(), pd.Series(Y, index=range(5, 17)))


def test_labels_spelled_in_two_ways_are_a_question():
    y = np.array(["no", "no ", "yes"] * 4)
    with pytest.raises(ValueError, match="are they one class"):
        NonRedundantCVAE(2, gamma=1.0, **QUICK).fit(make_table(), y)


def test_the_coding_of_labels_is_told():
    with pytest.raises(ValueError, match="-1 means unlabelled .* code the classes 0 and 1"):
        NonRedundantCVAE(2, gamma=1.0, **QUICK).fit(make_table(), 2 * Y - 1)
    with pytest.raises(ValueError, match="code the background as 0, for instance"):
        SepVAE(2, 2, **QUICK).fit(make_table(), np.array(["no", "yes"])[Y])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"device": "gpu"}, "device='gpu' cannot be used on this machine .*'auto'"),
        ({"net_params": {"optimiser": 3}}, r"net_params names \['optimiser'\], .*skorch"),
    ],
)
def test_what_torch_and_skorch_do_not_know_is_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        NonRedundantCVAE(2, **{**QUICK, **parameters}).fit(make_table())


def test_a_latent_is_named_or_numbered():
    model = NonRedundantCVAE(2, **QUICK).fit(make_table())
    for wrong in ("dlr9", 2, 0.5):
        with pytest.raises(ValueError, match=f"index must name one of 2 latents, got {wrong!r}"):
            model.traverse(make_table(), wrong)


def test_labels_in_two_columns_are_named_by_their_shape():
    table = LesionTable.from_arrays(patches=np.ones((4, 1, 8, 8)))
    for model in (NonRedundantCVAE(2, gamma=1.0), SepVAE(2, 2)):
        with pytest.raises(ValueError, match=r"y has the shape \(4, 2\): give one label per"):
            model.fit(table, np.zeros((4, 2)))
