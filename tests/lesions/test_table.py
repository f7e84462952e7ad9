"""The container: indexing equals NumPy's on its parts, and nothing is lost on disk."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant.lesions import LesionTable


def build_table(counts: list[int], *, patches: bool = True) -> LesionTable:
    """Return a table whose every value is its lesion's number."""
    sample = np.repeat(np.arange(len(counts)), counts)
    n_lesions = len(sample)
    number = np.arange(n_lesions, dtype=np.float64)
    voxels = np.broadcast_to(number[:, None, None, None], (n_lesions, 1, 8, 8))
    return LesionTable(
        pd.DataFrame({"age": number + 100, "volume": number}),
        blocks={"age": "clinical"},
        patches=voxels.astype(np.float32) if patches else None,
        masks=voxels % 2 == 0 if patches else None,
        sample=sample,
        positions=np.column_stack([number, number]),
        spacing=(1.0, 2.0),
        status=["ok" if i % 3 else f"failed {i}" for i in range(len(counts))],
        lesion_status=[f"shape only: {i}" if i % 4 == 1 else "ok" for i in range(n_lesions)],
        index=[f"case{i}" for i in range(len(counts))],
        provenance={"settings": {"binWidth": 0.25}},
    )


@st.composite
def tables_and_keys(draw):
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=8))
    n = len(counts)
    key = draw(
        st.one_of(
            st.integers(-n, n - 1),
            st.lists(st.integers(-n, n - 1), max_size=10),
            st.lists(st.booleans(), min_size=n, max_size=n).map(np.array),
            st.slices(n),
        )
    )
    return counts, key


@settings(max_examples=150, deadline=None)
@given(tables_and_keys())
def test_indexing_equals_numpys_on_the_parts(case):
    counts, key = case
    table = build_table(counts)
    chosen = np.atleast_1d(
        np.arange(len(counts))[np.array(key, dtype=int) if isinstance(key, list) else key]
    )
    groups = [np.flatnonzero(table.sample == position) for position in chosen]
    rows = np.concatenate(groups) if groups else np.array([], dtype=int)
    for part in (table[key], table[key, ...]):
        np.testing.assert_array_equal(part.features.to_numpy(), table.features.to_numpy()[rows])
        np.testing.assert_array_equal(part.patches, table.patches[rows])
        np.testing.assert_array_equal(part.masks, table.masks[rows])
        np.testing.assert_array_equal(part.positions, table.positions[rows])
        np.testing.assert_array_equal(part.spacing, table.spacing[rows])
        assert list(part.index) == list(table.index[chosen])
        assert list(part.status) == list(table.status.iloc[chosen])
        assert list(part.lesion_status) == list(table.lesion_status.iloc[rows])
        assert list(part.lesion_status.index) == list(part.features.index)
        assert list(part.features.index) == [f"case{i}" for i in table.sample[rows]]
        assert len(part) == part.shape[0] == part.n_samples == len(chosen)
        assert part.blocks == table.blocks


def test_columns_are_hcr_then_clinical():
    table = build_table([1, 1])
    assert list(table.columns) == ["volume", "age"]
    assert table.columns_of("hcr") == ["volume"]
    assert list(table.clinical.columns) == ["age"]


def test_a_slice_of_single_lesions_is_a_view():
    table = build_table([1] * 6)
    part = table[1:4]
    assert np.shares_memory(part.patches, table.patches)
    assert np.shares_memory(part.masks, table.masks)


def test_matrix_only_when_every_sample_has_one_lesion():
    np.testing.assert_array_equal(np.asarray(build_table([1, 1])), [[0.0, 100.0], [1.0, 101.0]])
    with pytest.raises(ValueError, match="3 lesions of 2 samples.*LesionPooling"):
        np.asarray(build_table([2, 1]))


def test_saved_and_loaded_bitwise(tmp_path):
    table = build_table([2, 1, 3])
    table.save(tmp_path / "lesions")
    for mmap in (False, True):
        loaded = LesionTable.load(tmp_path / "lesions.npz", mmap=mmap)
        pd.testing.assert_frame_equal(loaded.features, table.features)
        pd.testing.assert_series_equal(loaded.status, table.status)
        pd.testing.assert_series_equal(loaded.lesion_status, table.lesion_status)
        for name in ("patches", "masks", "positions", "spacing", "sample"):
            np.testing.assert_array_equal(getattr(loaded, name), getattr(table, name))
        assert loaded.blocks == table.blocks
        assert loaded.provenance == table.provenance
        assert isinstance(loaded.patches, np.memmap) is mmap
        loaded = None


