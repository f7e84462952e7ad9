"""Conformal sets of classes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from nonredundant.statistics import conformal_p_values


def draw(n, rng, shift=0.0):
    """Draw two classes, two thirds in the first, that overlap."""
    y = (rng.uniform(size=n) < 1 / 3).astype(int)
    return (1.5 * y + rng.normal(size=n) + shift)[:, None], y


def coverage(shift, *, level=0.9, draws=25):
    """Return the share of new cases of each class whose sets hold it."""
    rng = np.random.default_rng(0)
    held = [[], []]
    for seed in range(draws):
        x, y = draw(90, rng)
        new, truth = draw(200, rng, shift)
        p, folds, p_new = np.empty((90, 2)), np.empty(90, dtype=int), []
        splits = StratifiedKFold(5, shuffle=True, random_state=seed).split(x, y)
        for k, (train, test) in enumerate(splits):
            model = LogisticRegression().fit(x[train], y[train])
            p[test], folds[test] = model.predict_proba(x[test]), k
            p_new.append(model.predict_proba(new))
        found = conformal_p_values(y, p, folds, p_new) > 1 - level
        for k in (0, 1):
            held[k] += found[truth == k, k].tolist()
    return [float(np.mean(one)) for one in held]


def test_sets_hold_each_class_as_often_as_promised_and_not_elsewhere():
    assert coverage(0.0) == pytest.approx([0.9, 0.9], abs=0.03)
    shifted = coverage(1.5)
    assert shifted[0] < 0.75
    assert shifted[1] > 0.95


def test_ranks_within_folds_alone_matter():
    rng = np.random.default_rng(0)
    y, folds = np.arange(40) % 2, np.arange(40) // 10
    p, p_new = rng.uniform(size=(40, 2)), rng.uniform(size=(4, 7, 2))
    found = conformal_p_values(y, p, folds, p_new)
    # Every fold's model is read on another scale; its own cases and the new ones go together.
    power = np.array([1.0, 2.0, 3.0, 0.5])
    again = conformal_p_values(y, p, folds, p_new ** power[:, None, None])
    assert not np.array_equal(again, found)
    same = p ** power[folds][:, None]
    again = conformal_p_values(y, same, folds, p_new ** power[:, None, None])
    np.testing.assert_array_equal(again, found)


def test_a_class_of_few_cases_is_never_ruled_out_and_nan_stays():
    y, folds = np.repeat([0, 1], [30, 5]), np.zeros(35, dtype=int)
    p = np.column_stack([np.linspace(0.5, 0.9, 35), np.linspace(0.5, 0.1, 35)])
    p_new = np.array([[[1.0, 0.0], [np.nan, np.nan]]])
    found = conformal_p_values(y, p, folds, p_new)
    assert found[0, 1] == pytest.approx(1 / 6)
    assert np.isnan(found[1]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": [0, 1, 2]}, "folds below 2"),
        ({"y": [0, 1, 2]}, "y must lie below 2"),
        ({"y": [0, 1]}, "one entry for each row"),
        ({"p": [[0.1, 0.9], [np.nan, 0.5], [0.2, 0.8]]}, "1 of 3 rows of p are NaN"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    given = {"y": [0, 1, 1], "p": np.full((3, 2), 0.5), "folds": [0, 1, 0]}
    with pytest.raises(ValueError, match=message):
        conformal_p_values(**{**given, **change}, p_new=np.full((2, 1, 2), 0.5))
