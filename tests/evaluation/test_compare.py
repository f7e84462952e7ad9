from __future__ import annotations

import json
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import CheapNetwork, NoiseNetwork, make_table
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    RepeatedStratifiedKFold,
    StratifiedShuffleSplit,
)

from nonredundant import LesionTable, NonRedundantCVAE, compare_feature_sets
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.evaluation.blocks import BlockScaler
from nonredundant.evaluation.feature_sets import (
    Selection,
    parse_feature_set,
    pick_columns,
    references,
    resolve_feature_sets,
    set_clinical_apart,
)
from nonredundant.evaluation.folds import inner_splits, make_folds
from nonredundant.evaluation.tuning import prefer_base
from nonredundant.lesions.measures import size_and_uptake
from nonredundant.models.baselines import PatchPCA, Residualiser, flat_patches

PLAIN = {"LR": LogisticRegression(C=0.1)}


class Fragile(CheapNetwork):
    """Breaks at its fourth fit, as an interrupted run does."""

    fits = 0

    def fit(self, X, y=None):
        type(self).fits += 1
        if type(self).fits == 4:
            raise KeyboardInterrupt
        return super().fit(X, y)


def compare(table, y, **settings):
    """Compare with cheap settings that a test may override."""
    defaults = {
        "cvae": CheapNetwork(),
        "classifiers": PLAIN,
        "baselines": False,
        "audit": False,
        "random_state": 0,
        "cv": 3,
    }
    return compare_feature_sets(table, y, **{**defaults, **settings})


@pytest.fixture(scope="module")
def cohort():
    return make_table()


@pytest.fixture(scope="module")
def found(cohort):
    return compare(*cohort, baselines=True, n_repeats=2, scoring=["roc_auc", "balanced_accuracy"])


# Names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "selection", "kind", "term", "size"),
    [
        ("HCR", Selection(), None, None, None),
        ("H8", Selection((), 8), None, None, None),
        ("DLR", None, "vae", False, None),
        ("D16-MI", None, "vae", True, 16),
        ("HCR+DLR-MI", Selection(), "vae", True, None),
        ("H8+D16", Selection((), 8), "vae", False, 16),
        ("HCR+PCA", Selection(), "pca", False, None),
        ("HCR+DLR-residual", Selection(), "residual", False, None),
        ("PCA32", None, "pca", False, 32),
        ("Clinical", None, None, None, None),
        ("Clinical+H8", Selection((), 8), None, None, None),
        ("Clinical+DLR-MI", None, "vae", True, None),
    ],
)
def test_names_are_read(name, selection, kind, term, size):
    one = parse_feature_set(name)
    assert one.selection == selection
    if kind is None:
        assert one.variant is None
    else:
        assert (one.variant.kind, one.variant.term, one.variant.size) == (kind, term, size)


@pytest.mark.parametrize(
    "name", ["", "+", "HCR+", "+DLR", "DLR+HCR", "HCRDLR", "foo", "HCR-MI", "Clinical+"]
)
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match="unknown feature set"):
        parse_feature_set(name)


def test_sets_are_tested_against_hcr_and_against_the_fused_set_without_the_term():
    sets = resolve_feature_sets(["HCR", "DLR", "HCR+DLR", "HCR+DLR-MI"], baselines=True)
    against = {one.name: references(sets, one) for one in sets}
    assert against["HCR"] == []
    assert against["HCR+DLR-MI"] == ["HCR", "HCR+DLR"]
    assert against["HCR+DLR"] == ["HCR"]
    assert against["HCR+PCA"] == ["HCR", "HCR+DLR"]
    assert against["volume"] == ["HCR"]


def test_a_fused_set_of_few_columns_is_tested_against_the_same_few():
    sets = resolve_feature_sets(["H8", "H32", "H32+D32"], baselines=False)
    assert references(sets, sets[2]) == ["H32"]


def test_clinical_sets_are_tested_against_what_the_clinic_knows():
    names = ["HCR", "Clinical", "Clinical+HCR", "Clinical+DLR-MI", "Clinical+HCR+DLR-MI"]
    sets = set_clinical_apart(resolve_feature_sets(names, baselines=True))
    against = {one.name: references(sets, one) for one in sets}
    assert against["HCR"] == against["Clinical"] == []
    assert against["Clinical+HCR"] == against["Clinical+DLR-MI"] == ["Clinical"]
    assert against["Clinical+HCR+DLR-MI"] == ["Clinical+HCR"]
    assert against["HCR+PCA"] == ["HCR"]
    assert [one.name for one in sets if one.clinical] == names[1:]