def test_strings_are_refused_on_saving(tmp_path):
    table = LesionTable(pd.DataFrame({"sex": ["F", "M"]}))
    with pytest.raises(TypeError, match="sex"):
        table.save(tmp_path / "lesions.npz")


def test_foreign_file_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", values=np.zeros(3))
    with pytest.raises(ValueError, match=r"other.npz is not a saved LesionTable"):
        LesionTable.load(tmp_path / "other.npz")


def test_join_spreads_a_samples_values_over_its_lesions():
    table = build_table([2, 1]).join(pd.DataFrame({"weight": [70.0, 80.0]}))
    assert table.features["weight"].tolist() == [70.0, 70.0, 80.0]
    assert table.blocks["weight"] == "clinical"
    with pytest.raises(ValueError, match="weight"):
        table.join(pd.DataFrame({"weight": [1.0, 2.0]}))
    with pytest.raises(ValueError, match="1 rows but the table has 2 samples"):
        table.join(pd.DataFrame({"height": [1.0]}))


def test_concat_is_the_inverse_of_slicing():
    table = build_table([2, 1, 3, 1])
    again = LesionTable.concat([table[:2], table[2:]])
    pd.testing.assert_frame_equal(again.features, table.features)
    np.testing.assert_array_equal(again.patches, table.patches)
    np.testing.assert_array_equal(again.sample, table.sample)
    assert list(again.index) == list(table.index)
    pd.testing.assert_series_equal(again.lesion_status, table.lesion_status)
    with pytest.raises(ValueError, match="volume"):
        LesionTable.concat([table, table.replace(features=table.features[["age"]])])


def test_to_frame_numbers_the_lesions_of_a_sample():
    frame = build_table([2, 1]).to_frame()
    assert frame["lesion"].tolist() == [0, 1, 0]
    assert frame["status"].tolist() == ["failed 0", "failed 0", "ok"]
    assert frame["lesion_status"].tolist() == ["failed 0", "shape only: 1", "ok"]
    assert {"position_y", "position_x", "volume", "age"} <= set(frame.columns)


def two_samples(**parts):
    """Return three lesions of two samples."""
    return LesionTable(pd.DataFrame({"volume": [1.0, 2.0, 3.0]}), sample=[0, 0, 1], **parts)


def test_lesions_are_as_their_sample_unless_they_say_otherwise():
    assert two_samples().lesion_status.tolist() == ["ok", "ok", "ok"]
    failed = two_samples(status=["ok", "no such file"])
    assert failed.lesion_status.tolist() == ["ok", "ok", "no such file"]
    assert "lesion_status" not in failed.to_frame().columns
    small = two_samples(lesion_status=["ok", "shape only", "ok"])
    assert small.status.tolist() == ["ok", "ok"]
    assert small.replace(status=["ok", "broken"]).lesion_status.tolist() == [
        "ok",
        "shape only",
        "broken",
    ]
    joined = small.join(pd.DataFrame({"age": [50.0, 60.0]}))
    assert joined.lesion_status.tolist() == ["ok", "shape only", "ok"]
    doubled = LesionTable.concat([failed, small])
    assert doubled.lesion_status.tolist() == [
        *("ok", "ok", "no such file"),
        *("ok", "shape only", "ok"),
    ]
    with pytest.raises(ValueError, match="lesion_status has 1 rows but the table has 3 lesions"):
        two_samples(lesion_status=["ok"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sample": [0, 2]}, "no sample without a lesion"),
        ({"sample": [1, 0]}, "ascend"),
        ({"sample": [0.0, 1.0]}, "integer positions"),
        ({"sample": [0]}, "sample has 1 rows but the table has 2 lesions"),
        ({"index": ["a"]}, "index has 1 rows but the table has 2 samples"),
        ({"patches": np.zeros((3, 1, 8, 8))}, "patches has 3 rows"),
        ({"patches": np.zeros((2, 8, 8))}, r"shape \(n_lesions, C, H, W\)"),
        ({"masks": np.zeros((2, 2, 8, 8))}, "one channel"),
        (
            {"patches": np.zeros((2, 1, 8, 8)), "masks": np.zeros((2, 1, 9, 8))},
            "different grids",
        ),
        ({"blocks": {"b": "hcr"}}, r"unknown columns: \['b'\]"),
        ({"blocks": {"a": "image"}}, r"unknown blocks: \['image'\]"),
    ],
)
def test_parts_that_disagree_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LesionTable(pd.DataFrame({"a": [1.0, 2.0]}), **arguments)


