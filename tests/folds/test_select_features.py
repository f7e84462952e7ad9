"""Selection of features: what is chosen, learned in the fold alone, and known all the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import TIMES, compare
from scipy.stats import f_oneway, spearmanr
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from nonredundant import Harmonise, LesionTable, SelectFeatures
from nonredundant.folds.cohort import Cohort
from nonredundant.folds.feature_sets import parse_feature_set
from nonredundant.folds.fold_data import prepare
from nonredundant.folds.networks import network_input, selected_columns
from nonredundant.folds.outcome import read_outcome
from nonredundant.folds.patient_level import PatientLevel, resolve_patients
from nonredundant.folds.select_features import METHODS
from nonredundant.folds.splits import Fold
from nonredundant.folds.steps import apply_steps, sees_labels

each_method = pytest.mark.parametrize("method", METHODS)


def radiomics(n=80, seed=0):
    """Return two features that predict, copies of the first, and noise; clinical and deep ones."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, n))
    y = (1.5 * first + second + 0.3 * rng.normal(size=n) > 0).astype(int)
    frame = pd.DataFrame(
        {
            "noise0": rng.normal(size=n),
            "first": first,
            "copy": first + 0.01 * rng.normal(size=n),
            "noise1": rng.normal(size=n),
            "second": second,
            "noise2": rng.normal(size=n),
            "constant": 1.0,
        }
    )
    deep = pd.DataFrame(rng.normal(size=(n, 3)))
    table = LesionTable(frame, embeddings={"Deep": deep})
    return table.join(pd.DataFrame({"age": rng.normal(60, 9, n)})), y


@each_method
def test_features_that_predict_are_chosen_and_other_blocks_stay(method):
    table, y = radiomics()
    step = SelectFeatures(method, k=4 if method == "correlation" else 2, random_state=0)
    found = step.fit(table, y).transform(table)
    assert list(found.hcr) == [name for name in table.hcr if name in step.columns_]
    assert list(found.clinical) == ["age"]
    assert found.embeddings["Deep"].shape == (80, 3)
    chosen = set(step.columns_)
    assert "constant" not in chosen
    assert not {"first", "copy"} <= chosen or method in ("lasso", "boruta")
    assert {"first", "copy"} & chosen
    assert step.scores_.keys() == set(table.hcr) - {"constant"}
    if method in ("mrmr", "univariate"):
        assert "second" in chosen
    names = step.get_feature_names_out()
    assert list(names) == list(found.columns)


def test_mrmr_is_the_quotient_of_relevance_and_redundancy_feature_by_feature():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 12)) + rng.normal(size=(50, 12))
    y = (values[:, 0] + rng.normal(size=50) > 0).astype(int)
    names = [f"x{i}" for i in range(12)]
    table = LesionTable(pd.DataFrame(values, columns=names))
    ranks = pd.DataFrame(values, columns=names).rank()
    relevance = {one: f_oneway(*(ranks[one][y == c] for c in (0, 1))).statistic for one in names}
    expected = [max(names, key=relevance.get)]
    while len(expected) < 6:
        rest = [one for one in names if one not in expected]
        redundancy = {
            one: np.mean([abs(spearmanr(ranks[one], ranks[other])[0]) for other in expected])
            for one in rest
        }
        expected.append(max(rest, key=lambda one: relevance[one] / redundancy[one]))
    step = SelectFeatures("mrmr", k=6).fit(table, y)
    assert step.columns_ == expected
    assert step.scores_ == pytest.approx(relevance)


@pytest.mark.parametrize("method", ["mrmr", "univariate", "correlation"])
def test_ranks_decide_and_neither_units_nor_the_order_of_rows(method):
    table, y = radiomics()
    other = table.replace(features=table.features.transform(lambda x: np.exp(x / 10)))
    order = np.random.default_rng(0).permutation(len(y))
    step = SelectFeatures(method, k=3).fit(table, y)
    assert SelectFeatures(method, k=3).fit(other, y).columns_ == step.columns_
    assert SelectFeatures(method, k=3).fit(table[order], y[order]).columns_ == step.columns_


