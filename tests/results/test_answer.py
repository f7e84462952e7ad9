"""The answer in words: what is claimed, and what is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant.results.answer import Evidence, does_help, is_calibrated, is_new

CHOSEN = {
    "feature_set": "HCR+DLR-MI",
    "classifier": "LR",
    "metric": "roc_auc",
    "reference": "HCR",
}


METHODS = ("permutation", "double-residual", "similarity")


def information(*p_values, **columns):
    """Return the rows of the table of added information, a test each."""
    rows = [
        {"method": method, "p_value": p, "p_holm": min(1.0, 3 * p), "reason": "too few groups"}
        for method, p in zip(METHODS, p_values, strict=False)
    ]
    frame = pd.DataFrame(rows, columns=["method", "p_value", "p_holm", "reason"])
    return frame.assign(**{"unit": "cohort", "unseen_share": 0.6, **columns})


def evidence(*, p=0.4, estimate=0.02, low=0.7, exact=0.5, flexible=0.5, reason="", **more):
    """Return the rows of a comparison whose fused set has an interval from `low`."""
    error = np.isnan(p)
    test = {
        "reference": "HCR",
        "estimate": estimate,
        "low": np.nan if error else estimate - 0.05,
        "high": np.nan if error else estimate + 0.05,
        "p_value": p,
        "p_holm": min(1.0, 3 * p),
        "reason": reason,
    }
    return Evidence(
        **{
            "chosen": CHOSEN,
            "fused": pd.Series({"mean": low + 0.1, "low": low}),
            "base": pd.Series({"mean": low + 0.1 - estimate, "low": low}),
            "test": pd.Series(test),
            "information": information(*([] if exact is None else [exact, flexible, flexible])),
            "where": "in cross-validation",
            **more,
        }
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


BOTH = {"exact": 0.001, "flexible": 0.01}


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [
        ({"p": 0.01, **BOTH}, "gain"),
        ({"p": 0.01, "exact": None}, "gain"),
        ({"p": 0.01, "estimate": -0.02}, "loss"),
        (BOTH, "information"),
        ({}, "none seen"),
        ({"p": np.nan, "exact": None}, "unknown"),
        ({"p": np.nan, "exact": np.nan}, "unknown"),
        ({"p": np.nan, "exact": 0.3}, "none seen"),
        # One small p-value alone is no finding, whichever it is.
        ({"exact": 0.001}, "unsettled"),
        ({"flexible": 0.001}, "unsettled"),
        ({"p": 0.01, "exact": 0.001}, "unsettled"),
        ({"p": 0.01}, "unsettled"),
        # A difference between sets of which neither is better than chance is no gain.
        ({"p": 0.04, "estimate": 0.124, "low": 0.36, **BOTH}, "chance"),
        ({"low": 0.45, **BOTH}, "chance"),
    ],
)
def test_verdicts(settings, verdict):
    assert does_help(evidence(**settings)).verdict == verdict


def test_other_comparisons_than_the_primary_one_stand_on_corrected_p_values():
    small = {"p": 0.03, "exact": 0.03, "flexible": 0.03}
    assert does_help(evidence(**small)).verdict == "gain"
    corrected = does_help(evidence(**small, corrected=True))
    assert corrected.verdict == "none seen"
    assert "p = 0.090 after Holm" in corrected.text


def test_the_models_that_a_claim_is_relative_to_are_always_named():
    for settings in ({}, BOTH, {"exact": 0.001}):
        text = does_help(evidence(**settings)).text
        assert "Beyond what ridge, kernel and forest models of the known features" in text
    numbers = "(permuted p = 0.001, residuals permuted p = 0.010, less what similar patients share"
    assert f"{numbers} p = 0.010)" in does_help(evidence(**BOTH)).text


def test_a_gain_over_a_selection_is_named_as_that():
    chosen = {**CHOSEN, "feature_set": "H8+D4-MI", "reference": "H8"}
    found = evidence(p=0.001, chosen=chosen)
    found = found._replace(test=found.test.replace({"HCR": "H8"}))
    text = does_help(found).text
    assert "H8, a selection of the hand-crafted features (not than all of them)" in text
    assert "is unsettled" in text


def test_what_labels_have_shaped_is_tested_approximately():
    rows = information(0.3, 0.3, unit="fold")
    assert "approximately, as labels" in does_help(evidence()._replace(information=rows)).text
    assert "approximately" not in does_help(evidence()).text


def test_claims_come_with_what_would_explain_them_away():
    sure = evidence(p=0.01, **BOTH)
    assert "would have to make up 60 % of what the learned features vary" in does_help(sure).text
    safe = sure._replace(information=information(0.001, 0.01, unseen_share=1.4))
    assert "No function of the known features" in does_help(safe).text
    assert "make up" not in does_help(evidence()).text


def test_no_gain_comes_with_the_gains_that_are_excluded():
    text = does_help(evidence()).text
    assert "95 % interval -0.030 to +0.070, p = 0.400. Gains of more than +0.070 are" in text
    assert "excluded" not in does_help(evidence(p=0.01, **BOTH)).text
    text = does_help(evidence(low=0.89)).text
    assert "No gain is excluded: the largest possible one is +0.030." in text


@pytest.mark.parametrize(
    ("slope", "said"),
    [
        ((0.3, 0.1, 0.5), "too extreme, as by overfitting: calibration slope 0.30"),
        ((1.9, 1.2, 2.6), "too moderate"),
        ((0.7, 0.3, 1.1), None),
        ((0.9, 0.85, 0.95), None),
        ((np.nan, np.nan, np.nan), None),
    ],
)
def test_a_calibration_slope_far_from_one_is_told(slope, said):
    found = is_calibrated(pd.Series(slope, index=["slope", "slope_low", "slope_high"]))
    assert (found is None) if said is None else (said in found.text)


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
    assert "a dependence below about 0.12 in distance correlation, where 0 is none" in found.text
    alone = is_new(audit([0.3], method="dcor"), "DLR-MI")
    assert alone.text.endswith("1 is full, may have been missed).")


def test_a_perfect_set_is_better_than_chance_though_it_has_no_interval():
    perfect = evidence(p=0.001, estimate=0.3, **BOTH)._replace(
        fused=pd.Series({"mean": 1.0, "low": np.nan})
    )
    assert does_help(perfect).verdict == "gain"


def test_a_single_set_is_reported_with_its_interval():
    alone = evidence()._replace(
        test=None, base=None, fused=pd.Series({"mean": 0.8, "low": 0.7, "high": 0.87})
    )
    text = (
        "HCR+DLR-MI was not compared with another set: with logistic regression it reached AUC "
        "0.800 (95 % interval 0.700 to 0.870) "
    )
    assert does_help(alone).text == f"{text}in cross-validation."


def test_the_share_that_known_features_explain_is_stated_and_not_tested():
    shares = audit([0.6, 0.001], method=["dcor", "share-of-latents"], detectable=0.15)
    shares["estimate"] = [0.3, 0.08]
    found = is_new(shares, "DLR-MI")
    assert found.verdict == "none seen"
    assert "corrected" not in found.text
    end = "explain 8 % of its variance, by chance up to 10 %; a share of less than 15 % may have "
    assert found.text.endswith(f"{end}been missed.")


@pytest.mark.parametrize("p_values", [[], [np.nan, np.nan]])
def test_without_an_audit_nothing_is_claimed(p_values):
    found = is_new(audit(p_values, detail="no null: too few groups"), "DLR-MI")
    assert found.verdict == "not audited"
    assert found.text.endswith("audited: no null: too few groups." if p_values else "audited.")
