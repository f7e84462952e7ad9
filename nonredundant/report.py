"""The report of a comparison: one HTML file that needs no network."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nonredundant import displays
from nonredundant._report_text import METHOD, checklist
from nonredundant._version import __version__

#: Dots an inch of the pictures: sharp on a phone, small enough for mail.
_DPI = 130
_NAMES = {
    "feature_set": "Feature set",
    "classifier": "Classifier",
    "metric": "Metric",
    "mean": "Mean",
    "sd": "SD over folds",
    "interval": "95 % interval",
    "reference": "Against",
    "estimate": "Difference",
    "p_value": "p",
    "p_holm": "p (Holm)",
    "method": "Method",
    "null_mean": "By chance",
    "null_95": "95 % of chance",
    "unit": "Unit",
    "block_weight": "Weight of the learned block",
}
_P_VALUES = ("p_value", "p_holm")


def write_report(comparison: Any, path: str | os.PathLike[str]) -> Path:
    """Write a comparison as one self-contained HTML file.

    Parameters
    ----------
    comparison : FeatureSetComparison
        What `compare_feature_sets` returned.
    path : str or path-like
        The file; its folder must exist.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> import numpy as np, pandas as pd, tempfile
    >>> from nonredundant import compare_feature_sets, LesionTable
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
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nonredundant", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("report.html").render(_context(comparison))
    path = Path(path)
    path.write_text(page, encoding="utf-8")
    return path


def _context(comparison: Any) -> dict[str, Any]:
    """Return all that the template shows."""
    s = comparison.settings
    return {
        "answer": comparison.answer(),
        "redundancy_sentence": redundancy_sentence(comparison.redundancy, s["primary"]),
        "primary": _table(_primary_rows(comparison)),
        "cohort": _cohort(s),
        "sections": list(_sections(comparison)),
        "pictures": list(_pictures(comparison)),
        "method": METHOD,
        "checklist": checklist(comparison),
        "warnings": comparison.warnings,
        "failed": s["failed"],
        "settings": json.dumps(s, indent=2, default=str, ensure_ascii=False),
        "made": s["made"],
        "version": __version__,
    }


def redundancy_sentence(redundancy: pd.DataFrame, primary: dict[str, str]) -> str:
    """Return what the audit found of the primary comparison's latents, in one sentence.

    Parameters
    ----------
    redundancy : DataFrame
        The audit of a comparison.
    primary : dict
        The comparison that was asked for: its `feature_set` names the fused features.

    Returns
    -------
    str
        Empty where nothing was audited.
    """
    learned = primary["feature_set"].partition("+")[2] or primary["feature_set"]
    found = redundancy[redundancy["feature_set"] == learned]
    if found.empty:
        return ""
    parts = [
        f"{row.method} {row.estimate:.2f} (by chance {row.null_mean:.2f}, {_p(row.p_value)})"
        for row in found.itertuples()
    ]
    return f"What {learned} still shares with the hand-crafted features: {'; '.join(parts)}."


def _primary_rows(comparison: Any) -> pd.DataFrame:
    """Return the scores of the primary classifier and metric."""
    chosen, summary = comparison.primary, comparison.summary
    match = (summary["classifier"] == chosen["classifier"]) & (
        summary["metric"] == chosen["metric"]
    )
    return summary[match][["feature_set", "mean", "low", "high"]]


def _cohort(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of the cohort's table."""
    cohort = settings["cohort"]
    rows = [
        ("Samples", str(cohort["n_samples"])),
        ("Lesions", str(cohort["n_lesions"])),
        *((f"Class {label}", str(n)) for label, n in cohort["class_counts"].items()),
        ("Hand-crafted features", str(cohort["n_hcr"])),
    ]
    if cohort["n_clinical"]:
        rows.append(("Clinical columns", str(cohort["n_clinical"])))
    if cohort["patch_shape"]:
        rows.append(("Patch (channels first)", " × ".join(map(str, cohort["patch_shape"]))))
    for name, (low, median, high) in cohort["quartiles"].items():
        label = {"volume": "Volume, mm³", "maximum": "Maximum intensity"}.get(name, name)
        rows.append((f"{label}: median (quartiles)", f"{median:.4g} ({low:.4g} to {high:.4g})"))
    if settings["n_test"]:
        rows.append(("Held-out test samples", str(settings["n_test"])))
    rows.append(("Left out", str(len(settings["failed"]))))
    seconds = {**settings.get("seconds", {}), "in all": settings["total_seconds"]}
    rows.append(("Time, s", ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())))
    return rows