def test_duplicated_columns_are_refused():
    frame = pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    with pytest.raises(ValueError, match=r"duplicated features: \['a'\]"):
        LesionTable(frame)


def test_labels_do_not_index():
    with pytest.raises(IndexError, match="not by the label 'case0'"):
        build_table([1, 1])["case0"]
    with pytest.raises(IndexError, match="by sample alone"):
        build_table([1, 1])[0, 1]


@pytest.mark.parametrize(
    "key", [[0, 2], np.array([0, 2]), ["a", "c"], [True, False, True], slice(0, 3, 2)]
)
def test_features_are_selected_by_position_name_or_mask(key):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0], "c": [7.0, 8.0, 9.0]})
    table = LesionTable(frame, blocks={"c": "clinical"}, sample=[0, 0, 1], index=["anna", "bert"])
    part = table[:, key]
    assert part.blocks == {"a": "hcr", "c": "clinical"}
    assert part.index.tolist() == ["anna", "bert"]
    assert table[[1], key].features.to_numpy().tolist() == [[3.0, 9.0]]


def test_unknown_features_are_named():
    with pytest.raises(IndexError, match="no features of the names .'unknown'"):
        build_table([1, 1])[:, ["unknown"]]


def test_from_arrays_with_any_subset():
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(4, 2, 8, 8, 8))
    table = LesionTable.from_arrays(patches=patches, spacing=(1.0, 1.0, 2.0))
    assert table.shape == (4, 0)
    assert table.patches.dtype == np.float32
    assert table.spacing.shape == (4, 3)
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=["x", "y"])
    assert list(LesionTable.from_arrays(features=frame).index) == ["x", "y"]
    assert list(LesionTable.from_arrays(features=np.eye(2)).columns) == ["feature0", "feature1"]
    with pytest.raises(ValueError, match="at least one"):
        LesionTable.from_arrays()


def test_scikit_learn_takes_the_table_as_it_is():
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 30)
    features = pd.DataFrame(rng.normal(size=(60, 3)) + 2 * y[:, None], columns=list("abc"))
    table = LesionTable(features, patches=np.zeros((60, 1, 8, 8)))
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    assert cross_val_score(pipeline, table, y, scoring="roc_auc").mean() > 0.95
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1.0]}).fit(table, y)
    np.testing.assert_array_equal(search.predict(table), search.predict(features.to_numpy()))


def test_a_folder_is_no_saved_table(tmp_path):
    with pytest.raises(
        IsADirectoryError, match=r"a store of lesions is opened by LesionTable\.open"
    ):
        LesionTable.load(tmp_path)


def test_a_table_is_loaded_by_the_path_it_was_saved_by(tmp_path):
    table = LesionTable.from_arrays(features=np.arange(6.0).reshape(3, 2))
    table.save(tmp_path / "p")
    pd.testing.assert_frame_equal(LesionTable.load(tmp_path / "p").features, table.features)
    with pytest.raises(FileNotFoundError, match="q.npz"):
        LesionTable.load(tmp_path / "q")


def test_concat_brings_columns_into_the_order_of_the_first():
    first, other = build_table([1, 2]), build_table([1])
    other = other.replace(features=other.features[["age", "volume"]], blocks={"age": "clinical"})
    turned = LesionTable(
        pd.DataFrame({"age": [7.0], "volume": [5.0], "mean": [3.0]}), index=["last"]
    )
    plain = LesionTable(pd.DataFrame({"mean": [1.0], "volume": [2.0], "age": [4.0]}))
    joined = LesionTable.concat([plain, turned])
    assert joined.features.to_numpy().tolist() == [[1.0, 2.0, 4.0], [3.0, 5.0, 7.0]]
    assert LesionTable.concat([first, other]).n_samples == 3


def test_the_diagnostics_of_pyradiomics_are_left_out():
    frame = pd.DataFrame(
        {
            "diagnostics_Versions_PyRadiomics": ["v3.0.1", "v3.0.1"],
            "diagnostics_Mask-original_VoxelNum": [50, 60],
            "original_shape_MeshVolume": [1.0, 2.0],
        }
    )
    with pytest.warns(UserWarning, match="2 columns of pyradiomics.* diagnostics_Versions"):
        table = LesionTable(frame)
    assert table.columns.tolist() == ["original_shape_MeshVolume"]


