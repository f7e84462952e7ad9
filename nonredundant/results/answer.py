"""The answer of a comparison in words: whether learned features are new, and whether they help."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from nonredundant.classifiers.builtin import long_name
from nonredundant.classifiers.scoring import CONCORDANCE, SPEARMAN
from nonredundant.displays.names import estimate_name, metric_name, p_text
from nonredundant.metrics.audit import SHARE
from nonredundant.results.information import FOLD
from nonredundant.results.significance import SHARES
from nonredundant.statistics.estimates import ROUNDING
from nonredundant.statistics.multiplicity import holm

#: Significance level of every statement.
LEVEL = 0.05
#: The end of the name of a set of selected hand-crafted features, such as `Clinical+H8`.
_SELECTION = re.compile(r"(^|\+)H\d+$")
#: What the test of added information is relative to; always said with its result.
_BEYOND = "beyond what ridge, kernel and forest models of the known features explain"
#: How each test of added information is named beside its p-value.
_TESTS = {
    "permutation": "permuted",
    "double-residual": "residuals permuted",
    "similarity": "less what similar patients share",
}
#: A calibration slope whose interval excludes 1 is told if it is as far from it as this.
_SLOPES = (0.8, 1.25)
#: The value of a metric at which predictions are no better than chance.
_CHANCE = {"roc_auc": 0.5, "roc_auc_ovr": 0.5, CONCORDANCE: 0.5, "r2": 0.0, SPEARMAN: 0.0}


class Finding(NamedTuple):
    """A verdict in one word, and the sentence that states it with its numbers."""

    verdict: str
    text: str


def is_new(redundancy: pd.DataFrame, block: str) -> Finding:
    """State whether the audit saw hand-crafted features in a learned block.

    Parameters
    ----------
    redundancy : DataFrame
        The audit of all learned blocks.
    block : str
        Name of the learned block, such as "DLR-MI".

    Returns
    -------
    Finding
        "dependent", "none seen" or "not audited".
    """
    every = redundancy[redundancy["feature_set"] == block]
    tested = every["p_value"].notna() & (every["method"] != SHARE)
    own = every[tested].reset_index(drop=True)
    if own.empty:
        text = f"Whether {block} repeats the hand-crafted features was not audited"
        reason = "" if every.empty else f": {every['detail'].iloc[0]}"
        return Finding("not audited", f"{text}{reason}.")
    corrected = holm(own["p_value"].to_numpy())
    n = len(own)
    family = f", corrected for {n} tests" if n > 1 else ""
    if corrected.min() < LEVEL:
        worst = own.iloc[int(corrected.argmin())]
        detail = f"; {worst['detail']}" if worst.get("detail") else ""
        text = (
            f"{block} still depends on the hand-crafted features: {_measured(worst)}, "
            f"{p_text(float(corrected.min()))}{family}{detail}.{_explained(every)}"
        )
        return Finding("dependent", text)
    text = (
        f"No dependence of {block} on the hand-crafted features was seen on held-out samples "
        f"({p_text(float(corrected.min()))}{family}{_visible(own)}).{_explained(every)}"
    )
    return Finding("none seen", text)


def _explained(audit: pd.DataFrame) -> str:
    """State the share of a block's variance that known features explain, and what may be missed."""
    share = audit[(audit["method"] == SHARE) & audit["p_value"].notna()]
    if share.empty:
        return ""
    row = share.iloc[0]
    text = (
        f" Known features explain {100 * max(row['estimate'], 0):.0f} % of its variance, by chance "
        f"up to {100 * max(row['null_95'], 0):.0f} %"
    )
    if np.isnan(row["detectable"]):
        return f"{text}."
    return f"{text}; a share of less than {100 * row['detectable']:.0f} % may have been missed."


def _measured(row: pd.Series) -> str:
    """Describe an estimate of the audit beside the 95 % point of its null."""
    return (
        f"{estimate_name(row['method'])} {row['estimate']:.2f}, by chance seldom above "
        f"{max(row['null_95'], 0):.2f}"
    )


def _visible(own: pd.DataFrame) -> str:
    """Describe the smallest dependence that the audit would have seen."""
    known = own[own.get("detectable", pd.Series(np.nan, own.index)).notna()]
    if known.empty:
        return ""
    # Distance correlation can be read without knowing the estimator.
    row = known.sort_values("method", key=lambda m: m != "dcor", kind="stable").iloc[0]
    # The power of a method is that of its own p-value, before any correction.
    than = "about " if len(own) > 1 else ""
    scale = ", where 0 is none and 1 is full" if row["method"] == "dcor" else ""
    return (
        f"; a dependence below {than}{row['detectable']:.2f} in {estimate_name(row['method'])}"
        f"{scale}, may have been missed"
    )


