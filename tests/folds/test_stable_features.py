"""`StableFeatures`: what a fold keeps is learned from the repeats of its training samples alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone

from nonredundant import LesionTable, StableFeatures, compare_feature_sets
from nonredundant.cli.model_files import load_model
from nonredundant.cli.trusted import TRUSTED_CLASSES
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.stability import intraclass_correlation
from nonredundant.utils.validation import InvalidParameterError

#: Noise of each column's repeats: from stable to none.
NOISE = np.array([0.05, 0.2, 2.0, 5.0])
COLUMNS = ["original_shape_A", "original_glcm_B", "original_glcm_C", "other"]


def repeated(n=60, k=3, seed=0):
    """Return measurements with labels, and the label of two classes that A tells apart."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    truth = rng.normal(size=(n, 4)) + np.outer(y, [1.5, 0, 0, 0])
    index = [f"p{i:02d}" for i in range(n)]
    frames = [
        pd.DataFrame(truth + NOISE * rng.normal(size=truth.shape), index=index, columns=COLUMNS)
        for _ in range(k)
    ]
    return frames, y


def table_of(frame, **more):
    return LesionTable(frame.assign(age=60.0), blocks={"age": "clinical"}, **more)


def test_stable_features_clinical_columns_and_embeddings_stay():
    frames, _ = repeated()
    given = pd.DataFrame(np.ones((60, 2)), index=frames[0].index)
    table = table_of(frames[0], embeddings={"FMCIB": given})
    # Columns of the table that are not hand-crafted are no part of what is repeated.
    found = StableFeatures([table, *frames[1:]]).fit_transform(table)
    assert found.columns.tolist() == [*COLUMNS[:2], "age", "FMCIB__0", "FMCIB__1"]
    assert found.embedding_names == ["FMCIB"]


def test_only_repeats_of_training_samples_are_used():
    frames, _ = repeated()
    train = table_of(frames[0])[:30]
    step = StableFeatures(frames).fit(train)
    rng = np.random.default_rng(1)
    changed = [frame.copy() for frame in frames]
    for frame in changed:
        frame.iloc[30:] = rng.normal(size=(30, 4)) * 1e6
    other = StableFeatures(changed).fit(train)
    pd.testing.assert_frame_equal(step.icc_, other.icc_, check_exact=True)
    assert step.columns_ == other.columns_
    expected = intraclass_correlation(np.stack([frame[:30] for frame in frames], axis=1))
    np.testing.assert_allclose(step.icc_["icc"], expected.icc)
    np.testing.assert_allclose(step.icc_["low"], expected.low)


def test_rows_are_joined_by_label_and_columns_by_name():
    frames, _ = repeated()
    mixed = [frames[0], frames[1][::-1], frames[2][COLUMNS[::-1]]]
    one, two = (StableFeatures(one).fit(table_of(frames[0])).icc_ for one in (frames, mixed))
    pd.testing.assert_frame_equal(one, two)


def test_several_lesions_count_by_their_mean():
    frames, _ = repeated()
    sample = np.repeat(np.arange(30), 2)
    tables = [
        LesionTable(frame.reset_index(drop=True), sample=sample, index=frame.index[:30])
        for frame in frames
    ]
    found = StableFeatures(tables).fit(tables[0]).icc_
    means = np.stack([frame.to_numpy().reshape(30, 2, 4).mean(axis=1) for frame in frames], axis=1)
    np.testing.assert_allclose(found["icc"], intraclass_correlation(means).icc)


def test_a_retest_of_some_patients_is_enough():
    frames, _ = repeated(k=2)
    step = StableFeatures([frames[0], frames[1][:20]]).fit(table_of(frames[0]))
    assert step.icc_["n_samples"].tolist() == [20] * 4
    assert step.columns_ == COLUMNS[:2]


def test_bound_kind_and_threshold_decide():
    frames, _ = repeated(n=8)
    shifted = [frames[0], frames[1] + 3.0]
    table = table_of(frames[0])
    lower = StableFeatures(frames, threshold=0.9).fit(table)
    estimate = StableFeatures(frames, threshold=0.9, bound="estimate").fit(table)
    assert set(lower.columns_) < set(estimate.columns_)
    assert StableFeatures(shifted, kind="ICC(3,1)").fit(table).columns_[0] == COLUMNS[0]
    with pytest.raises(ValueError, match=r"none of 4 .* best, .* threshold"):
        StableFeatures(shifted).fit(table)


