"""Results have a place before the work starts."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pandas as pd
import pytest
from typer.testing import CliRunner

from nonredundant.cli import app, commands, demo
from nonredundant.cli.outputs import prepare_file


@pytest.fixture(autouse=True)
def idle(tmp_path, monkeypatch):
    """Go to a folder with a case table, a file `file` and a folder `taken`; no work can be done."""

    def work(*_, **__):
        raise AssertionError("the work has begun")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "_extractor", work)
    monkeypatch.setattr(demo, "run_demo", work)
    model = SimpleNamespace(extractor_=None, blocks_={})
    monkeypatch.setattr(commands, "load_model", lambda path: model)
    cases = {"patient": ["a", "b"], "image": ["a.nii", "b.nii"], "mask": ["c.nii", "d.nii"]}
    pd.DataFrame({**cases, "relapse": [0, 1]}).to_csv("cases.csv", index=False)
    (tmp_path / "file").write_text("")
    for ending in ("npz", "skops", "csv"):
        (tmp_path / f"taken.{ending}").mkdir()
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "tables").write_text("")


EXTRACT = ["extract", "cases.csv", "-o"]
EVALUATE = ["evaluate", "cases.csv", "--target", "relapse", "-o"]
FIT = ["fit", "cases.csv", "--target", "relapse", "-o"]
PREDICT = ["predict", "model.skops", "cases.csv", "-o"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*EXTRACT, "file/o.npz"], "the folder file could not be created"),
        ([*EXTRACT, "taken.npz"], "it is a folder"),
        ([*EXTRACT, "o.npz", "--csv", "file/f.csv"], "the folder file could not be created"),
        ([*EXTRACT, "o.npz", "--csv", "cases.csv"], "cases.csv is read by this command"),
        ([*EVALUATE, "file/report"], "the folder file/report/tables could not be created"),
        ([*EVALUATE, "report"], "the folder report/tables could not be created"),
        (["demo", "-o", "file/report"], "the folder file/report/tables could not be created"),
        ([*FIT, "file/m.skops"], "the folder file could not be created"),
        ([*FIT, "taken.skops"], "it is a folder"),
        ([*PREDICT, "file/p.csv"], "the folder file could not be created"),
        ([*PREDICT, "taken.csv"], "it is a folder"),
        ([*PREDICT, "cases.csv"], "cases.csv is read by this command"),
    ],
)
def test_a_place_that_takes_no_results_is_named_at_once(arguments, message):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert message in result.output.replace(os.sep, "/")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_a_folder_that_takes_no_files_is_named_at_once():
    result = CliRunner().invoke(app, [*EXTRACT, "/proc/o.npz"])
    assert result.exit_code == 2
    assert "/proc/o.npz could not be written" in result.output


def test_a_trial_leaves_an_earlier_file_and_nothing_else(tmp_path):
    file = tmp_path / "new" / "o.npz"
    prepare_file(file)
    assert not list(file.parent.iterdir())
    file.write_text("earlier")
    prepare_file(file)
    assert file.read_text() == "earlier"
    assert list(file.parent.iterdir()) == [file]