def test_picked_columns_are_strong_and_no_copies_of_each_other():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 50)
    strong = y + 0.5 * rng.normal(size=100)
    frame = pd.DataFrame(
        {
            "noise": rng.normal(size=100),
            "constant": 1.0,
            "strong": strong,
            "copy": np.exp(strong),
            "weak": y + 1.5 * rng.normal(size=100),
        }
    )
    assert pick_columns(frame, y, 2) == ["strong", "weak"]
    assert set(pick_columns(frame, y, 4)) == {"noise", "strong", "copy", "weak"}


def test_volume_and_maximum_come_from_the_patches_where_no_feature_tells():
    patches = np.zeros((2, 1, 8, 8), dtype=np.float32)
    masks = np.zeros_like(patches, dtype=bool)
    masks[0, 0, :2, :3] = True
    masks[1, 0, 0, 0] = True
    patches[0, 0, 1, 1], patches[0, 0, 7, 7], patches[1, 0, 0, 0] = 4, 9, -2
    table = LesionTable.from_arrays(patches=patches, masks=masks, spacing=[2.0, 0.5])
    expected = pd.DataFrame({"volume": [6.0, 1.0], "maximum": [4.0, -2.0]})
    pd.testing.assert_frame_equal(size_and_uptake(table), expected, check_dtype=False)


def test_volumes_of_lesions_add_up_and_maxima_do_not():
    features = pd.DataFrame(
        {"original_shape_VoxelVolume": [1.0, 2.0, 5.0], "original_firstorder_Maximum": [7, 3, 4.0]}
    )
    table = LesionTable(features, sample=[0, 0, 1])
    assert size_and_uptake(table).to_numpy().tolist() == [[3.0, 7.0], [5.0, 4.0]]


# Folds -----------------------------------------------------------------------------------------


def test_folds_hold_each_sample_out_once_a_repeat_and_are_stratified():
    y = np.repeat([0, 1], [40, 20])
    folds = make_folds(y, cv=4, n_repeats=3)
    for repeat in range(3):
        held = np.concatenate([f.test for f in folds if f.repeat == repeat])
        assert sorted(held) == list(range(60))
    assert all(y[f.test].sum() == 5 for f in folds)
    assert len({f.seed for f in folds}) == 12


def test_groups_stay_together_at_both_levels():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 30, 120)
    y = (rng.random(30) < 0.5).astype(int)[groups]
    for fold in make_folds(y, cv=3, n_repeats=2, groups=groups):
        assert not set(groups[fold.train]) & set(groups[fold.test])
        inner = groups[fold.train]
        for train, test in inner_splits(y[fold.train], inner, fold.seed):
            assert not set(inner[train]) & set(inner[test])


def test_a_splitter_that_breaks_groups_up_is_refused():
    y = np.tile([0, 1], 20)
    groups = np.arange(40) // 4
    with pytest.raises(ValueError, match="groups .* are on both sides"):
        make_folds(y, cv=KFold(5, shuffle=True, random_state=0), groups=groups)
    assert len(make_folds(y, cv=GroupKFold(5), groups=groups)) == 5


def test_repeats_of_a_splitter_are_told_apart():
    y = np.tile([0, 1], 20)
    folds = make_folds(y, cv=RepeatedStratifiedKFold(n_splits=4, n_repeats=2, random_state=0))
    assert [(f.repeat, f.fold) for f in folds] == [(r, k) for r in range(2) for k in range(4)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cv": 1}, "cv must be at least 2"),
        ({"cv": 8}, "rarest class has 5 samples but cv=8"),
        ({"cv": 3, "groups": np.repeat([0, 1], [35, 5])}, "rarest class has 1 groups"),
        ({"cv": KFold(8)}, "lacks class"),
    ],
)
def test_folds_that_cannot_be_scored_are_refused(settings, message):
    y = np.repeat([0, 1], [35, 5])
    with pytest.raises(ValueError, match=message):
        make_folds(y, **settings)


# Classifiers -----------------------------------------------------------------------------------


def test_a_learned_block_must_win_by_a_standard_error():
    weights = np.array([0.0, 1.0])
    rng = np.random.default_rng(0)
    base = 0.7 + 0.1 * rng.normal(size=10)
    clear = np.column_stack([base, base + 0.1 + 0.02 * rng.normal(size=10)])
    noisy = np.column_stack([base, base + 0.01 + 0.1 * rng.normal(size=10)])
    assert prefer_base(clear, weights) == 1
    assert noisy[:, 1].mean() > noisy[:, 0].mean()
    assert prefer_base(noisy, weights) == 0


