"""The main job from a hospital's files: folders of DICOM slices and their structure sets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dicom_for_tests import circle, write_contours, write_pet
from typer.testing import CliRunner

from nonredundant import RadiomicsExtractor
from nonredundant.cli import app

#: 370 MBq of F-18 an hour before the scan, 70 kg: g/ml for each Bq/ml.
FACTOR = 70e3 / (370e6 * 2 ** (-3600 / 6586.2))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Write sixteen PET series in Bq/ml with the contour of a lesion each, and their table."""
    folder = tmp_path_factory.mktemp("hospital")
    rng = np.random.default_rng(0)
    rows = []
    for k in range(16):
        patient = folder / f"{k:03d}"
        patient.mkdir()
        uptake = rng.gamma(9, 0.1, (10, 20, 20))
        uptake[2:8, 5:15, 5:15] += rng.gamma(4, 0.5 + 0.4 * (k % 2), (6, 10, 10))
        write_pet(patient / "PET", uptake / FACTOR)
        disc = [circle((38.0, 38.0), 11.0 + k % 3, 3.0 * z) for z in range(3, 7)]
        (patient / "mask").mkdir()
        write_contours(patient / "mask" / "RS.dcm", [("GTV", disc)])
        mask = f"{k:03d}/mask" + ("/RS.dcm" if k % 2 else "")
        rows.append(
            {"patient": f"{k:03d}", "image": f"{k:03d}/PET", "mask": mask, "relapse": k % 2}
        )
    pd.DataFrame(rows).to_csv(folder / "cases.csv", index=False)
    return folder


def test_volume_and_uptake_are_those_of_the_patient(cohort):
    cases = pd.read_csv(cohort / "cases.csv", dtype={"patient": str}).head(2)
    extractor = RadiomicsExtractor(
        "PET", root=cohort, patch_shape=None, feature_classes=["shape", "firstorder"]
    )
    table = extractor.fit_transform(cases)
    # Pixels of 4 mm whose centre is inside the circle, on four slices of 3 mm.
    for k, volume in enumerate(table.features["original_shape_VoxelVolume"]):
        x, y = np.meshgrid(4.0 * np.arange(20), 4.0 * np.arange(20))
        inside = (x - 38.0) ** 2 + (y - 38.0) ** 2 < (11.0 + k) ** 2
        assert volume == pytest.approx(inside.sum() * 4 * 48.0)
    assert table.features["original_firstorder_Mean"].between(2, 6).all()


@pytest.mark.filterwarnings("default")
def test_evaluate_runs_from_folders_and_structure_sets_in_one_command(cohort, monkeypatch):
    monkeypatch.chdir(cohort)
    arguments = "evaluate cases.csv --target relapse --modality PET --patch 8 --jobs 1 --epochs 1"
    quick = "--feature-sets HCR --classifiers LR --folds 2 --repeats 1 --no-baselines -o report"
    result = CliRunner().invoke(app, f"{arguments} {quick}".split())
    assert result.exit_code == 0, result.output
    assert (cohort / "report" / "index.html").exists()
    assert "failed" not in result.output


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("roi", "code"), [("G*", 0), ("liver", 1)])
def test_a_region_is_chosen_on_the_command_line(cohort, monkeypatch, roi, code):
    monkeypatch.chdir(cohort)
    arguments = f"extract cases.csv -o l.npz --modality PET --patch 8 --jobs 1 --roi {roi}"
    result = CliRunner().invoke(app, arguments.split())
    assert result.exit_code == code, result.output
    assert ("the file has 'GTV'" in result.output) == bool(code)
