"""The commands on files, as on the command line."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import skops.io
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from nonredundant import LesionTable
from nonredundant.cli import app
from nonredundant.datasets import make_lesions
from nonredundant.evaluation import FeatureSetClassifier

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
    for name in ("demo", "extract", "evaluate", "fit", "predict", "validate"):
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


def test_extract_chooses_channels_and_fills_slices(folder, monkeypatch):
    pytest.importorskip("pydicom")
    from dicom_for_tests import circle, write_contours

    image = sitk.ReadImage(str(folder / pd.read_csv(folder / "cases.csv")["image"][0]))
    sitk.WriteImage(image, str(folder / "one.nii.gz"))
    n = image.GetSize()[2]
    middle, slices = [size / 2 for size in image.GetSize()[:2]], [n // 2, n // 2 + 2]
    write_contours(folder / "RS.dcm", [("GTV", [circle(middle, 3.3, z) for z in slices])])
    inside = np.zeros(image.GetSize()[::-1], np.uint8)
    inside[3:6, 3:6, 3:6] = 1
    channels = sitk.GetImageFromArray(np.stack([1 - inside, inside], -1), isVector=True)
    sitk.WriteImage(channels, str(folder / "one_hot.nii.gz"))
    name = "original_shape_VoxelVolume"
    for mask, option, said, volume in (
        ("one_hot.nii.gz", ["--label-channel", "1"], "(--label-channel)", 27),
        ("RS.dcm", ["--fill-slices"], "(--fill-slices)", 3 * 37),
    ):
        text = f"patient,image,mask\nanna,one.nii.gz,{mask}\n"
        (folder / "one.csv").write_text(text)
        command = ["extract", "one.csv", "-o", "o.npz", *QUICK]
        result = run(folder, monkeypatch, *command)
        assert result.exit_code == 1
        assert said in result.output
        result = run(folder, monkeypatch, *command, *option)
        assert result.exit_code == 0, result.output
        assert LesionTable.load(folder / "o.npz").features[name].tolist() == [volume]


def test_a_column_that_does_not_exist_suggests_others(folder, monkeypatch):
    cases = pd.read_csv(folder / "cases.csv").rename(columns={"age": "age_years"})
    cases.to_csv(folder / "years.csv", index=False)
    command = ["fit", "years.csv", "--target", "relaps", "--clinical", "age", "-o", "m.skops"]
    result = run(folder, monkeypatch, *command)
    assert result.exit_code == 2
    assert "did you mean 'relapse' for 'relaps', 'age_years' for 'age'?" in result.output


def test_a_missing_file_fails_that_case_alone(folder, monkeypatch):
    cases = pd.read_csv(folder / "cases.csv").head(4)
    cases.loc[2, "image"] = "nowhere.nii.gz"
    cases.to_csv(folder / "broken.csv", index=False)
    result = run(folder, monkeypatch, "extract", "broken.csv", "-o", "b.npz", *QUICK)
    assert result.exit_code == 1
    assert cases["patient"][2] in result.output
    assert "nowhere.nii.gz" in result.output
    assert (LesionTable.load(folder / "b.npz").status == "ok").sum() == 3


@pytest.mark.parametrize("command", ["extract", "evaluate", "fit", "predict"])
def test_cases_of_which_none_can_be_read_are_named_with_exit_code_1(folder, monkeypatch, command):
    cases = pd.read_csv(folder / "cases.csv").head(6).assign(relapse=[0, 1] * 3)
    cases["image"] = [f"nowhere{i}.nii.gz" for i in range(6)]
    cases.to_csv(folder / "none_readable.csv", index=False)
    arguments = {
        "extract": ["extract", "none_readable.csv", "-o", "none.npz", *QUICK],
        "evaluate": [
            "evaluate", "none_readable.csv", "--target", "relapse", "-o", "none", "--folds", "2",
            *QUICK,
        ],
        "fit": ["fit", "none_readable.csv", "--target", "relapse", "-o", "none.skops", *QUICK],
        "predict": ["predict", "hcr.skops", "none_readable.csv", "-o", "none.csv", "--jobs", "1"],
    }  # fmt: skip
    if command == "predict":
        run(
            folder, monkeypatch, "fit", "cases.csv", "--target", "relapse", "-o", "hcr.skops",
            "--feature-set", "HCR", *QUICK,
        )  # fmt: skip
    result = run(folder, monkeypatch, *arguments[command])
    assert (result.exit_code, result.exception.__class__) == (1, SystemExit), result.output
    for i in range(6):
        assert f"nowhere{i}.nii.gz" in result.output.split("Failed: ", 1)[1]
    if command in ("evaluate", "fit"):
        assert "Error: none of the 6 cases of none_readable.csv could be read" in result.output
        assert not (folder / "none.skops").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["extract", "none.csv", "-o", "x.npz"], "none.csv"),
        (["extract", "cases.csv", "-o", "x.csv"], "must end in .npz"),
        (["evaluate", "cases.csv", "--target", "survival"], "survival"),
        (["evaluate", "cases.csv", "--target", "relapse", "--classifiers", "XGB"], "XGB"),
        (["evaluate", "cases.csv", "--target", "relapse", "--experiment", "mine"], "mine"),
        (
            ["predict", "cases.csv", "cases.csv", "-o", "p.csv"],
            "cases.csv cannot be read as a model",
        ),
        (["predict", "m.skops", "cases.csv", "-o", "p.csv"], "there is no model m.skops; `nonredu"),
        (["predict", "m.skops", "cases.csv", "-o", "p.xlsx"], "must end in .csv, the format of"),
        (["fit", "cases.csv", "--target", "relapse", "-o", "m.pkl"], "must end in .skops"),
        (
            ["fit", "cases.csv", "--target", "relapse", "-o", "m.skops", "--classifier", "Cox"],
            "unknown classifier 'Cox': choose from ('LR', 'SVM', 'RF', 'EN'",
        ),
        (
            ["fit", "cases.csv", "--target", "patient", "--event", "relapse", "-o", "m.skops"],
            "times must be numbers, but patient: 30 of 30 cells are no number",
        ),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(folder, monkeypatch, arguments, message):
    result = run(folder, monkeypatch, *arguments, *(QUICK if arguments[0] != "predict" else []))
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_model_that_was_not_fitted_on_images_says_so(folder, monkeypatch):
    rng = np.random.default_rng(0)
    model = FeatureSetClassifier("HCR", classifier=LogisticRegression())
    skops.io.dump(model.fit(rng.normal(size=(20, 2)), np.arange(20) % 2), folder / "table.skops")
    result = run(folder, monkeypatch, "predict", "table.skops", "cases.csv", "-o", "p.csv")
    assert result.exit_code == 2
    assert "table.skops was not fitted on images and cannot read any" in result.output


class Code:
    """Makes a file when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_only_a_resumed_run_reads_the_cache_of_an_earlier_one(folder, monkeypatch):
    options = [
        "evaluate", "cases.csv", "--target", "relapse", "-o", "cached", "--feature-sets", "HCR",
        "--classifiers", "LR", "--folds", "2", "--repeats", "1", "--no-baselines", *QUICK,
    ]  # fmt: skip
    cache = folder / "cached" / "cache"
    kept = folder / "kept"
    with monkeypatch.context() as patched:
        patched.setattr("nonredundant.cli.commands.remove_cache", lambda folder: None)
        assert run(folder, monkeypatch, *options).exit_code == 0
    assert list(cache.rglob("output.pkl"))
    for one in cache.rglob("output.pkl"):
        one.write_bytes(pickle.dumps(Code()))
    shutil.copytree(cache, kept)
    result = run(folder, monkeypatch, *options)
    assert result.exit_code == 0, result.output
    assert not (folder / "ran").exists()
    assert not list(cache.rglob("output.pkl"))
    shutil.copytree(kept, cache, dirs_exist_ok=True)
    run(folder, monkeypatch, *options, "--resume")
    assert (folder / "ran").exists()