def test_without_a_learned_block_the_best_setting_wins():
    assert prefer_base(np.array([[0.5, 0.9, 0.6]]), np.ones(3)) == 1


def test_scaler_leaves_constant_columns_at_zero_even_where_rounding_gives_them_a_spread():
    X = np.column_stack([np.full(30, 0.1), np.arange(30.0)])
    new = np.array([[0.1 + 1e-9, 3.0]])
    assert abs(BlockScaler().fit(X).transform(new)[0, 0]) < 1e-6


def test_noise_beside_many_correlated_features_costs_nothing():
    rng = np.random.default_rng(1)
    gains, naive = [], []
    for seed in range(2):
        factors = rng.normal(size=(51, 6))
        y = (factors[:, 0] + 0.7 * rng.normal(size=51) > 0.3).astype(int)
        hcr = factors @ rng.normal(size=(6, 107)) + 0.5 * rng.normal(size=(51, 107))
        patches = rng.normal(size=(51, 1, 8, 8)).astype(np.float32)
        table = LesionTable(pd.DataFrame(hcr).add_prefix("h"), patches=patches)
        settings = {"cvae": NoiseNetwork(16), "feature_sets": ["HCR", "HCR+DLR"], "cv": 5}
        robust = compare(table, y, classifiers="LR", random_state=seed, **settings)
        gains.append(robust.tests["estimate"].iloc[0])
        plain = compare(table, y, classifiers=PLAIN, random_state=seed, **settings)
        naive.append(plain.tests["estimate"].iloc[0])
    assert np.mean(gains) >= -0.01
    assert np.mean(naive) < np.mean(gains)


def test_a_block_that_tells_something_is_used(cohort):
    found = compare(*cohort, classifiers=["LR", "SVM"], feature_sets=["HCR", "HCR+DLR"])
    used = found.choices[found.choices["feature_set"] == "HCR+DLR"]["block_weight"]
    assert (used > 0).mean() > 0.6
    assert (found.tests["estimate"] > 0.05).all()


@pytest.mark.parametrize("classifier", ["SVM", "RF"])
def test_built_in_classifiers_rank_and_give_probabilities(cohort, classifier):
    found = compare(*cohort, classifiers=classifier, feature_sets=["HCR+DLR"])
    assert found.summary["mean"].iloc[0] > 0.7
    assert found.predictions["score"].between(0, 1).all()
    threshold = found.choices["threshold"]
    assert threshold.between(0, 1).all()


@pytest.mark.parametrize("sampler", ["smote", "over", "under"])
def test_samplers_change_training_rows_only(cohort, sampler):
    table, y = cohort
    keep = np.flatnonzero((y == 0) | (np.arange(len(y)) % 3 == 0))
    found = compare(table[keep], y[keep], feature_sets=["HCR"], sampler=sampler)
    assert len(found.predictions) == len(keep)


def test_class_weight_reaches_the_classifier_but_does_not_override_the_users(cohort):
    balanced = compare(*cohort, feature_sets=["HCR"], class_weight="balanced")
    model = balanced.models["HCR", "LR", 0, 0].named_steps["classifier"]
    assert model.class_weight == "balanced"
    own = {"LR": LogisticRegression(class_weight={0: 1, 1: 2})}
    kept = compare(*cohort, classifiers=own, feature_sets=["HCR"], class_weight="balanced")
    assert kept.models["HCR", "LR", 0, 0].named_steps["classifier"].class_weight == {0: 1, 1: 2}


def test_classifiers_of_the_users_own(cohort):
    boosted = GradientBoostingClassifier(n_estimators=5)
    found = compare(*cohort, classifiers=["LR", boosted], feature_sets=["HCR"])
    assert found.settings.classifiers == ["LR", "GradientBoostingClassifier"]


# The comparison --------------------------------------------------------------------------------


def test_tables_have_the_documented_columns(found):
    pair = ["feature_set", "classifier"]
    assert list(found.scores) == [*pair, "repeat", "fold", "metric", "score"]
    assert list(found.summary) == [*pair, "metric", "mean", "sd", "low", "high"]
    assert list(found.tests)[:4] == ["feature_set", "reference", "classifier", "metric"]
    assert list(found.tests)[4:] == ["estimate", "low", "high", "p_value", "p_holm", "method"]
    head = ["sample", "repeat", "fold", "feature_set", "classifier", "y", "score"]
    assert list(found.predictions) == head
    assert list(found.redundancy)[:2] == ["feature_set", "method"]


