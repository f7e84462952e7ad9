"""The report of a comparison: one HTML file that needs no network, for screen, phone and paper."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nonredundant._version import __version__
from nonredundant.displays.redundancy import METHOD_NAMES
from nonredundant.displays.style import p_text
from nonredundant.report import settings as settings_of
from nonredundant.report import tables
from nonredundant.report.checklist import checklist
from nonredundant.report.figures import draw_figures

_CONTENTS = {
    "cohort": "Cohort",
    "settings": "Settings and versions",
    "comparison": "Comparison",
    "audit": "Audit of redundancy",
    "patients": "Patients and their lesions",
    "pictures": "Pictures",
    "calibration": "Calibration and clinical utility",
    "warnings": "Warnings",
    "failed": "Cases that failed",
    "method": "Method in five lines",
    "checklist": "Checklist",
}


def write_report(comparison: Any, path: str | os.PathLike[str]) -> Path:
    """Write what a comparison found as one HTML file.

    Pictures are inside the file, nothing is loaded from elsewhere, and sections that have nothing
    to show are left out.

    Parameters
    ----------
    comparison : FeatureSetComparison
        What `compare_feature_sets` returned.
    path : str or path-like
        The file.

    Returns
    -------
    Path
        The file.

    See Also
    --------
    nonredundant.evaluation.FeatureSetComparison.to_csv : Writes the tables.

    Examples
    --------
    >>> import numpy as np, pandas as pd, tempfile
    >>> from nonredundant import LesionTable, compare_feature_sets
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 30)
    >>> table = LesionTable(pd.DataFrame({"uptake": y + rng.normal(size=60)}))
    >>> found = compare_feature_sets(
    ...     table, y, feature_sets=["HCR"], classifiers="LR", baselines=False, random_state=0
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_report(found, f"{folder}/report.html").read_text(encoding="utf-8")
    >>> found.answer() in page
    True
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("nonredundant.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html").render(_content(comparison))
    path = Path(path)
    path.write_text(page, encoding="utf-8")
    return path


def _content(comparison: Any) -> dict[str, Any]:
    """Return everything that the template shows."""
    figures, problems = draw_figures(comparison)
    settings, own_tables = comparison.settings, _tables(comparison)
    looks = tables.other_looks(comparison)
    there = {
        "audit": own_tables["audit"],
        "patients": own_tables["patients"] or figures.get("patients"),
        "pictures": figures.get("pictures"),
        "calibration": own_tables["calibration"] or figures.get("calibration"),
        "warnings": comparison.warnings or problems,
        "failed": settings["failed"],
    }
    return {
        "answer": comparison.answer(),
        "verdict": _verdict(looks),
        "graph_line": comparison.graph_answer(),
        "redundancy_line": _redundancy_line(comparison),
        "looks_line": _looks_line(looks),
        "first": tables.first_table(comparison),
        "simple": tables.best_simple(comparison),
        "basis": _basis(settings),
        "settings": settings,
        "version": __version__,
        "contents": [(name, title) for name, title in _CONTENTS.items() if there.get(name, True)],
        "figures": figures,
        "problems": problems,
        "tables": own_tables,
        "outside_range": tables.outside_range(comparison.summary),
        "all_settings": json.dumps(settings, indent=2, default=str, ensure_ascii=False),
        "warnings": comparison.warnings,
        "failed": settings["failed"],
        "term": (settings["cvae"] or {}).get("independence"),
        "checklist": checklist(comparison),
    }


def _tables(comparison: Any) -> dict[str, list[tables.Table]]:
    """Return the tables of each section, the empty ones left out."""
    s, primary = comparison.settings, comparison.primary
    held = bool(s["n_test"])
    test = "on the held-out test set" if held else "in cross-validation"
    found = {
        "cohort": [settings_of.cohort_table(comparison)],
        "settings": [settings_of.settings_table(s)],
        "comparison": [
            tables.looks_table(
                tables.other_looks(comparison),
                "The same question, asked of every classifier and by a second test",
            ),
            tables.summary_table(comparison.summary, primary, f"Scores {test}"),
            tables.difference_table(comparison.tests, primary, f"Paired differences {test}"),
            *(_fold_tables(comparison) if held else []),
            tables.difference_table(
                comparison.pooled_tests, primary, "Second opinion on the paired differences"
            ),
            tables.choice_summary(comparison, "What inner cross-validation chose"),
        ],
        "audit": [tables.redundancy_table(comparison.redundancy, "Audit on held-out samples")],
        "patients": [
            settings_of.lesions_table(comparison),
            tables.graph_table(comparison.graph_tests, "The graph of lesions against pooling"),
            tables.attention_table(comparison.attention, "Attention of held-out patients' graphs"),
        ],
        "calibration": [],
    }
    if len(s["classes"]) == 2:
        found["calibration"] = [
            tables.calibration_table(
                comparison, "Calibration and operating point in cross-validation"
            ),
            tables.benefit_table(comparison.decision_curve(), primary, f"Net benefit {test}"),
        ]
    return {name: [table for table in own if table] for name, own in found.items()}


def _fold_tables(comparison: Any) -> list[tables.Table]:
    """Return the tables of cross-validation where a test set stands first."""
    primary = comparison.primary
    return [
        tables.summary_table(comparison.cv_summary, primary, "Scores in cross-validation"),
        tables.difference_table(
            comparison.cv_tests, primary, "Paired differences in cross-validation"
        ),
    ]


def _verdict(looks: pd.DataFrame) -> str:
    """Return what the primary comparison says: gain, loss, none or unknown."""
    if looks.empty or np.isnan(looks["p_value"].iloc[0]):
        return "unknown"
    first = looks.iloc[0]
    if first["p_value"] >= 0.05:
        return "none"
    return "gain" if first["estimate"] > 0 else "loss"


def _looks_line(looks: pd.DataFrame) -> str:
    """Return whether other classifiers and tests say the same, as a sentence; or nothing."""
    others = looks.iloc[1:]
    others = others[others["p_value"].notna()]
    if others.empty:
        return ""
    odd, n = others[~others["agrees"].astype(bool)], len(others)
    if odd.empty:
        return f"The same verdict comes from {n} of {n} other looks at the question."
    named = "; ".join(
        f"{row['classifier']} by {row['look']} ({row['estimate']:+.3f}, {p_text(row['p_value'])})"
        for _, row in odd.iterrows()
    )
    return f"Another verdict comes from {len(odd)} of {n} other looks at the question: {named}."


def _redundancy_line(comparison: Any) -> str:
    """Return what the audit found of the primary set's learned block, in a sentence or two."""
    table = comparison.redundancy
    if table.empty:
        return "Whether the learned features repeat the hand-crafted ones was not audited."
    blocks = table["feature_set"].unique().tolist()
    own = comparison.primary["feature_set"].rpartition("+")[2]
    own = own if own in blocks else blocks[0]
    n, found, number = _audited(table, own)
    who = f"{found} of {n} fresh estimators find"
    if n == 1:
        who = "a fresh estimator finds" if found else "a fresh estimator does not find"
    text = (
        f"On held-out samples, {who} the hand-crafted features in {own} beyond chance ({number})."
    )
    plain = own.removesuffix("-MI")
    if plain != own and plain in blocks:
        n, found, number = _audited(table, plain)
        who = f"{found} of {n} do" if n > 1 else "it does" if found else "it does not either"
        text += f" In {plain}, trained without the independence term, {who} ({number})."
    return text


def _audited(table: pd.DataFrame, name: str) -> tuple[int, int, str]:
    """Return how many estimators there are, how many found redundancy, and one's number."""
    own = table[table["feature_set"] == name]
    # Distance correlation is the one whose number can be read without knowing the estimator.
    first = own.sort_values("method", key=lambda names: names != "dcor", kind="stable").iloc[0]
    label = METHOD_NAMES.get(first["method"], first["method"])
    if first["unit"] != "correlation":
        label = f"{first['unit']} by {label}"
    number = f"{label} {first['estimate']:.2f}, by chance {first['null_mean']:.2f}"
    return len(own), int((own["p_value"] < 0.05).sum()), number


def _basis(settings: dict[str, Any]) -> str:
    """Return on what the answer rests, in a line."""
    n = settings["cohort"]["n_samples"]
    return f"{n:,} samples; {settings_of.validation_text(settings)}"
