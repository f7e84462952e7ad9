"""`fit`, `predict` and `validate` on tables, embeddings and times."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cohorts_for_tests import make_table
from typer.testing import CliRunner

from nonredundant.cli import app
from nonredundant.cli.saved_models import predictions
from nonredundant.datasets import make_lesions
from nonredundant.evaluation import FeatureSetClassifier

#: The commands print warnings; as errors they would never get there.
pytestmark = pytest.mark.filterwarnings("default")


def draw(folder, name, n, seed, first):
    """Write radiomics of some patients, and an embedding that knows a hidden factor."""
    rng = np.random.default_rng(seed)
    size, hidden = rng.normal(size=(2, n))
    ids = [f"{first + i}" for i in range(n)]
    months = rng.exponential(np.exp(-size - hidden))
    table = pd.DataFrame(
        {
            "patient": ids,
            "original_shape_VoxelVolume": size,
            "original_glcm_Contrast": rng.normal(size=n),
            "sex": np.where(rng.uniform(size=n) < 0.5, "F", "M"),
            "relapse": (size + 2 * hidden + rng.logistic(size=n) > 0).astype(int),
            "months": np.minimum(months, 2) + 0.01,
            "dead": (months < 2).astype(int),
        }
    )
    table.to_csv(folder / f"{name}.csv", index=False)
    mixed = np.column_stack([size, hidden]) @ np.random.default_rng(9).normal(size=(2, 12))
    deep = pd.DataFrame(mixed + 0.2 * rng.normal(size=mixed.shape)).add_prefix("f")
    deep.insert(0, "patient", ids)
    deep.to_csv(folder / f"{name}_deep.csv", index=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write a cohort, and another one of other patients."""
    folder = tmp_path_factory.mktemp("validate")
    draw(folder, "here", 90, 0, 100)
    draw(folder, "there", 70, 1, 500)
    return folder


def run(folder, monkeypatch, arguments):
    monkeypatch.chdir(folder)
    return CliRunner().invoke(app, arguments.split())