def test_default_sets_and_baselines_are_all_there(found):
    assert list(found.scores["feature_set"].unique()) == [
        "HCR",
        "DLR",
        "DLR-MI",
        "HCR+DLR",
        "HCR+DLR-MI",
        "volume",
        "max intensity",
        "volume + max intensity",
        "HCR+PCA",
        "HCR+DLR-residual",
    ]


def test_intervals_end_where_scores_end(found):
    summary = found.summary
    assert summary["low"].between(0, summary["mean"]).all()
    assert summary["high"].between(summary["mean"], 1).all()


def test_scores_are_those_of_the_predictions(found):
    for (name, repeat, fold), group in found.predictions.groupby(["feature_set", "repeat", "fold"]):
        s = found.scores
        row = s[(s["feature_set"] == name) & (s["repeat"] == repeat) & (s["fold"] == fold)]
        expected = row[row["metric"] == "roc_auc"]["score"].iloc[0]
        assert roc_auc_score(group["y"], group["score"]) == pytest.approx(expected)


def test_each_sample_is_predicted_once_a_repeat(found, cohort):
    counts = found.predictions.groupby(["feature_set", "sample"]).size()
    assert (counts == 2).all()
    assert set(found.predictions["sample"]) == set(cohort[0].index)


def test_paired_differences_are_those_of_the_scores(found):
    wide = found.scores.pivot(
        index=["repeat", "fold"], columns=["feature_set", "metric"], values="score"
    )
    for row in found.tests.itertuples():
        difference = wide[row.feature_set, row.metric] - wide[row.reference, row.metric]
        assert difference.mean() == pytest.approx(row.estimate)
        assert row.low <= row.estimate <= row.high
        assert row.p_holm >= row.p_value


def test_hidden_signal_is_a_gain_that_is_said(found):
    answer = found.answer()
    assert answer.startswith("The deep features raised the AUC")
    assert "HCR+DLR-MI" in answer
    assert "95 % interval" in answer
    assert "p = " in answer or "p < 0.001" in answer


def test_no_gain_is_said_as_such():
    table, y = make_table(hidden=0.0, visible=4.0)
    sets = ["HCR", "HCR+DLR-MI"]
    found = compare(table, y, cvae=NoiseNetwork(), classifiers="LR", feature_sets=sets)
    assert found.answer().startswith("There is no evidence of a gain from the deep features")


def test_overlapping_test_folds_have_no_pooled_test(cohort):
    found = compare(*cohort, cv=StratifiedShuffleSplit(3, test_size=0.4, random_state=0))
    assert found.pooled_tests.empty
    assert found.tests["p_value"].notna().any()


def test_one_fold_allows_no_test_and_says_so(cohort):
    found = compare(*cohort, cv=StratifiedShuffleSplit(1, test_size=0.4, random_state=0))
    assert found.answer().startswith("One fold allows no test")
    assert "nan" not in found.answer()


def test_an_audit_of_each_learned_block_on_held_out_folds():
    table, y = make_table(150)
    found = compare(table, y, audit=("dcor",), feature_sets=["DLR", "HCR+DLR-MI", "HCR+PCA"])
    assert set(found.redundancy["feature_set"]) == {"DLR", "DLR-MI", "PCA"}
    assert found.redundancy["p_value"].between(0, 1).all()
    assert (found.redundancy["null_95"] >= found.redundancy["null_mean"]).all()


class ClinicalNetwork(CheapNetwork):
    """Stands in for a network that is asked not to repeat clinical columns, and does."""

    def __init__(
        self,
        dlr_size=3,
        *,
        independence="dcor",
        independent_of=("hcr",),
        output="fused",
        random_state=None,
    ):
        super().__init__(
            dlr_size, independence=independence, output=output, random_state=random_state
        )
        self.independent_of = independent_of


