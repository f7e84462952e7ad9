"""Steps of a fold: written as a newcomer would, right wherever a fold is used."""

from __future__ import annotations

import importlib
import linecache
import os
import sys

import numpy as np
import pandas as pd
import pytest
import skops.io
from cohorts_for_tests import PLAIN, CheapNetwork, compare, make_table
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectKBest
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler, TargetEncoder
from sklearn.svm import SVC

from nonredundant import (
    EncodeClinical,
    Harmonise,
    LesionTable,
    RadiomicsExtractor,
    SelectFeatures,
)
from nonredundant.datasets import make_lesions
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.folds.cohort import Cohort
from nonredundant.folds.feature_sets import parse_feature_set
from nonredundant.folds.fitting import FitOptions
from nonredundant.folds.fold_data import prepare
from nonredundant.folds.fold_model import FoldModel
from nonredundant.folds.networks import LearnTask
from nonredundant.folds.outcome import read_outcome
from nonredundant.folds.patient_level import PatientLevel
from nonredundant.folds.splits import Fold, whole_cohort
from nonredundant.folds.steps import check_steps, fit_steps, sees_labels
from nonredundant.utils.validation import InvalidParameterError

SETS = ["HCR", "HCR+DLR-MI"]


class DivideByCentre(TransformerMixin, BaseEstimator):
    """Divides each feature by its median in the centre, learned on the training samples."""

    def __init__(self, centre="centre"):
        self.centre = centre

    def fit(self, X, y=None):
        centres = X.samples[self.centre].to_numpy()[X.sample]
        medians = X.features.groupby(centres).median()
        self.medians_ = dict(zip(medians.index.tolist(), medians.to_numpy(), strict=True))
        return self

    def transform(self, X):
        centres = X.samples[self.centre].to_numpy()[X.sample]
        values = X.features.to_numpy() / [self.medians_[centre] for centre in centres]
        return X.replace(features=pd.DataFrame(values, X.features.index, X.columns))


def two_centres(factor, n=90, start=0):
    """Return lesions of two centres, the second of which scales its features by a factor."""
    table, y = make_table(n, seed=start)
    centre = np.where(np.arange(n) % 3 == 0, "B", "A")
    features = np.exp(table.features) * np.where(centre == "B", factor, 1.0)[:, None]
    index = [f"c{start}-{i}" for i in range(n)]
    samples = pd.DataFrame({"centre": centre}, index=index)
    return table.replace(features=features, index=index, samples=samples), y


def results_of(factor, memory, **settings):
    """Return all numbers of a comparison and of a model that the scale of a centre may change."""
    table, y = two_centres(factor)
    held = two_centres(factor, 40, start=1)
    found = compare(table, y, test=held, feature_sets=SETS, memory=memory, **settings)
    columns = ["statistic", "p_value"]
    cvae = CheapNetwork()
    steps = settings.get("steps", ())
    model = FeatureSetClassifier("HCR+DLR-MI", cvae=cvae, steps=steps, random_state=0).fit(table, y)
    loaded = skops.io.loads(skops.io.dumps(model), trusted=skops_types(model))
    return {
        "folds": found.cv_predictions["score"].to_numpy(),
        "test set": found.predictions["score"].to_numpy(),
        "added information": found.added_information[columns].to_numpy(),
        "saved model": loaded.predict_proba(held[0]),
    }


def skops_types(model):
    """Return the types of a saved model, all of which are this test's or the package's."""
    return skops.io.get_untrusted_types(data=skops.io.dumps(model))


def test_a_step_is_right_wherever_a_fold_is_used(tmp_path):
    """Divided by its median, a centre has no scale: a factor of 1,024 changes no bit."""
    memory = str(tmp_path)
    raw = results_of(1024.0, memory)
    steps = [DivideByCentre()]
    plain, scaled, again = (
        results_of(factor, memory, steps=steps) for factor in (1.0, 1024.0, 1024.0)
    )
    for name, values in plain.items():
        np.testing.assert_array_equal(values, scaled[name], err_msg=name)
        np.testing.assert_array_equal(again[name], scaled[name], err_msg=name)
        assert not np.allclose(values, raw[name]), name


def test_steps_are_described_in_the_settings():
    table, y = two_centres(2.0)
    found = compare(table, y, feature_sets=["HCR"], steps=[DivideByCentre()])
    assert found.settings.steps == ["DivideByCentre()"]