def test_correlation_keeps_one_of_each_group_and_looks_at_no_label():
    table, y = radiomics()
    step = SelectFeatures("correlation")
    assert not sees_labels(step)
    assert sees_labels(SelectFeatures("lasso"))
    assert sees_labels(SelectFeatures(SelectKBest(k=2)))
    assert not sees_labels(SelectFeatures(VarianceThreshold()))
    columns = step.fit(table).columns_
    assert len(columns) == 5
    assert len({"first", "copy"} & set(columns)) == 1
    assert SelectFeatures("correlation").fit(table, 1 - y).columns_ == columns


def test_several_lesions_are_judged_by_their_means_and_gaps_filled():
    table, y = radiomics()
    gaps = table.features.mask(np.random.default_rng(2).uniform(size=table.features.shape) < 0.1)
    twice = LesionTable(
        pd.concat([gaps + 5, gaps - 5]).sort_index(kind="stable"),
        blocks=table.blocks,
        sample=np.repeat(np.arange(80), 2),
    )
    one = SelectFeatures("mrmr", k=3).fit(table.replace(features=gaps), y)
    assert SelectFeatures("mrmr", k=3).fit(twice, y).columns_ == one.columns_


@pytest.mark.parametrize("method", ["mrmr", "lasso"])
def test_times_are_selected_for_by_their_martingale_residuals(method):
    table, _ = radiomics()
    hazard = np.exp(2 * table.hcr["second"].to_numpy())
    y = np.empty(80, dtype=TIMES)
    y["event"], y["time"] = True, np.random.default_rng(0).exponential(1 / hazard)
    assert SelectFeatures(method, k=1, random_state=0).fit(table, y).columns_ == ["second"]


def test_three_classes_share_one_selection():
    table, _ = radiomics()
    y = np.digitize(table.hcr["second"], [-0.4, 0.4])
    for method in ("mrmr", "lasso"):
        assert SelectFeatures(method, k=1, random_state=0).fit(table, y).columns_ == ["second"]


def test_selectors_of_scikit_learn_choose_among_imputed_columns():
    table, y = radiomics()
    step = SelectFeatures(SelectKBest(k=2)).fit(table, y)
    assert set(step.columns_) <= {"first", "copy", "second"}
    assert step.selector_.n_features_in_ == 6
    assert step.scores_["first"] > step.scores_["noise0"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (SelectFeatures(SelectKBest(k=2), k=3), "k=3 is for methods by name"),
        (SelectFeatures("mrmr"), None),
        (SelectFeatures(VarianceThreshold(9.0)), None),
    ],
)
def test_wrong_use_is_explained(step, message):
    table, y = radiomics()
    if message is not None:
        with pytest.raises(ValueError, match=message):
            step.fit(table, y)
        return
    with pytest.raises(ValueError, match="requires y to be passed|No feature in X meets"):
        step.fit(table)
    with pytest.raises(ValueError, match="one class|No feature in X meets"):
        step.fit(table, np.zeros(80))


def test_what_cannot_be_selected_from_or_differs_from_fit_is_told():
    table, y = radiomics()
    flat = table.replace(features=table.features.assign(**dict.fromkeys(table.hcr, 1.0)))
    with pytest.raises(ValueError, match="none of the 7 hand-crafted columns varies"):
        SelectFeatures().fit(flat, y)
    step = SelectFeatures(k=2).fit(table, y)
    with pytest.raises(ValueError, match=r"Missing: \['noise0'\]"):
        step.transform(table.replace(features=table.features.drop(columns="noise0")))


# In a fold ---------------------------------------------------------------------------------


def fold_of(table, y, *steps, n_test=20):
    """Return a fold that holds out the last samples, after its steps."""
    n = len(y)
    fold = Fold(0, 0, np.arange(n - n_test), np.arange(n - n_test, n), 0)
    cohort = Cohort(table, read_outcome(y, None, n, 0), [(f"s{i}", s) for i, s in enumerate(steps)])
    return prepare(cohort, fold)


