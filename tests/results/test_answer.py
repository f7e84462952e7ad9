"""The answer in words: what is claimed, and what is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant.results.answer import Evidence, does_help, is_new

CHOSEN = {
    "feature_set": "HCR+DLR-MI",
    "classifier": "LR",
    "metric": "roc_auc",
    "reference": "HCR",
}


def evidence(*, p=0.4, estimate=0.02, low=0.7, information=0.5, detectable=0.05, reason=""):
    """Return the rows of a comparison whose fused set has an interval from `low`."""
    error = np.isnan(p)
    test = {
        "reference": "HCR",
        "estimate": estimate,
        "low": np.nan if error else estimate - 0.05,
        "high": np.nan if error else estimate + 0.05,
        "p_value": p,
        "detectable": detectable,
        "reason": reason,
    }
    row = None if information is None else pd.Series({"p_value": information, "reason": ""})
    return Evidence(
        CHOSEN,
        fused=pd.Series({"mean": low + 0.1, "low": low}),
        base=pd.Series({"mean": low + 0.1 - estimate, "low": low}),
        test=pd.Series(test),
        information=row,
        where="in cross-validation",
    )


def audit(p_values, **columns):
    """Return an audit of one block with these p-values."""
    n = len(p_values)
    table = {
        "feature_set": "DLR-MI",
        "method": ["r2-ridge", "dcor"][:n],
        "estimate": 0.3,
        "null_95": 0.1,
        "p_value": p_values,
        "detectable": 0.12,
        "detail": "",
    }
    return pd.DataFrame({**table, **columns})


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [
        ({"p": 0.01}, "gain"),
        ({"p": 0.01, "estimate": -0.02}, "loss"),
        ({"information": 0.001}, "information"),
        ({}, "none seen"),
        ({"p": np.nan, "information": None}, "unknown"),
        ({"p": np.nan, "information": 0.3}, "none seen"),
        # A difference between sets of which neither is better than chance is no gain.
        ({"p": 0.04, "estimate": 0.124, "low": 0.36}, "chance"),
        ({"information": 0.001, "low": 0.45}, "chance"),
    ],
)
def test_verdicts(settings, verdict):
    assert does_help(evidence(**settings)).verdict == verdict


def test_no_gain_comes_with_the_smallest_one_that_would_have_been_seen():
    text = does_help(evidence(detectable=0.081)).text
    assert "80 % power this cohort would have shown a difference of 0.081 or more" in text
    assert "95 % interval -0.030 to +0.070, p = 0.400" in text
    assert "80 % power" not in does_help(evidence(p=0.01)).text


def test_what_is_not_estimable_is_said_with_its_reason():
    text = does_help(evidence(p=np.nan, estimate=0.0, reason="the predictions are identical")).text
    assert "no interval (the predictions are identical)" in text
    assert "nan" not in text


def test_dependence_is_stated_after_correction_for_the_number_of_methods():
    assert is_new(audit([0.03, 0.6]), "DLR-MI").verdict == "none seen"
    found = is_new(audit([0.01, 0.6], detail="dlr03 follows volume"), "DLR-MI")
    assert found.verdict == "dependent"
    assert "p = 0.020" in found.text
    assert found.text.endswith("dlr03 follows volume.")


def test_an_audit_that_saw_nothing_says_what_it_could_have_seen():
    found = is_new(audit([0.3, 0.6]), "DLR-MI")
    assert "sees a distance correlation of 0.12 or more before correction" in found.text
    alone = is_new(audit([0.3], method="dcor"), "DLR-MI")
    assert alone.text.endswith("sees a distance correlation of 0.12 or more).")


def test_a_perfect_set_is_better_than_chance_though_it_has_no_interval():
    perfect = evidence(p=0.001, estimate=0.3)._replace(
        fused=pd.Series({"mean": 1.0, "low": np.nan})
    )
    assert does_help(perfect).verdict == "gain"


def test_a_single_set_is_reported_with_its_interval():
    alone = evidence()._replace(
        test=None, base=None, fused=pd.Series({"mean": 0.8, "low": 0.7, "high": 0.87})
    )
    text = "HCR+DLR-MI with logistic regression reached AUC 0.800 (95 % interval 0.700 to 0.870) "
    assert does_help(alone).text == f"{text}in cross-validation."


def test_a_gain_beyond_the_best_score_is_not_offered():
    text = does_help(evidence(low=0.8, detectable=0.4)).text
    assert text.endswith("0.400 or more, but no set can be better than HCR by more than 0.120.")


@pytest.mark.parametrize("p_values", [[], [np.nan, np.nan]])
def test_without_an_audit_nothing_is_claimed(p_values):
    found = is_new(audit(p_values, detail="no null: too few groups"), "DLR-MI")
    assert found.verdict == "not audited"
    assert found.text.endswith("audited: no null: too few groups." if p_values else "audited.")