class Evidence(NamedTuple):
    """The rows of the result tables that concern one set and its reference.

    Parameters
    ----------
    chosen : mapping of str to str
        `feature_set, classifier, metric` and `reference`, if the set was tested.
    fused, base : Series or None
        Rows of `summary` of the fused set and of its reference.
    test : Series or None
        The row of `tests`.
    information : DataFrame
        The rows of `added_information`, a test each: by permutation, which is exact for independent
        features, and those that allow for dependence.
    where : str
        On which samples the sets were scored.
    added : str
        What the set has and its reference has not: "learned" or "hand-crafted" features.
    corrected : bool
        Whether p-values are those after Holm's correction, as for all but the comparison that was
        chosen before any result was seen.
    selected : bool
        Whether a step of the folds selected hand-crafted features.
    """

    chosen: Mapping[str, str]
    fused: pd.Series
    base: pd.Series | None
    test: pd.Series | None
    information: pd.DataFrame
    where: str
    added: str = "learned"
    corrected: bool = False
    selected: bool = False

    def p(self, row: pd.Series) -> float:
        """Return the p-value of a test that a statement rests on."""
        return float(row["p_holm" if self.corrected else "p_value"])

    @property
    def p_information(self) -> np.ndarray:
        """The p-values of the tests of added information."""
        name = "p_holm" if self.corrected else "p_value"
        return self.information[name].to_numpy(dtype=float)

    @property
    def informs(self) -> str:
        """What the tests of added information say together.

        "seen" if all agree, "unsettled" if some alone see something, "none seen", "unknown" if one
        is not estimable, or "not tested".
        """
        values = self.p_information
        if not len(values):
            return "not tested"
        if np.isnan(values).any():
            return "unknown"
        n_seen = int((values < LEVEL).sum())
        return "seen" if n_seen == len(values) else "unsettled" if n_seen else "none seen"


def does_help(found: Evidence) -> Finding:
    """State whether the fused set is better than its reference, and whether it adds information.

    The tests have an order, so that none needs a correction for the other: a gain of learned
    features is stated only where they also add information, and for a set that is better than
    chance.

    Returns
    -------
    Finding
        "gain", "loss", "information" (added information was seen, a gain of the metric was not),
        "unsettled" (tests do not agree), "chance" (a difference between sets that are no better
        than chance), "none seen", "unknown" (not estimable) or "not compared".
    """
    name, metric = long_name(found.chosen["classifier"]), metric_name(found.chosen["metric"])
    set_name = found.chosen["feature_set"]
    if found.test is None or found.base is None:
        low, high = found.fused["low"], found.fused["high"]
        interval = "interval not estimable"
        if not np.isnan(low):
            interval = f"95 % interval {low:.3f} to {high:.3f}"
        reached = f"{metric} {found.fused['mean']:.3f} ({interval}) {found.where}"
        opening = f"{set_name} was not compared with another set"
        return Finding("not compared", f"{opening}: with {name} it reached {reached}.")
    reference = str(found.test["reference"])
    numbers = (
        f"{metric} {found.base['mean']:.3f} with {reference}, {found.fused['mean']:.3f} with "
        f"{set_name} ({name}, {found.where})"
    )
    verdict = _verdict(found, found.test)
    difference = _difference(found, found.test)
    text = f"{_opening(found, verdict, found.test)}: {numbers}; {difference}."
    text += _excluded(found.test, found.base, found.chosen["metric"], verdict)
    return Finding(verdict, text + _information(found) + _sensitivity(found, verdict))


def _opening(found: Evidence, verdict: str, test: pd.Series) -> str:
    """Say what was found, before any number."""
    set_name, reference = found.chosen["feature_set"], str(test["reference"])
    metric, known = metric_name(found.chosen["metric"]), reference
    better = f"{set_name} predicts better than {reference}"
    if _SELECTION.search(reference) or (found.selected and "HCR" in reference):
        # A gain over a selection is no gain over radiomics.
        known = "the known features"
        better += ", a selection of the hand-crafted features (not than all of them)"
    if verdict == "unsettled" and found.p(test) < LEVEL:
        return f"{better}, but that the {found.added} features are new information is unsettled"
    says = f"say something of the outcome that {known} does not"
    if known != reference:
        says = says.replace("does not", "do not")
    return {
        "gain": better,
        "loss": f"{set_name} predicts worse than {reference}",
        "information": f"The {found.added} features {says}, but a gain in {metric} was not seen",
        "unsettled": f"Whether the {found.added} features {says} is unsettled",
        "chance": f"No gain was seen: {set_name} is not distinguishable from chance",
        "none seen": f"No gain from the {found.added} features was seen",
        "unknown": f"Whether the {found.added} features help is not estimable",
    }[verdict]