def test_the_audit_asks_about_what_must_not_be_repeated():
    table, y = make_table(150)
    difference = CheapNetwork(1).fit(table).transform(table)[:, 0]
    joined = table.join(pd.DataFrame({"marker": difference}))
    shared = {}
    for blocks in (("hcr",), ("hcr", "clinical"), ("clinical",)):
        cvae = ClinicalNetwork(independent_of=blocks)
        found = compare(joined, y, audit=("r2-ridge",), feature_sets=["HCR+DLR"], cvae=cvae)
        shared[blocks] = found.redundancy["estimate"].iloc[0]
    # The marker is one of nine columns, then the only one.
    assert shared["hcr",] + 0.05 < shared["hcr", "clinical"] < 0.3
    assert shared["clinical",] > 0.95


def test_the_atlas_is_of_the_network_with_the_term_and_of_lesions_that_it_did_not_see():
    table, y = make_table(40)
    cvae = NonRedundantCVAE(2, max_epochs=2, device="cpu")
    found = compare(table, y, feature_sets=["HCR+DLR", "HCR+DLR-MI"], cvae=cvae, cv=2)
    held = found.latents["DLR-MI"].query("fold == 0").drop(columns="fold")
    np.testing.assert_allclose(found.atlas.table["variance"], held.var(ddof=0), rtol=1e-5)
    assert found.atlas.maps.shape == (2, 1, 8, 8)
    assert compare(table, y, feature_sets=["HCR"]).atlas is None


def test_the_seed_fixes_everything(cohort):
    settings = {"classifiers": ["LR", "RF"], "feature_sets": ["HCR+DLR-MI"], "cv": 2}
    first, second = (compare(*cohort, **settings) for _ in range(2))
    pd.testing.assert_frame_equal(first.scores, second.scores)
    other = compare(*cohort, random_state=1, **settings)
    assert not other.scores["score"].equals(first.scores["score"])


@pytest.mark.parametrize("given", [7, None])
def test_the_seed_that_is_reported_makes_the_same_run(cohort, given):
    settings = {"classifiers": ["LR"], "feature_sets": ["HCR+DLR-MI"], "cv": 2}
    first = compare(*cohort, random_state=given, **settings)
    assert given in (first.settings.seed, None)
    again = compare(*cohort, random_state=first.settings.seed, **settings)
    pd.testing.assert_frame_equal(first.scores, again.scores)


def test_results_do_not_depend_on_the_number_of_processes(cohort):
    settings = {"classifiers": ["LR", "RF"], "feature_sets": ["HCR+DLR-MI"], "cv": 2}
    one = compare(*cohort, n_jobs=1, **settings)
    two = compare(*cohort, n_jobs=2, **settings)
    pd.testing.assert_frame_equal(one.predictions, two.predictions)
    pd.testing.assert_frame_equal(one.scores, two.scores)


def test_an_interrupted_run_continues(cohort, tmp_path):
    settings = {"cvae": Fragile(), "memory": joblib.Memory(tmp_path, verbose=0)}
    with pytest.raises(KeyboardInterrupt):
        compare(*cohort, **settings)
    compare(*cohort, **settings)
    # 3 folds × 2 variants; the fit that broke is the only one that was tried twice.
    assert Fragile.fits == 7


def test_another_table_is_not_served_from_memory(cohort, tmp_path):
    table, y = cohort
    first = compare(table, y, feature_sets=["DLR"], memory=str(tmp_path))
    moved = table.replace(patches=table.patches[::-1].copy())
    second = compare(moved, y, feature_sets=["DLR"], memory=str(tmp_path))
    assert not first.scores["score"].equals(second.scores["score"])


def test_each_variant_is_fitted_once_a_fold(cohort):
    class Counting(CheapNetwork):
        seen = []

        def fit(self, X, y=None):
            self.seen.append((self.independence, tuple(X.index)))
            return super().fit(X, y)

    compare(*cohort, cvae=Counting(), classifiers={**PLAIN, "other": LogisticRegression()})
    assert len(Counting.seen) == len(set(Counting.seen)) == 3 * 2
    assert {term for term, _ in Counting.seen} == {None, "dcor"}


def test_a_held_out_test_set_is_predicted_by_the_mean_of_the_fold_models(cohort):
    table, y = cohort
    train, test = np.arange(60), np.arange(60, 90)
    found = compare(table[train], y[train], test=(table[test], y[test]), feature_sets=["HCR"])
    columns = list(table.columns)
    X = table[test].features[columns].to_numpy()
    p = np.mean([found.models["HCR", "LR", 0, k].predict_proba(X)[:, 1] for k in range(3)], axis=0)
    np.testing.assert_allclose(found.predictions["score"], p)
    assert found.summary["mean"].iloc[0] == pytest.approx(roc_auc_score(y[test], p))
    assert set(found.cv_predictions["sample"]) == set(table.index[train])
    assert found.settings.n_test == 30


