"""Reading of case tables: ids as written, cells that are no numbers, rows of a spreadsheet."""

from __future__ import annotations

import os
import warnings

import pytest
import typer

from nonredundant.cli.tools import (
    check_distinct_ids,
    check_not_clinical,
    clinical_columns,
    command,
    held_out_cases,
    read_cases,
    read_labels,
    remove_cache,
    report_failures,
    start_without_cache,
)
from nonredundant.utils.user_warnings import warn_user


def table_of(folder, text, *needed, **more):
    path = folder / "cases.csv"
    path.write_text(text, encoding="utf-8")
    return read_cases(path, *needed, **more)


def test_ids_are_text_exactly_as_written(tmp_path):
    cases = table_of(tmp_path, "patient_id,image,y\n001,a,0\nNA,b,1\n1E5,c,0\n2.50,d,1\n", "y")
    assert cases.index.tolist() == ["001", "NA", "1E5", "2.50"]
    assert cases["patient_id"].tolist() == ["001", "NA", "1E5", "2.50"]
    assert cases["y"].tolist() == [0, 1, 0, 1]
    assert cases["image"].tolist() == [str(tmp_path / name) for name in "abcd"]


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


def test_ids_are_found_by_their_name_in_any_column(tmp_path):
    cases = table_of(tmp_path, "image,mask,Patient ID,age\na,m,007,50\nb,m,NA,60\n", "age")
    assert cases.index.tolist() == ["007", "NA"]
    assert cases["Patient ID"].tolist() == ["007", "NA"]
    twice = table_of(tmp_path, "image,mask,age,id\na,m,50,1\nb,m,60,1\n", "age")
    assert twice.index.tolist() == ["1", "1 #2"]
    with pytest.raises(ValueError, match="set --groups id to keep"):
        check_distinct_ids(twice, tmp_path, None)
    other = table_of(tmp_path, "image,scanner_id,patient_age\na,1,50\nb,1,50\n")
    assert other.index.tolist() == [0, 1]


def test_groups_are_text_and_empty_ones_are_missing(tmp_path):
    text = "id,image,centre\nx,a,01\ny,b,1\nz,c,NA\nw,d,\n"
    cases = table_of(tmp_path, text, groups="centre")
    assert cases["centre"].tolist()[:3] == ["01", "1", "NA"]
    assert cases["centre"].isna().tolist() == [False, False, False, True]


def test_held_out_cases_of_one_patient_are_grouped(tmp_path):
    path = tmp_path / "test.csv"
    path.write_text("id,image,y\nx,a,0\nx,b,0\nz,c,1\n")
    _, y, groups = held_out_cases(path, ["y"], "y", None)
    assert (y.tolist(), groups.tolist()) == ([0, 0, 1], ["x", "x", "z"])
    path.write_text("id,image,y\nx,a,0\ny,b,0\nz,c,1\n")
    assert len(held_out_cases(path, ["y"], "y", None)) == 2
    assert held_out_cases(path, ["y"], "y", None, "y")[2].tolist() == [0, 0, 1]


def test_rows_longer_than_the_header_are_not_shifted(tmp_path):
    with pytest.raises(ValueError, match=r"more cells than the header has names \(3\)"):
        table_of(tmp_path, "id,image,y\nx,a,0,\nz,b,1,\n", "y")
    with pytest.raises(ValueError, match="Expected 3 fields in line 3, saw 4"):
        table_of(tmp_path, "id,image,y\nx,a,0\nz,b,1,2\n", "y")


def test_two_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"several columns of the same name: \['y'\]"):
        table_of(tmp_path, "id,image,y,y\nx,a,0,1\n", "y")


def test_a_file_that_is_no_csv_says_how_to_write_one(tmp_path):
    path = tmp_path / "cases.xlsx"
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(ValueError, match="cases.xlsx is not a CSV table in UTF-8 .*'CSV UTF-8'"):
        read_cases(path)
    with pytest.raises(ValueError, match="is a folder; give a CSV file"):
        read_cases(tmp_path)


def test_a_first_column_of_values_is_no_id(tmp_path):
    cases = table_of(tmp_path, "sex,image\nf,a\nm,b\nf,c\n")
    assert cases.index.tolist() == [0, 1, 2]
    check_distinct_ids(cases, tmp_path, None)


def test_a_table_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(ValueError, match="commas, not semicolons"):
        table_of(tmp_path, "id;image\nx;a\n")
    with pytest.raises(ValueError, match=r"commas, not tabs$"):
        table_of(tmp_path, "id\timage\nx\ta\n")
    (tmp_path / "wide.csv").write_text("id,image\nx,a\n", encoding="utf-16")
    with pytest.raises(ValueError, match=r"wide.csv is no text in UTF-8 .*'CSV UTF-8'"):
        read_cases(tmp_path / "wide.csv")
    with pytest.raises(ValueError, match="there is no table .*none.csv"):
        read_cases(tmp_path / "none.csv")