def _sections(comparison: Any) -> Iterator[dict[str, Any]]:
    """Yield the tables, those that hold something."""
    binary = len(comparison.settings["classes"]) == 2
    parts: list[tuple[str, str, pd.DataFrame]] = [
        ("Scores", "Mean and 95 % interval of each set and classifier.", comparison.summary),
        (
            "Paired differences",
            "Each set against its references on the same samples. p (Holm) is corrected over all "
            "sets and classifiers with the same reference.",
            comparison.tests,
        ),
        (
            "Second opinion",
            "DeLong's test on pooled out-of-fold predictions, which takes the fold models as "
            "given.",
            comparison.pooled_tests,
        ),
        (
            "Redundancy",
            "What fresh estimators find shared between hand-crafted and learned features on "
            "held-out samples, beside the same with rows permuted.",
            comparison.redundancy.rename(columns={"estimate": "found"}),
        ),
    ]
    if binary:
        parts.append(
            (
                "Calibration and operating point",
                "Slope 1 and intercept 0 are right. Sensitivity and specificity at thresholds "
                "chosen inside the folds.",
                comparison.calibration(),
            )
        )
        curve = comparison.decision_curve([0.1, 0.2, 0.3, 0.4, 0.5])
        if len(curve):
            first = comparison.primary["classifier"]
            curve = curve[curve["classifier"] == first].drop(columns=["classifier", "treat_none"])
            text = "Net benefit of acting above a probability, beside acting on everybody."
            parts.append(("Decision curve", text, curve))
    for title, text, frame in parts:
        if len(frame):
            yield {"title": title, "text": text, **_table(frame)}


def _table(frame: pd.DataFrame) -> dict[str, Any]:
    """Return a frame as names and rows of text, its interval in one column."""
    frame = frame.copy()
    if {"low", "high"} <= set(frame.columns):
        place = frame.columns.get_loc("low")
        text = [_interval(*pair) for pair in zip(frame["low"], frame["high"], strict=True)]
        frame = frame.drop(columns=["low", "high"])
        frame.insert(place, "interval", text)
    rows = [
        [(_cell(name, value), isinstance(value, float)) for name, value in row.items()]
        for row in frame.to_dict("records")
    ]
    names = [_NAMES.get(str(name), str(name).replace("_", " ").capitalize()) for name in frame]
    return {"names": names, "rows": rows}


def _cell(name: str, value: Any) -> str:
    """Return a value as text."""
    if not isinstance(value, float):
        return str(value)
    if np.isnan(value):
        return "–"
    if name in _P_VALUES:
        return "< 0.001" if value < 0.001 else f"{value:.3f}"
    return f"{value:.3f}"


def _interval(low: float, high: float) -> str:
    """Return an interval as text."""
    return "–" if np.isnan(low) or np.isnan(high) else f"{low:.3f} to {high:.3f}"


def _p(value: float) -> str:
    """Return a p-value as papers write it."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _pictures(comparison: Any) -> Iterator[dict[str, str]]:
    """Yield the pictures that the comparison can give, each with its caption."""
    binary = len(comparison.settings["classes"]) == 2
    drawn = (
        (
            True,
            displays.FeatureSetComparisonDisplay,
            "Scores with 95 % intervals, and paired differences to the hand-crafted features.",
        ),
        (
            binary,
            displays.RocBandDisplay,
            "ROC curves of held-out predictions with 95 % bands.",
        ),
        (
            len(comparison.redundancy) > 0,
            displays.RedundancyDisplay,
            "What learned features share with hand-crafted ones; the grey bar is chance.",
        ),
        (
            len(comparison.weights) > 0,
            displays.FeatureWeightsDisplay,
            "Weights of the classifier, hand-crafted and deep features apart.",
        ),
        (
            binary and _has_probabilities(comparison),
            displays.CalibrationBandDisplay,
            "Calibration of held-out predictions.",
        ),
        (
            len(comparison.history) > 0,
            displays.LossCurveDisplay,
            "Terms of the networks' loss over the epochs, training and validation.",
        ),
        (
            any("dlr00" in frame for frame in comparison.latents.values()),
            displays.LatentSpaceDisplay,
            "Latent space of one fold's held-out samples.",
        ),
    )
    for possible, display, caption in drawn:
        if possible:
            yield {"source": _picture(display.from_comparison, comparison), "caption": caption}


def _has_probabilities(comparison: Any) -> bool:
    """Whether the primary classifier predicts probabilities."""
    found = comparison.predictions
    chosen = found[found["classifier"] == comparison.primary["classifier"]]["score"]
    return bool(chosen.between(0, 1).all())


def _picture(draw: Callable[..., Any], comparison: Any) -> str:
    """Return a picture as a data URI, drawn without a screen and closed again."""
    import matplotlib.pyplot as plt

    # A backend with windows would open one for each picture.
    backend = plt.get_backend()
    plt.switch_backend("agg")
    try:
        figure = draw(comparison).figure_
        target = io.BytesIO()
        figure.savefig(target, format="png", dpi=_DPI, facecolor="white", bbox_inches="tight")
        plt.close(figure)
    finally:
        plt.switch_backend(backend)
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode("ascii")
