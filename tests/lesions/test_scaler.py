"""Scaling of features: ranks, imputation, dropped columns, and their warnings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant.lesions.scaler import FeatureScaler


def make_frame(n=50):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"volume": rng.lognormal(0, 3, n), "mean": rng.normal(size=n)})


def test_ranks_do_not_depend_on_monotone_changes():
    frame = make_frame()
    scaled = FeatureScaler().fit_transform(frame)
    again = FeatureScaler().fit_transform(frame.assign(volume=np.log(frame["volume"])))
    np.testing.assert_allclose(scaled[:, 0], again[:, 0], atol=1e-6)
    assert np.abs(scaled).max() <= 3


def test_constant_and_empty_columns_are_dropped_with_one_warning():
    frame = make_frame().assign(constant=1.0, empty=np.nan)
    with pytest.warns(UserWarning, match="2 of 4 features.*constant, empty") as caught:
        scaler = FeatureScaler().fit(frame)
    assert len(caught) == 1
    assert scaler.columns_ == scaler.names_out_ == ["volume", "mean"]
    np.testing.assert_array_equal(scaler.impute(frame), frame[["volume", "mean"]])


def test_missing_values_get_the_training_median_with_one_warning():
    frame = make_frame()
    holes = frame.copy()
    holes.iloc[[3, 7], 0] = np.nan
    scaler = FeatureScaler().fit(frame)
    with pytest.warns(UserWarning, match="2 missing values in 1 features.*volume") as caught:
        filled = scaler.impute(holes)
    assert len(caught) == 1
    np.testing.assert_array_equal(filled[[3, 7], 0], frame["volume"].median())


def test_principal_components_of_the_ranks():
    frame = make_frame()
    frame["copy"] = frame["volume"] * 2
    scaler = FeatureScaler(n_components=2).fit(frame)
    components = scaler.transform(frame)
    assert scaler.names_out_ == ["hcr_pc00", "hcr_pc01"]
    np.testing.assert_allclose(np.cov(components.T)[0, 1], 0, atol=1e-8)


def test_words_and_infinity_are_refused_by_name():
    frame = make_frame()
    with pytest.raises(ValueError, match=r"not: \['sex'\].*ColumnTransformer"):
        FeatureScaler().fit(frame.assign(sex="F"))
    with pytest.raises(ValueError, match=r"infinite: columns \['mean'\] of"):
        FeatureScaler().fit(frame.assign(mean=np.inf))


def test_no_columns_at_all():
    frame = pd.DataFrame(index=range(4))
    scaler = FeatureScaler().fit(frame)
    assert scaler.transform(frame).shape == scaler.impute(frame).shape == (4, 0)


def test_tied_ends_have_the_score_of_their_mean_rank():
    """The lower half of the rows has the mean rank n / 4, whose normal score is -0.67."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "binary": np.arange(400) % 2,
            "rare": (np.arange(400) % 10 == 0) * 1.0,
            "many": rng.normal(size=400),
        }
    )
    scaled = FeatureScaler().fit_transform(frame)
    assert sorted(set(scaled[:, 0].round(2))) == [-0.67, 0.67]
    assert sorted(set(scaled[:, 1].round(2))) == pytest.approx([-0.13, 1.64], abs=0.015)
    assert scaled[:, 2].max() > 2.5
    # In principal components of three columns the binary one has no more weight than the others.
    first = FeatureScaler(1).fit(frame).pca_.components_[0]
    assert np.abs(first).argmax() == 2
