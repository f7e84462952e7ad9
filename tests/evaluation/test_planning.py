"""Studies that are planned by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import nonredundant as nr
from nonredundant.evaluation.planning import _draw, _needed
from nonredundant.statistics import development_size


def test_more_patients_and_larger_gains_give_more_power():
    settings = {"n": (60, 200), "n_studies": 12, "random_state": 0}
    none, large = (nr.plan_study(0.7, gain, **settings).table for gain in (0.0, 0.2))
    assert large["power_gain"].iloc[1] > large["power_gain"].iloc[0]
    assert large["power_gain"].iloc[1] >= 0.9
    assert (none["power_gain"] <= 2 / 12).all()
    assert (
        large["power_gain"] <= large[["power_information", "power_difference"]].min(axis=1)
    ).all()
    assert large["half_width"].iloc[1] < large["half_width"].iloc[0]


def test_the_same_seed_gives_the_same_plan_with_any_number_of_processes():
    settings = {"n": (60,), "n_studies": 4, "random_state": 3}
    plans = [nr.plan_study(0.7, 0.1, n_jobs=n_jobs, **settings) for n_jobs in (1, 2)]
    pd.testing.assert_frame_equal(plans[0].table, plans[1].table)


def test_columns_have_the_assumed_aucs():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [28_000, 12_000])
    known, learned = _draw(0.7, 0.08, y, (8, 4), rng)
    for x, auc in ((known, 0.7), (np.hstack([known, learned]), 0.78)):
        model = LogisticRegression(C=np.inf).fit(x[::2], y[::2])
        assert roc_auc_score(y[1::2], model.decision_function(x[1::2])) == pytest.approx(
            auc, abs=0.01
        )


def test_patients_are_interpolated_between_sizes():
    table = pd.DataFrame({"n": [100, 400], "power_gain": [0.6, 1.0]})
    assert _needed(table, "power_gain", 0.8) == pytest.approx(200)
    assert _needed(table, "power_gain", 0.5) == 100
    assert np.isnan(_needed(table.assign(power_gain=0.3), "power_gain", 0.8))


def test_the_plan_is_drawn():
    plan = nr.plan_study(0.7, 0.1, n=(60, 120), n_studies=2, random_state=0)
    ax = plan.plot()
    assert [text.get_text() for text in ax.get_xticklabels()] == ["60", "120"]
    assert ax.get_ylim() == (0, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"auc": 0.4}, "auc must lie"),
        ({"gain": 0.4}, "gain between"),
        ({"prevalence": 0.05}, "3.0 of the rarer class"),
        ({"prevalence": 1.0}, "prevalence must lie"),
    ],
)
def test_assumptions_that_make_no_sense_are_refused(change, message):
    given = {"auc": 0.7, "gain": 0.1, "n": (60,), **change}
    with pytest.raises(ValueError, match=message):
        nr.plan_study(given.pop("auc"), given.pop("gain"), **given)


def test_sizes_of_a_development_are_those_of_riley():
    found = development_size(30, 0.05, r2=0.05)
    # Riley et al. 2020: 5,249 patients by shrinkage, 73 by the overall risk.
    assert found["shrinkage"] == found["patients"] == 5249
    assert found["risk"] == 73


def test_r2_of_an_auc_is_that_of_simulated_scores():
    rng = np.random.default_rng(0)
    y = (rng.uniform(size=400_000) < 0.3).astype(int)
    x = rng.normal(size=len(y)) + np.sqrt(2) * 0.8416 * y  # the quantile of an AUC of 0.8
    model = LogisticRegression(C=np.inf).fit(x[:, None], y)
    p = model.predict_proba(x[:, None])[:, 1]
    likelihoods = [np.log(np.where(y, q, 1 - q)).mean() for q in (p, y.mean())]
    r2 = 1 - np.exp(2 * (likelihoods[1] - likelihoods[0]))
    by_auc, by_r2 = (development_size(20, 0.3, **one) for one in ({"auc": 0.8}, {"r2": r2}))
    assert by_auc["shrinkage"] == pytest.approx(by_r2["shrinkage"], rel=0.03)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_parameters": 0}, "n_parameters"),
        ({"prevalence": 0.0}, "prevalence"),
        ({"auc": 0.5}, "auc must lie"),
        ({"auc": 0.8, "r2": 0.1}, "either auc or r2"),
        ({"auc": None, "r2": 0.9}, "r2 must lie"),
        ({"auc": None}, "either auc or r2"),
    ],
)
def test_wrong_assumptions_of_a_development_are_refused(wrong, message):
    given = {"n_parameters": 5, "prevalence": 0.3, "auc": 0.8, **wrong}
    with pytest.raises(ValueError, match=message):
        development_size(given.pop("n_parameters"), given.pop("prevalence"), **given)
