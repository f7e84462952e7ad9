"""Given embeddings: joined by labels or refused, and carried along with the table."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from nonredundant import LesionTable
from nonredundant.patients import LesionPooling

FEATURES = pd.DataFrame({"original_a": [1.0, 2.0, 3.0, 4.0], "age": [50.0, 60.0, 60.0, 70.0]})
IDS = ["anna", "bert", "carl"]


def several(**more):
    """Return a table of three patients, of whom the second has two lesions."""
    return LesionTable(FEATURES, blocks={"age": "clinical"}, sample=[0, 1, 1, 2], index=IDS, **more)


def frame(rows, index=None):
    """Return an embedding with a number per row, and its negative."""
    numbers = np.asarray(rows, dtype=float)
    return pd.DataFrame({"e0": numbers, "e1": -numbers}, index=index)


def test_an_embedding_of_samples_is_joined_by_label_and_repeated_for_their_lesions():
    table = several(embeddings={"FMCIB": frame([3, 1, 2], ["carl", "anna", "bert"])})
    assert table.embeddings["FMCIB"]["FMCIB__e0"].tolist() == [1, 2, 2, 3]
    assert list(table.columns) == ["original_a", "age", "FMCIB__e0", "FMCIB__e1"]
    assert "2 FMCIB" in repr(table)
    assert list(table.known) == ["original_a", "age"]


def test_an_embedding_of_lesions_is_joined_by_sample_and_number():
    labels = [("carl", 0), ("bert", 1), ("anna", 0), ("bert", 0)]
    given = frame([4, 3, 1, 2], pd.MultiIndex.from_tuples(labels))
    table = several(embeddings={"FMCIB": given})
    assert table.features["FMCIB__e0"].tolist() == [1, 2, 3, 4]


def test_an_embedding_of_lesions_is_joined_by_the_labels_of_their_features():
    features = FEATURES.set_axis(["a1", "b1", "b2", "c1"], axis=0)
    given = frame([4, 3, 2, 1], ["c1", "b2", "b1", "a1"])
    table = LesionTable(features, sample=[0, 1, 1, 2], index=IDS, embeddings={"M": given})
    assert table.features["M__e0"].tolist() == [1, 2, 3, 4]


def test_ids_that_are_numbers_in_one_table_and_text_in_the_other_are_joined():
    features = pd.DataFrame({"a": [1.0, 2.0]}, index=["7", "8"])
    table = LesionTable(features, embeddings={"M": frame([8, 7], [8, 7])})
    assert table.features["M__e0"].tolist() == [7, 8]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param(frame([1, 2], ["anna", "bert"]), r"1 of 3 are missing, \['carl'\]", id="few"),
        pytest.param(
            frame([1, 2, 3, 4], [*IDS, "dora"]), r"1 of 4 are left over, \['dora'\]", id="many"
        ),
        pytest.param(frame([1, 2, 3]), "3 of 3 are missing", id="no ids"),
        pytest.param(frame([1, 2, 3, 4]), "3 of 3 are missing", id="as many as lesions"),
        pytest.param(
            frame([1, 2, 3]).assign(patient=IDS), r"set_index\('patient'\)", id="ids in a column"
        ),
        pytest.param(frame([1, 2, 3], ["anna", "bert", "bert"]), "several rows", id="twice"),
        pytest.param(frame([1, 2, 3], IDS).assign(word="x"), "columns are not", id="words"),
        pytest.param(frame([np.nan] * 3, IDS), "no value in any row", id="empty"),
    ],
)
def test_what_cannot_be_joined_is_refused(given, says):
    with pytest.raises(ValueError, match=says):
        several(embeddings={"FMCIB": given})


def test_an_array_is_refused_as_its_rows_have_no_labels():
    with pytest.raises(TypeError, match="index=ids"):
        several(embeddings={"FMCIB": np.ones((3, 2))})


@pytest.mark.parametrize("name", ["hcr", "D16", "PCA", "CT-MI", "a+b", "a__b", "1st", "volume"])
def test_names_with_another_meaning_are_refused(name):
    with pytest.raises(ValueError, match="cannot name an embedding"):
        several(embeddings={name: frame([1, 2, 3], IDS)})


def test_a_misspelt_block_is_no_embedding():
    with pytest.raises(ValueError, match="unknown blocks"):
        LesionTable(FEATURES, blocks={"age": "clincal"})


def test_lesions_without_an_embedding_are_told_by_name():
    with pytest.warns(UserWarning, match=r"1 of 4 lesions have no embedding 'FMCIB'.*'carl'"):
        several(embeddings={"FMCIB": frame([1, 2, np.nan], IDS)})
    gap = frame([1, 2, 3], IDS)
    gap.loc["anna", "e1"] = np.nan
    with pytest.warns(UserWarning, match=r"1 gaps in 1 lesions: cases \['anna'\]"):
        several(embeddings={"FMCIB": gap})


@pytest.fixture
def table():
    given = {"FMCIB": frame([1, 2, 3], IDS), "CT-FM": frame([4, 5, 6], IDS)}
    return several(embeddings=given)


def test_several_models_stand_side_by_side(table):
    assert table.embedding_names == ["FMCIB", "CT-FM"]
    third = table.replace(embeddings={"third": frame([7, 8, 9], IDS)})
    assert third.embedding_names == ["FMCIB", "CT-FM", "third"]
    with pytest.raises(ValueError, match="already"):
        table.replace(embeddings={"FMCIB": frame([7, 8, 9], IDS)})


def test_embeddings_are_sliced_concatenated_and_saved(table, tmp_path):
    parts = LesionTable.concat([table[[2]], table[:2]])[[1, 2, 0]]
    table.save(tmp_path / "lesions.npz")
    loaded = LesionTable.load(tmp_path / "lesions.npz")
    for same in (parts, loaded):
        pd.testing.assert_frame_equal(same.features, table.features)
        assert same.blocks == table.blocks


def test_pooling_keeps_the_block_of_an_embedding(table):
    pooled = LesionPooling(["max", "mean"]).fit(table).pool(table)
    assert pooled.columns_of("FMCIB")[0] == "max__FMCIB__e0"
    assert pooled.columns_of("hcr") == ["max__original_a", "mean__original_a"]
    assert pooled.embeddings["CT-FM"]["max__CT-FM__e0"].tolist() == [4, 5, 6]
    assert pooled[[0]].embedding_names == ["FMCIB", "CT-FM"]


def test_results_of_pyradiomics_are_read_as_numbers():
    rows = [
        {"diagnostics_Versions_PyRadiomics": "3", "original_a": np.array(value), "original_b": 1}
        for value in (1.5, 2.5)
    ]
    with pytest.warns(UserWarning, match="left out"):
        table = LesionTable(pd.DataFrame(rows))
    assert np.asarray(table).tolist() == [[1.5, 1.0], [2.5, 1.0]]


def test_a_complete_embedding_raises_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        several(embeddings={"FMCIB": frame([1, 2, 3], IDS)})


def test_the_level_of_the_lesion_is_known_by_its_name():
    # As many samples as lesions of each: the two levels would fit the other way round, too.
    labels = pd.MultiIndex.from_tuples(
        [(lesion, sample) for sample in range(2) for lesion in range(2)], names=["lesion", "sample"]
    )
    table = LesionTable(
        FEATURES, sample=[0, 0, 1, 1], embeddings={"FMCIB": frame([0, 1, 2, 3], labels)}
    )
    assert table.embeddings["FMCIB"]["FMCIB__e0"].tolist() == [0, 1, 2, 3]


def test_rows_without_a_label_are_refused():
    with pytest.raises(ValueError, match="1 rows without a label"):
        several(embeddings={"FMCIB": frame([1, 2, 3], ["anna", "bert", np.nan])})


def test_tables_whose_embeddings_are_hand_crafted_in_one_of_them_are_not_joined():
    table = several(embeddings={"FMCIB": frame([1, 2, 3], IDS)})
    plain = LesionTable(table.features, sample=[0, 1, 1, 2], index=IDS)
    for tables in ([table, plain], [plain, table]):
        with pytest.raises(ValueError, match="different blocks"):
            LesionTable.concat(tables)