def test_evaluate_writes_report_and_tables(folder, monkeypatch):
    result = run(
        folder, monkeypatch, "evaluate", "cases.csv", "--target", "relapse", "-o", "report",
        "--feature-sets", "HCR,HCR+DLR-MI", "--classifiers", "LR", "--folds", "2", "--repeats", "1",
        "--epochs", "2", "--clinical", "age", *QUICK,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    scores = pd.read_csv(folder / "report" / "tables" / "scores.csv")
    assert any("HCR" in name and "DLR-MI" in name for name in scores["feature_set"])
    answer = (folder / "report" / "tables" / "answer.txt").read_text(encoding="utf-8")
    assert answer.splitlines()[0] in result.output
    assert "DLR-MI" in page


def test_stable_features_of_perturbed_images_and_of_second_scans(folder, monkeypatch):
    again = pd.read_csv(folder / "cases.csv")[["patient", "image", "mask"]]
    again.to_csv(folder / "again.csv", index=False)
    common = [
        "evaluate", "cases.csv", "--target", "relapse", "--feature-sets", "HCR", "--classifiers",
        "LR", "--folds", "2", "--repeats", "1", "--no-baselines", "--stable", *QUICK,
    ]  # fmt: skip
    perturbed = run(folder, monkeypatch, *common, "-o", "perturbed")
    assert perturbed.exit_code == 0, perturbed.output
    found = pd.read_csv(folder / "perturbed" / "tables" / "stability.csv")
    assert (found["n_repeats"] == 8).all()
    assert 0 < found["kept"].mean() < 1
    page = (folder / "perturbed" / "index.html").read_text(encoding="utf-8")
    assert "Stability by family of features" in page
    scans = run(folder, monkeypatch, *common, "--repeat-measurements", "again.csv", "-o", "scans")
    assert scans.exit_code == 0, scans.output
    found = pd.read_csv(folder / "scans" / "tables" / "stability.csv")
    # The second scan is the first one, and a feature that varies agrees wholly.
    assert (found["icc"].dropna() == 1).all()
    assert (found["n_repeats"] == 2).all()


def test_a_model_is_saved_applied_and_knows_its_cohort(folder, monkeypatch):
    fitted = run(
        folder, monkeypatch, "fit", "cases.csv", "--target", "relapse", "-o", "model.skops",
        "--epochs", "2", "--folds", "0", *QUICK,
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


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """Write 24 patients with two or three lesions each, with outcome, time and clinic."""
    folder = tmp_path_factory.mktemp("patients")
    cases, y, _ = make_lesions(
        24, n_lesions=(2, 3), worst_effect=3.0, clinical_effect=1.0, spacing=3.3, random_state=0
    )
    rows = []
    for label, row in cases.iterrows():
        names = {}
        for kind in ("image", "mask"):
            image = sitk.GetImageFromArray(row[kind])
            image.SetSpacing(row["spacing"])
            names[kind] = f"{label}_{kind}.nii.gz"
            sitk.WriteImage(image, str(folder / names[kind]))
        sex = "F" if row["weight"] < 75 else "M"
        rows.append({"patient": label, **names, "age": row["age"], "sex": sex})
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rows).assign(relapse=y, months=rng.exponential(20 - 10 * y))
    table.to_csv(folder / "cases.csv", index=False)
    (folder / "quick.yaml").write_text(
        "setting:\n  binWidth: 0.25\nimageType:\n  Original: {}\n"
        "featureClass:\n  firstorder: [Mean]\n  shape: [VoxelVolume]\n"
    )
    return folder


_LESIONS = [*QUICK, "--lesions", "components", "--clinical", "age,sex"]
_SETS = ["--no-baselines", "--feature-sets", "Clinical,Clinical+HCR"]


def test_patients_with_many_lesions_are_evaluated_as_graphs(patients, monkeypatch):
    monkeypatch.setattr("nonredundant.patients.LesionGraphClassifier.fit", _quick_fit())
    result = run(
        patients, monkeypatch, "evaluate", "cases.csv", "--target", "relapse", "--patients",
        "graph", "--classifiers", "LR", "--folds", "2", "--repeats", "1", "-o", "graph",
        *_LESIONS, *_SETS,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "graph of lesions" in result.output
    page = (patients / "graph" / "index.html").read_text(encoding="utf-8")
    assert 'id="figure-graphs"' in page
    attention = pd.read_csv(patients / "graph" / "tables" / "attention.csv")
    assert {"age", "sex_M"} <= set(attention["variable"].dropna())


def test_times_to_an_event_are_evaluated(patients, monkeypatch):
    arguments = ["--target", "months", "--event", "relapse", "--patients", "max"]
    result = run(
        patients, monkeypatch, "evaluate", "cases.csv", *arguments, "--classifiers", "Cox",
        "--folds", "2", "--repeats", "1", "-o", "times", *_LESIONS, *_SETS,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "concordance index" in result.output
    odd = pd.read_csv(patients / "cases.csv").assign(relapse=2)
    odd.to_csv(patients / "odd.csv", index=False)
    result = run(patients, monkeypatch, "evaluate", "odd.csv", *arguments, *_LESIONS, *_SETS)
    assert result.exit_code == 2
    assert "must be 1 (or true) where it was observed and 0" in result.output
    assert "got [2]" in result.output


def test_a_first_column_that_is_a_variable_stays_one(patients):
    from nonredundant.cli.tools import read_cases

    table = pd.read_csv(patients / "cases.csv")[["age", "image", "mask"]]
    table.to_csv(patients / "ages.csv", index=False)
    read = read_cases(patients / "ages.csv")
    assert read["age"].tolist() == table["age"].tolist()


def test_a_model_of_graphs_is_saved_and_applied(patients, monkeypatch):
    monkeypatch.setattr("nonredundant.patients.LesionGraphClassifier.fit", _quick_fit())
    result = run(
        patients, monkeypatch, "fit", "cases.csv", "--target", "relapse", "--patients", "graph",
        "--feature-set", "HCR", "-o", "m.skops", "--folds", "0", *_LESIONS,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "HCR with graph of lesions, fitted on 24 cases" in result.output
    result = run(
        patients, monkeypatch, "predict", "m.skops", "cases.csv", "-o", "p.csv", "--jobs", "1"
    )
    assert result.exit_code == 0, result.output
    assert pd.read_csv(patients / "p.csv")["p_1"].between(0, 1).all()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [([], "ridge Cox regression"), (["--classifier", "RSF"], "random survival forest")],
)
def test_a_model_of_times_is_saved_and_applied(patients, monkeypatch, arguments, name):
    result = run(
        patients, monkeypatch, "fit", "cases.csv", "--target", "months", "--event", "relapse",
        "--patients", "max", "--feature-set", "HCR", "-o", "times.skops", "--folds", "0",
        *_LESIONS, *arguments,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert f"HCR with {name}, fitted on 24 cases" in result.output
    cases = pd.read_csv(patients / "cases.csv").head(5)
    cases.loc[1, "image"] = "nowhere.nii.gz"
    cases.to_csv(patients / "few.csv", index=False)
    result = run(
        patients, monkeypatch, "predict", "times.skops", "few.csv", "-o", "risks.csv", "--jobs", "1"
    )
    assert result.exit_code == 1, result.output
    risks = pd.read_csv(patients / "risks.csv")["risk"]
    assert risks.isna().tolist() == [False, True, False, False, False]
    assert risks.nunique() == 4


def _quick_fit():
    """Return the graph's fit with two epochs."""
    from nonredundant.patients import LesionGraphClassifier

    fit = LesionGraphClassifier.fit
    return lambda self, X, y: fit(self.set_params(max_epochs=2), X, y)


@pytest.mark.parametrize(
    ("ids", "groups", "clusters"),
    [
        (["a", "a", "b"], [], ["a", "a", "b"]),
        (["a", "b", "c"], ["--groups", "hospital"], ["x", "y", "y"]),
        (["a", "b", "c"], [], None),
    ],
    ids=["an id has several rows", "a column of groups", "every row is a patient"],
)
def test_rows_of_one_group_of_the_test_set_stay_together(
    folder, monkeypatch, ids, groups, clusters
):
    given = {}

    def stop(*arguments, test, **settings):
        given["test"] = test
        raise ValueError("that is enough")

    monkeypatch.setattr("nonredundant.evaluation.compare.compare_feature_sets", stop)
    table = pd.read_csv(folder / "cases.csv").assign(hospital="x")
    table.to_csv(folder / "grouped.csv", index=False)
    held = table.iloc[:3].assign(patient=ids, hospital=["x", "y", "y"])
    held.to_csv(folder / "held.csv", index=False)
    options = ["--target", "relapse", "--test", "held.csv", *groups, "-o", "out"]
    result = run(folder, monkeypatch, "evaluate", "grouped.csv", *options)
    assert "that is enough" in result.output
    found = given["test"][2].tolist() if len(given["test"]) == 3 else None
    assert found == clusters


def test_centres_and_controls_reach_the_comparison(folder, monkeypatch):
    given = {}

    def stop(cases, y, *, centre, controls, **settings):
        given.update(centres=cases[centre].tolist(), controls=controls)
        raise ValueError("that is enough")

    monkeypatch.setattr("nonredundant.evaluation.compare.compare_feature_sets", stop)
    table = pd.read_csv(folder / "cases.csv")
    table.assign(hospital=["1", "02 "] * (len(table) // 2)).to_csv(folder / "two.csv", index=False)
    options = ["--target", "relapse", "--centre", "hospital", "--no-controls", "-o", "out"]
    result = run(folder, monkeypatch, "evaluate", "two.csv", *options)
    assert "that is enough" in result.output
    assert given == {"centres": ["1", "02"] * (len(table) // 2), "controls": False}
    result = run(folder, monkeypatch, "evaluate", "cases.csv", *options)
    assert "lacks the columns ['hospital']" in result.output


def test_options_of_centres_reach_the_comparison(folder, monkeypatch):
    given = {}

    def stop(cases, y, *, centre, cv, steps, **settings):
        given.update(centre=centre, cv=cv, steps=[str(step) for step in steps])
        raise ValueError("that is enough")

    monkeypatch.setattr("nonredundant.evaluation.compare.compare_feature_sets", stop)
    table = pd.read_csv(folder / "cases.csv")
    table.assign(hospital=["1", "2"] * (len(table) // 2)).to_csv(folder / "two.csv", index=False)
    options = ["two.csv", "--target", "relapse", "--harmonise", "--leave-centre-out", "-o", "out"]
    result = run(folder, monkeypatch, "evaluate", *options, "--centre", "hospital")
    assert "that is enough" in result.output
    step = "Harmonise(centre='hospital', unseen='reference')"
    assert given == {"centre": "hospital", "cv": "centre", "steps": [step]}
    result = run(folder, monkeypatch, "evaluate", *options)
    assert "--harmonise needs the column of centres: --centre COL" in result.output


def test_predict_takes_the_columns_of_fit_by_name_and_names_unseen_categories(folder, monkeypatch):
    cases = pd.read_csv(folder / "cases.csv").assign(sex=["F", "M", "M"] * 10)
    cases.to_csv(folder / "sexes.csv", index=False)
    fitted = run(
        folder, monkeypatch, "fit", "sexes.csv", "--target", "relapse", "-o", "clinical.skops",
        "--feature-set", "HCR", "--clinical", "age,sex", "--folds", "0", *QUICK,
    )  # fmt: skip
    assert fitted.exit_code == 0, fitted.output
    new = cases.head(4)[["sex", "mask", "age", "patient", "image"]]
    predict = ["predict", "clinical.skops", "new.csv", "-o", "p.csv", "--jobs", "1"]

    def predictions(table):
        table.to_csv(folder / "new.csv", index=False)
        result = run(folder, monkeypatch, *predict)
        assert result.exit_code == 0, result.output
        return pd.read_csv(folder / "p.csv", index_col="sample"), result.output

    turned, _ = predictions(new.assign(hospital="X"))
    assert turned["outside"].isna().all()
    same, _ = predictions(cases.head(4))
    pd.testing.assert_frame_equal(turned, same)
    empty, _ = predictions(new.assign(sex=["", *new["sex"][1:]]))
    male, output = predictions(new.assign(sex=["male", *new["sex"][1:]]))
    assert male["outside"].iloc[0] == "sex: category 'male' was not seen in training"
    assert male["p_1"].iloc[0] == empty["p_1"].iloc[0] != same["p_1"].iloc[0]
    assert f"Warning: {cases['patient'][0]} lies outside of the training cohort: sex" in output
    for table, message in (
        (new.drop(columns="sex"), "lacks the clinical columns ['sex']"),
        (new.assign(age=["?", 50, 60, 70]), "age: 1 of 4 cells is no number: '?'"),
    ):
        table.to_csv(folder / "new.csv", index=False)
        result = run(folder, monkeypatch, *predict)
        assert result.exit_code == 2
        assert message in result.output


def test_a_test_set_of_training_patients_is_refused_unless_asked(folder, monkeypatch):
    options = [
        "--target", "relapse", "--test", "cases.csv", "--feature-sets", "HCR", "--classifiers",
        "LR", "--folds", "2", "--repeats", "1", "--no-baselines", "-o", "shared",
    ]  # fmt: skip
    refused = run(folder, monkeypatch, "evaluate", "cases.csv", *options, *QUICK)
    assert refused.exit_code == 2
    assert "shares 30 ids with the training cohort" in refused.output
    told = run(folder, monkeypatch, "evaluate", "cases.csv", *options, "--shared-test", *QUICK)
    assert told.exit_code == 0, told.output
    assert "on the held-out test set" in told.output
