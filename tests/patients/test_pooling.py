"""`LesionPooling` by hand, in a pipeline, saved, and with bad input."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from patients_for_tests import mixed, shuffled
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import LesionTable
from nonredundant.patients import LesionPooling


def three_lesions(**parts):
    frame = pd.DataFrame(
        {"volume": [1.0, 3.0, 5.0], "uptake": [8.0, 4.0, 6.0], "age": [50.0, 50.0, 70.0]}
    )
    arguments = {"sample": [0, 0, 1], "index": ["anna", "bert"], "blocks": {"age": "clinical"}}
    return LesionTable(parts.pop("frame", frame), **{**arguments, **parts})


@pytest.mark.parametrize(
    ("how", "anna", "bert"),
    [
        ("mean", [2.0, 6.0], [5.0, 6.0]),
        ("max", [3.0, 8.0], [5.0, 6.0]),
        ("min", [1.0, 4.0], [5.0, 6.0]),
        ("std", [1.0, 2.0], [0.0, 0.0]),
        ("sum", [4.0, 12.0], [5.0, 6.0]),
        ("largest", [3.0, 4.0], [5.0, 6.0]),
        ("volume", [(1 + 9) / 4, (8 + 12) / 4], [5.0, 6.0]),
    ],
)
def test_pooling_by_hand(how, anna, bert):
    table = three_lesions()
    pooled = LesionPooling(how).fit_transform(table)
    np.testing.assert_allclose(pooled, [[*anna, 50.0], [*bert, 70.0]])
    # One lesion each takes a shorter way through the code.
    np.testing.assert_allclose(LesionPooling(how).fit_transform(table[[1]]), [[*bert, 70.0]])


def test_a_list_stands_side_by_side_with_names_and_the_clinic_once():
    table = three_lesions()
    pooling = LesionPooling(["max", "sum"]).set_output(transform="pandas")
    frame = pooling.fit_transform(table)
    names = ["max__volume", "max__uptake", "sum__volume", "sum__uptake", "age"]
    assert frame.columns.tolist() == pooling.get_feature_names_out().tolist() == names
    assert frame.loc["anna"].tolist() == [3.0, 8.0, 4.0, 12.0, 50.0]
    pooled = pooling.pool(table)
    assert pooled.columns_of("clinical") == ["age"]
    assert pooled.index.tolist() == ["anna", "bert"]
    np.testing.assert_array_equal(np.asarray(pooled), frame)


def test_missing_values_do_not_count_and_all_missing_stays_missing():
    frame = three_lesions().features.reset_index(drop=True)
    frame["uptake"], frame["entropy"] = [np.nan, 4.0, 6.0], [np.nan, np.nan, 2.0]
    for how in ("mean", "max", "min", "sum", "largest", "volume"):
        pooled = (
            LesionPooling(how)
            .set_output(transform="pandas")
            .fit_transform(three_lesions(frame=frame))
        )
        assert pooled.loc["anna", f"{how}__uptake"] == 4.0, how
        assert np.isnan(pooled.loc["anna", f"{how}__entropy"]), how


def test_largest_lesions_that_tie_are_averaged():
    frame = three_lesions().features.reset_index(drop=True).assign(volume=2.0)
    pooled = LesionPooling("largest").fit_transform(three_lesions(frame=frame))
    np.testing.assert_allclose(pooled[:, 1], [6.0, 6.0])


def test_volumes_come_from_masks_and_spacing_or_from_a_named_column():
    masks = np.zeros((3, 1, 4, 4), dtype=bool)
    masks[0, 0, :2, :2], masks[1, 0, :2, :1], masks[2] = True, True, True
    frame = pd.DataFrame({"uptake": [8.0, 4.0, 6.0], "size": [1.0, 3.0, 5.0]})
    table = LesionTable(frame, sample=[0, 0, 1], masks=masks)
    assert LesionPooling("largest").fit_transform(table)[0, 0] == 8.0
    # Voxels of 8 mm² in the second lesion: 16 mm² against 4.
    spacing = np.array([[1.0, 1.0], [2.0, 4.0], [1.0, 1.0]])
    spaced = table.replace(spacing=spacing)
    assert LesionPooling("largest").fit_transform(spaced)[0, 0] == 4.0
    assert LesionPooling("volume").fit_transform(spaced)[0, 0] == (4 * 8 + 16 * 4) / 20
    by_name = LesionPooling("volume", volume_column="size").fit_transform(table)
    assert by_name[0, 0] == (1 * 8 + 3 * 4) / 4


@pytest.mark.parametrize("how", ["mean", "max", "min", "std", "sum", "largest", "volume"])
def test_pooling_does_not_depend_on_the_order_of_lesions(how):
    table, _ = mixed()
    pooling = LesionPooling(how, volume_column="uptake").fit(table)
    np.testing.assert_allclose(
        pooling.transform(shuffled(table)), pooling.transform(table), rtol=1e-12, atol=1e-12
    )


def test_pooling_works_in_a_pipeline():
    table, y = mixed(60)
    holes = table.features.copy()
    holes.iloc[::9, 0] = np.nan
    pipeline = make_pipeline(
        LesionPooling(["mean", "max"]), SimpleImputer(), StandardScaler(), LogisticRegression()
    )
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    auc = cross_val_score(
        pipeline, table.replace(features=holes), y, cv=folds, scoring="roc_auc", error_score="raise"
    )
    assert auc.mean() > 0.8


def test_a_matrix_is_one_lesion_a_patient():
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(LesionPooling("mean").fit_transform(matrix), matrix)


def test_a_saved_pooling_pools_the_same_bits(tmp_path):
    table, _ = mixed()
    pooling = LesionPooling(["max", "std"]).set_output(transform="pandas").fit(table)
    expected = pooling.transform(table)
    joblib.dump(pooling, tmp_path / "pooling.joblib")
    skops.io.dump(pooling, tmp_path / "pooling.skops")
    untrusted = skops.io.get_untrusted_types(file=tmp_path / "pooling.skops")
    assert all(name.startswith("nonredundant.") for name in untrusted)
    for loaded in (
        joblib.load(tmp_path / "pooling.joblib"),
        skops.io.load(tmp_path / "pooling.skops", trusted=untrusted),
    ):
        pd.testing.assert_frame_equal(loaded.transform(table), expected)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"how": "median"}, "The 'how' parameter"),
        ({"how": ["mean", "median"]}, "how must be one of mean, max.*median"),
        ({"how": []}, "how must be one of mean, max"),
        ({"how": "volume", "volume_column": "size"}, "volume_column='size' is not among"),
    ],
)
def test_bad_poolings_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        LesionPooling(**parameters).fit_transform(three_lesions())


def test_pooling_names_what_is_wrong_with_a_table():
    frame = pd.DataFrame({"uptake": [8.0, 4.0], "age": [50.0, 51.0]})
    with pytest.raises(ValueError, match="volumes of the lesions are not known"):
        LesionPooling("largest").fit_transform(LesionTable(frame, sample=[0, 0]))
    differing = LesionTable(frame, sample=[0, 0], blocks={"age": "clinical"}, index=["anna"])
    with pytest.raises(ValueError, match="case 'anna' have 'age' = 50 and 51"):
        LesionPooling().fit(differing)
    with pytest.raises(ValueError, match="numbers.*'stage'"):
        LesionPooling().fit(LesionTable(frame.assign(stage=["I", "II"])))
    other = LesionTable(frame.rename(columns={"uptake": "entropy"}))
    with pytest.raises(ValueError, match=r"Missing: \['uptake'\].*Unseen at fit: \['entropy'\]"):
        LesionPooling().fit(LesionTable(frame)).transform(other)
    with pytest.raises(NotFittedError):
        LesionPooling().transform(three_lesions())


def test_columns_of_a_matrix_take_the_names_of_the_step_before():
    pooling = LesionPooling(["mean", "max"]).fit(np.ones((3, 2)))
    assert pooling.get_feature_names_out().tolist() == [
        "mean__x0",
        "mean__x1",
        "max__x0",
        "max__x1",
    ]
    assert pooling.get_feature_names_out(["a", "b"])[:2].tolist() == ["mean__a", "mean__b"]
    with pytest.raises(ValueError, match="length 2, the number of columns at fit, got 1"):
        pooling.get_feature_names_out(["a"])
