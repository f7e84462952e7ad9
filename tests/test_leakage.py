"""Nothing that is learned sees a test row: by spying, by changing test rows, by random labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import CheapNetwork, make_table
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit

from nonredundant import LesionTable, NonRedundantCVAE, compare_feature_sets

PLAIN = {"LR": LogisticRegression(C=0.1)}
LEARNED = ["HCR", "H3", "DLR", "DLR-MI", "HCR+DLR-MI", "H3+D2-MI", "HCR+PCA", "HCR+DLR-residual"]


class SpyNetwork(CheapNetwork):
    """Remembers the cases of every fit."""

    fitted_on: list = []

    def fit(self, X, y=None):
        assert len(y) == len(X)
        self.fitted_on.append(frozenset(X.index))
        return super().fit(X, y)


class SpyEncoder(TransformerMixin, BaseEstimator):
    """Passes a clinical column on and remembers the cases of every fit."""

    fitted_on: list = []

    def fit(self, X, y=None):
        self.fitted_on.append(frozenset(X.index))
        return self

    def transform(self, X):
        return X[["age"]].to_numpy(dtype=float)

    def get_feature_names_out(self, input_features=None):
        return np.array(["age"], dtype=object)


class SpyClassifier(ClassifierMixin, BaseEstimator):
    """Remembers how many rows and which labels every fit had."""

    fitted_on: list = []

    def fit(self, X, y):
        self.fitted_on.append((len(X), int(np.sum(y))))
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


class ReadyExtractor(TransformerMixin, BaseEstimator):
    """Stands in for the extractor: the case table's `image` cells are row numbers of a table."""

    def __init__(self, table=None, clinical=None, n_jobs=None, memory=None, verbose=0):
        self.table = table
        self.clinical = clinical
        self.n_jobs = n_jobs
        self.memory = memory
        self.verbose = verbose

    def __sklearn_clone__(self):
        return ReadyExtractor(self.table, self.clinical)

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        rows = self.table[X["image"].to_numpy()]
        return rows.replace(index=X.index)


