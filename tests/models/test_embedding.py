"""`NonRedundantEmbedding`: components of given deep features that h does not predict."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import LesionTable, NonRedundantEmbedding
from nonredundant.utils.validation import InvalidParameterError


def cohort(n=150, p=400, sample=None, seed=0):
    """Return lesions whose embedding mixes a known factor, an age, a hidden one and noise."""
    rng = np.random.default_rng(seed)
    size, age, hidden = rng.normal(size=(3, n))
    age = age if sample is None else age[sample]
    mixing = rng.normal(size=(3, p))
    values = np.column_stack([size, age, hidden]) @ mixing + 0.3 * rng.normal(size=(n, p))
    ids = [f"l{i}" for i in range(n)]
    features = pd.DataFrame({"original_size": size, "age": age}, index=ids)
    table = LesionTable(
        features,
        blocks={"age": "clinical"},
        sample=sample,
        embeddings={"FMCIB": pd.DataFrame(values, index=ids)},
    )
    return table, hidden, values


def r2(x, y):
    return LinearRegression().fit(x, y).score(x, y)


def test_what_known_columns_predict_is_gone_and_the_rest_stays():
    table, hidden, _ = cohort()
    model = NonRedundantEmbedding(3, output="dlr").fit(table)
    r, raw = model.transform(table), clone(model).set_params(independent_of=None).fit(table)
    d = raw.transform(table)
    known = np.asarray(table.known)
    assert r2(d, known[:, 0]) > 0.9
    assert r2(d, known[:, 1]) > 0.9
    assert r2(known, r) < 0.05
    assert r2(r, hidden) > 0.8
    assert np.isnan(raw.share_explained_)


def test_the_share_that_is_explained_is_that_of_the_factors():
    # Two of three factors of equal weight are known; new lesions give the same share.
    table, _, _ = cohort(n=400)
    model = NonRedundantEmbedding(3).fit(table)
    assert model.share_explained_ == pytest.approx(2 / 3, abs=0.1)
    hcr = NonRedundantEmbedding(3, independent_of=("hcr",)).fit(table)
    assert hcr.share_explained_ == pytest.approx(1 / 3, abs=0.1)
    rng = np.random.default_rng(1)
    noise = table.replace(features=table.features.assign(original_size=rng.normal(size=400)))
    assert NonRedundantEmbedding(3, independent_of=("hcr",)).fit(noise).share_explained_ < 0.03


def test_the_output_is_h_and_r_with_names():
    table, _, _ = cohort()
    model = NonRedundantEmbedding(2).set_output(transform="pandas")
    out = model.fit_transform(table)
    assert list(out) == ["original_size", "age", "FMCIB_00", "FMCIB_01"]
    assert out.index.equals(table.index)
    np.testing.assert_array_equal(out[["original_size", "age"]], table.known)


def test_the_inverse_gives_the_embedding_that_components_describe():
    table, _, values = cohort(n=60, p=40)
    model = NonRedundantEmbedding(40).fit(table)
    np.testing.assert_allclose(model.inverse_transform(model.transform(table)), values, atol=1e-8)
    few = NonRedundantEmbedding(3).fit(table)
    left = few.inverse_transform(few.transform(table)) - values
    assert np.square(left).sum() < 0.2 * np.square(values - values.mean(axis=0)).sum()
    with pytest.raises(ValueError, match="output='fused'"):
        few.set_params(output="dlr").inverse_transform(few.transform(table))


def test_lesions_of_a_patient_stay_a_table():
    sample = np.repeat(np.arange(75), 2)
    table, _, _ = cohort(sample=sample)
    out = NonRedundantEmbedding(2).fit_transform(table)
    assert isinstance(out, LesionTable)
    assert out.columns_of("clinical") == ["age"]
    assert list(out.columns) == ["original_size", "FMCIB_00", "FMCIB_01", "age"]


def test_gaps_constants_and_missing_lesions_are_told_and_filled():
    table, _, _ = cohort(n=60, p=20)
    features = table.features.copy()
    features["FMCIB__7"] = 2.0
    features.loc["l3", table.columns_of("FMCIB")] = np.nan
    features.loc["l4", "FMCIB__0"] = np.nan
    table = table.replace(features=features)
    model = NonRedundantEmbedding(2, output="dlr")
    with pytest.warns(UserWarning, match="1 of 20 columns of the embedding 'FMCIB' are constant"):
        model.fit(table)
    with pytest.warns(UserWarning, match=r"1 lesions have no embedding 'FMCIB'.*'l3'"):
        r = model.transform(table)
    np.testing.assert_array_equal(r[3], model.median_)
    others = np.delete(r, 3, axis=0)
    np.testing.assert_allclose(np.median(others, axis=0), model.median_)
    assert np.isfinite(r).all()


def test_no_more_components_than_the_embedding_has_directions():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 2)) @ rng.normal(size=(2, 30))
    model = NonRedundantEmbedding(16).fit(values)
    assert model.n_components_ == 2
    assert model.explained_variance_ratio_.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("how", ["skops", "joblib"])
def test_saved_models_give_the_same_bits(tmp_path, how):
    table, _, _ = cohort(n=60, p=30)
    model, path = NonRedundantEmbedding(3).fit(table), tmp_path / "model"
    if how == "joblib":
        joblib.dump(model, path)
        loaded = joblib.load(path)
    else:
        skops.io.dump(model, path)
        types = skops.io.get_untrusted_types(file=path)
        assert all(name.startswith("nonredundant.") for name in types), types
        loaded = skops.io.load(path, trusted=types)
    np.testing.assert_array_equal(loaded.transform(table), model.transform(table))


def test_a_grid_search_tunes_the_number_of_components_on_a_table():
    table, hidden, _ = cohort(n=120, p=200)
    pipeline = make_pipeline(NonRedundantEmbedding(), StandardScaler(), LogisticRegression())
    grid = GridSearchCV(
        pipeline, {"nonredundantembedding__n_components": [1, 3]}, cv=3, error_score="raise"
    )
    grid.fit(table, hidden > 0)
    assert grid.best_params_ == {"nonredundantembedding__n_components": 3}
    assert grid.best_score_ > 0.85


@pytest.mark.parametrize(
    ("model", "says"),
    [
        pytest.param(NonRedundantEmbedding(embedding="FMCIP"), "'FMCIB'", id="unknown name"),
        pytest.param(NonRedundantEmbedding(), "name one by embedding=", id="several"),
    ],
)
def test_which_embedding_is_meant_must_be_clear(model, says):
    table, _, values = cohort(n=30, p=5)
    table = table.replace(embeddings={"CTFM": pd.DataFrame(values, index=table.index)})
    with pytest.raises(ValueError, match=says):
        model.fit(table)


def test_a_table_without_an_embedding_is_refused_with_the_remedy():
    table, _, _ = cohort(n=30, p=5)
    with pytest.raises(ValueError, match=r"table\.replace\(embeddings="):
        NonRedundantEmbedding().fit(table.replace(features=table.known))


def test_blocks_that_are_not_there_are_refused():
    table, _, _ = cohort(n=30, p=5)
    for blocks in (("age",), (), ("hcr", "FMCIB")):
        with pytest.raises(InvalidParameterError, match="independent_of must name"):
            NonRedundantEmbedding(independent_of=blocks).fit(table)


def test_other_columns_than_at_fit_are_refused_by_name():
    table, _, _ = cohort(n=30, p=5)
    model = NonRedundantEmbedding().fit(table)
    with pytest.raises(ValueError, match=r"Missing: \['FMCIB__3'\]"):
        model.transform(table.replace(features=table.features.drop(columns="FMCIB__3")))


def test_values_that_cannot_be_standardised_are_refused():
    table, *_ = cohort(20, 5)
    given = table.embeddings["FMCIB"] * 1e200
    huge = LesionTable(table.known, embeddings={"FMCIB": given})
    with pytest.raises(ValueError, match="5 columns of the embedding 'FMCIB' are too large"):
        NonRedundantEmbedding().fit(huge)
