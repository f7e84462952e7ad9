"""`evaluate` on a table of radiomics and files of embeddings, without images."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from nonredundant.cli import app

#: The commands print warnings; as errors they would never get there.
pytestmark = pytest.mark.filterwarnings("default")
FAST = ["--classifiers", "LR", "--folds", "3", "--repeats", "1", "--jobs", "1", "--no-baselines"]
FAST += ["--no-controls"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write radiomics of ninety cases, and two embeddings, one of which knows the outcome."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    n = 90
    size, hidden = rng.normal(size=(2, n))
    ids = [f"{i:03d}" for i in range(n)]
    radiomics = pd.DataFrame(
        {
            "patient": ids,
            "diagnostics_Versions_Numpy": "2",
            "original_shape_VoxelVolume": size,
            "wavelet-LLL_glcm_Contrast": rng.normal(size=n),
            "age": rng.integers(40, 80, size=n),
            "survival": np.exp(hidden),
            "relapse": (size + 2 * hidden > 0).astype(int),
        }
    )
    radiomics.to_csv(folder / "radiomics.csv", index=False)
    mixed = np.column_stack([size, hidden]) @ rng.normal(size=(2, 30))
    frame = pd.DataFrame(mixed + 0.3 * rng.normal(size=mixed.shape)).add_prefix("f")
    frame.insert(0, "patient", ids)
    shuffled = frame.sample(frac=1, random_state=0)
    extra = pd.DataFrame({"patient": ["900"]}).join(frame.drop(columns="patient"))
    pd.concat([shuffled, extra]).to_csv(folder / "fmcib.csv", index=False)
    shuffled.to_parquet(folder / "fmcib.parquet")
    np.savez(folder / "noise.npz", patient_id=np.array(ids), embedding=rng.normal(size=(n, 20)))
    return folder


def evaluate(folder, monkeypatch, *options, file="radiomics.csv"):
    monkeypatch.chdir(folder)
    arguments = ["evaluate", file, "--target", "relapse", *FAST, *map(str, options)]
    return CliRunner().invoke(app, arguments)


def test_two_embeddings_beside_radiomics(folder, monkeypatch):
    given = ["--embedding", "FMCIB=fmcib.csv", "--embedding", "CTFM=noise.npz", "-o", "both"]
    result = evaluate(folder, monkeypatch, *given, "--clinical", "age")
    assert result.exit_code == 0, result.output
    assert "1 of 91 rows of the embedding FMCIB are of no case" in result.output
    assert "1 columns of pyradiomics that describe the extraction" in result.output
    assert "1 columns are not used: ['survival']" in result.output
    summary = pd.read_csv(folder / "both" / "tables" / "summary.csv").set_index("feature_set")
    gain = summary["mean"]["Clinical+HCR+FMCIB-MI"] - summary["mean"]["Clinical+HCR"]
    assert gain > 0.1
    assert "Beside this primary model" in result.output


def test_a_file_of_any_kind_gives_the_same_scores(folder, monkeypatch):
    sets = ["--feature-sets", "HCR,HCR+M-MI", "--hcr", "original_*"]
    means = []
    for file in ("fmcib.csv", "fmcib.parquet"):
        result = evaluate(folder, monkeypatch, "--embedding", f"M={file}", *sets, "-o", "one")
        assert result.exit_code == 0, result.output
        means.append(pd.read_csv(folder / "one" / "tables" / "summary.csv")["mean"].tolist())
    np.testing.assert_allclose(means[0], means[1])
    assert "2 columns are not used" not in result.output
    assert "'wavelet-LLL_glcm_Contrast'" in result.output


def test_stable_features_of_a_second_measurement(folder, monkeypatch):
    first = pd.read_csv(folder / "radiomics.csv", dtype={"patient": str})
    rng = np.random.default_rng(1)
    again = first.sample(60, random_state=1)
    again["original_shape_VoxelVolume"] += 0.1 * rng.normal(size=60)
    again["wavelet-LLL_glcm_Contrast"] = rng.normal(size=60)
    again.to_csv(folder / "retest.csv", index=False)
    options = ["--embedding", "FMCIB=fmcib.csv", "--stable", "--stable-threshold", "0.8"]
    result = evaluate(
        folder, monkeypatch, *options, "--repeat-measurements", "retest.csv", "-o", "stable"
    )
    assert result.exit_code == 0, result.output
    table = pd.read_csv(folder / "stable" / "tables" / "stability.csv").set_index("family")
    assert table["kept"].to_dict() == {"shape": 1.0, "glcm": 0.0}
    assert (table["n_samples"] == 40).all()
    assert (table["threshold"] == 0.8).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--stable"], "needs repeated measurements"),
        (["--repeat-measurements", "retest.csv"], "add --stable"),
        (["--stable", "--repeat-measurements", "fmcib.csv"], "original_shape_VoxelVolume"),
    ],
)
def test_stable_features_need_repeats(folder, monkeypatch, options, says):
    result = evaluate(folder, monkeypatch, *options)
    assert result.exit_code == 2
    assert says in result.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["--embedding", "fmcib.csv"], "write NAME=FILE", id="no name"),
        pytest.param(["--embedding", "D16=fmcib.csv"], "cannot name an embedding", id="name"),
        pytest.param(["--embedding", "M=lost.csv"], "there is no embedding lost.csv", id="lost"),
        pytest.param(["--embedding", "M=radiomics.csv"], "which are the outcome", id="outcome"),
        pytest.param(["--hcr", "square_*"], "choose the radiomics by --hcr", id="no radiomics"),
    ],
)
def test_wrong_use_is_named(folder, monkeypatch, options, says):
    result = evaluate(folder, monkeypatch, *options)
    assert result.exit_code == 2
    assert says in result.output


def test_cases_without_an_embedding_are_named(folder, monkeypatch):
    frame = pd.read_csv(folder / "fmcib.csv", dtype={"patient": str}).set_index("patient")
    frame.drop(index=["007"]).to_csv(folder / "few.csv")
    result = evaluate(folder, monkeypatch, "--embedding", "M=few.csv")
    assert result.exit_code == 2
    assert "1 of 90 are missing, ['007']" in result.output


def test_rows_of_lesions_make_patients(folder, monkeypatch):
    rows = pd.read_csv(folder / "radiomics.csv", dtype={"patient": str})
    rows = rows.assign(patient=[f"{i // 2:03d}" for i in range(90)], lesion=[0, 1] * 45)
    rows["relapse"] = rows.groupby("patient")["relapse"].transform("first")
    frame = pd.read_csv(folder / "fmcib.csv", dtype={"patient": str}).iloc[:-1]
    frame = frame.sort_values("patient").assign(patient=rows["patient"].to_numpy())
    frame.assign(lesion=rows["lesion"].to_numpy()).to_csv(folder / "lesions_m.csv", index=False)
    rows.to_csv(folder / "lesions.csv", index=False)
    sets = ["--embedding", "M=lesions_m.csv", "--feature-sets", "HCR,HCR+M-MI", "-o", "several"]
    result = evaluate(folder, monkeypatch, *sets, file="lesions.csv")
    assert result.exit_code == 0, result.output
    settings = (folder / "several" / "tables" / "settings.json").read_text()
    assert '"n_samples": 45' in settings
    assert '"n_lesions": 90' in settings
    rows.loc[1, "relapse"] = 1 - rows.loc[1, "relapse"]
    rows.to_csv(folder / "lesions.csv", index=False)
    result = evaluate(folder, monkeypatch, *sets, file="lesions.csv")
    assert result.exit_code == 2
    assert "several values of 'relapse'" in result.output
