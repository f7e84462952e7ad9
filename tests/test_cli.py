"""The commands on files, as a user types them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from nonredundant import LesionTable
from nonredundant.cli import app
from nonredundant.datasets import make_lesions

#: The commands print warnings; as errors they would never get there.
pytestmark = pytest.mark.filterwarnings("default")

QUICK = ["--modality", "PET", "--settings", "quick.yaml", "--patch", "8", "--jobs", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write thirty phantoms as NIfTI, a case table, and quick settings beside them."""
    folder = tmp_path_factory.mktemp("cohort")
    cases, y, _ = make_lesions(30, random_state=3)
    rows = []
    for label, row in cases.iterrows():
        names = {}
        for kind in ("image", "mask"):
            names[kind] = f"{label}_{kind}.nii.gz"
            voxels = np.asarray(row[kind]).astype("uint8" if kind == "mask" else "float32")
            sitk.WriteImage(sitk.GetImageFromArray(voxels), str(folder / names[kind]))
        rows.append({"patient": label, **names})
    table = pd.DataFrame(rows).assign(relapse=np.asarray(y), age=np.linspace(30, 80, 30))
    table.to_csv(folder / "cases.csv", index=False)
    (folder / "quick.yaml").write_text(
        "setting:\n  binWidth: 0.25\nimageType:\n  Original: {}\n"
        "featureClass:\n  firstorder: []\n  shape: []\n"
    )
    return folder


def run(folder, monkeypatch, *arguments):
    monkeypatch.chdir(folder)
    return CliRunner().invoke(app, [str(part) for part in arguments])


def test_help_of_every_command_has_an_example(folder, monkeypatch):
    for name in ("demo", "extract", "evaluate", "fit", "predict"):
        result = run(folder, monkeypatch, name, "--help")
        assert result.exit_code == 0
        assert f"nonredundant {name}" in result.output


def test_extract_writes_lesions_and_features(folder, monkeypatch):
    result = run(
        folder, monkeypatch, "extract", "cases.csv", "-o", "out/l.npz", "--csv", "f.csv", *QUICK
    )
    assert result.exit_code == 0, result.output
    table = LesionTable.load(folder / "out" / "l.npz")
    assert table.n_samples == 30
    frame = pd.read_csv(folder / "f.csv", index_col="sample")
    name = "original_shape_MeshVolume"
    np.testing.assert_allclose(frame[name], table.features[name])


def test_a_missing_file_fails_that_case_alone(folder, monkeypatch):
    cases = pd.read_csv(folder / "cases.csv").head(4)
    cases.loc[2, "image"] = "nowhere.nii.gz"
    cases.to_csv(folder / "broken.csv", index=False)
    result = run(folder, monkeypatch, "extract", "broken.csv", "-o", "b.npz", *QUICK)
    assert result.exit_code == 1
    assert cases["patient"][2] in result.output
    assert "nowhere.nii.gz" in result.output
    assert (LesionTable.load(folder / "b.npz").status == "ok").sum() == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["extract", "none.csv", "-o", "x.npz"], "none.csv"),
        (["evaluate", "cases.csv", "--target", "survival"], "survival"),
        (["evaluate", "cases.csv", "--target", "relapse", "--classifiers", "XGB"], "XGB"),
        (["evaluate", "cases.csv", "--target", "relapse", "--experiment", "mine"], "mine"),
        (["predict", "cases.csv", "cases.csv", "-o", "p.csv"], "not a model file"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(folder, monkeypatch, arguments, message):
    result = run(folder, monkeypatch, *arguments, *(QUICK if arguments[0] != "predict" else []))
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_evaluate_writes_report_and_tables(folder, monkeypatch):
    result = run(
        folder, monkeypatch, "evaluate", "cases.csv", "--target", "relapse", "-o", "report",
        "--feature-sets", "HCR,HCR+DLR-MI", "--classifiers", "LR", "--folds", "2",
        "--epochs", "2", "--clinical", "age", *QUICK,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    scores = pd.read_csv(folder / "report" / "tables" / "scores.csv")
    assert {"HCR", "HCR+DLR-MI", "clinical"} <= set(scores["feature_set"])
    answer = (folder / "report" / "tables" / "answer.txt").read_text(encoding="utf-8")
    assert answer.splitlines()[0] in result.output
    assert "HCR+DLR-MI" in page


def test_a_model_is_saved_applied_and_knows_its_cohort(folder, monkeypatch):
    fitted = run(
        folder, monkeypatch, "fit", "cases.csv", "--target", "relapse", "-o", "model.skops",
        "--epochs", "2", *QUICK,
    )  # fmt: skip
    assert fitted.exit_code == 0, fitted.output
    cases = pd.read_csv(folder / "cases.csv").head(3)
    image = sitk.ReadImage(str(folder / cases["image"][0]))
    sitk.WriteImage(image * 4, str(folder / "hot.nii.gz"))
    cases.loc[0, "image"] = "hot.nii.gz"
    cases.to_csv(folder / "new.csv", index=False)
    result = run(folder, monkeypatch, "predict", "model.skops", "new.csv", "-o", "p.csv")
    assert result.exit_code == 0, result.output
    found = pd.read_csv(folder / "p.csv", index_col="sample")
    np.testing.assert_allclose(found["p_0"] + found["p_1"], 1)
    assert f"Warning: {cases['patient'][0]} lies outside" in result.output
    assert found["outside"].isna().tolist() == [False, True, True]