@each_method
def test_held_out_rows_change_nothing_that_is_selected(method):
    table, y = radiomics()
    step = SelectFeatures(method, k=3)
    changed = table.features.copy()
    changed.iloc[60:] = np.random.default_rng(5).normal(size=changed.iloc[60:].shape) * 9
    flipped = np.r_[y[:60], 1 - y[60:]]
    one = fold_of(table, y, step)
    other = fold_of(table.replace(features=changed), flipped, step)
    assert one.pipeline["s0"].columns_ == other.pipeline["s0"].columns_
    assert one.pipeline["s0"].scores_ == other.pipeline["s0"].scores_
    pd.testing.assert_frame_equal(one.train.hcr, other.train.hcr)


def test_what_is_left_out_is_known_to_networks_and_tests_but_not_to_classifiers_or_steps():
    class Looks(SelectFeatures):
        """Keeps what it was given in mind."""

        def fit(self, X, y=None):
            self.seen_ = list(X.columns)
            return super().fit(X, y)

    table, y = radiomics()
    data = fold_of(table, y, SelectFeatures("mrmr", k=3), Looks("mrmr", k=2))
    assert len(data.table.hcr.columns) == 2
    assert set(data.table.columns_of("left out")) == set(table.hcr) - set(data.table.hcr)
    assert len(data.pipeline["s1"].seen_) == 3 + 1 + 3
    known = PatientLevel().known(data.table)
    assert set(known) == {*table.hcr, "age"}
    pd.testing.assert_series_equal(known["noise2"], table.hcr["noise2"])
    variant = parse_feature_set("D2-MI").variant
    assert set(network_input(data.table, selected_columns(variant, data)).hcr) == set(table.hcr)
    new = apply_steps(data.pipeline, table[:3])
    assert set(new.columns_of("left out")) == set(data.table.columns_of("left out"))
    pooled = resolve_patients(["max", "volume"])
    volumes = table.replace(
        features=table.features.rename(columns={"noise1": "original_shape_VoxelVolume"})
    )
    data = fold_of(volumes, y, SelectFeatures("mrmr", k=1))
    assert len(pooled.pooled(data.table).hcr.columns) == 2


def test_a_latent_that_equals_a_feature_that_was_left_out_is_not_claimed_as_new():
    rng = np.random.default_rng(0)
    n = 120
    chosen, dropped = rng.normal(size=(2, n))
    y = (2 * chosen + 1.5 * dropped + 0.5 * rng.normal(size=n) > 0).astype(int)
    deep = pd.DataFrame({"d": dropped, "e": dropped + rng.normal(size=n)})
    frame = pd.DataFrame({"chosen": chosen, "dropped": dropped})
    steps = [SelectFeatures("mrmr", k=1)]
    claims = []
    for features in (frame, frame.assign(dropped=rng.normal(size=n))):
        table = LesionTable(features, embeddings={"E": deep})
        found = compare(table, y, feature_sets=["HCR", "HCR+E"], steps=steps)
        assert set(found.weights.query("feature_set == 'HCR'")["feature"]) == {"chosen"}
        claims.append(found.added_information["p_value"].max() < 0.05)
    assert claims == [False, True]


def test_random_labels_are_not_predicted_by_features_selected_for_them():
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(4):
        table = LesionTable(pd.DataFrame(rng.normal(size=(50, 200))).add_prefix("f"))
        y = np.arange(50) % 2
        steps = [SelectFeatures("mrmr", k=5)]
        own = {"LR": LogisticRegression()}
        found = compare(table, y, feature_sets=["HCR"], classifiers=own, steps=steps)
        scores.append(found.summary["mean"].iloc[0])
    assert abs(np.mean(scores) - 0.5) < 0.12