def test_the_test_set_is_compared_by_delong_and_other_scores_by_bootstrap(cohort):
    table, y = cohort
    train, test = np.arange(50), np.arange(50, 90)
    held = (table[test], y[test])
    scoring = ["roc_auc", "balanced_accuracy"]
    found = compare(table[train], y[train], test=held, scoring=scoring)
    methods = found.tests.set_index("metric")["method"]
    assert set(methods["roc_auc"]) == {"DeLong"}
    assert set(methods["balanced_accuracy"]) == {"paired bootstrap"}
    assert (found.summary["low"] <= found.summary["mean"]).all()
    assert (found.summary["mean"] <= found.summary["high"]).all()
    assert "held-out test set" in found.answer()


def test_more_than_two_classes():
    table, y = make_table(n_classes=3)
    names = np.array(["a", "b", "c"])[y]
    settings = {"classifiers": ["LR", "SVM"], "feature_sets": ["HCR", "HCR+DLR"], "cv": 2}
    found = compare(table, names, **settings)
    assert found.settings.scoring == ["roc_auc_ovr"]
    scores = found.predictions[["score_a", "score_b", "score_c"]].to_numpy()
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert set(found.predictions["y"]) == {"a", "b", "c"}
    with pytest.raises(ValueError, match="two classes"):
        found.calibration()


def test_several_lesions_a_sample_are_averaged():
    table, y = make_table(60)
    twice = np.repeat(np.arange(60), 2)
    doubled = LesionTable(
        table.features.iloc[twice].reset_index(drop=True),
        patches=table.patches[twice],
        masks=table.masks[twice],
        sample=twice,
        index=table.index,
    )
    once, both = (compare(t, y, feature_sets=["HCR", "HCR+DLR"]) for t in (table, doubled))
    np.testing.assert_allclose(once.scores["score"], both.scores["score"])


def test_clinical_columns_go_with_hand_crafted_ones_and_alone(cohort):
    table, y = cohort
    age = np.where(np.arange(len(y)) % 7 == 0, np.nan, y + 0.5)
    joined = table.join(pd.DataFrame({"age": age}))
    found = compare(joined, y, feature_sets=["HCR", "DLR"], baselines=True)
    mean = found.summary.set_index("feature_set")["mean"]
    assert mean["clinical"] > 0.9
    assert mean["HCR"] > compare(table, y, feature_sets=["HCR"]).summary["mean"].iloc[0]


def test_clinical_columns_stay_with_the_sets_that_name_them(cohort):
    table, y = cohort
    joined = table.join(pd.DataFrame({"age": y + 0.5}))
    names = ["HCR", "Clinical", "Clinical+HCR", "Clinical+HCR+DLR-MI"]
    found = compare(joined, y, feature_sets=names)
    mean = found.summary.set_index("feature_set")["mean"]
    alone = compare(table, y, feature_sets=["HCR"]).summary["mean"].iloc[0]
    assert mean["HCR"] == pytest.approx(alone)
    assert (mean[names[1:]] > 0.95).all()
    assert found.primary["reference"] == "Clinical+HCR"
    with pytest.raises(ValueError, match="needs clinical columns"):
        compare(table, y, feature_sets=names)


def test_calibration_and_decision_curve(found):
    calibration = found.calibration().set_index("feature_set")
    assert {"slope", "intercept", "brier", "sensitivity", "specificity"} <= set(calibration)
    assert calibration.loc["HCR+DLR-MI", "brier"] < calibration.loc["volume", "brier"]
    curve = found.decision_curve([0.2, 0.5])
    assert set(curve["feature_set"]) == set(found.settings.feature_sets)


def test_tables_settings_and_answer_are_written(found, tmp_path):
    folder = found.to_csv(tmp_path / "tables")
    scores = pd.read_csv(folder / "scores.csv")
    assert len(scores) == len(found.scores)
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    assert settings["cohort"]["class_counts"] == {"0": 45, "1": 45}
    assert settings["versions"]["scikit-learn"]
    assert (folder / "answer.txt").read_text(encoding="utf-8").startswith(found.answer())


def test_weights_tell_the_blocks_apart(found):
    weights = found.weights[found.weights["feature_set"] == "HCR+DLR-MI"]
    assert set(weights[weights["block"] == "learned"]["feature"]) == {"dlr00", "dlr01", "dlr02"}
    strongest = weights.groupby("feature")["weight"].mean().abs().nlargest(2).index
    assert "dlr00" in strongest


