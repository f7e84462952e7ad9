"""Reading of case tables: ids as written, cells that are no numbers, rows of a spreadsheet."""

from __future__ import annotations

import pytest

from nonredundant.cli.tools import (
    check_distinct_ids,
    check_not_clinical,
    clinical_columns,
    read_cases,
)


def table_of(folder, text, *needed, **more):
    path = folder / "cases.csv"
    path.write_text(text, encoding="utf-8")
    return read_cases(path, *needed, **more)


def test_ids_are_text_exactly_as_written(tmp_path):
    cases = table_of(tmp_path, "patient_id,image,y\n001,a,0\nNA,b,1\n1E5,c,0\n2.50,d,1\n", "y")
    assert cases.index.tolist() == ["001", "NA", "1E5", "2.50"]
    assert cases["patient_id"].tolist() == ["001", "NA", "1E5", "2.50"]
    assert cases["y"].tolist() == [0, 1, 0, 1]
    assert cases["image"].tolist() == ["a", "b", "c", "d"]


def test_the_mark_of_a_spreadsheet_is_no_part_of_the_first_name(tmp_path):
    assert table_of(tmp_path, "\ufeffid,image\n01,a\n").index.tolist() == ["01"]


def test_empty_rows_are_dropped_and_told(tmp_path, capsys):
    cases = table_of(tmp_path, "id,image,age\nx,a,50\n,,\n\ny,b,60\n , ,\n", "age")
    assert cases.index.tolist() == ["x", "y"]
    assert cases["age"].tolist() == [50, 60]
    assert "3 empty rows are dropped: lines [3, 4, 6]" in capsys.readouterr().err


def test_a_case_without_an_id_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"1 rows have no 'id': lines \[3\]"):
        table_of(tmp_path, "id,image\nx,a\n,b\n")


def test_repeated_ids_stay_and_need_groups(tmp_path):
    text = "patient_id,image\nP0,a\nP0,b\nP1,c\n"
    cases = table_of(tmp_path, text, groups="patient_id")
    assert cases.index.tolist() == ["P0", "P0 #2", "P1"]
    assert cases["patient_id"].tolist() == ["P0", "P0", "P1"]
    check_distinct_ids(cases, tmp_path, "patient_id")
    with pytest.raises(ValueError, match=r"1 ids in 'patient_id'.*\['P0'\]; set --groups patient"):
        check_distinct_ids(table_of(tmp_path, text), tmp_path, None)


def test_a_first_column_of_values_is_no_id(tmp_path):
    cases = table_of(tmp_path, "sex,image\nf,a\nm,b\nf,c\n")
    assert cases.index.tolist() == [0, 1, 2]
    check_distinct_ids(cases, tmp_path, None)


def test_a_table_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(ValueError, match="commas, not semicolons"):
        table_of(tmp_path, "id;image\nx;a\n")
    with pytest.raises(ValueError, match="there is no table .*none.csv"):
        read_cases(tmp_path / "none.csv")


def test_an_empty_mask_cell_stays_empty(tmp_path):
    cases = table_of(tmp_path, "id,image,mask\nx,a,m\ny,b,\n")
    assert cases["mask"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["51", "unknown", "53"], r"age: 1 of 3 cells is no number: 'unknown' \(y\)"),
        (['"51,5"', "52", "53"], r"1 of 3 .*'51,5' \(x\)"),
        (['"51,5"', '"52,1"', '"53,0"'], r"3 of 3 cells are no number: '51,5' \(x\), '52,1'"),
    ],
)
def test_numbers_with_a_word_or_a_decimal_comma_are_refused(tmp_path, cells, told):
    rows = [f"{label},a,{cell}\n" for label, cell in zip("xyz", cells, strict=True)]
    cases = table_of(tmp_path, "id,image,age\n" + "".join(rows), "age")
    with pytest.raises(ValueError, match=told):
        clinical_columns(cases, ["age"])


def test_words_are_categories_and_missing_numbers_are_not_odd(tmp_path):
    text = "id,image,sex,age\nx,a,F,50\ny,b,M,\nz,c,F,70\n"
    cases = table_of(tmp_path, text, "sex", "age")
    made = clinical_columns(cases, ["sex", "age"]).fit(cases)
    assert made.transform(cases).tolist() == [[50, 0], [60, 1], [70, 0]]


def test_the_outcome_is_no_clinical_column():
    with pytest.raises(ValueError, match=r"--clinical names \['y'\], which is the outcome"):
        check_not_clinical(["age", "y"], "y", None)
    with pytest.raises(ValueError, match="outcome"):
        check_not_clinical(["dead"], "time", "dead")
