"""The report of a model on an external cohort: one HTML file that needs no network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nonredundant._version import __version__
from nonredundant.displays.calibration import CalibrationBandDisplay
from nonredundant.displays.net_benefit import NetBenefitDisplay
from nonredundant.report.figures import Drawing, draw_figures
from nonredundant.report.formatting import (
    Column,
    Table,
    format_interval,
    frame_table,
    interval_column,
    number_column,
    p_column,
    text_column,
)
from nonredundant.report.page import Shown, template
from nonredundant.report.section import Block, note
from nonredundant.utils.files import write_text

#: Cases outside of the training cohort that the page lists; the table of predictions has all.
_LISTED = 50


def write_validation_page(validation: Any, path: str | os.PathLike[str]) -> Path:
    """Write the report of a validation as one HTML file.

    Parameters
    ----------
    validation : ModelValidation
        What `validate_model` returned.
    path : str or path-like
        The file.

    Returns
    -------
    Path
        The file.
    """
    page = template("validation.html").render(
        lines=validation.answer().splitlines(),
        sections=_sections(validation),
        version=__version__,
        made=validation.settings["made"],
    )
    path = Path(path)
    write_text(path, page)
    return path


def _sections(validation: Any) -> list[Shown]:
    """Return the sections with something to show."""
    figures, failed = draw_figures({"calibration": _drawings(validation)}, validation)
    told: list[Block] = [note("{}", message) for message in failed]
    every = [
        Shown(
            "scores",
            "Discrimination and calibration",
            [],
            [_scores(validation), _training(validation)],
        ),
        Shown("calibration", "Curves", figures["calibration"], told),
        Shown("gain", "What the learned features add", [], [_gain(validation)]),
        Shown("benefit", "Net benefit", [], [_benefit(validation)]),
        Shown("coverage", "Conformal sets", [], [_coverage(validation)]),
        Shown("outside", "Cases unlike the training cohort", [], [_outside(validation)]),
    ]
    shown = [one._replace(blocks=[block for block in one.blocks if block]) for one in every]
    return [one for one in shown if one.blocks or one.figures]


def _drawings(validation: Any) -> list[Drawing]:
    """Draw calibration and net benefit, where there are two classes with probabilities."""
    scores = validation.probabilities()
    if not scores:
        return []
    truth = validation.truth()
    return [
        Drawing(
            "reliability",
            "Calibration",
            "Predicted against observed frequency, bins of equal size, bands: Wilson's 95 % "
            "interval. On the diagonal, predicted and observed frequency are equal.",
            lambda _: CalibrationBandDisplay.from_predictions(truth, scores).figure_,
        ),
        Drawing(
            "benefit",
            "Decision curve",
            "Net benefit of treating every case whose predicted probability is above a threshold: "
            "true positives minus false positives weighted by the odds of the threshold, per case. "
            "A model is useful where it lies above both treating all and treating none (0).",
            lambda _: NetBenefitDisplay.from_predictions(truth, scores).figure_,
        ),
    ]


_NAME, _MEASURE = text_column("model", "model"), text_column("measure", "measure")


def _scores(validation: Any) -> Table:
    """Tabulate discrimination and calibration."""
    columns = [_NAME, text_column("class", "class"), _MEASURE]
    columns += [number_column("estimate", "estimate"), interval_column()]
    columns.append(number_column("ideal", "ideal", 0))
    if len(validation.settings["classes"]) < 3:
        del columns[1]
    return frame_table(validation.scores, columns, "On this cohort")


def _training(validation: Any) -> Table:
    """Tabulate the scores in the folds of the training cohort."""
    columns = [_MEASURE, number_column("estimate", "estimate"), interval_column()]
    return frame_table(validation.training, columns, "In the folds of the training cohort")


def _threshold() -> Column:
    """Make the column of thresholds, empty for measures without one."""
    return Column("at", lambda row: "" if np.isnan(row["threshold"]) else f"{row['threshold']:g}")


def _gain(validation: Any) -> Table:
    """Tabulate the differences between the model and its known features alone."""
    columns = [
        _MEASURE,
        _threshold(),
        number_column("estimate", "better by", signed=True),
        interval_column(signed=True),
        p_column("p_value", "p"),
    ]
    s = validation.settings
    return frame_table(validation.gain, columns, f"{s['feature_set']} against {s['reference']}")


def _benefit(validation: Any) -> Table:
    """Tabulate the net benefit against treating none and all."""
    against_all = Column(
        "95 % interval",
        lambda row: format_interval(row["over_all_low"], row["over_all_high"], signed=True),
    )
    columns = [
        _NAME,
        _threshold(),
        number_column("net_benefit", "net benefit"),
        interval_column(),
        number_column("over_all", "more than treating all", signed=True),
        against_all,
    ]
    return frame_table(validation.net_benefit, columns, "At the stated thresholds")


def _coverage(validation: Any) -> Table:
    """Tabulate the coverage of the conformal sets."""
    columns = [
        text_column("cases", "cases"),
        number_column("n", "n", 0),
        number_column("nominal", "promised", 2),
        number_column("estimate", "sets that hold the class", 2),
        interval_column(),
        number_column("mean_size", "classes per set", 2),
        number_column("share_single", "of one class", 2),
        number_column("share_empty", "empty", 2),
    ]
    return frame_table(validation.coverage, columns, "Share of cases")


def _outside(validation: Any) -> Table:
    """List the cases that lie outside of the training cohort, or could not be read."""
    cases = validation.predictions
    failed = cases["status"] != "ok"
    reasons = cases["outside"].where(~failed, cases["status"])
    found = pd.DataFrame({"case": cases.index.astype(str), "why": reasons.to_numpy()})
    found = found[found["why"] != ""].iloc[:_LISTED]
    columns = [text_column("case", "case"), text_column("why", "why")]
    return frame_table(found, columns)
