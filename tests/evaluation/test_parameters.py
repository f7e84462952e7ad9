"""Parameters of a comparison of wrong types are refused before anything is read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant import LesionTable, NonRedundantCVAE, compare_feature_sets

TABLE = LesionTable(pd.DataFrame(np.random.default_rng(0).normal(size=(20, 2)), columns=["a", "b"]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cvae": NonRedundantCVAE}, r"'cvae' .* Got the class NonRedundantCVAE: write Non.*\(\)"),
        ({"cvae": 3}, "'cvae' parameter of compare_feature_sets"),
        ({"extractor": "PET"}, "'extractor' parameter"),
        ({"n_repeats": 1.5}, "'n_repeats' parameter .* range"),
        ({"n_repeats": 0}, "'n_repeats' parameter .* range"),
        ({"audit": "dcor"}, "'audit' .* a list of methods among .*Got 'dcor'"),
        ({"audit": ["r2"]}, "'audit' .* .'r2-ridge'"),
        ({"memory": 3}, "'memory' parameter"),
        ({"n_jobs": "2"}, "'n_jobs' parameter"),
        ({"verbose": "yes"}, "'verbose' parameter"),
        ({"random_state": "a"}, "'random_state' parameter"),
        ({"class_weight": "balance"}, "'class_weight' parameter of compare_feature_sets"),
        ({"shared_test": "no"}, "'shared_test' parameter"),
    ],
)
def test_a_parameter_of_a_wrong_type_is_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        compare_feature_sets(TABLE, np.arange(20) % 2, **parameters)


def test_classifiers_that_are_none_are_refused():
    with pytest.raises(TypeError, match="classifiers must be names among .* got 3"):
        compare_feature_sets(TABLE, np.arange(20) % 2, feature_sets=["HCR"], classifiers=3)
