"""Dissemination features: known values, ties, failed and imputed lesions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases_for_tests import image_of, quick, several
from sklearn.pipeline import make_pipeline

from nonredundant.lesions import LesionTable
from nonredundant.lesions.dissemination import dissemination_features
from nonredundant.patients import LesionPooling


@pytest.mark.filterwarnings("ignore:.*labels that are not measured")
def test_dissemination_of_known_lesions():
    image, mask = several()
    cases = pd.DataFrame({"image": [image], "mask": [mask]}, index=["a"])
    table = quick(lesions="components").fit_transform(cases)
    found = dissemination_features(table).loc["a"]
    mean = table.features["original_firstorder_Mean"].to_numpy()
    assert found["n_lesions"] == 2
    assert found["tmtv"] == pytest.approx(0.28)
    assert found["tlg"] == pytest.approx(0.216 * mean[0] + 0.064 * mean[1])
    assert found["d_max"] == pytest.approx(11 * np.sqrt(3))
    with pytest.raises(ValueError, match="positions"):
        dissemination_features(table.replace(positions=None))
    with pytest.raises(ValueError, match="feature class 'shape'"):
        dissemination_features(quick(feature_classes=["firstorder"]).fit_transform(cases))


def test_dissemination_of_a_line_of_lesions():
    frame = pd.DataFrame(
        {
            "original_shape_VoxelVolume": [1e3, 5e3, 2e3],
            "original_firstorder_Mean": [1.0, 2.0, 3.0],
        }
    )
    places = np.array([[0.0, 0, 0], [10, 0, 0], [40, 0, 0]])
    table = LesionTable(frame, sample=[0, 0, 0], positions=places)
    found = dissemination_features(table).iloc[0].to_dict()
    assert found == {
        "n_lesions": 3, "tmtv": 8.0, "tlg": 17.0, "d_max": 40.0, "d_max_bulk": 30.0,
        "spread": 70.0, "spread_bulk": 40.0,
    }  # fmt: skip


def test_largest_lesions_that_tie_are_averaged():
    frame = pd.DataFrame({"original_shape_VoxelVolume": [5e3, 1e3, 5e3]})
    places = np.array([[0.0, 0, 0], [10, 0, 0], [40, 0, 0]])
    table = LesionTable(frame, sample=[0, 0, 0], positions=places)
    found = dissemination_features(table).iloc[0]
    assert found["d_max_bulk"] == 40
    assert found["spread_bulk"] == (10 + 40 + 30 + 40) / 2
    assert np.isnan(found["tlg"])


def test_dissemination_of_areas_in_2d():
    rng = np.random.default_rng(0)
    mask = np.zeros((20, 20), dtype=np.uint8)
    mask[2:6, 2:6], mask[12:18, 2:6] = 1, 1
    cases = pd.DataFrame({"image": [rng.gamma(4, 0.3, (20, 20))], "mask": [mask], "spacing": [5.0]})
    table = quick(lesions="components").fit_transform(cases)
    found = dissemination_features(table).iloc[0]
    assert found["tmtv"] == pytest.approx((16 + 24) * 0.25)
    mean = table.features["original_firstorder_Mean"]
    assert found["tlg"] == pytest.approx(24 * 0.25 * mean.iloc[0] + 16 * 0.25 * mean.iloc[1])
    assert found["d_max"] == pytest.approx(5 * 11)


def test_dissemination_of_many_patients_is_that_of_each():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, size=40)
    sample = np.repeat(np.arange(40), counts)
    values = rng.gamma(2, 500, (len(sample), 2))
    names = ["original_shape_VoxelVolume", "original_firstorder_Mean"]
    status = np.where(np.arange(40) == 7, "no such file", "ok")
    table = LesionTable(
        pd.DataFrame(values, columns=names),
        sample=sample,
        positions=rng.normal(size=(len(sample), 3)),
        status=status,
    )
    together = dissemination_features(table)
    each = pd.concat([dissemination_features(one) for one in table], ignore_index=True)
    np.testing.assert_allclose(together, each, rtol=1e-12)
    assert together.isna().all(axis=1).tolist() == (np.arange(40) == 7).tolist()
    assert together["n_lesions"].drop(7).tolist() == np.delete(counts, 7).tolist()


@pytest.mark.filterwarnings("ignore:.*labels that are not measured")
def test_dissemination_columns_are_between_pooled_and_clinical_columns():
    image, mask = several()
    single, one_mask = image_of(1)
    cases = pd.DataFrame(
        {"image": [image, single], "mask": [mask, one_mask], "age": [60.0, 70.0]}, index=["a", "b"]
    )
    pipeline = make_pipeline(
        quick(lesions="components", clinical=["age"]), LesionPooling("max", dissemination=True)
    ).set_output(transform="pandas")
    pooled = pipeline.fit_transform(cases)
    table = pipeline[0].transform(cases)
    names = [f"max__{name}" for name in table.columns_of("hcr")]
    spread = [f"dissemination__{name}" for name in dissemination_features(table)]
    assert pooled.columns.tolist() == [*names, *spread, "age"]
    np.testing.assert_array_equal(pooled[spread], dissemination_features(table))
    assert pooled["dissemination__d_max"].tolist() == [pytest.approx(11 * np.sqrt(3)), 0.0]
    lesions = pipeline[1].pool(table)
    assert lesions.columns_of("hcr") == [*names, *spread]
    np.testing.assert_array_equal(lesions.features, pooled)


def test_imputed_values_do_not_count_as_measured():
    frame = pd.DataFrame(
        {
            "original_shape_VoxelVolume": [5e3, 1e3, 2e3, 3e3],
            "original_firstorder_Mean": [2.0, 2.0, 2.0, 2.0],
        }
    )
    table = LesionTable(
        frame,
        sample=[0, 0, 1, 2],
        positions=np.zeros((4, 3)),
        status=["ok", "no such file", "ok"],
        lesion_status=["ok", "shape only: 5 voxels", "ok", "ok"],
    )
    found = dissemination_features(table)
    np.testing.assert_array_equal(found["tmtv"], [6.0, np.nan, 3.0])
    np.testing.assert_array_equal(found["tlg"], [np.nan, np.nan, 6.0])


def test_dissemination_that_cannot_be_computed_is_an_error_at_fit():
    frame = pd.DataFrame({"original_shape_VoxelVolume": [1.0, 2.0]})
    pooling = LesionPooling(dissemination=True)
    with pytest.raises(ValueError, match="needs the lesions' positions"):
        pooling.fit(LesionTable(frame))
    with pytest.raises(ValueError, match="feature class 'shape'"):
        pooling.fit(LesionTable(frame.set_axis(["size"], axis=1), positions=np.zeros((2, 3))))
    fitted = pooling.fit(LesionTable(frame, positions=np.zeros((2, 3))))
    with pytest.raises(ValueError, match="needs the lesions' positions"):
        fitted.transform(LesionTable(frame))
