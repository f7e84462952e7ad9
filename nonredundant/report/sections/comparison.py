"""Section: scores and paired differences of the feature sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays.comparison import FeatureSetComparisonDisplay
from nonredundant.report.agreement import all_tests
from nonredundant.report.descriptions import where_tested
from nonredundant.report.figures import Drawing, draw_with
from nonredundant.report.formatting import (
    CLASSIFIER,
    DIFFERENCE,
    METRIC,
    SET,
    Column,
    Table,
    column_if_varying,
    format_compact,
    frame_table,
    interval_column,
    number_column,
    p_column,
    text_column,
)
from nonredundant.report.section import Block, Section, note

#: Names of the sets of a row.
_SETS = text_column("sets", "feature set")


def _figures(comparison: Any) -> list[Drawing]:
    """Draw the forest plot."""
    return [
        Drawing(
            "forest",
            "Scores and paired differences",
            "Left: score of each feature set. Right: paired difference to the set it was tested "
            "against. Lines are 95 % intervals; p in brackets is corrected by Holm's method. "
            "Shaded: the comparison chosen before any result was seen.",
            draw_with(FeatureSetComparisonDisplay),
        )
    ]


def _content(comparison: Any) -> list[Block]:
    """Tabulate scores, tests and the values chosen by inner cross-validation."""
    primary, where = comparison.primary, where_tested(comparison.settings)
    blocks: list[Block] = [
        _agreement_table(
            all_tests(comparison),
            "The primary difference by every classifier and every test",
        ),
        _score_table(comparison.summary, primary, f"Scores {where}"),
        _difference_table(comparison.tests, primary, f"Paired differences {where}"),
    ]
    if comparison.settings.n_test:
        folds = "in cross-validation"
        blocks += [
            _score_table(comparison.cv_summary, primary, f"Scores {folds}"),
            _difference_table(comparison.cv_tests, primary, f"Paired differences {folds}"),
        ]
    blocks += [
        _information_table(comparison.added_information),
        _control_table(comparison.controls),
        _choice_table(comparison, "Values chosen by inner cross-validation"),
    ]
    blocks.append(
        note(
            "Holm's correction covers all feature sets and classifiers that were tested against "
            "the same reference, without those whose difference is not estimable. Differences "
            "outside of an interval are excluded. Sets joined by “=” have the same scores "
            "throughout. Scale of the learned features: by how much they were shrunk before the "
            "classifier saw them; 1 is the scale of the known features, less trusts them less. "
            "“Influence curve” is a test of AUCs over patients, “double-residual” and “similarity” "
            "are tests of added information that allow for dependence on the known features."
        )
    )
    return blocks


def _agreement_table(tests: pd.DataFrame, caption: str) -> Table:
    """Tabulate the tests of the primary difference, if there are others than the primary one."""
    columns = [CLASSIFIER, text_column("test", "method"), *DIFFERENCE[:3]]
    return frame_table(tests if len(tests) > 1 else tests[:0], columns, caption)


def _score_table(summary: pd.DataFrame, primary: Mapping[str, str], caption: str) -> Table:
    """Tabulate score and interval of each set."""
    metric, caption = column_if_varying(summary, "metric", METRIC, caption)
    columns = [_SETS, CLASSIFIER, *metric, number_column("mean", "score"), interval_column()]
    if summary["sd"].notna().any():
        columns.append(number_column("sd", "sd over folds"))
    marked = {name: primary[name] for name in ("feature_set", "classifier", "metric")}
    return frame_table(_join_equal(summary, primary), columns, caption, marked=marked)


def _difference_table(tests: pd.DataFrame, primary: Mapping[str, str], caption: str) -> Table:
    """Tabulate the paired tests."""
    metric, caption = column_if_varying(tests, "metric", METRIC, caption)
    method, caption = column_if_varying(tests, "method", text_column("method", "method"), caption)
    against = text_column("reference", "against")
    columns = [_SETS, against, CLASSIFIER, *metric, *DIFFERENCE, *method]
    return frame_table(_join_equal(tests, primary), columns, caption, marked=primary)


def _join_equal(frame: pd.DataFrame, primary: Mapping[str, str]) -> pd.DataFrame:
    """Keep one row of sets with the same numbers, with all their names in `sets`."""
    values = [name for name in frame.columns if name != "feature_set"]
    # Numbers that differ by rounding errors alone are the same.
    alike = frame[values].round(9).fillna(np.inf).apply(tuple, axis=1)
    rows = []
    for _, group in frame.groupby(alike, sort=False):
        own = group[group["feature_set"] == primary["feature_set"]]
        row = (group if own.empty else own).iloc[0]
        rows.append({**row, "sets": " = ".join(group["feature_set"])})
    return pd.DataFrame(rows, columns=[*frame.columns, "sets"])


def _information_table(tests: pd.DataFrame) -> Table:
    """Tabulate the tests of added information."""
    columns = [
        SET,
        text_column("reference", "beyond"),
        CLASSIFIER,
        text_column("method", "method"),
        number_column("statistic", "statistic"),
        number_column("null_95", "95 % of its null"),
        p_column("p_value", "p"),
        text_column("reason", "not estimable because"),
    ]
    if not (tests["reason"] != "").any():
        columns.pop()
    caption = "Whether learned features say something of the outcome beyond the known ones"
    return frame_table(tests, columns, caption)


def _control_table(controls: pd.DataFrame) -> Table:
    """Tabulate the negative controls."""
    columns = [
        text_column("control", "negative control"),
        Column("claims", lambda row: f"{row['n_claims']} of {row['n_draws']}"),
        p_column("p_value", "smallest p"),
        text_column("meaning", "what claims mean"),
    ]
    return frame_table(controls, columns, "Negative controls of the tests of added information")


def _choice_table(comparison: Any, caption: str) -> Table:
    """Tabulate the weight of the learned block, the penalty, and the threshold."""
    choices = comparison.choices
    if choices[["C", "alpha", "block_weight", "threshold"]].isna().all(axis=None):
        return frame_table(choices[:0], [SET], caption)
    grouped = choices.groupby(["feature_set", "classifier"], sort=False)
    found = grouped.agg(
        n=("fold", "size"),
        weight_low=("block_weight", "min"),
        weight_high=("block_weight", "max"),
        c_low=("C", "min"),
        c_high=("C", "max"),
        alpha_low=("alpha", "min"),
        alpha_high=("alpha", "max"),
        threshold=("threshold", "median"),
    ).reset_index()

    def strength(name: str) -> Callable[[Any], str]:
        def show(row: Any) -> str:
            low, high = format_compact(row[f"{name}_low"]), format_compact(row[f"{name}_high"])
            return low if low == high else f"{low} to {high}"

        return show

    columns = [
        SET,
        CLASSIFIER,
        Column("scale of the learned features", strength("weight")),
        Column("alpha", strength("alpha"))
        if choices["alpha"].notna().any()
        else Column("C", strength("c")),
        number_column("threshold", "threshold (median)"),
    ]
    marked = {name: comparison.primary[name] for name in ("feature_set", "classifier")}
    return frame_table(found, columns, caption, marked=marked)


SECTION = Section("comparison", "Comparison", _content, _figures)