def noisy_ward(seed, n=120):
    """Return a feature that predicts, and a column of 40 wards that does not."""
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(n, 5))
    y = (rng.uniform(size=n) < 1 / (1 + np.exp(-h[:, 0]))).astype(int)
    frame = pd.DataFrame(h).add_prefix("f")
    samples = pd.DataFrame({"ward": rng.integers(0, 40, n).astype(str)})
    encoder = ColumnTransformer([("ward", TargetEncoder(), ["ward"])])
    return LesionTable(frame, samples=samples), y, EncodeClinical(encoder)


def test_an_encoder_by_the_target_does_not_encode_a_row_by_its_own_label():
    """Fitted, then applied to its own training rows, the encoder told the label: AUC .13 lower."""
    losses = []
    for seed in range(3):
        table, y, step = noisy_ward(seed)
        sets = ["HCR", "Clinical+HCR"]
        found = compare(table, y, feature_sets=sets, steps=[step], classifiers="LR", cv=5)
        mean = found.summary.set_index("feature_set")["mean"]
        losses.append(mean["HCR"] - mean["Clinical+HCR"])
    assert np.mean(losses) < 0.03
    # The encoder draws its splits from NumPy's global generator.
    again = compare(table, y, feature_sets=sets, steps=[step], classifiers="LR", cv=5)
    pd.testing.assert_frame_equal(again.scores, found.scores)


@pytest.mark.filterwarnings("ignore:.*TargetEncoder:FutureWarning")
def test_the_extractor_encodes_training_rows_as_scikit_learn_does():
    cases, y, _ = make_lesions(40, random_state=0)
    wards = np.random.default_rng(0).integers(0, 20, 40).astype(str)
    cases = cases.assign(ward=wards)
    encoder = ColumnTransformer([("ward", TargetEncoder(random_state=0), ["ward"])])
    settings = {"patch_shape": None, "feature_classes": ["shape"]}
    tool = RadiomicsExtractor(**settings, clinical=encoder)
    expected = encoder.fit_transform(cases, y)
    encoded = tool.fit_transform(cases, np.asarray(y)).clinical
    np.testing.assert_allclose(encoded.to_numpy(), expected)


class KnowsLabels(TransformerMixin, BaseEstimator):
    """Adds the label of each sample that it was fitted on, and 0 for any other."""

    def fit(self, X, y):
        self.labels_ = dict(zip(X.index, y, strict=True))
        return self

    def transform(self, X):
        column = [2.0 * self.labels_.get(label, 0.5) - 1 for label in X.index]
        return X.join(pd.DataFrame({"label": column}, index=X.index))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def test_a_step_that_sees_labels_is_fitted_again_in_each_inner_split():
    table, y = make_table(60)
    cohort = Cohort(table, read_outcome(y, None, 60, 0), check_steps([KnowsLabels()], "test"))
    data = prepare(cohort, Fold(0, 0, np.arange(45), np.arange(45, 60), 0))
    assert (data.test.features["label"] == 0).all()
    model = FoldModel(data, PatientLevel(), FitOptions({"roc_auc": None}))
    nested = model.nested(model.represent(parse_feature_set("Clinical+HCR"), graph=False))
    assert len(nested) == len(data.splits)
    for columns, (train, test) in zip(nested, data.splits, strict=True):
        label = columns.base["label"].to_numpy()
        assert (label[train] == 2 * y[:45][train] - 1).all()
        assert (label[test] == 0).all()


class CountingNetwork(CheapNetwork):
    """Stands in for the network, and notes the samples of each fit."""

    fits: list[int] = []

    def fit(self, X, y=None):
        self.fits.append(X.n_samples)
        return super().fit(X, y)


def test_no_network_behind_a_step_that_sees_labels_is_fitted_to_the_whole_cohort():
    table, y = make_table(60)
    for steps, n_whole in (([], 1), ([KnowsLabels()], 0)):
        CountingNetwork.fits.clear()
        found = compare(
            table, y, cvae=CountingNetwork(), feature_sets=["HCR", "HCR+DLR"], steps=steps
        )
        assert CountingNetwork.fits.count(60) == n_whole
        assert len(found.added_information) == 2 + n_whole