def test_a_missing_path_is_not_sought_in_the_working_directory(tmp_path, monkeypatch):
    """A file of the same name there may be that of another patient."""
    (tmp_path / "work").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "work" / "scan.nii").touch()
    monkeypatch.chdir(tmp_path / "work")
    expected = [str(tmp_path / "data" / "scan.nii")]
    text = "id,image\na,scan.nii\n"
    assert table_of(tmp_path / "data", text)["image"].tolist() == expected
    assert table_of(tmp_path, text, root=tmp_path / "data")["image"].tolist() == expected


def test_a_table_of_100_000_rows_asks_the_disk_for_its_folder_once(tmp_path, monkeypatch):
    rows = "".join(f"P{i},a/./{i}.nii,b/../{i}.nii\n" for i in range(100_000))
    asked = []
    realpath = os.path.realpath
    monkeypatch.setattr("os.path.realpath", lambda *a, **k: asked.append(a) or realpath(*a, **k))
    cases = table_of(tmp_path, "id,image,mask\n" + rows)
    assert len(asked) < 10
    folder = str(tmp_path.resolve())
    assert cases.loc["P7", ["image", "mask"]].tolist() == [f"{folder}/a/7.nii", f"{folder}/7.nii"]


def test_absolute_paths_and_those_of_the_home_folder_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    cases = table_of(tmp_path, "id,image\nx,/data/a.nii\ny,~/b.nii\n")
    assert cases["image"].tolist() == ["/data/a.nii", "/home/someone/b.nii"]


def test_a_root_that_is_no_folder_is_named(tmp_path):
    with pytest.raises(NotADirectoryError, match=r"--root .*nowhere is no folder"):
        table_of(tmp_path, "id,image\na,scan.nii\n", root=tmp_path / "nowhere")


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


def test_only_what_joblib_keeps_is_removed(tmp_path):
    cache = tmp_path / "cache"
    (cache / "joblib" / "x").mkdir(parents=True)
    remove_cache(cache)
    assert not cache.exists()
    # A folder of that name may be the user's own.
    (cache / "joblib").mkdir(parents=True)
    (cache / "scan.nii").touch()
    remove_cache(cache)
    assert [one.name for one in cache.iterdir()] == ["scan.nii"]
    remove_cache(tmp_path / "none")


def test_a_link_in_place_of_the_cache_is_removed_and_its_target_stays(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "joblib").symlink_to(tmp_path / "elsewhere")
    remove_cache(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    assert (tmp_path / "elsewhere").is_dir()


def test_a_link_in_place_of_the_folder_is_removed_and_its_target_stays(tmp_path):
    (tmp_path / "elsewhere" / "joblib").mkdir(parents=True)
    (tmp_path / "cache").symlink_to(tmp_path / "elsewhere")
    remove_cache(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    assert (tmp_path / "elsewhere" / "joblib").is_dir()


def test_a_cache_that_cannot_be_removed_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "joblib").mkdir()
    monkeypatch.setattr("shutil.rmtree", lambda *args, **options: None)
    with pytest.raises(ValueError, match="cannot be removed: delete this folder"):
        start_without_cache(tmp_path)


def test_what_an_id_holds_cannot_steer_the_terminal(capsys):
    ids = ["Zoë 李\u200d", "\x1b]0;title\x07", "a\nError: fake", "\u202egnp", "\udc80"]
    status = {one: f"{one}: no file\r\nError: fake" for one in ids}
    assert report_failures(status) == 1
    lines = capsys.readouterr().err.split("\n")
    assert [line.partition(": ")[0] for line in lines] == ["Failed"] * 5 + [""]
    assert lines[0].startswith("Failed: Zoë 李\u200d: Zoë 李\u200d: no file Error: fake")
    assert lines[1].startswith(r"Failed: \x1b]0;title\x07: ")
    assert lines[2].startswith(r"Failed: a\nError: fake: ")
    assert lines[3].startswith(r"Failed: \u202egnp: ")
    assert lines[4].startswith(r"Failed: \udc80: ")


@pytest.mark.filterwarnings("default")
def test_errors_and_warnings_are_one_line(capsys):
    @command
    def run():
        warn_user("case \x1b[2Ja\nFailed: fake")
        warnings.warn("from elsewhere\nFailed: fake", UserWarning, stacklevel=1)
        raise ValueError("case \x9bb\nFailed: fake")

    with pytest.raises(typer.Exit):
        run()
    assert capsys.readouterr().err.splitlines() == [
        r"Warning: case \x1b[2Ja\nFailed: fake",
        "Warning: from elsewhere Failed: fake",
        r"Error: case \x9bb Failed: fake",
    ]


def test_events_of_another_coding_are_named(tmp_path):
    cases = table_of(tmp_path, "id,image,dead,months\nx,a,1,3\ny,b,2,5\n", "dead", "months")
    with pytest.raises(ValueError, match=r"'dead' must be 1 \(or true\) where it was observed"):
        read_labels(cases, "months", tmp_path, "dead")