def test_latents_are_those_of_the_held_out_rows(found, cohort):
    latents = found.latents["DLR-MI"]
    assert set(latents.index) == set(cohort[0].index)
    assert list(latents) == ["fold", "dlr00", "dlr01", "dlr02"]


def test_failed_samples_are_left_out_and_named(cohort):
    table, y = cohort
    status = table.status.to_numpy().copy()
    status[3] = "the mask is empty"
    broken = table.replace(status=status)
    with pytest.warns(UserWarning, match="1 samples could not be extracted.*case003"):
        found = compare(broken, y, feature_sets=["HCR"])
    assert found.settings.failed == {"case003": "the mask is empty"}
    assert "case003" not in set(found.predictions["sample"])
    assert any("case003" in message for message in found.warnings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(90)}, "contains only the class"),
        ({"y": np.tile([0, 1], 40)}, "y has 80 labels but there are 90 samples"),
        ({"y": np.where(np.arange(90) == 4, np.nan, np.arange(90) % 2)}, "no label for 1 samples"),
        ({"y": np.linspace(0, 1, 90)}, "90 different values"),
        ({"feature_sets": []}, "feature_sets is empty"),
        ({"feature_sets": ["XYZ"]}, "unknown feature set 'XYZ'"),
        ({"classifiers": ["KNN"]}, "unknown classifier 'KNN'"),
        ({"classifiers": []}, "classifiers is empty"),
        ({"classifiers": [LogisticRegression(), LogisticRegression()]}, "two classifiers"),
        ({"scoring": "beauty"}, "unknown scoring 'beauty'"),
        ({"scoring": []}, "scoring is empty"),
        ({"sampler": "magic"}, "unknown sampler 'magic'"),
        ({"experiment": "nature2030"}, "unknown experiment 'nature2030'"),
        ({"groups": np.arange(7)}, "groups has shape"),
        ({"test": 5}, "test must be a pair"),
        ({"cvae": CheapNetwork(independence=None)}, "needs an independence term"),
    ],
)
def test_wrong_use_is_explained(cohort, change, message):
    table, y = cohort
    y = change.pop("y", y)
    with pytest.raises(ValueError, match=message):
        compare(table, y, **change)


def test_what_is_no_cohort_is_refused(cohort):
    with pytest.raises(TypeError, match="case table .* or a LesionTable, got ndarray"):
        compare_feature_sets(np.zeros((5, 2)), [0, 1, 0, 1, 0])
    table, y = cohort
    with pytest.raises(TypeError, match="test must hold one"):
        compare(table, y, test=(pd.DataFrame(), []))


def test_sets_need_what_they_are_made_of(cohort):
    table, y = cohort
    with pytest.raises(ValueError, match="'DLR' needs patches"):
        compare(table.replace(patches=None, masks=None), y)
    bare = LesionTable.from_arrays(patches=table.patches)
    with pytest.raises(ValueError, match="'HCR' needs hand-crafted features"):
        compare(bare, y)


def test_baselines_that_cannot_be_had_are_left_out_and_said_so(cohort):
    table, y = cohort
    plain = table.replace(
        features=table.features.drop(columns="original_firstorder_Maximum"), patches=None
    )
    with pytest.warns(UserWarning, match="baseline 'maximum' is left out"):
        found = compare(plain, y, feature_sets=["HCR"], baselines=True)
    assert found.settings.feature_sets == ["HCR", "volume"]


def test_named_experiments_have_their_sets_and_hyper_parameters(cohort, monkeypatch):
    from nonredundant.evaluation import experiments

    vetil = experiments.get_experiment("vetil2023")
    names = [one.name for one in vetil.sets]
    assert names == ["H32", "H64", "D32", "D32-MI", "HD64", "HD64-MI"]
    assert vetil.network()["kappa"] == 1
    assert vetil.classifiers()["LR"].C == 1
    project = experiments.get_experiment("petvsclin")
    assert [one.name for one in project.sets] == ["H8", "H32", "D16", "D32", "HD24", "HD64"]
    assert project.network()["kappa"] == 50
    assert {one.variant.size for one in project.sets if one.variant} == {16, 32}


# Pieces ----------------------------------------------------------------------------------------


