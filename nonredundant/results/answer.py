"""The answer of a comparison in words: whether learned features are new, and whether they help."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from nonredundant.classifiers.builtin import long_name
from nonredundant.classifiers.scoring import CONCORDANCE
from nonredundant.displays.names import estimate_name, metric_name, p_text
from nonredundant.results.significance import SHARES
from nonredundant.statistics.estimates import ROUNDING
from nonredundant.statistics.multiplicity import holm

#: Significance level of every statement.
LEVEL = 0.05
#: The end of the name of a set of selected hand-crafted features, such as `Clinical+H8`.
_SELECTION = re.compile(r"(^|\+)H\d+$")
#: The value of a metric at which predictions are no better than chance.
_CHANCE = {"roc_auc": 0.5, "roc_auc_ovr": 0.5, CONCORDANCE: 0.5}


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
    own = every[every["p_value"].notna()].reset_index(drop=True)
    if own.empty:
        text = f"Whether {block} repeats the hand-crafted features was not audited"
        reason = "" if every.empty else f": {every['detail'].iloc[0]}"
        return Finding("not audited", f"{text}{reason}.")
    corrected = holm(own["p_value"].to_numpy())
    n = len(own)
    family = f"smallest of {n} p-values after Holm" if n > 1 else "one method"
    if corrected.min() < LEVEL:
        worst = own.iloc[int(corrected.argmin())]
        detail = f"; {worst['detail']}" if worst.get("detail") else ""
        text = (
            f"{block} still depends on the hand-crafted features: {_measured(worst)}, "
            f"{p_text(float(corrected.min()))} ({family}){detail}."
        )
        return Finding("dependent", text)
    text = (
        f"No dependence of {block} on the hand-crafted features was seen on held-out samples "
        f"({p_text(float(corrected.min()))}, {family}{_visible(own)})."
    )
    return Finding("none seen", text)


def _measured(row: pd.Series) -> str:
    """Describe an estimate of the audit beside the 95 % point of its null."""
    return f"{estimate_name(row['method'])} {row['estimate']:.2f}, by chance at most " + (
        f"{row['null_95']:.2f}"
    )


def _visible(own: pd.DataFrame) -> str:
    """Describe the smallest dependence that the audit would have seen."""
    known = own[own.get("detectable", pd.Series(np.nan, own.index)).notna()]
    if known.empty:
        return ""
    # The power of a method is that of its own p-value.
    before = " before correction" if len(own) > 1 else ""
    # Distance correlation can be read without knowing the estimator.
    row = known.sort_values("method", key=lambda m: m != "dcor", kind="stable").iloc[0]
    return (
        f"; with 80 % power this audit sees a {estimate_name(row['method'])} of "
        f"{row['detectable']:.2f} or more{before}"
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
    information : Series or None
        The row of `added_information`: of the permutation test, or of the projected covariance
        measure where the audit saw that learned features depend on known ones.
    where : str
        On which samples the sets were scored.
    added : str
        What the set has and its reference has not: "learned" or "hand-crafted" features.
    """

    chosen: Mapping[str, str]
    fused: pd.Series
    base: pd.Series | None
    test: pd.Series | None
    information: pd.Series | None
    where: str
    added: str = "learned"


