"""Intraclass correlation: published values, closed form, gaps, and coverage of the intervals."""

from __future__ import annotations

import numpy as np
import pytest

from nonredundant.statistics import intraclass_correlation

#: Shrout & Fleiss 1979, table 2: six subjects, four judges.
JUDGES = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)


@pytest.mark.parametrize(
    ("kind", "published"),
    [("ICC(1,1)", (0.17, -0.13, 0.72)), ("ICC(3,1)", (0.71, 0.34, 0.95))],
)
def test_values_of_shrout_and_fleiss(kind, published):
    found = intraclass_correlation(JUDGES, kind)
    np.testing.assert_allclose([part[0] for part in found[:3]], published, atol=0.005)
    assert (found.n_subjects[0], found.n_repeats[0]) == (6, 4)


@pytest.mark.parametrize("kind", ["ICC(1,1)", "ICC(3,1)"])
def test_columns_are_independent_and_scale_does_not_matter(kind):
    rng = np.random.default_rng(0)
    one = rng.normal(size=(20, 1)) + rng.normal(size=(20, 3))
    columns = np.stack([one, 1e9 + 1e3 * one, 1e200 * one, rng.normal(size=one.shape)], axis=2)
    found = intraclass_correlation(columns, kind)
    alone = intraclass_correlation(one, kind)
    np.testing.assert_allclose(found.icc[:3], alone.icc[0], rtol=1e-6)
    np.testing.assert_allclose(found.low[:3], alone.low[0], rtol=1e-6)
    assert abs(found.icc[3]) < 0.4


def test_a_shift_of_one_repeat_counts_for_agreement_alone():
    values = np.arange(10.0)[:, None] + np.array([0.0, 5.0])
    agreement = intraclass_correlation(values, "ICC(1,1)")
    consistency = intraclass_correlation(values, "ICC(3,1)")
    assert agreement.icc[0] < 0.6
    assert consistency.icc[0] == consistency.low[0] == 1.0


def test_gaps_are_left_out_by_the_rule_of_each_kind():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(12, 1)) + 0.5 * rng.normal(size=(12, 3))
    gaps = values.copy()
    gaps[0, 1:] = np.nan  # measured once
    gaps[1, 0] = np.inf  # measured twice
    agreement = intraclass_correlation(gaps, "ICC(1,1)")
    consistency = intraclass_correlation(gaps, "ICC(3,1)")
    assert agreement.n_subjects[0] == 11
    assert agreement.n_repeats[0] == pytest.approx(32 / 11)
    assert consistency.n_subjects[0] == 10
    complete = intraclass_correlation(values[2:], "ICC(3,1)")
    assert consistency.icc[0] == pytest.approx(complete.icc[0])
    # One-way analysis of variance of unequal groups, by hand.
    groups = [row[np.isfinite(row)] for row in gaps[1:]]
    sizes = np.array([len(one) for one in groups])
    grand = np.concatenate(groups).mean()
    between = sum(len(one) * (one.mean() - grand) ** 2 for one in groups) / 10
    within = sum(((one - one.mean()) ** 2).sum() for one in groups) / (sizes.sum() - 11)
    n0 = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / 10
    expected = (between - within) / (between + (n0 - 1) * within)
    assert agreement.icc[0] == pytest.approx(expected)


def test_what_does_not_vary_has_no_correlation():
    values = np.zeros((5, 2, 3))
    values[..., 1] = 0.1 * 3  # rounding differs from 0.3
    values[0, 0, 1] = 0.3
    values[..., 2] = np.nan
    found = intraclass_correlation(values)
    assert np.isnan(found.icc).all()
    assert np.isnan(found.low).all()
    assert found.n_subjects.tolist() == [5, 5, 0]


@pytest.mark.parametrize("kind", ["ICC(1,1)", "ICC(3,1)"])
def test_intervals_cover_the_truth(kind):
    rng = np.random.default_rng(2)
    draws = np.sqrt(3) * rng.normal(size=(15, 1, 2000)) + rng.normal(size=(15, 4, 2000))
    found = intraclass_correlation(draws, kind)
    covered = (found.low < 0.75) & (found.high > 0.75)
    assert covered.mean() == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.zeros((5, 1)), {}, "two or more repeats"),
        (np.zeros(5), {}, "shape"),
        (np.zeros((5, 2)), {"kind": "ICC(2,1)"}, "kind"),
        (np.zeros((5, 2)), {"confidence": 95}, "confidence"),
    ],
)
def test_wrong_input_is_refused(values, options, message):
    with pytest.raises(ValueError, match=message):
        intraclass_correlation(values, **options)
