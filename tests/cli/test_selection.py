"""The option that selects features, and classifiers by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from nonredundant.cli import app
from nonredundant.cli.selection import selection_steps


def test_a_method_and_a_number_make_one_step():
    (step,) = selection_steps("univariate:7")
    assert (step.method, step.k) == ("univariate", 7)
    assert selection_steps("lasso")[0].k is None
    assert selection_steps(None) == []


@pytest.mark.parametrize("option", ["best", "mrmr:", "mrmr:0", "mrmr:many", "mrmr:-3", ":5"])
def test_other_options_are_refused_before_anything_is_read(option):
    with pytest.raises(ValueError, match="write METHOD or METHOD:K, such as mrmr:20"):
        selection_steps(option)


def test_evaluate_passes_the_step_and_the_classifiers_on(tmp_path, monkeypatch):
    seen = {}

    def compare(table, labels, **settings):
        seen.update(settings)
        raise ValueError("far enough")

    monkeypatch.setattr("nonredundant.evaluation.compare.compare_feature_sets", compare)
    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame({"original_glcm_F": np.arange(6.0), "relapse": [0, 1] * 3})
    rows.to_csv("radiomics.csv", index_label="patient")
    options = ["--select", "mrmr:20", "--classifiers", "EN,GB"]
    result = CliRunner().invoke(app, ["evaluate", "radiomics.csv", "--target", "relapse", *options])
    assert "far enough" in result.output
    assert [(type(one).__name__, one.k) for one in seen["steps"]] == [("SelectFeatures", 20)]
    assert seen["classifiers"] == ["EN", "GB"]
