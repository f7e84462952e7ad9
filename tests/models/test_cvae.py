"""`NonRedundantCVAE`: shapes, names, h, determinism, persistence, bad input."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant.cvae import NonRedundantCVAE
from nonredundant.independence import DistanceCorrelation
from nonredundant.lesions import LesionTable
from nonredundant.utils.validation import InvalidParameterError


def make_table(n=24, shape=(8, 8), n_channels=1, seed=0, **parts):
    """Return lesions whose brightness and a bright corner differ, with two HCR of them."""
    rng = np.random.default_rng(seed)
    patches = rng.normal(size=(n, n_channels, *shape)) + rng.normal(
        size=(n, *[1] * (len(shape) + 1))
    )
    masks = np.zeros((n, 1, *shape), dtype=bool)
    masks[(slice(None), slice(None), *[slice(1, -1)] * len(shape))] = True
    axes = tuple(range(1, patches.ndim))
    features = pd.DataFrame({"mean": patches.mean(axes), "sd": patches.std(axes)})
    return LesionTable(features, **{"patches": patches, "masks": masks, **parts})


def make_cvae(**parameters):
    return NonRedundantCVAE(
        **{"dlr_size": 3, "max_epochs": 2, "random_state": 0, "device": "cpu", **parameters}
    )


@pytest.mark.parametrize("shape", [(8, 8), (9, 20), (8, 8, 8), (10, 17, 8)])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_any_grid_and_number_of_channels(shape, n_channels):
    table = make_table(12, shape, n_channels)
    cvae = make_cvae().fit(table)
    assert cvae.transform(table).shape == (12, 2 + 3)
    assert cvae.reconstruct(table).shape == table.patches.shape
    assert cvae.traverse(table[:2], 0).shape == (2, 7, *table.patches.shape[1:])
    assert cvae.sample(table, random_state=0).shape == table.patches.shape


def test_same_seed_same_bits():
    table = make_table()
    first, second = make_cvae().fit(table), make_cvae().fit(table)
    np.testing.assert_array_equal(first.transform(table), second.transform(table))
    pd.testing.assert_frame_equal(first.history_, second.history_)
    other = make_cvae(random_state=1).fit(table)
    assert not np.array_equal(first.transform(table), other.transform(table))


def test_fit_leaves_the_global_random_state_alone():
    import torch

    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    make_cvae().fit(make_table())
    assert torch.equal(torch.rand(3), expected)


def test_history_has_the_terms_under_their_names():
    held_out = {"validation_fraction": 0.1}
    history = make_cvae(max_epochs=3, net_params=held_out).fit(make_table()).history_
    terms = ["total", "reconstruction", "kl", "independence", "label"]
    assert list(history.columns) == [*terms, *(f"valid_{name}" for name in terms)]
    assert history.index.tolist() == [1, 2, 3]
    assert np.isfinite(history.to_numpy()).all()
    weighted = history["reconstruction"] + 1e-5 * history["kl"] + 0.2 * history["independence"]
    np.testing.assert_allclose(history["total"], weighted, rtol=1e-4)


def test_without_validation_there_are_no_validation_columns():
    history = make_cvae().fit(make_table()).history_
    assert not [name for name in history if name.startswith("valid")]


def test_training_lowers_the_reconstruction_error():
    table = make_table(60)
    history = make_cvae(max_epochs=60, independence=None).fit(table).history_
    assert history["reconstruction"].iloc[-1] < 0.6 * history["reconstruction"].iloc[0]


def test_reconstruction_is_the_unexplained_fraction_of_variance():
    # A model that always predicts the cohort's mean leaves the whole variance unexplained.
    table = make_table(200, shape=(8, 8))
    cvae = make_cvae(beta=0.0, max_epochs=1, lr=1e-12).fit(table)
    for parameter in cvae.net_.module_.decoder.parameters():
        parameter.data.zero_()
    assert cvae.score(table) == pytest.approx(-1.0, abs=0.05)


def test_outputs_are_named_parts_of_the_fused_one():
    table = make_table()
    cvae = make_cvae().fit(table)
    fused = cvae.transform(table)
    assert cvae.get_feature_names_out().tolist() == ["mean", "sd", "dlr00", "dlr01", "dlr02"]
    np.testing.assert_array_equal(fused[:, :2], table.features)
    np.testing.assert_array_equal(cvae.set_params(output="hcr").transform(table), fused[:, :2])
    np.testing.assert_array_equal(cvae.set_params(output="dlr").transform(table), fused[:, 2:])
    assert cvae.get_feature_names_out().tolist() == ["dlr00", "dlr01", "dlr02"]


def test_pandas_output_keeps_names_and_index():
    table = make_table(index=[f"case{i}" for i in range(24)])
    frame = make_cvae().set_output(transform="pandas").fit(table).transform(table)
    assert list(frame.columns) == ["mean", "sd", "dlr00", "dlr01", "dlr02"]
    assert list(frame.index) == list(table.index)


def test_latents_do_not_depend_on_the_voxels_outside_the_mask():
    table = make_table()
    cvae = make_cvae().fit(table)
    noise = np.where(table.masks, table.patches, 99).astype(np.float32)
    np.testing.assert_array_equal(
        cvae.transform(table), cvae.transform(table.replace(patches=noise))
    )


def test_principal_components_of_the_hcr():
    table = make_table()
    cvae = make_cvae(hcr_size=1).fit(table)
    assert cvae.get_feature_names_out().tolist()[:1] == ["hcr_pc00"]
    assert cvae.transform(table).shape == (24, 4)


@pytest.mark.parametrize("blocks", [("hcr",), ("hcr", "clinical"), ("clinical",)])
def test_independent_of_sets_the_input_of_the_decoder(blocks):
    age = np.linspace(40, 80, 24)
    table = make_table().join(pd.DataFrame({"age": age}))
    cvae = make_cvae(independent_of=blocks, conditioning="plain").fit(table)
    size = {"hcr": 2, "clinical": 1}
    inputs = 3 + sum(size[block] for block in blocks)
    assert cvae.net_.module_.decoder.head.in_features == inputs
    assert "age" in cvae.get_feature_names_out()


def test_only_gated_latents_depend_on_the_hcr_of_a_given_image():
    """As published the encoder takes the image alone; with gates h scales and shifts d."""
    table = make_table()
    other = table.replace(features=table.features.iloc[::-1].reset_index(drop=True))
    plain, gated = (
        make_cvae(conditioning=kind, output="dlr", max_epochs=20, residualise=False).fit(table)
        for kind in ("plain", "gated")
    )
    np.testing.assert_array_equal(plain.transform(table), plain.transform(other))
    assert not np.allclose(gated.transform(table), gated.transform(other), atol=1e-4)


def test_gates_are_left_out_where_a_discriminator_would_be_fooled():
    table = make_table()
    for term, kind in (
        (None, "gated"),
        ("dcor", "gated"),
        ("hsic", "gated"),
        ("density-ratio", "plain"),
    ):
        assert make_cvae(independence=term).fit(table).net_.module_.conditioning == kind
        without = make_cvae(independence=term, kappa=0.0).fit(table).net_.module_
        assert without.conditioning == kind


def test_mirror_images_are_drawn_unless_labels_are_learned():
    from nonredundant.nn.augment import Augmentation

    table = make_table()
    cohort = make_cvae()._read(table, reset=True)
    assert isinstance(make_cvae()._augmentation(cohort), Augmentation)
    assert make_cvae()._augmentation(cohort).kinds == ("flip_x", "flip_y")
    assert make_cvae(gamma=1.0)._augmentation(cohort) is None
    assert make_cvae(augment=None)._augmentation(cohort) is None


def test_the_term_in_training_is_the_term_on_the_images_as_they_are():
    """The side of a gradient depends on h: batches of both orientations would hide this from it."""
    rng = np.random.default_rng(0)
    slope, level = rng.normal(size=(2, 200))
    patches = slope[:, None, None] * np.linspace(-1, 1, 8) + level[:, None, None]
    patches = patches + 0.1 * rng.normal(size=(200, 8, 8))
    table = LesionTable(pd.DataFrame({"slope": slope}), patches=patches[:, None])
    cvae = make_cvae(dlr_size=2, max_epochs=30, augment=("flip_x",), output="dlr").fit(table)
    h = torch.as_tensor(cvae._condition(cvae._read(table, reset=False)))
    whole = DistanceCorrelation().penalty(h, torch.as_tensor(cvae.transform(table)))
    assert abs(cvae.history_["independence"].iloc[-3:].mean() - whole.item()) < 0.07


def test_the_decoder_can_be_left_unconditioned():
    cvae = make_cvae(conditioning=None).fit(make_table())
    assert cvae.net_.module_.decoder.head.in_features == 3
    assert (cvae.history_["independence"] != 0).all()


def test_what_is_removed_after_training_is_given_back_to_the_decoder():
    table = make_table(40)
    whole, rest = (make_cvae(residualise=r, output="dlr").fit(table) for r in (False, True))
    np.testing.assert_allclose(rest.reconstruct(table), whole.reconstruct(table), atol=1e-4)
    np.testing.assert_array_equal(rest.score_samples(table), whole.score_samples(table))
    h = rest._condition_frame(rest._read(table, reset=False))
    d = rest.residualiser_.inverse(h, rest.transform(table))
    np.testing.assert_allclose(d, whole.transform(table), atol=1e-5)
    still = rest.traverse(table, "dlr01", [0.0, 1.0])
    np.testing.assert_allclose(still[:, 0], rest.reconstruct(table), atol=1e-4)
    assert not np.allclose(still[:, 1], still[:, 0], atol=1e-3)
    assert whole.residualiser_ is None


def test_an_encoder_that_repeats_h_is_residualised():
    """Without the term, and with h kept from the decoder, latents repeat the brightness."""
    (table, new), found = (make_table(300, seed=s) for s in (0, 1)), []
    for residualise in (False, True):
        cvae = make_cvae(
            independence=None,
            conditioning=None,
            residualise=residualise,
            output="dlr",
            max_epochs=30,
        ).fit(table)
        d = pd.DataFrame(cvae.transform(new))
        found.append(d.corrwith(new.features["mean"], method="spearman").abs().max())
    assert found[0] > 0.7
    assert found[1] < 0.2


def test_an_interrupt_while_residualising_leaves_the_model_unfitted(monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("nonredundant.models.cvae.Residualiser.fit", interrupt)
    cvae = make_cvae()
    with pytest.raises(KeyboardInterrupt):
        cvae.fit(make_table())
    assert not hasattr(cvae, "net_")


def test_without_hcr_it_is_a_plain_vae():
    table = make_table()
    table = LesionTable.from_arrays(patches=table.patches)
    cvae = make_cvae().fit(table)
    assert cvae.transform(table).shape == (24, 3)
    assert (cvae.history_["independence"] == 0).all()


@pytest.mark.parametrize(
    "y",
    [
        np.tile([0, 1], 12),
        np.tile(["a", "b", "c"], 8),
        np.tile([0.0, 1.0, np.nan], 8),
        np.tile([0, 1, -1], 8),
    ],
    ids=["binary", "words", "nan", "minus one"],
)
def test_label_term(y):
    cvae = make_cvae(gamma=1.0).fit(make_table(), y)
    assert (cvae.history_["label"] > 0).all()
    assert len(cvae.classes_) == len({str(value) for value in y} - {"nan", "-1"})


def test_labels_are_ignored_without_the_label_term():
    table = make_table()
    with_y = make_cvae().fit(table, np.linspace(0, 1, 24))
    np.testing.assert_array_equal(with_y.transform(table), make_cvae().fit(table).transform(table))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(24), "1 class"),
        (np.linspace(0.1, 1, 24), "continuous"),
        (np.tile([0, 1], 3), "6 labels but there are 24 samples"),
    ],
)
def test_labels_that_cannot_be_learned_from(y, message):
    with pytest.raises(ValueError, match=message):
        make_cvae(gamma=1.0).fit(make_table(), y)


def test_several_lesions_a_sample_give_a_table():
    table = make_table(sample=np.repeat(np.arange(8), 3))
    fused = make_cvae(gamma=1.0).fit(table, np.tile([0, 1], 4)).transform(table)
    assert isinstance(fused, LesionTable)
    assert (len(fused), fused.n_lesions) == (8, 24)
    assert list(fused.columns) == ["mean", "sd", "dlr00", "dlr01", "dlr02"]


def test_a_sample_without_image_gets_the_median_latents_with_a_warning():
    table = make_table()
    features = table.features.reset_index(drop=True)
    features.iloc[5] = np.nan
    masks = table.masks.copy()
    masks[5] = False
    status = ["ok"] * 5 + ["image is missing"] + ["ok"] * 18
    broken = LesionTable(features, patches=table.patches, masks=masks, status=status)
    cvae = make_cvae().fit(broken)
    with pytest.warns(UserWarning) as caught:  # noqa: PT030
        fused = cvae.transform(broken)
    messages = sorted(str(warning.message)[:40] for warning in caught)
    assert messages == [
        "1 lesions have no usable image and get t",
        "2 missing values in 2 features are repla",
    ]
    np.testing.assert_array_equal(fused[5, 2:], cvae.dlr_median_)
    assert np.isfinite(fused).all()


def test_persistence_is_bitwise_and_trusts_this_package_alone(tmp_path):
    import joblib
    import skops.io

    table = make_table()
    y = np.tile([0, 1], 12)
    pipeline = make_pipeline(make_cvae(gamma=1.0), StandardScaler(), LogisticRegression())
    expected = pipeline.fit(table, y).predict_proba(table)
    joblib.dump(pipeline, tmp_path / "pipeline.joblib")
    np.testing.assert_array_equal(
        joblib.load(tmp_path / "pipeline.joblib").predict_proba(table), expected
    )
    skops.io.dump(pipeline, tmp_path / "pipeline.skops")
    untrusted = skops.io.get_untrusted_types(file=tmp_path / "pipeline.skops")
    assert all(name.startswith("nonredundant.") for name in untrusted), untrusted
    loaded = skops.io.load(tmp_path / "pipeline.skops", trusted=untrusted)
    np.testing.assert_array_equal(loaded.predict_proba(table), expected)
    pd.testing.assert_frame_equal(loaded[0].history_, pipeline[0].history_)


def test_warm_start_goes_on_from_the_last_weights():
    table = make_table()
    cvae = make_cvae(max_epochs=2, net_params={"warm_start": True}).fit(table)
    assert len(cvae.fit(table).history_) == 4
    cold = make_cvae(max_epochs=2).fit(table)
    assert len(cold.fit(table).history_) == 2


def test_skorch_callbacks_stop_early_and_save(tmp_path):
    from skorch.callbacks import Checkpoint, EarlyStopping

    callbacks = [
        EarlyStopping(monitor="valid_total", patience=1, threshold=10.0),
        Checkpoint(monitor=None, dirname=tmp_path, f_history=None),
    ]
    options = {"callbacks": callbacks, "validation_fraction": 0.1}
    cvae = make_cvae(max_epochs=30, net_params=options).fit(make_table())
    assert len(cvae.history_) < 30
    assert (tmp_path / "params.pt").exists()


def test_grid_search_over_the_size_of_the_latent():
    pipeline = make_pipeline(make_cvae(), StandardScaler(), LogisticRegression())
    grid = {"nonredundantcvae__dlr_size": [1, 2], "logisticregression__C": [0.1, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise")
    search.fit(make_table(), np.tile([0, 1], 12))
    assert set(search.best_params_) == set(grid)


def test_clone_keeps_every_parameter():
    cvae = make_cvae(network={"width": 4}, augment=("noise",))
    assert clone(cvae).get_params() == cvae.get_params()


@pytest.mark.parametrize("kind", ["flip_x", "flip_y", "noise", "rotate", "shift"])
def test_augmentation_by_name(kind):
    plain, augmented = (
        make_cvae(augment=augment).fit(make_table()).history_["reconstruction"]
        for augment in (None, (kind,))
    )
    assert (augmented != plain).all()


def test_unknown_augmentation_says_what_there_is():
    with pytest.raises(ValueError, match="2-D patches can be augmented by.*flip_x"):
        make_cvae(augment=("flip_z",)).fit(make_table())


def test_other_columns_than_at_fit_are_named():
    table = make_table()
    cvae = make_cvae().fit(table)
    other = table.replace(features=table.features.rename(columns={"sd": "entropy"}), blocks={})
    with pytest.raises(ValueError, match=r"Missing: \['sd'\].*Unseen at fit: \['entropy'\]"):
        cvae.transform(other)


def test_columns_in_another_order_are_the_same_columns():
    table = make_table()
    cvae = make_cvae().fit(table)
    swapped = table.replace(features=table.features[["sd", "mean"]])
    np.testing.assert_array_equal(cvae.transform(swapped), cvae.transform(table))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: make_table(patches=None, masks=None), "no patches.*patch_shape"),
        (lambda: make_table(shape=(8, 6)), "at least 8 voxels"),
        (lambda: make_table(status=["unreadable"] * 24), "no lesion of the table has an image"),
    ],
)
def test_tables_without_usable_patches(build, message):
    with pytest.raises(ValueError, match=message):
        make_cvae().fit(build())


def test_broken_voxels_name_the_case():
    table = make_table(index=[f"case{i}" for i in range(24)])
    patches = table.patches.copy()
    patches[3, 0, 4, 4] = np.nan
    with pytest.raises(ValueError, match=r"1 lesions hold NaN.*\['case3'\]"):
        make_cvae().fit(table.replace(patches=patches))


def test_another_patch_shape_than_at_fit():
    cvae = make_cvae().fit(make_table())
    with pytest.raises(ValueError, match=r"\(1, 8, 8\).*\(1, 9, 9\)"):
        cvae.transform(make_table(shape=(9, 9)))


def test_a_diverging_fit_names_term_and_epoch_and_stays_unfitted():
    cvae = make_cvae(lr=1e8, max_epochs=20, independence=None)
    with pytest.raises(FloatingPointError, match=r"the term '\w+' .* in epoch \d+; lower lr"):
        cvae.fit(make_table())
    assert not hasattr(cvae, "net_")


@pytest.mark.parametrize(
    "parameters",
    [
        {"dlr_size": 0},
        {"independence": "mutual"},
        {"kappa": -1.0},
        {"output": "all"},
        {"conditioning": "film"},
        {"disentangle": -0.1},
        {"max_epochs": 0},
    ],
)
def test_parameters_out_of_range(parameters):
    with pytest.raises(InvalidParameterError, match=next(iter(parameters))):
        make_cvae(**parameters).fit(make_table())
    with pytest.raises(ValueError, match="independent_of"):
        make_cvae(independent_of=("image",)).fit(make_table())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("validation_fraction", 1.0),
        ("validation_fraction", "a tenth"),
        ("reconstruction", "l1"),
        ("lr_schedule", "step"),
    ],
)
def test_options_of_net_params_out_of_range(option, value):
    with pytest.raises(ValueError, match=option):
        make_cvae(net_params={option: value}).fit(make_table())


@pytest.mark.parametrize(("option", "value"), [("callbacks", 3), ("warm_start", "yes")])
def test_options_of_net_params_of_another_type(option, value):
    with pytest.raises(InvalidParameterError, match=option):
        make_cvae(net_params={option: value}).fit(make_table())


def test_skorch_can_disable_callbacks():
    cvae = make_cvae(net_params={"callbacks": "disable"}).fit(make_table())
    assert cvae.net_.callbacks_ == []
    default = make_cvae(net_params={"lr_schedule": "constant"}).fit(make_table())
    np.testing.assert_array_equal(cvae.transform(make_table()), default.transform(make_table()))


def test_warm_start_refuses_a_network_of_another_size():
    cvae = make_cvae(net_params={"warm_start": True}).fit(make_table())
    with pytest.raises(ValueError, match="'n_latents'"):
        cvae.set_params(dlr_size=5).fit(make_table())
    assert cvae.net_.module_.n_latents == 3


def test_an_unknown_option_of_net_params_is_named():
    with pytest.raises(ValueError, match=r"net_params names .*weight_decay"):
        make_cvae(net_params={"weight_decay": 0.1}).fit(make_table())


def test_a_saved_model_of_another_format_is_refused():
    state = make_cvae().fit(make_table()).__getstate__()
    with pytest.raises(ValueError, match="format 99"):
        make_cvae().__setstate__({**state, "_format": 99})


def test_warm_start_goes_on_from_a_saved_model():
    table = make_table()
    cvae = make_cvae(max_epochs=3, net_params={"warm_start": True}).fit(table)
    error = cvae.history_["reconstruction"].iloc[0]
    again = pickle.loads(pickle.dumps(cvae)).fit(table)
    assert again.history_["reconstruction"].iloc[0] < error


def test_classes_of_an_earlier_fit_with_labels_are_forgotten():
    table, y = make_table(), np.tile([0, 1], 12)
    cvae = make_cvae(gamma=1.0).fit(table, y)
    assert cvae.classes_.tolist() == [0, 1]
    assert not hasattr(cvae.set_params(gamma=0.0).fit(table), "classes_")


def test_one_batch_of_fewer_lesions_than_asked_for():
    assert make_cvae(batch_size=500).fit(make_table(6)).transform(make_table(6)).shape == (6, 5)


def make_matrix(n, seed):
    """Return rows that mix three correlated factors into nine columns."""
    rng = np.random.default_rng(seed)
    factors = rng.multivariate_normal(np.zeros(3), 0.7 + 0.3 * np.eye(3), size=n)
    mixing = np.random.default_rng(99).normal(size=(3, 9))
    return factors @ mixing + 0.1 * rng.normal(size=(n, 9))


def dependence(d):
    """Return the mean absolute rank correlation of the columns."""
    rho = pd.DataFrame(d).corr("spearman").to_numpy()
    return np.abs(rho[np.triu_indices(len(rho), 1)]).mean()


def test_disentangled_latents_are_less_dependent_on_unseen_rows():
    settings = {"dlr_size": 3, "max_epochs": 30, "random_state": 0, "device": "cpu"}
    found = {}
    for weight in (0.0, 0.05):
        cvae = NonRedundantCVAE(disentangle=weight, **settings).fit(make_matrix(400, 0))
        found[weight] = dependence(cvae.transform(make_matrix(1000, 1)))
    assert found[0.05] < 0.15
    assert found[0.0] > 2 * found[0.05]


def test_history_holds_the_total_correlation_if_its_weight_is_positive():
    X = make_matrix(60, 0)
    parts = {"beta": 0.5, "disentangle": 3.0}
    held_out = {"validation_fraction": 0.1}
    history = make_cvae(dlr_size=2, net_params=held_out, **parts).fit(X).history_
    assert {"total_correlation", "valid_total_correlation"} <= set(history)
    weighted = history["reconstruction"] + 0.5 * history["kl"] + 3 * history["total_correlation"]
    np.testing.assert_allclose(history["total"], weighted, rtol=1e-4)
    assert (history["total_correlation"].iloc[1:] != 0).all()
    for off in ({}, {"disentangle": 0.0}):
        assert not [c for c in make_cvae(dlr_size=2, **off).fit(X).history_ if "corr" in c]


def make_aged(n, seed):
    """Return lesions whose brightness is one feature and whose core brightens with age."""
    rng = np.random.default_rng(seed)
    age, brightness = rng.uniform(40, 80, size=n), rng.normal(size=n)
    patches = 0.3 * rng.normal(size=(n, 1, 8, 8)) + brightness[:, None, None, None]
    patches[:, :, 2:6, 2:6] += ((age - 60) / 10)[:, None, None, None]
    features = pd.DataFrame({"brightness": brightness})
    return LesionTable(features, patches=patches).join(pd.DataFrame({"age": age})), age


def test_latents_can_be_kept_from_repeating_a_clinical_variable():
    (table, _), (new, age) = make_aged(200, 0), make_aged(300, 1)
    told = {}
    for blocks in (("hcr",), ("hcr", "clinical")):
        cvae = NonRedundantCVAE(
            2, independent_of=blocks, max_epochs=40, random_state=0, device="cpu"
        ).fit(table)
        fused = pd.DataFrame(cvae.transform(new), columns=cvae.get_feature_names_out())
        np.testing.assert_array_equal(fused["age"], age)
        told[blocks] = fused[["dlr00", "dlr01"]].corrwith(fused["age"], method="spearman").abs()
    assert told["hcr",].max() > 0.8
    assert told["hcr", "clinical"].max() < 0.3
    # The decoder is given the age: an older lesion's core is drawn brighter.
    old, young = (
        cvae.sample(new.replace(features=new.features.assign(age=value)), random_state=0)
        for value in (75.0, 45.0)
    )
    assert (old - young)[:, :, 2:6, 2:6].mean() == pytest.approx(3.0, abs=0.7)


def test_clinical_columns_must_be_there_if_named():
    table, _ = make_aged(24, 0)
    alone = table.replace(features=table.features[["brightness"]])
    for X in (alone, make_matrix(24, 0)):
        cvae = make_cvae(independent_of=("hcr", "clinical"))
        with pytest.raises(ValueError, match=r"names 'clinical', but none of the [01] columns is"):
            cvae.fit(X)


def test_the_number_of_threads_changes_nothing():
    """Gradients are summed over threads; training therefore uses one, unless asked otherwise."""
    rng = np.random.default_rng(0)
    table = LesionTable.from_arrays(
        features=rng.normal(size=(40, 3)), patches=rng.normal(size=(40, 1, 32, 32, 32))
    )
    before, found = torch.get_num_threads(), []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            model = NonRedundantCVAE(2, max_epochs=20, batch_size=20, random_state=0, device="cpu")
            found.append(model.fit_transform(table))
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r"n_threads'\] must be a positive integer or None"):
        model.set_params(net_params={"n_threads": 0}).fit(table)


@pytest.mark.parametrize("seed", [0, None])
def test_a_pipelines_memory_shares_the_network_among_candidates(seed, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    table = LesionTable.from_arrays(
        features=rng.normal(size=(24, 3)), patches=rng.normal(size=(24, 1, 8, 8))
    )
    y, fits = np.arange(24) % 2, []
    train = NonRedundantCVAE._train
    monkeypatch.setattr(
        NonRedundantCVAE, "_train", lambda model, *given: fits.append(1) or train(model, *given)
    )

    def scores(memory):
        cvae = NonRedundantCVAE(2, max_epochs=2, random_state=seed, device="cpu")
        pipeline = make_pipeline(cvae, StandardScaler(), LogisticRegression(), memory=memory)
        search = GridSearchCV(
            pipeline, {"logisticregression__C": [0.01, 1.0, 10.0]}, cv=3, error_score="raise"
        )
        found = search.fit(table, y).cv_results_
        return np.array([found[f"split{fold}_test_score"] for fold in range(3)])

    shared = scores(str(tmp_path))
    # One network per fold and one for the refit, instead of one per fold and candidate too.
    assert len(fits) == 3 + 1
    if seed is not None:
        np.testing.assert_array_equal(shared, scores(None))
        assert len(fits) == (3 + 1) + (9 + 1)


def test_times_to_an_event_are_no_labels():
    y = np.array([(True, 1.0), (False, 2.0)] * 8, dtype=[("event", bool), ("time", float)])
    table = LesionTable.from_arrays(patches=np.random.default_rng(0).normal(size=(16, 1, 8, 8)))
    with pytest.raises(ValueError, match="the label term takes no times; set gamma=0"):
        NonRedundantCVAE(2, gamma=0.1, max_epochs=1, device="cpu").fit(table, y)