class ReadsColumns(CheapNetwork):
    """Stands in for a network whose latents depend on its columns and on their order."""

    def transform(self, X):
        weights = np.random.default_rng(1).normal(size=X.features.shape[1])
        return super().transform(X) + (X.features.to_numpy() @ weights)[:, None]


class StandardFeatures(TransformerMixin, BaseEstimator):
    """Divides each hand-crafted feature by its deviation."""

    def fit(self, X, y=None):
        self.spread_ = X.hcr.std()
        return self

    def transform(self, X):
        return X.replace(features=X.features.assign(**(X.hcr / self.spread_)))


class AddsSquares(TransformerMixin, BaseEstimator):
    """Adds the square of each hand-crafted feature."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X.replace(features=X.features.join((X.hcr**2).add_suffix(" squared")))


@pytest.mark.parametrize("before", [StandardFeatures, AddsSquares])
def test_labels_of_a_selection_do_not_reach_networks(before):
    table, y = make_table(60)
    select = [before(), SelectFeatures("univariate", k=3)]
    found = []
    for labels in (y, np.random.default_rng(0).permutation(y)):
        cohort = Cohort(table, read_outcome(labels, None, 60, 0), check_steps(select, "test"))
        assert cohort.depends_on_labels
        assert not cohort.labels_reach_networks
        data = prepare(cohort, whole_cohort(60, 0))
        variant = parse_feature_set("HCR+DLR").variant
        found.append((list(data.table.hcr), LearnTask(data, variant, ReadsColumns()).run().lesions))
    assert found[0][0] != found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])
    for steps in ([*select, StandardFeatures()], [KnowsLabels(), *select]):
        found = Cohort(table, read_outcome(y, None, 60, 0), check_steps(steps, "test"))
        assert found.labels_reach_networks
    CountingNetwork.fits.clear()
    sets = ["HCR", "HCR+DLR-MI"]
    seen = compare(table, y, cvae=CountingNetwork(), feature_sets=sets, steps=select)
    assert CountingNetwork.fits.count(60) == 1
    assert set(seen.added_information["unit"]) == {"cohort"}
    assert set(seen.added_information["method"]) == {"permutation", "double-residual", "similarity"}


def test_steps_of_pipelines_are_unfolded():
    scaler, select = StandardScaler(), SelectFeatures(k=2)
    inner = Pipeline([("a", scaler), ("nothing", "passthrough"), ("b", make_pipeline(select))])
    found = check_steps([("first", inner), inner, scaler], "test")
    assert [name for name, _ in found] == [
        "first-a",
        "first-b-selectfeatures",
        "a",
        "b-selectfeatures",
        "standardscaler",
    ]
    assert [type(step) for _, step in found] == [StandardScaler, SelectFeatures] * 2 + [
        StandardScaler
    ]
    with pytest.raises(InvalidParameterError, match="Got 'word' at position 1"):
        check_steps(Pipeline([("a", scaler), ("b", "word")]), "test")


def test_what_is_known_of_a_step_is_known_of_it_in_a_pipeline():
    table, y = two_centres(2.0)
    nested = [make_pipeline(Harmonise())]
    with pytest.raises(ValueError, match="cv='centre' holds out centres that the step 'harmonise'"):
        compare(table, y, feature_sets=["HCR"], steps=nested, cv="centre", centre="centre")


def test_whole_numbers_of_an_outcome_are_no_classes_to_a_target_encoder():
    rng = np.random.default_rng(0)
    wards = pd.DataFrame({"ward": rng.choice(list("abc"), 60)})
    table = LesionTable(pd.DataFrame(rng.normal(size=(60, 2))).add_prefix("f"), samples=wards)
    for encoder in (TargetEncoder(), make_pipeline(TargetEncoder())):
        columns = ColumnTransformer([("ward", encoder, ["ward"])])
        steps = [("clinical", EncodeClinical(columns))]
        numbers = read_outcome(rng.integers(0, 8, 60), None, 60, 0, continuous=True)
        pipeline, after = fit_steps(steps, table, numbers.target, 0)
        assert after.clinical.shape[1] == 1
        assert after.clinical.to_numpy().max() > 1
        classes = read_outcome(np.arange(60) % 3, None, 60, 0)
        assert fit_steps(steps, table, classes.target, 0)[1].clinical.shape[1] == 3
    # What was given stays as it was.
    assert columns.transformers[0][1].get_params()["targetencoder__target_type"] == "auto"


class Rows(TransformerMixin, BaseEstimator):
    """Returns what it should not."""

    def __init__(self, what="array"):
        self.what = what

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        if self.what == "lesions":
            twice = np.repeat(np.arange(len(X)), 2)
            return LesionTable(X.features.iloc[twice], sample=twice, samples=X.samples)
        return np.asarray(X) if self.what == "array" else X[1:]


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        ([Rows()], TypeError, "Rows returned ndarray: .* return X.replace"),
        ([Rows("fewer")], ValueError, "steps must keep the samples, but Rows made 59 of 60"),
        ([Rows("lesions")], ValueError, "steps must keep the lesions, but Rows made 120 of 60"),
        ([DivideByCentre("hospital")], ValueError, "reads the column .hospital., which is neither"),
        ("centre", InvalidParameterError, "must be a list of transformers"),
        ([DivideByCentre], InvalidParameterError, "at position 0"),
        ([len], InvalidParameterError, "at position 0"),
    ],
)
def test_what_is_no_step_is_explained(steps, error, message):
    table, y = two_centres(2.0)
    with pytest.raises(error, match=message):
        compare(table, y, feature_sets=["HCR"], steps=steps)


def test_steps_have_names():
    scaler = StandardScaler()
    assert check_steps([scaler, ("mine", scaler), scaler], "test") == [
        ("standardscaler", scaler),
        ("mine", scaler),
        ("standardscaler-2", scaler),
    ]
    assert check_steps(Pipeline([("a", scaler)]), "test") == [("a", scaler)]


def test_voxels_that_no_step_changes_are_not_copied():
    table, y = two_centres(2.0)
    cohort = Cohort(table, read_outcome(y, None, 90, 0), check_steps([DivideByCentre()], "test"))
    data = prepare(cohort, Fold(0, 0, np.arange(0, 90, 2), np.arange(1, 90, 2), 0))
    assert data.table.patches is table.patches
    assert data.table.index.equals(table.index)


def test_groups_may_be_a_column_of_the_samples_and_of_the_test_set():
    table, y = two_centres(1.0)
    wards = np.repeat([f"w{i}" for i in range(30)], 3)
    table = table.replace(samples=table.samples.assign(ward=wards))
    found = compare(table, y, groups="ward", feature_sets=["HCR"])
    for _, part in found.predictions.groupby(
        pd.Series(wards, table.index)[found.predictions["sample"]].to_numpy()
    ):
        assert part["fold"].nunique() == 1
    assert found.settings.grouped
    with pytest.raises(ValueError, match="groups='house' is no column of the cases"):
        compare(table, y, groups="house", feature_sets=["HCR"])


class Shift(TransformerMixin, BaseEstimator):
    """Adds a number to each feature."""

    def __init__(self, by=0.0):
        self.by = by

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X.replace(features=X.features + self.by * np.arange(len(X.features))[:, None])


class Labelled(CountingNetwork):
    """Stands in for a network with a label term."""

    def __init__(
        self, dlr_size=3, *, independence="dcor", output="fused", random_state=None, gamma=1.0
    ):
        super().__init__(
            dlr_size, independence=independence, output=output, random_state=random_state
        )
        self.gamma = gamma


def _with_ages(table, ages):
    return table.join(pd.DataFrame({"age": ages}, index=table.index))


#: What may enter a network, before and after a change of it.
INGREDIENTS = {
    "labels of a label term": lambda table, y: (
        (table, y, {"cvae": Labelled()}),
        (table, np.roll(y, 1), {"cvae": Labelled()}),
    ),
    "clinical columns": lambda table, y: (
        (_with_ages(table, np.arange(60.0)), y, {}),
        (_with_ages(table, np.arange(60.0)[::-1]), y, {}),
    ),
    "masks": lambda table, y: (
        (table, y, {}),
        (table.replace(masks=np.zeros_like(table.masks)), y, {}),
    ),
    "patches": lambda table, y: (
        (table, y, {}),
        (table.replace(patches=table.patches[::-1].copy()), y, {}),
    ),
    "hand-crafted features": lambda table, y: (
        (table, y, {}),
        (table.replace(features=table.features + 1), y, {}),
    ),
    "which lesions are of one sample": lambda table, y: tuple(
        (
            table.replace(
                sample=np.repeat(np.arange(30), counts),
                index=range(30),
                samples=pd.DataFrame(index=range(30)),
                status=["ok"] * 30,
            ),
            y[:30],
            {},
        )
        for counts in (np.repeat(2, 30), np.r_[3, np.repeat(2, 28), 1])
    ),
    "parameters of a step": lambda table, y: (
        (table, y, {"steps": [Shift(1.0)]}),
        (table, y, {"steps": [Shift(2.0)]}),
    ),
    "parameters of the network": lambda table, y: (
        (table, y, {}),
        (table, y, {"cvae": CountingNetwork(2)}),
    ),
    "labels that a step sees": lambda table, y: (
        (table, y, {"steps": [KnowsLabels()]}),
        (table, np.roll(y, 1), {"steps": [KnowsLabels()]}),
    ),
}


@pytest.mark.parametrize("ingredient", INGREDIENTS)
def test_a_network_is_not_served_from_memory_where_what_enters_it_differs(tmp_path, ingredient):
    before, after = INGREDIENTS[ingredient](*make_table(60))
    folds = [(np.arange(0, 20), np.arange(20, 30)), (np.arange(10, 30), np.arange(0, 10))]
    fits = []
    for table, y, changed in (before, before, after):
        CountingNetwork.fits.clear()
        settings = {"cvae": CountingNetwork(), "classifiers": PLAIN, "cv": folds, **changed}
        compare(table, y, feature_sets=["DLR"], memory=str(tmp_path), **settings)
        fits.append(len(CountingNetwork.fits))
    assert fits[0] >= 2
    assert fits[1:] == [0, fits[0]]


def test_labels_that_enter_no_network_do_not_fit_it_again(tmp_path):
    table, y = make_table(60)
    folds = [(np.arange(0, 40), np.arange(40, 60))]
    fits = []
    for labels in (y, np.roll(y, 1)):
        CountingNetwork.fits.clear()
        settings = {"cvae": CountingNetwork(), "cv": folds, "memory": str(tmp_path)}
        compare(table, labels, feature_sets=["DLR"], **settings)
        fits.append(len(CountingNetwork.fits))
    assert fits == [1, 0]


class WithoutVoxels(TransformerMixin, BaseEstimator):
    """Removes patches and masks."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X.replace(patches=None, masks=None)