def test_patches_are_masked_and_averaged_down():
    patches = np.arange(2 * 32 * 32, dtype=np.float32).reshape(2, 1, 32, 32)
    masks = np.ones_like(patches, dtype=bool)
    masks[:, :, :, 16:] = False
    flat = flat_patches(LesionTable.from_arrays(patches=patches, masks=masks))
    assert flat.shape == (2, 16 * 16)
    blocks = flat.reshape(2, 16, 16)
    assert (blocks[:, :, 8:] == 0).all()
    assert blocks[0, 0, 0] == patches[0, 0, :2, :2].mean()


def test_components_explain_what_varies(cohort):
    table, _ = cohort
    scores = PatchPCA(2, random_state=0).fit(table).transform(table)
    difference = table.patches[..., 4:].mean((1, 2, 3)) - table.patches[..., :4].mean((1, 2, 3))
    assert abs(np.corrcoef(scores[:, 0], difference)[0, 1]) > 0.95


def test_residuals_are_free_of_squares_and_products_of_h():
    rng = np.random.default_rng(0)
    h = pd.DataFrame(rng.normal(size=(400, 4))).add_prefix("h")
    extra = rng.normal(size=400)
    d = np.column_stack([h["h0"] ** 2 + h["h1"] * h["h2"] + extra, h["h3"] + extra])
    train, test = slice(0, 300), slice(300, 400)
    fitted = Residualiser().fit(h.iloc[train], d[train])
    left = fitted.transform(h.iloc[test], d[test])
    assert np.corrcoef(left[:, 0], extra[test])[0, 1] > 0.9
    assert abs(np.corrcoef(left[:, 1], h["h3"].to_numpy()[test])[0, 1]) < 0.3


# One model -------------------------------------------------------------------------------------


@pytest.mark.parametrize("classifier", ["LR", "SVM", "RF"])
@pytest.mark.parametrize("feature_set", ["HCR", "HCR+DLR-MI", "HCR+DLR-residual", "volume"])
def test_one_model_predicts_what_it_was_trained_for(cohort, feature_set, classifier):
    table, y = cohort
    names = np.array(["no", "yes"])[y]
    model = FeatureSetClassifier(
        feature_set, classifier=classifier, cvae=CheapNetwork(), random_state=0
    )
    p = model.fit(table[:60], names[:60]).predict_proba(table[60:])
    assert p.shape == (30, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert set(model.predict(table[60:])) <= {"no", "yes"}
    if feature_set.startswith("HCR+"):
        assert roc_auc_score(y[60:], p[:, 1]) > 0.75


def test_cases_outside_of_the_training_cohort_are_named(cohort):
    table, y = cohort
    model = FeatureSetClassifier("HCR").fit(table, y)
    assert (model.outside(table) == "").all()
    features = table.features.copy()
    features.iloc[5] = features.iloc[5] + 100
    said = model.outside(table.replace(features=features))
    assert said.index[said != ""].tolist() == ["case005"]
    assert "8 of 8 features out of range" in said["case005"]


def test_a_case_that_could_not_be_read_has_no_prediction(cohort):
    table, y = cohort
    model = FeatureSetClassifier("HCR").fit(table, y)
    status = ["the mask is empty", *["ok"] * 89]
    broken = table.replace(status=status)
    p = model.predict_proba(broken)
    assert np.isnan(p[0]).all()
    assert not np.isnan(p[1:]).any()
    with pytest.raises(ValueError, match="1 cases could not be read"):
        model.predict(broken)


def test_comparison_is_what_its_parts_say(found):
    assert replace(found, warnings=["w"]).warnings == ["w"]


def test_the_atlas_is_drawn_of_a_network_of_picked_columns(cohort):
    cvae = NonRedundantCVAE(dlr_size=2, max_epochs=1, network={"width": 4}, device="cpu")
    found = compare(*cohort, cvae=cvae, feature_sets=["H3", "H3+D2-MI"])
    assert found.atlas.table["latent"].tolist() == ["dlr00", "dlr01"]
    assert set(found.atlas.correlations["feature"]) == set(cohort[0].columns_of("hcr"))


def test_cases_of_the_test_set_keep_apart_from_those_of_the_cohort(cohort):
    table, y = cohort
    status = ["ok"] * 20
    status[3] = "bad file"
    with pytest.warns(UserWarning, match="could not be extracted"):
        found = compare(table, y, test=(table[:20].replace(status=status), y[:20]))
    assert found.settings.failed == {"test case003": "bad file"}
