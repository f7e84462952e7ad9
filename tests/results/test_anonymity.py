"""Reports, tables and models without the ids of patients."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import skops.io
from cases_for_tests import cohort, on_disk, quick
from cohorts_for_tests import CheapNetwork, compare, make_table

from nonredundant import NonRedundantCVAE
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.results.anonymity import _redactor

NAME = "O'Hara^Scarlett"


@pytest.fixture(scope="module")
def named():
    """A comparison of patients with names, one of whom could not be read."""
    table, y = make_table(60)
    index = [f"{NAME}-{i}" for i in range(60)]
    status = ["ok"] * 60
    status[7] = f"unreadable: there is no file or folder /data/{NAME}-7/ct.nii; correct the path"
    status[8] = f"the mask of {NAME}-8 is empty"
    with pytest.warns(UserWarning, match="could not be extracted"):
        return compare(
            table.replace(index=index, status=status),
            y,
            feature_sets=["HCR", "HCR+DLR"],
            cvae=CheapNetwork(),
            cv=3,
        )


def contents(folder):
    """Return the texts of all files."""
    files = [one for one in folder.rglob("*") if one.is_file()]
    assert files
    return "\n".join(one.read_text(encoding="utf-8") for one in files)


def test_ids_are_in_reports_and_tables_by_default(named, tmp_path):
    named.to_csv(tmp_path)
    assert f"{NAME}-3" in contents(tmp_path)


def test_no_file_holds_an_id_or_a_path_if_asked(named, tmp_path):
    named.to_csv(tmp_path / "tables", anonymise=True)
    named.to_html(tmp_path / "index.html", anonymise=True)
    text = contents(tmp_path)
    for part in ("Hara", "Scarlett", "/data/", "ct.nii"):
        assert part not in text
    assert "the mask of case 58 is empty" in text or "the mask of case 60 is empty" in text
    # The results themselves are the same.
    hidden = named.anonymised()
    pd.testing.assert_frame_equal(hidden.scores, named.scores)
    assert hidden.answer() == named.answer()


def test_new_names_are_one_to_one_and_the_same_in_all_tables(named):
    hidden = named.anonymised()
    pairs = set(zip(named.predictions["sample"], hidden.predictions["sample"], strict=True))
    assert len(pairs) == len({old for old, _ in pairs}) == len({new for _, new in pairs}) == 58
    names = dict(pairs)
    for variant, frame in named.latents.items():
        assert hidden.latents[variant].index.tolist() == [names[one] for one in frame.index]
    assert set(hidden.settings.failed).isdisjoint(names.values())
    assert len(hidden.settings.failed) == 2


def test_attention_and_pictures_of_patients_are_renamed(graphs):
    ids = [str(one) for one in graphs.attention["sample"].unique()]
    named = {one: f"Doe-{one}" for one in ids}
    attention = graphs.attention.assign(sample=[named[str(s)] for s in graphs.attention["sample"]])
    predictions = graphs.predictions.assign(
        sample=[named[str(s)] for s in graphs.predictions["sample"]]
    )
    pictures = [
        {**one, "title": named[one["title"].split(":")[0]] + ":" + one["title"].split(":", 1)[1]}
        for one in graphs.patient_graphs
    ]
    changed = replace(
        graphs,
        attention=attention,
        predictions=predictions,
        cv_predictions=predictions,
        patient_graphs=pictures,
    )
    hidden = changed.anonymised()
    assert hidden.attention["sample"].str.startswith("case ").all()
    assert pictures
    for old, new in zip(pictures, hidden.patient_graphs, strict=True):
        assert new["title"].startswith("case ")
        assert new["title"].split(":", 1)[1] == old["title"].split(":", 1)[1]


def test_the_comparison_itself_can_be_without_ids():
    table, y = make_table(60)
    settings = {"feature_sets": ["HCR"], "cv": 3}
    found = compare(table, y, anonymise=True, **settings)
    assert found.predictions["sample"].str.startswith("case ").all()
    pd.testing.assert_frame_equal(found.scores, compare(table, y, **settings).scores)


@pytest.mark.parametrize(
    ("ids", "message", "shown"),
    [
        (["Doe", "Doe-2"], "['Doe', 'Doe-2'] failed", "['case 1', 'case 2'] failed"),
        (["Doe"], "Doesn't matter", "Doesn't matter"),
        ([5, 17], "5 of 17 cases lost: 5, 17; why", "5 of 17 cases lost: case 1, case 2; why"),
        ([1234567], "patient1234567x", "patientcase 1x"),
        (["a\\b"], "['a\\\\b'] is odd", "['case 1'] is odd"),
        (["x"], "units of Bq/ml, 1/3 of all", "units of Bq/ml, 1/3 of all"),
        (["x"], "scan.nii.gz is truncated", "(left out, as it names a file)"),
        (["x"], "no folder ../x", "(left out, as it names a file)"),
        (["x"], r"no C:\scans\a", "(left out, as it names a file)"),
        ([], "nothing", "nothing"),
    ],
)
def test_messages(ids, message, shown):
    names = {label: f"case {number}" for number, label in enumerate(ids, start=1)}
    assert _redactor(names)(message) == shown


@pytest.mark.parametrize("images", [False, True])
def test_a_saved_model_holds_no_ids(tmp_path, images):
    if images:
        X = on_disk(cohort(12), tmp_path)
        X.index = [f"Scarlett-{i}" for i in range(12)]
        for name in ("image", "mask"):
            (tmp_path / "Scarlett").mkdir(exist_ok=True)
            for one in X[name]:
                (tmp_path / one).rename(tmp_path / "Scarlett" / one)
            X[name] = [str(tmp_path / "Scarlett" / one) for one in X[name]]
        model = FeatureSetClassifier("HCR", extractor=quick(clinical=["age"]), random_state=0)
        y = pd.Series([0, 1] * 6, index=X.index)
    else:
        X, y = make_table(40)
        X = X.replace(index=[f"Scarlett-{i}" for i in range(40)])
        network = NonRedundantCVAE(2, max_epochs=1, beta=0.0, network={"width": 4}, device="cpu")
        model = FeatureSetClassifier("HCR+DLR-MI", cvae=network, random_state=0)
        y = pd.Series(y, index=X.index)
    model.fit(X, y)
    skops.io.dump(model, tmp_path / "model.skops")
    with zipfile.ZipFile(tmp_path / "model.skops") as archive:
        saved = b"".join(map(archive.read, archive.namelist()))
    assert len(saved) > 1000
    assert b"Scarlett" not in saved
    assert b"Scarlett" not in pickle.dumps(model)
    assert np.isfinite(model.predict_proba(X)).all()