def test_voxels_that_a_step_removes_stay_removed():
    table, y = two_centres(1.0)
    with pytest.raises(ValueError, match="'DLR' needs patches"):
        compare(table, y, feature_sets=["DLR"], steps=[WithoutVoxels()])


@pytest.mark.parametrize(
    ("estimator", "sees"),
    [
        (SelectKBest(), True),
        (ColumnTransformer([("best", SelectKBest(k=1), ["a"])]), True),
        (StandardScaler(), False),
        (KnowsLabels(), True),
    ],
)
def test_selectors_by_the_outcome_see_it(estimator, sees):
    assert sees_labels(estimator) == sees


class Greedy(TransformerMixin, BaseEstimator):
    """Takes labels without saying so."""

    def fit(self, X, y=None):
        assert y is None
        self.fitted_ = True
        return self

    def transform(self, X):
        return X


def test_what_does_not_say_that_it_sees_labels_is_given_none():
    table, y = two_centres(1.0)
    compare(table, y, feature_sets=["HCR"], steps=[Greedy()])


def test_groups_are_no_clinical_column():
    table, y = two_centres(1.0)
    ages = pd.DataFrame({"age": np.arange(90.0), "site": np.repeat([0, 1, 2], 30)}, table.index)
    table = table.replace(samples=ages)
    encoder = ColumnTransformer([("age", StandardScaler(), ["age"])], remainder="passthrough")
    settings = {"feature_sets": ["Clinical+HCR"], "steps": [EncodeClinical(encoder)]}
    alone, named, given = (
        compare(table, y, **settings, **groups)
        for groups in ({}, {"groups": "site"}, {"groups": np.repeat(list("abc"), 30)})
    )
    columns = [set(found.weights["feature"]) for found in (alone, named, given)]
    assert columns[0] == columns[1] == columns[2]
    assert {"age__age", "remainder__site"} < columns[0]