def test_how_often_a_feature_is_chosen_is_in_the_tables_the_files_and_the_report(tmp_path):
    table, y = radiomics()
    found = compare(
        table,
        y,
        feature_sets=["HCR"],
        steps=Pipeline([("pick", SelectFeatures("mrmr", k=2)), ("all", SelectFeatures("mrmr"))]),
    )
    own = found.selected.set_index("feature")
    assert set(own["step"]) == {"pick"}
    assert own["n_chosen"].sum() == 2 * 3
    assert own.loc["second", "share"] > 0.5
    row = found.selection_stability.iloc[0]
    assert (row["step"], row["n_features"], row["fewest"], row["most"]) == ("pick", 7, 2, 2)
    assert row["low"] <= row["stability"] <= row["high"]
    found.to_csv(tmp_path)
    assert len(pd.read_csv(tmp_path / "selected.csv")) == len(own)
    page = found.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'id="figure-selection"' in page
    assert "How often each feature was chosen" in page
    without = compare(table, y, feature_sets=["HCR"])
    assert without.selected.empty
    assert without.selection_stability.empty


def test_principal_components_are_no_selector():
    with pytest.raises(ValueError, match="method"):
        SelectFeatures(PCA()).fit(*radiomics())


@pytest.mark.parametrize("method", ["mrmr", "lasso", "boruta"])
def test_whole_numbers_are_numbers_if_they_are_floats(method):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 12))).add_prefix("f")
    days = np.round(60 + 10 * (2 * frame["f3"] + 1.5 * frame["f7"] + rng.normal(size=80)))
    step = SelectFeatures(method, k=2, random_state=0).fit(LesionTable(frame), days.to_numpy())
    assert set(step.columns_) == {"f3", "f7"}


def test_columns_need_no_names_of_text():
    rng = np.random.default_rng(0)
    table = LesionTable(pd.DataFrame(rng.normal(size=(40, 5))))
    found = SelectFeatures("mrmr", k=2).fit(table, np.tile([0, 1], 20)).transform(table)
    assert found.hcr.shape == (40, 2)


def test_a_second_selection_is_judged_among_what_it_was_given():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(60, 40))).add_prefix("f")
    steps = [
        ("first", SelectFeatures("correlation", k=10)),
        ("second", SelectFeatures("univariate", k=4)),
    ]
    y = np.tile([0, 1], 30)
    found = compare(LesionTable(frame), y, feature_sets=["HCR"], steps=Pipeline(steps))
    chosen = found.selected.groupby("step")["feature"].nunique()
    second = found.selection_stability.set_index("step").loc["second"]
    # Of what the first one chose in any fold, not of all forty.
    assert chosen["second"] <= second["n_features"] == chosen["first"] < 40


def test_a_gain_over_a_selection_is_called_so():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 4))).add_prefix("f")
    y = (frame.sum(axis=1) > 0).astype(int).to_numpy()
    table = LesionTable(frame, embeddings={"Copy": frame.add_prefix("e")})
    steps = [SelectFeatures("univariate", k=1)]
    found = compare(table, y, feature_sets=["HCR", "HCR+Copy"], steps=steps)
    assert "a selection of the hand-crafted features (not than all of them)" in found.answer()


@pytest.mark.filterwarnings("ignore:centres with fewer than 10", "ignore:Harmonise leaves samples")
def test_steps_before_one_that_sees_labels_are_not_fitted_to_inner_splits():
    seen = []

    class Counting(Harmonise):
        def fit_transform(self, X, y=None):
            seen.append(len(X))
            return super().fit_transform(X, y)

    table, y = radiomics(60)
    centre = pd.DataFrame({"centre": np.repeat(["A", "B", "C"], [30, 28, 2])}, index=table.index)
    found = compare(
        table.replace(samples=centre),
        y[:60],
        feature_sets=["HCR"],
        steps=[Counting(unseen="reference"), SelectFeatures("mrmr", k=2)],
        cv=3,
    )
    assert seen == [40, 40, 40]
    assert found.scores["score"].notna().all()
