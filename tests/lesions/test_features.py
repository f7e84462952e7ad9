"""Checks of features: numbers, columns as at fit, and clinical values of a patient."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from nonredundant.lesions import LesionTable
from nonredundant.lesions.features import check_columns, check_usable, constant_columns, read_table


def make_table(**columns):
    return LesionTable(pd.DataFrame(columns), sample=[0, 0, 1])


def test_columns_that_differ_from_those_at_fit_are_named():
    table = make_table(a=[1.0, 2.0, 3.0], b=[1.0, 2.0, 3.0])
    check_columns(["b", "a"], table)
    with pytest.raises(ValueError, match=r"Missing: \['c'\].*Unseen at fit: \['b'\]"):
        check_columns(["a", "c"], table)


def test_a_table_is_read_in_the_order_of_fit():
    estimator = BaseEstimator()
    table = make_table(a=[1.0, 2.0, 3.0], b=[4.0, 5.0, 6.0])
    read_table(estimator, table, reset=True)
    assert estimator.n_features_in_ == 2
    other = table.replace(features=table.features[["b", "a"]])
    assert list(read_table(estimator, other, reset=False).columns) == ["a", "b"]
    with pytest.raises(ValueError, match=r"not: \['a'\].*ColumnTransformer"):
        read_table(estimator, make_table(a=["x", "y", "z"]), reset=True)
    with pytest.raises(ValueError, match="without samples"):
        read_table(estimator, table[:0], reset=False)


def test_rows_of_a_matrix_are_samples():
    table = read_table(BaseEstimator(), np.eye(3), reset=True)
    assert (table.n_samples, list(table.columns)) == (3, ["x0", "x1", "x2"])


def test_clinical_values_must_agree_within_a_patient():
    table = make_table(age=[50.0, 50.0, 60.0]).replace(blocks={"age": "clinical"})
    assert constant_columns(table) == ["age"]
    other = make_table(age=[50.0, 51.0, 60.0]).replace(blocks={"age": "clinical"})
    with pytest.raises(ValueError, match=r"lesions of case 0 have 'age' = 50 and 51"):
        constant_columns(other)


def test_what_classifiers_cannot_use_is_named():
    table = make_table(a=[1.0, np.inf, 3.0], b=[1.0, np.nan, 3.0]).replace(index=["anna", "bert"])
    with pytest.raises(ValueError, match=r"1 values are infinite: columns \['a'\] of .*\['anna'\]"):
        check_usable(table)
    with pytest.raises(ValueError, match=r"1 columns are not: \['Image'\]"):
        check_usable(make_table(Image=["x", "y", "z"]))
    with pytest.raises(ValueError, match="the test set is a table without samples: the selection"):
        check_usable(table[:0], "the test set")
    assert check_usable(table[1:]).n_samples == 1