def test_groups_of_the_test_set_count_without_groups_of_the_cohort():
    table, y = two_centres(1.0)
    held, truth = two_centres(1.0, 40, start=1)
    test = (held, truth, np.repeat(np.arange(20), 2))
    found = compare(table, y, test=test, feature_sets=["HCR", "HCR+DLR"])
    assert set(found.tests["method"]) == {"DeLong, clustered"}


def test_a_test_set_that_lacks_a_column_for_the_steps_is_refused():
    table, y = two_centres(1.0)
    held, truth = two_centres(1.0, 40, start=1)
    bare = held.replace(samples=pd.DataFrame(index=held.index))
    with pytest.raises(ValueError, match=r"the test set lacks the columns \['centre'\]"):
        compare(table, y, test=(bare, truth), feature_sets=["HCR"], steps=[DivideByCentre()])


def test_a_model_takes_columns_in_any_order_and_what_it_encodes_itself():
    table, y = two_centres(4.0)
    ages = {"age": np.linspace(40, 80, 90), "weight": np.cos(np.arange(90.0))}
    table = table.replace(samples=table.samples.assign(**ages))
    steps = [EncodeClinical(["age", "weight"]), DivideByCentre()]
    model = FeatureSetClassifier("HCR", classifier=PLAIN["LR"], steps=steps).fit(table, y)
    expected = model.predict_proba(table)
    turned = table.replace(features=table.features[table.columns[::-1]])
    np.testing.assert_array_equal(model.predict_proba(turned), expected)
    encoded = table.join(table.samples[["weight", "age"]])
    np.testing.assert_array_equal(model.predict_proba(encoded), expected)