@pytest.mark.parametrize(
    ("features", "message"),
    [(np.eye(3), "got ndarray; an array is read by .*from_arrays"), ("x.csv", "got str")],
)
def test_features_are_a_data_frame(features, message):
    with pytest.raises(TypeError, match=message):
        LesionTable(features)


def test_arrays_of_a_wrong_shape_say_what_is_missing():
    with pytest.raises(ValueError, match=r"\(n_lesions, n_features\), got the shape \(5,\)"):
        LesionTable.from_arrays(features=np.zeros(5))
    with pytest.raises(ValueError, match=r"channel is added by patches\[:, None\]"):
        LesionTable.from_arrays(patches=np.zeros((4, 28, 28)))


@pytest.mark.parametrize(
    "index",
    [
        pd.DatetimeIndex(["2020-01-01", "2020-01-02 12:30:00.000000001"]),
        pd.DatetimeIndex(["2020-01-01", "2020-01-02"], tz="Europe/Paris", name="visit"),
        pd.period_range("2020-01", periods=2, freq="M"),
    ],
)
def test_samples_labelled_by_dates_are_saved(tmp_path, index):
    build_table([1, 2]).replace(index=index).save(tmp_path / "t.npz")
    loaded = LesionTable.load(tmp_path / "t.npz")
    pd.testing.assert_index_equal(loaded.index, index, exact=False)


def test_labels_of_several_levels_are_refused_on_saving(tmp_path):
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])
    with pytest.raises(TypeError, match=r"type tuple, such as \('a', 1\)"):
        build_table([1, 1]).replace(index=index).save(tmp_path / "t.npz")


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"PK\x03\x04cut off", b""])
def test_what_is_no_table_is_named(tmp_path, content):
    path = tmp_path / "t.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="t.npz is not a saved LesionTable, or is cut off"):
        LesionTable.load(path)
    np.save(tmp_path / "voxels.npy", np.zeros(3))
    with pytest.raises(ValueError, match="voxels.npy is not a saved LesionTable"):
        LesionTable.load(tmp_path / "voxels.npy")
    with pytest.raises(FileNotFoundError, match="no table .*none.npz; the working directory is"):
        LesionTable.load(tmp_path / "none")


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize(
    ("place", "value"),
    [(6, 0x63), (8, 0x01), (8, 0x20), (8, 0x40), (10, 0x0C), (10, 0x63), (42, 0xFF), (45, 0xFF)],
    ids=str,
)
def test_a_damaged_directory_is_named(tmp_path, place, value, mmap):
    """A version, a flag, a compression or an offset of the zip directory that cannot be."""
    path = tmp_path / "t.npz"
    build_table([1, 2]).save(path)
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\x01\x02") + place] = value
    path.write_bytes(content)
    with pytest.raises(ValueError, match="t.npz is not a saved LesionTable, or is cut off"):
        LesionTable.load(path, mmap=mmap)


@pytest.mark.parametrize("header", [b"[]", b"7", b"null", b"[" * 100_000])
def test_a_header_of_another_kind_is_named(tmp_path, header):
    path = tmp_path / "t.npz"
    np.savez(path, header=np.frombuffer(header, dtype=np.uint8), features=np.zeros((1, 1)))
    with pytest.raises(ValueError, match="t.npz is not a saved LesionTable, or is cut off"):
        LesionTable.load(path)


def test_a_matrix_of_text_names_the_columns():
    table = LesionTable(pd.DataFrame({"Image": ["a.nii", "b.nii"], "volume": [1.0, 2.0]}))
    with pytest.raises(ValueError, match=r"1 columns are not: \['Image'\]"):
        make_pipeline(StandardScaler(), LogisticRegression()).fit(table, [0, 1])


def test_numbers_lie_in_rows_however_the_frame_was_made():
    """So that sums are rounded alike for a table of memory and one of a store."""
    values = np.random.default_rng(0).normal(size=(6, 4))
    by_column = pd.DataFrame({name: values[:, i] for i, name in enumerate("abcd")})
    for frame in (pd.DataFrame(values, columns=list("abcd")), by_column):
        table = LesionTable(frame)
        for one in (table, table[1:4], table[[3, 0]]):
            assert np.asarray(one.features).flags.c_contiguous
        np.testing.assert_array_equal(table.features, values)
