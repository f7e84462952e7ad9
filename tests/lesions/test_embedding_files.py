"""Embeddings of files: labelled by the ids that they hold, or refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant.lesions import read_embedding

IDS = ["007", "008"]
VALUES = np.array([[1.0, 2.0], [3.0, 4.0]])


def write(path, how):
    """Write the same embedding in one of the ways."""
    frame = pd.DataFrame(VALUES, columns=["a", "b"])
    if how == "npz":
        np.savez(path / "m.npz", ids=np.array(IDS), embedding=VALUES.astype(np.float32))
        return path / "m.npz"
    named = frame.assign(**{"patient_id" if how != "first" else "x": IDS})
    named = named[[named.columns[-1], "a", "b"]] if how in ("first", "gz") else named
    if how == "parquet":
        named.set_index("patient_id").to_parquet(path / "m.parquet")
        return path / "m.parquet"
    file = path / ("m.csv.gz" if how == "gz" else "m.csv")
    named.to_csv(file, index=False)
    return file


@pytest.mark.parametrize("how", ["npz", "parquet", "named", "first", "gz"])
def test_ids_stay_text_and_label_the_rows(tmp_path, how):
    frame = read_embedding(write(tmp_path, how))
    assert frame.index.tolist() == IDS
    np.testing.assert_array_equal(frame.to_numpy(), VALUES)


def test_numbers_of_lesions_make_a_second_level(tmp_path):
    file = tmp_path / "m.csv"
    pd.DataFrame({"id": ["a", "a"], "lesion": [1, 0], "e": [1.0, 2.0]}).to_csv(file, index=False)
    assert read_embedding(file).index.tolist() == [("a", 1), ("a", 0)]


def test_arrays_without_ids_are_refused_with_the_remedy(tmp_path):
    np.savez(tmp_path / "m.npz", VALUES)
    with pytest.raises(ValueError, match=r"one array of 2 ids.*np\.savez"):
        read_embedding(tmp_path / "m.npz")


def test_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "m.npz", ids=np.array(IDS, dtype=object), embedding=VALUES)
    with pytest.raises(ValueError, match="no embedding that can be read"):
        read_embedding(tmp_path / "m.npz")


@pytest.mark.parametrize("name", ["m.xlsx", "m.npz", "m.parquet"])
def test_other_files_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no embedding that can be read"):
        read_embedding(tmp_path / name)


def test_measurements_are_no_ids(tmp_path):
    pd.DataFrame(VALUES, columns=["a", "b"]).to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(ValueError, match="'a' must hold the id of each row"):
        read_embedding(tmp_path / "m.csv")


def read_text(tmp_path, text, encoding="utf-8"):
    """Read an embedding of this text."""
    (tmp_path / "m.csv").write_text(text, encoding=encoding)
    return read_embedding(tmp_path / "m.csv")


REFUSED = {
    "semicolons": ("id;a;b\n007;1,5;2\n", "separated by ';'"),
    "tabs": ("id\ta\n007\t1\n", "separated by"),
    "nameless": ("a,b\n007,1,2\n008,3,4\n", "more cells than its first line"),
    "two-ids": ("sample,patient_id,a\n1,77,3\n2,88,4\n", "several columns that are named as ids"),
    "fractions": ("id,lesion,a\np,0.5,1\np,1,2\n", "number of each lesion"),
    "gaps": ("id,lesion,a\np,,1\np,1,2\n", "number of each lesion"),
    "words": ("id,lesion,a\np,left,1\np,right,2\n", "number of each lesion"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_cells_that_would_be_taken_for_others_are_refused(tmp_path, kind):
    text, message = REFUSED[kind]
    with pytest.raises(ValueError, match=message):
        read_text(tmp_path, text)


def test_the_counter_of_the_rows_is_no_feature(tmp_path):
    frame = read_text(tmp_path, ",PatientID,a\n0,007,1\n1,008,2\n", "utf-8-sig")
    assert frame.index.tolist() == IDS
    assert list(frame) == ["a"]


def test_an_array_that_is_no_archive_is_refused(tmp_path):
    np.save(tmp_path / "m.npy", VALUES)
    (tmp_path / "m.npy").rename(tmp_path / "m.npz")
    with pytest.raises(ValueError, match=r"np\.savez"):
        read_embedding(tmp_path / "m.npz")


def test_labels_of_parquet_are_ids_unless_a_column_is(tmp_path):
    pytest.importorskip("pyarrow")
    numbered = pd.DataFrame({"a": [1, 2], "lesion": [0, 1]}, index=[7, 7])
    numbered.to_parquet(tmp_path / "m.parquet")
    frame = read_embedding(tmp_path / "m.parquet")
    assert (frame.index.tolist(), list(frame)) == ([("7", 0), ("7", 1)], ["a"])
    # What is left of a counter after some rows were dropped.
    pd.DataFrame({"a": [1, 2], "id": IDS}, index=[3, 5]).to_parquet(tmp_path / "m.parquet")
    assert read_embedding(tmp_path / "m.parquet").index.tolist() == IDS