def test_a_comparison_keeps_features_by_fold_and_reports_them(tmp_path):
    frames, y = repeated()
    options = {"feature_sets": ["HCR"], "classifiers": "LR", "baselines": False, "cv": 3}
    table = LesionTable(frames[0])
    found = compare_feature_sets(
        table, y, steps=[StableFeatures(frames)], n_repeats=1, random_state=0, **options
    )
    stable = found.stability.set_index("column")
    assert stable["kept"].tolist() == [1, 1, 0, 0]
    assert stable["family"].tolist() == ["shape", "glcm", "glcm", "other"]
    assert stable["n_samples"].tolist() == [40] * 4
    plain = compare_feature_sets(
        LesionTable(frames[0][COLUMNS[:2]]), y, n_repeats=1, random_state=0, **options
    )
    pd.testing.assert_frame_equal(found.scores, plain.scores)
    assert plain.stability.empty
    page = found.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Stability by family of features" in page
    assert "kept by the intraclass correlation of repeats" in page
    (tmp_path / "csv").mkdir()
    found.to_csv(tmp_path / "csv")
    assert len(pd.read_csv(tmp_path / "csv" / "stability.csv")) == 4


def test_a_fitted_step_is_saved_without_its_repeats():
    frames, _ = repeated()
    table = table_of(frames[0])
    step = StableFeatures(frames).fit(table)
    kept = skops.io.dumps(step.set_params(repeats=None))
    other = skops.io.loads(kept, trusted=sorted(TRUSTED_CLASSES))
    assert other.transform(table).columns.equals(step.transform(table).columns)
    pd.testing.assert_frame_equal(other.icc_, step.icc_)
    with pytest.raises(InvalidParameterError, match="give the repeats"):
        clone(step).fit(table)


def test_wrong_input_is_named():
    frames, _ = repeated()
    table = table_of(frames[0])
    with pytest.raises(ValueError, match=r"1 of 60 training samples .*'p59'"):
        StableFeatures([frame[:-1] for frame in frames]).fit(table)
    with pytest.raises(ValueError, match=r"1 of 4 features .*'other'"):
        StableFeatures([frame[COLUMNS[:3]] for frame in frames]).fit(table)
    with pytest.raises(ValueError, match="two or more measurements"):
        StableFeatures(frames[:1]).fit(table)
    with pytest.raises(ValueError, match=r"1 of 4 features are not in repeat 1: \['other'\]"):
        StableFeatures([frames[0], frames[1][COLUMNS[:3]]]).fit(table)
    with pytest.raises(ValueError, match="several rows of"):
        StableFeatures([frames[0], pd.concat(frames)]).fit(table)
    with pytest.raises(ValueError, match="no sample has two measurements"):
        StableFeatures([frames[0], frames[1].add_prefix("x", axis=0)]).fit(table)
    with pytest.raises(ValueError, match="must hold numbers"):
        StableFeatures([frames[0], frames[1].astype(str) + "?"]).fit(table)
    with pytest.raises(InvalidParameterError, match="threshold"):
        StableFeatures(frames, threshold=75).fit(table)
    with pytest.raises(InvalidParameterError, match="repeats"):
        StableFeatures(table).fit(table)
    step = StableFeatures(frames).fit(table)
    with pytest.raises(ValueError, match="1 of 2 stable features are not in the table"):
        step.transform(table_of(frames[0][COLUMNS[1:]]))


def test_neither_a_report_nor_a_model_holds_the_patients_of_the_repeats(tmp_path):
    frames, y = repeated()
    repeats = [pd.concat([one, one.iloc[:1].set_axis(["Mustermann"])]) for one in frames]
    steps = [StableFeatures(repeats)]
    found = compare_feature_sets(
        table_of(frames[0]),
        y,
        steps=steps,
        feature_sets=["HCR"],
        classifiers="LR",
        baselines=False,
        controls=False,
        n_repeats=1,
        random_state=0,
    )
    assert "Mustermann" not in str(found.settings.to_dict())
    model = FeatureSetClassifier("HCR", steps=steps, random_state=0).fit(table_of(frames[0]), y)
    skops.io.dump(model, tmp_path / "model.skops")
    again = load_model(tmp_path / "model.skops")
    assert again.steps[0][1].repeats is None
    np.testing.assert_array_equal(
        again.predict_proba(table_of(frames[0])), model.predict_proba(table_of(frames[0]))
    )
    # The model itself can be fitted again.
    assert model.steps is steps