def test_paths_in_the_description_of_steps_are_left_out_of_anonymous_results():
    table, y = two_centres(1.0)
    steps = [DivideByCentre("/home/doe/case.csv")]
    table = table.replace(samples=table.samples.set_axis(["/home/doe/case.csv"], axis=1))
    found = compare(table, y, feature_sets=["HCR"], steps=steps)
    assert "doe" in found.settings.steps[0]
    assert "doe" not in found.anonymised().settings.steps[0]


class ReadsHeight(DivideByCentre):
    """Reads a column that is not there."""

    def transform(self, X):
        return X.replace(features=X.features.div(X.samples["height"].to_numpy(), axis=0))


def test_a_column_that_a_step_misses_is_named_with_those_that_are_there():
    table, y = two_centres(2.0)
    for step in (ReadsHeight(), DivideByCentre("height")):
        with pytest.raises(ValueError, match=r"reads the column 'height', which .*\['centre'\]"):
            compare(table, y, feature_sets=["HCR"], steps=[step])


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"steps": [FunctionTransformer(lambda X: X)]}, "the step 'functiontransformer'"),
        (
            {"steps": [EncodeClinical(FunctionTransformer(lambda X: X[[]]))]},
            "the step 'encodeclinical'",
        ),
        ({"classifiers": {"own": make_pipeline(FunctionTransformer(lambda X: X), SVC())}}, "'own'"),
        ({"scoring": lambda model, X, y: 1.0}, "the scorer"),
    ],
)
def test_a_function_without_a_name_cannot_find_what_memory_keeps(settings, part, tmp_path):
    table, y = two_centres(2.0)
    with pytest.raises(InvalidParameterError, match=rf"{part}.* has none.*function of a module"):
        compare(table, y, feature_sets=["HCR"], memory=str(tmp_path), **settings)
    if "steps" in settings:
        compare(table, y, feature_sets=["HCR"], **settings)


STEP = """
from sklearn.base import BaseEstimator, TransformerMixin

class Shift(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.replace(features={features})
"""


def test_a_step_whose_code_was_changed_is_not_taken_from_memory(tmp_path, monkeypatch):
    table, y = two_centres(2.0)
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for number, features in enumerate(["X.features", "X.features.rank()"]):
        path = tmp_path / "own_step.py"
        path.write_text(STEP.format(features=features))
        # Python compares files by their time in seconds.
        os.utime(path, (number, number))
        linecache.clearcache()
        sys.modules.pop("own_step", None)
        step = importlib.import_module("own_step").Shift()
        memory = str(tmp_path / "kept")
        settings = {"feature_sets": ["HCR"], "steps": [step]}
        kept = compare(table, y, memory=memory, **settings).scores["score"]
        assert kept.tolist() == compare(table, y, **settings).scores["score"].tolist()
        found.append(kept.tolist())
    assert found[0] != found[1]
