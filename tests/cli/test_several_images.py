"""PET and CT of each case on the command line: extract, evaluate, fit, predict."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from nonredundant import LesionTable
from nonredundant.cli import app
from nonredundant.datasets import make_lesions

pytestmark = pytest.mark.filterwarnings("default")

IMAGES = "--image pet=PET --image ct=CT --settings quick.yaml --patch 8 --jobs 1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write phantoms of two images as NIfTI, and their table; the last lacks its CT."""
    folder = tmp_path_factory.mktemp("petct")
    cases, y, _ = make_lesions(17, images=2, radius=(6, 9), random_state=3)
    rows = []
    for label, row in cases.iterrows():
        names = {}
        for kind in ("image_pet", "image_ct", "mask"):
            names[kind] = f"{label}_{kind}.nii.gz"
            voxels = np.asarray(row[kind]).astype("uint8" if kind == "mask" else "float32")
            image = sitk.GetImageFromArray(voxels)
            image.SetSpacing(row["spacing"])
            sitk.WriteImage(image, str(folder / names[kind]))
        rows.append({"patient": label, **names})
    table = pd.DataFrame(rows).assign(relapse=y)
    table.loc[16, "image_ct"] = ""
    table.to_csv(folder / "all.csv", index=False)
    table[:16].to_csv(folder / "cases.csv", index=False)
    (folder / "quick.yaml").write_text(
        "setting:\n  binWidth: 0.25\nimageType:\n  Original: {}\n"
        "featureClass:\n  firstorder: []\n  shape: []\n"
    )
    return folder


def run(folder, monkeypatch, arguments):
    monkeypatch.chdir(folder)
    return CliRunner().invoke(app, arguments.split())


def test_lesions_have_both_channels(folder, monkeypatch):
    result = run(folder, monkeypatch, f"extract all.csv -o lesions.npz {IMAGES}")
    assert result.exit_code == 1, result.output
    assert "images 'ct' are empty" in result.output
    result = run(folder, monkeypatch, f"extract all.csv -o l.npz {IMAGES} --on-missing nan")
    assert result.exit_code == 0, result.output
    table = LesionTable.load(folder / "l.npz")
    assert table.patches.shape == (17, 2, 8, 8, 8)
    assert table.samples["missing_images"].iloc[-1] == "ct"


def test_evaluate_asks_what_ct_adds_to_pet(folder, monkeypatch):
    quick = "--classifiers LR --folds 2 --repeats 1 --no-baselines -o report"
    sets = "--feature-sets pet:HCR,ct:HCR,HCR"
    result = run(
        folder, monkeypatch, f"evaluate cases.csv --target relapse {IMAGES} {sets} {quick}"
    )
    assert result.exit_code == 0, result.output
    tests = pd.read_csv(folder / "report" / "tables" / "tests.csv")
    pairs = set(zip(tests["feature_set"], tests["reference"], strict=True))
    assert ("HCR", "pet:HCR") in pairs
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "pet, ct" in page


def test_a_model_of_both_images_predicts_new_cases(folder, monkeypatch):
    arguments = f"fit cases.csv --target relapse {IMAGES} --on-missing nan --epochs 1 -o m.skops"
    result = run(folder, monkeypatch, arguments)
    assert result.exit_code == 0, result.output
    result = run(folder, monkeypatch, "predict m.skops all.csv -o predictions.csv")
    assert result.exit_code == 0, result.output
    found = pd.read_csv(folder / "predictions.csv", index_col=0)
    assert found["p_1"].notna().all()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--image pet=PET --image pet=CT", "a name of its own"),
        ("--image pet=PET --image mr=MR", "lacks the columns ['image_mr']"),
    ],
    ids=["twice", "no column"],
)
def test_wrong_images_are_wrong_use(folder, monkeypatch, arguments, told):
    result = run(folder, monkeypatch, f"extract cases.csv -o lesions.npz {arguments}")
    assert result.exit_code == 2
    assert told in result.output