def does_help(found: Evidence) -> Finding:
    """State whether the fused set is better than its reference, and whether it adds information.

    A gain is stated only for a fused set that is also better than chance.

    Returns
    -------
    Finding
        "gain", "loss", "information" (added information was seen, a gain of the metric was not),
        "chance" (a difference between sets that are no better than chance), "none seen",
        "unknown" (not estimable) or "not compared".
    """
    name, metric = long_name(found.chosen["classifier"]), metric_name(found.chosen["metric"])
    set_name = found.chosen["feature_set"]
    if found.test is None or found.base is None:
        low, high = found.fused["low"], found.fused["high"]
        interval = "" if np.isnan(low) else f" (95 % interval {low:.3f} to {high:.3f})"
        reached = f"reached {metric} {found.fused['mean']:.3f}{interval} {found.where}"
        return Finding("not compared", f"{set_name} with {name} {reached}.")
    reference = str(found.test["reference"])
    numbers = (
        f"{metric} {found.base['mean']:.3f} with {reference}, {found.fused['mean']:.3f} with "
        f"{set_name} ({name}, {found.where})"
    )
    verdict = _verdict(found, found.test)
    opening = {
        "gain": f"{set_name} predicts better than {_named(reference)}",
        "loss": f"{set_name} predicts worse than {reference}",
        "information": f"The {found.added} features say something of the outcome that {reference} "
        f"does not, but a gain in {metric} was not seen",
        "chance": f"No gain was seen: {set_name} is not distinguishable from chance",
        "none seen": f"No gain from the {found.added} features was seen",
        "unknown": f"Whether the {found.added} features help is not estimable",
    }[verdict]
    text = f"{opening}: {numbers}; {_difference(found.test)}{_information(found)}."
    text += _power(found.test, found.base, found.chosen["metric"])
    return Finding(verdict, text)


def _named(reference: str) -> str:
    """Name a reference; one of selected features so that a gain over it is taken for no more."""
    if not _SELECTION.search(reference):
        return reference
    return f"{reference}, a selection of the hand-crafted features (not than all of them)"


def _verdict(found: Evidence, test: pd.Series) -> str:
    """Decide which of the verdicts holds."""
    p, estimate = test["p_value"], test["estimate"]
    informs = found.information is not None and found.information["p_value"] < LEVEL
    if p < LEVEL and estimate < 0:
        return "loss"
    if p < LEVEL or informs:
        if not _beats_chance(found):
            return "chance"
        return "gain" if p < LEVEL else "information"
    tested = not np.isnan(p) or (
        found.information is not None and not np.isnan(found.information["p_value"])
    )
    return "none seen" if tested else "unknown"


def _beats_chance(found: Evidence) -> bool:
    """Return whether the interval of the fused set lies above chance, where chance is known.

    A set that orders all cases correctly has no interval.
    """
    chance = _CHANCE.get(found.chosen["metric"])
    if chance is None:
        return True
    return bool(found.fused["low"] > chance or found.fused["mean"] > 1 - ROUNDING)


def _difference(test: pd.Series) -> str:
    """Format a paired difference, or the reason why its error is unknown."""
    if np.isnan(test["p_value"]):
        reason = test.get("reason") or "its error cannot be estimated"
        return f"difference {_signed(test['estimate'])}, no interval ({reason})"
    interval = f"95 % interval {_signed(test['low'])} to {_signed(test['high'])}"
    return f"difference {_signed(test['estimate'])}, {interval}, {p_text(test['p_value'])}"


def _signed(value: float) -> str:
    """Format a difference with its sign; what rounds to zero has none."""
    rounded = round(float(value), 3) + 0.0
    return f"{rounded:+.3f}" if rounded else "0.000"


def _information(found: Evidence) -> str:
    """Format the test of added information."""
    row = found.information
    if row is None:
        return ""
    if np.isnan(row["p_value"]):
        return f"; test of added information not estimable ({row['reason']})"
    by = ""
    if row.get("method") == "projected-covariance":
        by = " (projected covariance, which allows for linear dependence on known features)"
    return f"; test of added information {p_text(row['p_value'])}{by}"


def _power(test: pd.Series, base: pd.Series, metric: str) -> str:
    """State the smallest difference that the cohort would have shown."""
    smallest = test.get("detectable", np.nan)
    if np.isnan(smallest) or test["p_value"] < LEVEL:
        return ""
    text = f" With 80 % power this cohort would have shown a difference of {smallest:.3f} or more"
    room = 1 - base["mean"]
    if metric in SHARES and smallest > room:
        best = f"no set can be better than {test['reference']} by more than {room:.3f}"
        return f"{text}, but {best}."
    return f"{text}."
