"""Comparisons of given embeddings: without images and networks, and without leakage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from nonredundant import LesionTable, NonRedundantEmbedding, compare_feature_sets
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.utils.validation import InvalidParameterError

#: The cheapest comparison that makes every table.
QUICK = {
    "classifiers": "LR",
    "n_repeats": 1,
    "cv": 3,
    "baselines": False,
    "controls": False,
    "audit": ["dcor"],
    "random_state": 0,
}


def cohort(n=120, several=False, seed=0):
    """Return lesions, labels and times: "useful" knows a hidden factor and h, "noise" nothing."""
    rng = np.random.default_rng(seed)
    sample = np.repeat(np.arange(n), 1 + np.arange(n) % 2 if several else 1)
    size, hidden = rng.normal(size=(2, n))
    risk = size + 2 * hidden + 0.5 * rng.normal(size=n)
    known = size[sample] + 0.1 * rng.normal(size=len(sample))
    mixed = np.column_stack([known, hidden[sample]]) @ rng.normal(size=(2, 60))
    labels = pd.MultiIndex.from_arrays(
        [[f"p{i}" for i in sample], np.arange(len(sample)) - np.searchsorted(sample, sample)]
    )
    noise = rng.normal(size=(n, 20))
    table = LesionTable(
        pd.DataFrame({"original_size": known, "original_b": rng.normal(size=len(sample))}),
        sample=sample,
        positions=50 * rng.normal(size=(len(sample), 3)),
        index=[f"p{i}" for i in range(n)],
        embeddings={
            "useful": pd.DataFrame(mixed + 0.3 * rng.normal(size=mixed.shape), index=labels),
            "noise": pd.DataFrame(noise, index=[f"p{i}" for i in range(n)]),
        },
    )
    return table, (risk > 0).astype(int), risk


@pytest.fixture(scope="module")
def found():
    table, y, _ = cohort()
    return compare_feature_sets(table, y, **QUICK)


def test_the_sets_of_all_embeddings_are_compared_by_default(found):
    assert found.settings.feature_sets == [
        "HCR",
        *("useful", "useful-MI", "noise", "noise-MI"),
        *("HCR+useful", "HCR+useful-MI", "HCR+noise", "HCR+noise-MI"),
    ]
    assert found.settings.cvae is None
    assert found.primary["feature_set"], found.primary["reference"] == ("HCR+useful-MI", "HCR")


def test_what_an_embedding_adds_is_found_and_what_none_adds_is_not(found):
    verdicts = {name: finding.verdict for name, finding in found.findings().items()}
    assert verdicts["helps"] == "gain"
    others = found.findings_of_others()
    assert list(others) == ["noise"]
    assert others["noise"]["helps"].verdict == "none seen"
    assert "after Holm" in others["noise"]["helps"].text
    assert "Beside this primary model: The known features" in found.answer()


def test_the_share_of_an_embedding_that_is_known_is_told(found):
    table = found.embeddings.set_index("embedding")
    assert table.loc["useful", "share_explained"] == pytest.approx(0.5, abs=0.15)
    assert table.loc["noise", "share_explained"] < 0.05
    share = f"{100 * table.loc['useful', 'share_explained']:.0f} % of the variance of useful"
    assert share in found.answer()
    assert found.findings()["explained"].verdict == "explained"


def test_an_embedding_is_compared_with_radiomics_and_its_residuals_with_itself(found):
    pairs = found.tests.groupby("feature_set")["reference"].agg(list).to_dict()
    assert pairs["useful"] == ["HCR"]
    assert pairs["HCR+useful-MI"] == ["HCR", "HCR+useful"]
    assert pairs["HCR+noise-MI"] == ["HCR", "HCR+noise"]


def test_the_residuals_are_less_redundant_than_the_components(found):
    audit = found.redundancy.set_index("feature_set")["estimate"]
    assert audit["useful"] > 0.4
    assert audit["useful-MI"] < 0.2


def test_the_report_describes_the_embeddings(found, tmp_path):
    page = found.to_html(tmp_path / "report.html").read_text()
    for text in ("embedding useful", "60 columns", "explained by known features", "at most 16"):
        assert text in page
    assert "embeddings.csv" in {p.name for p in found.to_csv(tmp_path / "tables").iterdir()}


def test_held_out_lesions_do_not_affect_what_is_learned():
    table, y, _ = cohort(60)
    folds = [(np.arange(40), np.arange(40, 60))]
    options = {**QUICK, "cv": folds, "audit": False, "feature_sets": ["HCR+useful-MI"]}
    first = compare_feature_sets(table, y, **options)
    features = table.features.copy()
    features.iloc[40:] *= -3.0
    second = compare_feature_sets(table.replace(features=features), y, **options)
    one, other = (list(found.models.values())[-1] for found in (first, second))
    np.testing.assert_array_equal(one[-1].coef_, other[-1].coef_)


def test_several_lesions_are_pooled_after_the_components():
    table, y, _ = cohort(80, several=True)
    found = compare_feature_sets(
        table, y, feature_sets=["HCR", "HCR+useful-MI"], patients=["max", "mean"], **QUICK
    )
    columns = found.weights.loc[found.weights["block"] == "learned", "feature"].unique()
    assert {"max__useful_00", "mean__useful_00"} <= set(columns)
    assert found.summary["mean"].iloc[-1] > 0.8


def test_a_graph_takes_the_components_of_each_lesion():
    pytest.importorskip("torch_geometric")
    from nonredundant.patients import LesionGraphClassifier

    table, y, _ = cohort(40, several=True)
    graph = LesionGraphClassifier(hidden_size=4, heads=2, max_epochs=2, device="cpu")
    options = {**QUICK, "audit": False, "cv": 2}
    found = compare_feature_sets(
        table, y, feature_sets=["HCR", "HCR+useful-MI"], patients=graph, **options
    )
    assert found.primary["classifier"] == "graph"
    assert np.isfinite(found.summary["mean"]).all()


def test_times_and_a_test_set():
    table, _, risk = cohort(160)
    times = np.empty(160, dtype=[("event", bool), ("time", float)])
    times["event"], times["time"] = np.arange(160) % 4 > 0, np.exp(-risk)
    found = compare_feature_sets(
        table[:110],
        times[:110],
        test=(table[110:], times[110:]),
        feature_sets=["HCR", "HCR+useful-MI"],
        **{**QUICK, "classifiers": "Cox"},
    )
    assert found.settings.n_test == 50
    assert found.summary["mean"].iloc[1] > found.summary["mean"].iloc[0] + 0.1


def test_lesions_without_an_embedding_do_not_tell_their_known_columns():
    table, y, _ = cohort(90)
    features = table.features.copy()
    features.iloc[:20, features.columns.get_indexer(table.columns_of("useful"))] = np.nan
    table = table.replace(features=features)
    options = {**QUICK, "audit": False}
    with pytest.warns(UserWarning, match="have no embedding 'useful'"):
        found = compare_feature_sets(table, y, feature_sets=["HCR", "HCR+useful-MI"], **options)
    latents = found.latents["useful-MI"].loc[table.index[:20]]
    # The same residuals for all of a fold: a function of h would differ.
    assert (latents.groupby("fold").nunique() == 1).all(axis=None)


def test_clinical_columns_are_known_too():
    table, y, _ = cohort(90)
    table = table.replace(blocks={**table.blocks, "original_b": "clinical"})
    sets = ["Clinical", "Clinical+HCR", "Clinical+useful", "Clinical+HCR+useful-MI"]
    found = compare_feature_sets(table, y, feature_sets=sets, **QUICK)
    assert found.primary["feature_set"] == "Clinical+HCR+useful-MI"
    assert found.primary["reference"] == "Clinical+HCR"


@pytest.mark.parametrize("name", ["HCR+useles", "useful+noise", "D16+useful", "useful-residual"])
def test_unknown_sets_name_the_embeddings(name):
    table, y, _ = cohort(30)
    with pytest.raises(ValueError, match=r"unknown feature set.*given embeddings.*useful, noise"):
        compare_feature_sets(table, y, feature_sets=[name], **QUICK)


def test_residuals_need_something_that_is_known():
    table, y, _ = cohort(30)
    alone = table.replace(features=table.features[table.columns_of("useful")])
    with pytest.raises(ValueError, match="'useful-MI' needs hand-crafted or clinical features"):
        compare_feature_sets(alone, y, feature_sets=["useful-MI"], **QUICK)


def test_the_number_of_components_is_that_of_the_estimator():
    table, y, _ = cohort(60)
    found = compare_feature_sets(
        table,
        y,
        feature_sets=["useful"],
        embedding=NonRedundantEmbedding(3),
        **{**QUICK, "audit": False},
    )
    assert found.embeddings["n_components"].tolist() == [3]
    with pytest.raises(InvalidParameterError, match="NonRedundantEmbedding"):
        compare_feature_sets(table, y, embedding=PCA(2), **QUICK)


def test_a_model_predicts_new_lesions_and_refuses_other_columns():
    table, y, _ = cohort(90)
    model = FeatureSetClassifier("HCR+useful-MI", random_state=0).fit(table[:60], y[:60])
    assert (model.predict(table[60:]) == y[60:]).mean() > 0.75
    without = table.replace(features=table.known)
    with pytest.raises(ValueError, match=r"Missing: \['useful__0'"):
        model.predict(without)