@pytest.fixture(scope="module")
def fused(folder):
    """A model of radiomics, an embedding and a clinical column, on disk."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        result = run(
            folder,
            monkeypatch,
            "fit here.csv --target relapse --embedding M=here_deep.csv --clinical sex "
            "--hcr original_* -o fused.skops --folds 3",
        )
    assert result.exit_code == 0, result.output
    return result.output


def test_fit_tells_how_the_model_does_and_writes_its_card(folder, fused):
    assert "HCR+M-MI with logistic regression, fitted on 90 cases" in fused
    assert "in 3 folds" in fused
    card = (folder / "fused.md").read_text(encoding="utf-8")
    assert card.startswith("# Model card: relapse by Clinical+HCR+M-MI\n")
    for text in ("| samples | 90 |", "AUC of the known features", "any external cohort", "2 hcr"):
        assert text in card
    assert str(folder) not in card


def test_predict_gives_sets_drivers_and_cases_outside(folder, fused, monkeypatch):
    new = pd.read_csv(folder / "there.csv").head(6).drop(columns="relapse")
    new.loc[0, "sex"] = "X"
    new.to_csv(folder / "new.csv", index=False)
    command = "predict fused.skops new.csv -o p.csv --jobs 1 --embedding M="
    result = run(folder, monkeypatch, f"{command}there_deep.csv --coverage 0.8")
    assert result.exit_code == 0, result.output
    found = pd.read_csv(folder / "p.csv", index_col="sample")
    assert set(found["set"]) <= {"0", "1", "0 | 1", "none"}
    assert found["drivers"].str.contains(r"^\S+ [+-][\d.e-]+; ").all()
    assert found["outside"].iloc[0] == "sex: category 'X' was not seen in training"
    deep = pd.read_csv(folder / "there_deep.csv")
    deep[deep.columns[1:]] += 50
    deep.to_csv(folder / "far.csv", index=False)
    result = run(folder, monkeypatch, f"{command}far.csv")
    assert "12 of 12 columns of M out of range" in result.output


def test_validate_writes_report_and_tables_and_fits_nothing(folder, fused, monkeypatch):
    for name in (
        "nonredundant.evaluation.FeatureSetClassifier.fit",
        "sklearn.pipeline.Pipeline.fit",
    ):
        monkeypatch.setattr(name, None)
    result = run(
        folder,
        monkeypatch,
        "validate fused.skops there.csv --target relapse --embedding M=there_deep.csv -o v "
        "--thresholds 0.25,0.5",
    )
    assert result.exit_code == 0, result.output
    assert "on 70 others: AUC" in result.output
    assert "beyond Clinical+HCR: AUC +" in result.output
    gain = pd.read_csv(folder / "v" / "tables" / "gain.csv")
    assert gain["low"].iloc[0] > 0
    assert gain["threshold"].dropna().tolist() == [0.25, 0.5]
    assert 'id="figure-benefit"' in (folder / "v" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("predict fused.skops there.csv -o p.csv", "add --embedding M=FILE"),
        ("predict fused.skops there.csv -o p.csv --embedding N=there_deep.csv", "needs the embed"),
        ("validate fused.skops there.csv --target relapse --event dead", "have no --event"),
        (
            "validate fused.skops there.csv --target relapse --embedding M=there_deep.csv "
            "--thresholds high",
            "--thresholds high: write numbers",
        ),
        ("predict fused.skops few.csv -o p.csv --embedding M=there_deep.csv", "original_glcm_Con"),
        ("predict fused.skops here_deep.csv -o p.csv --embedding M=here_deep.csv", "lacks the col"),
    ],
)
def test_what_is_missing_is_named(folder, fused, monkeypatch, arguments, message):
    there = pd.read_csv(folder / "there.csv")
    there.drop(columns="original_glcm_Contrast").to_csv(folder / "few.csv", index=False)
    result = run(folder, monkeypatch, arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_times_of_a_table_are_fitted_predicted_and_validated(folder, monkeypatch):
    outcome = "--target months --event dead --embedding M={}_deep.csv"
    result = run(folder, monkeypatch, f"fit here.csv {outcome.format('here')} -o t.skops --folds 3")
    assert result.exit_code == 0, result.output
    assert "concordance index 0." in result.output
    result = run(
        folder, monkeypatch, "predict t.skops there.csv -o r.csv --embedding M=there_deep.csv"
    )
    assert result.exit_code == 0, result.output
    assert {"risk", "drivers", "outside"} <= set(pd.read_csv(folder / "r.csv"))
    result = run(folder, monkeypatch, f"validate t.skops there.csv {outcome.format('there')} -o w")
    assert result.exit_code == 0, result.output
    scores = pd.read_csv(folder / "w" / "tables" / "scores.csv")
    assert {"concordance index", "observed / expected", "slope"} == set(scores["measure"])
    result = run(folder, monkeypatch, "validate t.skops there.csv --target months")
    assert result.exit_code == 2
    assert "add --event COL" in result.output


def test_images_beside_an_embedding(tmp_path, monkeypatch):
    cases, y, _ = make_lesions(12, radius=(5, 7), random_state=3)
    rows = []
    for label, row in cases.iterrows():
        names = {}
        for kind in ("image", "mask"):
            names[kind] = f"{label}_{kind}.nii.gz"
            voxels = np.asarray(row[kind]).astype("uint8" if kind == "mask" else "float32")
            sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / names[kind]))
        rows.append({"patient": label, **names})
    table = pd.DataFrame(rows).assign(relapse=np.asarray(y))
    table.to_csv(tmp_path / "cases.csv", index=False)
    deep = pd.DataFrame(np.random.default_rng(0).normal(size=(12, 4))).add_prefix("f")
    deep.insert(0, "patient", table["patient"])
    deep.to_csv(tmp_path / "deep.csv", index=False)
    (tmp_path / "quick.yaml").write_text(
        "setting:\n  binWidth: 0.25\nimageType:\n  Original: {}\n"
        "featureClass:\n  firstorder: [Mean]\n  shape: [VoxelVolume]\n"
    )
    result = run(
        tmp_path,
        monkeypatch,
        "fit cases.csv --target relapse --embedding M=deep.csv -o m.skops --folds 2 "
        "--settings quick.yaml --patch 8 --jobs 1",
    )
    assert result.exit_code == 0, result.output
    new = "m.skops cases.csv --embedding M=deep.csv --jobs 1"
    result = run(tmp_path, monkeypatch, f"predict {new} -o p.csv")
    assert result.exit_code == 0, result.output
    assert pd.read_csv(tmp_path / "p.csv")["p_1"].between(0, 1).all()
    result = run(tmp_path, monkeypatch, f"validate {new} --target relapse -o v")
    assert result.exit_code == 0, result.output
    result = run(tmp_path, monkeypatch, "predict m.skops cases.csv -o p.csv --jobs 1")
    assert result.exit_code == 2
    assert "needs the embeddings ['M']" in result.output


def test_labels_keep_their_type_beside_cases_that_failed(tmp_path):
    table, y = make_table(60)
    model = FeatureSetClassifier("HCR", classifier="LR", random_state=0).fit(table, y)
    broken = table.replace(status=["the mask is empty", *["ok"] * 59])
    predictions(model, broken, 0.9).to_csv(tmp_path / "p.csv")
    written = pd.read_csv(tmp_path / "p.csv", dtype=str)["predicted"]
    assert written.isna().tolist() == [True] + [False] * 59
    assert set(written[1:]) == {"0", "1"}


def test_columns_that_no_new_case_has_are_named(folder, fused, monkeypatch):
    new = pd.read_csv(folder / "there.csv").assign(original_glcm_Contrast=np.nan, sex="")
    new.to_csv(folder / "gaps.csv", index=False)
    told = "imputes 2 columns, which are missing in all 70 cases: original_glcm_Contrast, sex."
    deep = "--embedding M=there_deep.csv"
    result = run(folder, monkeypatch, f"predict fused.skops gaps.csv -o p.csv {deep}")
    assert f"Warning: The model {told}" in result.output
    run(folder, monkeypatch, f"validate fused.skops gaps.csv --target relapse -o gaps {deep}")
    assert told in (folder / "gaps" / "tables" / "answer.txt").read_text(encoding="utf-8")
    assert told in (folder / "gaps" / "index.html").read_text(encoding="utf-8")


def test_fit_says_in_words_that_an_interval_is_not_estimable(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 30)
    volume = 100.0 * y + rng.normal(size=60)
    table = pd.DataFrame({"patient": range(60), "relapse": y, "original_shape_VoxelVolume": volume})
    table.to_csv(tmp_path / "all.csv", index=False)
    result = run(tmp_path, monkeypatch, "fit all.csv --target relapse -o m.skops --folds 3")
    assert "AUC 1.000 (interval not estimable: every pair of held-out" in result.output
    assert "nan" not in result.output


@pytest.fixture(scope="module")
def stepped(folder):
    """A model with all steps that an option makes, of centres whose numbers start with a zero."""
    rng = np.random.default_rng(7)
    table = pd.read_csv(folder / "here.csv")
    for i in range(4):
        table[f"original_glcm_F{i}"] = rng.normal(size=len(table))
    table["centre"] = np.repeat(["01", "02"], 45)
    table.to_csv(folder / "centres.csv", index=False)
    names = [name for name in table if name.startswith("original_")]
    noise = rng.normal(size=(len(table), len(names))) * ([0.1, 0.1] + [3] * 4)
    table[names] += noise
    table.to_csv(folder / "retest.csv", index=False)
    table.assign(patient=table["patient"] + 900).to_csv(folder / "new.csv", index=False)
    with pytest.MonkeyPatch.context() as monkeypatch:
        result = run(
            folder,
            monkeypatch,
            "fit centres.csv --target relapse -o steps.skops --folds 2 --clinical sex --centre "
            "centre --harmonise --stable --repeat-measurements retest.csv --select mrmr:1",
        )
    assert result.exit_code == 0, result.output


def test_steps_of_fit_are_applied_to_new_cases(folder, stepped, monkeypatch):
    result = run(folder, monkeypatch, "predict steps.skops new.csv -o p.csv")
    assert result.exit_code == 0, result.output
    assert "not among its training samples" not in result.output
    found = pd.read_csv(folder / "p.csv")["drivers"]
    assert found.str.contains("original_shape_VoxelVolume").all()
    assert not found.str.contains("glcm").any()
    new = pd.read_csv(folder / "new.csv").assign(centre="03")
    new.to_csv(folder / "third.csv", index=False)
    result = run(folder, monkeypatch, "predict steps.skops third.csv -o p.csv")
    assert result.output.count("not among its training samples") == 1
    assert "03 (90)" in result.output
    new.drop(columns="centre").to_csv(folder / "third.csv", index=False)
    result = run(folder, monkeypatch, "predict steps.skops third.csv -o p.csv")
    assert "lacks the columns ['centre']" in result.output


def test_the_card_lists_clinical_columns_and_steps(folder, stepped):
    card = (folder / "steps.md").read_text(encoding="utf-8")
    assert "| clinical columns | sex |" in card
    steps = next(line for line in card.splitlines() if line.startswith("| steps before"))
    assert "Harmonise(unseen='reference'): 6 columns; " in steps
    assert "StableFeatures(repeats=2): 2 columns; " in steps
    assert "SelectFeatures(k=1" in steps
    assert "1 column |" in steps


def test_a_centre_without_harmonise_is_wrong_use(folder, stepped, monkeypatch):
    result = run(folder, monkeypatch, "fit centres.csv --target relapse --centre centre -o m.skops")
    assert result.exit_code == 2
    assert "add --harmonise, or omit it" in result.output


def test_a_file_that_is_no_card_is_not_overwritten(folder, monkeypatch):
    (folder / "README.md").write_text("What this project is about.")
    fit = "fit here.csv --target relapse -o README.skops --folds 0"
    result = run(folder, monkeypatch, fit)
    assert result.exit_code == 2
    assert "would overwrite README.md, which is no card of a model" in result.output
    assert (folder / "README.md").read_text() == "What this project is about."
    for start in ("", "# Model card: an earlier one"):
        (folder / "README.md").write_text(start)
        assert run(folder, monkeypatch, fit).exit_code == 0


def test_rows_of_one_patient_are_validated_by_row(folder, fused, monkeypatch):
    twice = pd.read_csv(folder / "there.csv")
    twice.loc[1, "patient"] = twice.loc[0, "patient"]
    twice.to_csv(folder / "twice.csv", index=False)
    deep = pd.read_csv(folder / "there_deep.csv", dtype={"patient": str})
    validate = "validate fused.skops twice.csv --target relapse -o twice --embedding M="
    result = run(folder, monkeypatch, f"{validate}there_deep.csv")
    assert result.exit_code == 2
    assert (
        "several rows of one patient, and the embedding M has none for ['500 #2']" in result.output
    )
    deep.loc[1, "patient"] = "500 #2"
    deep.to_csv(folder / "twice_deep.csv", index=False)
    result = run(folder, monkeypatch, f"{validate}twice_deep.csv")
    assert result.exit_code == 0, result.output
    found = pd.read_csv(folder / "twice" / "tables" / "predictions.csv")
    run(
        folder,
        monkeypatch,
        "validate fused.skops there.csv --target relapse -o once --embedding M=there_deep.csv",
    )
    once = pd.read_csv(folder / "once" / "tables" / "predictions.csv")
    assert found["sample"].head(2).tolist() == ["500", "500 #2"]
    pd.testing.assert_frame_equal(found.drop(columns="sample"), once.drop(columns="sample"))