def _verdict(found: Evidence, test: pd.Series) -> str:
    """Decide which of the verdicts holds."""
    p, informs = found.p(test), found.informs
    if p < LEVEL and test["estimate"] < 0:
        return "loss"
    if p < LEVEL or informs in ("seen", "unsettled"):
        if not _beats_chance(found):
            return "chance"
        if informs in ("seen", "not tested"):
            return "gain" if p < LEVEL else "information"
        return "unsettled"
    tested = not np.isnan(p) or informs == "none seen"
    return "none seen" if tested else "unknown"


def _beats_chance(found: Evidence) -> bool:
    """Return whether the interval of the fused set lies above chance, where chance is known.

    A set that orders all cases correctly has no interval.
    """
    chance = _CHANCE.get(found.chosen["metric"])
    if chance is None:
        return True
    return bool(found.fused["low"] > chance or found.fused["mean"] > 1 - ROUNDING)


def _difference(found: Evidence, test: pd.Series) -> str:
    """Format a paired difference, or the reason why its error is unknown."""
    if np.isnan(test["p_value"]):
        reason = test.get("reason") or "its error cannot be estimated"
        return f"difference {_signed(test['estimate'])}, no interval ({reason})"
    interval = f"95 % interval {_signed(test['low'])} to {_signed(test['high'])}"
    corrected = " after Holm" if found.corrected else ""
    return f"difference {_signed(test['estimate'])}, {interval}, {p_text(found.p(test))}{corrected}"


def _signed(value: float) -> str:
    """Format a difference with its sign; what rounds to zero has none."""
    rounded = round(float(value), 3) + 0.0
    return f"{rounded:+.3f}" if rounded else "0.000"


def _excluded(test: pd.Series, base: pd.Series, metric: str, verdict: str) -> str:
    """State which gains the interval excludes, unless one was found."""
    high = test["high"]
    if verdict in ("gain", "loss") or np.isnan(high):
        return ""
    room = 1 - base["mean"]
    if metric in SHARES and high >= room - ROUNDING:
        return f" No gain is excluded: the largest possible one is {_signed(room)}."
    return f" Gains of more than {_signed(high)} are excluded." if high > 0 else ""


def _information(found: Evidence) -> str:
    """State what the tests of added information saw."""
    rows = found.information
    if found.informs == "not tested":
        return ""
    if found.informs == "unknown":
        reason = rows.loc[rows["reason"] != "", "reason"].iloc[0]
        return f" The test of added information is not estimable ({reason})."
    numbers = ", ".join(
        f"{_TESTS[method]} {p_text(p)}"
        for method, p in zip(rows["method"], found.p_information, strict=True)
    )
    numbers += "; all after Holm" if found.corrected else ""
    if (rows["unit"] == FOLD).any():
        numbers += "; approximately, as labels have shaped the network"
    said = {
        "seen": f"the {found.added} features say something of the outcome",
        "unsettled": f"what the {found.added} features say of the outcome is unsettled, as the "
        "tests do not agree",
        "none seen": f"nothing was seen that the {found.added} features say of the outcome",
    }[found.informs]
    return f" {_BEYOND.capitalize()}, {said} ({numbers})."


def _sensitivity(found: Evidence, verdict: str) -> str:
    """State how large a function of known features must be that would explain a claim away."""
    if verdict not in ("gain", "information") or found.information.empty:
        return ""
    share = found.information["unseen_share"].iloc[0]
    if share > 1:
        return (
            " No function of the known features that these models miss would explain this away, "
            "were it as relevant to the outcome as what they show."
        )
    return (
        " To explain this away, a function of the known features that these models miss, as "
        "relevant to the outcome as what they show, would have to make up "
        f"{100 * share:.0f} % of what the {found.added} features vary."
    )


def is_calibrated(found: pd.Series) -> Finding | None:
    """State that predicted probabilities are too extreme or too moderate, if they are.

    Parameters
    ----------
    found : Series
        `slope, slope_low, slope_high` of a set and classifier.

    Returns
    -------
    Finding or None
        "miscalibrated", or None where nothing is to be told.
    """
    slope, low, high = found["slope"], found["slope_low"], found["slope_high"]
    least, most = _SLOPES
    if slope < least and high < 1:
        how = "too extreme, as by overfitting"
    elif slope > most and low > 1:
        how = "too moderate"
    else:
        return None
    text = (
        f"The predicted probabilities are {how}: calibration slope {slope:.2f}, 95 % interval "
        f"{low:.2f} to {high:.2f}, where 1 is right."
    )
    return Finding("miscalibrated", text)
