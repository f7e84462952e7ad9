"""What is known of the samples travels with the lesions."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from nonredundant import LesionTable, RadiomicsExtractor
from nonredundant.lesions.parts import StoreError
from nonredundant.patients import LesionPooling


def make_table():
    """Return three patients with four lesions and columns of several kinds."""
    samples = pd.DataFrame(
        {
            "centre": ["A", "B", None],
            "age": [50.5, np.nan, 70.0],
            "number": [1, 2, 3],
            "smoker": [True, False, True],
            "stage": pd.Categorical(["I", "II", "I"], ["II", "I"], ordered=True),
            "seen": pd.to_datetime(["2020-01-02", None, "2021-05-06"]),
        },
        index=["anna", "bert", "carl"],
    )
    features = pd.DataFrame({"volume": [1.0, 2.0, 3.0, 4.0]})
    return LesionTable(features, sample=[0, 0, 1, 2], samples=samples)


def test_samples_give_the_index_and_are_sliced_replaced_and_concatenated():
    table = make_table()
    assert table.index.tolist() == ["anna", "bert", "carl"]
    assert table[[2, 0]].samples["number"].tolist() == [3, 1]
    assert table.replace(index=list("xyz")).samples.loc["y", "centre"] == "B"
    both = LesionTable.concat([table[:1], table[1:]])
    pd.testing.assert_frame_equal(both.samples, table.samples)


def test_samples_are_brought_into_the_order_of_the_index_or_refused():
    table = make_table()
    turned = table.replace(samples=table.samples.iloc[::-1])
    pd.testing.assert_frame_equal(turned.samples, table.samples)
    with pytest.raises(ValueError, match="samples has another index"):
        table.replace(samples=table.samples.set_axis(["x", "y", "z"]))
    with pytest.raises(ValueError, match="samples has 2 rows but the table has 3"):
        table.replace(samples=table.samples[:2])
    with pytest.raises(TypeError, match="one row per sample, got dict"):
        table.replace(samples={"age": [1, 2, 3]})


def test_samples_are_saved_with_their_types(tmp_path):
    table = make_table()
    table.save(tmp_path / "table.npz")
    loaded = LesionTable.load(tmp_path / "table.npz").samples
    pd.testing.assert_frame_equal(loaded, table.samples)


def test_cells_without_a_type_of_json_are_saved_as_text(tmp_path):
    dates = [datetime.date(2020, 1, 2), datetime.date(2021, 3, 4)]
    ages = pd.cut(pd.Series([50, 70]), [0, 60, 80])
    samples = pd.DataFrame({"day": dates, "age": ages})
    table = LesionTable(pd.DataFrame({"volume": [1.0, 2.0]}), samples=samples)
    table.save(tmp_path / "table.npz")
    loaded = LesionTable.load(tmp_path / "table.npz").samples
    assert loaded["day"].tolist() == ["2020-01-02", "2021-03-04"]
    assert loaded["age"].astype(str).tolist() == ["(0, 60]", "(60, 80]"]


def test_a_table_of_features_keeps_the_index_of_the_frame():
    frame = pd.DataFrame({"volume": [1.0, 2.0]}, index=["anna", "bert"])
    assert LesionTable(frame).index.tolist() == ["anna", "bert"]
    joined = LesionTable(frame).join(pd.DataFrame({"age": [70, 60]}, index=["bert", "anna"]))
    assert joined.features["age"].tolist() == [60, 70]


def test_pooled_lesions_keep_what_is_known_of_their_samples():
    table = make_table()
    pooled = LesionPooling("max").fit(table).pool(table)
    pd.testing.assert_frame_equal(pooled.samples, table.samples)


def make_cases():
    """Return cases of arrays with a centre."""
    rng = np.random.default_rng(0)
    mask = np.zeros((12, 12, 12))
    mask[3:9, 3:9, 3:9] = 1
    images = [rng.normal(size=mask.shape) for _ in range(2)]
    cases = {"image": images, "mask": [mask] * 2, "centre": ["A", "B"], "age": [50, 60]}
    return pd.DataFrame(cases, index=["anna", "bert"])


def test_extraction_fills_the_samples_without_images_in_memory(tmp_path):
    cases = make_cases()
    tool = RadiomicsExtractor(bin_count=8, feature_classes=["firstorder"], patch_shape=(8, 8, 8))
    expected = cases[["centre", "age"]]
    pd.testing.assert_frame_equal(tool.fit_transform(cases).samples, expected)
    store = tool.to_store(cases, tmp_path / "store").samples
    pd.testing.assert_frame_equal(store, expected, check_index_type=False)
    with pytest.raises(StoreError, match=r"columns of the case table \(age: stored 60, now"):
        tool.to_store(cases.assign(age=[50, 61]), tmp_path / "store")
    with pytest.raises(StoreError, match=r"columns of the case table \(ward: stored None, now 'C'"):
        tool.to_store(cases.assign(ward=["C", None]), tmp_path / "store")
    # A column that is empty in the cases that are there takes nothing from them.
    tool.to_store(cases.assign(ward=None), tmp_path / "store")