def cases_of(table):
    """Return a case table for `ReadyExtractor`."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"image": np.arange(len(table)), "age": rng.normal(60, 10, len(table))}, index=table.index
    )


def test_no_fit_sees_a_test_row():
    table, y = make_table(60)
    for spy in (SpyNetwork, SpyEncoder, SpyClassifier):
        spy.fitted_on.clear()
    found = compare_feature_sets(
        cases_of(table),
        y,
        extractor=ReadyExtractor(table, clinical=SpyEncoder()),
        cvae=SpyNetwork(),
        classifiers={"spy": SpyClassifier()},
        cv=4,
        audit=False,
        random_state=0,
    )
    own = found.predictions[found.predictions["feature_set"] == "Clinical+HCR"]
    folds = own.groupby(["repeat", "fold"])["sample"]
    training = {frozenset(table.index) - frozenset(held) for _, held in folds}
    assert len(training) == 20
    # The test of added information permutes latents of one network of all samples, which sees no
    # labels and makes no prediction.
    everyone = {frozenset(table.index)}
    assert set(SpyNetwork.fitted_on) == training | everyone
    assert set(SpyEncoder.fitted_on) == training | everyone
    # Inner folds hold fewer rows, never more, than the 45 of a training fold.
    assert max(n for n, _ in SpyClassifier.fitted_on) == 45


def parameters_of(found, name):
    """Return what the model of fold 0 has learned, as one array."""
    model = found.models[name, "LR", 0, 0]
    steps = model.named_steps
    parts = [steps["impute"].statistics_, steps["blocks"].mean_, steps["blocks"].scale_]
    return np.concatenate([*parts, steps["classifier"].coef_.ravel()])


@pytest.mark.parametrize(
    ("classifiers", "sets"),
    [(PLAIN, LEARNED), (["LR"], ["H3", "HCR+DLR-MI"])],
    ids=["plain", "tuned"],
)
def test_what_fold_models_learn_does_not_change_with_their_test_rows(classifiers, sets):
    table, y = make_table(60)
    held = np.arange(0, 60, 3)
    where = np.arange(60) % 3
    features, patches = table.features.copy(), table.patches.copy()
    rng = np.random.default_rng(0)
    features.iloc[held] = rng.normal(50, 9, size=(len(held), features.shape[1]))
    patches[held] = rng.normal(7, 3, size=patches[held].shape)
    other = table.replace(features=features, patches=patches)
    labels = y.copy()
    labels[held] = 1 - labels[held]
    runs = [
        compare_feature_sets(
            *pair,
            cvae=CheapNetwork(),
            feature_sets=sets,
            classifiers=classifiers,
            cv=PredefinedSplit(where),
            sampler="smote",
            audit=False,
            n_repeats=1,
            random_state=0,
        )
        for pair in ((table, y), (other, labels))
    ]
    for name in runs[0].settings.feature_sets:
        before, after = (parameters_of(run, name) for run in runs)
        np.testing.assert_array_equal(before, after, err_msg=name)
        # The other folds train on the changed rows: the test would notice.
        third = [run.models[name, "LR", 0, 1].named_steps["blocks"].mean_ for run in runs]
        assert not np.array_equal(*third), name


def mean_auc(table, draws, **settings):
    """Return the mean AUC of each set and classifier over random labels."""
    rng = np.random.default_rng(0)
    found = []
    for seed in range(draws):
        y = rng.permutation(np.arange(len(table)) % 2)
        comparison = compare_feature_sets(
            table, y, audit=False, baselines=False, n_repeats=1, random_state=seed, **settings
        )
        found.append(comparison.summary.set_index(["feature_set", "classifier"])["mean"])
    return pd.concat(found, axis=1).mean(axis=1)


def chance(n, draws):
    """Return three standard errors of the mean AUC of n balanced samples under no effect."""
    return 3 * np.sqrt((n + 1) / (12 * (n / 2) ** 2) / draws)


def test_random_labels_are_not_predicted():
    table, _ = make_table(80, n_noise=60)
    auc = mean_auc(table, 6, cvae=CheapNetwork(), feature_sets=LEARNED, classifiers=PLAIN)
    assert len(auc) == len(LEARNED)
    assert (auc - 0.5).abs().max() < chance(80, 6), auc


def test_random_labels_are_not_predicted_by_tuned_classifiers():
    table, _ = make_table(60, n_noise=40)
    auc = mean_auc(
        table,
        3,
        cvae=CheapNetwork(),
        feature_sets=["H3", "HCR+DLR-MI"],
        classifiers=["LR", "SVM"],
        sampler="smote",
    )
    assert (auc - 0.5).abs().max() < chance(60, 3), auc


def test_random_labels_are_not_predicted_with_the_label_term():
    table, _ = make_table(60)
    network = NonRedundantCVAE(dlr_size=2, gamma=1.0, max_epochs=4, network={"width": 4})
    auc = mean_auc(
        table, 3, cvae=network, feature_sets=["DLR", "HCR+DLR-MI"], classifiers=PLAIN, cv=3
    )
    assert (auc - 0.5).abs().max() < chance(60, 3), auc


def test_random_labels_of_groups_are_predicted_only_where_groups_are_broken_up():
    table, _ = make_table(25, hidden=0, visible=0)
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(25), 4)
    features = table.features.iloc[groups].reset_index(drop=True)
    features += 0.05 * rng.normal(size=features.shape)
    patches = table.patches[groups] + 0.05 * rng.normal(size=(100, 1, 8, 8))
    copies = LesionTable(features, patches=patches.astype(np.float32))
    sets = {"cvae": CheapNetwork(8), "feature_sets": ["HCR+DLR-MI"], "classifiers": PLAIN}
    whole, broken = [], []
    for seed in range(4):
        y = rng.permutation(np.arange(25) % 2)[groups]
        more = {
            "n_repeats": 1,
            "audit": False,
            "baselines": False,
            "random_state": seed,
            **sets,
        }
        whole.append(compare_feature_sets(copies, y, groups=groups, **more).summary["mean"].iloc[0])
        broken.append(compare_feature_sets(copies, y, **more).summary["mean"].iloc[0])
    assert abs(np.mean(whole) - 0.5) < chance(25, 4)
    assert np.mean(broken) > 0.7


@pytest.mark.slow
def test_intervals_cover_chance_for_every_set_and_classifier():
    table, _ = make_table(100, n_noise=30)
    rng = np.random.default_rng(0)
    network = NonRedundantCVAE(dlr_size=4, gamma=1.0, max_epochs=10, network={"width": 4})
    covered = []
    for seed in range(4):
        y = rng.permutation(np.arange(100) % 2)
        found = compare_feature_sets(
            table, y, n_repeats=1, cvae=network, audit=False, random_state=seed
        )
        s = found.summary
        covered += ((s["low"] <= 0.5) & (s["high"] >= 0.5)).tolist()
    assert np.mean(covered) > 0.9
